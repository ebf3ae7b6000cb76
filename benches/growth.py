#!/usr/bin/env python3
"""Measures how a server grows with its rooms: its start, its memory, all forecasts, and the forecast after a reading.

    benches/growth.py [--rooms N ...] [--write]

Needs the release binary (`make build`; ROOMCAST names another one). A building of 1,023 rooms is simulated for the last 60 days, and
repeated in the store until there are as many rooms as asked for: what a server holds and does for a room does not depend on how its
readings came about. 100,000 rooms take some 1.5 GB of disk. `--write` puts the table into docs/SCALE.md; without it, it is printed.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path

import scale

BLOCK = 256  # devices of a row of hourly counts
BUILDING = 4 * BLOCK  # numbers of a building's devices; 0 stays free
ROOMS = BUILDING - 1
READINGS = 5  # that are timed


def building(place: Path) -> tuple[Path, Path]:
    """A store of one building, packed but for the last day, and models of it."""
    file, store, models = place / "building.parquet", place / "building.db", place / "models"
    today = date.today()
    days = ["--from", today - timedelta(days=60), "--to", today - timedelta(days=1)]
    scale.run(scale.ROOMCAST, "simulate", "--devices", ROOMS, "--density", scale.READINGS / 20, *days, "--output", file)
    scale.run(scale.ROOMCAST, "train", "--input", file, "--models", models)
    scale.run(scale.ROOMCAST, "import", "--store", store, file)
    scale.run(scale.ROOMCAST, "store", "pack", "--store", store, "--days", 1)
    return store, models


def repeat(one: Path, many: Path, buildings: int) -> int:
    """Copies the building of a store until there are so many; the number of readings."""
    shutil.copy(one, many)
    with closing(sqlite3.connect(many, isolation_level=None)) as store:
        store.execute("PRAGMA synchronous = OFF")
        store.execute("BEGIN")
        # Devices are numbered from 1 on without gaps.
        count, last = store.execute("SELECT count(*), max(id) FROM devices").fetchone()
        assert count == last == ROOMS, (count, last)
        for copy in range(1, buildings):
            at, block = copy * BUILDING, copy * BUILDING // BLOCK
            store.execute("INSERT INTO devices SELECT id + ?1, name || '-' || ?3 FROM devices WHERE id < ?2", (at, BUILDING, copy))
            store.execute("INSERT INTO heard_blocks SELECT block + ?1, times FROM heard_blocks WHERE block < ?2", (block, BUILDING // BLOCK))
        copies = "WITH RECURSIVE copy(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < ?)"
        if buildings > 1:
            # In the order of the keys, as a server writes them.
            for (day,) in store.execute("SELECT DISTINCT day FROM packed").fetchall():
                store.execute(
                    f"{copies} INSERT INTO packed SELECT day, device + n * ?, count, changed, times FROM copy, packed"
                    f" WHERE day = ? AND device < ?",
                    (buildings - 1, BUILDING, day, BUILDING),
                )
            store.execute(
                f"{copies} INSERT INTO readings (time, device) SELECT time, device + n * ? FROM readings, copy ORDER BY time, device, n",
                (buildings - 1, BUILDING),
            )
            for (hour,) in store.execute("SELECT DISTINCT hour FROM hour_blocks").fetchall():
                store.execute(
                    f"{copies} INSERT INTO hour_blocks SELECT hour, block + n * ?, counts FROM copy, hour_blocks WHERE hour = ? AND block < ?",
                    (buildings - 1, BUILDING // BLOCK, hour, BUILDING // BLOCK),
                )
        store.execute("COMMIT")
        return store.execute("SELECT (SELECT sum(count) FROM packed) + (SELECT count(*) FROM readings)").fetchone()[0]


def after_reading(server: scale.Server, room: str) -> tuple[float, float]:
    """Seconds until the forecast of a room knows a reading, and processor seconds of the server for it."""
    ask = lambda: json.loads(server.ask(f"/predict?device={room}"))["devices"][0]["data_until"]
    known, before, cpu = ask(), time.monotonic(), server.cpu()
    row = {"time": datetime.now().isoformat(timespec="seconds"), "device": room}
    server.ask("/readings", json.dumps(row).encode())
    while ask() == known:
        time.sleep(0.01)
    return time.monotonic() - before, server.cpu() - cpu


def measure(place: Path, one: Path, models: Path, rooms: int) -> dict[str, float]:
    store = place / "many.db"
    for path in place.glob("many.db*"):
        path.unlink()
    buildings = max(1, round(rooms / ROOMS))
    readings = repeat(one, store, buildings)
    begun = time.monotonic()
    # What it writes beside the models of one size is not of the next.
    own = place / f"models-{rooms}"
    shutil.copytree(models, own)
    with scale.Server(place, "--store", store, "--models", own) as server:
        server.ready()
        ready, loaded = time.monotonic() - begun, server.memory()
        begun, cpu = time.monotonic(), server.cpu()
        answer = len(server.ask("/predict"))
        forecast, forecast_cpu = time.monotonic() - begun, server.cpu() - cpu
        peak = server.memory()
        with closing(sqlite3.connect(store)) as names:
            room = names.execute("SELECT name FROM devices LIMIT 1").fetchone()[0]
        timed = sorted(after_reading(server, room) for _ in range(READINGS))
        follow = timed[READINGS // 2]
        later = server.memory()
    return {
        "rooms": buildings * ROOMS, "readings": readings, "store": scale.sqlite_size(store), "ready": ready, "loaded": loaded,
        "peak": peak, "forecast": forecast, "cpu": forecast_cpu, "answer": answer, "follow": follow[0], "follow_cpu": follow[1], "later": later,
    }  # fmt: skip


def table(measured: list[dict[str, float]]) -> str:
    size = scale.size_of
    rows = [
        ["readings", lambda of: scale.short(of["readings"])],
        ["store, packed", lambda of: size(of["store"])],
        ["ready after", lambda of: f"{of['ready']:.2f} s"],
        ["memory then, peak", lambda of: size(of["loaded"])],
        ["all forecasts, as JSON", lambda of: f"{of['forecast']:.2f} s"],
        ["processor time of them, a room", lambda of: f"{1e6 * of['cpu'] / of['rooms']:.0f} µs"],
        ["memory then, peak", lambda of: size(of["peak"])],
        ["the same, a room", lambda of: size(of["peak"] / of["rooms"])],
        ["a reading is in its room's forecast after", lambda of: f"{of['follow']:.2f} s"],
        ["processor time of that", lambda of: f"{1e3 * of['follow_cpu']:.0f} ms"],
        ["memory after that, peak", lambda of: size(of["later"])],
    ]
    head = ["rooms", *(f"{of['rooms']:,}" for of in measured)]
    body = [[name, *map(cell, measured)] for name, cell in rows]
    return f"Measured on {date.today()}, {os.cpu_count()} cores, 60 days of simulated rooms in SQLite:\n\n" + scale.table(head, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--write", action="store_true", help="into docs/SCALE.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        one, models = building(place)
        measured = [measure(place, one, models, rooms) for rooms in options.rooms]
    text = table(measured)
    if options.write:
        scale.put("growth.py", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
