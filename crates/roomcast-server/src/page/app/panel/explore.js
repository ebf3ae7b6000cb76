// Charts that answer: each mark says its value under the pointer, and to the keyboard.

import { $, h } from '../core/tools.js';
import { hideTip, place } from '../grid/keys.js';

/** Makes the marks of a chart, pairs of element and words, answer. Tab stops at one of them; arrow keys go to the others, by
 *  `columns` up and down. */
export function explore(svg, marks, columns = marks.length) {
  marks.forEach(([element, said], at) => {
    element.setAttribute('role', 'img');
    element.setAttribute('aria-label', said);
    element.setAttribute('tabindex', at ? -1 : 0);
  });
  const indexOf = (target) => marks.findIndex(([element]) => element === target);
  const show = ({ target }) => {
    const at = indexOf(target);
    if (at < 0) return hideTip();
    $('tip').replaceChildren(h('span', {}, marks[at][1]));
    $('tip').hidden = false;
    return place($('tip'), target.getBoundingClientRect());
  };
  const move = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const from = indexOf(event.target);
    const next = marks[from + step];
    if (from < 0 || !next) return;
    event.preventDefault();
    event.target.setAttribute('tabindex', -1);
    next[0].setAttribute('tabindex', 0);
    next[0].focus();
  };
  svg.addEventListener('pointerover', show);
  svg.addEventListener('pointerleave', hideTip);
  svg.addEventListener('focusin', show);
  svg.addEventListener('focusout', hideTip);
  svg.addEventListener('keydown', move);
  return svg;
}
