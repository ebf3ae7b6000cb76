// Starts and stops `roomcast serve` for the tests.

import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const binary = process.env.ROOMCAST_BIN;

export const READINGS = join(root, 'data', 'device_activations.csv');
export const TOKEN = 'a-token-for-the-page-test';

function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer().once('error', fail).listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

/** A server of these readings, once it is ready: `url`, `get(path)` for JSON, `post(rows)`, `stop()`. */
export async function serve(readings, patience = 120_000, more = ['--input', readings], tokens = { PRIVATE_TOKEN: TOKEN }) {
  if (!binary) throw new Error('ROOMCAST_BIN must name the roomcast binary');
  const port = await freePort();
  const home = await mkdtemp(join(tmpdir(), 'roomcast-page-'));
  const child = spawn(binary, ['serve', ...more, '--bind', `127.0.0.1:${port}`],
    { cwd: home, env: { ...process.env, ...tokens }, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  let over = null;
  child.stderr.on('data', (text) => { said = (said + text).slice(-8000); });
  const ended = new Promise((done) => child.once('close', (code, signal) => { over = code ?? signal; done(); }));
  child.once('error', (error) => { said += error; });
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(force);
    await rm(home, { recursive: true, force: true });
  };
  const get = async (path) => {
    const answer = await fetch(url + path, { headers: { Authorization: `Bearer ${TOKEN}` } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const post = async (rows) => {
    const answer = await fetch(`${url}/readings`, { method: 'POST', body: JSON.stringify(rows), headers: { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' } });
    if (!answer.ok) throw new Error(`/readings: ${answer.status} ${await answer.text()}`);
  };
  for (const began = Date.now(); ;) {
    if (over !== null) throw new Error(`roomcast serve ended (${over}):\n${said}`);
    if (await fetch(`${url}/readyz`).then((answer) => answer.ok, () => false)) return { url, get, post, stop };
    if (Date.now() - began > patience) {
      await stop();
      throw new Error(`roomcast serve is not ready after ${patience / 1000} s:\n${said}`);
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** A server with a store of these readings, which takes more. */
export async function stored(readings) {
  const home = await mkdtemp(join(tmpdir(), 'roomcast-stored-'));
  const store = join(home, 'readings.db');
  await promisify(execFile)(binary, ['import', '--store', store, readings]);
  const server = await serve(readings, 120_000, ['--store', store]);
  return { ...server, stop: async () => { await server.stop(); await rm(home, { recursive: true, force: true }); } };
}

/** A server with a store in which there is nothing. */
export async function empty() {
  const home = await mkdtemp(join(tmpdir(), 'roomcast-empty-'));
  const server = await serve(null, 120_000, ['--store', join(home, 'readings.db')]);
  return { ...server, stop: async () => { await server.stop(); await rm(home, { recursive: true, force: true }); } };
}

/** The site's local time, `days` before now. */
export function localTime(days = 0) {
  const now = new Date();
  return new Date(now.getTime() - now.getTimezoneOffset() * 60_000 - days * 86_400_000).toISOString().slice(0, 19);
}

/** A server with a store of the last two months of a simulated building, until yesterday. */
export async function simulated(devices) {
  const home = await mkdtemp(join(tmpdir(), 'roomcast-simulated-'));
  const [readings, store] = ['readings.csv', 'readings.db'].map((name) => join(home, name));
  const days = ['--from', localTime(62).slice(0, 10), '--to', localTime(1).slice(0, 10)];
  await promisify(execFile)(binary, ['simulate', '--devices', String(devices), ...days, '--seed', '5', '--output', readings]);
  await promisify(execFile)(binary, ['import', '--store', store, readings]);
  const server = await serve(null, 300_000, ['--store', store, '--preheat', '45m', '--setback-after', '30m']);
  return { ...server, stop: async () => { await server.stop(); await rm(home, { recursive: true, force: true }); } };
}

/** The same server by way of a proxy that counts the bytes it sends: `received()`. */
export async function counted(server) {
  let received = 0;
  const proxy = createServer((client) => {
    const upstream = connect(Number(new URL(server.url).port), '127.0.0.1');
    upstream.on('data', (bytes) => { received += bytes.length; });
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  return { ...server, url: `http://127.0.0.1:${proxy.address().port}`, received: () => received, stop: () => proxy.close() };
}
