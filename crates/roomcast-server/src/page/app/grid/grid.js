// The grid of rooms and hours. Only the rows in sight are there.

import { t } from '../core/language.js';
import { $, announce, h } from '../core/tools.js';
import { clock, date, weekday } from '../core/words.js';
import { arrange } from '../core/groups.js';
import { firstOf, isPlan, state, tally } from '../core/state.js';
import { planSummary } from '../plan/plan.js';
import { showHindsight } from './hindsight.js';
import { firstSteps } from './onboarding.js';
import { isMidnight, midnight, roomRow, rowOf } from './rows.js';

/** Where the keyboard is: a row's key and a column, 0 the name, 1 to 24 the hours, then hours and first. */
export const cursor = { key: null, column: 0 };
export const SUM = '\nall';
const drawn = new Map();
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

/** Most rows on paper: some forty sheets. */
const MOST_PRINTED = 2000;
let onPaper = false;

/** Makes the rows in sight, and only these; on paper all of them. */
export function draw() {
  const top = onPaper ? 0 : $('grid-body').getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(-top / rowHeight) - 6);
  const last = Math.min(state.rows.length, onPaper ? MOST_PRINTED : Math.ceil((innerHeight - top) / rowHeight) + 6);
  const kept = keyIndex(cursor.key) - 1;
  const wanted = (index) => (index >= first && index < last) || index === kept;
  for (const [index, element] of drawn) {
    if (!wanted(index)) { element.remove(); drawn.delete(index); }
  }
  for (let index = first; index < last; index += 1) drawRow(index);
  if (kept >= 0) drawRow(kept);
  markCursor();
}

/** Makes every row, until `drawForScreen`: what changes meanwhile does not take rows from the paper. */
export function drawForPaper() {
  onPaper = true;
  draw();
}

export function drawForScreen() {
  onPaper = false;
  draw();
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
