// How right the forecast of a day of the past was, over all rooms.

import { $, announce, plural } from './tools.js';
import { percent } from './words.js';
import { state } from './state.js';

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
    row.actual.forEach((was, hour) => {
      if (was !== 'occupied' && was !== 'vacant') return;
      if ((was === 'occupied') === row.used[hour]) right += 1;
      else if (row.used[hour]) wasted += 1;
      else missed += 1;
    });
  }
  const all = right + wasted + missed;
  box.hidden = !state.past || !all;
  if (box.hidden) return;
  announce(box, `In hindsight: ${percent(right / all)} of ${plural(all, 'hour')} called right, ` +
    `${plural(missed, 'hour')} in use not expected, ${plural(wasted, 'hour')} expected and empty.`);
}
