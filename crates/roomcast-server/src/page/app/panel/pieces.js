// What panels are made of.

import { t } from '../core/language.js';
import { h, s } from '../core/tools.js';
import { percent } from '../core/words.js';
import { closePanel } from '../core/state.js';
import { complaint } from '../shell/head.js';

/** What its parts wait for. */
export const pending = [];

export function panelHead(title, summary, tags = []) {
  return h('header', { className: 'phead' },
    h('div', {}, h('h2', { id: 'panel-title', tabIndex: -1 }, title), tags.map((text) => h('span', { className: 'tag' }, text))),
    h('button', { type: 'button', className: 'close', 'aria-label': t('close'), title: t('close.long'), onclick: closePanel }, '×'),
    h('p', {}, summary));
}

export function part(title, ...content) {
  return h('section', {}, h('h3', {}, title), ...content);
}

/** A part that fills itself once `fetching` is done, or says why it cannot. */
export function later(title, fetching, make) {
  pending.push(fetching);
  const section = part(title, h('p', { className: 'small' }, t('loading')));
  fetching.then((answer) => section.replaceChildren(section.firstChild, ...[make(answer)].flat().filter(Boolean)))
    .catch((problem) => section.replaceChildren(section.firstChild, ...complaint(problem)));
  return section;
}

export function label(x, y, text, anchor = 'start', extra = '') {
  return s('text', { x, y, 'text-anchor': anchor, class: extra }, text);
}

export function table(heads, rows) {
  return h('table', {}, h('thead', {}, h('tr', {}, heads.map((head) => h('th', { scope: 'col' }, head)))), h('tbody', {}, rows));
}

export const factList = (facts) => h('dl', { className: 'facts' }, facts.map(([term, text]) => h('div', {}, h('dt', {}, term), h('dd', {}, text))));

/** How much lower the log loss is than that of the room's usual rate; null when not judged. */
export function skillOf({ scores }) {
  return scores?.rows && scores.baseline ? 1 - scores.device / scores.baseline : null;
}

/** The same of the forecasts of the last two weeks, as they were made then; null before the first was scored. */
export const liveSkill = ({ live }) => (live?.hours && live.baseline ? live.skill : null);

export function skillWords(skill) {
  if (skill === null) return t('skill.none');
  if (Math.abs(skill) < 0.005) return t('skill.same');
  return t(skill > 0 ? 'skill.less' : 'skill.more', { share: percent(Math.abs(skill)) });
}
