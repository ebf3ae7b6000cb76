// How right the forecast of a day of the past was, over all rooms.

import { $, announce, plural } from './tools.js';
import { percent } from './words.js';
import { state } from './state.js';

export function showHindsight() {
  const box = $('hindsight');
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
  // No forecast of the past comes from models that have learned from its hours.
  const habit = state.forecast.model.version === 'baseline';
  const who = habit ? 'each room’s plain habit' : 'models that had not seen this day';
  const why = habit && state.models?.current ? ' Every saved model has learned from this day, so none is used.' : '';
  announce(box, `In hindsight, ${who} called ${percent(right / all)} of ${plural(all, 'hour')} right: ` +
    `${plural(missed, 'hour')} in use not expected, ${plural(wasted, 'hour')} expected and empty.${why}`);
}
