// The tools above the grid: which rooms, which origin.

import { count, t } from '../core/language.js';
import { $, h } from '../core/tools.js';
import { DAY, shift, stamp } from '../core/words.js';
import { FILTERS, go, originOf, route, state } from '../core/state.js';

export function showFilters() {
  const select = $('show');
  const chosen = select.value || 'all';
  select.replaceChildren(...FILTERS.map(([id, passes]) => {
    const n = state.rooms.filter(passes).length;
    const label = t(['used', 'unused'].includes(id) ? `show.${id}.${state.board}` : `show.${id}`);
    return h('option', { value: id, disabled: n === 0 && id !== chosen }, id === 'all' ? label : `${label} (${count(n)})`);
  }));
  select.value = chosen;
}

export function showTimes() {
  const input = $('at');
  const latest = !route.at;
  if (document.activeElement !== input) input.value = originOf().slice(0, 16).replace('T', ' ');
  $('latest').setAttribute('aria-pressed', String(latest));
  $('day-on').disabled = latest;
  $('day-back').disabled = !state.from || stamp(midnightBy(-1)) <= stamp(state.from);
}

/** The midnight before or after the origin. */
function midnightBy(days) {
  const origin = stamp(originOf());
  const today = Math.floor(origin / DAY) * DAY;
  return shift(originOf(), today - origin + (days > 0 ? DAY : today === origin ? -DAY : 0));
}

export function step(days) {
  const next = midnightBy(days);
  go({ at: days > 0 && state.until && stamp(next) > stamp(state.until) ? null : next, hour: null });
}
