// Sign-in.

import { t } from '../core/language.js';
import { $, announce, tell } from '../core/tools.js';
import { sentence } from '../core/words.js';
import { ask, token } from '../core/api.js';

const told = (problem) => `${sentence(problem.message)} ${problem.hint}`;

export function signIn(problem) {
  const dialog = $('login');
  const stale = Boolean(problem && token.get() !== null);
  token.clear();
  announce($('login-error'), stale ? told(problem) : '');
  $('login-error').hidden = !stale;
  $('sign-out').hidden = true;
  if (!dialog.open) dialog.showModal();
}

export async function submitToken(event) {
  event.preventDefault();
  const secret = $('token').value.trim();
  try {
    await ask('/models', {}, { secret });
  } catch (problem) {
    announce($('login-error'), problem.status === 401 ? t('login.unknown') : told(problem));
    $('login-error').hidden = false;
    $('token').setAttribute('aria-invalid', 'true');
    $('token').select();
    return;
  }
  token.set(secret, $('remember').checked);
  $('token').value = '';
  $('token').removeAttribute('aria-invalid');
  $('login').close();
  tell('reload');
}

export function signOut() {
  token.clear();
  location.reload();
}
