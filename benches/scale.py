#!/usr/bin/env python3
"""Measures what a reading, a fit, a forecast and a model cost, and computes from that what many sensors need.

    benches/scale.py [--devices N] [--write]

Needs the release binary (`make build`; ROOMCAST names another one), Python alone, and for its rows PostgreSQL on this machine.
Costs are differences between two sizes, so that what every program pays once is not in them. `--write` puts the tables into
docs/SCALE.md; without it they are printed.
"""

import argparse
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
import urllib.request
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roomcast"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
ROOMCAST = os.environ.get("ROOMCAST") or TARGET / "release/roomcast"
FIRST, LAST, DAYS = "2024-01-08", "2024-03-07", 60
POSTGRES = ["-h", "127.0.0.1", "-U", "postgres"]
DAY, YEAR = 86_400, 365

# What is assumed and not measured.
READINGS = 50  # of a sensor a day
PEAK = 10  # times the mean rate, in the busiest minutes
RENEWED = 7  # days from one fit of a device to the next
KEPT = 365  # days of readings in the store
CORE_HOUR, DISK_MONTH, OBJECT_MONTH = 0.05, 0.10, 0.023  # dollars: a core with 4 GiB, a GB on SSD, a GB of objects
MODEL = 2_800  # bytes, if every device had trees of its own (`cargo bench --bench registry`)
SIZES = (10_000, 1_000_000, 100_000_000)


def run(*command) -> float:
    """Runs a command; its processor seconds."""
    before = os.times()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"failed: {' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def simulate(place: Path, devices: int) -> tuple[Path, Path, int]:
    csv, parquet = place / f"{devices}.csv", place / f"{devices}.parquet"
    for path in (csv, parquet):
        # About as many readings as are assumed.
        run(ROOMCAST, "simulate", "--devices", devices, "--density", READINGS / 20, "--from", FIRST, "--to", LAST, "--output", path)
    with open(csv) as file:
        return csv, parquet, sum(1 for _ in file) - 1


def sqlite_size(path: Path) -> int:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("VACUUM")
    connection.close()
    return path.stat().st_size


def postgres_sizes(csv: Path) -> tuple[int, int] | None:
    """Bytes as readings come and packed; none without a server."""
    name = f"roomcast_scale_{os.getpid()}"
    ask = lambda sql, base: subprocess.run(["psql", *POSTGRES, "-qAtc", sql, base], capture_output=True, text=True)
    if shutil.which("psql") is None or ask(f"CREATE DATABASE {name}", "postgres").returncode != 0:
        return None
    try:
        size = lambda: int(ask("VACUUM FULL", name).stdout or ask("SELECT pg_database_size(current_database())", name).stdout)
        url, empty, sizes = f"postgres://postgres@127.0.0.1:5432/{name}", size(), []
        run(ROOMCAST, "import", "--store", url, csv)
        sizes.append(size() - empty)
        run(ROOMCAST, "store", "pack", "--store", url)
        sizes.append(size() - empty)
        return sizes[0], sizes[1]
    finally:
        ask(f"DROP DATABASE {name}", "postgres")


class Server:
    """A server with a store or an input; stopped at the end."""

    def __init__(self, place: Path, *more):
        port = place / "port"
        port.unlink(missing_ok=True)
        command = [ROOMCAST, "serve", "--bind", "127.0.0.1:0", "--port-file", port, "--rate-limit", "0", *more]
        self.child = subprocess.Popen([str(part) for part in command], env=os.environ | {"ROOMCAST_TOKENS": "admin:scale"}, stderr=subprocess.DEVNULL)
        while not (port.exists() and port.read_text().strip()):
            if self.child.poll() is not None:
                raise SystemExit("the server has ended")
            time.sleep(0.02)
        self.base = f"http://127.0.0.1:{port.read_text().strip()}"

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": "Bearer scale"} | ({"Content-Type": "application/x-ndjson"} if body else {})
        with urllib.request.urlopen(urllib.request.Request(self.base + path, body, headers), timeout=600) as answer:
            return answer.read()

    def ready(self) -> None:
        while True:
            try:
                return bool(self.ask("/readyz"))
            except OSError:
                time.sleep(0.05)

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.child.pid}/status").read_text())[1]) * 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()


def arrival(place: Path, csv: Path, together: int, count: int) -> float:
    """Processor seconds of a reading that comes by HTTP, so many in a body, and is acknowledged after its commit."""
    with open(csv) as file:
        next(file)
        rows = [row.split(",") for _, row in zip(range(count), file)]
    line = lambda row: json.dumps({"time": row[0], "device": row[1]})
    bodies = ["\n".join(map(line, rows[at : at + together])).encode() for at in range(0, len(rows), together)]
    with Server(place, "--store", place / f"live-{together}.db", "--models", place / "none") as server:
        server.ready()
        before = server.cpu()
        for body in bodies:
            server.ask("/readings", body)
        return (server.cpu() - before) / len(rows)


def measure(place: Path, devices: int) -> dict[str, float]:
    small, large = max(devices // 5, 50), devices
    of, figures = {}, {}
    for size in (small, large):
        csv, parquet, rows = simulate(place, size)
        models = place / f"models-{size}"
        fit = run(ROOMCAST, "train", "--input", parquet, "--models", models)
        predict = ["predict", "2024-03-07 23:59:59", parquet, place / "out.csv", "--models", models]
        forecast = run(ROOMCAST, *predict)
        with Server(place, "--input", parquet, "--models", models) as server:
            server.ready()
            answer = len(server.ask("/predict"))
            memory = server.memory()
        weight = sum(path.stat().st_size for path in models.rglob("*") if path.is_file())
        of[size] = {"fit": fit, "forecast": forecast, "memory": memory, "model": weight, "answer": answer}
    for name in of[large]:
        figures[name] = (of[large][name] - of[small][name]) / (large - small)
    figures["readings"] = rows / large / DAYS
    figures["csv"], figures["parquet"] = csv.stat().st_size / rows, parquet.stat().st_size / rows
    store = place / "readings.db"
    figures["import"] = run(ROOMCAST, "import", "--store", store, csv) / rows
    figures["sqlite"] = sqlite_size(store) / rows
    run(ROOMCAST, "store", "pack", "--store", store)
    figures["sqlite_packed"] = sqlite_size(store) / rows
    if sizes := postgres_sizes(csv):
        figures["postgres"], figures["postgres_packed"] = (size / rows for size in sizes)
    figures["together"] = arrival(place, csv, 1_000, 500_000)
    figures["alone"] = arrival(place, csv, 1, 4_000)
    return figures


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows]) + "\n"


def short(number: float) -> str:
    for unit, name in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.3g}"


def size_of(number: float) -> str:
    return short(number).rstrip() + ("B" if number >= 1e3 else " B")


def plain(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def costs(figures: dict[str, float], devices: int) -> str:
    micro, milli = (lambda name: f"{1e6 * figures[name]:.1f} µs"), (lambda name: f"{1e3 * figures[name]:.2f} ms")
    rows = [
        ["a reading by HTTP, 1,000 in a body, committed to SQLite", micro("together"), "processor time of the server; store and history are current then, forecasts are extra"],
        ["a reading by HTTP, alone, on a connection of its own, the next after its commit", micro("alone"), "the same: the dearest way there is"],
        ["a reading from a file into SQLite", micro("import"), "processor time of `roomcast import`"],
        ["a reading stored: CSV, Parquet", f"{figures['csv']:.1f} B, {figures['parquet']:.1f} B", ""],
        ["a reading stored: SQLite as it comes, packed", f"{figures['sqlite']:.1f} B, {figures['sqlite_packed']:.1f} B", "indexes and hourly counts included"],
    ]
    if "postgres" in figures:
        rows.append(["a reading stored: PostgreSQL as it comes, packed", f"{figures['postgres']:.1f} B, {figures['postgres_packed']:.1f} B", "the same; without the write-ahead log"])
    rows += [
        ["a fit of a device, 60 days", milli("fit"), "processor time of `roomcast train`, one more device"],
        ["a forecast of a device's 24 hours, history read", milli("forecast"), "processor time of `roomcast predict`, one more device"],
        ["a model of a device", size_of(figures["model"]), "in the registry; simulated devices seldom get trees of their own"],
        ["a device in a server, 60 days of history", size_of(figures["memory"]), "peak, all forecasts asked for once"],
        ["a device in an answer of `/predict`", size_of(figures["answer"]), "JSON"],
    ]
    return f"Measured on {date.today()} with {devices:,} simulated devices, {figures['readings']:.0f} readings each a day:\n\n" + table(["cost of", "", "what it is"], rows)


def needs(figures: dict[str, float]) -> str:
    columns = []
    for sensors in SIZES:
        day = sensors * READINGS
        mean = day / DAY
        ingest = PEAK * mean * figures["alone"]
        training = sensors / RENEWED * figures["fit"] / DAY
        forecasting = sensors * 24 * figures["forecast"] / DAY
        store = day * KEPT * figures.get("postgres_packed", figures["sqlite_packed"])
        lake = day * YEAR * figures["parquet"]
        models = sensors * MODEL
        memory = sensors * figures["memory"]
        # A core comes with 4 GiB: whichever runs out first.
        cores = max(1.0, ingest + training + forecasting, memory / 2**32)
        dollars = cores * CORE_HOUR * 730 + store / 1e9 * DISK_MONTH + (lake + models) / 1e9 * OBJECT_MONTH
        columns.append(
            [
                short(mean), short(PEAK * mean), plain(ingest), plain(training), plain(forecasting), size_of(memory), plain(cores),
                size_of(store), size_of(lake), size_of(models), f"${short(dollars)}",
            ]
        )  # fmt: skip
    names = [
        "readings a second, mean", f"the same in the busiest minutes (× {PEAK}, assumed)", "cores: taking readings at that rate, each alone",
        f"cores: fitting each device every {RENEWED} days, spread evenly", "cores: all forecasts once an hour",
        "memory: 60 days of history of all", "cores, or cores for that memory at 4 GiB each", f"store: {KEPT} days, packed", "archive: a year in Parquet",
        f"models, {MODEL:,} B each: every device with trees of its own", f"a month, at ${CORE_HOUR} a core and hour, ${DISK_MONTH} a GB on SSD, ${OBJECT_MONTH} a GB of objects (assumed)",
    ]  # fmt: skip
    head = ["sensors", *(f"{sensors:,}" for sensors in SIZES)]
    return f"At {READINGS} readings a sensor and day:\n\n" + table(head, [[name, *row] for name, *row in zip(names, *columns)])


def put(script: str, text: str) -> None:
    """Replaces what a script has written into docs/SCALE.md."""
    target = ROOT / "docs/SCALE.md"
    begin, end = f"<!-- computed by benches/{script} -->\n", "<!-- end -->"
    before, _, rest = target.read_text().partition(begin)
    if not rest:
        raise SystemExit(f"{target} has no mark {begin!r}")
    beside = target.with_suffix(".tmp")
    beside.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")
    beside.rename(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--write", action="store_true", help="into docs/SCALE.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        figures = measure(Path(place), options.devices)
    text = f"{costs(figures, options.devices)}\n{needs(figures)}"
    if options.write:
        put("scale.py", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
