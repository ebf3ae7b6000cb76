// Roomcast's page: rooms by the next 24 hours, one room in detail, the health of sensors and model.
//
// The server puts the modules that this one imports into one script. The other modules of `panel` are a second script, which is
// fetched with the first panel. No imports are circular: a module calls those that import it by `tell` and `when`.

import { t, translate } from './core/language.js';
import { $, prefer, prefers, save, when } from './core/tools.js';
import { wallOf } from './core/words.js';
import { isOpen, token } from './core/api.js';
import { groupable } from './core/groups.js';
import { closePanel, go, readRoute, route, state } from './core/state.js';
import { showFacts } from './plan/facts.js';
import { planFile, planTable, showMinutes } from './plan/plan.js';
import { showWeek } from './plan/week.js';
import { downloadUse, searchUse, showUse } from './use/use.js';
import { showAlerts } from './shell/alerts.js';
import { drawForPaper, drawForScreen, focusCursor, showRows } from './grid/grid.js';
import { hideTip, listenToGrid } from './grid/keys.js';
import { showFilters, showTimes, step } from './shell/controls.js';
import { fetchBeside } from './shell/extras.js';
import { showHead } from './shell/head.js';
import { load, renew } from './shell/load.js';
import { showPanel } from './panel/panel.js';
import { signIn, signOut, submitToken } from './shell/login.js';
import { isListening, isWatched, keepListening } from './shell/live.js';
import { applyTheme, isNarrow, nextTheme, offerLanguages } from './shell/settings.js';

function follow() {
  const before = route.at;
  Object.assign(route, readRoute());
  if (route.at !== before) load();
  else showPanel();
}

function showAll() {
  $('board').hidden = false;
  $('sign-out').hidden = !token.get();
  document.body.classList.toggle('compare', state.past);
  const able = groupable();
  if ($('group-field').hidden && able) $('group').checked = prefers('group', state.floors.size > 0 || state.rooms.length > 30);
  $('group-field').hidden = !able;
  showFilters();
  showHead();
  showFacts();
  showMinutes();
  showWeek();
  showAlerts();
  showTimes();
  showRows();
  showPanel();
  showUse();
}

const BOARDS = ['plan', 'chances', 'use'];

/** Shows the plan, the chances or the use of rooms; the plan's blocks are fetched when it is shown. */
function showBoard(board, fetches = true) {
  state.board = board;
  prefer('board', board);
  for (const each of BOARDS) document.body.classList.toggle(each, board === each);
  for (const each of BOARDS) $(`show-${each}`).setAttribute('aria-pressed', String(each === board));
  ['hours', 'first'].forEach((order, at) => { $('sort').options[at + 1].textContent = t(`sort.${order}.${board === 'plan' ? 'plan' : 'chances'}`); });
  $('sort').value = prefers(`sort-${board}`, board === 'plan' ? 'first' : 'name');
  showUse();
  if (fetches) load(true);
}

function listenToPlan() {
  let timer = 0;
  for (const id of ['preheat', 'setback']) {
    $(id).addEventListener('input', () => {
      clearTimeout(timer);
      if (!$(id).reportValidity()) return;
      prefer(id, $(id).value);
      timer = setTimeout(() => load(true), 350);
    });
  }
  $('show-plan').addEventListener('click', () => showBoard('plan'));
  $('show-chances').addEventListener('click', () => showBoard('chances'));
  $('show-use').addEventListener('click', () => showBoard('use'));
  $('download-use').addEventListener('click', downloadUse);
  $('print').addEventListener('click', () => print());
  $('download-plan').addEventListener('click', () => save(new Blob([planTable()], { type: 'text/csv' }), planFile()));
  addEventListener('beforeprint', drawForPaper);
  addEventListener('afterprint', drawForScreen);
}

function listenToControls() {
  $('theme').addEventListener('click', nextTheme);
  $('alerts-more').addEventListener('click', () => {
    $('alerts-more').setAttribute('aria-expanded', String($('alerts').classList.toggle('open')));
  });
  $('home').addEventListener('click', (event) => { event.preventDefault(); go({ at: null, room: null, hour: null, view: null }); });
  $('open-model').addEventListener('click', () => (route.view ? closePanel() : go({ view: 'model', room: null, hour: null })));
  $('sign-out').addEventListener('click', signOut);
  $('login-form').addEventListener('submit', submitToken);
  $('login').addEventListener('cancel', (event) => event.preventDefault());
  document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); focusCursor(); });
  $('tools').addEventListener('submit', (event) => event.preventDefault());
  $('search').addEventListener('input', () => { showRows(); searchUse(); });
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
  when('accepted', showAll);
  when('beside', () => { showFacts(); showWeek(); });
  when('week', () => fetchBeside(true));
  when('changes', () => renew());
  when('signed-out', signIn);
  addEventListener('keydown', onEscape);
  document.addEventListener('visibilitychange', check);
  setInterval(check, 60_000);
}

function goToTime() {
  const at = wallOf($('at').value.trim());
  $('at').setCustomValidity(at ? '' : t('at.invalid'));
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
  translate();
  offerLanguages();
  applyTheme();
  showBoard(prefers('board', 'plan'), false);
  $('more').open = !isNarrow();
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
