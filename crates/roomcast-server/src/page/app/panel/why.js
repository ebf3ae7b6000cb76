// What drove an hour. Features are gathered into a few reasons that a person has words for.

import { t } from '../core/language.js';
import { h, sigmoid } from '../core/tools.js';
import { capital, likelihood, percent } from '../core/words.js';
import { table } from './pieces.js';

const REASONS = [
  ['usual', /^(prior|hour|hour_before|hour_after|rate_(14|56|120)d)$/],
  ['lately', /^(recent_shift|last_day|last_day_pull|last_three_pull|last_day_(around|level)|lag_1d|lag_1d_pull|lag_2d|level_[137]d|rate_[37]d|share_day|share_week)$/],
  ['weeks', /^(lag_7d|lag_7d_pull|lag_14d)$/],
  ['weekday', /^(weekday|weekday_shift|weekday_(28|84)d)$/],
  ['off', /^(off|off_before|off_after|special)$/],
  ['building', /^(building_|others_pull)/],
  ['level', /^device_level$/],
  ['before', /^(state_pull|today|today_pull|since_motion|last_hour|last_three_hours|so_far|elapsed|silence)$/],
  ['history', /^history$/],
  ['lead', /^lead$/],
];

function reasons(contributions) {
  const by = new Map();
  for (const { feature, contribution } of contributions) {
    const name = REASONS.find(([, pattern]) => pattern.test(feature))?.[0] ?? 'other';
    by.set(name, (by.get(name) ?? 0) + contribution);
  }
  return [...by].map(([name, size]) => ({ name, size })).sort((a, b) => Math.abs(b.size) - Math.abs(a.size));
}

function strength(size) {
  const amount = Math.abs(size) >= 1.5 ? 'far' : Math.abs(size) >= 0.4 ? 'clear' : 'slight';
  return t(`why.${size > 0 ? 'more' : 'less'}.${amount}`);
}

export function explanation(answer) {
  const all = reasons(answer.contributions);
  const listed = all.filter((each) => Math.abs(each.size) >= 0.08).slice(0, 6);
  const widest = Math.max(1, ...listed.map((each) => Math.abs(each.size)));
  const list = listed.map(({ name, size }) => {
    const bar = h('i', { className: size > 0 ? 'up' : 'down' });
    bar.style.width = `${(50 * Math.abs(size)) / widest}%`;
    return h('li', {}, h('span', {}, capital(t(`reason.${name}`))), h('b', { 'aria-hidden': 'true' }, bar), h('em', {}, strength(size)));
  });
  const content = [h('p', {}, whySentence(answer, all)), h('ul', { className: 'why' }, list)];
  if (answer.silent_share < 1) content.push(h('p', { className: 'small' }, t('why.silent', { share: percent(answer.silent_share) })));
  content.push(everyNumber(answer));
  return content;
}

function whySentence(answer, all) {
  const prior = answer.contributions.find((each) => each.feature === 'prior');
  const usual = prior?.value === null || prior === undefined ? '' : t('why.usual', { share: percent(sigmoid(prior.value)) });
  const pro = all.find((each) => each.size >= 0.08);
  const con = all.find((each) => each.size <= -0.08);
  const names = { pro: pro && t(`reason.${pro.name}`), con: con && t(`reason.${con.name}`) };
  const kind = pro && con ? 'both' : pro ? 'pro' : con ? 'con' : 'none';
  return [t('why.chance', { chance: percent(answer.probability), said: likelihood(answer.probability) }), usual, t(`why.moved.${kind}`, names)].filter(Boolean).join(' ');
}

function everyNumber(answer) {
  const number = (value) => (value === null || value === undefined ? '–' : value.toFixed(3));
  const row = (name, value, part) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, number(value)), h('td', {}, number(part)));
  return h('details', {}, h('summary', {}, t('why.all')),
    table([t('why.feature'), t('why.value'), t('why.odds')], [row(t('why.start'), null, answer.base), ...answer.contributions.map((each) => row(each.feature, each.value, each.contribution))]),
    h('p', { className: 'small' }, t('why.sum', { score: answer.score.toFixed(3) })));
}
