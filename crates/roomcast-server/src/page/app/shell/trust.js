// How far the chances can be trusted, by what was measured.

import { t } from '../core/language.js';
import { sum } from '../core/tools.js';
import { bare, date, percent } from '../core/words.js';
import { state } from '../core/state.js';

/** Chances that are counted together; the nights’ near-zero hours say nothing. */
const BANDS = [[0.1, 0.4], [0.4, 0.7], [0.7, 1]];
/** Fewer hours than these are no measurement. */
const FEWEST_HOURS = 20;
/** Chances from which on an hour counts as likely in the sentence of trust. */
const LIKELY = 0.7;

/** Hours by the chance that they were given: of the last days, else of those held back in training. */
function measurements() {
  const { reliability = [], reliability_until: until, live_reliability: live = [], live_reliability_days: days, live_reliability_until: last } = state.models ?? {};
  return [last && ['live', live, { n: days, day: date(`${last}T00:00:00`, 'year') }], until && ['held', reliability, { day: date(until, 'year') }]].filter(Boolean);
}

/** Hours and share in use of the bins within two chances; null where those are no measurement. */
function hoursGiven(bins, from, to) {
  const inside = bins.filter((bin) => bin.from > from - 0.01 && bin.to < to + 0.01);
  const hours = sum(inside.map((bin) => bin.forecasts));
  return hours < FEWEST_HOURS ? null : { hours: t('hours', { n: hours }), share: percent(sum(inside.map((bin) => bin.occupied)) / hours) };
}

/** How often hours were in use that were given a chance of 10 % and more; nothing where that was not measured. */
export function measured() {
  for (const [kind, bins, when] of measurements()) {
    const said = BANDS.map(([from, to]) => [hoursGiven(bins, from, to), { from: bare(from), to: percent(to) }])
      .filter(([seen]) => seen).map(([seen, band]) => t('trust.band', { ...band, ...seen }));
    if (said.length) return t(`trust.bands.${kind}`, { ...when, bands: said.join(t('trust.and')) });
  }
  return '';
}

/** How often the likely hours were in use, and when; null where that was not measured. */
function likely() {
  for (const [kind, bins, when] of measurements()) {
    const seen = hoursGiven(bins, LIKELY, 1);
    if (seen) return { kind, ...when, ...seen, chance: percent(LIKELY) };
  }
  return null;
}

/** How far the likely hours can be trusted, in one sentence; nothing where that was not measured. */
export function trust() {
  const seen = likely();
  return seen ? t(`trust.${seen.kind}`, seen) : '';
}

/** The same as a number beside the headline. */
export function trustFact() {
  const seen = likely();
  return seen && { id: 'trust', label: t(`fact.trust.${seen.kind}`, seen), value: seen.share, note: t('fact.trust.note', seen) };
}
