// Opens the page in Chromium, and asks what a person would notice there.

import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';

import { chromium } from 'playwright-core';

import { TOKEN } from './server.js';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
export const DESK = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };
const SERIOUS = ['moderate', 'serious', 'critical'];

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const percent = (p) => (p < 0.005 ? '<1 %' : p < 1 && p >= 0.995 ? '>99 %' : `${Math.round(p * 100)} %`);

// Without a user-data-dir of its own Playwright makes a fresh one.
export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

/** A page that collects what goes wrong on it; `errors` must stay empty. `prepare` sees it before it loads. */
export async function openPage(browser, to, { viewport = DESK, colorScheme = 'light', hash = '', token = null, board = 'chances', locale = 'en-GB', prepare = null } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, locale, acceptDownloads: true });
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) errors.push(message.text()); });
  page.on('request', (request) => { if (!request.url().startsWith(to.url) && !/^(blob|data):/.test(request.url())) errors.push(`left the server: ${request.url()}`); });
  await page.addInitScript((value) => { localStorage.getItem('roomcast.board') ?? localStorage.setItem('roomcast.board', JSON.stringify(value)); }, board);
  if (token) await page.addInitScript((value) => sessionStorage.setItem('roomcast.token', value), token);
  await prepare?.(page);
  await page.goto(`${to.url}/${hash}`);
  return { page, errors, close: () => context.close() };
}

export async function signIn(page) {
  await page.getByLabel('Token').fill(TOKEN);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('grid').waitFor();
}

/** From the skip link, the first stop of the keyboard, into the grid. */
export async function enterGrid(page) {
  await page.locator('body').click({ position: { x: 2, y: 2 } });
  await page.locator('.skip').focus();
  await page.keyboard.press('Enter');
}

export const focused = (page) => page.evaluate(() => ({
  label: document.activeElement.getAttribute('aria-label'),
  text: document.activeElement.innerText.trim(),
  row: document.activeElement.closest('[role=row]')?.querySelector('[role=rowheader]').getAttribute('aria-label'),
}));

/** Rectangles of all elements of a selector, taken in one step: a refresh replaces rows, and an element that is gone has none. */
export const boxesOf = (page, selector) => page.evaluate((of) => [...document.querySelectorAll(of)].map((element) => element.getBoundingClientRect().toJSON()), selector);

export async function violations(page) {
  // The policy of the page forbids foreign scripts, so the debugger brings this one.
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: axe });
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return found.violations.filter((each) => SERIOUS.includes(each.impact))
    .map((each) => `${each.id} (${each.impact}): ${each.nodes[0].html.slice(0, 200)} ${each.nodes[0].failureSummary}`);
}

/** Waits for something that comes within half a minute. */
export async function until(holds) {
  for (const began = Date.now(); Date.now() - began < 30_000;) {
    if (await holds()) return;
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error(`it did not come: ${holds}`);
}
