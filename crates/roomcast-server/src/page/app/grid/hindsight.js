// How right the forecast of a day of the past was, over all rooms.

import { $, announce, plural } from '../core/tools.js';
import { percent } from '../core/words.js';
import { state } from '../core/state.js';

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
  const isBaseline = state.forecast.model.version === 'baseline';
  const who = isBaseline ? 'each room’s usual rate' : 'models that had not seen this day';
  const why = isBaseline && state.models?.current ? ' Every saved model has learned from this day, so no model is used.' : '';
  announce(box, `In hindsight, ${who} predicted ${percent(right / all)} of ${plural(all, 'hour')} correctly. ` +
    `${plural(missed, 'hour')} in use ${missed === 1 ? 'was' : 'were'} not expected, and ${plural(wasted, 'hour')} expected in use ${wasted === 1 ? 'was' : 'were'} empty.${why}`);
}
