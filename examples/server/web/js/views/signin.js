// Before one is signed in: log in, sign up, and the way to a new password.

import { ask, Refused } from '../api.js';
import { button, el } from '../dom.js';
import { field, form } from './fields.js';

const link = (text, onClick) => button(text, onClick, 'link');

/** Shows it in `root`; `done` is called with the user. `notice` says why, `email` is who it was. */
export function showSignIn(root, done, { notice, email = '' } = {}) {
  let known = email;

  const emailField = () => field('E-mail', 'email', { type: 'email', autocomplete: 'username', inputmode: 'email', value: known });
  const passwordField = (autocomplete) => field('Password', 'password', { type: 'password', autocomplete });

  /** Puts a view there, and the focus into its first field that is empty. */
  function present(heading, fields, body, words) {
    for (const { name, input } of fields) if (name === 'email') input.addEventListener('input', () => { known = input.value; });
    const card = el('div', { class: 'card' }, el('h1', {}, heading), words && el('p', { role: 'status' }, words), body);
    const logo = el('img', { src: new URL('web/icon.svg', document.baseURI).href, alt: '', class: 'logo' });
    root.replaceChildren(el('main', { class: 'sign-in' }, logo, card));
    (fields.find(({ input }) => !input.value) ?? fields[0]).input.focus();
  }

  function logIn(words) {
    const fields = [emailField(), passwordField('current-password')];
    const { node, alert } = form(fields, 'Log in', async (values) => {
      try {
        done((await ask('POST', 'auth/login', values)).data);
      } catch (error) {
        if (error.code === 'email_unverified') setTimeout(() => alert.after(link('Send the link again', () => resend(values.email))));
        throw error;
      }
    }, el('div', { class: 'links' }, link('Create an account', () => signUp()), link('Forgot password?', () => forgot())));
    present('Log in', fields, node, words);
  }

  async function resend(to) {
    try {
      logIn((await ask('POST', 'auth/email/resend', { email: to })).message);
    } catch (error) {
      logIn(error.message);
    }
  }

  function signUp() {
    const fields = [field('Full name', 'fullName', { autocomplete: 'name' }), emailField(), passwordField('new-password')];
    const { node } = form(fields, 'Sign up', async (values) => {
      let answer;
      try {
        answer = await ask('POST', 'auth/signup', values);
      } catch (error) {
        if (error.code === 'email_taken') error.fields = { email: error.message };
        throw error;
      }
      try {
        done((await ask('GET', 'auth/me')).data);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        // Signed up but not in: the address is to be verified first.
        logIn(answer.message);
      }
    }, el('div', { class: 'links' }, link('I have an account', () => logIn())));
    present('Sign up', fields, node);
  }

  function forgot() {
    const fields = [emailField()];
    const { node } = form(fields, 'Send the link', async (values) => {
      const { message } = await ask('POST', 'auth/password/forgot', values);
      logIn(message);
    }, el('div', { class: 'links' }, link('I have an account', () => logIn())));
    present('Forgot password', fields, node);
  }

  logIn(notice);
}
