// Alerts: one line per kind of problem, with its meaning and the names concerned behind it.

import { has, t } from '../core/language.js';
import { $, announce, h } from '../core/tools.js';
import { between, lasting, moment } from '../core/words.js';
import { go, route, state } from '../core/state.js';

/** Kinds whose examples are rooms, and kinds that have none. */
const OF_ROOMS = ['silent_sensors', 'stuck_sensors', 'chattering_sensors', 'worse_than_baseline'];
const WITHOUT_NAMES = ['data_late', 'model_old'];

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
  announce($('alerts-title'), t('alerts.title', { n: alerts.length }));
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
  if (kind === 'data_late' && state.until) return t('alerts.since', { moment: moment(state.until) });
  if (kind === 'silent_sensors') {
    const names = new Set([...examples, ...state.rooms.filter((row) => row.status === 'silent').map((row) => row.name)]);
    const lasts = [...names].map((name) => state.named.get(name)?.last).filter(Boolean).sort();
    if (lasts.length) return t(lasts.length > 1 ? 'alerts.longest' : 'alerts.for', { span: between(lasts[0], state.forecast.origin) });
  }
  return t('alerts.noticed', { span: lasting(since) });
}

/** A name of an alert's, with its room where that is another, as a link to the room. */
function example(kind, name, room) {
  const [of, said] = room ? [room, `${name} (${room})`] : [name, name];
  if (!OF_ROOMS.includes(kind) && !room) return h('span', { lang: 'en' }, said);
  if (!state.named.has(of)) return h('span', {}, said);
  return h('button', { type: 'button', className: 'link', onclick: () => go({ room: of, hour: null, view: null }) }, said);
}

function line({ kind, count: n, examples, rooms = [] }, open) {
  const known = has(`alert.${kind}`);
  const lastOf = (name) => (kind === 'silent_sensors' ? state.named.get(name)?.last : null);
  const names = examples.map((name, at) => h('li', {}, example(kind, name, rooms[at]),
  lastOf(name) ? h('span', { className: 'small' }, ` ${t('alerts.last', { moment: moment(lastOf(name)) })}`) : null));
  if (n > examples.length) names.push(h('li', {}, t('alerts.more', { n: n - examples.length })));
  return h('details', { 'data-kind': kind, open },
    h('summary', {}, h('strong', {}, known ? t(`alert.${kind}`, { n }) : kind), ' ', h('span', { className: 'age' })),
    h('p', {}, known ? t(`alert.${kind}.hint`) : ''),
    h('ul', { className: 'names' }, WITHOUT_NAMES.includes(kind) ? [] : names));
}
