"""What the peers share: readings as a full grid of hours, and forecasts as a file.

Every peer is a program of its own, called as

    PROGRAM READINGS.csv FORECAST.csv --origin 'YYYY-MM-DD HH:MM:SS' [--jobs N]

and writes the 24 hours from the origin on for every device: time, device, activation_predicted, probability.
"""

import argparse
import os
from datetime import datetime, timedelta

import polars as pl

HORIZON = 24
HOUR = timedelta(hours=1)


def arguments(about: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("readings")
    parser.add_argument("forecast")
    parser.add_argument("--origin", type=datetime.fromisoformat, required=True, help="a whole hour")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--devices", type=int, help="only so many, evenly chosen")
    return parser.parse_args()


def occupied(path: str) -> pl.DataFrame:
    """Device, hour, and the last motion in it, of the hours in which a sensor fired."""
    return (
        pl.scan_csv(path, schema={"time": pl.String, "device": pl.String, "device_activated": pl.Int8})
        .filter(pl.col("device_activated") == 1)
        .with_columns(pl.col("time").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ms"))
        .group_by("device", pl.col("time").dt.truncate("1h").alias("hour"))
        .agg(pl.col("time").max().alias("last"))
        .collect(engine="streaming")
    )


def grid(path: str, origin: datetime) -> pl.DataFrame:
    """Device, hour, and 0.0 or 1.0, of every hour from a device's first reading up to the origin; ordered."""
    seen = occupied(path).select("device", "hour").filter(pl.col("hour") < origin)
    spans = seen.group_by("device").agg(
        pl.datetime_ranges(pl.col("hour").min(), pl.lit(origin - HOUR).cast(pl.Datetime("ms")), "1h").alias("hour").first()
    )
    hours = spans.explode("hour").join(seen.with_columns(occupied=pl.lit(1.0)), on=["device", "hour"], how="left")
    return hours.with_columns(pl.col("occupied").fill_null(0.0)).sort("device", "hour")


def some(hours: pl.DataFrame, count: int | None) -> pl.DataFrame:
    """Only so many devices, evenly chosen; all without a number."""
    if count is None:
        return hours
    names = hours["device"].unique().sort()
    return hours.filter(pl.col("device").is_in(names.gather_every(max(1, len(names) // count)).head(count).implode()))


def write(path: str, forecast: pl.DataFrame) -> None:
    """Writes device, hour and probability as the forecast file."""
    p = pl.col("probability").cast(pl.Float64).clip(0.0, 1.0)
    forecast.select(
        pl.col("hour").dt.strftime("%Y-%m-%d %H:%M:%S").alias("time"),
        "device",
        (p >= 0.5).cast(pl.Int8).alias("activation_predicted"),
        p.round(6).alias("probability"),
    ).sort("time", "device").write_csv(path)
