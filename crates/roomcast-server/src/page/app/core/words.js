// Times and chances in words.
//
// Times in the API are the site's local time; they are shown as they stand and never moved to the browser's zone. `wall`
// is their first 19 characters, `2016-08-25T10:00:00`.

import { decimal, language, locale, t } from './language.js';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const HOURS = 24;

export const wall = (text) => text.slice(0, 19).replace(' ', 'T');
export const stamp = (text) => Date.parse(`${wall(text)}Z`);
export const clock = (text) => text.slice(11, 16);
export const shift = (text, by) => new Date(stamp(text) + by).toISOString().slice(0, 19);

/** A day, and a time if there is one, as a person writes it in ISO form: `2016-08-25 10:00`; null for what is none. */
export function wallOf(text) {
  const [, day, hour = '00', minute = '00', second = '00'] = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d)(?::(\d\d)(?::(\d\d))?)?)?$/.exec(text) ?? [];
  const at = `${day}T${hour}:${minute}:${second}`;
  return day && !Number.isNaN(stamp(at)) && shift(at, 0) === at ? at : null;
}

const formats = {
  long: { weekday: 'long', day: 'numeric', month: 'long' },
  full: { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' },
  short: { weekday: 'short', day: 'numeric', month: 'short' },
  day: { day: 'numeric', month: 'short' },
  year: { day: 'numeric', month: 'long', year: 'numeric' },
  weekday: { weekday: 'short' },
  dayOfWeek: { weekday: 'long' },
};
for (const [name, options] of Object.entries(formats)) {
  formats[name] = new Intl.DateTimeFormat(locale, { ...options, timeZone: 'UTC' });
}

/** A day in the form that the language gives it; English goes without the comma after the weekday. */
export function date(text, form = 'short') {
  const day = formats[form].format(stamp(text));
  return language === 'en' ? day.replace(',', '') : day;
}

export const weekday = (text) => date(text, 'weekday').replace('.', '');

/** A day with its year, and a time. */
export const moment = (text) => t('moment', { day: date(text, 'year'), time: clock(text) });

/** `10:00–11:00`. */
export function span(start) {
  return `${clock(start)}–${clock(shift(start, HOUR))}`;
}

/** How long ago a real instant was, roughly. */
export function ago(text) {
  const hours = Math.max(0, (Date.now() - Date.parse(text)) / HOUR);
  if (!Number.isFinite(hours)) return t('age.unknown');
  if (hours < 1) return t('age.young');
  return hours < 48 ? t('age.hours', { n: Math.round(hours) }) : t('age.days', { n: Math.round(hours / 24) });
}

/** How long something has lasted since a real instant, roughly. */
export const lasting = (text) => roughly(Date.now() - Date.parse(text));

/** How long it is from one local time to another, roughly. */
export const between = (from, to) => roughly(stamp(to) - stamp(from));

function roughly(milliseconds) {
  const minutes = Math.max(0, milliseconds / 60_000);
  if (minutes < 1) return t('span.moment');
  if (minutes < 60) return t('span.minutes', { n: Math.round(minutes) });
  return minutes < 48 * 60 ? t('span.hours', { n: Math.round(minutes / 60) }) : t('span.days', { n: Math.round(minutes / (24 * 60)) });
}

/** A message of the server as a whole sentence. */
export const sentence = (text) => text && capital(text) + (/[.?!…]$/.test(text) ? '' : '.');

export const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** A chance as a whole percentage; never 0 or 100, which it is not. */
export function percent(p) {
  if (p > 0 && p < 0.005) return '<1 %';
  if (p < 1 && p >= 0.995) return '>99 %';
  return `${Math.round(p * 100)} %`;
}

/** A share with one decimal, for what is compared with a limit. */
export const percentTenths = (p) => `${decimal(100 * p)} %`;
export const bare = (p) => percent(p).replace(' %', '');

export function likelihood(p) {
  const step = [0.03, 0.2, 0.4, 0.6, 0.8, 0.97].findIndex((below) => p < below);
  return t(`likelihood.${step < 0 ? 6 : step}`);
}

/** What happened in an hour: `occupied`, `vacant` or `unobserved`. */
export const happened = (was) => t(`was.${was}`);
