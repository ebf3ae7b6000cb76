// Roomcast's page: rooms by the next 24 hours, one room in detail, the health of sensors and model.
//
// Modules import only from those before them in this order: tools, words, api, state, alerts, actual, first, grid, keys, head,
// pieces, why, schedule, weeks, room, model, panel, login, and this one, which starts it all. What those before want of those
// after, they tell (`tell`, `when`).

import { $, announce, h, prefer, prefers, when } from './tools.js';
import { stamp, wall } from './words.js';
import { get, pause, token } from './api.js';
import { go, groupable, readRoute, room, route, state } from './state.js';
import { showAlerts } from './alerts.js';
import { histories } from './actual.js';
import { focusCursor, showActual, showRows } from './grid.js';
import { hideTip, listenToGrid } from './keys.js';
import { showError, showFilters, showHead, showTimes, step } from './head.js';
import { closePanel } from './pieces.js';
import { showPanel } from './panel.js';
import { signIn, signOut, submitToken } from './login.js';

function follow() {
  const before = route.at;
  Object.assign(route, readRoute());
  if (route.at !== before) load();
  else showPanel();
}

let run = 0;

async function load(quiet = false) {
  const mine = (run += 1);
  if (!quiet) document.body.classList.add('busy');
  if (!state.forecast) announce($('lead'), 'Reading the forecast…');
  try {
    const [forecast, devices, models, { alerts }] = await Promise.all([
      get('/predict', { at: route.at }),
      get('/devices'),
      get('/models'),
      get('/alerts'),
    ]);
    if (mine !== run) return;
    showError(null);
    accept(forecast, devices.devices, models, alerts);
  } catch (problem) {
    if (mine === run && problem.status !== 401) showError(problem);
  } finally {
    if (mine === run) document.body.classList.remove('busy');
  }
}

function accept(forecast, devices, models, alerts) {
  if (forecast.origin !== state.forecast?.origin) {
    state.actual.clear();
    histories.clear();
  }
  state.forecast = forecast;
  state.models = models;
  state.alerts = alerts;
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
  when('route', follow);
  when('reload', () => load());
  when('actual', showActual);
  when('signed-out', signIn);
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
      // What changed before the stream began was not told.
      soon();
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

export function start() {
  applyTheme();
  $('sort').value = prefers('sort', 'name');
  $('numbers').checked = prefers('numbers', false);
  applyNumbers();
  Object.assign(route, readRoute());
  listen();
  listenToGrid();
  if (token.get() === null) signIn();
  else load();
  hear();
}

start();
