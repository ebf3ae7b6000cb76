// The grid of rooms and hours. Only the rows in sight are there.

import { $, announce, count, h, plural } from '../core/tools.js';
import { bare, clock, date, happened, HOURS, likelihood, percent } from '../core/words.js';
import { arrange, isPlan, route, state, tally } from '../core/state.js';
import { blockOf, filling, isOnNow, planSummary, when24 } from '../plan/plan.js';
import { showHindsight } from './hindsight.js';
import { firstSteps } from './onboarding.js';

/** Where the keyboard is: a row's key and a column, 0 the name, 1 to 24 the hours, then hours and first. */
export const cursor = { key: null, column: 0 };
export const SUM = '\nall';
export const drawn = new Map();
export let rowHeight = 34;

export function showRows() {
  const shown = arrange();
  const grid = $('rooms');
  grid.setAttribute('aria-label', `${isPlan() ? 'Plan' : 'Chance of use'}, ${plural(shown.length, 'room')} by hour`);
  grid.setAttribute('aria-rowcount', state.rows.length + 2);
  grid.hidden = !shown.length;
  const rooms = shown.length === state.rooms.length ? plural(shown.length, 'room') : `${count(shown.length)} of ${plural(state.rooms.length, 'room')}`;
  announce($('count'), isPlan() && shown.length ? `${rooms} · ${planSummary(shown)}` : rooms);
  showEmpty(shown.length);
  showHindsight();
  if (!keyIndex(cursor.key) && cursor.key !== SUM) cursor.key = state.rows[0]?.key ?? null;
  redraw(shown);
}

export const keyIndex = (key) => 1 + state.rows.findIndex((row) => row.key === key);

/** Draws everything anew and puts the focus back where it was. */
export function redraw(shown) {
  const focused = $('rooms').contains(document.activeElement);
  for (const element of drawn.values()) element.remove();
  drawn.clear();
  measure();
  drawHead(shown);
  draw();
  if (focused) focusCursor();
}

function measure() {
  rowHeight = parseFloat(getComputedStyle($('rooms')).getPropertyValue('--row')) || 34;
  $('grid-body').style.height = `${state.rows.length * rowHeight}px`;
}

function drawHead(shown) {
  const hours = state.starts.map((start, hour) => h('div', {
    role: 'columnheader', 'aria-colindex': hour + 2, className: `hour${Number(clock(start).slice(0, 2)) % 3 ? '' : ' major'}${midnight(hour)}`,
    'aria-label': `${date(start, 'long')} ${clock(start)}`,
  }, h('span', {}, clock(start).slice(0, 2)), isMidnight(hour) ? h('em', {}, date(start).slice(0, 3)) : null));
  const titles = (isPlan() ? [['On', 'Next time to switch on'], ['Off', 'Time to switch off again']]
    : [['Hours', 'Expected hours in use'], ['First', 'First hour expected in use']]).map(([text, label], i) =>
    h('div', { role: 'columnheader', 'aria-colindex': 26 + i, 'aria-label': label, title: label, className: 'num' }, text));
  const total = { kind: 'sum', key: SUM, size: shown.length, tally: tally(shown) };
  const name = h('div', { role: 'columnheader', 'aria-colindex': 1, className: 'name' }, 'Room');
  $('grid-head').replaceChildren(
    h('div', { role: 'row', 'aria-rowindex': 1, className: 'row labels' }, name, hours, titles),
    rowOf(total, 2, `Rooms ${counted()}`, isPlan() ? 'Rooms on' : 'In use'),
  );
}

/** What the rows of counts count. */
const counted = () => (isPlan() ? 'on' : 'expected in use');

const isMidnight = (hour) => hour > 0 && clock(state.starts[hour]) === '00:00';
const midnight = (hour) => (isMidnight(hour) ? ' midnight' : '');

/** Makes the rows in sight, and only these. */
export function draw() {
  const top = $('grid-body').getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(-top / rowHeight) - 6);
  const last = Math.min(state.rows.length, Math.ceil((innerHeight - top) / rowHeight) + 6);
  const kept = keyIndex(cursor.key) - 1;
  const wanted = (index) => (index >= first && index < last) || index === kept;
  for (const [index, element] of drawn) {
    if (!wanted(index)) { element.remove(); drawn.delete(index); }
  }
  for (let index = first; index < last; index += 1) drawRow(index);
  if (kept >= 0) drawRow(kept);
  markCursor();
}

/** Most rows on paper: some forty sheets. */
const MOST_PRINTED = 2000;

/** Makes every row, for print. */
export function drawAll() {
  for (let index = 0; index < Math.min(state.rows.length, MOST_PRINTED); index += 1) drawRow(index);
}

function drawRow(index) {
  if (drawn.has(index) || index >= state.rows.length) return;
  const row = state.rows[index];
  const element = row.kind === 'group' ? rowOf(row, index + 3, row.prefix || 'Other rooms') : roomRow(row, index + 3);
  element.style.transform = `translateY(${index * rowHeight}px)`;
  element.dataset.index = index;
  drawn.set(index, element);
  // In the order of the rows, for readers that go through the document.
  const after = [...drawn.keys()].filter((key) => key > index).sort((a, b) => a - b)[0];
  $('grid-body').insertBefore(element, after === undefined ? null : drawn.get(after));
}

/** A row of counts: the whole building, or one group. */
function rowOf(row, position, title, short = title) {
  const cells = row.tally.map((n, hour) => {
    const cell = h('div', {
      role: 'gridcell', tabIndex: -1, 'aria-colindex': hour + 2, 'data-column': hour + 1, className: `cell bar${midnight(hour)}`,
      'aria-label': `${clock(state.starts[hour])}, ${count(n)} of ${plural(row.size, 'room')} ${counted()}`,
    }, h('i'), h('span', {}, count(n)));
    cell.firstChild.style.height = `${row.size ? (100 * n) / row.size : 0}%`;
    cell.classList.toggle('none', n === 0);
    return cell;
  });
  const name = h('div', { role: 'rowheader', tabIndex: -1, 'aria-colindex': 1, 'data-column': 0, className: 'name' },
    h('span', { className: 'label' }, short),
    row.kind === 'group' ? h('span', { className: 'tag quiet' }, plural(row.size, 'room')) : null);
  if (row.kind === 'group') name.setAttribute('aria-label', `${title}, ${plural(row.size, 'room')}, ${row.folded ? 'folded' : 'unfolded'}, Enter to change`);
  else name.setAttribute('aria-label', title);
  const first = row.tally.findIndex((n) => n > 0);
  return h('div', { role: 'row', 'aria-rowindex': position, 'data-key': row.key, className: `row ${row.kind}${row.folded ? ' folded' : ''}` },
    name, cells, side(1 + HOURS, '', 'no value'), isPlan() ? side(2 + HOURS, '', 'no value')
      : side(2 + HOURS, first < 0 ? '–' : clock(state.starts[first]), first < 0 ? 'none expected in use' : `first in use at ${clock(state.starts[first])}`));
}

function side(column, text, label) {
  return h('div', { role: 'gridcell', tabIndex: -1, 'aria-colindex': column + 1, 'data-column': column, className: 'num', 'aria-label': label }, text);
}

export const oddities = (row) => [row.status === 'live' ? null : row.status, row.chattering ? 'chattering' : null].filter(Boolean);

function roomRow(row, position) {
  const flags = oddities(row);
  const label = $('group').checked && !$('group-field').hidden ? row.rest : row.name;
  const name = h('div', {
    role: 'rowheader', tabIndex: -1, 'aria-colindex': 1, 'data-column': 0, className: 'name', title: row.name,
    'aria-label': [row.name, ...flags.map((flag) => `${flag} sensor`)].join(', '),
  }, h('span', { className: 'label' }, label), flags.map((flag) => h('span', { className: 'tag' }, flag)));
  const element = h('div', { role: 'row', 'aria-rowindex': position, 'data-key': row.key, className: 'row room' },
    name, row.chances.map((_, hour) => cellOf(row, hour)),
    isPlan() ? onAndOff(row) : hoursAndFirst(row));
  element.classList.toggle('open', route.room === row.name);
  return element;
}

function hoursAndFirst(row) {
  const first = row.first === null ? null : clock(state.starts[row.first]);
  return [side(1 + HOURS, row.expected.toFixed(1), `${row.expected.toFixed(1)} hours expected in use`),
    side(2 + HOURS, first ?? '–', first ? `first in use at ${first}` : 'none expected in use')];
}

/** When a room goes on next, and off again. */
function onAndOff(row) {
  const [block] = row.blocks;
  if (!block) return [side(1 + HOURS, '–', 'stays off'), side(2 + HOURS, '', 'stays off')];
  const more = row.blocks.length - 1;
  return [side(1 + HOURS, isOnNow(row) ? 'now' : clock(block.start), isOnNow(row) ? 'on now' : `on at ${when24(block.start)}`),
    side(2 + HOURS, `${clock(block.end)}${more ? '…' : ''}`, `off at ${when24(block.end)}${more ? `, on again at ${when24(row.blocks[1].start)}` : ''}`)];
}

function cellOf(row, hour) {
  const p = row.chances[hour];
  const actual = state.past ? row.actual[hour] : undefined;
  const tint = isPlan() ? ['planned'] : [row.used[hour] && 'on', p < 0.005 && 'nil', p > 0.65 ? 'deep' : p > 0.5 && 'mid'];
  const classes = ['cell', ...tint, actual && `was-${actual}`].filter(Boolean).join(' ');
  const cell = h('div', {
    role: 'gridcell', tabIndex: -1, 'aria-colindex': hour + 2, 'data-column': hour + 1, className: classes + midnight(hour),
    'aria-label': isPlan() ? planned(row, hour, actual) : inWords(row, hour, actual),
  }, h('span', {}, bare(p)));
  if (isPlan()) cell.style.background = filling(row.parts[hour] ?? []);
  else cell.style.setProperty('--p', p.toFixed(3));
  return cell;
}

function planned(row, hour, actual) {
  const block = blockOf(row, hour);
  return `${date(state.starts[hour]).slice(0, 3)} ${clock(state.starts[hour])}, ${block ? `on from ${when24(block.start)} until ${when24(block.end)}` : 'off'}, ` +
    `${percent(row.chances[hour])} chance of use${actual ? `; ${happened[actual]}` : ''}`;
}

function inWords(row, hour, actual) {
  const start = state.starts[hour];
  const p = row.chances[hour];
  return `${date(start).slice(0, 3)} ${clock(start)}, ${percent(p)} chance of use, ${likelihood(p)}, ` +
    `${row.used[hour] ? '' : 'not '}expected in use${actual ? `; ${happened[actual]}` : ''}`;
}

function showEmpty(n) {
  const empty = $('empty');
  empty.hidden = n > 0;
  const isFirst = n === 0 && !state.rooms.length;
  // Drawn once, so that what somebody is about to copy stays.
  if (n > 0 || (isFirst && empty.querySelector('pre'))) return;
  if (isFirst) {
    empty.replaceChildren(...firstSteps());
    return;
  }
  const clear = h('button', { type: 'button', className: 'link', onclick: () => { $('search').value = ''; $('show').value = 'all'; showRows(); } }, 'Show all rooms');
  empty.replaceChildren('No room matches. ', clear);
}

function elementAt(key, column) {
  const row = key === SUM ? $('grid-head').lastChild : drawn.get(keyIndex(key) - 1);
  return row?.children[column] ?? null;
}

export function markCursor() {
  for (const old of $('rooms').querySelectorAll('[tabindex="0"]')) old.tabIndex = -1;
  const cell = elementAt(cursor.key, cursor.column);
  if (cell) cell.tabIndex = 0;
}

export function focusCursor() {
  markCursor();
  elementAt(cursor.key, cursor.column)?.focus({ preventScroll: true });
}
