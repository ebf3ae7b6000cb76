// The panel: one room, or the model. What it is made of is fetched with the first that is opened.

import { $ } from '../core/tools.js';
import { Problem } from '../core/api.js';
import { arrange } from '../core/groups.js';
import { route, state } from '../core/state.js';
import { focusCursor, redraw } from '../grid/grid.js';
import { showError } from '../shell/head.js';

/** `pieces`, `room` and `model`, as the server puts them into one script. */
let made = null;
let fetching = false;

async function fetchParts() {
  if (fetching) return;
  fetching = true;
  try {
    made = await import('./panel.js');
    showPanel();
  } catch {
    showError(new Problem({ code: 'part' }));
  } finally {
    fetching = false;
  }
}

/** What the panel shows now, so that a refresh does not draw it again. */
let shownPanel = '';

export function showPanel() {
  if (!state.forecast) return;
  const row = state.rooms.find((each) => each.name === route.room);
  const kind = route.view ?? (row ? 'room' : null);
  if (route.room && !row) showError(new Problem({ code: 'no_room', room: route.room }));
  if (kind && !made) {
    fetchParts();
    return;
  }
  const was = shownPanel;
  shownPanel = kind ? JSON.stringify([kind, route.room, state.starts[0], row?.chances, state.models?.current, state.models?.error]) : '';
  $('open-model').setAttribute('aria-expanded', String(kind === 'model'));
  if (shownPanel !== was) {
    const opened = Boolean(kind) && !was.startsWith(`["${kind}",${JSON.stringify(route.room)}`);
    drawPanel(kind, row, opened, Boolean(was));
  } else if (kind === 'room') {
    made.selectHour(row);
  }
  for (const element of $('grid-body').children) element.classList.toggle('open', element.dataset.key === route.room);
}

function drawPanel(kind, row, opened, wasOpen) {
  const panel = $('panel');
  document.body.classList.toggle('with-panel', Boolean(kind));
  panel.hidden = !kind;
  const held = [panel.contains(document.activeElement) && document.activeElement.id, panel.scrollTop];
  if (made) made.pending.length = 0;
  if (kind) panel.replaceChildren(...(kind === 'model' ? made.modelPanel() : made.roomPanel(row)));
  if (kind === 'room') made.selectHour(row);
  if (kind && !opened) {
    if (held[0]) $(held[0])?.focus({ preventScroll: true });
    Promise.allSettled(made.pending).then(() => { panel.scrollTop = held[1]; });
  } else if (opened) {
    panel.scrollTop = 0;
    $('panel-title').focus({ preventScroll: true });
  } else if (!kind && wasOpen) {
    focusCursor();
  }
  if (Boolean(kind) !== wasOpen) redraw(arrange());
}
