// What is shown: the address, the forecast, and which rooms in which order.

import { collator } from './language.js';
import { $, leastOf, sum, tell } from './tools.js';
import { DAY, HOURS, stamp, wall } from './words.js';

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
  /** `plan` (when to switch on), `chances` (the heat map) or `use` (utilisation). */
  board: 'plan',
  /** What the plan promises, as `/schedule` says it. */
  promise: null,
  /** The rule of the plan's blocks, as `/schedule` says it. */
  rule: null,
  /** What the last schedules were worth, as `/ledger` says it, and the devices of the schedule of seven days. */
  ledger: null,
  week: null,
  rooms: [],
  /** The same by name. */
  named: new Map(),
  /** Rows of the grid: `{kind: 'group' | 'room', key, …}`. */
  rows: [],
  /** Groups that were folded or unfolded by hand, and the floors of rooms by name, where the server knows them. */
  turned: new Set(),
  floors: new Map(),
  /** The floors of rooms as the API names them. */
  series: new Map(),
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

/** With more rooms than this the days to come are fetched when somebody asks for them. */
const MOST_ROOMS_AHEAD = 500;
export const isWeekLarge = () => state.rooms.length > MOST_ROOMS_AHEAD && !state.week;

export const FILTERS = [
  ['all', () => true],
  ['used', (each) => isUsed(each)],
  ['unused', (each) => !isUsed(each)],
  ['silent', (each) => each.status === 'silent'],
  ['chattering', (each) => each.chattering],
  ['new', (each) => each.status === 'new'],
];

export const isPlan = () => state.board === 'plan';
/** Whether a room is on in the plan, or more likely in use than empty in some hour. */
const isUsed = (row) => (isPlan() ? row.blocks.length > 0 : row.first !== null);
const earliest = (row) => (isPlan() ? row.on : row.first ?? HOURS);
const most = (row) => (isPlan() ? row.hoursOn : row.expected);

const ORDERS = {
  name: (a, b) => collator.compare(a.name, b.name),
  hours: (a, b) => most(b) - most(a) || ORDERS.name(a, b),
  first: (a, b) => (earliest(a) === earliest(b) ? ORDERS.name(a, b) : earliest(a) - earliest(b)),
};

/** The first hour in which rooms are expected in use. */
export const firstOf = (rooms) => leastOf(rooms.map((row) => row.first).filter((hour) => hour !== null)) ?? null;

/** How many of the rooms are on, or expected in use, per hour. */
export function tally(rooms) {
  const counts = isPlan() ? (row, hour) => row.parts[hour]?.length : (row, hour) => row.used[hour];
  return state.starts.map((_, hour) => rooms.filter((row) => counts(row, hour)).length);
}

/** The rooms that are found, in the order that is chosen. */
export function found() {
  const wanted = $('search').value.trim().toLowerCase();
  const passes = FILTERS.find(([id]) => id === $('show').value)?.[1] ?? FILTERS[0][1];
  return state.rooms
    .filter((each) => passes(each) && each.name.toLowerCase().includes(wanted))
    .sort(ORDERS[$('sort').value] ?? ORDERS.name);
}

/** Whether the forecast is one of now, and not of a day of the past or of a file that ended long ago. */
export const isPresent = () => !route.at && Math.abs(Date.now() - stamp(state.forecast.origin)) < 2 * DAY;

/** The origin asked for, even while its forecast is on the way. */
export const originOf = () => route.at ?? wall(state.forecast.origin);
