"""Forecasts and limits: runs the benches of `cargo bench` and puts what they print side by side with others' figures."""

import re
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

import measure
from training import FIRST, HERE, simulate, table

ROOT = HERE.parent.parent
# As in benches/store.rs.
BATCH, BATCHES, DEVICES, START = 1000, 60, 100, 1_467_331_200


def found(pattern: str, text: str) -> re.Match:
    match = re.search(pattern, text)
    if match is None:
        sys.exit(f"nothing like {pattern!r} in\n{text}")
    return match


def numbers(pattern: str, text: str) -> list[float]:
    return [float(number) for number in found(pattern, text).groups()]


def bench(name: str, *arguments: str, **environment: str) -> str:
    more = ["--", *arguments] if arguments else []
    return measure.output(["cargo", "bench", "--locked", "--bench", name, *more], environment, ROOT)


def trees(forest: Path) -> str:
    with tempfile.TemporaryDirectory() as place:
        rust = bench("trees", FOREST=place)
        others = measure.output([forest, HERE / "forest.py", place])
    # Sections of figures by the number of rows; LightGBM's C API is in both programs, and is what they are compared by.
    sections = {}
    for text in (rust, others):
        for count, section in re.findall(r"(\d+) rows at once.*\n((?: {6}.*\n?)+)", text):
            sections.setdefault(count, []).append({name.strip(): float(ns) for name, ns in re.findall(r"^ {6}(\D+?) +(\d+)\b", section, re.MULTILINE)})
    rows = []
    for count, label in (("2000", "2,000 rows together"), ("24", "24 rows together"), ("1", "a row at a time")):
        theirs = sections[count][-1]
        if count == "1":
            ours = sections["24"][0]
            name = "row by row"
        else:
            ours, name = sections[count][0], "all rows together"
        api = "LightGBM's C API"
        # Each row of the Rust program's C API is of a call with 24; one with a single row is only in the other's.
        cells = [f"{theirs[api]:.0f}", f"**{ours[name]:.0f}**", f"{theirs['lleaves']:.0f}", f"{theirs['ONNX Runtime']:.0f}"]
        ratios = [f"{theirs[other] / ours[name]:.1f}" for other in (api, "lleaves", "ONNX Runtime")]
        rows.append([label, *cells, " / ".join(ratios)])
    head = ["nanoseconds per row, one thread", "LightGBM's C API", "Roomcast", "lleaves", "ONNX Runtime", "Roomcast is … times as fast as each"]
    note = (
        "The same 120 trees and rows of 39 columns; scores compared first, Roomcast's to the last bit. Native code throughout; all "
        "but Roomcast are called from Python, at a microsecond or more per call. lleaves compiles a model ahead "
        f"({found(r'compiled them in ([0-9.]+)', others)[1]} s for this one), Roomcast reads it.\n"
    )
    return f"{table(head, rows)}\n{note}"


def criterion(text: str, name: str) -> float:
    """Milliseconds that criterion found for a benchmark."""
    value, unit = found(rf"{name}\s+time:\s+\[\S+ \S+ (\S+) (\S+) ", text).groups()
    return float(value) * {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def forecasts(forest: Path) -> tuple[str, str]:
    """The table, and what the server's bench printed, which the limits use too."""
    text = bench("forecast")
    rows = [
        ["features of one device", f"{criterion(text, 'one_device/features'):.2f} ms"],
        ["forecast of one device, features included", f"{criterion(text, 'one_device/forecast'):.2f} ms"],
        ["forecasts of 1,000 devices, all cores", f"{criterion(text, 'thousand_devices/forecast'):.0f} ms"],
    ]
    served = measure.output([HERE / "serve.sh"], {"PEER_PORT": "8077"}, ROOT)
    warm, cold = served.split("cold:")
    of = lambda name, text: numbers(rf"{name} +([0-9.]+) requests/s", text)[0]
    tail = lambda name, text: numbers(rf"{name} .*p99 +([0-9.]+) ms", text)[0]
    middle = lambda name: numbers(rf"{name} .*median +([0-9.]+) ms", cold)[0]
    over = []
    for label, text_of, center in (("warm, many connections", warm, None), ("cold, one connection", cold, middle)):
        ours, theirs = of("roomcast", text_of), of("peer", text_of)
        cells = [f"{ours:,.0f} / {theirs:,.0f}", f"{ours / theirs:.1f}", f"{tail('roomcast', text_of):.2f} / {tail('peer', text_of):.2f}"]
        cells.append(f"{center('roomcast'):.2f} / {center('peer'):.2f}" if center else "")
        over.append([label, *cells])
    head = ["`GET /predict`, 7 rooms: Roomcast / FastAPI", "requests/s", "ratio", "p99 ms", "median ms"]
    parts = [trees(forest), table(["in process", "time"], rows), table(head, over)]
    return "\n".join(parts), served


def insert(place: Path) -> float:
    """Rows per second of SQLite alone: one prepared statement in a transaction per batch, as durable as Roomcast's store."""
    connection = sqlite3.connect(place, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # The table of crates/roomcast-storage/src/readings/sqlite, without the hourly counts of the store.
    connection.execute(
        "CREATE TABLE readings (seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, device INTEGER NOT NULL, UNIQUE (time, device))"
    )
    batches = [[(START + n // DEVICES, n * 7 % DEVICES) for n in range(batch * BATCH, (batch + 1) * BATCH)] for batch in range(BATCHES)]
    start = time.perf_counter()
    for batch in batches:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO readings (time, device) VALUES (?, ?) ON CONFLICT DO NOTHING", batch)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - start
    connection.close()
    return BATCH * BATCHES / seconds


def own_share(roomcast: Path, place: Path, devices: int) -> float | None:
    """Share of a training's processor time that is spent below LightGBM's C functions; none where perf is not allowed."""
    readings = simulate(roomcast, place, devices, FIRST, "2024-03-07")
    data = place / "perf.data"
    train = [roomcast, "train", "--input", readings, "--models", place / "profiled"]
    try:
        measure.output(["perf", "record", "-q", "-e", "cpu-clock", "-F", "999", "--call-graph", "dwarf,16000", "-o", data, *train])
        stacks = measure.output(["perf", "script", "-i", data, "--no-inline", "-F", "comm,ip,sym"])
    except (OSError, SystemExit):
        return None
    samples = [stack for stack in stacks.split("\n\n") if stack.strip()]
    return sum("LGBM_" in stack or "LightGBM::" in stack for stack in samples) / len(samples)


def limits(roomcast: Path, place: Path, devices: int, served: str | None) -> str:
    rows = []
    text = bench("stack")
    plain, whole, times = numbers(r"per device +([0-9.]+)\n.*stack +([0-9.]+) +([0-9.]+) times", text)
    rows.append(["training, processor time", f"{whole:.2f} s", "LightGBM alone: 100 trees per device, no more", f"{plain:.2f} s", f"{times:.2f}"])
    share = own_share(roomcast, place, devices)
    if share is not None:
        rows.append(["training, processor time", "1", "what of it LightGBM itself takes", f"{share:.2f}", f"{1 / share:.2f}"])
    served = served or bench("serve", "warm")
    [rate], [fixed] = numbers(r"roomcast +(\d+) requests/s", served), numbers(r"fixed body +(\d+) requests/s", served)
    rows.append(["a forecast over HTTP, warm", f"{1e6 / rate:.1f} µs", "a server that sends the same bytes always", f"{1e6 / fixed:.1f} µs", f"{fixed / rate:.2f}"])
    text = bench("limits")
    [copy] = numbers(r"copying \d+ bytes +([0-9.]+) ns", text)
    rows.append(["a forecast over HTTP, warm", f"{1e6 / rate:.1f} µs", "`memcpy` of the answer", f"{copy / 1e3:.2f} µs", f"{1e9 / rate / copy:.0f}"])
    search, reader, times = numbers(r"end +([0-9.]+)\n.*reader +([0-9.]+) +([0-9.]+) times", text)
    rows.append(["a row of CSV read and checked", f"{reader:.0f} ns", "`memchr` for the line's end", f"{search:.1f} ns", f"{times:.1f}"])
    text = bench("store", ROWS="200000")
    [stored] = numbers(r"ingest +([\d.]+) µs", text)
    with tempfile.TemporaryDirectory() as directory:
        bare = statistics.median(insert(Path(directory) / f"{turn}.db") for turn in range(3))
    rows.append(["a reading stored in SQLite", f"{stored:.2f} µs", "SQLite's insert into the same table, a row at a time, as durable", f"{1e6 / bare:.2f} µs", f"{stored * bare / 1e6:.2f}"])
    head = ["Roomcast", "takes", "the limit", "takes", "times"]
    goals = [f"- processor time of a training within 1.25 of LightGBM's own: {1 / share:.2f}, {'met' if 1 / share <= 1.25 else 'missed'}"] if share else []
    return table(head, rows) + "\n" + "\n".join(goals) + "\n"
