// The past of a room: its last weeks and its typical one.

import { h, plural, s } from '../core/tools.js';
import { date, DAY, HOUR, HOURS, percent, stamp } from '../core/words.js';
import { label } from './pieces.js';

const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const STRIP = { left: 52, wide: 17.5, high: 8 };

export function weeks(hours) {
  if (!hours.length) return [h('p', {}, 'No readings cover these weeks.')];
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
  const said = known ? `In use ${percent(used / known)} of ${plural(known, 'observed hour')}.` : 'No hour was observed.';
  const high = days * STRIP.high;
  const svg = s('svg', { viewBox: `0 0 480 ${high + 20}`, role: 'img', class: 'strip', 'aria-label': `Hours in use over ${plural(days, 'day')}. ${said}` },
    s('rect', { class: 'track', x: STRIP.left, y: 0, width: HOURS * STRIP.wide, height: high }), s('path', { class: 'used', d: paths.occupied }), s('path', { class: 'unk', d: paths.unobserved }));
  for (let day = 0; day < days; day += 1) {
    const text = new Date((first + day) * DAY).toISOString();
    if (new Date(text).getUTCDay() !== 1) continue;
    svg.append(s('line', { class: 'rule', x1: 0, x2: 480, y1: day * STRIP.high, y2: day * STRIP.high }));
    if (days - day >= 2) svg.append(label(0, day * STRIP.high + 11, date(text, 'day')));
  }
  hourLabels(svg, high + 14);
  return [svg, h('p', { className: 'small' }, `${said} Each line is one day, the newest last. Dashes mark hours that were not observed.`)];
}

function hourLabels(svg, y) {
  for (let hour = 0; hour < HOURS; hour += 3) svg.append(label(STRIP.left + hour * STRIP.wide, y, String(hour).padStart(2, '0'), 'middle'));
}

export function typicalWeek(week) {
  if (!week) return [h('p', {}, 'There is no typical week yet.')];
  const cells = week.flatMap((hours, day) => hours.map((share, hour) => ({ day, hour, share })));
  const known = cells.filter((cell) => cell.share !== null);
  if (!known.length) return [h('p', {}, 'There is no typical week yet, because no hour was observed.')];
  const top = known.reduce((a, b) => (b.share > a.share ? b : a));
  const at = (cell) => `${WEEKDAYS[cell.day]} ${String(cell.hour).padStart(2, '0')}:00`;
  const said = top.share > 0 ? `The busiest hour is ${at(top)}: in use ${percent(top.share)} of the time.` : 'The room was never in use.';
  const svg = s('svg', { viewBox: '0 0 480 146', role: 'img', class: 'week', 'aria-label': `Share of time in use by weekday and hour. ${said}` });
  for (const cell of cells) {
    const rect = s('rect', { x: STRIP.left + cell.hour * STRIP.wide, y: cell.day * 18, width: STRIP.wide - 1, height: 17, rx: 1.5, class: cell.share === null ? 'unseen' : 'share' },
      s('title', {}, `${at(cell)}: ${cell.share === null ? 'not observed' : `in use ${percent(cell.share)} of the time`}`));
    rect.style.setProperty('--p', cell.share ?? 0);
    svg.append(rect);
  }
  WEEKDAYS.forEach((name, day) => svg.append(label(0, day * 18 + 13, name.slice(0, 3))));
  hourLabels(svg, 140);
  return [svg, h('p', { className: 'small' }, said)];
}
