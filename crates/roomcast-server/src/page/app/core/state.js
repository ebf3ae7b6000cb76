// What is shown: the address, the forecast, and which rooms in which order.

import { $, collator, sum, tell } from './tools.js';
import { HOURS, stamp, wall } from './words.js';

/** `at`: origin or null for the latest; `room` and `hour`, or `view=model`: what the panel shows. */
export const route = { at: null, room: null, hour: null, view: null };

export function readRoute() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const at = hash.get('at');
  return {
    at: at && !Number.isNaN(stamp(at)) ? wall(at) : null,
    room: hash.get('room'),
    hour: hash.get('hour'),
    view: hash.get('view') === 'model' ? 'model' : null,
  };
}

export function go(change, replace = false) {
  const next = { ...route, ...change };
  const given = Object.entries(next).filter(([, value]) => value);
  const address = given.length ? `#${new URLSearchParams(given)}` : location.pathname;
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  tell('route');
}

export const closePanel = () => go({ room: null, hour: null, view: null });

export const state = {
  /** What is the same for all rooms, as the server sends it. */
  forecast: null,
  models: null,
  /** What needs attention now. */
  alerts: [],
  /** `plan` (when to switch on) or `chances` (the heat map). */
  board: 'plan',
  /** What the plan promises, as `/schedule` says it. */
  promise: null,
  rooms: [],
  /** The same by name. */
  named: new Map(),
  /** Rows of the grid: `{kind: 'group' | 'room', key, …}`. */
  rows: [],
  folded: new Set(),
  starts: [],
  /** First and last reading of all. */
  from: null,
  until: null,
  past: false,
};

const LETTERS = { o: 'occupied', v: 'vacant', u: 'unobserved' };

/** The rooms of a forecast as the server sends it. */
export function roomsOf({ devices, sources, statuses, chances, threshold, actual = [], chattering, silent_since: since }) {
  const noisy = new Set(chattering);
  return devices.map((name, at) => room({
    name,
    status: statuses[at],
    source: sources[at],
    chattering: noisy.has(name),
    /** Its last reading, if it is silent. */
    last: since[name],
    // Chances come in thousandths, rounded down.
    chances: chances[at].map((part) => (part + 0.5) / 1000),
    used: chances[at].map((part) => part >= threshold),
    /** What happened, by hour, as far as it has. */
    actual: [...(actual[at] ?? '')].map((letter) => LETTERS[letter]),
  }));
}

function room(about) {
  const { name, chances, used } = about;
  const cut = name.includes('/') ? name.lastIndexOf('/') : name.lastIndexOf('_');
  const first = used.indexOf(true);
  return {
    ...about,
    kind: 'room',
    key: name,
    prefix: cut > 0 ? name.slice(0, cut) : '',
    rest: cut > 0 ? name.slice(cut + 1) : name,
    expected: sum(chances),
    first: first < 0 ? null : first,
    blocks: [],
    parts: [],
    on: Infinity,
    hoursOn: 0,
  };
}

export const FILTERS = [
  ['all', 'All rooms', () => true],
  ['used', 'Expected in use', (each) => each.first !== null],
  ['unused', 'Not expected in use', (each) => each.first === null],
  ['silent', 'Silent sensors', (each) => each.status === 'silent'],
  ['chattering', 'Chattering sensors', (each) => each.chattering],
  ['new', 'New sensors', (each) => each.status === 'new'],
];

export const isPlan = () => state.board === 'plan';
const earliest = (row) => (isPlan() ? row.on : row.first ?? HOURS);
const most = (row) => (isPlan() ? row.hoursOn : row.expected);

const ORDERS = {
  name: (a, b) => collator.compare(a.name, b.name),
  hours: (a, b) => most(b) - most(a) || ORDERS.name(a, b),
  first: (a, b) => (earliest(a) === earliest(b) ? ORDERS.name(a, b) : earliest(a) - earliest(b)),
};

/** How many of the rooms are on, or expected in use, per hour. */
export function tally(rooms) {
  const counts = isPlan() ? (row, hour) => row.parts[hour]?.length : (row, hour) => row.used[hour];
  return state.starts.map((_, hour) => rooms.filter((row) => counts(row, hour)).length);
}

export function arrange() {
  const wanted = $('search').value.trim().toLowerCase();
  const passes = FILTERS.find(([id]) => id === $('show').value)?.[2] ?? FILTERS[0][2];
  const shown = state.rooms
    .filter((each) => passes(each) && each.name.toLowerCase().includes(wanted))
    .sort(ORDERS[$('sort').value] ?? ORDERS.name);
  const grouped = $('group').checked && !$('group-field').hidden;
  state.rows = grouped ? groups(shown) : shown;
  return shown;
}

function groups(rooms) {
  const by = new Map();
  for (const each of rooms) by.set(each.prefix, [...(by.get(each.prefix) ?? []), each]);
  const prefixes = [...by.keys()].sort(collator.compare);
  return prefixes.flatMap((prefix) => {
    const members = by.get(prefix);
    const folded = state.folded.has(prefix);
    const head = { kind: 'group', key: `\n${prefix}`, prefix, folded, size: members.length, tally: tally(members) };
    return [head, ...(folded ? [] : members)];
  });
}

/** Whether grouping says something: several prefixes, and not one for every room. */
export function groupable() {
  const prefixes = new Set(state.rooms.map((each) => each.prefix));
  return prefixes.size > 1 && prefixes.size < state.rooms.length;
}

/** The origin asked for, even while its forecast is on the way. */
export const originOf = () => route.at ?? wall(state.forecast.origin);
