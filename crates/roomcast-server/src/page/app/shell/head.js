// Headline, tools and notices above the grid.

import { $, announce, count, h, plural, sum, tell } from '../core/tools.js';
import { bare, clock, date, DAY, percent, sentence, shift, stamp } from '../core/words.js';
import { FILTERS, go, isPlan, originOf, route, state, tally } from '../core/state.js';
import { planHeadline, promised } from '../plan/plan.js';

export function showHead() {
  const head = headline();
  announce($('headline'), head);
  document.title = `${head} · Roomcast`;
  const until = state.forecast.data_until;
  announce($('lead'), [...untrained(), until ? `Made from readings until ${date(until, 'year')}, ${clock(until)}.` : '', route.at || state.forecast.stale ? '' : isPlan() ? promised() || trust() : trust()].filter(Boolean).join(' '));
  const failing = state.models?.error;
  $('open-model').hidden = false;
  $('open-model').textContent = failing ? 'Model health: problem' : 'Model health';
  showNotice(until);
}

/** Whether too few days have been seen for a model. */
const isYoung = (learning) => Boolean(learning) && learning.days < learning.days_needed;

function headline() {
  if (!state.rooms.length) return 'No readings yet';
  const learning = state.models?.learning;
  return isYoung(learning) ? `Learning, day ${learning.days + 1} of ${learning.days_needed}` : isPlan() ? planHeadline(dayOf(state.starts[0])) : busiest();
}

/** What forecasts are made from while no model is trained. */
function untrained() {
  const learning = state.models?.learning;
  if (!learning || !state.rooms.length) return [];
  if (!isYoung(learning)) return ['No model is trained yet. Each chance is the room’s usual rate: how often it was in use at that hour so far.'];
  const waits = `Chances are rough until ${plural(learning.days_needed, 'day')} of readings have arrived: they are the rates of the few hours observed so far.`;
  // That no room is expected in use says nothing yet.
  return state.rooms.some((row) => row.first !== null) ? [waits, `${busiest()}.`] : [waits];
}

/** A day in words, with its year where that is not this one. */
function dayOf(text) {
  const year = text.slice(0, 4);
  return `${date(text, 'long')}${year === String(new Date().getFullYear()) ? '' : ` ${year}`}`;
}

function busiest() {
  const all = state.rooms.length;
  const counts = tally(state.rooms);
  const most = Math.max(...counts);
  if (most === 0) return `${dayOf(state.starts[0])}: no room expected in use for 24 hours`;
  const peak = state.starts[counts.indexOf(most)];
  const first = state.starts[counts.findIndex((n) => n > 0)];
  const day = dayOf(peak);
  const said = `${day}: ${count(most)} of ${plural(all, 'room')} expected in use at ${clock(peak)}`;
  if (peak === state.starts[0]) return said;
  if (first === peak) return `${said}; none before`;
  return `${said}; first ${dayOf(first) === day ? '' : `on ${date(first, 'long').split(' ')[0]} `}at ${clock(first)}`;
}

/** Chances that are counted together; the nights’ near-zero hours say nothing. */
const BANDS = [[0.1, 0.4], [0.4, 0.7], [0.7, 1]];
/** Fewer hours than these are no measurement. */
const FEWEST_HOURS = 20;

/** How often hours were in use that were given a chance of 10 % and more; nothing where that was not measured. */
export function measured() {
  const { reliability = [], reliability_until: until, live_reliability: live = [], live_reliability_days: days, live_reliability_until: last } = state.models ?? {};
  const lately = last && bands(live);
  if (lately) return `On at most ${plural(days, 'day')} until ${date(`${last}T00:00:00`, 'year')}, hours given ${lately}.`;
  const held = until && bands(reliability);
  return held ? `On days until ${date(until, 'year')} that were held back in training, hours given ${held}.` : '';
}

/** Chances from which on an hour counts as likely in the sentence of trust. */
const LIKELY = 0.7;

/** How far the likely hours can be trusted, in one sentence; nothing where that was not measured. */
function trust() {
  const { reliability = [], reliability_until: until, live_reliability: live = [], live_reliability_days: days, live_reliability_until: last } = state.models ?? {};
  const said = (bins, when) => {
    const inside = bins.filter((bin) => bin.from > LIKELY - 0.01);
    const hours = sum(inside.map((bin) => bin.forecasts));
    if (hours < FEWEST_HOURS) return '';
    return `Of ${plural(hours, 'hour')} given ${bare(LIKELY)} % or more ${when}, ${percent(sum(inside.map((bin) => bin.occupied)) / hours)} were in use.`;
  };
  const lately = last && said(live, `in the last ${plural(days, 'day')} scored`);
  return lately || (until ? said(reliability, `on days until ${date(until, 'year')}, held back in training`) : '');
}

function bands(bins) {
  const said = BANDS.map(([from, to]) => {
    const inside = bins.filter((bin) => bin.from > from - 0.01 && bin.to < to + 0.01);
    const hours = sum(inside.map((bin) => bin.forecasts));
    const share = sum(inside.map((bin) => bin.occupied)) / hours;
    return hours < FEWEST_HOURS ? null : `${bare(from)}–${percent(to)} were in use ${percent(share)} of the time (${plural(hours, 'hour')})`;
  });
  return said.filter(Boolean).join(', those given ');
}

/** Shows a notice when no reading has arrived for days. */
function showNotice(until) {
  const told = state.alerts.some((alert) => alert.kind === 'data_late');
  const { stale } = state.forecast;
  const ended = Boolean(until && !route.at && !told && Date.now() - stamp(until) > 3 * DAY);
  $('notice').hidden = !stale && !ended;
  if ($('notice').hidden) return;
  const since = `No reading has come in since ${date(until, 'year')}, ${clock(until)}`;
  announce($('notice'), stale
    ? `${since}. This is longer than nights, days off and usual gaps explain. Each chance is the room’s usual rate at that hour. The silence does not lower it.`
    : `${since}. The forecast starts after that reading.`);
}

export function showFilters() {
  const select = $('show');
  const chosen = select.value || 'all';
  select.replaceChildren(...FILTERS.map(([id, label, passes]) => {
    const n = state.rooms.filter(passes).length;
    return h('option', { value: id, disabled: n === 0 && id !== chosen }, id === 'all' ? label : `${label} (${count(n)})`);
  }));
  select.value = chosen;
}

export function showTimes() {
  const input = $('at');
  const latest = !route.at;
  if (document.activeElement !== input) input.value = originOf().slice(0, 16).replace('T', ' ');
  $('latest').setAttribute('aria-pressed', String(latest));
  $('day-on').disabled = latest;
  $('day-back').disabled = !state.from || stamp(midnightBy(-1)) <= stamp(state.from);
}

/** The midnight before or after the origin. */
function midnightBy(days) {
  const origin = stamp(originOf());
  const today = Math.floor(origin / DAY) * DAY;
  return shift(originOf(), today - origin + (days > 0 ? DAY : today === origin ? -DAY : 0));
}

export function step(days) {
  const next = midnightBy(days);
  go({ at: days > 0 && state.until && stamp(next) > stamp(state.until) ? null : next, hour: null });
}

export function showError(problem) {
  const box = $('error');
  box.hidden = !problem;
  if (!problem) return;
  const again = h('button', { type: 'button', className: 'link', onclick: () => tell('reload') }, 'Try again');
  const latest = h('button', { type: 'button', className: 'link', onclick: () => go({ at: null }) }, 'Go to the latest forecast');
  box.replaceChildren(h('p', {}, h('strong', {}, sentence(problem.message)), ` ${sentence(problem.hint)}`), h('p', { className: 'actions' }, again, route.at ? latest : null));
}
