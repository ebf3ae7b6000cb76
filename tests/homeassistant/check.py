"""Validates what Roomcast publishes against Home Assistant's own schemas of MQTT discovery.

    python tests/homeassistant/check.py tests/homeassistant/discovery.json

The file holds the discovery messages of a room, a floor and a building, and states of each. A Rust test says that it is
what a server publishes. A key that Home Assistant would drop is an error, as is a template that does not give a state of
its entity.
"""

import asyncio
import json
import logging
import pathlib
import sys
import tempfile
import unittest

import voluptuous
from homeassistant.components.mqtt import binary_sensor, sensor
from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES, DEVICE_CLASS_UNITS
from homeassistant.core import HomeAssistant
from homeassistant.helpers.template import Template
from homeassistant.util import dt

# Templates outside of a running Home Assistant are remarked upon.
logging.disable(logging.WARNING)

PUBLISHED = json.loads(pathlib.Path(sys.argv.pop(1)).read_text())
SCHEMAS = {"binary_sensor": binary_sensor.DISCOVERY_SCHEMA, "sensor": sensor.DISCOVERY_SCHEMA}


def validated(component, payload):
    """Returns the message as Home Assistant understands it."""
    found = SCHEMAS[component](dict(payload))
    dropped = set(payload) - set(found)
    if dropped:
        raise voluptuous.Invalid(f"Home Assistant drops {sorted(dropped)}")
    return found


def render(payload, state):
    """Returns the state that Home Assistant makes of a published one."""

    async def value():
        with tempfile.TemporaryDirectory() as place:
            made = HomeAssistant(place)
            try:
                return Template(payload["value_template"], made).async_render_with_possible_json_value(state)
            finally:
                await made.async_stop(force=True)

    return asyncio.run(value())


class Discovery(unittest.TestCase):
    def messages(self):
        for message in PUBLISHED["messages"]:
            yield message["level"], message["topic"].split("/")[1], message["payload"]

    def test_every_message_is_valid_as_a_whole(self):
        counts = {}
        for level, component, payload in self.messages():
            with self.subTest(level=level, name=payload["name"]):
                found = validated(component, payload)
                self.assertEqual(found["unique_id"], payload["unique_id"])
                counts[level] = counts.get(level, 0) + 1
        self.assertEqual(counts, {"room": 5, "floor": 2, "building": 2})
        ids = [payload["unique_id"] for _, _, payload in self.messages()]
        self.assertEqual(len(ids), len(set(ids)))

    def test_units_and_state_classes_fit_the_device_classes(self):
        for _, component, payload in self.messages():
            kind = payload.get("device_class")
            if component == "sensor" and kind:
                with self.subTest(name=payload["name"]):
                    if kind in DEVICE_CLASS_UNITS:
                        self.assertIn(payload.get("unit_of_measurement"), DEVICE_CLASS_UNITS[kind])
                    if "state_class" in payload:
                        self.assertIn(payload["state_class"], DEVICE_CLASS_STATE_CLASSES[kind])

    def test_states_are_those_of_their_entities(self):
        for level, component, payload in self.messages():
            for state in PUBLISHED["states"][level]:
                with self.subTest(level=level, name=payload["name"], state=state):
                    value = render(payload, state)
                    if component == "binary_sensor":
                        self.assertIn(value, (payload["payload_on"], payload["payload_off"]))
                    elif payload.get("device_class") == "timestamp":
                        # Home Assistant takes the word for an unknown state.
                        self.assertTrue(value == "None" or dt.parse_datetime(value).tzinfo, value)
                    else:
                        self.assertGreaterEqual(float(value), 0)

    def test_what_is_wrong_is_found(self):
        _, component, payload = next(self.messages())
        for change in [{"device_class": "weather"}, {"qos": 3}, {"state_topic": "a/#/b"}, {"unit_of_measurment": "%"}, {"device": {}}]:
            with self.subTest(change=change), self.assertRaises(voluptuous.Invalid):
                validated(component, payload | change)


if __name__ == "__main__":
    unittest.main()
