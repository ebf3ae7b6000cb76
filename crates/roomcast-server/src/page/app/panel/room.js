// The panel of one room.

import { $, count, h, plural, s } from '../core/tools.js';
import { clock, date, DAY, HOUR, HOURS, percent, shift, wall } from '../core/words.js';
import { device, get } from '../core/api.js';
import { go, route, state } from '../core/state.js';
import { oddities } from '../grid/grid.js';
import { complaint, factList, label, later, liveSkill, panelHead, part, skillOf, skillWords } from './pieces.js';
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
    part(state.past ? 'Forecast and what happened' : 'Next 24 hours', h('div', { id: 'curve' })),
    part('What drove this hour', hourChoice(row), h('div', { id: 'why', 'aria-live': 'polite' })),
    schedulePart(row),
    later('Last four weeks', past, (answer) => weeks(answer.hours)),
    later('Typical week', about, (answer) => typicalWeek(answer.typical_week)),
    later('Sensor', about, (answer) => sensor(answer, row)),
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
  const peak = `The most likely hour is ${clock(state.starts[top])}, with ${percent(row.chances[top])}.`;
  if (!runs.length) return `Not expected in use. ${peak}`;
  const text = runs.map((each) => `${clock(state.starts[each.from])}–${clock(shift(state.starts[each.to - 1], HOUR))}`);
  return `Expected in use ${text.join(', ')}, ${row.expected.toFixed(1)} hours in total. ${peak}`;
}

/** The hour of the address, or the likeliest. */
function chosenHour(row) {
  const at = state.starts.findIndex((start) => wall(start) === route.hour);
  return at >= 0 ? at : row.chances.indexOf(Math.max(...row.chances));
}

function hourChoice(row) {
  const select = h('select', { id: 'hour', onchange: () => go({ hour: wall(state.starts[select.value]) }, true) },
    state.starts.map((start, hour) => h('option', { value: hour }, `${date(start).slice(0, 3)} ${clock(start)}, ${percent(row.chances[hour])}`)));
  return h('p', { className: 'inline' }, h('label', { for: 'hour' }, 'Hour'), select);
}

export function selectHour(row) {
  const hour = chosenHour(row);
  $('hour').value = hour;
  drawCurve(row);
  const mine = `${row.name} ${hour}`;
  $('why').dataset.of = mine;
  get('/explain', { device: row.name, at: state.forecast.origin, hour: state.starts[hour] })
    .then((answer) => explanation(answer), (problem) => [complaint(problem)])
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
  const svg = s('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', class: 'curve', 'aria-label': `Chance of use by hour. ${roomSummary(row)}` });
  svg.append(s('rect', { class: 'chosen', x: x(chosen), y: top, width: wide, height: height - top - bottom }));
  for (const p of [0, 0.5, 1]) {
    svg.append(s('line', { class: 'rule', x1: left, x2: width - right, y1: y(p), y2: y(p) }), label(left - 6, y(p) + 4, `${p * 100} %`, 'end'));
  }
  svg.append(s('path', { class: 'area', d: `${outline}V${y(0)}H${left}Z` }), s('path', { class: 'line', d: outline }));
  row.used.forEach((used, hour) => { if (used) svg.append(s('circle', { class: 'mark', cx: x(hour) + wide / 2, cy: y(0) - 6, r: 2.2 })); });
  if (state.past) drawActual(svg, row, x, wide, y(0) + 3);
  state.starts.forEach((start, hour) => { if (Number(clock(start).slice(0, 2)) % 3 === 0) svg.append(label(x(hour), height - 8, clock(start).slice(0, 2), 'middle')); });
  svg.addEventListener('click', (event) => {
    const box = svg.getBoundingClientRect();
    const hour = Math.floor((((event.clientX - box.left) / box.width) * width - left) / wide);
    if (hour >= 0 && hour < HOURS) go({ hour: wall(state.starts[hour]) }, true);
  });
  const notes = [h('span', {}, h('i', { className: 'key dot' }), 'expected in use'),
    state.past ? h('span', {}, h('i', { className: 'key was' }), 'was in use') : null].filter(Boolean);
  $('curve').replaceChildren(svg, h('p', { className: 'small keys' }, ...notes));
}

function drawActual(svg, row, x, wide, y) {
  row.actual.forEach((was, hour) => {
    if (was === 'occupied') svg.append(s('rect', { class: 'was', x: x(hour), y, width: wide, height: 4 }));
    if (was === 'unobserved') svg.append(s('line', { class: 'unk', x1: x(hour) + 2, x2: x(hour) + wide - 1, y1: y + 2, y2: y + 2 }));
  });
}

const SENSOR = {
  live: 'The sensor is live. The time since its last motion is within its usual gaps.',
  silent: 'The sensor is silent. It has reported no motion for far longer than usual, while other sensors have. The room may be empty, or the sensor may be broken. Its chances are lowered accordingly. Check the sensor.',
  new: 'The sensor is new. Its first reading is less than a week old. Its forecast uses the rates of the building until it has a history of its own.',
};
const CHATTER = 'The sensor is chattering. It has sent readings every few seconds for hours, as loose or badly placed sensors do. Its hours in use may be false. Check the sensor.';
const SOURCES = {
  model: 'The forecast comes from a model of this room.',
  building: 'The forecast comes from the shared model of all rooms, because a model of this room did not do better.',
  baseline: 'The forecast is the room’s usual rate.',
};

export function sensor(about, row) {
  const facts = [
    ['First reading', about.first_reading ? `${date(about.first_reading, 'year')}, ${clock(about.first_reading)}` : 'none'],
    ['Last reading', about.last_reading ? `${date(about.last_reading, 'year')}, ${clock(about.last_reading)}` : 'none'],
    ['Readings', count(about.readings ?? 0)],
    ['Hours in use', about.share_occupied === null || about.share_occupied === undefined ? 'not known' : percent(about.share_occupied)],
    ['In training, against its usual rate', skillWords(skillOf(about))],
    ['Last 14 days, against its usual rate', liveSkill(about) === null ? 'not scored yet' : `${skillWords(about.live.skill)} over ${plural(about.live.hours, 'hour')}`],
  ];
  return [
    h('p', {}, SENSOR[row.status] ?? '', ' ', row.chattering ? CHATTER : '', ' ', SOURCES[row.source] ?? ''),
    factList(facts),
  ];
}
