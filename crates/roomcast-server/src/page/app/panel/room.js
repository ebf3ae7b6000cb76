// The panel of one room.

import { count, decimal, t } from '../core/language.js';
import { $, h, s } from '../core/tools.js';
import { clock, DAY, HOUR, HOURS, likelihood, moment, percent, shift, wall, weekday } from '../core/words.js';
import { device, get } from '../core/api.js';
import { go, route, state } from '../core/state.js';
import { oddities } from '../grid/rows.js';
import { complaint } from '../shell/head.js';
import { explore } from './explore.js';
import { factList, label, later, liveSkill, panelHead, part, skillOf, skillWords } from './pieces.js';
import { explanation } from './why.js';
import { schedulePart } from './schedule.js';
import { typicalWeek, weeks } from './weeks.js';

export function roomPanel(row) {
  const about = get(device(row.name));
  const from = shift(state.starts[0], -28 * DAY);
  const to = state.past ? shift(state.starts[HOURS - 1], HOUR) : wall(state.starts[0]);
  const past = get(`${device(row.name)}/history`, { from, to });
  return [
    panelHead(row.name, roomSummary(row), oddities(row)),
    part(t(state.past ? 'room.past' : 'room.next'), h('div', { id: 'curve' })),
    part(t('room.why'), hourChoice(row), h('div', { id: 'why', 'aria-live': 'polite' })),
    schedulePart(row),
    later(t('room.weeks'), past, (answer) => weeks(answer.hours)),
    later(t('room.week'), about, (answer) => typicalWeek(answer.typical_week)),
    later(t('room.sensor'), about, (answer) => sensor(answer, row)),
  ];
}

function roomSummary(row) {
  const runs = [];
  row.used.forEach((used, hour) => {
    if (!used) return;
    const open = runs.at(-1);
    if (open?.to === hour) open.to += 1;
    else runs.push({ from: hour, to: hour + 1 });
  });
  const top = row.chances.indexOf(Math.max(...row.chances));
  const peak = t('room.peak', { time: clock(state.starts[top]), chance: percent(row.chances[top]) });
  if (!runs.length) return `${t('room.unused')} ${peak}`;
  const text = runs.map((each) => `${clock(state.starts[each.from])}–${clock(shift(state.starts[each.to - 1], HOUR))}`);
  return `${t('room.used', { times: text.join(', ') })} ${peak}`;
}

/** The hour of the address, or the likeliest. */
function chosenHour(row) {
  const at = state.starts.findIndex((start) => wall(start) === route.hour);
  return at >= 0 ? at : row.chances.indexOf(Math.max(...row.chances));
}

function hourChoice(row) {
  const select = h('select', { id: 'hour', onchange: () => go({ hour: wall(state.starts[select.value]) }, true) },
    state.starts.map((start, hour) => h('option', { value: hour }, `${weekday(start)} ${clock(start)}, ${percent(row.chances[hour])}`)));
  return h('p', { className: 'inline' }, h('label', { for: 'hour' }, t('room.hour')), select);
}

export function selectHour(row) {
  const hour = chosenHour(row);
  $('hour').value = hour;
  drawCurve(row);
  const mine = `${row.name} ${hour}`;
  $('why').dataset.of = mine;
  get('/explain', { device: row.name, at: state.forecast.origin, hour: state.starts[hour] })
    .then((answer) => explanation(answer), complaint)
    .then((content) => { if ($('why')?.dataset.of === mine) $('why').replaceChildren(...content); });
}

const CURVE = { width: 480, height: 168, left: 34, right: 6, top: 10, bottom: 30 };

function drawCurve(row) {
  if (!$('curve')) return;
  const { width, height, left, right, top, bottom } = CURVE;
  const wide = (width - left - right) / HOURS;
  const x = (hour) => left + hour * wide;
  const y = (p) => top + (1 - p) * (height - top - bottom);
  const chosen = chosenHour(row);
  const outline = row.chances.map((p, hour) => `${hour ? 'L' : 'M'}${x(hour)} ${y(p)}H${x(hour + 1)}`).join('');
  const svg = s('svg', { viewBox: `0 0 ${width} ${height}`, role: 'group', class: 'curve', 'aria-label': `${t('room.curve')} ${roomSummary(row)}` });
  svg.append(s('rect', { class: 'chosen', x: x(chosen), y: top, width: wide, height: height - top - bottom }));
  for (const p of [0, 0.5, 1]) {
    svg.append(s('line', { class: 'rule', x1: left, x2: width - right, y1: y(p), y2: y(p) }), label(left - 6, y(p) + 4, `${p * 100} %`, 'end'));
  }
  svg.append(s('path', { class: 'area', d: `${outline}V${y(0)}H${left}Z` }), s('path', { class: 'line', d: outline }));
  row.used.forEach((used, hour) => { if (used) svg.append(s('circle', { class: 'mark', cx: x(hour) + wide / 2, cy: y(0) - 6, r: 2.2 })); });
  if (state.past) drawActual(svg, row, x, wide, y(0) + 3);
  state.starts.forEach((start, hour) => { if (Number(clock(start).slice(0, 2)) % 3 === 0) svg.append(label(x(hour), height - 8, clock(start).slice(0, 2), 'middle')); });
  const marks = row.chances.map((p, hour) => [s('rect', { class: 'target', x: x(hour), y: top, width: wide, height: height - top - bottom }),
    `${weekday(state.starts[hour])} ${clock(state.starts[hour])}, ${t('cell.chance', { chance: percent(p) })}, ${likelihood(p)}`]);
  svg.append(...marks.map(([target]) => target));
  explore(svg, marks);
  svg.addEventListener('click', (event) => {
    const box = svg.getBoundingClientRect();
    const hour = Math.floor((((event.clientX - box.left) / box.width) * width - left) / wide);
    if (hour >= 0 && hour < HOURS) go({ hour: wall(state.starts[hour]) }, true);
  });
  const notes = [h('span', {}, h('i', { className: 'key dot' }), t('cell.used')),
    state.past ? h('span', {}, h('i', { className: 'key was' }), t('was.occupied')) : null].filter(Boolean);
  $('curve').replaceChildren(svg, h('p', { className: 'small keys' }, ...notes));
}

function drawActual(svg, row, x, wide, y) {
  row.actual.forEach((was, hour) => {
    if (was === 'occupied') svg.append(s('rect', { class: 'was', x: x(hour), y, width: wide, height: 4 }));
    if (was === 'unobserved') svg.append(s('line', { class: 'unk', x1: x(hour) + 2, x2: x(hour) + wide - 1, y1: y + 2, y2: y + 2 }));
  });
}

export function sensor(about, row) {
  const when = (reading) => (reading ? moment(reading) : t('sensor.none'));
  const live = liveSkill(about);
  const facts = [
    [t('sensor.first'), when(about.first_reading)],
    [t('sensor.last'), when(about.last_reading)],
    [t('sensor.readings'), count(about.readings ?? 0)],
    [t('sensor.share'), typeof about.share_occupied === 'number' ? percent(about.share_occupied) : t('sensor.unknown')],
    [t('sensor.expected'), t('hours.tenths', { hours: decimal(row.expected) })],
    [t('sensor.training'), skillWords(skillOf(about))],
    [t('sensor.live14'), live === null ? t('sensor.unscored') : t('sensor.over', { skill: skillWords(live), hours: t('hours', { n: about.live.hours }) })],
  ];
  const said = [`sensor.${row.status}`, row.chattering && 'sensor.chattering', `source.${row.source}`].filter(Boolean);
  return [h('p', {}, said.map((key) => t(key)).join(' ')), factList(facts)];
}
