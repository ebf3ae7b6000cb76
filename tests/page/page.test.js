// The page in Chromium against the real server: what a person reads there is what the API says.
//
// ROOMCAST_BIN: the binary; CHROMIUM: the browser (default /usr/bin/chromium).

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { DESK, PHONE, boxesOf, enterGrid, focused, launch, openPage, percent, signIn, until, violations } from './browser.js';
import { READINGS, TOKEN, counted, empty, localTime, serve, simulated, stored } from './server.js';

const PAST = '2016-08-24T00:00:00';

let server;
let browser;

before(async () => {
  server = await serve(READINGS, undefined, ['--input', READINGS, '--preheat', '45m', '--setback-after', '30m']);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** The page's tools, which need no browser. */
const tools = async () => {
  const source = await readFile(new URL('../../crates/roomcast-server/src/page/app/core/tools.js', import.meta.url));
  return import(`data:text/javascript;base64,${source.toString('base64')}`);
};

test('one room in twenty is left out at each end, and none of fewer than twenty', async () => {
  const { greatestOf, leastOf } = await tools();
  for (let n = 1; n <= 200; n += 1) {
    const values = Array.from({ length: n }, (_, at) => (at * 7919) % 10_007).sort((a, b) => a - b);
    const out = Math.trunc(n / 20);
    for (const given of [values, [...values].reverse()]) {
      assert.equal(leastOf(given), values[out], `${n}`);
      assert.equal(greatestOf(given), values[n - 1 - out], `${n}`);
    }
  }
  assert.equal(greatestOf(['2016-08-31T19:30:00', '2016-09-01T01:30:00']), '2016-09-01T01:30:00');
  assert.equal(leastOf([]), undefined);
});

test('a name in a table for spreadsheets is no formula', async () => {
  const { field } = await tools();
  assert.deepEqual(['Hall', '=cmd|A1!x', '+1', '-1', '@x', '\t=1', '=a,"b"', 'a=b'].map(field),
    ['Hall', "'=cmd|A1!x", "'+1", "'-1", "'@x", "'\t=1", '"\'=a,""b"""', 'a=b']);
});

const open = ({ to = server, ...how } = {}) => openPage(browser, to, how);

test('signs in once, and not with a wrong token', async () => {
  const { page, errors, close } = await open();
  await page.getByLabel('Token').fill('wrong');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('does not know this token').waitFor();
  // The refusal itself is what the browser reports here.
  assert.ok(errors.length === 1 && /401/.test(errors[0]), errors.join('\n'));
  errors.length = 0;
  await signIn(page);
  assert.match(await page.getByRole('heading', { level: 1 }).innerText(), /likely in use/);
  assert.equal(await page.evaluate(() => localStorage.getItem('roomcast.token')), null);
  await page.reload();
  await page.getByRole('grid').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token').waitFor();
  assert.deepEqual(errors, []);
  await close();
});

test('the keyboard reads an hour’s chance, and it is the API’s', async () => {
  const { page, errors, close } = await open();
  await signIn(page);
  await page.getByRole('searchbox').fill('ice_4');
  await page.getByText('1 of 7 rooms').waitFor();
  await enterGrid(page);
  const answer = await server.get('/predict?device=device_4');
  assert.equal((await focused(page)).row, await page.getByRole('rowheader', { name: /^device_4/ }).getAttribute('aria-label'));
  for (const { start, probability, state } of answer.devices[0].hours) {
    await page.keyboard.press('ArrowRight');
    const { label, text } = await focused(page);
    assert.match(label, new RegExp(`^\\w{3} ${start.slice(11, 16)}, ${percent(probability)} chance of use, [a-z ]+, ${state ? 'more likely in use than empty' : 'more likely empty'}`));
    assert.equal(`${text} %`, percent(probability));
    assert.match(await page.locator('#tip').innerText(), new RegExp(`${percent(probability)} chance of use`));
  }
  assert.deepEqual(errors, []);
  await close();
});

test('a past day shows what really happened', async () => {
  const { page, errors, close } = await open({ token: TOKEN, hash: `#at=${PAST}` });
  // The models were trained on the whole file: a day that they have learned from is forecast by the usual rate.
  await page.getByText('In hindsight, each room’s usual rate predicted').waitFor();
  const { model } = await server.get(`/predict?at=${PAST}`);
  assert.deepEqual([model.version, model.in_sample], ['baseline', false]);
  const { hours } = await server.get(`/devices/device_4/history?from=${PAST}&to=2016-08-25T00:00:00`);
  assert.equal(hours.length, 24);
  const row = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: /^device_4/ }) });
  const words = { occupied: 'was in use', vacant: 'was empty', unobserved: 'was not observed' };
  for (const [hour, { state }] of hours.entries()) {
    await row.locator(`[data-column="${hour + 1}"].was-${state}`).waitFor({ state: 'attached' });
    assert.match(await row.locator(`[data-column="${hour + 1}"]`).getAttribute('aria-label'), new RegExp(`; ${words[state]}$`));
  }
  await page.getByRole('button', { name: 'One day earlier' }).click();
  await page.getByRole('heading', { level: 1, name: /^Tuesday 23 August/ }).waitFor();
  await page.getByRole('button', { name: 'Latest' }).click();
  await page.waitForFunction(() => !document.body.classList.contains('compare'));
  assert.deepEqual(errors, []);
  await close();
});

test('a room’s panel explains an hour, and hands out its schedule', async () => {
  const { page, errors, close } = await open({ token: TOKEN, hash: `#at=${PAST}` });
  await page.getByRole('grid').waitFor();
  await enterGrid(page);
  for (let i = 0; i < 11; i += 1) await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  const panel = page.getByRole('region', { name: 'device_1' });
  await panel.waitFor();
  const why = await server.get(`/explain?device=device_1&at=${PAST}&hour=2016-08-24T10:00:00`);
  await panel.locator('#why').getByText(`${percent(why.probability)}:`).first().waitFor();
  for (const title of ['Last four weeks', 'Typical week']) {
    await panel.locator('section', { has: page.getByRole('heading', { name: title }) }).getByRole('group').waitFor();
  }
  await panel.getByText('First reading').waitFor();
  // The charts answer to the keyboard and to the pointer: one stop of the Tab key, arrow keys from mark to mark.
  const { typical_week: week } = await server.get('/devices/device_1');
  const marks = panel.getByRole('group', { name: /^Share of time in use/ }).getByRole('img');
  assert.equal(await marks.count(), 7 * 24);
  await marks.nth(0).focus();
  await page.keyboard.press('ArrowDown');
  for (let hour = 0; hour < 9; hour += 1) await page.keyboard.press('ArrowRight');
  await page.locator('#tip').getByText(`Tuesday 09:00: in use ${percent(week[1][9])} of the time`, { exact: true }).waitFor();
  assert.equal(await marks.evaluateAll((all) => all.filter((mark) => mark.tabIndex === 0).length), 1);
  const curve = panel.getByRole('group', { name: /^Chance of use by hour/ }).getByRole('img');
  await curve.nth(3).hover();
  await page.locator('#tip').getByText(/^Wed 03:00, \S+ % chance of use, /).waitFor();
  await panel.getByText('On 45 minutes before use, off 30 minutes after it.').waitFor();
  const [{ blocks }] = (await server.get(`/schedule?device=device_1&at=${PAST}`)).devices;
  if (blocks.length) await panel.getByText(`${blocks[0].start.slice(11, 16)}–${blocks[0].end.slice(11, 16)}`).waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), panel.getByRole('button', { name: /Download calendar/ }).click()]);
  assert.equal(download.suggestedFilename(), 'device_1.ics');
  assert.match(await readFile(await download.path(), 'utf8'), /^BEGIN:VCALENDAR\r\n/);
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'hidden' });
  assert.equal((await focused(page)).row, 'device_1');
  assert.deepEqual(errors, []);
  await close();
});

test('the model’s health is told', async () => {
  const { page, errors, close } = await open({ token: TOKEN });
  await page.getByRole('button', { name: /^Model health/ }).click();
  const panel = page.getByRole('region', { name: 'Model health' });
  const { current, reliability } = await server.get('/models');
  await panel.getByText(current ? `Version ${current}` : /^(No model|A model trained)/).first().waitFor();
  if (reliability?.some((bin) => bin.forecasts)) await panel.getByRole('group', { name: /^Reliability diagram/ }).waitFor();
  const likely = reliability.filter((bin) => bin.from > 0.09 && bin.forecasts);
  const hours = likely.reduce((all, bin) => all + bin.forecasts, 0);
  const off = likely.reduce((all, bin) => all + Math.abs(bin.forecasts * bin.mean_probability - bin.occupied), 0) / hours;
  await panel.getByText(`For ${hours.toLocaleString('en-GB')} hours given 10 % or more, the share in use is ${(100 * off).toFixed(1)} points off`).waitFor();
  assert.deepEqual(errors, []);
  await close();
});

test('the page says in one sentence how far its likely hours can be trusted, and in which days', async () => {
  const { page, errors, close } = await open({ token: TOKEN });
  const { reliability, reliability_until: until } = await server.get('/models');
  const inside = reliability.filter((bin) => bin.from > 0.69);
  const [hours, used] = ['forecasts', 'occupied'].map((what) => inside.reduce((all, bin) => all + bin[what], 0));
  const said = `Of ${hours.toLocaleString('en-GB')} hours given 70 % or more on days until 31 August 2016, held back in training, ${percent(used / hours)} were in use.`;
  await page.locator('#lead').filter({ hasText: said }).waitFor();
  assert.match(until, /^2016-08-31/);
  // It was measured for forecasts of now, by the models of now.
  await page.getByRole('button', { name: 'One day earlier' }).click();
  await page.getByRole('heading', { level: 1, name: /likely in use/ }).waitFor();
  await page.waitForFunction(() => !document.getElementById('lead').innerText.includes('were in use.'));
  assert.deepEqual(errors, []);
  await close();
});

test('a time is typed as it is shown', async () => {
  const { page, errors, close } = await open({ token: TOKEN });
  await page.getByRole('grid').waitFor();
  const field = page.getByLabel('Forecast from');
  assert.match(await field.inputValue(), /^2016-08-31 \d\d:\d\d$/);
  await field.fill('2016-08-24');
  await field.press('Enter');
  await page.getByRole('heading', { level: 1, name: /^Wednesday 24 August 2016: / }).waitFor();
  assert.equal(await field.inputValue(), '2016-08-24 00:00');
  await field.fill('8/23/2016');
  await field.press('Enter');
  assert.equal(await field.evaluate((element) => element.validity.valid), false);
  await field.fill('2016-08-23 12:00');
  await field.press('Enter');
  await page.getByRole('heading', { level: 1, name: /^Tuesday 23 August 2016: / }).waitFor();
  assert.deepEqual(errors, []);
  await close();
});

test('what the server refuses is told with its hint', async () => {
  const { page, close } = await open({ token: TOKEN, hash: '#at=1999-01-01T00:00:00' });
  const alert = page.getByRole('alert').filter({ hasText: 'Try again' });
  await alert.waitFor();
  assert.match(await alert.innerText(), /[.?]\n\nTry again\nGo to the latest forecast$/);
  await page.getByRole('button', { name: 'Go to the latest forecast' }).click();
  await page.getByRole('grid').waitFor();
  await close();
});

test('the plan is shown first, and it is the API’s schedule', async () => {
  const { page, errors, close } = await open({ token: TOKEN, hash: `#at=${PAST}`, board: 'plan' });
  await page.getByRole('heading', { level: 1, name: /^Wednesday 24 August 2016: switch on \d of 7 rooms.*; all off by / }).waitFor();
  const { devices } = await server.get(`/schedule?at=${PAST}`);
  const row = (name) => page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: new RegExp(`^${name}`) }) });
  const clock = (text) => text.slice(11, 16);
  for (const { device, blocks } of devices) {
    const side = await row(device).locator('.num').allInnerTexts();
    const [block] = blocks;
    const on = block ? clock(block.start) : '–';
    assert.deepEqual(side, [on, block ? `${clock(block.end)}${blocks.length > 1 ? ` +${blocks.length - 1} more` : ''}` : ''], device);
    for (let hour = 0; hour < 24; hour += 1) {
      const [from, to] = [hour, hour + 1].map((h) => new Date(Date.parse(`${PAST}Z`) + h * 3_600_000).toISOString().slice(0, 19));
      const isOn = blocks.some(({ start, end }) => start < to && end > from);
      const label = await row(device).locator(`[data-column="${hour + 1}"]`).getAttribute('aria-label');
      assert.equal(/, on from /.test(label), isOn, `${device} ${from}: ${label}`);
    }
  }
  // What the plan promises, in the words for where the promise comes from.
  await page.getByRole('button', { name: 'Latest' }).click();
  const { promise } = await server.get('/schedule');
  const words = { assumed: 'no past forecasts yet to check it', training: 'set on days kept back in training', forecasts: `it missed ${(100 * (promise.lately.missed_share ?? 0)).toFixed(1)} % of` };
  await page.locator('#lead').filter({ hasText: `miss at most ${percent(promise.max_missed)} of the hours in use` }).filter({ hasText: words[promise.source] }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { level: 1, name: /^Wednesday 24 August 2016/ }).waitFor();
  // The first to switch on comes first.
  const starts = new Map(devices.map(({ device, blocks }) => [device, blocks[0]?.start ?? '~']));
  const shown = await page.locator('#grid-body [role=rowheader]').allInnerTexts();
  assert.deepEqual(shown.map((name) => starts.get(name.split('\n')[0])), [...starts.values()].sort());
  // The server's rule holds until somebody changes it here. More time before use: every room goes on earlier.
  assert.equal(await page.getByLabel('On before use, min').inputValue(), '45');
  assert.equal(await page.getByLabel('Off after use, min').inputValue(), '30');
  const first = devices.flatMap((each) => each.blocks).map((block) => block.start).sort()[0];
  await page.getByLabel('On before use, min').fill('120');
  await page.waitForFunction((before) => !document.querySelector('#grid-body .num').innerText.startsWith(before), clock(first));
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download (.csv)' }).click()]);
  assert.equal(download.suggestedFilename(), 'plan_2016-08-24.csv');
  const [head, ...lines] = (await readFile(await download.path(), 'utf8')).trim().split('\r\n');
  assert.equal(head, 'room,on,off,occupied_from,occupied_until,peak_probability');
  const earlier = await server.get(`/schedule?at=${PAST}&preheat=120m&setback_after=30m`);
  assert.deepEqual(lines.map((line) => line.split(',').slice(0, 3).join()).sort(),
    earlier.devices.flatMap(({ device, blocks }) => blocks.map(({ start, end }) => [device, start, end].join())).sort());
  // The heat map is one press away, and is what the page opens with from then on.
  await page.getByRole('button', { name: 'Chances' }).click();
  await page.getByRole('heading', { level: 1, name: /likely in use/ }).waitFor();
  await page.reload();
  await page.getByRole('heading', { level: 1, name: /likely in use/ }).waitFor();
  assert.deepEqual(errors, []);
  await close();
});

test('a phone shows the first room without scrolling', async () => {
  const { page, close } = await open({ viewport: PHONE, token: TOKEN, board: 'plan' });
  await page.getByRole('heading', { level: 1, name: /switch on/ }).waitFor();
  const [box] = await boxesOf(page, '#grid-body [role=row]');
  assert.ok(box.y + box.height < PHONE.height, `the first room ends at ${box.y + box.height}`);
  await page.getByText('Find, sort, other days').click();
  await page.getByRole('searchbox').fill('ice_4');
  await page.getByText(/^1 of 7 rooms/).waitFor();
  await close();
});

test('paper takes every row', async () => {
  const { page, close } = await open({ token: TOKEN, board: 'plan', viewport: { width: 1280, height: 300 } });
  await page.getByRole('heading', { level: 1, name: /switch on/ }).waitFor();
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.locator('#grid-body [role=row]').count(), 7);
  const boxes = await boxesOf(page, '#grid-body [role=row]');
  assert.ok(boxes.every((box, at) => at === 0 || box.y > boxes[at - 1].y), 'rows lie on each other');
  assert.equal(await page.locator('.top').isVisible(), false);
  await close();
});

describe('accessibility', () => {
  const views = { rooms: `#at=${PAST}`, room: `#at=${PAST}&room=device_4&hour=2016-08-24T10:00:00`, model: '#view=model' };
  for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of [['desk', DESK], ['phone', PHONE]]) {
      test(`no violation, ${colorScheme}, ${size}`, async () => {
        for (const [view, hash] of Object.entries(views)) {
          const { page, errors, close } = await open({ viewport, colorScheme, hash, token: TOKEN });
          await page.locator('#headline').getByText('likely in use').waitFor();
          await page.locator('body:not(.busy)').waitFor();
          if (size === 'phone') await page.locator('#more').evaluate((more) => { more.open = true; });
          // The panel fills itself from several answers; the stream of events keeps the network busy for good.
          await page.waitForTimeout(700);
          assert.deepEqual(await violations(page), [], view);
          if (view === 'rooms') {
            await page.getByLabel('Numbers').check();
            assert.deepEqual(await violations(page), [], 'with numbers');
            await page.getByRole('button', { name: 'Plan', exact: true }).click();
            await page.locator('#headline').getByText('switch on').waitFor();
            assert.deepEqual(await violations(page), [], 'the plan');
            if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/plan-${colorScheme}-${size}.png` });
          }
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, `${view} is wider than the screen`);
          assert.deepEqual(errors, []);
          await close();
        }
        const login = await open({ viewport, colorScheme });
        await login.page.getByLabel('Token').waitFor();
        assert.deepEqual(await violations(login.page), [], 'sign-in');
        await login.close();
      });
    }
  }
});

describe('a site that is alive', () => {
  let site;
  /** The sample goes on for three weeks, in three rooms only; then the last hours, one by one, so that they are scored. */
  before(async () => {
    site = await stored(READINGS);
    const at = (day, hour, minute) => new Date(Date.UTC(2016, 8, 1 + day, hour, minute)).toISOString().slice(0, 19).replace('T', ' ');
    const rooms = ['device_1', 'device_2', 'device_3'];
    const rows = (day, hour, minute = 5) => rooms.map((device) => ({ time: at(day, hour, minute), device }));
    await site.post(Array.from({ length: 21 }, (_, day) => [8, 9, 10, 11, 13, 14, 15].flatMap((hour) => rows(day, hour))).flat());
    for (const [hour, minute] of [[8, 5], [9, 20], [10, 20]]) {
      await site.post(rows(21, hour, minute));
      await until(async () => (await site.get('/devices')).devices[0].last_reading === `2016-09-22T${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}:00`);
      await new Promise((done) => setTimeout(done, 2500));
    }
    await until(async () => (await site.get('/devices')).devices[0].live);
    await until(async () => {
      const { alerts } = await site.get('/alerts');
      return alerts.some((alert) => alert.kind === 'silent_sensors');
    });
  });
  after(() => site?.stop());

  test('what needs attention is told in one line each, and leads to the rooms', async () => {
    const { page, errors, close } = await open({ to: site, token: TOKEN });
    const box = page.getByRole('region', { name: /thing(s)? to look at$/ });
    await box.waitFor();
    const { alerts } = await site.get('/alerts');
    assert.equal(await box.getByRole('status').innerText(), `${alerts.length} thing${alerts.length === 1 ? '' : 's'} to look at`);
    assert.equal(await box.locator('details').count(), alerts.length);
    assert.equal(await box.locator('details[open]').count(), 0);
    const silent = alerts.find((alert) => alert.kind === 'silent_sensors');
    const line = box.locator('summary').filter({ hasText: `${silent.count} sensor${silent.count === 1 ? '' : 's'} silent` });
    await line.focus();
    await page.keyboard.press('Enter');
    for (const name of silent.examples) await box.getByRole('button', { name, exact: true }).waitFor();
    // The server has just started, but it is the last motion that counts.
    const { devices } = await site.get('/devices');
    const { origin } = await site.get('/predict');
    const lasts = silent.examples.map((name) => devices.find((each) => each.device === name).last_reading).sort();
    const days = Math.round((Date.parse(`${origin}Z`) - Date.parse(`${lasts[0]}Z`)) / 86_400_000);
    assert.ok(days > 14, `${days} days`);
    await line.getByText(`the longest for ${days} days`).waitFor();
    for (const last of lasts) await box.getByText(new RegExp(`^ ?last motion ${Number(last.slice(8, 10))} August 2016, ${last.slice(11, 16)}$`)).first().waitFor();
    // What is open stays open, and the keyboard where it is, when the page looks again.
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await page.waitForTimeout(1000);
    assert.equal(await line.evaluate((summary) => summary === document.activeElement && summary.parentElement.open), true);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('region', { name: silent.examples[0] }).waitFor();
    // Alerts are of now, and not of a day of the past.
    await page.evaluate(() => { location.hash = 'at=2016-08-24T00:00:00'; });
    await page.getByText('In hindsight, ').waitFor();
    assert.equal(await page.locator('#alerts').isVisible(), false);
    assert.deepEqual(errors, []);
    await close();
  });

  test('a past day is scored by models that have not learned from it', async () => {
    const at = '2016-09-20T00:00:00';
    const { page, errors, close } = await open({ to: site, token: TOKEN, hash: `#at=${at}` });
    const box = page.locator('#hindsight');
    const { model, devices } = await site.get(`/predict?at=${at}`);
    assert.equal(model.in_sample, false);
    let [right, all] = [0, 0];
    for (const { device, hours } of devices) {
      const past = await site.get(`/devices/${device}/history?from=${at}&to=2016-09-21T00:00:00`);
      const states = new Map(past.hours.map((hour) => [hour.start, hour.state]));
      for (const { start, state } of hours) {
        const was = states.get(start);
        if (was !== 'occupied' && was !== 'vacant') continue;
        all += 1;
        if ((was === 'occupied') === (state === 1)) right += 1;
      }
    }
    assert.ok(all > 24, `${all} hours were observed`);
    await box.filter({ hasText: `In hindsight, models that had not seen this day predicted ${percent(right / all)} of ${all} hours correctly` }).waitFor();
    await page.evaluate(() => { location.hash = 'at=2016-08-24T00:00:00'; });
    await box.filter({ hasText: 'In hindsight, each room’s usual rate predicted' }).waitFor();
    assert.deepEqual(errors, []);
    await close();
  });

  test('live scores are told of the site and of a room', async () => {
    const { page, errors, close } = await open({ to: site, token: TOKEN, hash: '#view=model' });
    const { devices } = await site.get('/devices');
    const scored = devices.filter((device) => device.live);
    const loss = (pick) => scored.reduce((all, device) => all + device.live.hours * device.live[pick], 0);
    const words = (skill) => (Math.abs(skill) < 0.005 ? 'no better, no worse' : `${percent(Math.abs(skill))} ${skill > 0 ? 'less' : 'more'} error`);
    const part = page.getByRole('region', { name: 'Model health' }).locator('section', { has: page.getByRole('heading', { name: 'Scores of the last 14 days' }) });
    await part.getByText(words(1 - loss('log_loss') / loss('baseline')), { exact: true }).waitFor();
    await page.evaluate(() => { location.hash = 'room=device_1'; });
    const { live } = devices.find((device) => device.device === 'device_1');
    const room = page.getByRole('region', { name: 'device_1' });
    await room.getByText(`${words(live.skill)} over ${live.hours} hour${live.hours === 1 ? '' : 's'}`).waitFor();
    assert.deepEqual(errors, []);
    await close();
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of [['desk', DESK], ['phone', PHONE]]) {
      test(`no violation, ${colorScheme}, ${size}`, async () => {
        const { page, errors, close } = await open({ viewport, colorScheme, to: site, token: TOKEN });
        if (size === 'phone') await page.getByRole('button', { name: 'Details' }).click();
        await page.locator('#alerts summary').first().waitFor();
        for (const summary of await page.locator('#alerts summary').all()) await summary.click();
        assert.deepEqual(await violations(page), []);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'wider than the screen');
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${colorScheme}-${size}.png` });
        assert.deepEqual(errors, []);
        await close();
      });
    }
  }
});

test('a server without tokens shows the page at once', async (t) => {
  const bare = await serve(READINGS, 120_000, ['--input', READINGS, '--no-auth'], { PRIVATE_TOKEN: undefined });
  t.after(() => bare.stop());
  const { page, errors, close } = await open({ to: bare });
  await page.getByRole('grid').waitFor();
  assert.equal(await page.getByLabel('Token').isVisible(), false);
  assert.equal(await page.getByRole('button', { name: 'Sign out' }).isVisible(), false);
  assert.deepEqual(errors, []);
  await close();
});

describe('the API page', () => {
  for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of [['desk', DESK], ['phone', PHONE]]) {
      test(`describes the API and tries it, ${colorScheme}, ${size}`, async () => {
        // Without a word of the browser about its policy: nothing comes from elsewhere, no script or style is inline.
        const { page, errors, close } = await open({ viewport, colorScheme, token: TOKEN });
        await page.getByRole('grid').waitFor();
        await page.goto(`${server.url}/docs`);
        const { tags } = await server.get('/openapi.json');
        const links = page.getByRole('navigation', { name: 'Sections' }).getByRole('link');
        await links.nth(2).waitFor();
        assert.deepEqual((await links.allInnerTexts()).slice(2), tags.map((tag) => tag.name));
        await links.getByText('devices', { exact: true }).click();
        const operation = page.locator('#operations-devices-devices');
        await operation.locator('.opblock-summary-control').click();
        await operation.getByRole('button', { name: 'Execute' }).click();
        await operation.locator('.live-responses-table').getByText('"device_1"').first().waitFor();
        assert.equal(await page.locator('#api').evaluate((api) => /`\w/.test(api.innerText)), false, 'Markdown is shown as it is written');
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'wider than the screen');
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/docs-${colorScheme}-${size}.png` });
        assert.deepEqual(errors, []);
        await close();
      });
    }
  }
});

test('a server without readings shows how to send the first, and then that it learns', async (t) => {
  const fresh = await empty();
  t.after(() => fresh.stop());
  const { page, errors, close } = await open({ to: fresh, token: TOKEN });
  await page.getByRole('heading', { level: 1, name: 'No readings yet' }).waitFor();
  await page.getByText("mosquitto_pub -h BROKER -t zigbee2mqtt/room_1 -m '{\"occupancy\":true}'").waitFor();
  assert.deepEqual(await violations(page), []);
  const command = await page.locator('#curl-command').innerText();
  const { stdout } = await promisify(execFile)('sh', ['-c', command], { env: { ...process.env, PRIVATE_TOKEN: TOKEN } });
  assert.equal(JSON.parse(stdout).stored, 1, stdout);
  const { days_needed: needed } = (await fresh.get('/models')).learning;
  assert.ok(needed > 1);
  await page.getByRole('heading', { level: 1, name: `Learning, day 1 of ${needed}`, exact: true }).waitFor();
  await page.getByRole('rowheader', { name: 'room_1' }).waitFor();
  assert.match(await page.locator('#lead').innerText(), new RegExp(`^Chances are rough until ${needed} days of readings have arrived: they are the rates of the few hours observed so far\\.`));
  assert.equal(await page.locator('#empty').isVisible(), false);
  assert.deepEqual(errors, []);
  await close();
});

test('a site that fell silent days ago is told from an empty one', async (t) => {
  const silent = await empty();
  t.after(() => silent.stop());
  const hours = [...Array(42 * 24).keys()].map((hour) => new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000 - (hour + 9 * 24) * 3_600_000));
  const busy = hours.filter((at) => at.getUTCDay() % 6 !== 0 && at.getUTCHours() >= 8 && at.getUTCHours() < 17);
  await silent.post(busy.map((at) => ({ time: at.toISOString().slice(0, 19).replace('T', ' '), device: 'office' })));
  await until(async () => (await silent.get('/alerts')).alerts.some((alert) => alert.kind === 'data_late'));
  const { page, errors, close } = await open({ to: silent, token: TOKEN });
  await page.locator('summary').filter({ hasText: 'No readings are coming in' }).getByText(/^ ?since \d+ \w+ \d{4}, \d\d:\d\d$/).waitFor();
  await page.getByText(/^No reading has come in since .* The silence does not lower it\.$/).waitFor();
  assert.equal((await silent.get('/predict')).stale, true);
  assert.deepEqual(errors, []);
  await close();
});

describe('1,000 rooms', () => {
  let large;
  before(async () => { large = await simulated(1000); });
  after(() => large?.stop());

  test('a few rows are drawn at a time, every one within reach', async (t) => {
    const { page, errors, close } = await open({ to: large, token: TOKEN });
    await page.getByRole('grid').waitFor({ timeout: 60_000 });
    const rooms = (await large.get('/predict')).devices.length;
    const rows = () => page.locator('#grid-body [role=row]').count();
    assert.equal(Number(await page.getByRole('grid').getAttribute('aria-rowcount')), 2 + 20);
    assert.ok(await rows() < 80, `${await rows()} rows are drawn`);
    await enterGrid(page);
    await page.keyboard.press('Control+End');
    // Groups are folded at first; Enter unfolds the one that has the focus.
    assert.match((await focused(page)).row, /^floor_20, 50 rooms, folded/);
    assert.ok(await rows() < 30, `${await rows()} rows are drawn`);
    await page.keyboard.press('Home');
    await page.keyboard.press('Enter');
    assert.match((await focused(page)).row, /^floor_20, 50 rooms, unfolded/);
    await page.keyboard.press('Control+End');
    assert.match((await focused(page)).row, /^floor_20\/room_/);
    assert.ok(await rows() < 80);
    await page.getByRole('searchbox').fill('room_0127');
    await page.getByText(`1 of ${rooms.toLocaleString('en-GB')} rooms`, { exact: true }).waitFor();
    const slowest = await page.evaluate(async () => {
      const search = document.getElementById('search');
      let worst = 0;
      for (const text of ['', 'floor_1', 'room_05', '']) {
        search.value = text;
        const began = performance.now();
        search.dispatchEvent(new Event('input'));
        document.body.getBoundingClientRect();
        worst = Math.max(worst, performance.now() - began);
      }
      return worst;
    });
    t.diagnostic(`slowest redraw after a key in the search: ${slowest.toFixed(0)} ms`);
    assert.ok(slowest < 500, `${slowest} ms`);
    assert.deepEqual(errors, []);
    await close();
  });

  for (const [size, viewport] of [['desk', DESK], ['phone', PHONE]]) {
    for (const colorScheme of ['light', 'dark']) {
      test(`the plan of 1,000 rooms: a row for each group, the first in sight, no violation, ${colorScheme}, ${size}`, async () => {
        const { page, errors, close } = await open({ to: large, token: TOKEN, board: 'plan', viewport, colorScheme });
        await page.getByRole('heading', { level: 1, name: /switch on/ }).waitFor({ timeout: 60_000 });
        const first = page.locator('#grid-body [role=row]').first();
        const [box] = await boxesOf(page, '#grid-body [role=row]');
        assert.ok(box.y + box.height < viewport.height, `the first row ends at ${box.y + box.height}`);
        // The first of its group to go on, without one room in twenty.
        const name = (await first.getByRole('rowheader').getAttribute('aria-label')).split(',')[0];
        const { devices } = await large.get('/schedule');
        const starts = devices.filter((each) => each.device.startsWith(`${name}/`) && each.blocks.length).map((each) => each.blocks[0].start).sort();
        const on = starts[Math.floor(0.05 * starts.length)];
        const [begins] = (await large.get('/predict/compact')).starts;
        assert.equal(await first.locator('.num').first().innerText(), on.slice(0, 19) <= begins.slice(0, 19) ? 'now' : on.slice(11, 16));
        assert.deepEqual(await violations(page), []);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'wider than the screen');
        assert.deepEqual(errors, []);
        await close();
      });
    }
  }

  test('the plan of 1,000 rooms comes in one piece, and only what changed after it', async (t) => {
    const wire = await counted(large);
    t.after(() => wire.stop());
    const { page, errors, close } = await open({ to: wire, token: TOKEN, board: 'plan' });
    await page.getByRole('heading', { level: 1, name: /switch on/ }).waitFor({ timeout: 60_000 });
    t.diagnostic(`first load: ${(wire.received() / 1000).toFixed(1)} kB`);
    assert.ok(wire.received() < 120_000, `${wire.received()} bytes`);
    const asked = [];
    page.on('request', (request) => asked.push(request.url().slice(wire.url.length)));
    const names = (await large.get('/predict/compact')).devices;
    for (let turn = 0; turn < 8; turn += 1) {
      await large.post([{ time: localTime().replace('T', ' '), device: names[turn] }]);
      await page.waitForTimeout(1000);
    }
    await until(() => asked.some((path) => path.startsWith('/schedule?') && path.includes('device=')));
    assert.deepEqual(errors, []);
    await close();
  });

  test('few bytes come, and only of the rooms that changed', async (t) => {
    const wire = await counted(large);
    t.after(() => wire.stop());
    const { page, errors, close } = await open({ to: wire, token: TOKEN });
    await page.getByRole('grid').waitFor({ timeout: 60_000 });
    await page.waitForTimeout(3000);
    const first = wire.received();
    t.diagnostic(`first load: ${(first / 1000).toFixed(1)} kB`);
    assert.ok(first < 75_000, `${first} bytes`);
    const asked = [];
    page.on('request', (request) => asked.push(request.url().slice(wire.url.length)));
    const names = (await large.get('/predict/compact')).devices;
    const seconds = Number(process.env.TRAFFIC_SECONDS ?? 20);
    const began = Date.now();
    for (let second = 0; second < seconds; second += 1) {
      const time = localTime().replace('T', ' ');
      await large.post([...Array(6).keys()].map((n) => ({ time, device: names[(second * 6 + n) * 7 % names.length] })));
      await page.waitForTimeout(Math.max(0, began + (second + 1) * 1000 - Date.now()));
    }
    const minutely = ((wire.received() - first) * 60) / seconds;
    t.diagnostic(`${(minutely / 1000).toFixed(1)} kB a minute over ${seconds} s; asked: ${asked.length} times`);
    // All is fetched once when the first reading of the day comes, and every five minutes.
    assert.ok(wire.received() - first < 150_000 + (seconds * 100_000) / 60, `${wire.received() - first} bytes`);
    assert.ok(asked.some((path) => path.startsWith('/predict/compact?device=')), asked.join('\n'));
    // A change that was fetched is shown.
    await page.getByRole('searchbox').fill(names[7]);
    await until(async () => {
      const { hours } = (await large.get(`/predict?device=${encodeURIComponent(names[7])}`)).devices[0];
      const label = await page.locator(`[data-key="${names[7]}"] [data-column="1"]`).getAttribute('aria-label');
      return label.includes(`${percent(hours[0].probability)} chance of use`);
    });
    assert.deepEqual(errors, []);
    await close();
  });

  test('a day of the past is scored over all rooms, not over those in sight', async () => {
    // Of a day that began in this hour nothing is known yet.
    const day = localTime().slice(11, 13) === '00' ? localTime(1) : localTime();
    const at = `${day.slice(0, 10)}T00:00:00`;
    await large.post([{ time: localTime().replace('T', ' '), device: 'floor_01/room_0001' }]);
    const { page, errors, close } = await open({ to: large, token: TOKEN, hash: `#at=${at}` });
    await until(async () => {
      const { actual, chances, threshold, model } = await large.get(`/predict/compact?at=${at}`);
      assert.equal(model.in_sample, false);
      const hours = actual.flatMap((letters, at) => [...letters].map((letter, hour) => [letter, chances[at][hour] >= threshold]));
      const known = hours.filter(([letter]) => letter !== 'u');
      const right = known.filter(([letter, used]) => (letter === 'o') === used).length;
      const said = `predicted ${percent(right / known.length)} of ${known.length.toLocaleString('en-GB')} hour`;
      return (await page.locator('#hindsight').innerText()).includes(said);
    });
    assert.deepEqual(errors, []);
    await close();
  });
});
