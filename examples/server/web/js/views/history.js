// The messages of a conversation, on the page.
//
// Articles stand in chunks of at most 50, chunks in days. A browser skips chunks that are out of view
// (`content-visibility`), and as each is measured once before that, nothing jumps when it comes into view. So ten thousand
// messages are as quick as fifty, and a new one costs one article. What stands above is shown page by page.

import { el } from '../dom.js';
import { isLookedAt } from '../notify.js';
import { read } from '../receipts.js';
import { on, place, state } from '../state.js';
import { loadOlder, openConversation } from '../sync.js';
import { dayKey } from '../time.js';
import { dayLine, downIcon, fillMessage, fillTick, isMine, loadingLine, newArticle, nameDay, newLine, progressBar, quote } from './message.js';

const PAGE = 50;
/** Pixels above what is seen, from which on older messages are fetched. */
const AHEAD = 1500;
/** Pixels from the end that count as the end. */
const NEAR = 60;
const GROUP_WITHIN = 5 * 60 * 1000;
/** Pages that a click on an answer goes back to find what it answers. */
const MOST_BACK = 40;

const keyOf = (message) => (isMine(message) && message.clientId ? message.clientId : message._id);
const inOrder = (a, b) => (a.seq - b.seq) || (a.order - b.order) || 0;

export class History {
  #id;
  #act;
  #items = []; // in order: { key, seq, order, message, node, chunk }
  #byKey = new Map();
  #isAtEnd = true;
  #newFrom; // the `seq` from which on messages are new
  #line = newLine();
  #loading = loadingLine();
  #offs = [];
  #below = 0;
  #fresh = []; // chunks that are not measured yet

  constructor(id, act) {
    this.#id = id;
    this.#act = { ...act, reveal: (message) => this.reveal(message) };
    this.log = el('div', { class: 'log', role: 'log', 'aria-label': 'Messages', tabindex: 0, 'aria-busy': 'true' }, this.#loading);
    this.jump = el('button', { class: 'jump', 'aria-label': 'Jump to the newest', hidden: true, on: { click: () => this.toEnd(true) } }, downIcon(), el('span', { class: 'badge' }));
    this.node = el('div', { class: 'history' }, this.log, this.jump);
    const mine = (act_) => (of, ...rest) => of === id && act_(...rest);
    const watch = new AbortController();
    const listen = (target, name, listener) => target.addEventListener(name, listener, { signal: watch.signal, passive: true });
    const sizes = new ResizeObserver(() => this.#isAtEnd && this.toEnd());
    sizes.observe(this.log);
    this.#offs.push(
      on('message', mine((message) => this.#upsert(message))),
      on('gone', mine((message) => this.#remove(this.#items.find((item) => item.message._id === message)))),
      on('page', mine((messages, anew) => this.#page(anew))),
      on('marks', mine(() => this.#marks())),
      on('loaded', () => this.#loaded()),
      on('pending', (entry) => entry.to === id && this.#upsert(entry)),
      on('settled', (entry) => this.#settled(entry)),
      on('progress', (entry) => this.#progress(entry)),
      () => watch.abort(),
      () => sizes.disconnect(),
    );
    listen(this.log, 'scroll', () => this.#scrolled());
    listen(window, 'focus', () => this.#noteRead());
    listen(document, 'visibilitychange', () => this.#noteRead());
    this.log.addEventListener('keydown', (event) => this.#key(event));
  }

  /** When it is on the page. */
  begin() {
    openConversation(this.#id);
    this.#findNew();
    if (this.#conversation.isLoaded) this.#page(true);
    else for (const entry of this.#pending) this.#upsert(entry);
  }

  #findNew() {
    const chat = state.chats.get(this.#id);
    if (chat?.unread) this.#newFrom ??= chat.newest - chat.unread + 1;
  }

  /** The chats are there: after a reload they may come later than the messages. */
  #loaded() {
    this.#findNew();
    if (this.#newFrom && !this.#line.isConnected && this.#conversation?.isLoaded) this.#page(true);
    this.#noteRead();
  }

  nameDays() {
    for (const line of this.log.querySelectorAll('.day')) nameDay(line);
  }

  end() {
    this.#offs.forEach((off) => off());
  }

  get #conversation() {
    return state.conversations.get(this.#id);
  }

  get #pending() {
    return state.pending.filter(({ to }) => to === this.#id);
  }

  get #oldest() {
    return this.#items.length ? this.#items[0].seq : Infinity;
  }

  /** A page came, or all is to be shown anew. */
  #page(anew) {
    this.#loading.remove();
    if (anew || !this.#items.some(({ message }) => message._id)) {
      for (const item of [...this.#items]) this.#remove(item);
      for (const message of this.#conversation.list.slice(-PAGE)) this.#insert(message);
      for (const entry of this.#pending) this.#insert(entry);
      this.#measure();
      if (this.#newFrom && this.#line.isConnected) {
        this.#line.scrollIntoView({ block: 'center' });
        this.#scrolled();
      } else {
        this.toEnd();
      }
    }
    this.log.removeAttribute('aria-busy');
    this.#more();
    this.#noteRead();
  }

  /** Shows older messages, as long as there is little above what is seen. */
  #more() {
    if (this.log.scrollTop > AHEAD || !this.#conversation?.isLoaded) return;
    const { list, more } = this.#conversation;
    const end = place(list, this.#oldest);
    if (end > 0) {
      this.#prepend(list.slice(Math.max(0, end - PAGE), end));
      requestAnimationFrame(() => this.node.isConnected && this.#more());
    } else if (more) {
      loadOlder(this.#id);
    }
  }

  /** Above all others, while what is seen stays where it is. */
  #prepend(messages) {
    const anchor = this.#items[0]?.node;
    // Its upper edge may change: it may not be the first of its group any more.
    const before = anchor?.getBoundingClientRect().bottom;
    this.log.setAttribute('aria-busy', 'true');
    for (const message of messages) this.#insert(message);
    this.#measure();
    if (anchor) this.log.scrollTop += anchor.getBoundingClientRect().bottom - before;
    this.#requote(new Set(messages.map(({ _id }) => _id)));
    this.log.removeAttribute('aria-busy');
  }

  /** Gives new chunks their size, so that it is known when they are skipped. */
  #measure() {
    const heights = this.#fresh.map((chunk) => chunk.getBoundingClientRect().height);
    this.#fresh.forEach((chunk, at) => {
      chunk.style.setProperty('--height', `${heights[at]}px`);
      chunk.classList.remove('fresh');
    });
    this.#fresh = [];
  }

  #upsert(message) {
    const item = this.#byKey.get(keyOf(message));
    const seq = message.seq ?? Infinity;
    if (!item) {
      // What is further up is shown when somebody gets there.
      if (seq < this.#oldest && this.#conversation?.isLoaded && this.#conversation.list[0]?.seq !== seq) return;
      this.#append(message);
    } else {
      item.message = message;
      if (item.seq !== seq) this.#move(item, seq);
      this.#fill(item);
      this.#requote(new Set([message._id]));
    }
    if (this.#isAtEnd) this.toEnd();
    this.#noteRead();
  }

  /** One that came, or was typed. */
  #append(message) {
    const isOwn = isMine(message);
    if (isOwn) {
      this.#newFrom = undefined;
      this.#line.remove();
      if (!message._id) this.#isAtEnd = true;
    } else if (!this.#newFrom && message.seq && (!isLookedAt() || !this.#isAtEnd)) {
      this.#newFrom = message.seq;
    }
    this.#loading.remove();
    this.#insert(message);
    this.#measure();
    if (!isOwn && !this.#isAtEnd) {
      this.#below += 1;
      this.#showJump();
    }
  }

  #insert(message) {
    const item = { key: keyOf(message), seq: message.seq ?? Infinity, order: message.order ?? 0, message, node: newArticle() };
    this.#byKey.set(item.key, item);
    this.#put(item);
    this.#fill(item);
  }

  /** Puts the article where it belongs. */
  #put(item) {
    let [at, end] = [0, this.#items.length];
    while (at < end) {
      const middle = (at + end) >> 1;
      if (inOrder(this.#items[middle], item) > 0) end = middle;
      else at = middle + 1;
    }
    const [before, after] = [this.#items[at - 1], this.#items[at]];
    this.#items.splice(at, 0, item);
    const day = dayKey(item.message.createdAt);
    const isDay = (other) => other && dayKey(other.message.createdAt) === day;
    if (isDay(before) && (before.chunk === after?.chunk || before.chunk.childElementCount < PAGE)) {
      item.chunk = before.chunk;
      before.node.after(item.node);
    } else {
      item.chunk = el('div', { class: 'chunk fresh' }, item.node);
      this.#fresh.push(item.chunk);
      if (isDay(before)) before.chunk.after(item.chunk);
      else if (isDay(after)) after.chunk.before(item.chunk);
      else this.#newDay(item, before);
    }
    const isNew = !isMine(item.message) && item.seq >= this.#newFrom;
    if (isNew && (!this.#line.isConnected || after?.node.previousSibling === this.#line)) item.node.before(this.#line);
    this.#group(at);
    this.#group(at + 1);
  }

  #newDay(item, before) {
    const day = el('section', { class: 'of-day' }, dayLine(item.message.createdAt), item.chunk);
    if (before) before.chunk.parentElement.after(day);
    else this.log.prepend(day);
  }

  /** An answer gave it its place: mostly the one where it is. */
  #move(item, seq) {
    const at = this.#items.indexOf(item);
    const [before, after] = [this.#items[at - 1], this.#items[at + 1]];
    const isInPlace = (!before || before.seq < seq) && (!after || after.seq > seq);
    item.seq = seq;
    if (isInPlace) return;
    this.#take(item);
    this.#put(item);
    this.#measure();
  }

  #take(item) {
    const at = this.#items.indexOf(item);
    this.#items.splice(at, 1);
    const { chunk } = item;
    item.node.remove();
    if (!chunk.querySelector('article')) {
      const day = chunk.parentElement;
      chunk.remove();
      if (!day.querySelector('article')) day.remove();
    }
    this.#group(at);
  }

  #remove(item) {
    if (!item) return;
    if (item.node.contains(document.activeElement)) this.log.focus({ preventScroll: true });
    this.#byKey.delete(item.key);
    this.#take(item);
  }

  /** Whether it begins a group: of one sender, soon after each other. */
  #group(at) {
    const item = this.#items[at];
    if (!item) return;
    const before = this.#items[at - 1];
    const isFirst = !before || isMine(before.message) !== isMine(item.message)
      || dayKey(before.message.createdAt) !== dayKey(item.message.createdAt)
      || Date.parse(item.message.createdAt) - Date.parse(before.message.createdAt) > GROUP_WITHIN;
    item.node.classList.toggle('first', isFirst);
  }

  #fill(item) {
    fillMessage(item.node, item.message, state.chats.get(this.#id), this.#conversation, this.#act);
  }

  /** Answers show what they answer as it is now. */
  #requote(ids) {
    for (const old of this.log.querySelectorAll('.quote')) {
      const id = old.dataset.quotes;
      if (ids.has(id)) old.replaceChildren(...quote(id, this.#conversation).childNodes);
    }
  }

  /** Ticks only ever go further, and all before a read one are read. */
  #marks() {
    const chat = state.chats.get(this.#id);
    for (let at = this.#items.length - 1; at >= 0; at -= 1) {
      const { node, message } = this.#items[at];
      if (!message._id || !isMine(message)) continue;
      if (node.dataset.state === 'read') return;
      fillTick(node, message, chat);
    }
  }

  #settled({ clientId }) {
    const item = this.#byKey.get(clientId);
    if (item && !item.message._id) this.#remove(item);
  }

  #progress(entry) {
    this.#byKey.get(entry.clientId)?.node.querySelector('.progress')?.replaceWith(progressBar(entry));
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.log;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.#isAtEnd) this.#below = 0;
    this.#showJump();
    this.#more();
    this.#noteRead();
  }

  #showJump() {
    this.jump.hidden = this.#isAtEnd;
    this.jump.lastChild.textContent = this.#below || '';
  }

  toEnd(isSmooth = false) {
    const calm = !isSmooth || matchMedia('(prefers-reduced-motion: reduce)').matches;
    const far = this.log.scrollHeight - this.log.scrollTop > 4 * this.log.clientHeight;
    this.log.scrollTo({ top: this.log.scrollHeight, behavior: calm || far ? 'instant' : 'smooth' });
  }

  /** What is at the end, in view, on a page that is looked at, was read. */
  #noteRead() {
    const conversation = this.#conversation;
    if (!this.#isAtEnd || !conversation?.isLoaded || !isLookedAt()) return;
    // Not up to one's own, which may have got a place behind one that is still on its way here.
    const chat = state.chats.get(this.#id);
    const seq = chat?.unread ? chat.newest : conversation.list.findLast((message) => !isMine(message))?.seq;
    if (chat && seq) read(chat.chatId, seq);
  }

  /** Scrolls to a message, also if it is not loaded yet. */
  async reveal(id) {
    for (let page = 0; page < MOST_BACK; page += 1) {
      const conversation = this.#conversation;
      const message = conversation?.byId.get(id);
      if (message) {
        const end = place(conversation.list, this.#oldest);
        if (message.seq < this.#oldest) this.#prepend(conversation.list.slice(place(conversation.list, message.seq), end));
        const { node } = this.#byKey.get(keyOf(message));
        node.scrollIntoView({ block: 'center' });
        node.focus({ preventScroll: true });
        node.classList.add('shown');
        setTimeout(() => node.classList.remove('shown'), 1500);
        return;
      }
      if (!conversation?.more) return;
      await loadOlder(this.#id);
    }
  }

  /** The newest message of one's own that can be edited. */
  lastOwn() {
    return this.#items.findLast(({ message }) => message._id && isMine(message) && message.text && !message.isDeleted)?.message;
  }

  #key(event) {
    const node = event.target.closest('article');
    if (event.target !== this.log && event.target !== node) return;
    const at = this.#items.findIndex((item) => item.node === node);
    const to = { ArrowUp: at < 0 ? this.#items.length - 1 : at - 1, ArrowDown: at + 1, Home: 0, End: this.#items.length - 1 }[event.key];
    if (event.key === 'Enter' && node) {
      event.preventDefault();
      node.querySelector('.more')?.click();
    } else if (to !== undefined && !event.altKey && !event.ctrlKey && this.#items[to] && (node || event.key === 'ArrowUp')) {
      event.preventDefault();
      this.#items[to].node.focus({ preventScroll: true });
      this.#items[to].node.scrollIntoView({ block: 'nearest' });
    }
  }
}
