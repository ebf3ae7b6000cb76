// What the server answers.

import { tell } from './tools.js';

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

/** What the server answered instead of data: a problem document, or what comes nearest to one. */
export class Problem extends Error {
  constructor({ title, hint, detail, status }) {
    super(title || `The server answered ${status}`);
    this.hint = hint || detail || '';
    this.status = status;
  }
}

export const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

export async function ask(path, parameters = {}, secret = token.get(), patience = 2) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  const headers = secret ? { Authorization: `Bearer ${secret}` } : {};
  const address = query.size ? `${path}?${query}` : path;
  const answer = await fetch(address, { headers }).catch(() => {
    throw new Problem({ title: 'The server does not answer', hint: 'It may be restarting; this page tries again every minute.' });
  });
  if (answer.ok) return answer;
  if ((answer.status === 429 || answer.status === 503) && patience > 0) {
    await pause(Math.min(10, Number(answer.headers.get('Retry-After')) || 1));
    return ask(path, parameters, secret, patience - 1);
  }
  const problem = await answer.json().catch(() => ({}));
  throw new Problem({ ...problem, status: answer.status });
}

export const get = async (path, parameters) => {
  try {
    return await (await ask(path, parameters)).json();
  } catch (problem) {
    if (problem.status === 401) tell('signed-out', problem);
    throw problem;
  }
};

export const device = (name) => `/devices/${encodeURIComponent(name)}`;
