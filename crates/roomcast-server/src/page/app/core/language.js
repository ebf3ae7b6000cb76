// The language of the page: its sentences, numbers, and order of names.
//
// The sentences of a language are in `words/LANGUAGE.json`. A list of two holds the form for one and the form for more.

import { prefers } from './tools.js';

export const LANGUAGES = { en: 'English', de: 'Deutsch', fr: 'Français' };
const LOCALES = { en: 'en-GB', de: 'de-DE', fr: 'fr-FR' };

const wishes = [prefers('language', ''), ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
/** The language chosen, else the first of the browser's that the page has. */
export const language = wishes.find((wish) => Object.hasOwn(LANGUAGES, wish)) ?? 'en';
export const locale = LOCALES[language];

const sentences = await fetch(`./words/${language}.json`).then((answer) => answer.json());
const rules = new Intl.PluralRules(locale);
const [whole, tenths] = [0, 1].map((digits) => new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }));

export const count = (n) => whole.format(n);
export const decimal = (n) => tenths.format(n);
export const collator = new Intl.Collator(locale, { numeric: true, sensitivity: 'base' });

export const has = (key) => Object.hasOwn(sentences, key);

/** The sentence of a key, with its `{values}`; `n` chooses between one and more. */
export function t(key, values = {}) {
  const forms = sentences[key] ?? key;
  const form = Array.isArray(forms) ? forms[rules.select(values.n) === 'one' ? 0 : 1] : forms;
  return form.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === 'number' ? count(values[name]) : values[name]));
}

/** Fills the document's own texts and attributes. */
export function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll('[data-t]')) {
    for (const pair of element.dataset.t.split(' ')) {
      const [key, attribute] = pair.split('@');
      if (attribute) element.setAttribute(attribute, t(key));
      else element.textContent = t(key);
    }
  }
}
