// How a server without any reading gets its first.

import { t } from '../core/language.js';
import { $, announce, h } from '../core/tools.js';
import { wall } from '../core/words.js';
import { state } from '../core/state.js';

export function firstSteps() {
  const needed = state.models?.learning?.days_needed;
  const start = h('p', {}, t('start.empty'), ' ', needed ? t('start.training', { n: needed }) : '');
  if (state.models?.learning && !state.models.learning.takes_readings) {
    return [start, h('p', {}, t('start.files')),
      ...command('serve-command', 'roomcast serve --store readings.db')];
  }
  const body = JSON.stringify([{ time: wall(state.forecast.origin), device: 'room_1' }]);
  return [start,
    h('h2', {}, t('start.http')),
    h('p', {}, t('start.http.text')),
    ...command('curl-command', `curl -H "Authorization: Bearer $PRIVATE_TOKEN" -H 'Content-Type: application/json' -d '${body}' ${location.origin}/readings`),
    h('h2', {}, t('start.mqtt')),
    h('p', {}, t('start.mqtt.text')),
    ...command('serve-command', 'roomcast serve --store readings.db --mqtt mqtt://BROKER'),
    ...command('mqtt-command', `mosquitto_pub -h BROKER -t zigbee2mqtt/room_1 -m '{"occupancy":true}'`)];
}

/** A command and a button that copies it. */
function command(id, text) {
  const copy = h('button', { type: 'button', className: 'secondary', 'aria-describedby': id, onclick: () => copyText(copy, id, text) }, t('copy'));
  return [h('pre', { id }, h('code', {}, text)), copy];
}

async function copyText(button, id, text) {
  try {
    await navigator.clipboard.writeText(text);
    announce(button, t('copied'));
  } catch {
    // Over plain HTTP browsers keep the clipboard to themselves: the text is selected, ready for Ctrl+C.
    getSelection().selectAllChildren($(id));
    announce(button, t('selected'));
  }
}
