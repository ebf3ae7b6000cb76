// Roomcast's page: rooms by the next 24 hours, one room in detail, the health of sensors and model.
//
// The server puts the modules that this one imports into one script. The other modules of `panel` are a second script, which is
// fetched with the first panel. No imports are circular: a module calls those that import it by `tell` and `when`.

import { $, announce, h, prefer, prefers, save, when } from './core/tools.js';
import { stamp, wallOf } from './core/words.js';
import { get, getChanged, isOpen, token } from './core/api.js';
import { closePanel, go, groupable, readRoute, roomsOf, route, state } from './core/state.js';
import { getPlan, plan, planFile, planTable } from './plan/plan.js';
import { showAlerts } from './shell/alerts.js';
import { drawAll, draw, focusCursor, showRows } from './grid/grid.js';
import { hideTip, listenToGrid } from './grid/keys.js';
import { showError, showFilters, showHead, showTimes, step } from './shell/head.js';
import { showPanel } from './panel/panel.js';
import { signIn, signOut, submitToken } from './shell/login.js';
import { hearAgain, isListening, isWatched, keepListening, listen, takeHeard } from './shell/live.js';

function follow() {
  const before = route.at;
  Object.assign(route, readRoute());
  if (route.at !== before) load();
  else showPanel();
}

const FORECAST = '/predict/compact';
/** Characters of names in an address. */
const MOST_ADDRESS = 4000;

let run = 0;
/** Whether the last fetch of all failed. */
let failed = false;

/** Fetches all that is shown. */
async function load(quiet = false) {
  const mine = (run += 1);
  if (!quiet) document.body.classList.add('busy');
  if (!state.forecast) announce($('lead'), 'Reading the forecast…');
  try {
    if (!route.at) await listen();
    takeHeard();
    const [forecast, blocks, models, { alerts }] = await Promise.all([
      route.at ? get(FORECAST, { at: route.at }) : getChanged(FORECAST),
      getPlan(),
      getChanged('/models'),
      getChanged('/alerts'),
    ]);
    if (mine !== run) return;
    failed = false;
    showError(null);
    Object.assign(state, { models, alerts });
    accept(forecast, roomsOf(forecast), [blocks]);
  } catch (problem) {
    if (mine === run && problem.status !== 401) {
      failed = true;
      if (!state.forecast) announce($('lead'), '');
      showError(problem);
    }
  } finally {
    if (mine === run) document.body.classList.remove('busy');
  }
}

let renewing = false;

/** Fetches the rooms that have changed, or all where others may have. `minutely` also asks whether anything else has. */
async function renew(minutely = false) {
  if (!isWatched() || renewing) return;
  const { all, alerts, names } = takeHeard();
  const known = [...names].every((name) => state.named.has(name));
  if (all || failed || !known || !state.rooms.length || names.size * 2 > Math.max(2, state.rooms.length)) {
    load(true);
    return;
  }
  // The forecast of any room tells whether it is time to fetch all.
  if (minutely && !names.size) names.add(state.rooms[0].name);
  const mine = run;
  renewing = true;
  try {
    const [parts, blocks, told, models] = await Promise.all([
      Promise.all(inRequests([...names]).map((some) => get(FORECAST, { device: some }))),
      Promise.all(inRequests([...names]).map((some) => getPlan(some))),
      alerts || minutely ? getChanged('/alerts') : { alerts: state.alerts },
      minutely ? getChanged('/models') : state.models,
    ]);
    if (mine !== run || route.at) return;
    if (!parts.every(isAlike)) {
      load(true);
      return;
    }
    showError(null);
    Object.assign(state, { models, alerts: told.alerts });
    const renewed = new Map(parts.flatMap(roomsOf).map((row) => [row.name, row]));
    accept(parts.at(-1) ?? state.forecast, state.rooms.map((row) => renewed.get(row.name) ?? row), blocks, [...renewed.values()]);
  } catch (problem) {
    // Among others, of a room that is no longer there.
    if (mine === run && problem.status !== 401) load(true);
  } finally {
    renewing = false;
    hearAgain();
  }
}

/** Whether forecasts of other rooms, made as this one is, are those that are shown. */
const isAlike = ({ origin, basis, stale, threshold, model }) => origin === state.forecast.origin && basis === state.forecast.basis &&
  stale === state.forecast.stale && threshold === state.forecast.threshold && model.version === state.forecast.model.version;

/** Names in groups that fit into an address. */
function inRequests(names) {
  const groups = [];
  let left = 0;
  for (const name of names) {
    const size = encodeURIComponent(name).length + '&device='.length;
    if (size > left) {
      groups.push([]);
      left = MOST_ADDRESS;
    }
    groups.at(-1).push(name);
    left -= size;
  }
  return groups;
}

function accept(forecast, rooms, blocks, changed = rooms) {
  state.forecast = forecast;
  state.rooms = rooms;
  state.named = new Map(rooms.map((row) => [row.name, row]));
  state.starts = rooms.length ? forecast.starts : [];
  state.from = forecast.first_reading;
  state.until = forecast.last_reading;
  plan(changed, blocks);
  state.past = Boolean(state.starts.length && state.until && stamp(state.starts[0]) < stamp(state.until));
  showAll();
}

function showAll() {
  $('board').hidden = false;
  $('sign-out').hidden = !token.get();
  document.body.classList.toggle('compare', state.past);
  const able = groupable();
  if ($('group-field').hidden && able) $('group').checked = prefers('group', state.rooms.length > 30);
  $('group-field').hidden = !able;
  showFilters();
  showHead();
  showAlerts();
  showTimes();
  showRows();
  showPanel();
}

const THEMES = ['system', 'light', 'dark'];

function applyTheme() {
  const theme = prefers('theme', 'system');
  document.documentElement.dataset.theme = theme;
  $('theme').replaceChildren('Theme', h('span', {}, `: ${theme}`));
  $('theme').setAttribute('aria-label', `Theme: ${theme}`);
}

/** Shows the plan or the chances; the plan's blocks are fetched when it is shown. */
function showBoard(board, fetches = true) {
  state.board = board;
  prefer('board', board);
  document.body.classList.toggle('plan', board === 'plan');
  for (const each of ['plan', 'chances']) $(`show-${each}`).setAttribute('aria-pressed', String(each === board));
  $('sort').options[1].textContent = board === 'plan' ? 'Most hours on' : 'Most hours';
  $('sort').options[2].textContent = board === 'plan' ? 'First on' : 'First in use';
  $('sort').value = prefers(`sort-${board}`, board === 'plan' ? 'first' : 'name');
  if (fetches) load(true);
}

function listenToPlan() {
  let timer = 0;
  for (const id of ['preheat', 'setback']) {
    $(id).value = prefers(id, $(id).value);
    $(id).addEventListener('input', () => {
      clearTimeout(timer);
      if (!$(id).reportValidity()) return;
      prefer(id, $(id).value);
      timer = setTimeout(() => load(true), 350);
    });
  }
  $('show-plan').addEventListener('click', () => showBoard('plan'));
  $('show-chances').addEventListener('click', () => showBoard('chances'));
  $('print').addEventListener('click', () => print());
  $('download-plan').addEventListener('click', () => save(new Blob([planTable()], { type: 'text/csv' }), planFile()));
  addEventListener('beforeprint', drawAll);
  addEventListener('afterprint', draw);
}

function listenToControls() {
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
  $('sort').addEventListener('change', () => { prefer(`sort-${state.board}`, $('sort').value); showRows(); });
  $('show').addEventListener('change', showRows);
  $('group').addEventListener('change', () => { prefer('group', $('group').checked); showRows(); });
  $('numbers').addEventListener('change', () => { prefer('numbers', $('numbers').checked); applyNumbers(); });
  $('day-back').addEventListener('click', () => step(-1));
  $('day-on').addEventListener('click', () => step(1));
  $('latest').addEventListener('click', () => go({ at: null, hour: null }));
  $('at').addEventListener('input', () => $('at').setCustomValidity(''));
  $('at').addEventListener('change', goToTime);
  addEventListener('popstate', follow);
  when('route', follow);
  when('reload', () => load());
  when('changes', () => renew());
  when('signed-out', signIn);
  addEventListener('keydown', onEscape);
  document.addEventListener('visibilitychange', check);
  setInterval(check, 60_000);
}

function goToTime() {
  const at = wallOf($('at').value.trim());
  $('at').setCustomValidity(at ? '' : 'Enter a day and a time, for example 2016-08-24 18:00.');
  if (!at) {
    $('at').reportValidity();
    return;
  }
  $('at').value = at.slice(0, 16).replace('T', ' ');
  go({ at, hour: null });
}

function onEscape(event) {
  if (event.key !== 'Escape' || $('login').open) return;
  if (!$('tip').hidden && $('panel').hidden) hideTip();
  else if (!$('panel').hidden) closePanel();
}

const applyNumbers = () => document.body.classList.toggle('numbers', $('numbers').checked);

/** Once in a while: what no event tells, and all where none comes. */
function check() {
  if (!isWatched()) return;
  showAlerts();
  if (isListening()) renew(true);
  else load(true);
}

export function start() {
  applyTheme();
  showBoard(prefers('board', 'plan'), false);
  $('more').open = matchMedia('(min-width: 720px)').matches;
  $('numbers').checked = prefers('numbers', false);
  applyNumbers();
  Object.assign(route, readRoute());
  listenToControls();
  listenToPlan();
  listenToGrid();
  if (token.get() === null && !isOpen) signIn();
  else load();
  keepListening();
}

start();
