// The days to come: how many rooms are on each day, and from when to when.

import { t } from '../core/language.js';
import { $, greatestOf, h, leastOf, sum, tell } from '../core/tools.js';
import { capital, clock, date, DAY, HOUR, shift, stamp, weekday } from '../core/words.js';
import { isPlan, isWeekLarge, route, state } from '../core/state.js';

const DAYS = 7;

/** Today and the whole days after it, each with what of the blocks lies in it. */
function daysOf(devices) {
  const first = state.starts[0].slice(0, 10);
  return [...Array(DAYS).keys()].map((n) => {
    const day = shift(`${first}T00:00:00`, n * DAY);
    const [from, until] = [stamp(day), stamp(day) + DAY];
    const rooms = devices.map(({ blocks }) => blocks.map((block) => ({ start: Math.max(from, stamp(block.start)), end: Math.min(until, stamp(block.end)) }))
      .filter(({ start, end }) => start < end)).filter((blocks) => blocks.length);
    return { day, until, blocks: rooms.flat(), rooms: rooms.length };
  });
}

const timeOf = (time) => clock(new Date(time).toISOString());

/** Earliest and latest, without one room in twenty at each end. */
function summary({ day, until, blocks, rooms }) {
  const hours = sum(blocks.map(({ start, end }) => end - start)) / HOUR;
  if (!blocks.length) return { day, rooms, hours, from: null, until: null };
  const [first, last] = [leastOf(blocks.map(({ start }) => start)), greatestOf(blocks.map(({ end }) => end))];
  return { day, rooms, hours, from: timeOf(first), until: last === until ? '24:00' : timeOf(last) };
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
