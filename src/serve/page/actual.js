// What happened on a day of the past, fetched for the rows in sight.

import { $, announce, count, plural, queue, tell } from './tools.js';
import { HOUR, HOURS, percent, shift, wall } from './words.js';
import { device, get } from './api.js';
import { state } from './state.js';

export const histories = queue(6);
const underway = new Set();
let rested = 0;

/** Once scrolling rests, so that rows which only passed by are not asked for. */
export function fetchActual(first, last) {
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

export async function actualOf(name, origin) {
  if (state.actual.has(name) || origin !== state.forecast.origin) return;
  const to = shift(state.starts[HOURS - 1], HOUR);
  const answer = await get(`${device(name)}/history`, { from: wall(state.starts[0]), to });
  if (origin !== state.forecast.origin) return;
  state.actual.set(name, new Map(answer.hours.map((hour) => [hour.start, hour.state])));
  tell('actual', name);
  showHindsight();
}

export function showHindsight() {
  const box = $('hindsight');
  if (state.past && state.forecast.model.in_sample) {
    box.hidden = false;
    announce(box, 'The models in use have learned from this day: how often they are right on it says nothing of their forecasts, ' +
      'so no score is given. Forecasts that were made before their hours came are scored under Model health.');
    return;
  }
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
  const scored = state.rooms.filter((row) => state.actual.has(row.name)).length;
  const rooms = scored < state.rooms.length ? ` (of the ${plural(scored, 'room')} that were in sight; there are ${count(state.rooms.length)})` : '';
  announce(box, `In hindsight${rooms}: ${percent(right / all)} of ${plural(all, 'hour')} called right, ` +
    `${plural(missed, 'hour')} in use not expected, ${plural(wasted, 'hour')} expected and empty.`);
}
