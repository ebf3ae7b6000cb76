// A room's schedule for heating and ventilation.

import { t } from '../core/language.js';
import { h, s, save } from '../core/tools.js';
import { clock, date, DAY, HOUR, HOURS, shift, stamp, weekday } from '../core/words.js';
import { ask, get } from '../core/api.js';
import { state } from '../core/state.js';
import { lead, minutes } from '../plan/plan.js';
import { complaint } from '../shell/head.js';
import { label, part } from './pieces.js';

export function schedulePart(row) {
  const result = h('div', { 'aria-live': 'polite' });
  const rule = h('p', { className: 'small' });
  const save = h('button', { type: 'button', className: 'secondary', id: 'download', onclick: () => download(row, result) }, t('schedule.download'));
  showSchedule(row, result, rule);
  return part(t('schedule.title'), result, rule, save);
}

function scheduleQuery(row) {
  return { device: row.name, at: state.forecast.origin, ...lead() };
}

async function showSchedule(row, result, note) {
  try {
    const { devices, rule } = await get('/schedule', scheduleQuery(row));
    const blocks = devices.flatMap((each) => each.blocks);
    note.textContent = t('schedule.rule', minutes(rule));
    if (!blocks.length) result.replaceChildren(h('p', {}, t('schedule.none')));
    else result.replaceChildren(timeline(blocks), h('ul', { className: 'blocks' }, blocks.map(block)));
  } catch (problem) {
    result.replaceChildren(...complaint(problem));
  }
}

function block({ start, end, occupied_from: from, occupied_until: to }) {
  const day = date(start) === date(state.starts[0]) ? '' : `${date(start)}, `;
  const until = date(start) === date(end) ? clock(end) : `${weekday(end)} ${clock(end)}`;
  return h('li', {}, `${day}${clock(start)}–${until} `, h('span', { className: 'small' }, t('block.use', { from: clock(from), until: clock(to) })));
}

function timeline(blocks) {
  const from = stamp(state.starts[0]) - 4 * HOUR;
  const all = DAY + 8 * HOUR;
  const x = (time) => Math.max(0, Math.min(480, ((time - from) / all) * 480));
  const svg = s('svg', { viewBox: '0 0 480 30', 'aria-hidden': 'true', class: 'timeline' }, s('rect', { class: 'track', x: 0, y: 2, width: 480, height: 10, rx: 2 }));
  for (const { start, end } of blocks) svg.append(s('rect', { class: 'block', x: x(stamp(start)), y: 2, width: Math.max(1, x(stamp(end)) - x(stamp(start))), height: 10, rx: 2 }));
  for (let hour = 0; hour <= HOURS; hour += 6) svg.append(label(x(stamp(state.starts[0]) + hour * HOUR), 27, clock(shift(state.starts[0], hour * HOUR)), 'middle'));
  return svg;
}

async function download(row, result) {
  try {
    const answer = await ask('/schedule', { ...scheduleQuery(row), format: 'ics' });
    save(await answer.blob(), `${row.name.replace(/[^\w.-]+/g, '_')}.ics`);
  } catch (problem) {
    result.replaceChildren(...complaint(problem));
  }
}
