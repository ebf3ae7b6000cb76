// What the server says has changed, as it changes: the names of rooms, gathered for some seconds.

import { $, tell } from '../core/tools.js';
import { authorization, isOpen, pause, token } from '../core/api.js';
import { route, state } from '../core/state.js';

/** Milliseconds from the first change that is heard to its fetch, and from one fetch to the next at the least. */
const SOON = 800;
const REST = 5000;
/** How long the first fetch of all waits for the stream. */
const PATIENCE = 1;
/** Seconds without a word after which the stream is opened again. */
const SILENCE = 45;

/** What was heard and not fetched: all, alerts, or rooms by name. */
const heard = { all: false, alerts: false, names: new Set() };
let listening = false;
let opening = null;
let timer = 0;
let fetched = 0;

/** Whether somebody looks at forecasts of now. */
export const isWatched = () => document.visibilityState === 'visible' && Boolean(state.forecast) && !route.at && !$('login').open;

export const isListening = () => listening;

/** Takes what was heard since the last time. */
export function takeHeard() {
  const taken = { ...heard };
  Object.assign(heard, { all: false, alerts: false, names: new Set() });
  fetched = Date.now();
  return taken;
}

function soon() {
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    if (isWatched()) tell('changes');
  }, Math.max(SOON, fetched + REST - Date.now()));
}

/** Goes on with what was heard while a fetch was under way. */
export function hearAgain() {
  if (heard.all || heard.alerts || heard.names.size) soon();
}

/** One event: a line of its kind and one of its data. Without the names of all rooms it is about all. */
function hear(text) {
  const kind = /^event: (.*)$/m.exec(text)?.[1];
  if (!kind) return;
  const { devices = [], count } = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? '{}');
  if (kind === 'alerts') heard.alerts = true;
  else if (kind === 'readings' && count > 0 && devices.length === count) devices.forEach((name) => heard.names.add(name));
  else heard.all = true;
  soon();
}

async function readEvents(body, secret) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let rest = '';
    // The server says something every 15 seconds: a connection that is silent for longer is gone.
    const next = () => Promise.race([reader.read(), pause(SILENCE).then(() => ({ done: true }))]);
    for (let chunk = await next(); !chunk.done; chunk = await next()) {
      if (token.get() !== secret) break;
      const events = (rest + chunk.value).split('\n\n');
      rest = events.pop();
      events.forEach(hear);
    }
    reader.cancel();
  } catch {
    // The connection is gone; the next try follows.
  } finally {
    listening = false;
  }
}

async function openStream() {
  const secret = token.get();
  try {
    const answer = await fetch('./events', { headers: authorization(secret) });
    if (!answer.ok) return;
    listening = true;
    // What changed before was not told.
    heard.all = true;
    soon();
    readEvents(answer.body, secret);
  } catch {
    // The server is not there; the next try follows.
  }
}

/** Opens the stream if it is not open. Whoever fetches all afterwards misses nothing. */
export async function listen() {
  if (listening) return;
  opening ??= openStream().finally(() => { opening = null; });
  await Promise.race([opening, pause(PATIENCE)]);
}

/** Opens the stream again and again, for as long as somebody is signed in and looks. */
export async function keepListening() {
  for (let wait = 1; ; wait = listening ? 1 : Math.min(60, wait * 2)) {
    await pause(wait);
    if (document.visibilityState === 'visible' && (isOpen || token.get() !== null) && state.forecast) await listen();
  }
}
