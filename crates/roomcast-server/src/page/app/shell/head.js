// Headline, notice and error above the grid.

import { t } from '../core/language.js';
import { $, announce, h, tell } from '../core/tools.js';
import { capital, clock, date, DAY, moment, sentence, stamp } from '../core/words.js';
import { go, firstOf, isPlan, route, state, tally } from '../core/state.js';
import { planHeadline, promised } from '../plan/plan.js';
import { trust } from './trust.js';

export function showHead() {
  const head = headline();
  announce($('headline'), head);
  document.title = `${head} · Roomcast`;
  const until = state.forecast.data_until;
  const measure = route.at || state.forecast.stale ? '' : (isPlan() && promised()) || trust();
  showNotice(until);
  // The notice says it, too.
  const made = until && $('notice').hidden ? t('head.until', { moment: moment(until) }) : '';
  announce($('lead'), [...untrained(), measure, made].filter(Boolean).join(' '));
  $('open-model').hidden = false;
  announce($('open-model'), t(state.models?.error ? 'model.problem' : 'model.open'));
}

/** Whether too few days have been seen for a model. */
const isYoung = (learning) => Boolean(learning) && learning.days < learning.days_needed;

function headline() {
  if (!state.rooms.length) return t('head.empty');
  const learning = state.models?.learning;
  if (isYoung(learning)) return t('head.learning', { day: learning.days + 1, n: learning.days_needed });
  return isPlan() ? planHeadline(dayOf(state.starts[0])) : busiest();
}

/** What forecasts are made from while no model is trained. */
function untrained() {
  const learning = state.models?.learning;
  if (!learning || !state.rooms.length) return [];
  if (!isYoung(learning)) return [t('head.untrained')];
  const waits = t('head.rough', { n: learning.days_needed });
  // That no room is expected in use says nothing yet.
  return state.rooms.some((row) => row.first !== null) ? [waits, `${busiest()}.`] : [waits];
}

/** A day in words, with its year where that is not this one. */
function dayOf(text) {
  const isThisYear = text.slice(0, 4) === String(new Date().getFullYear());
  return capital(date(text, isThisYear ? 'long' : 'full'));
}

/** When most rooms are in use, and from when on. */
function busiest() {
  const counts = tally(state.rooms);
  const most = Math.max(...counts);
  if (most === 0) return t('head.unused', { day: dayOf(state.starts[0]) });
  const peak = state.starts[counts.indexOf(most)];
  const first = state.starts[firstOf(state.rooms)];
  const day = dayOf(peak);
  const said = t('head.busiest', { day, count: most, n: state.rooms.length, time: clock(peak) });
  if (first >= peak) return said;
  return dayOf(first) === day ? t('head.first', { said, time: clock(first) }) : t('head.firstOn', { said, day: date(first, 'dayOfWeek'), time: clock(first) });
}

/** Shows a notice when no reading has arrived for days. */
function showNotice(until) {
  const told = state.alerts.some((alert) => alert.kind === 'data_late');
  const { stale } = state.forecast;
  const ended = Boolean(until && !route.at && !told && Date.now() - stamp(until) > 3 * DAY);
  $('notice').hidden = !stale && !ended;
  if (!$('notice').hidden) announce($('notice'), t(stale ? 'notice.stale' : 'notice.ended', { moment: moment(until) }));
}

/** What failed and what to do; what the server says about it is behind a click, in its own language. */
export function showError(problem) {
  const box = $('error');
  box.hidden = !problem;
  if (!problem) return;
  const again = h('button', { type: 'button', className: 'link', onclick: () => tell('reload') }, t('error.again'));
  const latest = h('button', { type: 'button', className: 'link', onclick: () => go({ at: null }) }, t('error.latest'));
  box.replaceChildren(...complaint(problem), h('p', { className: 'actions' }, again, route.at ? latest : null));
}

export const complaint = ({ message, hint, detail }) => [h('p', {}, h('strong', {}, sentence(message)), ` ${hint ?? ''}`),
  detail ? h('p', { className: 'small', lang: 'en' }, sentence(detail)) : null].filter(Boolean);
