// What the plan was worth lately, and how sure it is: a few numbers beside the headline.

import { t } from '../core/language.js';
import { $, h } from '../core/tools.js';
import { percent } from '../core/words.js';
import { isPlan, route, state } from '../core/state.js';
import { trustFact } from '../shell/trust.js';

/** A number of the ledger, by policy; null where the server has no such policy. */
const policy = (name) => state.ledger?.policies?.find((each) => each.policy === name) ?? null;

/** Hours on against the timetable. Nothing is said where one of the two is not known. */
function saved() {
  const [own, timetable] = [policy('schedule'), policy('timetable')];
  if (!own || !timetable?.hours_on) return null;
  const share = 1 - own.hours_on / timetable.hours_on;
  const hours = { n: Math.round(own.hours_on), timetable: Math.round(timetable.hours_on) };
  return { id: 'saved', label: t(share >= 0 ? 'fact.saved' : 'fact.more', { n: state.ledger.days }), value: percent(Math.abs(share)),
    note: t('fact.saved.note', hours) };
}

/** Occupied hours in which a room was not ready: by the ledger, else by the promise. */
function missed() {
  const { max_missed: most, lately } = state.promise ?? {};
  const own = policy('schedule');
  const share = own ? own.missed_share : lately?.days ? lately.missed_share : null;
  if (share === null || share === undefined) return null;
  const timetable = policy('timetable')?.missed_share ?? null;
  const note = timetable !== null ? t('fact.missed.timetable', { share: percent(timetable) }) : most === undefined ? t('fact.missed.note') : t('fact.missed.aim', { share: percent(most) });
  return { id: 'missed', label: t('fact.missed', { n: own ? state.ledger.days : lately.days }), value: percent(share), note };
}

/** Draws the numbers that are known; none of a day of the past. */
export function showFacts() {
  const facts = isPlan() && !route.at && state.rooms.length ? [saved(), missed(), trustFact()].filter(Boolean) : [];
  $('facts').hidden = !facts.length;
  $('facts').replaceChildren(...facts.map(({ id, label, value, note }) =>
    h('div', { 'data-fact': id }, h('dt', {}, label), h('dd', {}, h('strong', {}, value), ' ', h('span', {}, note)))));
}
