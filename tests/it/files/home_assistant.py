"""Writes home-assistant_v2.db.gz with Home Assistant's own recorder: the readings of readings.rs, each with its `off` ten
minutes later, and a door and a light that are no presence.

    python -m venv venv
    venv/bin/pip install homeassistant==2024.3.3 sqlalchemy==2.0.28 psutil-home-assistant==0.0.1 fnv-hash-fast==0.5.0
    venv/bin/python tests/it/files/home_assistant.py

These are the last releases for Python 3.11; the recorder's schema is 42.
"""

import asyncio
import datetime
import gzip
import pathlib
import sqlite3
import tempfile
import time
import types

from homeassistant import config_entries, core, loader
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry, device_registry, entity_registry, recorder, translation
from homeassistant.setup import async_setup_component

ROOMS = [("binary_sensor.hall", "motion"), ("binary_sensor.room_1", "occupancy"), ("binary_sensor.room_2", "presence")]
OTHERS = [("binary_sensor.door", "door"), ("light.hall", None)]
FIRST = datetime.datetime(2016, 7, 4)
SUMMER = datetime.timedelta(hours=2)  # Berlin's


def is_occupied(wall, room):
    """As in readings.rs."""
    day, hour, quarter = wall.timetuple().tm_yday, wall.hour, wall.minute // 15
    is_used = (day * 7 + hour * 5 + room * 3) % 10 < 7 - 2 * room
    return wall.weekday() < 5 and 8 <= hour < 17 + room and is_used and (quarter + room + hour) % 3 != 1


def states():
    """Yields the time in UTC, the entity, its class and its state, in order of time."""
    found = []
    for quarter in range(22 * 96):
        wall = FIRST + datetime.timedelta(minutes=15 * quarter)
        for room, (entity, kind) in enumerate(ROOMS):
            if is_occupied(wall, room):
                for minutes, state in ((0, "on"), (10, "off")):
                    found.append((wall + datetime.timedelta(minutes=minutes), entity, kind, state))
        if wall.hour == 12:
            found += [(wall, entity, kind, "off" if quarter % 2 else "on") for entity, kind in OTHERS]
    for wall, entity, kind, state in sorted(found, key=lambda state: state[0]):
        yield (wall - SUMMER).replace(tzinfo=datetime.timezone.utc), entity, kind, state


async def record(directory):
    """Runs Home Assistant without anything but its recorder, and sets the states at their times."""
    assistant = HomeAssistant(directory)
    assistant.config.skip_pip = True
    loader.async_setup(assistant)
    translation.async_setup(assistant)
    assistant.config_entries = config_entries.ConfigEntries(assistant, {})
    for registry in (area_registry, device_registry, entity_registry):
        await registry.async_load(assistant)
    await assistant.config_entries.async_initialize()
    recorder.async_initialize_recorder(assistant)
    settings = {"recorder": {"commit_interval": 1, "auto_purge": False}}
    assert await async_setup_component(assistant, "recorder", settings)
    await assistant.async_start()
    await assistant.async_block_till_done()
    for moment, entity, kind, state in states():
        core.time = types.SimpleNamespace(time=moment.timestamp)
        attributes = {"friendly_name": entity} | ({"device_class": kind} if kind else {})
        assistant.states.async_set(entity, state, attributes)
        await asyncio.sleep(0)
    core.time = time
    await assistant.async_block_till_done()
    from homeassistant.components.recorder import get_instance

    await get_instance(assistant).async_block_till_done()
    await assistant.async_stop(force=True)


with tempfile.TemporaryDirectory() as place:
    asyncio.run(record(place))
    database = pathlib.Path(place, "home-assistant_v2.db")
    with sqlite3.connect(database) as connection:
        connection.execute("VACUUM")
    packed = gzip.compress(database.read_bytes(), 9, mtime=0)
    pathlib.Path(__file__).with_name("home-assistant_v2.db.gz").write_bytes(packed)
