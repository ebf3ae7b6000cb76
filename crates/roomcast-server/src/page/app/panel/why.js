// What drove an hour. Features are gathered into a few reasons that a person has words for.

import { h, sigmoid } from '../core/tools.js';
import { likelihood, percent } from '../core/words.js';
import { table } from './pieces.js';

const REASONS = [
  ['the room’s usual rate at this hour', /^(prior|hour|hour_before|hour_after|rate_(14|56|120)d)$/],
  ['the use of the room on the last days', /^(recent_shift|last_day|last_day_pull|last_three_pull|last_day_(around|level)|lag_1d|lag_1d_pull|lag_2d|level_[137]d|rate_[37]d|share_day|share_week)$/],
  ['the same hour one and two weeks ago', /^(lag_7d|lag_7d_pull|lag_14d)$/],
  ['the day of the week', /^(weekday|weekday_shift|weekday_(28|84)d)$/],
  ['weekends, holidays and closures', /^(off|off_before|off_after|special)$/],
  ['the rest of the building', /^(building_|others_pull)/],
  ['the general use of the room', /^device_level$/],
  ['the hours just before the forecast', /^(state_pull|today|today_pull|since_motion|last_hour|last_three_hours|so_far|elapsed|silence)$/],
  ['the length of the room’s history', /^history$/],
  ['the time until this hour', /^lead$/],
];

function reasons(contributions) {
  const by = new Map();
  for (const { feature, contribution } of contributions) {
    const name = REASONS.find(([, pattern]) => pattern.test(feature))?.[0] ?? 'other observations';
    by.set(name, (by.get(name) ?? 0) + contribution);
  }
  return [...by].map(([name, size]) => ({ name, size })).sort((a, b) => Math.abs(b.size) - Math.abs(a.size));
}

function strength(size) {
  const direction = size > 0 ? 'more' : 'less';
  if (Math.abs(size) >= 1.5) return `far ${direction} likely`;
  if (Math.abs(size) >= 0.4) return `${direction} likely`;
  return `slightly ${direction} likely`;
}

export function explanation(answer) {
  const all = reasons(answer.contributions);
  const listed = all.filter((each) => Math.abs(each.size) >= 0.08).slice(0, 6);
  const widest = Math.max(1, ...listed.map((each) => Math.abs(each.size)));
  const list = listed.map(({ name, size }) => {
    const bar = h('i', { className: size > 0 ? 'up' : 'down' });
    bar.style.width = `${(50 * Math.abs(size)) / widest}%`;
    return h('li', {}, h('span', {}, name[0].toUpperCase() + name.slice(1)), h('b', { 'aria-hidden': 'true' }, bar), h('em', {}, strength(size)));
  });
  const content = [h('p', {}, whySentence(answer, all)), h('ul', { className: 'why' }, list)];
  if (answer.silent_share < 1) content.push(h('p', { className: 'small' }, `The sensor is silent. Few rooms with a silent sensor are in use, so the chance is multiplied by ${answer.silent_share.toFixed(2)}.`));
  content.push(everyNumber(answer));
  return content;
}

function whySentence(answer, all) {
  const prior = answer.contributions.find((each) => each.feature === 'prior');
  const usual = prior?.value === null || prior === undefined ? '' : ` The room is usually in use ${percent(sigmoid(prior.value))} of the time at this hour.`;
  const pro = all.find((each) => each.size >= 0.08);
  const con = all.find((each) => each.size <= -0.08);
  const moved = [pro && `raised most by ${pro.name}`, con && `lowered most by ${con.name}`].filter(Boolean).join(' and ');
  return `${percent(answer.probability)}: ${likelihood(answer.probability)}.${usual} ` +
    (moved ? `The chance is ${moved}.` : 'Nothing else moves the chance much.');
}

function everyNumber(answer) {
  const number = (value) => (value === null || value === undefined ? '–' : value.toFixed(3));
  const row = (name, value, part) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, number(value)), h('td', {}, number(part)));
  return h('details', {}, h('summary', {}, 'All numbers'),
    table(['Feature', 'Value', 'Log-odds'], [row('(start)', null, answer.base), ...answer.contributions.map((each) => row(each.feature, each.value, each.contribution))]),
    h('p', { className: 'small' }, `They add up to log-odds of ${answer.score.toFixed(3)}.`));
}
