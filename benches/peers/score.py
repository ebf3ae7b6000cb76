"""Scores forecast files against the readings that came.

Every program's file has the same form, and every one is held to the same devices and hours.
"""

from datetime import datetime
from pathlib import Path

import polars as pl

from hours import HORIZON, HOUR, occupied

FLOOR = 1e-3


def score(forecast: Path, readings: Path, origin: datetime, like: Path | None = None) -> tuple[int, float, float]:
    """Devices, mean log loss (natural logarithm, probabilities clipped to 0.001 and 0.999) and accuracy; of the devices in
    another forecast alone, when one is given.

    Raises ValueError where a device has not one row for each of the 24 hours.
    """
    made = pl.read_csv(forecast).with_columns(pl.col("time").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ms").alias("hour"))
    if like is not None:
        made = made.filter(pl.col("device").is_in(pl.read_csv(like)["device"].unique().implode()))
    devices = made["device"].n_unique()
    hours = set(made["hour"])
    if hours != {origin + at * HOUR for at in range(HORIZON)} or made.select("device", "hour").n_unique() != devices * HORIZON:
        raise ValueError(f"{forecast}: {made.height} rows of {devices} devices are not the 24 hours of each")
    if made["probability"].is_nan().any() or made["probability"].null_count():
        raise ValueError(f"{forecast}: a probability is no number")
    came = occupied(str(readings)).select("device", "hour", came=pl.lit(1))
    rows = made.join(came, on=["device", "hour"], how="left").with_columns(pl.col("came").fill_null(0))
    p = pl.col("probability").clip(FLOOR, 1.0 - FLOOR)
    loss = -pl.when(pl.col("came") == 1).then(p.log()).otherwise((1.0 - p).log())
    means = rows.select(loss.mean().alias("loss"), (pl.col("activation_predicted") == pl.col("came")).mean().alias("right"))
    return devices, means["loss"][0], means["right"][0]
