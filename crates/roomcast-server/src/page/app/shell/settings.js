// What a person chooses for this browser: theme and language.

import { language, LANGUAGES, t } from '../core/language.js';
import { $, h, prefer, prefers } from '../core/tools.js';

export const isNarrow = () => matchMedia('(max-width: 719px)').matches;

const THEMES = ['system', 'light', 'dark'];

export function nextTheme() {
  prefer('theme', THEMES[(THEMES.indexOf(prefers('theme', 'system')) + 1) % THEMES.length]);
  applyTheme();
}

export function applyTheme() {
  const theme = prefers('theme', 'system');
  document.documentElement.dataset.theme = theme;
  const said = t('theme.is', { theme: t(`theme.${theme}`) });
  $('theme').replaceChildren(h('span', { className: 'long' }, said), h('span', { className: 'short' }, '◐'));
  $('theme').setAttribute('aria-label', said);
}

export function offerLanguages() {
  const text = (value, name) => (isNarrow() ? value.toUpperCase() : name);
  $('language').replaceChildren(...Object.entries(LANGUAGES).map(([value, name]) => h('option', { value, lang: value, selected: value === language }, text(value, name))));
  $('language').addEventListener('change', () => { prefer('language', $('language').value); location.reload(); });
}
