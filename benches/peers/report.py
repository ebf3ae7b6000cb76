"""Runs all comparisons and writes docs/BENCHMARKS.md."""

import argparse
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import first_forecast
from limits import ROOT, forecasts, limits
from training import against, growth, table

SECTIONS = ("training", "forecasts", "first", "growth", "limits")
SIZES = {
    "full": {"devices": 1_000, "sample": 20, "rounds": 3, "sizes": [10, 100, 1_000, 10_000], "weeks": [2, 8, 26, 52], "of": 200, "profiled": 1_000},
    "small": {"devices": 20, "sample": 4, "rounds": 1, "sizes": [10, 20], "weeks": [2, 8], "of": 10, "profiled": 20},
}
INSIDE = ["lightgbm", "polars", "joblib", "mlforecast", "skforecast", "catboost", "prophet", "numpy", "pandas", "fastapi", "uvicorn", "uvloop"]
FOREST = ["lleaves", "onnxruntime", "onnxmltools"]


def packages(forest: Path) -> str:
    """Versions and licences, as each environment knows them."""
    rows = []
    for python, names in ((sys.executable, INSIDE), (forest, FOREST)):
        listed = subprocess.run([python, Path(__file__).with_name("packages.py"), *names], capture_output=True, text=True, check=True)
        rows += [line.split("\t") for line in listed.stdout.splitlines()]
    return table(["peer", "version", "licence"], rows)


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions(roomcast: Path) -> str:
    said = lambda *command: subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    return f"{said(roomcast, '--version')} ({commit or 'no commit'}), {said('rustc', '--version')}, Python {platform.python_version()}, {platform.system()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", choices=SIZES, default="full")
    parser.add_argument("sections", nargs="*", metavar="SECTION")
    parser.add_argument("--roomcast", type=Path, required=True)
    parser.add_argument("--forest", type=Path, required=True, help="the Python that has lleaves and ONNX Runtime")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    wanted = options.sections or SECTIONS
    size, cores = SIZES[options.size], len(os.sched_getaffinity(0))
    command = f"make bench-peers SIZE={shlex.quote(options.size)}" if options.size != "full" else "make bench-peers"
    parts = [
        "# Benchmarks\n",
        f"Written by `{command}` on {date.today()}: {processor()}, {cores} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB; "
        f"{versions(options.roomcast)}.\nAbsolute times are this machine's; ratios are of things measured in turn in one run. How the peers are "
        "written stands in [benches/peers](../benches/peers), what each bench of Roomcast does in [benches/README.md](../benches/README.md).\n",
    ]

    def add(title: str, text: str) -> None:
        print(f"{title}\n", text, sep="\n", file=sys.stderr, flush=True)
        parts.append(f"## {title}\n\n{text}")

    with tempfile.TemporaryDirectory() as directory:
        place, served = Path(directory), None
        if "training" in wanted:
            title = f"{size['devices']:,} devices × 60 days trained, 24 hours forecast"
            add(title, against(options.roomcast, Path(sys.executable), place, size["devices"], size["sample"], size["rounds"]))
        if "forecasts" in wanted:
            text, served = forecasts(options.forest)
            add("Forecasts: latency and throughput", text)
        if "first" in wanted:
            add("Time to the first forecast", first_forecast.table())
        if "growth" in wanted:
            add("Growth", growth(options.roomcast, place, size["sizes"], size["weeks"], size["of"]))
        if "limits" in wanted:
            add("Distance to the limit", limits(options.roomcast, place, size["profiled"], served))
    parts.append(f"## Versions and licences of the peers\n\nNone of them is part of Roomcast.\n\n{packages(options.forest)}")
    text = "\n".join(parts)
    if options.sections or options.size != "full":
        print(text)
    else:
        target = ROOT / "docs/BENCHMARKS.md"
        beside = target.with_suffix(".tmp")
        beside.write_text(text)
        beside.rename(target)


if __name__ == "__main__":
    main()
