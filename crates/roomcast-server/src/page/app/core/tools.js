// Small tools: elements, sums, preferences.

export const $ = (id) => document.getElementById(id);

/** An HTML element. Properties are set as properties, `data-`, `aria-` and `role` as attributes. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element; all properties become attributes. */
export function s(tag, props = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (/^(aria-|data-|role$|for$|lang$|colspan$|scope$)/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function announce(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const sum = (values) => values.reduce((a, b) => a + b, 0);
export const sigmoid = (x) => 1 / (1 + Math.exp(-x));

const ascending = (values) => [...values].sort((a, b) => (a > b) - (a < b));

/** The least and the greatest of values, without one in twenty at that end: no outlier speaks for all. Of fewer than twenty none is left out. */
export const leastOf = (values) => ascending(values)[Math.floor(values.length / 20)];
export const greatestOf = (values) => ascending(values).at(-1 - Math.floor(values.length / 20));

/** Hands a file to the person. */
export function save(blob, name) {
  const link = h('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const wanted = new Map();
/** Has `act` called whenever some module tells `what`: modules know only those below them. */
export const when = (what, act) => wanted.set(what, [...(wanted.get(what) ?? []), act]);
export const tell = (what, ...about) => (wanted.get(what) ?? []).forEach((act) => act(...about));

export const prefer = (name, value) => localStorage.setItem(`roomcast.${name}`, JSON.stringify(value));
export function prefers(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`roomcast.${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** A name as a field of a table. A spreadsheet would compute a name such as `=A1`; after an apostrophe it is text. */
export function field(name) {
  const text = /^[=+\-@\t\r]/.test(name) ? `'${name}` : name;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
