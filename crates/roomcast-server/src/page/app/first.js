// How a server without any reading gets its first.

import { $, announce, h } from './tools.js';
import { wall } from './words.js';
import { state } from './state.js';

export function firstSteps() {
  const start = h('p', {}, 'This server has no readings yet. Rooms appear here with their first reading, and models are trained once there are ',
    `${state.models?.learning?.days_needed ?? 'some'} days of them.`);
  if (state.models?.learning && !state.models.learning.takes_readings) {
    return [start, h('p', {}, 'It reads files only. Start it with a store to send it readings as they come:'),
      ...command('serve-command', 'roomcast serve --store readings.db')];
  }
  const body = JSON.stringify([{ time: wall(state.forecast.origin), device: 'room_1' }]);
  return [start,
    h('h2', {}, 'Over HTTP'),
    h('p', {}, 'With a token of scope write or admin in PRIVATE_TOKEN; times are the site’s local time.'),
    ...command('curl-command', `curl -H "Authorization: Bearer $PRIVATE_TOKEN" -H 'Content-Type: application/json' -d '${body}' ${location.origin}/readings`),
    h('h2', {}, 'Over MQTT'),
    h('p', {}, 'Start the server with the address of the broker, then have a sensor, or this command, say that it sees motion. Other topics and ',
      'payloads are arguments of the server, see roomcast serve --help.'),
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
