// How a server without any reading gets its first.

import { $, announce, h } from '../core/tools.js';
import { wall } from '../core/words.js';
import { state } from '../core/state.js';

export function firstSteps() {
  const start = h('p', {}, 'This server has no readings yet. A room appears here with its first reading. Models are trained after ',
    `${state.models?.learning?.days_needed ?? 'some'} days of readings.`);
  if (state.models?.learning && !state.models.learning.takes_readings) {
    return [start, h('p', {}, 'This server reads files only. Start it with a store to send it readings as they arrive:'),
      ...command('serve-command', 'roomcast serve --store readings.db')];
  }
  const body = JSON.stringify([{ time: wall(state.forecast.origin), device: 'room_1' }]);
  return [start,
    h('h2', {}, 'Over HTTP'),
    h('p', {}, 'Put a token of scope write or admin into PRIVATE_TOKEN. Times are the site’s local time.'),
    ...command('curl-command', `curl -H "Authorization: Bearer $PRIVATE_TOKEN" -H 'Content-Type: application/json' -d '${body}' ${location.origin}/readings`),
    h('h2', {}, 'Over MQTT'),
    h('p', {}, 'Start the server with the address of the broker. Then let a sensor report motion, or run the second command. ',
      'roomcast serve --help lists the options for other topics and payloads.'),
    ...command('serve-command', 'roomcast serve --store readings.db --mqtt mqtt://BROKER'),
    ...command('mqtt-command', `mosquitto_pub -h BROKER -t zigbee2mqtt/room_1 -m '{"occupancy":true}'`)];
}

/** A command and a button that copies it. */
function command(id, text) {
  const copy = h('button', { type: 'button', className: 'secondary', 'aria-describedby': id, onclick: () => copyText(copy, id, text) }, 'Copy');
  return [h('pre', { id }, h('code', {}, text)), copy];
}

async function copyText(button, id, text) {
  try {
    await navigator.clipboard.writeText(text);
    announce(button, 'Copied');
  } catch {
    // Over plain HTTP browsers keep the clipboard to themselves: the text is selected, ready for Ctrl+C.
    getSelection().selectAllChildren($(id));
    announce(button, 'Selected');
  }
}
