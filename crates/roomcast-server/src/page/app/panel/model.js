// The panel of the model's health.

import { count, decimal, t } from '../core/language.js';
import { $, h, s, sum } from '../core/tools.js';
import { ago, date, moment, percent } from '../core/words.js';
import { get } from '../core/api.js';
import { closePanel, FILTERS, go, state } from '../core/state.js';
import { showRows } from '../grid/grid.js';
import { measured } from '../shell/trust.js';
import { explore } from './explore.js';
import { label, later, liveSkill, panelHead, part, skillOf, skillWords, table } from './pieces.js';

export function modelPanel() {
  const devices = get('/devices').then((answer) => answer.devices);
  const { current, versions = [], error } = state.models ?? {};
  const now = versions.find((each) => each.version === current);
  const problem = error ? h('p', { className: 'notice' }, h('strong', {}, t('model.reload')), ' ', h('span', { lang: 'en' }, error)) : null;
  return [
    panelHead(t('model.open'), modelSummary(current, now)),
    problem,
    later(t('model.training'), devices, skillPart),
    later(t('model.live'), devices, livePart),
    part(t('model.reliability'), ...reliabilityPart()),
    part(t('model.sensors'), ...sensorsPart()),
    part(t('model.versions'), ...versionsPart(versions, current)),
  ].filter(Boolean);
}

function modelSummary(current, now) {
  const { cutoff } = state.forecast.model ?? {};
  if (state.forecast.stale) return t('model.stale');
  if (state.models?.learning) {
    const { days, days_needed: needed } = state.models.learning;
    return [t('model.untrained'), days < needed ? t('model.wait', { n: needed, days }) : ''].join(' ').trim();
  }
  const age = [now?.created_at && ago(now.created_at), now?.roomcast && t('model.by', { version: now.roomcast })].filter(Boolean);
  const name = [current ? t('model.version', { version: current }) : t('model.unsaved'), ...age].join(', ');
  // A day of the past may be forecast by an older version than the one in use.
  const end = isCurrent(current) ? cutoff : now?.cutoff?.replace(' ', 'T');
  return [`${name}.`, end ? t('model.learned', { moment: moment(end) }) : '', shownBy(current)].filter(Boolean).join(' ');
}

/** Whether what is shown comes from the models in use. */
const isCurrent = (current) => !state.past || state.forecast.model?.version === current;

function shownBy(current) {
  if (isCurrent(current)) return '';
  const { version } = state.forecast.model;
  return version === 'baseline' ? t('model.shown.baseline') : t('model.shown.version', { version });
}

function skillPart(devices) {
  const judged = devices.map((about) => ({ about, skill: skillOf(about) })).filter((each) => each.skill !== null);
  if (!judged.length) return [h('p', {}, t('scores.none'))];
  const loss = (pick) => sum(judged.map(({ about }) => about.scores.rows * pick(about)));
  const base = loss((about) => about.scores.baseline);
  const own = loss((about) => about.scores.device);
  const sources = ['model', 'building', 'baseline'].map((source) => state.rooms.filter((each) => each.source === source).length);
  const worst = judged.filter((each) => each.skill < 0).length;
  return [
    h('p', {}, h('strong', { className: 'big' }, skillWords(1 - own / base)), ` ${t('scores.training')}`),
    h('p', { className: 'small' }, [isCurrent(state.models?.current) ? t('scores.sources', { n: sources[0], shared: sources[1], usual: sources[2] }) : '', worst ? `${t('scores.worse', { n: worst })}.` : t('scores.noneWorse')].join(' ').trim()),
  ];
}

/** Forecasts as they were made, scored when their hours were over. */
function livePart(devices) {
  const scored = devices.filter((about) => liveSkill(about) !== null);
  if (!scored.length) return [h('p', {}, t('scores.later'))];
  const loss = (pick) => sum(scored.map((about) => about.live.hours * about.live[pick]));
  const worst = scored.filter((about) => about.live.skill < -0.005).sort((a, b) => a.live.skill - b.live.skill);
  const rows = worst.slice(0, 5).map((about) => h('tr', {},
    h('th', { scope: 'row' }, h('button', { type: 'button', className: 'link', onclick: () => go({ room: about.device, hour: null, view: null }) }, about.device)),
    h('td', {}, count(about.live.hours)), h('td', {}, skillWords(about.live.skill))));
  return [
    h('p', {}, h('strong', { className: 'big' }, skillWords(1 - loss('log_loss') / loss('baseline'))), ` ${t('scores.live', { hours: t('hours', { n: sum(scored.map((about) => about.live.hours)) }), rooms: t('rooms', { n: scored.length }) })}`),
    worst.length
      ? h('details', {}, h('summary', {}, t('scores.worse', { n: worst.length })), table([t('column.room'), t('column.hours'), t('scores.against')], rows))
      : h('p', { className: 'small' }, t('scores.noneWorse')),
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
  if (!seen.length) return [h('p', {}, t('reliability.none'))];
  const points = ({ off }) => decimal(100 * off);
  const [all, likely] = [gap(seen), gap(seen.filter((bin) => bin.from > 0.09))];
  const said = [likely.hours ? t('reliability.likely', { n: likely.hours, points: points(likely) }) : '', t('reliability.all', { n: all.hours, points: points(all) })].join(' ').trim();
  const when = until ? t('reliability.held', { day: date(until, 'year') }) : '';
  const rows = seen.map((bin) => h('tr', {}, h('th', { scope: 'row' }, `${Math.round(bin.from * 100)}–${Math.round(bin.to * 100)} %`), h('td', {}, count(bin.forecasts)), h('td', {}, percent(bin.was))));
  const lately = measured();
  return [
    lately ? h('p', {}, lately) : null,
    reliabilityChart(seen, said),
    h('p', {}, [said, when, t('reliability.legend')].filter(Boolean).join(' ')),
    h('details', {}, h('summary', {}, t('table')), table([t('reliability.given'), t('column.hours'), t('reliability.used')], rows)),
  ];
}

function reliabilityChart(bins, said) {
  const [left, top, size] = [44, 8, 260];
  const x = (p) => left + p * size;
  const y = (p) => top + (1 - p) * size;
  const most = Math.max(...bins.map((bin) => bin.forecasts));
  const svg = s('svg', { viewBox: '0 0 330 318', role: 'group', class: 'reliability', 'aria-label': `${t('reliability.label')} ${said}` });
  for (const p of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(s('line', { class: 'rule', x1: x(0), x2: x(1), y1: y(p), y2: y(p) }), label(left - 8, y(p) + 4, `${p * 100}`, 'end'), label(x(p), y(0) + 18, `${p * 100}`, 'middle'));
  }
  svg.append(label(x(0.5), y(0) + 38, t('reliability.x'), 'middle'), label(x(0) + 6, y(1) + 14, t('reliability.y')));
  svg.append(s('line', { class: 'diagonal', x1: x(0), x2: x(1), y1: y(0), y2: y(1) }));
  svg.append(s('path', { class: 'line', d: bins.map((bin, i) => `${i ? 'L' : 'M'}${x(bin.said)} ${y(bin.was)}`).join('') }));
  const points = bins.map((bin) => [s('circle', { class: 'point', cx: x(bin.said), cy: y(bin.was), r: 2.5 + 6 * Math.sqrt(bin.forecasts / most) }),
    t('reliability.bin', { from: Math.round(bin.from * 100), to: percent(bin.to), was: percent(bin.was), n: bin.forecasts })]);
  svg.append(...points.map(([circle]) => circle));
  return explore(svg, points);
}

function sensorsPart() {
  const found = ['silent', 'chattering', 'new'].map((id) => [id, state.rooms.filter(FILTERS.find((each) => each[0] === id)[1]).length]).filter(([, n]) => n);
  if (state.forecast.stale) return [h('p', {}, t('sensors.stale'))];
  if (!found.length) return [h('p', {}, t('sensors.fine', { n: state.rooms.length }))];
  const show = (id) => { $('show').value = id; showRows(); closePanel(); };
  return [h('ul', { className: 'plain' }, found.map(([id, n]) =>
    h('li', {}, h('button', { type: 'button', className: 'link', onclick: () => show(id) }, t('sensors.show', { n })), ` ${t(`sensors.${id}`)}`)))];
}

function versionsPart(versions, current) {
  if (!versions.length) return [h('p', {}, t('versions.none'))];
  const rows = versions.slice(0, 10).map((each) => h('tr', {},
    h('th', { scope: 'row' }, each.version, each.version === current ? h('span', { className: 'tag' }, t('versions.current')) : null),
    h('td', {}, each.error ? t('versions.damaged') : date(each.created_at, 'year')),
    h('td', {}, each.error ? '–' : `${date(each.cutoff, 'year')}`)));
  return [table([t('versions.version'), t('versions.made'), t('versions.until')], rows)];
}
