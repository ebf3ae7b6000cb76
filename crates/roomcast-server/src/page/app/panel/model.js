// The panel of the model's health.

import { $, count, h, plural, s, sum } from '../core/tools.js';
import { ago, clock, date, percent } from '../core/words.js';
import { get } from '../core/api.js';
import { closePanel, FILTERS, go, state } from '../core/state.js';
import { showRows } from '../grid/grid.js';
import { measured } from '../shell/head.js';
import { label, later, liveSkill, panelHead, part, skillOf, skillWords, table } from './pieces.js';

export function modelPanel() {
  const devices = get('/devices').then((answer) => answer.devices);
  const { current, versions = [], error } = state.models ?? {};
  const now = versions.find((each) => each.version === current);
  const problem = error ? h('p', { className: 'notice' }, h('strong', {}, 'The last reload failed. The models loaded before stay in use. '), error) : null;
  return [
    panelHead('Model health', modelSummary(current, now)),
    problem,
    later('Scores in training', devices, skillPart),
    later('Scores of the last 14 days', devices, livePart),
    part('Reliability of the chances', ...reliabilityPart()),
    part('Sensors', ...sensorsPart()),
    part('Versions', ...versionsPart(versions, current)),
  ].filter(Boolean);
}

function modelSummary(current, now) {
  const { cutoff } = state.forecast.model ?? {};
  if (state.forecast.stale) return 'No sensor has reported for longer than usual gaps explain. Each forecast is the room’s usual rate until readings arrive again.';
  if (state.models?.learning) {
    const { days, days_needed: needed } = state.models.learning;
    const wait = days < needed ? ` The first model is trained after ${plural(needed, 'day')} of readings. So far there ${days === 1 ? 'is' : 'are'} ${count(days)}.` : '';
    return `No model is trained yet. Each forecast is the room’s usual rate.${wait}`;
  }
  const name = current ? `Version ${current}` : 'A model trained at the start of the server and not saved';
  // A day of the past may be forecast by an older version than the one in use.
  const end = isCurrent(current) ? cutoff : now?.cutoff?.replace(' ', 'T');
  const learned = end ? ` It learned from readings before ${date(end, 'year')}, ${clock(end)}.` : '';
  return `${name}${now?.created_at ? `, ${ago(now.created_at)}` : ''}${now?.roomcast ? `, made by Roomcast ${now.roomcast}` : ''}.${learned}${shownBy(current)}`;
}

/** Whether what is shown comes from the models in use. */
const isCurrent = (current) => !state.past || state.forecast.model?.version === current;

function shownBy(current) {
  if (isCurrent(current)) return '';
  const { version } = state.forecast.model;
  return version === 'baseline' ? ' Every saved model has learned from the day shown, so its forecast is each room’s usual rate.'
    : ` The day shown is forecast by version ${version}, which had not seen it.`;
}

function skillPart(devices) {
  const judged = devices.map((about) => ({ about, skill: skillOf(about) })).filter((each) => each.skill !== null);
  if (!judged.length) return [h('p', {}, 'There are no scores yet, because there are too few readings to hold some back.')];
  const loss = (pick) => sum(judged.map(({ about }) => about.scores.rows * pick(about)));
  const base = loss((about) => about.scores.baseline);
  const own = loss((about) => about.scores.device);
  const sources = ['model', 'building', 'baseline'].map((source) => state.rooms.filter((each) => each.source === source).length);
  const worst = judged.filter((each) => each.skill < 0).length;
  return [
    h('p', {}, h('strong', { className: 'big' }, skillWords(1 - own / base)), ' than each room’s usual rate at that hour. The error is the log loss on hours after those that the models learned from.'),
    h('p', { className: 'small' }, `${isCurrent(state.models?.current) ? `${plural(sources[0], 'room')} with ${sources[0] === 1 ? 'its own model' : 'their own model'}, ${count(sources[1])} with the shared model, ${count(sources[2])} with the usual rate. ` : ''}${worst ? `${plural(worst, 'room')} did worse than the usual rate.` : 'No room did worse than the usual rate.'}`),
  ];
}

/** Forecasts as they were made, scored when their hours were over. */
function livePart(devices) {
  const scored = devices.filter((about) => liveSkill(about) !== null);
  if (!scored.length) return [h('p', {}, 'There are no scores yet. Each hour is scored some minutes after its end, while readings arrive.')];
  const loss = (pick) => sum(scored.map((about) => about.live.hours * about.live[pick]));
  const worst = scored.filter((about) => about.live.skill < -0.005).sort((a, b) => a.live.skill - b.live.skill);
  const rows = worst.slice(0, 5).map((about) => h('tr', {},
    h('th', { scope: 'row' }, h('button', { type: 'button', className: 'link', onclick: () => go({ room: about.device, hour: null, view: null }) }, about.device)),
    h('td', {}, count(about.live.hours)), h('td', {}, skillWords(about.live.skill))));
  return [
    h('p', {}, h('strong', { className: 'big' }, skillWords(1 - loss('log_loss') / loss('baseline'))), ` than each room’s usual rate, over ${plural(sum(scored.map((about) => about.live.hours)), 'hour')} of ${plural(scored.length, 'room')}. The scores are of forecasts made at the start of each hour.`),
    worst.length
      ? h('details', {}, h('summary', {}, `${plural(worst.length, 'room')} did worse than the usual rate`), table(['Room', 'Hours', 'Against usual rate'], rows))
      : h('p', { className: 'small' }, 'No room did worse than the usual rate.'),
  ];
}

/** How far, on average, what happened lies from the chances given, in bins of a tenth. */
function gap(bins) {
  const hours = sum(bins.map((bin) => bin.forecasts));
  return { hours, off: sum(bins.map((bin) => bin.forecasts * Math.abs(bin.said - bin.was))) / hours };
}

function reliabilityPart() {
  const { reliability = [], reliability_until: until } = state.models ?? {};
  const seen = reliability.filter((bin) => bin.forecasts > 0)
    .map((bin) => ({ ...bin, said: bin.mean_probability ?? (bin.from + bin.to) / 2, was: bin.occupied / bin.forecasts }));
  if (!seen.length) return [h('p', {}, 'There is no measurement yet, because no forecast has been compared with what happened.')];
  const points = ({ off }) => `${(100 * off).toFixed(1)} points`;
  const [all, likely] = [gap(seen), gap(seen.filter((bin) => bin.from > 0.09))];
  const ofLikely = likely.hours ? `For ${plural(likely.hours, 'hour')} given 10 % or more, the share in use is ${points(likely)} off the chance given, on average. ` : '';
  const said = `${ofLikely}For all ${plural(all.hours, 'hour')}, including those given less, it is ${points(all)}.`;
  const when = until ? `These hours were held back in training, from the last days before ${date(until, 'year')}.` : '';
  const rows = seen.map((bin) => h('tr', {}, h('th', { scope: 'row' }, `${Math.round(bin.from * 100)}–${Math.round(bin.to * 100)} %`), h('td', {}, count(bin.forecasts)), h('td', {}, percent(bin.was))));
  const lately = measured();
  return [
    lately ? h('p', {}, lately) : null,
    reliabilityChart(seen, said),
    h('p', {}, `${said} ${when} The dotted line is a perfect forecast: of all hours given 30 %, 30 % are in use.`),
    h('details', {}, h('summary', {}, 'As a table'), table(['Chance given', 'Hours', 'In use'], rows)),
  ];
}

function reliabilityChart(bins, said) {
  const [left, top, size] = [44, 8, 260];
  const x = (p) => left + p * size;
  const y = (p) => top + (1 - p) * size;
  const most = Math.max(...bins.map((bin) => bin.forecasts));
  const svg = s('svg', { viewBox: '0 0 330 318', role: 'img', class: 'reliability', 'aria-label': `Reliability diagram. ${said}` });
  for (const p of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(s('line', { class: 'rule', x1: x(0), x2: x(1), y1: y(p), y2: y(p) }), label(left - 8, y(p) + 4, `${p * 100}`, 'end'), label(x(p), y(0) + 18, `${p * 100}`, 'middle'));
  }
  svg.append(label(x(0.5), y(0) + 38, 'chance given, %', 'middle'), label(x(0) + 6, y(1) + 14, 'share in use, %'));
  svg.append(s('line', { class: 'diagonal', x1: x(0), x2: x(1), y1: y(0), y2: y(1) }));
  svg.append(s('path', { class: 'line', d: bins.map((bin, i) => `${i ? 'L' : 'M'}${x(bin.said)} ${y(bin.was)}`).join('') }));
  for (const bin of bins) {
    svg.append(s('circle', { class: 'point', cx: x(bin.said), cy: y(bin.was), r: 2.5 + 6 * Math.sqrt(bin.forecasts / most) },
      s('title', {}, `Given ${Math.round(bin.from * 100)}–${Math.round(bin.to * 100)} %: ${percent(bin.was)} of ${plural(bin.forecasts, 'hour')} in use`)));
  }
  return svg;
}

function sensorsPart() {
  const kinds = [['silent', 'silent: no motion for far longer than usual'], ['chattering', 'chattering: readings every few seconds for hours'], ['new', 'new: first reading less than a week ago']];
  const found = kinds.map(([id, text]) => [id, text, state.rooms.filter(FILTERS.find((each) => each[0] === id)[2]).length]).filter((each) => each[2]);
  if (state.forecast.stale) return [h('p', {}, 'No sensor has reported for longer than usual gaps explain.')];
  if (!found.length) return [h('p', {}, `No sensor is silent, chattering or new (${plural(state.rooms.length, 'sensor')}).`)];
  const show = (id) => { $('show').value = id; showRows(); closePanel(); };
  return [h('ul', { className: 'plain' }, found.map(([id, text, n]) =>
    h('li', {}, h('button', { type: 'button', className: 'link', onclick: () => show(id) }, `Show ${count(n)}`), ` ${text}`)))];
}

function versionsPart(versions, current) {
  if (!versions.length) return [h('p', {}, 'No version is saved.')];
  const rows = versions.slice(0, 10).map((each) => h('tr', {},
    h('th', { scope: 'row' }, each.version, each.version === current ? h('span', { className: 'tag' }, 'in use') : null),
    h('td', {}, each.error ? 'damaged' : date(each.created_at, 'year')),
    h('td', {}, each.error ? '–' : `${date(each.cutoff, 'year')}`)));
  return [table(['Version', 'Made', 'Learned until'], rows)];
}
