// The past of a room: its last weeks and its typical one.

import { t } from '../core/language.js';
import { h, s } from '../core/tools.js';
import { date, DAY, HOUR, HOURS, percent, stamp, weekday } from '../core/words.js';
import { explore } from './explore.js';
import { label } from './pieces.js';

/** A week that begins on a Monday, to name its days. */
const WEEK = [1, 2, 3, 4, 5, 6, 7].map((day) => `2024-01-0${day}T00:00:00`);
const STRIP = { left: 52, wide: 17.5, high: 8 };

export function weeks(hours) {
  if (!hours.length) return [h('p', {}, t('weeks.none'))];
  const first = Math.floor(stamp(hours[0].start) / DAY);
  const days = Math.floor(stamp(hours.at(-1).start) / DAY) - first + 1;
  const paths = { occupied: '', unobserved: '' };
  for (const { start, state: was } of hours) {
    const time = stamp(start);
    const x = STRIP.left + ((time % DAY) / HOUR) * STRIP.wide;
    const y = (Math.floor(time / DAY) - first) * STRIP.high;
    if (was === 'occupied') paths.occupied += `M${x} ${y + 1}h${STRIP.wide}v${STRIP.high - 2}h${-STRIP.wide}z`;
    if (was === 'unobserved') paths.unobserved += `M${x + 3} ${y + STRIP.high / 2}h${STRIP.wide - 7}`;
  }
  const used = hours.filter((hour) => hour.state === 'occupied').length;
  const known = hours.filter((hour) => hour.state !== 'unobserved').length;
  const said = known ? t('weeks.used', { share: percent(used / known), n: known }) : t('weeks.unobserved');
  const high = days * STRIP.high;
  const svg = s('svg', { viewBox: `0 0 480 ${high + 20}`, role: 'group', class: 'strip', 'aria-label': `${t('weeks.label', { n: days })} ${said}` },
    s('rect', { class: 'track', x: STRIP.left, y: 0, width: HOURS * STRIP.wide, height: high }), s('path', { class: 'used', d: paths.occupied }), s('path', { class: 'unk', d: paths.unobserved }));
  for (let day = 0; day < days; day += 1) {
    const text = new Date((first + day) * DAY).toISOString();
    if (new Date(text).getUTCDay() !== 1) continue;
    svg.append(s('line', { class: 'rule', x1: 0, x2: 480, y1: day * STRIP.high, y2: day * STRIP.high }));
    if (days - day >= 2) svg.append(label(0, day * STRIP.high + 11, date(text, 'day')));
  }
  hourLabels(svg, high + 14);
  const marks = [...Array(days).keys()].map((day) => {
    const text = new Date((first + day) * DAY).toISOString();
    const n = hours.filter(({ start, state: was }) => was === 'occupied' && start.slice(0, 10) === text.slice(0, 10)).length;
    return [s('rect', { class: 'target', x: STRIP.left, y: day * STRIP.high, width: HOURS * STRIP.wide, height: STRIP.high }), t('weeks.day', { day: date(text), n })];
  });
  svg.append(...marks.map(([target]) => target));
  explore(svg, marks, 1);
  return [svg, h('p', { className: 'small' }, `${said} ${t('weeks.legend')}`)];
}

function hourLabels(svg, y) {
  for (let hour = 0; hour < HOURS; hour += 3) svg.append(label(STRIP.left + hour * STRIP.wide, y, String(hour).padStart(2, '0'), 'middle'));
}

export function typicalWeek(week) {
  if (!week) return [h('p', {}, t('week.none'))];
  const cells = week.flatMap((hours, day) => hours.map((share, hour) => ({ day, hour, share })));
  const known = cells.filter((cell) => cell.share !== null);
  if (!known.length) return [h('p', {}, t('week.unobserved'))];
  const top = known.reduce((a, b) => (b.share > a.share ? b : a));
  const at = (cell) => `${date(WEEK[cell.day], 'dayOfWeek')} ${String(cell.hour).padStart(2, '0')}:00`;
  const said = top.share > 0 ? t('week.busiest', { hour: at(top), share: percent(top.share) }) : t('week.never');
  const svg = s('svg', { viewBox: '0 0 480 146', role: 'group', class: 'week', 'aria-label': `${t('week.label')} ${said}` });
  const marks = cells.map((cell) => {
    const rect = s('rect', { x: STRIP.left + cell.hour * STRIP.wide, y: cell.day * 18, width: STRIP.wide - 1, height: 17, rx: 1.5, class: cell.share === null ? 'unseen' : 'share' });
    rect.style.setProperty('--p', cell.share ?? 0);
    return [rect, cell.share === null ? t('week.hour.unobserved', { hour: at(cell) }) : t('week.hour', { hour: at(cell), share: percent(cell.share) })];
  });
  svg.append(...marks.map(([rect]) => rect));
  explore(svg, marks, HOURS);
  WEEK.forEach((day, at) => svg.append(label(0, at * 18 + 13, weekday(day))));
  hourLabels(svg, 140);
  return [svg, h('p', { className: 'small' }, said)];
}
