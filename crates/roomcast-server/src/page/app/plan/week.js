// The days to come: how many rooms are on each day, and from when to when.

import { t } from '../core/language.js';
import { $, greatestOf, h, leastOf, sum, tell } from '../core/tools.js';
import { capital, clock, date, DAY, HOUR, shift, stamp, weekday } from '../core/words.js';
import { isPlan, isWeekLarge, route, state } from '../core/state.js';

const DAYS = 7;

/** Today and the whole days after it, each with the blocks that begin on it. */
function daysOf(devices) {
  const first = state.starts[0].slice(0, 10);
  const days = [...Array(DAYS).keys()].map((n) => ({ day: shift(`${first}T00:00:00`, n * DAY), blocks: [], rooms: 0 }));
  const at = new Map(days.map((each) => [each.day.slice(0, 10), each]));
  for (const { blocks } of devices) {
    const seen = new Set();
    for (const block of blocks) {
      const day = at.get(block.start.slice(0, 10));
      if (!day) continue;
      day.blocks.push(block);
      if (!seen.has(day)) day.rooms += 1;
      seen.add(day);
    }
  }
  return days;
}

/** Earliest and latest, without one room in twenty at each end. */
function summary({ day, blocks, rooms }) {
  const hours = sum(blocks.map((block) => stamp(block.end) - stamp(block.start))) / HOUR;
  if (!blocks.length) return { day, rooms, hours, from: null, until: null };
  const [from, until] = [leastOf(blocks.map((block) => block.start)), greatestOf(blocks.map((block) => block.end))];
  return { day, rooms, hours, from: clock(from), until: clock(until) };
}

function dayItem({ day, rooms, hours, from, until }, most) {
  const bar = h('i', { 'aria-hidden': 'true' }, h('b', {}));
  bar.firstChild.style.height = `${most ? (100 * hours) / most : 0}%`;
  const values = { day: capital(date(day, 'long')), rooms, n: state.rooms.length, from, until };
  const said = t(rooms ? 'week.on' : 'week.off', values);
  return h('li', { tabIndex: 0, 'aria-label': said, title: said, className: [0, 6].includes(new Date(stamp(day)).getUTCDay()) ? 'weekend' : '' },
    h('strong', {}, weekday(day)), bar, h('span', {}, from ?? '–'), h('span', { className: 'many' }, t('rooms', { n: rooms })));
}

/** Draws the days; nothing before they are known, or for a day of the past. */
export function showWeek() {
  const box = $('week');
  box.hidden = !isPlan() || Boolean(route.at) || !state.starts.length || !(state.week || isWeekLarge());
  if (box.hidden) return;
  if (!state.week) {
    const ask = h('button', { type: 'button', className: 'link', onclick: () => { ask.disabled = true; tell('week'); } }, t('week.show'));
    $('week-days').replaceChildren(h('li', { className: 'all' }, ask));
    return;
  }
  const days = daysOf(state.week).map(summary);
  const most = Math.max(...days.map((day) => day.hours));
  $('week-days').replaceChildren(...days.map((day) => dayItem(day, most)));
}
