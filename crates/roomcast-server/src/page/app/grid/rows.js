// One row of the grid: a room, a group, or the building.

import { count, decimal, t } from '../core/language.js';
import { h } from '../core/tools.js';
import { bare, clock, DAY, happened, HOURS, likelihood, percent, stamp, weekday } from '../core/words.js';
import { isGrouped } from '../core/groups.js';
import { isPlan, route, state } from '../core/state.js';
import { blockOf, filling, isOnNow, when24 } from '../plan/plan.js';

export const isMidnight = (hour) => hour > 0 && clock(state.starts[hour]) === '00:00';
export const midnight = (hour) => (isMidnight(hour) ? ' midnight' : '');

/** A row of counts: the whole building, or one group. */
export function rowOf(row, position, title, short = title) {
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
    name, cells, isPlan() ? onAndOffOf(row) : [side(1 + HOURS, '', t('side.none')), firstSide(row.first)]);
}

/** How many rooms are on, or expected in use. */
const counted = (n, size) => t(isPlan() ? 'count.on' : 'count.used', { shown: n, n: size });

/** What is shown is part of what is read out. */
function side(column, text, said) {
  const label = said.includes(text) ? said : `${text}, ${said}`;
  return h('div', { role: 'gridcell', tabIndex: -1, 'aria-colindex': column + 1, 'data-column': column, className: 'num', title: said, 'aria-label': label }, text);
}

export const oddities = (row) => [row.status === 'live' ? null : row.status, row.chattering ? 'chattering' : null].filter(Boolean).map((flag) => t(`flag.${flag}`));

export function roomRow(row, position) {
  const flags = oddities(row);
  const label = isGrouped() && !state.floors.size ? row.rest : row.name;
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

/** The end of a block; with its weekday where a whole day or more lies between, so that 16:00 to 16:30 is not read as half an hour. */
const endOf = (start, end) => (stamp(end) - stamp(start) < DAY ? clock(end) : t('when.day', { day: weekday(end), time: clock(end) }));

/** When the first rooms of a group go on, and the last off. */
function onAndOffOf(group) {
  const { on, off } = group;
  if (!off) return [side(1 + HOURS, '', t('side.none')), side(2 + HOURS, '', t('side.none'))];
  const [from, until] = [Math.max(on, stamp(state.starts[0])), off].map((time) => new Date(time).toISOString());
  const first = isOnNow(group) ? side(1 + HOURS, t('now'), t('side.onNow')) : side(1 + HOURS, clock(from), t('side.firstOn', { time: when24(from) }));
  return [first, side(2 + HOURS, endOf(from, until), t('side.lastOff', { time: when24(until) }))];
}

/** When a room goes on next, and off again. */
function onAndOff(row) {
  const [block] = row.blocks;
  if (!block) return [side(1 + HOURS, '–', t('side.off')), side(2 + HOURS, '', t('side.off'))];
  const again = row.blocks[1];
  const off = { time: when24(block.end), again: again && when24(again.start) };
  return [isOnNow(row) ? side(1 + HOURS, t('now'), t('side.onNow')) : side(1 + HOURS, clock(block.start), t('side.onAt', { time: when24(block.start) })),
    side(2 + HOURS, again ? t('side.more', { time: clock(block.end), n: row.blocks.length - 1 }) : endOf(block.start, block.end), t(again ? 'side.offAndOn' : 'side.offAt', off))];
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
