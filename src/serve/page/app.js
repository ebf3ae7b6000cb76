// Roomcast's page: rooms by the next 24 hours, one room in detail, the health of sensors and model.
//
// Times in the API are the site's local time; they are shown as they stand and never moved to the
// browser's zone. `wall` is their first 19 characters, `2016-08-25T10:00:00`.
//
// In order: small tools, times and words, the API, the address, rooms, the grid, tooltip and keys,
// the panel with a room or the model, sign-in, start.

// ---------------------------------------------------------------- small tools

const $ = (id) => document.getElementById(id);

/** An HTML element. Properties are set as properties, `data-`, `aria-` and `role` as attributes. */
function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element; all properties become attributes. */
function s(tag, props = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (/^(aria-|data-|role$|for$|colspan$|scope$)/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function announce(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });
const sum = (values) => values.reduce((a, b) => a + b, 0);
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? '' : 's'}`;
const count = (n) => n.toLocaleString('en-GB');
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** Runs at most `width` of the tasks at once. */
function queue(width) {
  const waiting = [];
  let running = 0;
  const next = () => {
    while (running < width && waiting.length) {
      running += 1;
      waiting.shift()().finally(() => { running -= 1; next(); });
    }
  };
  return { add: (task) => { waiting.push(task); next(); }, clear: () => { waiting.length = 0; } };
}

// ---------------------------------------------------------------- times and words

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const HOURS = 24;

const wall = (text) => text.slice(0, 19).replace(' ', 'T');
const stamp = (text) => Date.parse(`${wall(text)}Z`);
const clock = (text) => text.slice(11, 16);
const shift = (text, by) => new Date(stamp(text) + by).toISOString().slice(0, 19);
const formats = {
  long: { weekday: 'long', day: 'numeric', month: 'long' },
  short: { weekday: 'short', day: 'numeric', month: 'short' },
  day: { day: 'numeric', month: 'short' },
  year: { day: 'numeric', month: 'long', year: 'numeric' },
};
for (const [name, options] of Object.entries(formats)) {
  formats[name] = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: 'UTC' });
}
const date = (text, form = 'short') => formats[form].format(stamp(text)).replace(',', '');

/** `10:00–11:00`. */
function span(start) {
  return `${clock(start)}–${clock(shift(start, HOUR))}`;
}

/** How long ago a real instant was, roughly. */
function ago(text) {
  const hours = Math.max(0, (Date.now() - Date.parse(text)) / HOUR);
  if (!Number.isFinite(hours)) return 'of unknown age';
  if (hours < 1) return 'less than an hour old';
  if (hours < 48) return `${plural(Math.round(hours), 'hour')} old`;
  return `${plural(Math.round(hours / 24), 'day')} old`;
}

/** A chance as a whole percentage; never 0 or 100, which it is not. */
function percent(p) {
  if (p > 0 && p < 0.005) return '<1 %';
  if (p < 1 && p >= 0.995) return '>99 %';
  return `${Math.round(p * 100)} %`;
}
const bare = (p) => percent(p).replace(' %', '');

function likelihood(p) {
  const steps = [[0.03, 'almost certainly empty'], [0.2, 'probably empty'], [0.4, 'more likely empty'],
    [0.6, 'could go either way'], [0.8, 'likely in use'], [0.97, 'very likely in use']];
  return (steps.find(([below]) => p < below) ?? [1, 'almost certainly in use'])[1];
}

const happened = { occupied: 'was in use', vacant: 'was empty', unobserved: 'was not observed' };

// ---------------------------------------------------------------- the API

const KEY = 'roomcast.token';
const token = {
  get: () => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY),
  set(value, remember) {
    token.clear();
    (remember ? localStorage : sessionStorage).setItem(KEY, value);
  },
  clear() {
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
  },
};

/** What the server answered instead of data: a problem document, or what comes nearest to one. */
class Problem extends Error {
  constructor({ title, hint, detail, status }) {
    super(title || `The server answered ${status}`);
    this.hint = hint || detail || '';
    this.status = status;
  }
}

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

async function ask(path, parameters = {}, secret = token.get(), patience = 2) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  const headers = secret ? { Authorization: `Bearer ${secret}` } : {};
  const address = query.size ? `${path}?${query}` : path;
  const answer = await fetch(address, { headers }).catch(() => {
    throw new Problem({ title: 'The server does not answer', hint: 'It may be restarting; this page tries again every minute.' });
  });
  if (answer.ok) return answer;
  if ((answer.status === 429 || answer.status === 503) && patience > 0) {
    await pause(Math.min(10, Number(answer.headers.get('Retry-After')) || 1));
    return ask(path, parameters, secret, patience - 1);
  }
  const problem = await answer.json().catch(() => ({}));
  throw new Problem({ ...problem, status: answer.status });
}

const get = async (path, parameters) => {
  try {
    return await (await ask(path, parameters)).json();
  } catch (problem) {
    if (problem.status === 401) signIn(problem);
    throw problem;
  }
};

const device = (name) => `/devices/${encodeURIComponent(name)}`;

// ---------------------------------------------------------------- the address: what is shown

/** `at`: origin or null for the latest; `room` and `hour`, or `view=model`: what the panel shows. */
let route = { at: null, room: null, hour: null, view: null };

function readRoute() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const at = hash.get('at');
  return {
    at: at && !Number.isNaN(stamp(at)) ? wall(at) : null,
    room: hash.get('room'),
    hour: hash.get('hour'),
    view: hash.get('view') === 'model' ? 'model' : null,
  };
}

function go(change, replace = false) {
  const next = { ...route, ...change };
  const given = Object.entries(next).filter(([, value]) => value);
  const address = given.length ? `#${new URLSearchParams(given)}` : location.pathname;
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  follow();
}

function follow() {
  const before = route;
  route = readRoute();
  if (route.at !== before.at) load();
  else showPanel();
}

// ---------------------------------------------------------------- rooms

const state = {
  forecast: null,
  devices: new Map(),
  models: null,
  rooms: [],
  /** Rows of the grid: `{kind: 'group' | 'room', key, …}`. */
  rows: [],
  folded: new Set(),
  starts: [],
  /** First and last reading of all. */
  from: null,
  until: null,
  past: false,
  /** Per room, what happened: start → state. */
  actual: new Map(),
};
let run = 0;

async function load(quiet = false) {
  const mine = (run += 1);
  if (!quiet) document.body.classList.add('busy');
  if (!state.forecast) announce($('lead'), 'Reading the forecast…');
  try {
    const [forecast, devices, models] = await Promise.all([
      get('/predict', { at: route.at }),
      get('/devices'),
      get('/models'),
    ]);
    if (mine !== run) return;
    showError(null);
    accept(forecast, devices.devices, models);
  } catch (problem) {
    if (mine === run && problem.status !== 401) showError(problem);
  } finally {
    if (mine === run) document.body.classList.remove('busy');
  }
}

function accept(forecast, devices, models) {
  if (forecast.origin !== state.forecast?.origin) {
    state.actual.clear();
    histories.clear();
  }
  state.forecast = forecast;
  state.models = models;
  state.devices = new Map(devices.map((each) => [each.device, each]));
  state.rooms = forecast.devices.map(room);
  state.starts = forecast.devices[0]?.hours.map((hour) => hour.start) ?? [];
  const firsts = devices.map((each) => each.first_reading).filter(Boolean);
  const lasts = devices.map((each) => each.last_reading).filter(Boolean);
  state.from = firsts.length ? firsts.reduce((a, b) => (a < b ? a : b)) : null;
  state.until = lasts.length ? lasts.reduce((a, b) => (a > b ? a : b)) : null;
  state.past = Boolean(state.starts.length && state.until && stamp(state.starts[0]) < stamp(state.until));
  showAll();
}

function room(forecast) {
  const name = forecast.device;
  const cut = name.includes('/') ? name.lastIndexOf('/') : name.lastIndexOf('_');
  const first = forecast.hours.findIndex((hour) => hour.state === 1);
  return {
    kind: 'room',
    key: name,
    name,
    prefix: cut > 0 ? name.slice(0, cut) : '',
    rest: cut > 0 ? name.slice(cut + 1) : name,
    status: forecast.status,
    source: forecast.source,
    until: forecast.data_until,
    chances: forecast.hours.map((hour) => hour.probability),
    used: forecast.hours.map((hour) => hour.state === 1),
    expected: sum(forecast.hours.map((hour) => hour.probability)),
    first: first < 0 ? null : first,
    chattering: Boolean(state.devices.get(name)?.chattering),
  };
}

const FILTERS = [
  ['all', 'All rooms', () => true],
  ['used', 'Expected in use', (each) => each.first !== null],
  ['unused', 'Not expected in use', (each) => each.first === null],
  ['silent', 'Silent sensors', (each) => each.status === 'silent'],
  ['chattering', 'Chattering sensors', (each) => each.chattering],
  ['new', 'New sensors', (each) => each.status === 'new'],
];

const ORDERS = {
  name: (a, b) => collator.compare(a.name, b.name),
  hours: (a, b) => b.expected - a.expected || ORDERS.name(a, b),
  first: (a, b) => (a.first ?? HOURS) - (b.first ?? HOURS) || ORDERS.name(a, b),
};

/** How many of the rooms are expected in use, per hour. */
function tally(rooms) {
  return state.starts.map((_, hour) => rooms.filter((each) => each.used[hour]).length);
}

function arrange() {
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
function groupable() {
  const prefixes = new Set(state.rooms.map((each) => each.prefix));
  return prefixes.size > 1 && prefixes.size < state.rooms.length;
}

// ---------------------------------------------------------------- head, tools, notices

function showAll() {
  $('board').hidden = false;
  $('sign-out').hidden = !token.get();
  document.body.classList.toggle('compare', state.past);
  const able = groupable();
  if ($('group-field').hidden && able) $('group').checked = prefers('group', state.rooms.length > 30);
  $('group-field').hidden = !able;
  showFilters();
  showHead();
  showTimes();
  showRows();
  showPanel();
}

function showHead() {
  const head = headline();
  announce($('headline'), head);
  document.title = `${head} · Roomcast`;
  const until = state.forecast.data_until;
  announce($('lead'), `${until ? `Made from readings until ${date(until, 'year')}, ${clock(until)}. ` : ''}The chances are calibrated: of all ` +
    'hours given 30 %, about 30 % turn out in use.');
  const failing = state.models?.error;
  $('open-model').hidden = false;
  $('open-model').textContent = failing ? 'Model health: problem' : 'Model health';
  showNotice(until);
}

function headline() {
  const all = state.rooms.length;
  if (!all) return 'No rooms yet';
  const counts = tally(state.rooms);
  const most = Math.max(...counts);
  if (most === 0) return `${date(state.starts[0], 'long')}: no room expected in use for 24 hours`;
  const peak = state.starts[counts.indexOf(most)];
  const first = state.starts[counts.findIndex((n) => n > 0)];
  const day = date(peak, 'long');
  const said = `${day}: ${count(most)} of ${plural(all, 'room')} expected in use at ${clock(peak)}`;
  if (first === peak) return `${said}; none before`;
  return `${said}; first ${date(first, 'long') === day ? '' : `on ${date(first, 'long').split(' ')[0]} `}at ${clock(first)}`;
}

/** Says when nothing has come in for days. */
function showNotice(until) {
  const stale = Boolean(until && !route.at && Date.now() - stamp(until) > 3 * DAY);
  $('notice').hidden = !stale;
  if (stale) announce($('notice'), `No reading has come in since ${date(until, 'year')}, ${clock(until)}. The forecast is made as of then.`);
}

function showFilters() {
  const select = $('show');
  const chosen = select.value || 'all';
  select.replaceChildren(...FILTERS.map(([id, label, passes]) => {
    const n = state.rooms.filter(passes).length;
    return h('option', { value: id, disabled: n === 0 && id !== chosen }, id === 'all' ? label : `${label} (${count(n)})`);
  }));
  select.value = chosen;
}

function showTimes() {
  const input = $('at');
  const latest = !route.at;
  if (document.activeElement !== input) input.value = originOf().slice(0, 16);
  if (state.from) input.min = wall(state.from).slice(0, 16);
  $('latest').setAttribute('aria-pressed', String(latest));
  $('day-on').disabled = latest;
  $('day-back').disabled = !state.from || stamp(midnightBy(-1)) <= stamp(state.from);
}

/** The midnight before or after the origin. */
function midnightBy(days) {
  const origin = stamp(originOf());
  const today = Math.floor(origin / DAY) * DAY;
  return shift(originOf(), today - origin + (days > 0 ? DAY : today === origin ? -DAY : 0));
}

function step(days) {
  const next = midnightBy(days);
  go({ at: days > 0 && state.until && stamp(next) > stamp(state.until) ? null : next, hour: null });
}

function showError(problem) {
  const box = $('error');
  box.hidden = !problem;
  if (!problem) return;
  const again = h('button', { type: 'button', className: 'link', onclick: () => load() }, 'Try again');
  const latest = h('button', { type: 'button', className: 'link', onclick: () => go({ at: null }) }, 'Go to the latest forecast');
  box.replaceChildren(h('strong', {}, problem.message), ' ', problem.hint, ' ', again, route.at ? latest : '');
}

// ---------------------------------------------------------------- the grid

/** Where the keyboard is: a row's key and a column, 0 the name, 1 to 24 the hours, then hours and first. */
const cursor = { key: null, column: 0 };
const SUM = '\nall';
const drawn = new Map();
let rowHeight = 34;

function showRows() {
  const shown = arrange();
  const grid = $('rooms');
  grid.setAttribute('aria-label', `Chance of use, ${plural(shown.length, 'room')} by hour`);
  grid.setAttribute('aria-rowcount', state.rows.length + 2);
  grid.hidden = !shown.length;
  announce($('count'), shown.length === state.rooms.length ? plural(shown.length, 'room') : `${count(shown.length)} of ${plural(state.rooms.length, 'room')}`);
  showEmpty(shown.length);
  showHindsight();
  if (!keyIndex(cursor.key) && cursor.key !== SUM) cursor.key = state.rows[0]?.key ?? null;
  redraw(shown);
}

const keyIndex = (key) => 1 + state.rows.findIndex((row) => row.key === key);

/** Draws everything anew and puts the focus back where it was. */
function redraw(shown) {
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
  const titles = [['Hours', 'Expected hours in use'], ['First', 'First hour expected in use']].map(([text, label], i) =>
    h('div', { role: 'columnheader', 'aria-colindex': 26 + i, 'aria-label': label, title: label, className: 'num' }, text));
  const total = { kind: 'sum', key: SUM, size: shown.length, tally: tally(shown) };
  const name = h('div', { role: 'columnheader', 'aria-colindex': 1, className: 'name' }, 'Room');
  $('grid-head').replaceChildren(
    h('div', { role: 'row', 'aria-rowindex': 1, className: 'row labels' }, name, hours, titles),
    rowOf(total, 2, 'Rooms expected in use', 'In use'),
  );
}

const isMidnight = (hour) => hour > 0 && clock(state.starts[hour]) === '00:00';
const midnight = (hour) => (isMidnight(hour) ? ' midnight' : '');

/** Makes the rows in sight, and only these. */
function draw() {
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
  if (state.past) fetchActual(first, last);
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
      'aria-label': `${clock(state.starts[hour])}, ${count(n)} of ${plural(row.size, 'room')} expected in use`,
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
    name, cells, side(1 + HOURS, '', 'no value'), side(2 + HOURS, first < 0 ? '–' : clock(state.starts[first]), first < 0 ? 'none expected in use' : `first in use at ${clock(state.starts[first])}`));
}

function side(column, text, label) {
  return h('div', { role: 'gridcell', tabIndex: -1, 'aria-colindex': column + 1, 'data-column': column, className: 'num', 'aria-label': label }, text);
}

const oddities = (row) => [row.status === 'live' ? null : row.status, row.chattering ? 'chattering' : null].filter(Boolean);

function roomRow(row, position) {
  const flags = oddities(row);
  const label = $('group').checked && !$('group-field').hidden ? row.rest : row.name;
  const name = h('div', {
    role: 'rowheader', tabIndex: -1, 'aria-colindex': 1, 'data-column': 0, className: 'name', title: row.name,
    'aria-label': [row.name, ...flags.map((flag) => `${flag} sensor`)].join(', '),
  }, h('span', { className: 'label' }, label), flags.map((flag) => h('span', { className: 'tag' }, flag)));
  const first = row.first === null ? null : clock(state.starts[row.first]);
  const element = h('div', { role: 'row', 'aria-rowindex': position, 'data-key': row.key, className: 'row room' },
    name, row.chances.map((_, hour) => cellOf(row, hour)),
    side(1 + HOURS, row.expected.toFixed(1), `${row.expected.toFixed(1)} hours expected in use`),
    side(2 + HOURS, first ?? '–', first ? `first in use at ${first}` : 'none expected in use'));
  element.classList.toggle('open', route.room === row.name);
  return element;
}

function cellOf(row, hour) {
  const p = row.chances[hour];
  const actual = state.past ? state.actual.get(row.name)?.get(state.starts[hour]) : undefined;
  const classes = ['cell', row.used[hour] && 'on', p < 0.005 && 'nil', p > 0.65 ? 'deep' : p > 0.5 && 'mid', actual && `was-${actual}`].filter(Boolean).join(' ');
  const cell = h('div', {
    role: 'gridcell', tabIndex: -1, 'aria-colindex': hour + 2, 'data-column': hour + 1, className: classes + midnight(hour),
    'aria-label': inWords(row, hour, actual),
  }, h('span', {}, bare(p)));
  cell.style.setProperty('--p', p.toFixed(3));
  return cell;
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
  if (n > 0) return;
  if (!state.rooms.length) {
    empty.replaceChildren('This server has no readings yet. Rooms appear here with their first reading.');
    return;
  }
  const clear = h('button', { type: 'button', className: 'link', onclick: () => { $('search').value = ''; $('show').value = 'all'; showRows(); } }, 'Show all rooms');
  empty.replaceChildren('No room matches. ', clear);
}

// What happened, fetched for the rows in sight.

const histories = queue(6);
const underway = new Set();
let rested = 0;

/** Once scrolling rests, so that rows which only passed by are not asked for. */
function fetchActual(first, last) {
  clearTimeout(rested);
  rested = setTimeout(() => {
    const origin = state.forecast.origin;
    histories.clear();
    for (const row of state.rows.slice(first, last)) {
      const id = `${origin} ${row.key}`;
      if (row.kind !== 'room' || state.actual.has(row.key) || underway.has(id)) continue;
      histories.add(() => {
        underway.add(id);
        // The page without these marks is whole; they are asked for again when the row comes back.
        return actualOf(row.name, origin).catch(() => {}).finally(() => underway.delete(id));
      });
    }
  }, 120);
}

async function actualOf(name, origin) {
  if (state.actual.has(name) || origin !== state.forecast.origin) return;
  const to = shift(state.starts[HOURS - 1], HOUR);
  const answer = await get(`${device(name)}/history`, { from: wall(state.starts[0]), to });
  if (origin !== state.forecast.origin) return;
  state.actual.set(name, new Map(answer.hours.map((hour) => [hour.start, hour.state])));
  const index = keyIndex(name) - 1;
  const element = drawn.get(index);
  if (element) {
    state.starts.forEach((_, hour) => element.children[hour + 1].replaceWith(cellAgain(element.children[hour + 1], state.rows[index], hour)));
  }
  showHindsight();
}

/** A cell made anew, unless it holds the focus: then it is changed in place. */
function cellAgain(old, row, hour) {
  const fresh = cellOf(row, hour);
  if (old !== document.activeElement) {
    fresh.tabIndex = old.tabIndex;
    return fresh;
  }
  old.className = fresh.className;
  old.setAttribute('aria-label', fresh.getAttribute('aria-label'));
  return old;
}

function showHindsight() {
  const box = $('hindsight');
  let [right, wasted, missed] = [0, 0, 0];
  for (const row of state.rooms) {
    const actual = state.actual.get(row.name);
    state.starts.forEach((start, hour) => {
      const was = actual?.get(start);
      if (was !== 'occupied' && was !== 'vacant') return;
      if ((was === 'occupied') === row.used[hour]) right += 1;
      else if (row.used[hour]) wasted += 1;
      else missed += 1;
    });
  }
  const all = right + wasted + missed;
  box.hidden = !state.past || !all;
  if (box.hidden) return;
  const rooms = state.actual.size < state.rooms.length ? ` in the ${plural(state.actual.size, 'room')} looked at so far` : '';
  announce(box, `In hindsight${rooms}: ${percent(right / all)} of ${plural(all, 'hour')} called right, ` +
    `${plural(missed, 'hour')} in use not expected, ${plural(wasted, 'hour')} expected and empty.`);
}

// ---------------------------------------------------------------- keys, pointer, tooltip

function elementAt(key, column) {
  const row = key === SUM ? $('grid-head').lastChild : drawn.get(keyIndex(key) - 1);
  return row?.children[column] ?? null;
}

function markCursor() {
  for (const old of $('rooms').querySelectorAll('[tabindex="0"]')) old.tabIndex = -1;
  const cell = elementAt(cursor.key, cursor.column);
  if (cell) cell.tabIndex = 0;
}

function focusCursor() {
  markCursor();
  elementAt(cursor.key, cursor.column)?.focus({ preventScroll: true });
}

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
    if (!state.folded.delete(row.prefix)) state.folded.add(row.prefix);
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
  const p = row.chances[hour];
  const actual = state.past ? state.actual.get(row.name)?.get(state.starts[hour]) : null;
  return [
    h('span', { className: 'tip-head' }, `${row.name} · ${date(state.starts[hour])}, ${span(state.starts[hour])}`),
    h('strong', {}, `${percent(p)} chance of use`),
    h('span', {}, `${likelihood(p)}${row.used[hour] ? '; expected in use' : ''}`),
    actual ? h('span', { className: 'tip-was' }, `In fact it ${happened[actual]}`) : null,
  ].filter(Boolean);
}

function countTip(row, cell, hour) {
  return [
    h('span', { className: 'tip-head' }, `${row?.prefix ?? 'All rooms shown'} · ${date(state.starts[hour])}, ${span(state.starts[hour])}`),
    h('strong', {}, cell.getAttribute('aria-label').split(', ')[1]),
  ];
}

function place(tip, box) {
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.max(8, Math.min(innerWidth - width - 8, box.left + box.width / 2 - width / 2));
  const above = box.top - height - 10;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > $('grid-head').getBoundingClientRect().height ? above : box.bottom + 12}px`;
}

const hideTip = () => { $('tip').hidden = true; };

function listenToGrid() {
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

// ---------------------------------------------------------------- the panel

/** What the panel shows now, so that a refresh does not draw it again. */
let shownPanel = '';
/** What its parts wait for. */
const pending = [];

function showPanel() {
  if (!state.forecast) return;
  const row = state.rooms.find((each) => each.name === route.room);
  const kind = route.view ?? (row ? 'room' : null);
  if (route.room && !row) showError(new Problem({ title: `There is no room ${route.room} in this forecast.` }));
  const was = shownPanel;
  shownPanel = kind ? JSON.stringify([kind, route.room, state.starts[0], row?.chances, state.models?.current, state.models?.error]) : '';
  $('open-model').setAttribute('aria-expanded', String(kind === 'model'));
  if (shownPanel !== was) {
    const opened = Boolean(kind) && !was.startsWith(`["${kind}",${JSON.stringify(route.room)}`);
    drawPanel(kind, row, opened, Boolean(was));
  } else if (kind === 'room') {
    selectHour(row);
  }
  for (const element of $('grid-body').children) element.classList.toggle('open', element.dataset.key === route.room);
}

function drawPanel(kind, row, opened, wasOpen) {
  const panel = $('panel');
  document.body.classList.toggle('with-panel', Boolean(kind));
  panel.hidden = !kind;
  const held = [panel.contains(document.activeElement) && document.activeElement.id, panel.scrollTop];
  pending.length = 0;
  if (kind) panel.replaceChildren(...(kind === 'model' ? modelPanel() : roomPanel(row)));
  if (kind === 'room') selectHour(row);
  if (kind && !opened) {
    if (held[0]) $(held[0])?.focus({ preventScroll: true });
    Promise.allSettled(pending).then(() => { panel.scrollTop = held[1]; });
  } else if (opened) {
    panel.scrollTop = 0;
    $('panel-title').focus({ preventScroll: true });
  } else if (!kind && wasOpen) {
    focusCursor();
  }
  if (Boolean(kind) !== wasOpen) redraw(arrange());
}

const closePanel = () => go({ room: null, hour: null, view: null });

function panelHead(title, summary, tags = []) {
  return h('header', { className: 'phead' },
    h('div', {}, h('h2', { id: 'panel-title', tabIndex: -1 }, title), tags.map((text) => h('span', { className: 'tag' }, text))),
    h('button', { type: 'button', className: 'close', 'aria-label': 'Close', title: 'Close (Escape)', onclick: closePanel }, '×'),
    h('p', {}, summary));
}

function part(title, ...content) {
  return h('section', {}, h('h3', {}, title), ...content);
}

/** A part that fills itself once `fetching` is done, or says why it cannot. */
function later(title, fetching, make) {
  pending.push(fetching);
  const section = part(title, h('p', { className: 'small' }, 'Loading…'));
  fetching.then((answer) => section.replaceChildren(section.firstChild, ...[make(answer)].flat().filter(Boolean)))
    .catch((problem) => section.replaceChildren(section.firstChild, complaint(problem)));
  return section;
}

const complaint = (problem) => h('p', { className: 'small' }, h('strong', {}, problem.message), ' ', problem.hint ?? '');

// One room.

function roomPanel(row) {
  const about = get(device(row.name));
  const from = shift(state.starts[0], -28 * DAY);
  const to = state.past ? shift(state.starts[HOURS - 1], HOUR) : wall(state.starts[0]);
  const past = get(`${device(row.name)}/history`, { from, to });
  if (state.past) actualOf(row.name, state.forecast.origin).then(() => drawCurve(row), () => {});
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
  if (!runs.length) return `Not expected in use. Most likely at ${clock(state.starts[top])}, with ${percent(row.chances[top])}.`;
  const text = runs.map((each) => `${clock(state.starts[each.from])}–${clock(shift(state.starts[each.to - 1], HOUR))}`);
  return `Expected in use ${text.join(', ')}; ${row.expected.toFixed(1)} hours in all. Most likely at ${clock(state.starts[top])}, with ${percent(row.chances[top])}.`;
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

function selectHour(row) {
  const hour = chosenHour(row);
  $('hour').value = hour;
  drawCurve(row);
  const mine = `${row.name} ${hour}`;
  $('why').dataset.of = mine;
  get('/explain', { device: row.name, at: state.forecast.origin, hour: state.starts[hour] })
    .then((answer) => explanation(answer), (problem) => [complaint(problem)])
    .then((content) => { if ($('why')?.dataset.of === mine) $('why').replaceChildren(...content); });
}

/** The origin asked for, even while its forecast is on the way. */
const originOf = () => route.at ?? wall(state.forecast.origin);

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
    state.past ? h('span', {}, h('i', { className: 'key was' }), 'was really in use') : null].filter(Boolean);
  $('curve').replaceChildren(svg, h('p', { className: 'small keys' }, ...notes));
}

function drawActual(svg, row, x, wide, y) {
  const actual = state.actual.get(row.name);
  state.starts.forEach((start, hour) => {
    const was = actual?.get(start);
    if (was === 'occupied') svg.append(s('rect', { class: 'was', x: x(hour), y, width: wide, height: 4 }));
    if (was === 'unobserved') svg.append(s('line', { class: 'unk', x1: x(hour) + 2, x2: x(hour) + wide - 1, y1: y + 2, y2: y + 2 }));
  });
}

function label(x, y, text, anchor = 'start', extra = '') {
  return s('text', { x, y, 'text-anchor': anchor, class: extra }, text);
}

// What drove an hour. Features are gathered into a few reasons that a person has words for.

const REASONS = [
  ['the room’s own habit at this hour', /^(prior|hour|hour_before|hour_after)$/],
  ['how the room was used on the last days', /^(recent_shift|last_day|last_day_pull|last_three_pull|lag_1d|lag_2d|share_day|share_week)$/],
  ['the same hour one and two weeks ago', /^(lag_7d|lag_7d_pull|lag_14d)$/],
  ['the day of the week', /^(weekday|weekday_shift)$/],
  ['weekends, holidays and closures', /^(off|off_before|off_after|special)$/],
  ['the rest of the building', /^(building_|others_pull)/],
  ['how busy the room is in general', /^device_level$/],
  ['the hours just before the forecast', /^(state_pull|today|today_pull|since_motion|last_hour|last_three_hours|so_far|elapsed|silence)$/],
  ['how long the room is known', /^history$/],
  ['how far ahead the hour is', /^lead$/],
];

function reasons(contributions) {
  const by = new Map();
  for (const { feature, contribution } of contributions) {
    const name = REASONS.find(([, pattern]) => pattern.test(feature))?.[0] ?? 'other observations';
    by.set(name, (by.get(name) ?? 0) + contribution);
  }
  return [...by].map(([name, size]) => ({ name, size })).sort((a, b) => Math.abs(b.size) - Math.abs(a.size));
}

function strength(size) {
  const direction = size > 0 ? 'more' : 'less';
  if (Math.abs(size) >= 1.5) return `far ${direction} likely`;
  if (Math.abs(size) >= 0.4) return `${direction} likely`;
  return `slightly ${direction} likely`;
}

function explanation(answer) {
  const all = reasons(answer.contributions);
  const listed = all.filter((each) => Math.abs(each.size) >= 0.08).slice(0, 6);
  const widest = Math.max(1, ...listed.map((each) => Math.abs(each.size)));
  const list = listed.map(({ name, size }) => {
    const bar = h('i', { className: size > 0 ? 'up' : 'down' });
    bar.style.width = `${(50 * Math.abs(size)) / widest}%`;
    return h('li', {}, h('span', {}, name[0].toUpperCase() + name.slice(1)), h('b', { 'aria-hidden': 'true' }, bar), h('em', {}, strength(size)));
  });
  const content = [h('p', {}, whySentence(answer, all)), h('ul', { className: 'why' }, list)];
  if (answer.silent_share < 1) content.push(h('p', { className: 'small' }, `The sensor is silent, and few silent rooms turn out in use: the chance is multiplied by ${answer.silent_share.toFixed(2)}.`));
  content.push(everyNumber(answer));
  return content;
}

function whySentence(answer, all) {
  const habit = answer.contributions.find((each) => each.feature === 'prior');
  const usual = habit?.value === null || habit === undefined ? '' : ` The room is usually in use at such an hour ${percent(sigmoid(habit.value))} of the time.`;
  const pro = all.find((each) => each.size >= 0.08);
  const con = all.find((each) => each.size <= -0.08);
  const reason = [pro && `${pro.name} speaks for use`, con && `${con.name} against it`].filter(Boolean).join(', ');
  const [, ...rest] = reason;
  return `${percent(answer.probability)}: ${likelihood(answer.probability)}.${usual} ` +
    (reason ? `Most of all, ${reason[0]}${rest.join('')}.` : 'Nothing else moves the chance much.');
}

function everyNumber(answer) {
  const number = (value) => (value === null || value === undefined ? '–' : value.toFixed(3));
  const row = (name, value, part) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, number(value)), h('td', {}, number(part)));
  return h('details', {}, h('summary', {}, 'Every number'),
    table(['Feature', 'Value', 'Log-odds'], [row('(start)', null, answer.base), ...answer.contributions.map((each) => row(each.feature, each.value, each.contribution))]),
    h('p', { className: 'small' }, `They add up to log-odds of ${answer.score.toFixed(3)}.`));
}

function table(heads, rows) {
  return h('table', {}, h('thead', {}, h('tr', {}, heads.map((head) => h('th', { scope: 'col' }, head)))), h('tbody', {}, rows));
}

// The schedule.

function schedulePart(row) {
  const minutes = (id, text, value) => h('span', {}, h('label', { for: id }, text),
    h('input', { type: 'number', id, min: '0', max: '240', step: '5', value: prefers(id, value), inputMode: 'numeric', required: true }));
  const result = h('div', { 'aria-live': 'polite' });
  const update = () => showSchedule(row, result);
  const inputs = h('p', { className: 'inline' }, minutes('preheat', 'Start before, min', '45'), minutes('setback', 'Stop after, min', '30'));
  const save = h('button', { type: 'button', className: 'secondary', id: 'download', onclick: () => download(row, result) }, 'Download calendar (.ics)');
  let timer = 0;
  inputs.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(update, 350); });
  const section = part('Heating and ventilation', inputs, result, save);
  queueMicrotask(update);
  return section;
}

function scheduleQuery(row) {
  for (const id of ['preheat', 'setback']) if ($(id).validity.valid) prefer(id, $(id).value);
  return { device: row.name, at: state.forecast.origin, preheat: `${$('preheat').value || 0}m`, setback_after: `${$('setback').value || 0}m` };
}

async function showSchedule(row, result) {
  if (!$('preheat')?.validity.valid || !$('setback').validity.valid) {
    result.replaceChildren(h('p', { className: 'small' }, 'Minutes from 0 to 240, in steps of 5.'));
    return;
  }
  try {
    const blocks = (await get('/schedule', scheduleQuery(row))).devices.flatMap((each) => each.blocks);
    if (!blocks.length) result.replaceChildren(h('p', {}, 'Nothing to run: the room is not expected in use.'));
    else result.replaceChildren(timeline(blocks), h('ul', { className: 'blocks' }, blocks.map(block)));
  } catch (problem) {
    result.replaceChildren(complaint(problem));
  }
}

function block({ start, end, occupied_from: from, occupied_until: to }) {
  const day = date(start) === date(state.starts[0]) ? '' : `${date(start)}, `;
  const until = date(start) === date(end) ? clock(end) : `${date(end).slice(0, 3)} ${clock(end)}`;
  return h('li', {}, `${day}${clock(start)}–${until} `, h('span', { className: 'small' }, `for use ${clock(from)}–${clock(to)}`));
}

function timeline(blocks) {
  const from = stamp(state.starts[0]) - 4 * HOUR;
  const all = DAY + 8 * HOUR;
  const x = (time) => Math.max(0, Math.min(480, ((time - from) / all) * 480));
  const svg = s('svg', { viewBox: '0 0 480 30', 'aria-hidden': 'true', class: 'timeline' }, s('rect', { class: 'track', x: 0, y: 2, width: 480, height: 10, rx: 2 }));
  for (const { start, end } of blocks) svg.append(s('rect', { class: 'block', x: x(stamp(start)), y: 2, width: Math.max(1, x(stamp(end)) - x(stamp(start))), height: 10, rx: 2 }));
  for (let hour = 0; hour <= HOURS; hour += 6) svg.append(label(x(stamp(state.starts[0]) + hour * HOUR), 27, clock(shift(state.starts[0], hour * HOUR)), 'middle'));
  return svg;
}

async function download(row, result) {
  try {
    const answer = await ask('/schedule', { ...scheduleQuery(row), format: 'ics' });
    const link = h('a', { href: URL.createObjectURL(await answer.blob()), download: `${row.name.replace(/[^\w.-]+/g, '_')}.ics` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (problem) {
    result.replaceChildren(complaint(problem));
  }
}

// Weeks.

const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const STRIP = { left: 52, wide: 17.5, high: 8 };

function weeks(hours) {
  if (!hours.length) return [h('p', {}, 'Nothing is known of these weeks.')];
  const first = Math.floor(stamp(hours[0].start) / DAY);
  const days = Math.floor(stamp(hours.at(-1).start) / DAY) - first + 1;
  const paths = { occupied: '', unobserved: '' };
  for (const { start, state: was } of hours) {
    const time = stamp(start);
    const x = STRIP.left + ((time % DAY) / HOUR) * STRIP.wide;
    const y = (Math.floor(time / DAY) - first) * STRIP.high;
    if (was === 'occupied') paths.occupied += `M${x} ${y + 1}h${STRIP.wide}v${STRIP.high - 2}h${-STRIP.wide}z`;
    if (was === 'unobserved') paths.unobserved += `M${x + 3} ${y + STRIP.high / 2}h${STRIP.wide - 7}`;
  }
  const used = hours.filter((hour) => hour.state === 'occupied').length;
  const known = hours.filter((hour) => hour.state !== 'unobserved').length;
  const said = known ? `In use ${percent(used / known)} of ${plural(known, 'observed hour')}.` : 'No hour was observed.';
  const high = days * STRIP.high;
  const svg = s('svg', { viewBox: `0 0 480 ${high + 20}`, role: 'img', class: 'strip', 'aria-label': `Hours in use over ${plural(days, 'day')}. ${said}` },
    s('rect', { class: 'track', x: STRIP.left, y: 0, width: HOURS * STRIP.wide, height: high }), s('path', { class: 'used', d: paths.occupied }), s('path', { class: 'unk', d: paths.unobserved }));
  for (let day = 0; day < days; day += 1) {
    const text = new Date((first + day) * DAY).toISOString();
    if (new Date(text).getUTCDay() !== 1) continue;
    svg.append(s('line', { class: 'rule', x1: 0, x2: 480, y1: day * STRIP.high, y2: day * STRIP.high }));
    if (days - day >= 2) svg.append(label(0, day * STRIP.high + 11, date(text, 'day')));
  }
  hourLabels(svg, high + 14);
  return [svg, h('p', { className: 'small' }, `${said} One line a day, the newest last; dashes were not observed.`)];
}

function hourLabels(svg, y) {
  for (let hour = 0; hour < HOURS; hour += 3) svg.append(label(STRIP.left + hour * STRIP.wide, y, String(hour).padStart(2, '0'), 'middle'));
}

function typicalWeek(week) {
  if (!week) return [h('p', {}, 'Not known yet.')];
  const cells = week.flatMap((hours, day) => hours.map((share, hour) => ({ day, hour, share })));
  const known = cells.filter((cell) => cell.share !== null);
  if (!known.length) return [h('p', {}, 'Not known yet: no hour was observed.')];
  const top = known.reduce((a, b) => (b.share > a.share ? b : a));
  const at = (cell) => `${WEEKDAYS[cell.day]} ${String(cell.hour).padStart(2, '0')}:00`;
  const said = top.share > 0 ? `Busiest on ${at(top)}: in use on ${percent(top.share)} of such hours.` : 'Never in use.';
  const svg = s('svg', { viewBox: '0 0 480 146', role: 'img', class: 'week', 'aria-label': `Share of time in use by weekday and hour. ${said}` });
  for (const cell of cells) {
    const rect = s('rect', { x: STRIP.left + cell.hour * STRIP.wide, y: cell.day * 18, width: STRIP.wide - 1, height: 17, rx: 1.5, class: cell.share === null ? 'unseen' : 'share' },
      s('title', {}, `${at(cell)}: ${cell.share === null ? 'not observed' : `in use ${percent(cell.share)} of the time`}`));
    rect.style.setProperty('--p', cell.share ?? 0);
    svg.append(rect);
  }
  WEEKDAYS.forEach((name, day) => svg.append(label(0, day * 18 + 13, name.slice(0, 3))));
  hourLabels(svg, 140);
  return [svg, h('p', { className: 'small' }, said)];
}

// Sensor.

const SENSOR = {
  live: 'The sensor is live: its last motion is no older than its usual gaps.',
  silent: 'The sensor is silent: far longer without motion than usual while the building is alive. The room may be empty for long, or the sensor dead. Its chances are lowered accordingly; look at the sensor.',
  new: 'The sensor is new: first seen less than a week ago. Until it has a history of its own, its forecast leans on the building.',
};
const CHATTER = 'It has been chattering: readings every few seconds for hours, as a loose or badly placed sensor makes them. Hours in use may be false; look at the sensor.';
const SOURCES = {
  model: 'The forecast comes from a model of this room.',
  building: 'The forecast comes from what all rooms share: a model of its own did not do better.',
  baseline: 'The forecast is the room’s plain habit: no model did better.',
};

function sensor(about, row) {
  const facts = [
    ['First reading', about.first_reading ? `${date(about.first_reading, 'year')}, ${clock(about.first_reading)}` : 'none'],
    ['Last reading', about.last_reading ? `${date(about.last_reading, 'year')}, ${clock(about.last_reading)}` : 'none'],
    ['Readings', count(about.readings ?? 0)],
    ['Hours in use', about.share_occupied === null || about.share_occupied === undefined ? 'not known' : percent(about.share_occupied)],
    ['Against its habit', skillWords(skillOf(about))],
  ];
  return [
    h('p', {}, SENSOR[row.status] ?? '', ' ', row.chattering ? CHATTER : '', ' ', SOURCES[row.source] ?? ''),
    factList(facts),
  ];
}

const factList = (facts) => h('dl', { className: 'facts' }, facts.map(([term, text]) => h('div', {}, h('dt', {}, term), h('dd', {}, text))));

/** How much lower the log loss is than that of the room's plain habit; null when not judged. */
function skillOf({ scores }) {
  return scores?.rows && scores.baseline ? 1 - scores.device / scores.baseline : null;
}

function skillWords(skill) {
  if (skill === null) return 'not judged yet';
  if (Math.abs(skill) < 0.005) return 'no better, no worse';
  return `${percent(Math.abs(skill))} ${skill > 0 ? 'less' : 'more'} error`;
}

// The model.

function modelPanel() {
  const { current, versions = [], error, reliability = [] } = state.models ?? {};
  const now = versions.find((each) => each.version === current);
  const problem = error ? h('p', { className: 'notice' }, h('strong', {}, 'The last reload failed, and what was loaded before stays in use. '), error) : null;
  return [
    panelHead('Model health', modelSummary(current, now)),
    problem,
    part('Better than habit?', ...skillPart()),
    part('Do the chances hold?', ...reliabilityPart(reliability)),
    part('Sensors', ...sensorsPart()),
    part('Versions', ...versionsPart(versions, current)),
  ].filter(Boolean);
}

function modelSummary(current, now) {
  const { version, cutoff } = state.forecast.model ?? {};
  if (version === 'baseline') return 'No model was trained yet: the forecasts are each room’s plain habit.';
  const name = current ? `Version ${current}` : 'A model trained at the start of the server and not saved';
  const learned = cutoff ? ` It learned from readings before ${date(cutoff, 'year')}, ${clock(cutoff)}.` : '';
  return `${name}${now?.created_at ? `, ${ago(now.created_at)}` : ''}${now?.roomcast ? `, made by Roomcast ${now.roomcast}` : ''}.${learned}`;
}

function skillPart() {
  const judged = [...state.devices.values()].map((about) => ({ about, skill: skillOf(about) })).filter((each) => each.skill !== null);
  if (!judged.length) return [h('p', {}, 'Not judged yet: there are too few readings to set some aside.')];
  const loss = (pick) => sum(judged.map(({ about }) => about.scores.rows * pick(about)));
  const base = loss((about) => about.scores.baseline);
  const own = loss((about) => about.scores.device);
  const sources = ['model', 'building', 'baseline'].map((source) => state.rooms.filter((each) => each.source === source).length);
  const worst = judged.filter((each) => each.skill < 0).length;
  return [
    h('p', {}, h('strong', { className: 'big' }, skillWords(1 - own / base)), ' than each room’s plain habit (its usual rate at that hour), in log loss on later hours than were learned from.'),
    h('p', { className: 'small' }, `${plural(sources[0], 'room')} with a model of their own, ${count(sources[1])} on what all rooms share, ${count(sources[2])} on habit alone. ${worst ? `${plural(worst, 'room')} did worse than habit.` : 'No room did worse than habit.'}`),
  ];
}

function reliabilityPart(bins) {
  const seen = bins.filter((bin) => bin.forecasts > 0).map((bin) => ({ ...bin, said: (bin.from + bin.to) / 2, was: bin.occupied / bin.forecasts }));
  const all = sum(seen.map((bin) => bin.forecasts));
  if (!all) return [h('p', {}, 'Not known yet: no forecast has been compared with what happened.')];
  const off = sum(seen.map((bin) => bin.forecasts * Math.max(0, bin.from - bin.was, bin.was - bin.to))) / all;
  const said = `Over ${count(all)} forecast hours, ${off < 0.005 ? 'what happened agrees with the chances given' : `what happened lies ${(100 * off).toFixed(1)} points off the chances given, on average`}.`;
  const rows = seen.map((bin) => h('tr', {}, h('th', { scope: 'row' }, `${Math.round(bin.from * 100)}–${Math.round(bin.to * 100)} %`), h('td', {}, count(bin.forecasts)), h('td', {}, percent(bin.was))));
  return [
    reliabilityChart(seen, said),
    h('p', {}, `${said} On the dotted line a chance is exactly what happens: of all hours given 30 %, 30 % turn out in use.`),
    h('details', {}, h('summary', {}, 'As a table'), table(['Chance given', 'Hours', 'In use'], rows)),
  ];
}

function reliabilityChart(bins, said) {
  const [left, top, size] = [44, 8, 260];
  const x = (p) => left + p * size;
  const y = (p) => top + (1 - p) * size;
  const most = Math.max(...bins.map((bin) => bin.forecasts));
  const svg = s('svg', { viewBox: '0 0 330 318', role: 'img', class: 'reliability', 'aria-label': `Reliability diagram. ${said}` });
  for (const p of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(s('line', { class: 'rule', x1: x(0), x2: x(1), y1: y(p), y2: y(p) }), label(left - 8, y(p) + 4, `${p * 100}`, 'end'), label(x(p), y(0) + 18, `${p * 100}`, 'middle'));
  }
  svg.append(label(x(0.5), y(0) + 38, 'chance given, %', 'middle'), label(x(0) + 6, y(1) + 14, 'share in use, %'));
  svg.append(s('line', { class: 'diagonal', x1: x(0), x2: x(1), y1: y(0), y2: y(1) }));
  svg.append(s('path', { class: 'line', d: bins.map((bin, i) => `${i ? 'L' : 'M'}${x(bin.said)} ${y(bin.was)}`).join('') }));
  for (const bin of bins) {
    svg.append(s('circle', { class: 'point', cx: x(bin.said), cy: y(bin.was), r: 2.5 + 6 * Math.sqrt(bin.forecasts / most) },
      s('title', {}, `Given ${Math.round(bin.from * 100)}–${Math.round(bin.to * 100)} %: ${percent(bin.was)} of ${plural(bin.forecasts, 'hour')} in use`)));
  }
  return svg;
}

function sensorsPart() {
  const kinds = [['silent', 'silent: far longer still than usual'], ['chattering', 'chattering: readings without end'], ['new', 'new: known for less than a week']];
  const found = kinds.map(([id, text]) => [id, text, state.rooms.filter(FILTERS.find((each) => each[0] === id)[2]).length]).filter((each) => each[2]);
  if (!found.length) return [h('p', {}, `All ${plural(state.rooms.length, 'sensor')} live and plausible.`)];
  const show = (id) => { $('show').value = id; showRows(); closePanel(); };
  return [h('ul', { className: 'plain' }, found.map(([id, text, n]) =>
    h('li', {}, h('button', { type: 'button', className: 'link', onclick: () => show(id) }, `Show ${count(n)}`), ` ${text}`)))];
}

function versionsPart(versions, current) {
  if (!versions.length) return [h('p', {}, 'None.')];
  const rows = versions.slice(0, 10).map((each) => h('tr', {},
    h('th', { scope: 'row' }, each.version, each.version === current ? h('span', { className: 'tag' }, 'in use') : null),
    h('td', {}, each.error ? 'damaged' : date(each.created_at, 'year')),
    h('td', {}, each.error ? '–' : `${date(each.cutoff, 'year')}`)));
  return [table(['Version', 'Made', 'Learned until'], rows)];
}

// ---------------------------------------------------------------- sign-in, preferences, start

function signIn(problem) {
  const dialog = $('login');
  const stale = Boolean(problem && token.get() !== null);
  token.clear();
  announce($('login-error'), stale ? `${problem.message}. ${problem.hint}` : '');
  $('login-error').hidden = !stale;
  $('no-auth').hidden = !/^(localhost|127\.|\[::1\])/.test(location.hostname);
  $('sign-out').hidden = true;
  if (!dialog.open) dialog.showModal();
}

async function submitToken(event) {
  event.preventDefault();
  const secret = $('token').value.trim();
  try {
    await ask('/models', {}, secret);
  } catch (problem) {
    announce($('login-error'), problem.status === 401 ? 'The server does not know this token. Check for missing characters.' : `${problem.message}. ${problem.hint}`);
    $('login-error').hidden = false;
    $('token').setAttribute('aria-invalid', 'true');
    $('token').select();
    return;
  }
  token.set(secret, $('remember').checked);
  $('token').value = '';
  $('token').removeAttribute('aria-invalid');
  $('login').close();
  load();
}

function signOut() {
  token.clear();
  location.reload();
}

const prefer = (name, value) => localStorage.setItem(`roomcast.${name}`, JSON.stringify(value));
function prefers(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`roomcast.${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

const THEMES = ['system', 'light', 'dark'];

function applyTheme() {
  const theme = prefers('theme', 'system');
  document.documentElement.dataset.theme = theme;
  $('theme').replaceChildren('Theme', h('span', {}, `: ${theme}`));
  $('theme').setAttribute('aria-label', `Theme: ${theme}`);
}

function listen() {
  $('theme').addEventListener('click', () => {
    prefer('theme', THEMES[(THEMES.indexOf(prefers('theme', 'system')) + 1) % THEMES.length]);
    applyTheme();
  });
  $('home').addEventListener('click', (event) => { event.preventDefault(); go({ at: null, room: null, hour: null, view: null }); });
  $('open-model').addEventListener('click', () => (route.view ? closePanel() : go({ view: 'model', room: null, hour: null })));
  $('sign-out').addEventListener('click', signOut);
  $('login-form').addEventListener('submit', submitToken);
  $('login').addEventListener('cancel', (event) => event.preventDefault());
  document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); focusCursor(); });
  $('tools').addEventListener('submit', (event) => event.preventDefault());
  $('search').addEventListener('input', showRows);
  $('sort').addEventListener('change', () => { prefer('sort', $('sort').value); showRows(); });
  $('show').addEventListener('change', showRows);
  $('group').addEventListener('change', () => { prefer('group', $('group').checked); showRows(); });
  $('numbers').addEventListener('change', () => { prefer('numbers', $('numbers').checked); applyNumbers(); });
  $('day-back').addEventListener('click', () => step(-1));
  $('day-on').addEventListener('click', () => step(1));
  $('latest').addEventListener('click', () => go({ at: null, hour: null }));
  $('at').addEventListener('change', () => { if ($('at').value) go({ at: wall($('at').value.padEnd(19, ':00')), hour: null }); });
  addEventListener('popstate', follow);
  addEventListener('keydown', onEscape);
  document.addEventListener('visibilitychange', refresh);
  setInterval(refresh, 60_000);
}

function onEscape(event) {
  if (event.key !== 'Escape' || $('login').open) return;
  if (!$('tip').hidden && $('panel').hidden) hideTip();
  else if (!$('panel').hidden) closePanel();
}

const applyNumbers = () => document.body.classList.toggle('numbers', $('numbers').checked);

function refresh() {
  if (document.visibilityState === 'visible' && state.forecast && !route.at && !$('login').open) load(true);
}

/** Follows what the server says has changed, for as long as somebody is signed in and looks. */
async function hear() {
  for (let wait = 1; ; wait = Math.min(60, wait * 2)) {
    await pause(wait);
    if (document.visibilityState !== 'visible' || token.get() === null || !state.forecast) continue;
    try {
      const secret = token.get();
      const answer = await fetch('/events', { headers: secret ? { Authorization: `Bearer ${secret}` } : {} });
      if (!answer.ok) continue;
      wait = 1;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
        if (token.get() !== secret) { reader.cancel(); break; }
        if (/^event: /m.test(chunk.value)) soon();
      }
    } catch {
      // The connection is gone; the next try follows.
    }
  }
}

/** Many changes in a second are one refresh. */
let due = 0;
function soon() {
  clearTimeout(due);
  due = setTimeout(refresh, 800);
}

function start() {
  applyTheme();
  $('sort').value = prefers('sort', 'name');
  $('numbers').checked = prefers('numbers', false);
  applyNumbers();
  route = readRoute();
  listen();
  listenToGrid();
  if (token.get() === null) signIn();
  else load();
  hear();
}

start();
