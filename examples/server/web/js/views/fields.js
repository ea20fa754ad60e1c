// Forms: fields with their errors beside them.

import { el } from '../dom.js';

/** A field with its label, and room for what is wrong with it. */
export function field(label, name, attributes = {}) {
  const error = el('p', { class: 'field-error', id: `${name}-error` });
  const input = el('input', { id: `${name}-field`, name, 'aria-describedby': error.id, ...attributes });
  const node = el('div', { class: 'field' }, el('label', { for: input.id }, label), input, error);
  const setError = (text) => {
    error.textContent = text ? text[0].toUpperCase() + text.slice(1) : '';
    if (text) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  };
  return { node, input, name, setError };
}

/**
 * A form of such fields. `act` gets their values; what it throws is shown, at the fields that it names or else below. Its
 * button waits for as long as the server asks for.
 */
export function form(fields, verb, act, ...more) {
  const alert = el('p', { class: 'form-error', role: 'alert' });
  const button = el('button', { type: 'submit', class: 'primary' }, verb);
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    alert.textContent = '';
    for (const { setError } of fields) setError();
    let pause = 0;
    try {
      await act(Object.fromEntries(fields.map(({ name, input }) => [name, input.value])));
    } catch (error) {
      const wrong = fields.filter(({ name }) => error.fields?.[name]);
      for (const { name, setError } of wrong) setError(error.fields[name]);
      wrong[0]?.input.focus();
      if (!wrong.length) alert.textContent = error.message;
      pause = error.retryAfter ?? 0;
    }
    setTimeout(() => { button.disabled = false; }, pause);
  };
  const node = el('form', { novalidate: true, on: { submit } }, fields.map(({ node: own }) => own), alert, button, more);
  return { node, alert, button };
}
