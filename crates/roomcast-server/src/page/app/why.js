// What drove an hour. Features are gathered into a few reasons that a person has words for.

import { h, sigmoid } from './tools.js';
import { likelihood, percent } from './words.js';
import { table } from './pieces.js';

const REASONS = [
  ['the room’s own habit at this hour', /^(prior|hour|hour_before|hour_after)$/],
  ['how the room was used on the last days', /^(recent_shift|last_day|last_day_pull|last_three_pull|lag_1d|lag_2d|share_day|share_week)$/],
  ['the same hour one and two weeks ago', /^(lag_7d|lag_7d_pull|lag_14d)$/],
  ['the day of the week', /^(weekday|weekday_shift)$/],
  ['weekends, holidays and closures', /^(off|off_before|off_after|special)$/],
  ['the rest of the building', /^(building_|others_pull)/],
  ['how busy the room is in general', /^device_level$/],
  ['the hours just before the forecast', /^(state_pull|today|today_pull|since_motion|last_hour|last_three_hours|so_far|elapsed|silence)$/],
  ['how long the room is known', /^history$/],
  ['how far ahead the hour is', /^lead$/],
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
  if (answer.silent_share < 1) content.push(h('p', { className: 'small' }, `The sensor is silent, and few silent rooms turn out in use: the chance is multiplied by ${answer.silent_share.toFixed(2)}.`));
  content.push(everyNumber(answer));
  return content;
}

function whySentence(answer, all) {
  const habit = answer.contributions.find((each) => each.feature === 'prior');
  const usual = habit?.value === null || habit === undefined ? '' : ` The room is usually in use at such an hour ${percent(sigmoid(habit.value))} of the time.`;
  const pro = all.find((each) => each.size >= 0.08);
  const con = all.find((each) => each.size <= -0.08);
  const reason = [pro && `${pro.name} speaks for use`, con && `${con.name} against it`].filter(Boolean).join(', ');
  const [, ...rest] = reason;
  return `${percent(answer.probability)}: ${likelihood(answer.probability)}.${usual} ` +
    (reason ? `Most of all, ${reason[0]}${rest.join('')}.` : 'Nothing else moves the chance much.');
}

function everyNumber(answer) {
  const number = (value) => (value === null || value === undefined ? '–' : value.toFixed(3));
  const row = (name, value, part) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, number(value)), h('td', {}, number(part)));
  return h('details', {}, h('summary', {}, 'Every number'),
    table(['Feature', 'Value', 'Log-odds'], [row('(start)', null, answer.base), ...answer.contributions.map((each) => row(each.feature, each.value, each.contribution))]),
    h('p', { className: 'small' }, `They add up to log-odds of ${answer.score.toFixed(3)}.`));
}
