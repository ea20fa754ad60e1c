// A conversation: with whom, what was said, and where one writes.

import { ask } from '../api.js';
import { avatar, button, el, iconButton } from '../dom.js';
import { pictureOf } from '../picture.js';
import { closeChat } from '../router.js';
import { on, setBlocked, state } from '../state.js';
import { morePeople } from '../sync.js';
import { lastSeen } from '../time.js';
import { messageMenu, react } from './actions.js';
import { Composer } from './composer.js';
import { History } from './history.js';
import { attempt, confirm, openMenu } from './popups.js';

async function block(user) {
  if (!(await confirm('Block', `${user.fullName} won’t be able to write to you, or to see whether you are here.`))) return;
  if (await attempt(() => ask('PUT', `auth/blocks/${user._id}`))) setBlocked([...state.blocked, user._id]);
}

async function unblock(user) {
  if (await attempt(() => ask('DELETE', `auth/blocks/${user._id}`))) setBlocked([...state.blocked].filter((id) => id !== user._id));
}

function statusOf(user) {
  if (!user) return '';
  if (state.typing.has(user._id)) return `${user.fullName} is typing…`;
  if (state.blocked.has(user._id)) return 'blocked';
  return user.isOnline ? 'online' : lastSeen(user.lastSeen);
}

/** Shows the conversation with this user in `main`. */
export function conversationView(main, id) {
  let composer;
  const history = new History(id, {
    react,
    menu: (message, anchor, article) => messageMenu(message, anchor, article, composer, history),
  });
  composer = new Composer(id, () => history.lastOwn());
  const person = () => state.users.get(id);
  const [picture, name, status] = [el('span', {}), el('h1', {}), el('p', { class: 'status', 'aria-live': 'polite' })];
  const actions = iconButton('dots', 'Conversation actions', () => openMenu(actions, 'Conversation actions', [
    state.blocked.has(id) ? ['Unblock', () => unblock(person())] : ['Block', () => block(person()), 'danger'],
  ]), { 'aria-haspopup': 'menu' });
  const blocked = el('div', { class: 'blocked' }, el('span', {}, 'You have blocked this person. '), button('Unblock', () => unblock(person()), 'link'));

  function show() {
    const user = person();
    picture.replaceChildren(avatar(user, user?.isOnline ? 'online' : ''));
    name.textContent = user?.fullName ?? '…';
    status.textContent = statusOf(user);
    status.classList.toggle('typing', state.typing.has(id));
    actions.hidden = !user;
    blocked.hidden = !state.blocked.has(id);
    composer.node.hidden = state.blocked.has(id);
  }

  const mine = (of) => of === id && show();
  const failed = (of, message) => {
    if (of === id) main.replaceChildren(el('div', { class: 'nothing' }, el('p', { role: 'alert' }, message), button('Back to the chats', closeChat, 'primary')));
  };
  const timer = setInterval(() => {
    show();
    history.nameDays();
  }, 60_000);
  const offs = [on('user', mine), on('typing', mine), on('blocked', show), on('failed', failed)];

  main.replaceChildren(el('header', {}, iconButton('back', 'Back', closeChat, { class: 'icon-button back' }), picture, el('div', { class: 'grow' }, name, status), actions),
    history.node, blocked, composer.node);
  show();
  history.begin();
  // By a link to somebody who is not loaded yet.
  (async () => { for (let page = 0; page < 25 && !person() && await morePeople(); page += 1); })();

  // A picture can be dropped anywhere on it.
  const hasFile = ({ dataTransfer }) => dataTransfer.types.includes('Files');
  main.ondragover = (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    main.classList.add('dropping');
  };
  main.ondragleave = (event) => main.contains(event.relatedTarget) || main.classList.remove('dropping');
  main.ondrop = (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    main.classList.remove('dropping');
    const file = pictureOf(event.dataTransfer);
    if (file) composer.attach(file);
  };
  return {
    focus() {
      // Phones would open their keyboard.
      if (matchMedia('(pointer: coarse)').matches) history.log.focus({ preventScroll: true });
      else composer.focus();
    },
    end() {
      clearInterval(timer);
      offs.forEach((off) => off());
      history.end();
      main.ondragover = main.ondragleave = main.ondrop = null;
    },
  };
}
