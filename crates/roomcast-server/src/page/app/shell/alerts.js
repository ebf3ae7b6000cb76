// Alerts: one line per kind of problem, with its meaning and the names concerned behind it.

import { $, announce, count, h, plural } from '../core/tools.js';
import { between, clock, date, lasting } from '../core/words.js';
import { go, route, state } from '../core/state.js';

/** Per kind: the line, what it means and what to do, and whether its examples are rooms. */
const KINDS = {
  data_late: [() => 'No readings are coming in', 'The silence is longer than nights and weekends explain. Check the gateway, the broker and the network. Forecasts use the readings received so far.'],
  input_unreadable: [() => 'The input cannot be read', 'The input has changed and can no longer be read. The server still uses the readings that it read before.'],
  rows_refused: [() => 'Rows were refused', 'The rows are from the last read of the input, or arrived in the last hour. The commands roomcast inspect and roomcast store quarantine list show them.'],
  stray_readings: [(n) => `${plural(n, 'sensor')} with a wrong clock`, 'Some readings are ahead of the server’s clock, or far from all others. The server holds them back, or does not learn from them.'],
  disconnected: [(n) => `${plural(n, 'connection')} lost`, 'The server cannot reach these addresses. It tries again by itself. Brokers keep readings for it, within their limits.'],
  messages_too_large: [(n) => `${plural(n, 'topic')} with messages too large`, 'The server skipped messages over 16 MiB in the last 24 hours. Any readings in them are lost. Configure the sender to send smaller messages.'],
  silent_sensors: [(n) => `${plural(n, 'sensor')} silent`, 'These sensors have reported no motion for far longer than usual, or their gateway reports them as gone. Check the battery and the position.', true],
  stuck_sensors: [(n) => `${plural(n, 'sensor')} stuck`, 'In the last four weeks these sensors were on for longer than anybody stays, again and again. They hang, or their “off” is lost. Their hours in use may be false.', true],
  chattering_sensors: [(n) => `${plural(n, 'sensor')} chattering`, 'These sensors fire far more often than the others. They may be loose or badly placed. Their hours in use may be false.', true],
  worse_than_baseline: [(n) => `${plural(n, 'room')} forecast worse than the usual rate`, 'The forecasts of two weeks were worse than the rooms’ usual rates, by more than chance explains. The next retraining fits these rooms again.', true],
  retraining_failed: [() => 'The last retraining failed', 'The current models stay in use. The server’s log names the reason.'],
  upkeep_failed: [() => 'Store maintenance failed', 'The server could not pack or delete old days. It tries again the next night.'],
  model_old: [() => 'The models are old', 'The models have learned from no reading of the last 30 days. Retrain them, or find out why retraining fails.'],
};

/** Draws the alerts. Open ones stay open, and unchanged ones are not drawn again. */
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

/** The age of an alert. The times of silent sensors count from their last reading, because the server may have just started. */
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
