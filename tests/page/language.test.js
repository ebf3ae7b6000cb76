// The page in each of its languages: nothing on it is said in words that its table of sentences does not have.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import { PHONE, launch, openPage, until, violations } from './browser.js';
import { READINGS, TOKEN, empty, serve } from './server.js';

const PAST = '2016-08-24T00:00:00';
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

/** Has each sentence of the table stand in brackets. */
const bracketed = (page) => page.route('**/words/en.json', async (route) => {
  const table = await (await route.fetch()).json();
  const mark = (text) => `⟦${text}⟧`;
  await route.fulfill({ json: Object.fromEntries(Object.entries(table).map(([key, text]) => [key, Array.isArray(text) ? text.map(mark) : mark(text)])) });
});

/** Words in sight, or told to a reader, that stand in no bracket. Names of days and months come from the browser. */
const unbracketed = (page) => page.evaluate(() => {
  const days = [...Array(7).keys()].map((n) => new Date(Date.UTC(2024, 0, 1 + n)));
  const months = [...Array(12).keys()].map((n) => new Date(Date.UTC(2024, n, 1)));
  const names = new Set(['long', 'short'].flatMap((form) => [
    ...days.map((day) => new Intl.DateTimeFormat('en-GB', { weekday: form }).format(day)),
    ...months.map((day) => new Intl.DateTimeFormat('en-GB', { month: form }).format(day))]));
  const own = 'code, #language, .brand, noscript, body [lang="en"]';
  const said = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const { parentElement: parent, data } = walk.currentNode;
    if (!parent.closest(own) && parent.checkVisibility()) said.push(data);
  }
  for (const name of ['aria-label', 'title', 'placeholder']) {
    for (const element of document.body.querySelectorAll(`[${name}]`)) if (element.checkVisibility()) said.push(element.getAttribute(name));
  }
  const rest = (text) => { for (let last = ''; last !== text;) { last = text; text = text.replace(/⟦[^⟦⟧]*⟧/g, ' '); } return text; };
  return [...new Set(said)].filter((text) => rest(text).replace(/(device|room)_\d+|Roomcast|\.csv|\d{8}T\d{6}-[0-9a-f]+/g, '').split(/[^\p{L}]+/u).some((word) => word && !names.has(word)));
});

for (const [view, board, hash] of [['the plan', 'plan', ''], ['the chances', 'chances', ''], ['a past day', 'chances', `#at=${PAST}`],
  ['a room', 'plan', `#at=${PAST}&room=device_4`], ['the models', 'chances', '#view=model'], ['an error', 'plan', '#at=1999-01-01T00:00:00']]) {
  test(`each word comes from the table: ${view}`, async () => {
    const { page, close } = await openPage(browser, server, { token: TOKEN, board, hash, prepare: bracketed });
    await page.locator(hash.includes('1999') ? '#error' : '#grid-body [role=row]').first().waitFor();
    await page.waitForTimeout(800);
    assert.deepEqual(await unbracketed(page), []);
    await close();
  });
}

test('each word comes from the table: sign-in, and a server without readings', async (t) => {
  const { page, close } = await openPage(browser, server, { prepare: bracketed });
  await page.locator('#login').waitFor();
  assert.deepEqual(await unbracketed(page), []);
  await close();
  const fresh = await empty();
  t.after(() => fresh.stop());
  const first = await openPage(browser, fresh, { token: TOKEN, prepare: bracketed });
  await first.page.locator('#curl-command').waitFor();
  assert.deepEqual(await unbracketed(first.page), []);
  await first.close();
});

test('the browser’s language comes first, and the switch is remembered', async () => {
  const { page, errors, close } = await openPage(browser, server, { token: TOKEN, board: 'plan', hash: `#at=${PAST}`, locale: 'de-AT' });
  await page.getByRole('heading', { level: 1, name: /^Mittwoch, 24\. August 2016: \d von 7 Räumen einschalten.*; alle aus bis / }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'de');
  await page.getByLabel('Sprache').selectOption('fr');
  await page.getByRole('heading', { level: 1, name: /^Mercredi 24 août 2016 : mettre en marche \d salles sur 7/ }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'fr');
  await page.reload();
  await page.getByRole('heading', { level: 1, name: /^Mercredi 24 août 2016/ }).waitFor();
  assert.deepEqual(errors, []);
  await close();
});

test('a language that the page does not have leaves English', async () => {
  const { page, close } = await openPage(browser, server, { token: TOKEN, locale: 'nl-NL' });
  await page.getByRole('heading', { level: 1, name: /likely in use/ }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
  await close();
});

for (const [locale, said] of [['de', /Für diesen Zeitpunkt gibt es keine Messwerte/], ['fr', /Il n’y a pas de mesures pour cet instant/]]) {
  test(`what the server refuses is told in the language of the page, ${locale}`, async () => {
    const { page, close } = await openPage(browser, server, { token: TOKEN, locale, hash: '#at=1999-01-01T00:00:00' });
    await page.getByRole('alert').filter({ hasText: said }).waitFor();
    // What the server adds is marked as English.
    assert.equal(await page.locator('#error [lang=en]').count(), 1);
    await close();
  });

  test(`numbers, times and forms of one and many, ${locale}; no violation, no overflow on a phone`, async () => {
    const words = JSON.parse(await readFile(new URL(`../../crates/roomcast-server/src/page/app/words/${locale}.json`, import.meta.url), 'utf8'));
    for (const board of ['plan', 'chances']) {
      const { page, errors, close } = await openPage(browser, server, { token: TOKEN, locale, board, viewport: PHONE });
      await page.locator('#grid-body [role=row]').first().waitFor();
      await page.locator('#more').evaluate((more) => { more.open = true; });
      await page.getByRole('searchbox').fill('ice_4');
      await until(async () => (await page.locator('#count').innerText()).startsWith(words['grid.some'][1].replace('{shown}', 1).replace('{n}', 7)));
      await page.getByRole('searchbox').fill('');
      const first = await page.locator('#grid-head .num').last().textContent();
      assert.match(first, board === 'plan' ? /^$/ : /^\d\d:\d\d$/);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'wider than the screen');
      assert.deepEqual(await violations(page), []);
      assert.deepEqual(errors, []);
      await close();
    }
  });
}
