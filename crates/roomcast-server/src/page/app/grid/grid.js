// The grid of rooms and hours. Only the rows in sight are there.

import { count, decimal, t } from '../core/language.js';
import { $, announce, h } from '../core/tools.js';
import { bare, clock, date, happened, HOURS, likelihood, percent, weekday } from '../core/words.js';
import { arrange, firstOf, isPlan, route, state, tally } from '../core/state.js';
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
  grid.setAttribute('aria-label', t(isPlan() ? 'grid.plan' : 'grid.chances', { n: shown.length }));
  grid.setAttribute('aria-rowcount', state.rows.length + 2);
  grid.hidden = !shown.length;
  const rooms = shown.length === state.rooms.length ? t('rooms', { n: shown.length }) : t('grid.some', { shown: shown.length, n: state.rooms.length });
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
  }, h('span', {}, clock(start).slice(0, 2)), isMidnight(hour) ? h('em', {}, weekday(start)) : null));
  const titles = (isPlan() ? ['on', 'off'] : ['hours', 'first']).map((column, i) =>
    h('div', { role: 'columnheader', 'aria-colindex': 26 + i, 'aria-label': t(`column.${column}.long`), title: t(`column.${column}.long`), className: 'num' }, t(`column.${column}`)));
  const total = { kind: 'sum', key: SUM, size: shown.length, tally: tally(shown), first: firstOf(shown) };
  const name = h('div', { role: 'columnheader', 'aria-colindex': 1, className: 'name' }, t('column.room'));
  $('grid-head').replaceChildren(
    h('div', { role: 'row', 'aria-rowindex': 1, className: 'row labels' }, name, hours, titles),
    rowOf(total, 2, t(isPlan() ? 'sum.on.long' : 'sum.used.long'), t(isPlan() ? 'sum.on' : 'sum.used')),
  );
}

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
  const element = row.kind === 'group' ? rowOf(row, index + 3, row.prefix || t('group.other')) : roomRow(row, index + 3);
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
      'aria-label': `${clock(state.starts[hour])}, ${counted(n, row.size)}`,
    }, h('i'), h('span', {}, count(n)));
    cell.firstChild.style.height = `${row.size ? (100 * n) / row.size : 0}%`;
    cell.classList.toggle('none', n === 0);
    return cell;
  });
  const name = h('div', { role: 'rowheader', tabIndex: -1, 'aria-colindex': 1, 'data-column': 0, className: 'name' },
    h('span', { className: 'label' }, short),
    row.kind === 'group' ? h('span', { className: 'tag quiet' }, t('rooms', { n: row.size })) : null);
  name.setAttribute('aria-label', row.kind === 'group' ? t(row.folded ? 'group.folded' : 'group.unfolded', { title, n: row.size }) : title);
  return h('div', { role: 'row', 'aria-rowindex': position, 'data-key': row.key, className: `row ${row.kind}${row.folded ? ' folded' : ''}` },
    name, cells, side(1 + HOURS, '', t('side.none')), isPlan() ? side(2 + HOURS, '', t('side.none')) : firstSide(row.first));
}

/** How many rooms are on, or expected in use. */
export const counted = (n, size) => t(isPlan() ? 'count.on' : 'count.used', { shown: n, n: size });

/** What is shown is part of what is read out. */
function side(column, text, said) {
  const label = said.includes(text) ? said : `${text}, ${said}`;
  return h('div', { role: 'gridcell', tabIndex: -1, 'aria-colindex': column + 1, 'data-column': column, className: 'num', 'aria-label': label }, text);
}

export const oddities = (row) => [row.status === 'live' ? null : row.status, row.chattering ? 'chattering' : null].filter(Boolean).map((flag) => t(`flag.${flag}`));

function roomRow(row, position) {
  const flags = oddities(row);
  const label = $('group').checked && !$('group-field').hidden ? row.rest : row.name;
  const name = h('div', {
    role: 'rowheader', tabIndex: -1, 'aria-colindex': 1, 'data-column': 0, className: 'name', title: row.name,
    'aria-label': [row.name, ...flags.map((flag) => t('flag.sensor', { flag }))].join(', '),
  }, h('span', { className: 'label' }, label), flags.map((flag) => h('span', { className: 'tag' }, flag)));
  const element = h('div', { role: 'row', 'aria-rowindex': position, 'data-key': row.key, className: 'row room' },
    name, row.chances.map((_, hour) => cellOf(row, hour)),
    isPlan() ? onAndOff(row) : hoursAndFirst(row));
  element.classList.toggle('open', route.room === row.name);
  return element;
}

function hoursAndFirst(row) {
  return [side(1 + HOURS, decimal(row.expected), t('side.hours', { hours: decimal(row.expected) })), firstSide(row.first)];
}

function firstSide(hour) {
  const time = hour === null ? '–' : clock(state.starts[hour]);
  return side(2 + HOURS, time, hour === null ? t('side.unused') : t('side.first', { time }));
}

/** When a room goes on next, and off again. */
function onAndOff(row) {
  const [block] = row.blocks;
  if (!block) return [side(1 + HOURS, '–', t('side.off')), side(2 + HOURS, '', t('side.off'))];
  const again = row.blocks[1];
  const off = { time: when24(block.end), again: again && when24(again.start) };
  return [isOnNow(row) ? side(1 + HOURS, t('now'), t('side.onNow')) : side(1 + HOURS, clock(block.start), t('side.onAt', { time: when24(block.start) })),
    side(2 + HOURS, `${clock(block.end)}${again ? ` +${count(row.blocks.length - 1)}` : ''}`, t(again ? 'side.offAndOn' : 'side.offAt', off))];
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
  const said = block ? t('cell.on', { from: when24(block.start), until: when24(block.end) }) : t('cell.off');
  return `${hourOf(hour)}, ${said}, ${t('cell.chance', { chance: percent(row.chances[hour]) })}${then(actual)}`;
}

function inWords(row, hour, actual) {
  const p = row.chances[hour];
  return `${hourOf(hour)}, ${t('cell.chance', { chance: percent(p) })}, ${likelihood(p)}, ${t(row.used[hour] ? 'cell.used' : 'cell.unused')}${then(actual)}`;
}

const hourOf = (hour) => `${weekday(state.starts[hour])} ${clock(state.starts[hour])}`;
const then = (actual) => (actual ? `; ${happened(actual)}` : '');

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
  const clear = h('button', { type: 'button', className: 'link', onclick: () => { $('search').value = ''; $('show').value = 'all'; showRows(); } }, t('empty.all'));
  empty.replaceChildren(`${t('empty.none')} `, clear);
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
