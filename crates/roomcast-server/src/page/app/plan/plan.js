// The plan: when to switch each room on and off, from the blocks of `/schedule`.

import { t } from '../core/language.js';
import { $, field, greatestOf, leastOf, prefers, sum } from '../core/tools.js';
import { clock, HOUR, percent, percentTenths, shift, stamp, weekday } from '../core/words.js';
import { get, getChanged } from '../core/api.js';
import { isPlan, isPresent, route, state } from '../core/state.js';

/** How long before its use a room is switched on, and how long after it stays on, where somebody chose it here; else the server's rule holds. */
export function lead() {
  const chosen = { preheat: prefers('preheat', null), setback_after: prefers('setback', null) };
  return Object.fromEntries(Object.entries(chosen).filter(([, minutes]) => minutes !== null).map(([name, minutes]) => [name, `${minutes}m`]));
}

/** The minutes before and after use of a rule of `/schedule`. */
export const minutes = ({ preheat_seconds: preheat, setback_after_seconds: setback }) => ({ before: preheat / 60, after: setback / 60 });

/** Shows these minutes where they can be changed. */
export function showMinutes() {
  if (!state.rule) return;
  const { before, after } = minutes(state.rule);
  for (const [id, value] of [['preheat', before], ['setback', after]]) {
    if (document.activeElement !== $(id)) $(id).value = value;
  }
}

/** The schedule of rooms, by default of all, at the origin that is asked for; of none where the chances are shown. */
export async function getPlan(device = []) {
  if (!isPlan()) return { devices: [], promise: null };
  const wanted = { ...lead(), at: route.at, device };
  const isRepeated = !route.at && !device.length;
  const chosen = new URLSearchParams(lead()).toString();
  return isRepeated ? getChanged(`/schedule${chosen && '?'}${chosen}`) : get('/schedule', wanted);
}

/** Keeps the promise and the rule of the plan, and gives each room its blocks. */
export function plan(rooms, answers) {
  if (answers.length) Object.assign(state, { promise: answers.at(-1).promise, rule: answers.at(-1).rule ?? state.rule });
  const devices = answers.flatMap((answer) => answer.devices);
  const blocks = new Map(devices.map((each) => [each.device, each.blocks]));
  const hours = state.starts.map((start, hour) => [stamp(start), stamp(state.starts[hour + 1] ?? shift(start, HOUR))]);
  for (const row of rooms) {
    row.blocks = blocks.get(row.name) ?? [];
    row.on = row.blocks.length ? stamp(row.blocks[0].start) : Infinity;
    row.hoursOn = row.blocks.reduce((all, block) => all + stamp(block.end) - stamp(block.start), 0) / HOUR;
    row.parts = hours.map(([from, to]) => within(row.blocks, from, to));
  }
}

/** Parts of an hour that lie in a block, from 0 to 1. */
function within(blocks, from, to) {
  const part = (time) => Math.max(0, Math.min(1, (time - from) / (to - from)));
  return blocks.map((block) => [part(stamp(block.start)), part(stamp(block.end))]).filter(([start, end]) => end > start);
}

/** The background of an hour: filled where the room is on. */
export function filling(parts) {
  const stops = parts.flatMap(([start, end]) => [['--low', start], ['--plan', start], ['--plan', end], ['--low', end]]);
  return stops.length ? `linear-gradient(90deg, ${stops.map(([tint, at]) => `var(${tint}) ${(100 * at).toFixed(1)}%`).join(', ')})` : '';
}

export const blockOf = (row, hour) => row.blocks.find((block) => stamp(block.end) > stamp(state.starts[hour]) && stamp(block.start) < stamp(state.starts[hour]) + HOUR);

/** A time, with its weekday where that is not the first hour's. */
export const when24 = (text) => (text.slice(0, 10) === state.starts[0].slice(0, 10) ? clock(text) : t('when.day', { day: weekday(text), time: clock(text) }));

/** What is to do, in a sentence: earliest and latest leave out one room in twenty, so that no outlier speaks for all. */
export function planHeadline(day) {
  const on = state.rooms.filter((row) => row.blocks.length);
  if (!on.length) return t('plan.none', { day });
  const running = on.filter(isOnAtOnce).length;
  const later = on.map((row) => row.blocks[isOnAtOnce(row) ? 1 : 0]?.start).filter(Boolean);
  const now = isPresent() ? t('plan.atOnce') : t('plan.at', { time: clock(state.starts[0]) });
  const ends = on.map((row) => row.blocks.at(-1).end);
  const last = greatestOf(ends);
  const kind = !running ? 'later' : later.length ? 'both' : 'now';
  const off = t(ends.every((end) => end <= last) ? 'plan.allOff' : 'plan.mostOff', { time: when24(last) });
  return t(`plan.${kind}`, { day, on: on.length, n: state.rooms.length, running, now, from: later.length ? when24(leastOf(later)) : '', off });
}

/** Whether a room is on as the plan begins, and whether that is now. */
const isOnAtOnce = (row) => row.on <= stamp(state.starts[0]);
export const isOnNow = (row) => isPresent() && isOnAtOnce(row);

export const planSummary = (rooms) => t('plan.hoursOn', { n: Math.round(sum(rooms.map((row) => row.hoursOn))) });

/** The rows shown as a table that a spreadsheet reads: a line for each block. */
export function planTable() {
  const lines = state.rows.filter((row) => row.kind === 'room').flatMap((row) => row.blocks.map((block) =>
    [field(row.name), block.start, block.end, block.occupied_from, block.occupied_until, block.peak_probability].join(',')));
  return ['room,on,off,occupied_from,occupied_until,peak_probability', ...lines].join('\r\n').concat('\r\n');
}

export const planFile = () => `plan_${state.starts[0].slice(0, 10)}.csv`;

/** What the plan promises, and how well that was kept; nothing where it follows a fixed rule. */
export function promised() {
  const { max_missed: most, source, kept, lately } = state.promise ?? {};
  if (most === undefined) return '';
  const share = percent(most);
  if (source === 'assumed') return t('promise.assumed', { share });
  if (source === 'training' || !lately?.days) return t('promise.training', { share });
  return t('promise.checked', { share, n: lately.days, missed: percentTenths(lately.missed_share ?? 0), hours: t('hours', { n: lately.occupied_hours }), kept: t(`promise.${kept}`) });
}
