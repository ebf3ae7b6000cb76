// What stands beside the forecasts: floors, what schedules were worth, the days to come.

import { tell } from '../core/tools.js';
import { get, getChanged } from '../core/api.js';
import { isPlan, isWeekLarge, route, state } from '../core/state.js';
import { lead } from '../plan/plan.js';

/** How long an answer is shown before it is asked for again, milliseconds. */
const FRESH = 600_000;

/** When each answer was last asked for, and with what. */
const asked = new Map();

/** Whether it is time to ask, with these parameters. */
function isDue(path, parameters = '') {
  const last = asked.get(path);
  if (last && last.parameters === parameters && Date.now() - last.at < FRESH) return false;
  asked.set(path, { at: Date.now(), parameters });
  return true;
}

/** The floor of each room, with its building where there are several. */
export async function fetchFloors() {
  if (!isDue('/rooms')) return;
  const { rooms } = await get('/rooms');
  const isOne = new Set(rooms.map((row) => row.building)).size < 2;
  const name = ({ building, floor }) => (isOne ? [floor] : [building, floor]).filter(Boolean).join(', ');
  state.floors = new Map(rooms.filter(name).map((row) => [row.room, name(row)]));
  state.series = new Map(rooms.filter((row) => row.floor).map((row) => [row.room, [row.building, row.floor].filter(Boolean).join('/')]));
}

/** Fetches what stands beside the headline. What fails is left out, and asked for again later. */
export async function fetchBeside(wanted = false) {
  if (!isPlan() || route.at || !state.rooms.length) return;
  const parameters = { ...lead(), days: 7 };
  const asks = [getChanged('/ledger').then((ledger) => { state.ledger = ledger; })];
  if ((wanted || !isWeekLarge()) && isDue('/schedule', JSON.stringify(parameters))) {
    asks.push(get('/schedule', parameters).then(({ devices }) => { state.week = devices; }));
  }
  const results = await Promise.allSettled(asks);
  if (results.some(({ status }) => status === 'rejected')) asked.delete('/schedule');
  tell('beside');
}
