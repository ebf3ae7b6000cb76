"""The peer: per-device LightGBM boosters and 24-hour forecasts with Polars, LightGBM and joblib.

Per device: the hourly grid, the columns that a device's own trees look at, one row per observed hour asked from one
origin at most a day earlier, a booster stopped early on the last third of the days, and the forecast of the 24 hours after
the origin. The parameters are those of Roomcast's device layer. What Roomcast does beyond this (the building's layers, the
second fit of devices whose own trees convince, validation of the readings row by row, the saved registry) is left out here.

Care taken: readings are parsed and aggregated in one multi-threaded Polars pass, one worker process per core
gets devices in batches, Polars and LightGBM run single-threaded inside the workers, the matrix goes
to LightGBM as one contiguous array of 32-bit floats, and the design matrix is made without Python loops over rows.
"""

import os
import sys
from datetime import datetime

import lightgbm as lgb
import numpy as np
import polars as pl
from joblib import Parallel, delayed

from hours import HORIZON, HOUR, arguments, occupied, write

WARM_UP = 72
JUDGED_DAYS = (4, 28)
FEWEST_OWN_ROWS = 240
ROW_HALF_LIFE = 90.0
FLOOR = 1e-3
BATCH = 25

# As in src/model/fit.rs (device_parameters).
PARAMETERS = {
    "objective": "binary",
    "metric": "binary_logloss",
    "boost_from_average": False,
    "num_threads": 1,
    "verbosity": -1,
    "deterministic": True,
    "num_leaves": 6,
    "learning_rate": 0.06,
    "min_data_in_leaf": 40,
    "min_sum_hessian_in_leaf": 1e-3,
    "lambda_l2": 20.0,
    "feature_fraction": 1.0,
    "max_bin": 63,
    "feature_pre_filter": False,
    "seed": 1,
}
TREES, PATIENCE = 60, 8
RISING = {"prior", "lag_1d", "lag_7d", "last_hour"}

# As in src/model/fit.rs (OWN_COLUMNS), but for the motion of the hour that an origin cuts: origins are whole hours here.
TARGET = [
    "prior", "weekday_shift", "recent_shift", "last_day_pull", "lag_7d_pull", "device_level", "hour_before", "hour_after",
    "lag_1d", "lag_7d", "hour", "weekday", "off",
]  # fmt: skip
ORIGIN = ["share_day", "last_hour"]
MOMENT = ["state_pull", "today_pull", "lead", "since_motion"]
COLUMNS = TARGET + ORIGIN + MOMENT
MONOTONE = [int(name in RISING) for name in COLUMNS]


def logit(name: str) -> pl.Expr:
    p = pl.col(name).clip(FLOOR, 1 - FLOOR)
    return (p / (1 - p)).log()


def lay(hours: pl.DataFrame, end: datetime | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The occupied hours with their positions, and the site's hours up to `end` (the last seen) with the horizon."""
    first, end = hours["hour"].min(), end or hours["hour"].max()
    off = pl.col("weekday") >= 5
    grid = pl.DataFrame({"hour": pl.datetime_range(first, end, "1h", time_unit="ms", eager=True)})
    horizon = pl.DataFrame({"hour": [grid["hour"][-1]] * HORIZON}, schema=grid.schema).with_columns(
        pl.col("hour") + pl.duration(hours=pl.int_range(1, HORIZON + 1))
    )
    grid = pl.concat([grid, horizon]).with_columns(
        at=pl.int_range(pl.len()),
        day=pl.col("hour").dt.date().cast(pl.Int32),
        clock=pl.col("hour").dt.hour().cast(pl.Int32),
        weekday=(pl.col("hour").dt.weekday() - 1).cast(pl.Int32),
    )
    grid = grid.with_columns(
        off=off,
    )
    start = grid["hour"][0]
    hours = hours.with_columns(at=(pl.col("hour") - start).dt.total_hours().cast(pl.Int64)).sort("device", "at")
    return hours, grid


def site_columns(devices: dict, hours: pl.DataFrame, grid: pl.DataFrame) -> pl.DataFrame:
    """The site's hours with what all devices say together."""
    past = grid.height - HORIZON
    firsts = np.sort(np.array([d["at"][0] for d in devices.values()]))
    seen = np.searchsorted(firsts, np.arange(past), side="right")
    busy = np.full(grid.height, np.nan)
    busy[:past] = np.bincount(hours["at"].to_numpy(), minlength=past)[:past] / np.maximum(seen, 1)
    site = grid.with_columns(
        busy=pl.Series(busy).fill_nan(None),
        ago=(pl.col("at") // 24).cast(pl.Float64),
        hour_number=pl.col("hour").cast(pl.Int64) / 3_600_000.0,
    )
    weight = (np.log(2) / 28.0 * pl.col("ago")).exp()
    keys = ["clock", "off"]
    hit = (pl.col("busy").fill_null(0.0) * weight).cum_sum().shift(1, fill_value=0.0).over(keys)
    total = pl.when(pl.col("busy").is_not_null()).then(weight).otherwise(0.0).cum_sum().shift(1, fill_value=0.0).over(keys)
    return site.with_columns(building_rate=(hit + 2.0 * weight * 0.15) / (total + 2.0 * weight))


def decayed(name: str, by: list[str], half_life: float, toward: str, evidence: float, alias: str) -> pl.Expr:
    """Decayed share of occupied hours among earlier days with the same keys, shrunk toward another column.

    Weights grow with the day instead of shrinking with age: ratios of sums are the same. Hours that lie less
    than a day before are not known; a day's own value of a key is shifted out.
    """
    weight = (np.log(2) / half_life * pl.col("ago")).exp()
    seen = pl.when(pl.col("state").is_not_null()).then(weight).otherwise(0.0)
    hit = pl.col("state").fill_null(0.0) * weight
    hits = hit.cum_sum().shift(1, fill_value=0.0).over(by)
    total = seen.cum_sum().shift(1, fill_value=0.0).over(by)
    return ((hits + evidence * weight * pl.col(toward)) / (total + evidence * weight)).alias(alias)


def lag(by: list[str], n: int) -> pl.Expr:
    return pl.col("state").shift(n).over(by)


def features(site: pl.DataFrame, occupied: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """All columns of one device on the site grid; the position of its first hour."""
    past = site.height - HORIZON
    first = occupied["at"][0]
    at = occupied["at"].to_numpy()
    state = np.full(site.height, np.nan, np.float32)
    state[first:past] = 0.0
    state[at] = 1.0
    still = np.full(past + 1, np.nan, np.float64)
    still[at + 1] = (occupied["last"].to_numpy().astype("datetime64[ms]").astype(np.int64)) / 3_600_000.0
    table = site.with_columns(
        state=pl.Series(state).fill_nan(None),
        last=pl.concat([pl.Series(still).fill_nan(None), pl.Series([None] * (HORIZON - 1), dtype=pl.Float64)]).forward_fill(),
    )
    same_hour, same_kind, same_week = ["clock"], ["clock", "off"], ["clock", "weekday"]
    table = table.with_columns(
        decayed("kind", same_kind, 21.0, "building_rate", 1.5, "kind_rate"),
    )
    table = table.with_columns(
        decayed("week", same_week, 21.0, "kind_rate", 1.0, "weekday_rate"),
    ).with_columns(
        p=(0.6 * pl.col("kind_rate") + 0.4 * pl.col("weekday_rate")),
        hour_before=pl.col("kind_rate").shift(1),
        hour_after=pl.col("kind_rate").shift(-1),
        last_day=lag(same_kind, 1),
        lag_1d=lag(same_hour, 1),
        lag_7d=lag(same_hour, 7),
    )
    table = table.with_columns(
        decayed("recent", same_kind, 4.0, "p", 0.5, "recent_rate"),
        surprise=(pl.col("state") - pl.col("p")).fill_null(0.0),
        before=pl.col("state").shift(1),
    )
    weight = (np.log(2) / 4.0 * pl.col("ago")).exp()
    known = pl.col("state").is_not_null()
    level = [
        pl.when(known).then(pl.col(name) * weight).otherwise(0.0).cum_sum().shift(HORIZON, fill_value=0.0)
        for name in ("state", "p")
    ]
    table = table.with_columns(
        prior=logit("p"),
        weekday_shift=logit("weekday_rate") - logit("p"),
        recent_shift=logit("recent_rate") - logit("p"),
        last_day_pull=(pl.col("last_day") - pl.col("p")).fill_null(0.0),
        lag_7d_pull=(pl.col("lag_7d") - pl.col("p")).fill_null(0.0),
        device_level=((level[0] + 3.0 * weight) / (level[1] + 3.0 * weight)).log(),
        share_day=pl.col("before").rolling_mean(24, min_samples=1),
        last_hour=pl.col("before"),
        today=pl.col("surprise").cum_sum().shift(1, fill_value=0.0).over("day"),
        own=pl.col("surprise").shift(1, fill_value=0.0),
        hour=pl.col("clock"),
    )
    return table, first


def design(table: pl.DataFrame, target: np.ndarray, lead: np.ndarray) -> np.ndarray:
    """Rows of the design matrix: target columns at the target hours, the others at the origins."""
    origin = target - lead + 1
    out = np.empty((len(target), len(COLUMNS)), np.float32)
    columns = table.select(pl.col(TARGET).cast(pl.Float32)).to_numpy()
    out[:, : len(TARGET)] = columns[target]
    past = table.select(pl.col(ORIGIN).cast(pl.Float32)).to_numpy()
    out[:, len(TARGET) : len(TARGET) + len(ORIGIN)] = past[origin]
    own, today, day, last, now = (table[name].to_numpy() for name in ("own", "today", "day", "last", "hour_number"))
    fades = np.exp(-(lead - 1.0) / 2.0)
    same_day = day[target] == day[origin]
    moment = out[:, len(TARGET) + len(ORIGIN) :]
    moment[:, 0] = own[origin] * fades
    moment[:, 1] = np.where(same_day, today[origin], 0.0) * np.exp(-(lead - 1.0) / 6.0)
    moment[:, 2] = lead
    moment[:, 3] = np.log1p(np.clip(now[origin] - last[origin], 0.0, 14 * 24.0))
    return out


def choose(table: pl.DataFrame, first: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Target hours and leads: half from midnight, the others from any hour, short leads more often."""
    past = table.height - HORIZON
    target = np.arange(first + WARM_UP, past)
    dice = np.random.default_rng(seed).integers(0, 1 << 32, size=(2, len(target)))
    clock = table["clock"].to_numpy()[target]
    kind = dice[0] % 4
    lead = np.where(kind < 2, clock + 1, np.where(kind == 2, 1 + dice[1] % 4, 1 + dice[1] % HORIZON))
    return target, np.minimum(lead, target).astype(np.int64)


def grow(table: pl.DataFrame, first: int, seed: int) -> lgb.Booster | None:
    """The booster of one device, stopped early; none where there is too little to learn from."""
    past = table.height - HORIZON
    target, lead = choose(table, first, seed)
    cut = past - 24 * int(np.clip(past // 24 // 3, *JUDGED_DAYS))
    early = int(np.searchsorted(target, cut))
    if early >= FEWEST_OWN_ROWS and early < len(target):
        labels = table["state"].to_numpy()[target]
        if 0.0 < labels[:early].mean() < 1.0:
            rows = design(table, target, lead)
            weights = np.exp(-np.log(2) / ROW_HALF_LIFE * (past - target) / 24.0)
            start = rows[:, 0].astype(np.float64)
            parameters = PARAMETERS | {"monotone_constraints": MONOTONE}
            make = lambda part, **more: lgb.Dataset(
                rows[part], labels[part], weight=weights[part], init_score=start[part], params=parameters, **more
            )
            train = make(slice(0, early))
            held_out = make(slice(early, None), reference=train)
            stop = lgb.early_stopping(PATIENCE, verbose=False)
            return lgb.train(parameters, train, TREES, valid_sets=[held_out], callbacks=[stop])
    return None


def ahead(table: pl.DataFrame, booster: lgb.Booster | None) -> np.ndarray:
    """Probabilities of the 24 hours after the history."""
    past = table.height - HORIZON
    rows = design(table, np.arange(past, past + HORIZON), np.arange(1, HORIZON + 1))
    score = rows[:, 0].astype(np.float64)
    if booster is not None:
        score = score + booster.predict(rows, raw_score=True, num_iteration=booster.best_iteration)
    return 1.0 / (1.0 + np.exp(-score))


def fit_device(site: pl.DataFrame, name: str, occupied: pl.DataFrame, seed: int) -> tuple[str, np.ndarray, int]:
    """Fits one device; its name, 24 probabilities and number of trees."""
    table, first = features(site, occupied)
    booster = grow(table, first, seed)
    return name, ahead(table, booster), booster.best_iteration if booster else 0


def fit_batch(site: pl.DataFrame, batch: list) -> list:
    return [fit_device(site, name, occupied, seed) for name, occupied, seed in batch]


def main() -> None:
    options = arguments(__doc__)
    seen = occupied(options.readings).filter(pl.col("hour") < options.origin)
    hours, grid = lay(seen, options.origin - HOUR)
    past = grid.height - HORIZON
    devices = hours.partition_by("device", as_dict=True, maintain_order=True)
    site = site_columns(devices, hours, grid)
    work = [(name[0], occupied, at) for at, (name, occupied) in enumerate(devices.items())]
    batches = [work[at : at + BATCH] for at in range(0, len(work), BATCH)]
    # Read by the workers when they start; this process has its threads already.
    os.environ["POLARS_MAX_THREADS"] = "1"
    fitted = Parallel(n_jobs=options.jobs)(delayed(fit_batch)(site, batch) for batch in batches)
    fitted = [one for batch in fitted for one in batch]
    times = grid["hour"][past:].to_list()
    names = [name for name, _, _ in fitted for _ in range(HORIZON)]
    chances = np.concatenate([p for _, p, _ in fitted])
    write(options.forecast, pl.DataFrame({"device": names, "hour": times * len(fitted), "probability": chances}))
    print(f"{len(fitted)} devices, {sum(n for _, _, n in fitted)} trees", file=sys.stderr)


if __name__ == "__main__":
    main()
