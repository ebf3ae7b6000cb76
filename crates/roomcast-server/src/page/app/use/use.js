// The use of rooms over weeks: who uses which share of the working hours, and which room is never used; by floor, with its sums, where
// the server knows floors.

import { collator, decimal, t } from '../core/language.js';
import { $, h, save } from '../core/tools.js';
import { date, percent, weekday } from '../core/words.js';
import { ask, get } from '../core/api.js';
import { go, state } from '../core/state.js';
import { complaint } from '../shell/head.js';

/** Rows that are drawn; all are in the file. */
const MOST_ROWS = 500;
/** A Monday, from which the days of the week are counted. */
const MONDAY = 1;
const DAYS_OF_WEEK = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
/** The short name of a day of the week, 0 Monday. */
const dayName = (day) => weekday(`2024-01-0${MONDAY + day}T00:00:00`);

let report = null;
/** The sums of floors by the API's name, where there are floors. */
let floors = new Map();
/** The day of which the report was asked for, with the floors of rooms. */
let reportDay = null;
/** Column and direction of the order: the least used first. */
const useOrder = { by: 'share', up: true };

/** What each column shows, and what it is sorted by; what is not known comes last. */
const USE_COLUMNS = {
  room: [(each) => each.device, (each) => h('button', { type: 'button', className: 'link', onclick: () => go({ room: each.device, hour: null, view: null }) }, each.device)],
  share: [(each) => each.used_share, (each) => shareBar(each)],
  trend: [(each) => each.trend, (each) => trendWords(each)],
  peak: [(each) => each.peak_share, (each) => peakWords(each)],
  unknown: [(each) => each.unknown_share, (each) => percent(each.unknown_share)],
};

function shareBar({ used_share: share, is_never_used: never }) {
  if (share === null) return t('use.unknown');
  const bar = h('i', { className: 'share', 'aria-hidden': 'true' }, h('b', {}));
  bar.firstChild.style.width = `${100 * share}%`;
  return [never ? h('span', { className: 'tag' }, t('use.never')) : percent(share), ' ', bar];
}

/** A change within what chance explains is none. */
function trendWords({ trend, trend_noise: noise }) {
  if (trend === null) return t('use.short');
  if (Math.abs(trend) <= (noise ?? 0)) return t('use.steady');
  return t(trend > 0 ? 'use.rises' : 'use.falls', { points: decimal(100 * Math.abs(trend)) });
}

function peakWords({ peak_hour: hour, peak_share: share, peak_weekday: day }) {
  if (hour === null) return '–';
  const time = `${String(hour).padStart(2, '0')}:00`;
  return t('use.peak', { day: dayName(day), time, share: percent(share) });
}

/** Days of a timetable such as `mon-fri 08:00-18:00`, in the language of the page. */
const hoursInWords = (text) => text.replace(/[a-z]{3,}/gi, (name) => {
  const day = DAYS_OF_WEEK.indexOf(name.slice(0, 3).toLowerCase());
  return day < 0 ? name : dayName(day);
}).replaceAll('-', '–');

function inOrder(a, b) {
  const [mine, other] = [a, b].map(USE_COLUMNS[useOrder.by][0]);
  if (mine === null || other === null) return (mine === null) - (other === null);
  const by = typeof mine === 'string' ? collator.compare(mine, other) : mine - other;
  return (useOrder.up ? by : -by) || collator.compare(a.device, b.device);
}

function useHeads() {
  return Object.keys(USE_COLUMNS).map((column) => {
    const isChosen = column === useOrder.by;
    const choose = () => {
      useOrder.up = isChosen ? !useOrder.up : true;
      useOrder.by = column;
      drawUse();
      $(`use-${column}`).focus();
    };
    return h('th', { scope: 'col', 'aria-sort': isChosen ? (useOrder.up ? 'ascending' : 'descending') : 'none' },
      h('button', { type: 'button', className: 'link', id: `use-${column}`, onclick: choose }, t(`use.column.${column}`), isChosen ? h('span', { 'aria-hidden': 'true' }, useOrder.up ? ' ↑' : ' ↓') : ''));
  });
}

const cells = (each, head) => Object.entries(USE_COLUMNS).map(([column, [, cell]]) => (column === 'room' ? head : h('td', {}, cell(each))));

const useRow = (each) => h('tr', {}, cells(each, h('th', { scope: 'row' }, USE_COLUMNS.room[1](each))));

/** The rooms of each floor below a row with its sums, floors in the order of rooms; rooms on no floor come last. */
function bodies(rooms) {
  if (!floors.size) return [h('tbody', {}, rooms.map(useRow))];
  const on = (floor) => rooms.filter((each) => (state.series.get(each.device) ?? '') === floor);
  const body = (floor, sums) => {
    const members = on(floor);
    const label = state.floors.get(members[0]?.device) ?? floor;
    const head = sums ? [h('tr', { className: 'floor' }, cells(sums, h('th', { scope: 'rowgroup' }, label)))] : [];
    return members.length ? [h('tbody', {}, [...head, ...members.map(useRow)])] : [];
  };
  return [...[...floors.values()].sort(inOrder).flatMap((sums) => body(sums.device, sums)), ...body('', null)];
}

function drawUse() {
  const wanted = $('search').value.trim().toLowerCase();
  const isFound = ({ device }) => [device, state.floors.get(device) ?? ''].some((name) => name.toLowerCase().includes(wanted));
  const found = report.rooms.filter(isFound).sort(inOrder);
  const never = report.rooms.filter((each) => each.is_never_used).length;
  const site = report.site.used_share;
  const said = [t('use.period', { from: date(report.from, 'year'), to: date(report.to, 'year'), hours: hoursInWords(report.work_hours) }),
    site === null ? '' : t('use.site', { share: percent(site) }), never ? t('use.neverCount', { n: never }) : t('use.noneNever'),
    found.length > MOST_ROWS ? t('use.cut', { shown: MOST_ROWS, n: found.length }) : ''];
  $('use').replaceChildren(h('p', { className: 'small' }, said.filter(Boolean).join(' ')),
    h('div', { className: 'wide' }, h('table', {}, h('caption', { }, t('view.use')), h('thead', {}, h('tr', {}, useHeads())), bodies(found.slice(0, MOST_ROWS)))));
}

/** Draws the table, and fetches it once a day is over. */
export async function showUse() {
  const day = state.starts[0]?.slice(0, 10);
  const today = day && JSON.stringify([day, ...state.series]);
  if (state.board !== 'use' || !today || today === reportDay) return;
  reportDay = today;
  try {
    const [rooms, sums] = await Promise.all([get('/utilisation'), state.series.size ? get('/utilisation', { level: 'floor' }) : { rooms: [] }]);
    report = rooms;
    floors = new Map(sums.rooms.map((each) => [each.device, each]));
    drawUse();
  } catch (problem) {
    reportDay = null;
    $('use').replaceChildren(...complaint(problem));
  }
}

/** Draws the rooms that are searched for. */
export const searchUse = () => { if (state.board === 'use' && report) drawUse(); };

export async function downloadUse() {
  const answer = await ask('/utilisation', { format: 'csv' });
  save(await answer.blob(), `use_${report?.to ?? ''}.csv`);
}
