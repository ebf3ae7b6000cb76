// A room's schedule for heating and ventilation.

import { $, h, prefer, prefers, s } from '../core/tools.js';
import { clock, date, DAY, HOUR, HOURS, shift, stamp } from '../core/words.js';
import { ask, get } from '../core/api.js';
import { state } from '../core/state.js';
import { complaint, label, part } from './pieces.js';

export function schedulePart(row) {
  const minutes = (id, text, value) => h('span', {}, h('label', { for: id }, text),
    h('input', { type: 'number', id, min: '0', max: '240', step: '5', value: prefers(id, value), inputMode: 'numeric', required: true }));
  const result = h('div', { 'aria-live': 'polite' });
  const update = () => showSchedule(row, result);
  const inputs = h('p', { className: 'inline' }, minutes('preheat', 'Start before, min', '45'), minutes('setback', 'Stop after, min', '30'));
  const save = h('button', { type: 'button', className: 'secondary', id: 'download', onclick: () => download(row, result) }, 'Download calendar (.ics)');
  let timer = 0;
  inputs.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(update, 350); });
  const section = part('Heating and ventilation', inputs, result, save);
  queueMicrotask(update);
  return section;
}

function scheduleQuery(row) {
  for (const id of ['preheat', 'setback']) if ($(id).validity.valid) prefer(id, $(id).value);
  return { device: row.name, at: state.forecast.origin, preheat: `${$('preheat').value || 0}m`, setback_after: `${$('setback').value || 0}m` };
}

async function showSchedule(row, result) {
  if (!$('preheat')?.validity.valid || !$('setback').validity.valid) {
    result.replaceChildren(h('p', { className: 'small' }, 'Enter minutes from 0 to 240, in steps of 5.'));
    return;
  }
  try {
    const blocks = (await get('/schedule', scheduleQuery(row))).devices.flatMap((each) => each.blocks);
    if (!blocks.length) result.replaceChildren(h('p', {}, 'The room is not expected in use, so nothing needs to run.'));
    else result.replaceChildren(timeline(blocks), h('ul', { className: 'blocks' }, blocks.map(block)));
  } catch (problem) {
    result.replaceChildren(complaint(problem));
  }
}

function block({ start, end, occupied_from: from, occupied_until: to }) {
  const day = date(start) === date(state.starts[0]) ? '' : `${date(start)}, `;
  const until = date(start) === date(end) ? clock(end) : `${date(end).slice(0, 3)} ${clock(end)}`;
  return h('li', {}, `${day}${clock(start)}–${until} `, h('span', { className: 'small' }, `for use ${clock(from)}–${clock(to)}`));
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
    const link = h('a', { href: URL.createObjectURL(await answer.blob()), download: `${row.name.replace(/[^\w.-]+/g, '_')}.ics` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (problem) {
    result.replaceChildren(complaint(problem));
  }
}
