// How right the forecast of a day of the past was, over all rooms.

import { t } from '../core/language.js';
import { $, announce } from '../core/tools.js';
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
  announce(box, [t(isBaseline ? 'hindsight.baseline' : 'hindsight.model', { share: percent(right / all), n: all }),
    t('hindsight.missed', { n: missed }), t('hindsight.wasted', { n: wasted }), isBaseline && state.models?.current ? t('hindsight.why') : ''].join(' ').trim());
}
