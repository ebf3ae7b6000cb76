// Groups of rooms: floors where the server knows them, else what names have in common.

import { collator } from './language.js';
import { $, greatestOf, leastOf, sum } from './tools.js';
import { stamp } from './words.js';
import { firstOf, found, isPlan, state, tally } from './state.js';

/** With more rooms than this, groups are folded at first. */
const MOST_UNFOLDED = 60;

/** The group of a room: its floor, where the server knows floors; a room without one is among the others. */
const groupOf = (row) => (state.floors.size ? state.floors.get(row.name) ?? '' : row.prefix);

/** Whether grouping says something: several groups, and not one for every room. */
export function groupable() {
  const names = new Set(state.rooms.map(groupOf));
  return names.size > 1 && names.size < state.rooms.length;
}

export const isGrouped = () => $('group').checked && !$('group-field').hidden;

/** Whether a group is folded. Who searches sees what is found. */
const isFolded = (name) => !$('search').value.trim() && (state.rooms.length > MOST_UNFOLDED) !== state.turned.has(name);

/** Folds a group, or unfolds it. */
export function turn(name) {
  if (!state.turned.delete(name)) state.turned.add(name);
}

/** A row for a group: hours in which its rooms are on or in use, and when the first goes on and the last off; one room in twenty is left out. */
function head(name, members) {
  const on = members.filter((row) => row.blocks.length);
  return {
    kind: 'group', key: `\n${name}`, prefix: name, folded: isFolded(name), size: members.length, tally: tally(members), first: firstOf(members),
    on: on.length ? leastOf(on.map((row) => row.on)) : Infinity,
    off: on.length ? greatestOf(on.map((row) => stamp(row.blocks.at(-1).end))) : null,
    most: sum(members.map((row) => (isPlan() ? row.hoursOn : row.expected))),
  };
}

const GROUP_ORDERS = {
  name: (a, b) => collator.compare(a.prefix, b.prefix),
  hours: (a, b) => b.most - a.most || GROUP_ORDERS.name(a, b),
  first: (a, b) => {
    const [mine, other] = [a, b].map((each) => (isPlan() ? each.on : each.first ?? Infinity));
    return mine === other ? GROUP_ORDERS.name(a, b) : mine - other;
  },
};

/** Rooms in their order, below a row for each group. */
function groups(rooms) {
  const by = new Map();
  for (const each of rooms) {
    const name = groupOf(each);
    if (!by.has(name)) by.set(name, []);
    by.get(name).push(each);
  }
  const heads = [...by].map(([name, members]) => head(name, members)).sort(GROUP_ORDERS[$('sort').value] ?? GROUP_ORDERS.name);
  return heads.flatMap((each) => [each, ...(each.folded ? [] : by.get(each.prefix))]);
}

/** Lays the rows out, and returns the rooms that are found. */
export function arrange() {
  const shown = found();
  state.rows = isGrouped() ? groups(shown) : shown;
  return shown;
}
