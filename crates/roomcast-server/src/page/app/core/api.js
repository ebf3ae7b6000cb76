// Requests to the server.

import { has, t } from './language.js';
import { tell } from './tools.js';

/** Whether the server has no tokens, so that the page needs no sign-in; the server marks the document. */
export const isOpen = 'open' in document.documentElement.dataset;

const KEY = 'roomcast.token';
export const token = {
  get: () => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY),
  set(value, remember) {
    token.clear();
    (remember ? localStorage : sessionStorage).setItem(KEY, value);
  },
  clear() {
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
  },
};

/** A failed request in words of the page, by the code of the server's problem document. `detail` is what the server says, in English. */
export class Problem extends Error {
  constructor({ code = 'status', status, detail, hint, ...values }) {
    const known = has(`problem.${code}`) ? code : 'status';
    super(t(`problem.${known}`, { status, ...values }));
    this.hint = has(`problem.${known}.hint`) ? t(`problem.${known}.hint`) : '';
    this.detail = [detail, hint].filter(Boolean).join('. ');
    this.status = status;
  }
}

export const authorization = (secret) => (secret ? { Authorization: `Bearer ${secret}` } : {});

export const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/** Asks the server, under the page's own path: a proxy may have put one in front. A parameter may have several values. With the `tag` of an answer that is there, only another one is sent. */
export async function ask(path, parameters = {}, { secret = token.get(), tag = null, patience = 2 } = {}) {
  const given = Object.entries(parameters).flatMap(([name, values]) => [values].flat().map((value) => [name, value]));
  const query = new URLSearchParams(given.filter(([, value]) => value));
  const headers = { ...authorization(secret), ...(tag ? { 'If-None-Match': tag } : {}) };
  const address = query.size ? `${path}?${query}` : path;
  const answer = await fetch(`.${address}`, { headers }).catch(() => {
    throw new Problem({ code: 'unreachable' });
  });
  if (answer.ok || (tag && answer.status === 304)) return answer;
  if ((answer.status === 429 || answer.status === 503) && patience > 0) {
    await pause(Math.min(10, Number(answer.headers.get('Retry-After')) || 1));
    return ask(path, parameters, { secret, tag, patience: patience - 1 });
  }
  const problem = await answer.json().catch(() => ({}));
  throw new Problem({ ...problem, status: answer.status });
}

async function signedIn(asking) {
  try {
    return await asking();
  } catch (problem) {
    if (problem.status === 401) tell('signed-out', problem);
    throw problem;
  }
}

export const get = (path, parameters) => signedIn(async () => (await ask(path, parameters)).json());

/** Answers that are asked for again and again, and their tags. */
const held = new Map();

/** As `get`; an answer that has not changed since it was last asked for is not sent again. */
export const getChanged = (path) => signedIn(async () => {
  const last = held.get(path);
  const answer = await ask(path, {}, { tag: last?.tag });
  if (answer.status === 304) return last.value;
  const value = await answer.json();
  held.set(path, { tag: answer.headers.get('ETag'), value });
  return value;
});

export const device = (name) => `/devices/${encodeURIComponent(name)}`;
