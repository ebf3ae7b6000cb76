// The page in a frame behind a proxy that puts a path in front and signs users in, as Home Assistant's ingress does.

import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { after, before, test } from 'node:test';

import { chromium } from 'playwright-core';

import { READINGS, serve } from './server.js';

const PREFIX = '/api/hassio_ingress/0a1b2c';

let server;
let proxy;
let browser;
const outside = [];

before(async () => {
  server = await serve(READINGS, 120_000, ['--input', READINGS, '--sign-in-proxy', '127.0.0.1']);
  proxy = createServer((asked, answer) => {
    if (asked.url === '/panel') {
      answer.setHeader('Content-Type', 'text/html');
      answer.end(`<!doctype html><title>Panel</title><iframe src="${PREFIX}/" width="1200" height="800"></iframe>`);
      return;
    }
    if (!asked.url.startsWith(`${PREFIX}/`)) {
      // The browser asks for the icon of the frame's parent.
      if (asked.url !== '/favicon.ico') outside.push(asked.url);
      answer.writeHead(asked.url === '/favicon.ico' ? 204 : 404).end();
      return;
    }
    const headers = { ...asked.headers, 'X-Ingress-Path': PREFIX };
    const passed = request(server.url + asked.url.slice(PREFIX.length), { method: asked.method, headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    answer.on('close', () => passed.destroy());
    asked.pipe(passed);
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--headless', '--no-sandbox', '--disable-gpu'] });
});

after(async () => {
  await browser?.close();
  proxy?.closeAllConnections();
  proxy?.close();
  await server?.stop();
});

test('the page works in a frame under a path, without a sign-in', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) errors.push(message.text()); });
  await page.goto(`http://127.0.0.1:${proxy.address().port}/panel`);
  const frame = page.frameLocator('iframe');
  await frame.getByRole('grid').waitFor();
  assert.equal(await frame.getByRole('dialog').count(), 0);
  // The panel is a script of its own, and what it shows comes from further requests.
  await frame.getByRole('button', { name: 'Model health' }).click();
  await frame.getByRole('region', { name: /model/i }).waitFor();
  await frame.getByRole('link', { name: 'API documentation' }).click();
  await frame.getByText('/predict', { exact: true }).first().waitFor();
  await frame.getByRole('link', { name: 'Rooms', exact: true }).click();
  await frame.getByRole('grid').waitFor();
  assert.deepEqual([outside, errors], [[], []]);
  await context.close();
});
