// What stands beside the plan, and the use of rooms: the numbers are those of the API, and none is there that was not measured.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { DESK, PHONE, boxesOf, launch, openPage, percent, violations } from './browser.js';
import { READINGS, TOKEN, serve } from './server.js';

let server;
let browser;

before(async () => {
  server = await serve(READINGS);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const LEDGER = { timetable: 'mon-fri 06:00-19:00', days: 30, by_day: [], policies: [
  { policy: 'timetable', hours: 5040, occupied_hours: 1400, hours_on: 2000, empty_hours_on: 700, missed_hours: 28, missed_share: 0.02, starts: 150 },
  { policy: 'schedule', hours: 5040, occupied_hours: 1400, hours_on: 1600, empty_hours_on: 320, missed_hours: 70, missed_share: 0.05, starts: 160 }] };

/** A month of a ledger takes a month, so this one is made up; the page must say the same. */
const withLedger = (ledger) => (page) => page.route((url) => url.pathname === '/ledger', (route) => route.fulfill({ json: ledger }));

const figure = (page, name) => page.locator(`[data-fact="${name}"]`);

test('saved and missed are the ledger’s', async () => {
  const { page, errors, close } = await openPage(browser, server, { token: TOKEN, board: 'plan', prepare: withLedger(LEDGER) });
  await figure(page, 'saved').waitFor();
  assert.match(await figure(page, 'saved').innerText(), /^Saved, 30 days\n20 %\s+1,600 hours on, by the timetable 2,000$/);
  assert.match(await figure(page, 'missed').innerText(), /^In the cold, 30 days\n5 %\s+of the hours in use; by the timetable 2 %$/);
  assert.deepEqual(errors, []);
  await close();
});

test('a plan that is on for longer than the timetable says so', async () => {
  const more = structuredClone(LEDGER);
  more.policies[1].hours_on = 2340;
  const { page, close } = await openPage(browser, server, { token: TOKEN, board: 'plan', prepare: withLedger(more) });
  assert.match(await figure(page, 'saved').innerText(), /^More than the timetable, 30 days\n17 %/);
  await close();
});

test('without a timetable, or without a day, nothing is said to be saved', async () => {
  for (const ledger of [{ ...LEDGER, timetable: null, policies: LEDGER.policies.slice(1) }, { timetable: null, days: 0, policies: [], by_day: [] }]) {
    const { page, close } = await openPage(browser, server, { token: TOKEN, board: 'plan', prepare: withLedger(ledger) });
    await figure(page, 'trust').waitFor();
    await page.waitForTimeout(500);
    assert.equal(await figure(page, 'saved').count(), 0);
    assert.equal(await figure(page, 'missed').count(), ledger.days ? 1 : 0);
    await close();
  }
});

test('how sure is measured, and is not said of a day of the past', async () => {
  const { page, close } = await openPage(browser, server, { token: TOKEN, board: 'plan' });
  const { reliability } = await server.get('/models');
  const inside = reliability.filter((bin) => bin.from > 0.69);
  const [hours, used] = ['forecasts', 'occupied'].map((what) => inside.reduce((all, bin) => all + bin[what], 0));
  await figure(page, 'trust').waitFor();
  assert.match(await figure(page, 'trust').innerText(), new RegExp(`\\n${percent(used / hours)}\\s+of ${hours.toLocaleString('en-GB')} hours called likely were in use$`));
  await page.getByRole('button', { name: 'One day earlier' }).click();
  await page.locator('#facts').waitFor({ state: 'hidden' });
  await close();
});

/** What the strip should say of each day: rooms of which a block lies in it, from when and until when. */
const daysOf = (devices, first) => [...Array(7).keys()].map((n) => {
  const [from, until] = [n, n + 1].map((day) => new Date(Date.parse(`${first}T00:00:00Z`) + day * 86_400_000).toISOString().slice(0, 19));
  const inside = devices.flatMap(({ device, blocks }) => blocks.filter(({ start, end }) => start < until && end > from)
    .map(({ start, end }) => ({ device, start: start < from ? from : start, end: end > until ? until : end })));
  const [start, end] = [inside.map((each) => each.start).sort()[0], inside.map((each) => each.end).sort().at(-1)];
  const rooms = new Set(inside.map((each) => each.device)).size;
  return rooms ? `: ${rooms} of 7 rooms on, from ${start.slice(11, 16)} to ${end === until ? '24:00' : end.slice(11, 16)}` : ': all rooms stay off';
});

test('the days to come are the API’s, and a block counts on each day that it reaches into', async () => {
  const answer = await server.get('/schedule?days=7');
  const long = structuredClone(answer);
  long.devices[0].blocks = [{ ...answer.devices[0].blocks[0], start: '2016-08-31T20:00:00', end: '2016-09-07T16:00:00' }];
  for (const week of [answer, long]) {
    const prepare = (page) => page.route((url) => url.searchParams.get('days') === '7', (route) => route.fulfill({ json: week }));
    const { page, errors, close } = await openPage(browser, server, { token: TOKEN, board: 'plan', prepare });
    const days = page.locator('#week-days li');
    await days.nth(6).waitFor();
    const said = await days.evaluateAll((all) => all.map((day) => day.getAttribute('aria-label')));
    assert.deepEqual(said.map((text) => text.replace(/^[^:]*/, '')), daysOf(week.devices, answer.origin.slice(0, 10)));
    assert.match(said[5], /^Monday 5 September: [1-7] of 7 rooms on, from /);
    assert.deepEqual(errors, []);
    await close();
  }
});

for (const [size, viewport] of [['desk', DESK], ['phone', PHONE]]) {
  test(`no violation with all figures; the first room in sight, ${size}`, async () => {
    for (const locale of ['en-GB', 'de', 'fr']) {
      const { page, errors, close } = await openPage(browser, server, { token: TOKEN, board: 'plan', viewport, locale, prepare: withLedger(LEDGER) });
      await page.locator('#week-days li').nth(6).waitFor();
      assert.deepEqual(await violations(page), [], locale);
      const [box] = await boxesOf(page, '#grid-body [role=row]');
      assert.ok(box.y + box.height < viewport.height, `${locale}: the first room ends at ${box.y + box.height}`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'wider than the screen');
      assert.deepEqual(errors, []);
      await close();
    }
  });
}

test('the use of rooms is grouped by floor, with the sums of the API', async () => {
  const place = await mkdtemp(join(tmpdir(), 'roomcast-floors-'));
  const table = join(place, 'rooms.csv');
  const rows = [1, 2, 3, 4, 5, 6].map((n) => `device_${n},device_${n},${n <= 3 ? 'Ground' : 'First'},North`);
  await writeFile(table, ['sensor,room,floor,building', ...rows, ''].join('\n'));
  const own = await serve(READINGS, 120_000, ['--input', READINGS, '--rooms', table]);
  const { page, errors, close } = await openPage(browser, own, { token: TOKEN, board: 'use' });
  const { rooms: floors } = await own.get('/utilisation?level=floor');
  await page.locator('#use tr.floor').nth(1).waitFor();
  const sorted = floors.toSorted((a, b) => a.used_share - b.used_share);
  const heads = await page.locator('#use tr.floor').allInnerTexts();
  assert.equal(heads.length, 2);
  sorted.forEach((floor, at) => {
    assert.ok(heads[at].startsWith(floor.device.replace('North/', '')), heads[at]);
    assert.match(heads[at], new RegExp(percent(floor.used_share)));
  });
  const inBody = (at) => page.locator('#use tbody').nth(at).locator('th[scope=row]').allInnerTexts();
  assert.deepEqual((await inBody(sorted.findIndex((floor) => floor.device === 'North/Ground'))).sort(), ['device_1', 'device_2', 'device_3']);
  // A room on no floor comes last, without a head.
  assert.deepEqual(await inBody(2), ['device_7']);
  await page.getByRole('searchbox').fill('first');
  assert.equal(await page.locator('#use tbody th[scope=row]').count(), 3);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(errors, []);
  await close();
  await own.stop();
  await rm(place, { recursive: true });
});

test('the use of rooms is the API’s, is sorted by a press, and downloaded', async () => {
  const { page, errors, close } = await openPage(browser, server, { token: TOKEN, board: 'plan' });
  await page.getByRole('button', { name: 'Use', exact: true }).click();
  const { rooms } = await server.get('/utilisation');
  const shown = () => page.locator('#use tbody th').allInnerTexts();
  await page.locator('#use tbody tr').nth(rooms.length - 1).waitFor();
  const known = rooms.filter((each) => each.used_share !== null).sort((a, b) => a.used_share - b.used_share);
  assert.deepEqual((await shown()).slice(0, known.length).map((name) => rooms.find((each) => each.device === name).used_share), known.map((each) => each.used_share));
  const row = page.locator('#use tbody tr').filter({ has: page.getByRole('button', { name: known.at(-1).device, exact: true }) });
  assert.match(await row.innerText(), new RegExp(percent(known.at(-1).used_share)));
  // By name, then backwards, by keyboard.
  await page.locator('#use-room').focus();
  await page.keyboard.press('Enter');
  assert.deepEqual(await shown(), rooms.map((each) => each.device));
  await page.keyboard.press('Enter');
  assert.deepEqual(await shown(), rooms.map((each) => each.device).reverse());
  assert.equal(await page.locator('#use th[aria-sort=descending]').count(), 1);
  assert.deepEqual(await violations(page), []);
  await page.getByRole('searchbox').fill('ice_4');
  assert.deepEqual(await shown(), ['device_4']);
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#download-use').click()]);
  assert.equal((await readFile(await download.path(), 'utf8')).trim().split('\n').length, rooms.length + 1);
  await page.getByRole('button', { name: 'device_4' }).click();
  await page.getByRole('region', { name: 'device_4' }).waitFor();
  assert.deepEqual(errors, []);
  await close();
});

test('floors of the table of rooms are groups, which fold', async () => {
  const rooms = [1, 2, 3, 4, 5, 6, 7].map((n) => ({ sensor: `device_${n}`, room: `device_${n}`, floor: [null, 'Ground floor', 'Ground floor', 'Ground floor', 'First floor', 'First floor', 'First floor'][n] ?? null }));
  const table = (page) => page.route((url) => url.pathname === '/rooms', (route) => route.fulfill({ json: { rooms, unassigned: [], without_readings: [] } }));
  const { page, errors, close } = await openPage(browser, server, { token: TOKEN, board: 'plan', prepare: table });
  await page.getByRole('heading', { level: 1, name: /switch on/ }).waitFor();
  assert.equal(await page.getByLabel('Group').isChecked(), true);
  // A room without a floor is in no group of its name.
  await page.getByRole('rowheader', { name: /^Other rooms, 1 room, unfolded/ }).waitFor();
  const ground = page.getByRole('rowheader', { name: /^Ground floor, 3 rooms, unfolded/ });
  await ground.waitFor();
  await ground.click();
  await page.getByRole('rowheader', { name: /^Ground floor, 3 rooms, folded/ }).waitFor();
  assert.equal(await page.getByRole('rowheader', { name: /^device_[123]/ }).count(), 0);
  assert.equal(await page.getByRole('rowheader', { name: /^device_[4567]/ }).count(), 4);
  assert.deepEqual(errors, []);
  await close();
});

test('an alert names the room of its sensor, as a link to it', async () => {
  const alert = { kind: 'silent_sensors', count: 2, since: '2016-08-31T00:00:00Z', examples: ['a 2', 'device_3'], rooms: ['device_4', null] };
  const silent = (page) => page.route((url) => url.pathname === '/alerts', (route) => route.fulfill({ json: { alerts: [alert] } }));
  const { page, errors, close } = await openPage(browser, server, { token: TOKEN, board: 'plan', prepare: silent });
  await page.locator('#alerts summary').click();
  await page.getByRole('button', { name: 'device_3', exact: true }).waitFor();
  await page.getByRole('button', { name: 'a 2 (device_4)', exact: true }).click();
  await page.getByRole('region', { name: 'device_4' }).waitFor();
  assert.deepEqual(errors, []);
  await close();
});

for (const [locale, said] of [['en-GB', 'working hours Mon–Fri 08:00–18:00.'], ['de', 'Arbeitszeit Mo–Fr 08:00–18:00.'], ['fr', 'heures de travail lun–ven 08:00–18:00.']]) {
  test(`the use of rooms on a phone: working hours in words, the busiest hour in sight, ${locale}`, async () => {
    const { page, errors, close } = await openPage(browser, server, { token: TOKEN, board: 'use', viewport: PHONE, locale });
    await page.locator('#use p').filter({ hasText: said }).waitFor();
    await page.locator('#use-peak').waitFor();
    const [peak] = await boxesOf(page, '#use-peak');
    assert.ok(peak.x + peak.width <= PHONE.width, `${peak.x + peak.width}`);
    assert.deepEqual(errors, []);
    await close();
  });
}
