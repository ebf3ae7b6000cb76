// What is shown, fetched as a whole, and room by room as it changes.

import { t } from '../core/language.js';
import { $, announce, tell } from '../core/tools.js';
import { stamp } from '../core/words.js';
import { get, getChanged } from '../core/api.js';
import { roomsOf, route, state } from '../core/state.js';
import { getPlan, plan } from '../plan/plan.js';
import { fetchBeside, fetchFloors } from './extras.js';
import { showError } from './head.js';
import { hearAgain, isWatched, listen, takeHeard } from './live.js';

const FORECAST = '/predict/compact';
/** Characters of names in an address. */
const MOST_ADDRESS = 4000;

let run = 0;
/** Whether the last fetch of all failed. */
let failed = false;

/** Fetches all that is shown. */
export async function load(quiet = false) {
  const mine = (run += 1);
  if (!quiet) document.body.classList.add('busy');
  if (!state.forecast) announce($('lead'), t('head.loading'));
  try {
    if (!route.at) await listen();
    takeHeard();
    const [forecast, blocks, models, { alerts }] = await Promise.all([
      route.at ? get(FORECAST, { at: route.at }) : getChanged(FORECAST),
      getPlan(),
      getChanged('/models'),
      getChanged('/alerts'),
      fetchFloors(),
    ]);
    if (mine !== run) return;
    failed = false;
    showError(null);
    Object.assign(state, { models, alerts });
    accept(forecast, roomsOf(forecast), [blocks]);
    fetchBeside();
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
export async function renew(minutely = false) {
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
  tell('accepted');
}
