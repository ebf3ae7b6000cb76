// The grid by keyboard and pointer, and the tooltip.

import { t } from '../core/language.js';
import { $, h } from '../core/tools.js';
import { capital, date, happened, HOURS, likelihood, percent, span, wall } from '../core/words.js';
import { arrange, turn } from '../core/groups.js';
import { go, isPlan, route, state } from '../core/state.js';
import { blockOf, when24 } from '../plan/plan.js';
import { cursor, draw, focusCursor, keyIndex, markCursor, redraw, rowHeight, showRows, SUM } from './grid.js';

/** Moves to the row at `index` (-1: the building) and to a column, and into sight. */
function moveTo(index, column) {
  const row = Math.max(-1, Math.min(state.rows.length - 1, index));
  cursor.key = row < 0 ? SUM : state.rows[row].key;
  cursor.column = Math.max(0, Math.min(HOURS + 2, column));
  if (row >= 0) intoSight(row);
  draw();
  focusCursor();
}

function intoSight(index) {
  const top = $('grid-body').getBoundingClientRect().top + index * rowHeight;
  const ceiling = $('grid-head').getBoundingClientRect().height + 8;
  if (top < ceiling) scrollBy(0, top - ceiling);
  else if (top + 2 * rowHeight > innerHeight) scrollBy(0, top + 2 * rowHeight - innerHeight);
}

function onGridKey(event) {
  const index = keyIndex(cursor.key) - 1;
  const page = Math.max(1, Math.floor(innerHeight / rowHeight) - 6);
  const far = event.ctrlKey || event.metaKey;
  const moves = {
    ArrowLeft: [index, cursor.column - 1], ArrowRight: [index, cursor.column + 1],
    ArrowUp: [index - 1, cursor.column], ArrowDown: [index + 1, cursor.column],
    PageUp: [Math.max(0, index - page), cursor.column], PageDown: [index + page, cursor.column],
    Home: [far ? 0 : index, 0], End: [far ? state.rows.length - 1 : index, HOURS + 2],
  };
  if (moves[event.key] && !event.altKey) {
    event.preventDefault();
    moveTo(...moves[event.key]);
  } else if (event.key === 'Enter' || event.key === ' ') {
    event.preventDefault();
    activate(event.target.closest('[data-column]'));
  }
}

function activate(cell) {
  const key = cell?.closest('.row')?.dataset.key;
  const row = state.rows.find((each) => each.key === key);
  if (!row) return;
  cursor.key = key;
  cursor.column = Number(cell.dataset.column);
  if (row.kind === 'group') {
    turn(row.prefix);
    showRows();
    focusCursor();
    return;
  }
  const hour = cursor.column >= 1 && cursor.column <= HOURS ? state.starts[cursor.column - 1] : null;
  go({ room: row.name, hour: hour && wall(hour), view: null }, Boolean(route.room));
}

function showTip(cell) {
  const tip = $('tip');
  const row = state.rows.find((each) => each.key === cell?.closest('.row')?.dataset.key);
  const column = Number(cell?.dataset.column);
  tip.hidden = !cell || !(column >= 1 && column <= HOURS);
  if (tip.hidden) return;
  const hour = column - 1;
  tip.replaceChildren(...(row?.kind === 'room' ? roomTip(row, hour) : countTip(row, cell, hour)));
  place(tip, cell.getBoundingClientRect());
}

function roomTip(row, hour) {
  const actual = state.past ? row.actual[hour] : null;
  return [
    h('span', { className: 'tip-head' }, `${row.name} · ${date(state.starts[hour])}, ${span(state.starts[hour])}`),
    ...(isPlan() ? planTip(row, hour) : chanceTip(row, hour)),
    actual ? h('span', { className: 'tip-was' }, capital(happened(actual))) : null,
  ].filter(Boolean);
}

function chanceTip(row, hour) {
  const p = row.chances[hour];
  return [h('strong', {}, t('cell.chance', { chance: percent(p) })), h('span', {}, `${likelihood(p)}${row.used[hour] ? `; ${t('cell.used')}` : ''}`)];
}

function planTip(row, hour) {
  const block = blockOf(row, hour);
  const [from, until] = block ? [when24(block.occupied_from), when24(block.occupied_until)] : [];
  return [h('strong', {}, block ? t('tip.on', { from: when24(block.start), until: when24(block.end) }) : t('tip.off')),
    block ? h('span', {}, t('block.use', { from, until })) : null,
    h('span', {}, t('cell.chance', { chance: percent(row.chances[hour]) }))];
}

function countTip(row, cell, hour) {
  return [
    h('span', { className: 'tip-head' }, `${row?.prefix ?? t('tip.all')} · ${date(state.starts[hour])}, ${span(state.starts[hour])}`),
    h('strong', {}, cell.getAttribute('aria-label').split(', ').slice(1).join(', ')),
  ];
}

export function place(tip, box) {
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.max(8, Math.min(innerWidth - width - 8, box.left + box.width / 2 - width / 2));
  const above = box.top - height - 10;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > $('grid-head').getBoundingClientRect().height ? above : box.bottom + 12}px`;
}

export const hideTip = () => { $('tip').hidden = true; };

export function listenToGrid() {
  const grid = $('rooms');
  grid.addEventListener('keydown', onGridKey);
  grid.addEventListener('click', (event) => activate(event.target.closest('[data-column]')));
  grid.addEventListener('pointerover', (event) => { if (event.pointerType !== 'touch') showTip(event.target.closest('[data-column]')); });
  grid.addEventListener('pointerleave', hideTip);
  grid.addEventListener('focusout', hideTip);
  grid.addEventListener('focusin', (event) => {
    const cell = event.target.closest('[data-column]');
    if (!cell) return;
    cursor.key = cell.closest('.row').dataset.key;
    cursor.column = Number(cell.dataset.column);
    markCursor();
    showTip(cell);
  });
  let frame = 0;
  const later = () => { frame = frame || requestAnimationFrame(() => { frame = 0; hideTip(); draw(); }); };
  addEventListener('scroll', later, { passive: true });
  addEventListener('resize', () => { if (state.forecast) { hideTip(); redraw(arrange()); } });
}
