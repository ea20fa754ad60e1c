// Where messages are written: text, a picture, an answer, an edit.

import { ask } from '../api.js';
import { el, icon, iconButton } from '../dom.js';
import * as kept from '../kept.js';
import { send } from '../outbox.js';
import { fit, pictureOf } from '../picture.js';
import { mergeMessage, state } from '../state.js';
import { stopped, typed } from '../typing.js';
import { allEmoji } from './actions.js';
import { quote } from './message.js';
import { attempt, complain, openPanel } from './popups.js';

const MOST_CHARS = 10_000;

/** Those that are shown and not sent yet, in whichever conversation. */
const attached = new Map();

export class Composer {
  #to;
  #text;
  #above = el('div', { class: 'above' });
  #preview = el('div', { class: 'above' });
  #replyTo;
  #editing;
  #draft = '';

  /** `lastOwn` gives the message that the arrow key edits. */
  constructor(to, lastOwn) {
    this.#to = to;
    const text = el('textarea', { 'aria-label': 'Message', placeholder: 'Message', rows: 1, maxlength: MOST_CHARS, dir: 'auto', enterkeyhint: 'send' });
    this.#text = text;
    const file = el('input', { type: 'file', accept: 'image/*', 'aria-label': 'Attach a picture', title: 'Attach a picture' });
    file.addEventListener('change', () => {
      if (file.files[0]) this.attach(file.files[0]);
      file.value = '';
    });
    const emoji = iconButton('smile', 'Emoji', () => openPanel(emoji, 'Emoji', allEmoji((one) => this.#type(one))));
    this.node = el('form', { class: 'composer', on: { submit: (event) => this.#submit(event) } }, this.#above, this.#preview,
      el('div', { class: 'row' }, emoji, el('span', { class: 'icon-button file' }, file, icon('clip')), text,
        el('button', { type: 'submit', class: 'icon-button send', 'aria-label': 'Send', title: 'Send' }, icon('send'))));
    text.addEventListener('input', () => this.#changed());
    text.addEventListener('keydown', (event) => this.#key(event, lastOwn));
    text.addEventListener('blur', stopped);
    text.addEventListener('paste', (event) => {
      const picture = pictureOf(event.clipboardData);
      if (!picture) return;
      event.preventDefault();
      this.attach(picture);
    });
    const draft = kept.get('draft', state.me._id, to);
    if (draft) {
      text.value = draft.text;
      this.#replyTo = draft.replyTo;
      this.#showAbove();
    }
    this.#showPicture();
    requestAnimationFrame(() => this.#fitHeight());
  }

  get #place() {
    return state.me?._id + this.#to;
  }

  focus() {
    this.#text.focus({ preventScroll: true });
  }

  reply(message) {
    if (this.#editing) this.#endEdit();
    this.#replyTo = message._id;
    this.#showAbove();
    this.#keepDraft();
    this.focus();
  }

  edit(message) {
    if (!this.#editing) this.#draft = this.#text.value;
    this.#editing = message;
    this.#setText(message.text);
    this.#showAbove();
    this.focus();
  }

  /** Shows a picture that is to be sent. */
  async attach(file) {
    const key = this.#place;
    try {
      attached.set(key, { picture: await fit(file), name: file.name });
    } catch (error) {
      complain(error.message);
      return;
    }
    this.#showPicture();
    this.focus();
  }

  #showPicture() {
    const old = this.#preview.querySelector('img');
    if (old) URL.revokeObjectURL(old.src);
    const { picture, name } = attached.get(this.#place) ?? {};
    this.#preview.replaceChildren(...(picture ? [
      el('img', { src: URL.createObjectURL(picture), alt: 'Picture to send' }),
      el('span', { class: 'grow' }, name ?? ''),
      iconButton('close', 'Remove the picture', () => this.#dropPicture()),
    ] : []));
  }

  #dropPicture() {
    attached.delete(this.#place);
    this.#showPicture();
    this.focus();
  }

  #submit(event) {
    event.preventDefault();
    const text = this.#text.value.trim();
    if (this.#editing) {
      this.#sendEdit(text);
      return;
    }
    const picture = attached.get(this.#place)?.picture;
    if (!text && !picture) return;
    send(this.#to, { text: text || undefined, picture, replyTo: this.#replyTo });
    this.#replyTo = undefined;
    if (picture) this.#dropPicture();
    this.#setText('');
    this.#showAbove();
    this.#keepDraft();
    stopped();
    this.focus();
  }

  async #sendEdit(text) {
    const message = this.#editing;
    const change = async () => mergeMessage((await ask('PUT', `messages/${message._id}`, { text })).data);
    // What was typed stays until it is taken.
    if ((text === message.text || await attempt(change)) && this.#editing === message) this.#endEdit();
  }

  #endEdit() {
    this.#editing = undefined;
    this.#setText(this.#draft);
    this.#draft = '';
    this.#showAbove();
    this.focus();
  }

  #cancel() {
    if (this.#editing) {
      this.#endEdit();
      return;
    }
    this.#replyTo = undefined;
    this.#showAbove();
    this.#keepDraft();
    this.focus();
  }

  #showAbove() {
    const cancel = iconButton('close', 'Cancel', () => this.#cancel());
    if (this.#editing) this.#above.replaceChildren(el('span', { class: 'grow', role: 'status' }, 'Editing'), cancel);
    else if (this.#replyTo) this.#above.replaceChildren(quote(this.#replyTo, state.conversations.get(this.#to), { class: 'quote grow' }), cancel);
    else this.#above.replaceChildren();
  }

  #key(event, lastOwn) {
    const isPhone = matchMedia('(pointer: coarse)').matches;
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && !isPhone) {
      event.preventDefault();
      this.#submit(event);
    } else if (event.key === 'Escape' && (this.#editing || this.#replyTo)) {
      event.preventDefault();
      this.#cancel();
    } else if (event.key === 'ArrowUp' && !event.altKey && !this.#text.value && !this.#editing) {
      const message = lastOwn();
      if (!message) return;
      event.preventDefault();
      this.edit(message);
    }
  }

  /** Puts it where the cursor is. */
  #type(what) {
    const { selectionStart, selectionEnd } = this.#text;
    this.#text.setRangeText(what, selectionStart, selectionEnd, 'end');
    this.#changed();
  }

  #changed() {
    this.#fitHeight();
    if (this.#editing) return;
    this.#keepDraft();
    if (this.#text.value) typed(this.#to);
    else stopped();
  }

  #setText(text) {
    this.#text.value = text;
    this.#fitHeight();
  }

  #keepDraft() {
    const [text, replyTo] = [this.#text.value, this.#replyTo];
    if (text || replyTo) kept.put('draft', state.me._id, this.#to, { text, replyTo });
    else kept.drop('draft', state.me._id, this.#to);
  }

  #fitHeight() {
    this.#text.style.setProperty('height', 'auto');
    this.#text.style.setProperty('height', `${this.#text.scrollHeight}px`);
  }
}
