// The profile: who I am to others, what they may know, my password, where I am signed in, whom I have blocked.

import { ask } from '../api.js';
import { avatar, button, el } from '../dom.js';
import { Crop, decode } from '../picture.js';
import { on, setBlocked, setMe, state } from '../state.js';
import { tellTabs } from '../tabs.js';
import { moment } from '../time.js';
import { field, form } from './fields.js';
import { attempt, complain, openDialog } from './popups.js';

const STEP = 16;

/** Choosing a picture, and the square of it. `chosen()` gives the part, if there is one. */
function pictureChoice() {
  let crop;
  const now = el('div', { class: 'now' }, avatar(state.me, 'large'));
  const file = el('input', { type: 'file', accept: 'image/*', id: 'picture-field' });
  const canvas = el('canvas', { width: 256, height: 256, role: 'img', 'aria-label': 'Preview', tabindex: 0, title: 'Drag it, or use the arrow keys' });
  const zoom = el('input', { type: 'range', min: 1, max: 4, step: 0.05, value: 1, id: 'zoom-field' });
  const cutting = el('div', { class: 'crop', hidden: true }, canvas, el('label', { for: zoom.id }, 'Zoom'), zoom);
  file.addEventListener('change', async () => {
    if (!file.files[0]) return;
    try {
      crop = new Crop(await decode(file.files[0]), canvas);
      zoom.value = 1;
      cutting.hidden = false;
      now.hidden = true;
    } catch (error) {
      complain(error.message);
    }
  });
  zoom.addEventListener('input', () => {
    crop.zoom = Number(zoom.value);
    crop.show();
  });
  canvas.addEventListener('pointerdown', (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener('pointermove', (event) => event.buttons && crop.move(event.movementX, event.movementY));
  canvas.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (!by) return;
    event.preventDefault();
    crop.move(...by);
  });
  const drop = () => {
    crop = undefined;
    file.value = '';
    cutting.hidden = true;
    now.hidden = false;
    now.replaceChildren(avatar(state.me, 'large'));
  };
  const node = el('div', { class: 'choice' }, now, cutting, el('label', { for: file.id, class: 'plain' }, 'Choose a picture'), file);
  return { node, drop, chosen: () => crop?.toBlob() };
}

function changed(user) {
  setMe(user);
  tellTabs('me', user);
}

function profileForm() {
  const picture = pictureChoice();
  const said = el('p', { role: 'status' });
  const remove = button('Remove the picture', () => attempt(async () => {
    changed((await ask('PUT', 'auth/profile', { profilePic: '' })).data);
    picture.drop();
    remove.hidden = true;
  }));
  remove.hidden = !state.me.profilePic;
  const name = field('Full name', 'fullName', { value: state.me.fullName, autocomplete: 'name' });
  const { node } = form([name], 'Save', async ({ fullName }) => {
    said.textContent = '';
    const part = await picture.chosen();
    let body = { fullName };
    if (part) {
      body = new FormData();
      body.append('fullName', fullName);
      body.append('profilePic', part, 'picture.jpg');
    }
    changed((await ask('PUT', 'auth/profile', body)).data);
    picture.drop();
    remove.hidden = !state.me.profilePic;
    said.textContent = 'Saved.';
  }, said);
  node.prepend(picture.node, remove, el('p', { class: 'muted' }, state.me.email));
  return node;
}

function settings(values) {
  const box = (label, key) => {
    const input = el('input', { type: 'checkbox', checked: values[key] });
    input.addEventListener('change', async () => {
      const done = await attempt(() => ask('PUT', 'auth/settings', { [key]: input.checked }));
      if (!done) input.checked = !input.checked;
    });
    return el('label', { class: 'check' }, input, label);
  };
  return [el('h3', {}, 'Privacy'), box('Send receipts', 'sendsReceipts'), box('Invisible', 'isInvisible')];
}

function passwordForm(after) {
  const fields = [
    field('Current password', 'currentPassword', { type: 'password', autocomplete: 'current-password' }),
    field('New password', 'newPassword', { type: 'password', autocomplete: 'new-password' }),
  ];
  const said = el('p', { role: 'status' });
  const { node } = form(fields, 'Change the password', async (values) => {
    said.textContent = '';
    try {
      said.textContent = (await ask('PUT', 'auth/password', values)).message;
    } catch (error) {
      if (error.code === 'invalid_credentials') error.fields = { currentPassword: 'This is not your password.' };
      throw error;
    }
    for (const { input } of fields) input.value = '';
    after();
  }, said);
  return [el('h3', {}, 'Password'), node];
}

/** A list with a button for each line, which is gone when `act` went well. */
function list(label, items, text, verb, act) {
  const line = (item) => {
    const end = verb(item) && button(verb(item), async () => {
      if (await attempt(() => act(item))) node.remove();
    });
    const node = el('li', {}, el('span', { class: 'grow' }, text(item)), end);
    return node;
  };
  return [el('h3', {}, label), el('ul', { 'aria-label': label, class: 'plain-list' }, items.map(line))];
}

const signIns = (items) => list('Sign-ins', items, (session) => [
  session.device ?? 'An unknown device', el('small', { class: 'muted' }, ` ${session.address ?? ''} · ${moment(session.lastUsedAt)}${session.isCurrent ? ' · this one' : ''}`),
], (session) => !session.isCurrent && 'End', (session) => ask('DELETE', `auth/sessions/${session._id}`));

const blocks = (items) => list('Blocked', items, (user) => user.fullName, () => 'Unblock', async (user) => {
  await ask('DELETE', `auth/blocks/${user._id}`);
  setBlocked([...state.blocked].filter((id) => id !== user._id));
});

export function openProfile() {
  // Each part comes when it is there; the rest does not wait for it.
  const part = (path, make) => {
    const node = el('section', {});
    const load = async () => attempt(async () => node.replaceChildren(...make((await ask('GET', path)).data)));
    load();
    return { node, load };
  };
  const sessions = part('auth/sessions', signIns);
  const blocked = part('auth/blocks', blocks);
  const off = on('blocked', blocked.load);
  openDialog('Profile', [
    el('section', {}, profileForm()),
    part('auth/settings', settings).node,
    el('section', {}, passwordForm(sessions.load)),
    sessions.node,
    blocked.node,
  ], { className: 'profile' }).addEventListener('close', off);
}
