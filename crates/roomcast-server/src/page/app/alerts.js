// What needs attention now: one calm line per kind of trouble, its meaning and whom it concerns behind it.

import { $, announce, count, h, plural } from './tools.js';
import { between, clock, date, lasting } from './words.js';
import { go, route, state } from './state.js';

/** Per kind: the line, what it means and what to do, and whether its examples are rooms. */
const KINDS = {
  data_late: [() => 'No readings are coming in', 'For longer than nights and weekends explain. Look at gateway, broker and network; the forecasts are made from what is known.'],
  input_unreadable: [() => 'The input cannot be read', 'It changed, and what is there now cannot be read. What was read before is still served.'],
  rows_refused: [() => 'Rows were refused', 'Of the input as it was last read, or of what came in the last hour. roomcast inspect and roomcast store quarantine list show them.'],
  stray_readings: [(n) => `${plural(n, 'sensor')} with a wrong clock`, 'Readings ahead of the server’s clock, or far from all others: they wait, or nothing is learned from them.'],
  disconnected: [(n) => `${plural(n, 'connection')} lost`, 'The server cannot reach these, and tries again by itself. Brokers keep readings for it, within their limits.'],
  messages_too_large: [(n) => `${plural(n, 'topic')} with messages too large`, 'Messages over 16 MiB of the last 24 hours were skipped. Their readings, if they had any, are lost; the sender should send less.'],
  silent_sensors: [(n) => `${plural(n, 'sensor')} silent`, 'No motion for far longer than usual, or gone as their gateway says. Look at battery and place.', true],
  chattering_sensors: [(n) => `${plural(n, 'sensor')} chattering`, 'They fire far more often than the others: loose, or badly placed. Hours in use may be false.', true],
  worse_than_baseline: [(n) => `${plural(n, 'room')} forecast worse than habit`, 'Over two weeks, and by more than chance explains. The next retraining takes them for due.', true],
  retraining_failed: [() => 'The last retraining failed', 'The models in use stay. The server’s log says more.'],
  upkeep_failed: [() => 'The store was not tidied', 'Packing old days or forgetting them failed; it is tried again the next night.'],
  model_old: [() => 'The models are old', 'They have learned from nothing of the last 30 days. Retrain them, or look why that fails.'],
};

/** Draws the alerts; those that are open stay open, and nothing moves while nothing changes. */
export function showAlerts() {
  const box = $('alerts');
  const alerts = route.at ? [] : state.alerts;
  box.hidden = !alerts.length;
  const drawn = JSON.stringify(alerts);
  if (box.dataset.drawn === drawn) return tellAges(alerts);
  box.dataset.drawn = drawn;
  const open = new Set([...box.querySelectorAll('details[open]')].map((each) => each.dataset.kind));
  const focused = document.activeElement?.closest?.('#alerts details')?.dataset.kind;
  $('alert-list').replaceChildren(...alerts.map((alert) => h('li', {}, line(alert, open.has(alert.kind)))));
  if (focused) box.querySelector(`details[data-kind="${focused}"] summary`)?.focus({ preventScroll: true });
  announce($('alerts-title'), `${plural(alerts.length, 'thing')} to look at`);
  tellAges(alerts);
}

function tellAges(alerts) {
  for (const alert of alerts) {
    const age = $('alerts').querySelector(`details[data-kind="${alert.kind}"] .age`);
    if (age) announce(age, ageOf(alert));
  }
}

/** A server that has just started has seen nothing for long: what is still is so since its last reading. */
function ageOf({ kind, since, examples }) {
  if (kind === 'data_late' && state.until) return `since ${moment(state.until)}`;
  if (kind === 'silent_sensors') {
    const names = new Set([...examples, ...state.rooms.filter((row) => row.status === 'silent').map((row) => row.name)]);
    const lasts = [...names].map((name) => state.named.get(name)?.last).filter(Boolean).sort();
    if (lasts.length) return `${lasts.length > 1 ? 'the longest ' : ''}for ${between(lasts[0], state.forecast.origin)}`;
  }
  return `noticed ${lasting(since)} ago`;
}

const moment = (text) => `${date(text, 'year')}, ${clock(text)}`;

function line({ kind, count: n, examples }, open) {
  const [said, meaning, rooms] = KINDS[kind] ?? [() => kind.replaceAll('_', ' '), ''];
  const rest = n - examples.length;
  const lastOf = (name) => (kind === 'silent_sensors' ? state.named.get(name)?.last : null);
  const names = examples.map((name) => h('li', {}, rooms && state.named.has(name)
    ? h('button', { type: 'button', className: 'link', onclick: () => go({ room: name, hour: null, view: null }) }, name)
    : name, lastOf(name) ? h('span', { className: 'small' }, ` last motion ${moment(lastOf(name))}`) : null));
  if (rest > 0) names.push(h('li', {}, `and ${count(rest)} more`));
  return h('details', { 'data-kind': kind, open },
    h('summary', {}, h('strong', {}, said(n)), ' ', h('span', { className: 'age' })),
    h('p', {}, meaning),
    h('ul', { className: 'names' }, kind === 'data_late' || kind === 'model_old' ? [] : names));
}
