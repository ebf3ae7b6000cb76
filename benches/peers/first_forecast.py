"""Measures the time from nothing to the first forecast: the packages of Roomcast on a bare Debian, and the peers from the index.

    first_forecast.py

Roomcast's times are those that `scripts/dist-test` prints; run `make dist` first. Each peer gets an empty virtual environment,
`pip install` without pip's cache, and a script that forecasts the next day of the sample's rooms.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data/device_activations.csv"
PINS = dict(line.split("==") for line in (ROOT / "benches/peers/requirements.txt").read_text().split())

HOURS = """
import pandas as pd
from lightgbm import LGBMRegressor
df = pd.read_csv(SAMPLE, parse_dates=["time"])
hours = df.assign(ds=df["time"].dt.floor("h"), y=1.0).drop_duplicates(["device", "ds"])
index = pd.MultiIndex.from_product([df["device"].unique(), pd.date_range(hours["ds"].min(), hours["ds"].max(), freq="h")])
hours = hours.set_index(["device", "ds"])["y"].reindex(index, fill_value=0.0).rename_axis(["unique_id", "ds"]).reset_index()
"""
PEERS = {
    "mlforecast": """
from mlforecast import MLForecast
fcst = MLForecast({"p": LGBMRegressor(objective="binary", verbosity=-1)}, freq="h", lags=[24, 168], date_features=["hour", "dayofweek"])
fcst.fit(hours)
rows = len(fcst.predict(24))
""",
    "skforecast": """
from skforecast.recursive import ForecasterRecursiveMultiSeries
fcst = ForecasterRecursiveMultiSeries(LGBMRegressor(objective="binary", verbosity=-1), lags=[24, 168])
fcst.fit(series=hours.pivot(index="ds", columns="unique_id", values="y").asfreq("h"))
rows = len(fcst.predict(steps=24))
""",
}


def peer(name: str, script: str) -> list[str]:
    """Returns the row of a peer: seconds to install and to forecast, megabytes, packages."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "venv/bin/python")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", python.parents[1]], check=True)
        begin = time.monotonic()
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check"]
        subprocess.run([*pip, *(f"{package}=={PINS[package]}" for package in (name, "lightgbm", "pandas"))], check=True)
        installed = time.monotonic()
        code = f"SAMPLE = {str(SAMPLE)!r}\n{HOURS}{script}\nassert rows == 24 * 7 or rows == 24, rows"
        subprocess.run([python, "-W", "ignore", "-c", code], check=True, stdout=subprocess.DEVNULL)
        end = time.monotonic()
        site = next(Path(folder, "venv/lib").glob("python*/site-packages"))
        size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
        packages = len(list(site.glob("*.dist-info")))
    return [f"`pip install {name} lightgbm`", f"{installed - begin:.0f}", f"{end - begin:.0f}", f"{size:.0f}", str(packages)]


def ours() -> list[list[str]]:
    """Returns the rows of the packages of dist/."""
    said = subprocess.run([ROOT / "scripts/dist-test"], check=True, stderr=subprocess.PIPE, text=True).stderr
    rows = []
    if "SKIPPED" in said:
        print(said, file=sys.stderr)
        return rows
    for kind, title in (("wheel", "`pip install roomcast-….whl`"), ("tarball", "the tarball"), ("Debian package", "the Debian package")):
        found = re.search(rf"{kind} of \d+ MB: installed after (\d+) s, a forecast after (\d+) s, (\d+) MB", said)
        if not found:
            raise SystemExit(f"dist-test said nothing of the {kind}:\n{said}")
        rows.append([title, *found.groups(), "1"])
    return rows


def table() -> str:
    """Returns the table in Markdown."""
    rows = ours() + [peer(name, script) for name, script in PEERS.items()]
    head = ["from nothing to a forecast of the sample", "installed after, s", "forecast after, s", "MB installed", "packages"]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    print(table())
