"""Forecasts of peers from rolling origins: fitted once a week, asked at every midnight.

A peer is a class with `fit(hours)` and `predict(hours, origin)`. Both get device, hour and 0.0 or 1.0 of every hour before
the fit or the origin, ordered; `predict` returns device, hour and probability of the 24 hours from the origin on.
"""

import sys
import warnings
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

import device_catboost
import global_mlforecast
import global_skforecast
from hours import HORIZON, HOUR, grid
from windows import REFIT_DAYS, Window

DAY = timedelta(days=1)
# More than the windows of any feature reach back.
MEMORY = 100 * DAY


class Mlforecast:
    """One LightGBM for all devices, no recursion."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def fit(self, hours: pl.DataFrame) -> None:
        self.forecaster = global_mlforecast.forecaster(self.jobs)
        self.forecaster.fit(hours, id_col="device", time_col="hour", target_col="occupied", dropna=False, as_numpy=True)

    def predict(self, hours: pl.DataFrame, origin: datetime) -> pl.DataFrame:
        return self.forecaster.predict(HORIZON, new_df=hours.filter(pl.col("hour") >= origin - MEMORY))


class Skforecast:
    """One LightGBM for all devices, recursive. A device with less history than its lags gets its share of each hour of day."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def fit(self, hours: pl.DataFrame) -> None:
        warnings.simplefilter("ignore")
        long = hours.filter(pl.len().over("device") > global_skforecast.REACH)
        self.forecaster, series, known = global_skforecast.prepared(long, self.jobs)
        self.devices = list(series)
        self.forecaster.fit(series=series, exog=known, suppress_warnings=True)

    def predict(self, hours: pl.DataFrame, origin: datetime) -> pl.DataFrame:
        recent = hours.filter(pl.col("hour") >= origin - MEMORY, pl.col("device").is_in(self.devices))
        wide = recent.pivot("device", index="hour", values="occupied").sort("hour")
        window = pd.DataFrame({name: wide[name].to_numpy() for name in self.devices}, index=pd.DatetimeIndex(wide["hour"].to_numpy()).as_unit("ns"))
        ahead = global_skforecast.calendar(pd.date_range(origin, periods=HORIZON, freq="h"))
        known = {device: ahead for device in self.devices}
        made = self.forecaster.predict(HORIZON, levels=self.devices, last_window=window.asfreq("h"), exog=known, suppress_warnings=True)
        made = pl.DataFrame({"device": made["level"].tolist(), "hour": made.index.to_numpy(), "probability": made["pred"].to_numpy()})
        made = made.with_columns(pl.col("hour").cast(pl.Datetime("ms")))
        short = hours.filter(~pl.col("device").is_in(self.devices))
        shares = short.group_by("device", pl.col("hour").dt.hour().alias("at")).agg(pl.col("occupied").mean().alias("probability"))
        hour = pl.lit(origin).cast(pl.Datetime("ms")) + pl.duration(hours=pl.col("at").cast(pl.Int64))
        return pl.concat([made, shares.select("device", hour.cast(pl.Datetime("ms")).alias("hour"), "probability")])


class Catboost:
    """CatBoost per device: hour, weekday, day off."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def fit(self, hours: pl.DataFrame) -> None:
        # The columns are the calendar alone: the forecast of a week is known when it begins.
        begin = hours["hour"].max() + HOUR
        times = pl.datetime_range(begin, begin + (REFIT_DAYS + 1) * DAY - HOUR, "1h", time_unit="ms", eager=True)
        frames = []
        for (device,), one in hours.partition_by("device", as_dict=True, maintain_order=True).items():
            labels = one["occupied"].to_numpy().astype(np.int8)
            made = device_catboost.fit(device_catboost.categories(one["hour"]), labels, device_catboost.categories(times))
            frames.append(pl.DataFrame({"device": [device] * len(times), "hour": times, "probability": made}))
        self.week = pl.concat(frames)

    def predict(self, hours: pl.DataFrame, origin: datetime) -> pl.DataFrame:
        return self.week.filter(pl.col("hour") >= origin, pl.col("hour") < origin + DAY)


PEERS = {"mlforecast": Mlforecast, "skforecast": Skforecast, "CatBoost": Catboost}


def forecasts(name: str, window: Window, readings: Path, jobs: int) -> pl.DataFrame:
    """Origin, device, hour and probability of all origins of a window."""
    first, last = (datetime.combine(day, datetime.min.time()) for day in (window.first, window.last))
    everything = grid(str(readings), last)
    peer, made = PEERS[name](jobs), []
    for at in range((last - first).days + 1):
        origin = first + at * DAY
        hours = everything.filter(pl.col("hour") < origin)
        if at % REFIT_DAYS == 0:
            peer.fit(hours)
            print(f"{name}, {window.name}: fitted as of {origin:%Y-%m-%d}", file=sys.stderr, flush=True)
        forecast = peer.predict(hours, origin)
        columns = [pl.lit(origin).cast(pl.Datetime("ms")).alias("origin"), "device", pl.col("hour").cast(pl.Datetime("ms")), pl.col("probability").cast(pl.Float64).clip(0.0, 1.0)]
        made.append(forecast.select(columns))
    return pl.concat(made)
