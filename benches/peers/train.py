"""The peer: the same training as Roomcast's, and 24-hour forecasts, with Polars, LightGBM and joblib.

The building: a sample of every device's rows, a ridge logistic regression at six strengths and a booster on top of it,
both chosen on the last third of the days and fitted again on all. Each device: the hourly grid, the columns of
Roomcast's design matrix that need one device only or a sum over all, one row per observed hour asked from one origin at
most a day earlier, a booster on the building's score, stopped early on the last third of the days, its share
weighed there, a second fit where it convinces, and the forecast of the 24 hours after the last reading. The
parameters are Roomcast's. What Roomcast does beyond this (validation of the readings row by row, several boosters for small
sites, the saved and checked registry) is left out here.

Care taken: readings are parsed and aggregated in one multi-threaded Polars pass, one worker process per core
gets devices in batches, rows are made once and kept in shared memory until their device is fitted, Polars and LightGBM
run single-threaded inside the workers and LightGBM on all cores for the building, the matrix goes to LightGBM as one contiguous
array of 32-bit floats, and neither the design matrix nor the regression has Python loops over rows.
"""

import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

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

MOST_ROWS, FEW_ROWS, ENOUGH_DEVICES = 100_000, 30_000, 700

# As in lightgbm.rs and fit/boosting.rs (site_parameters, device_parameters) of crates/roomcast-forecast/src/model.
COMMON = {
    "objective": "binary",
    "metric": "binary_logloss",
    "boost_from_average": False,
    "verbosity": -1,
    "deterministic": True,
    "learning_rate": 0.06,
    "min_sum_hessian_in_leaf": 1e-3,
    "max_bin": 63,
    "feature_pre_filter": False,
    "force_row_wise": True,
    "enable_bundle": False,
    "is_enable_sparse": False,
    "seed": 1,
}
SITE = COMMON | {"num_leaves": 16, "lambda_l2": 100.0, "feature_fraction": 0.6}
SITE_PATIENCE = 20
DEVICE = COMMON | {"num_leaves": 6, "min_data_in_leaf": 40, "lambda_l2": 20.0, "num_threads": 1}
TREES, PATIENCE = 60, 8
RIDGES = [30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0]
OWN_GAIN, LEAVE_LOSS, OWN_SHARE = 2.5, -2.0, 0.8
# As in screening.rs, and for large sites, where one of ONE_OF rows is screened, as in sample.rs of the same folder.
FIRST_LOOK, ONE_OF, BINS, LOOKED_AT, SHRINK = (0.3, 1.0), 3, 12, 96, 5.0
RISING = {"prior", "last_day", "lag_1d", "lag_7d", "share_week", "so_far", "last_hour"}

TARGET = [
    "prior", "weekday_shift", "recent_shift", "building_shift", "last_day_pull", "last_three_pull", "lag_7d_pull",
    "building_last_pull", "device_level", "hour_before", "hour_after", "last_day", "lag_1d", "lag_2d", "lag_7d",
    "lag_14d", "hour", "weekday", "off", "off_before", "off_after", "history", "building_rate",
]  # fmt: skip
ORIGIN = ["share_day", "share_week", "silence", "last_hour", "last_three_hours", "today"]
MOMENT = ["state_pull", "today_pull", "others_pull", "lead", "since_motion"]
COLUMNS = TARGET + ORIGIN + MOMENT
MONOTONE = [int(name in RISING) for name in COLUMNS]
OWN = [
    "prior", "weekday_shift", "recent_shift", "last_day_pull", "lag_7d_pull", "device_level", "hour_before", "hour_after",
    "lag_1d", "lag_7d", "hour", "weekday", "off", "share_day", "last_hour", "state_pull", "today_pull", "lead", "since_motion",
]  # fmt: skip
OWN_AT = [COLUMNS.index(name) for name in OWN]
LINEAR = TARGET[:9] + MOMENT[:3]
LINEAR_AT = [COLUMNS.index(name) for name in LINEAR]
# How much more strictly some coefficients are pulled to zero; the last is the intercept.
STRICT = np.array([5.0 if name == "building_last_pull" else 0.1 if name in MOMENT else 1.0 for name in LINEAR] + [1.0])


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
        off_before=((pl.col("weekday") + 6) % 7) >= 5,
        off_after=((pl.col("weekday") + 1) % 7) >= 5,
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
        devices=pl.lit(float(len(devices))),
    )
    weight = (np.log(2) / 28.0 * pl.col("ago")).exp()
    keys = ["clock", "off"]
    hit = (pl.col("busy").fill_null(0.0) * weight).cum_sum().shift(1, fill_value=0.0).over(keys)
    total = pl.when(pl.col("busy").is_not_null()).then(weight).otherwise(0.0).cum_sum().shift(1, fill_value=0.0).over(keys)
    return site.with_columns(building_rate=(hit + 2.0 * weight * 0.15) / (total + 2.0 * weight)).with_columns(
        excess=((pl.col("busy") - pl.col("building_rate")) * pl.col("devices")).shift(1).fill_null(0.0)
    )


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


def lag(by: list[str], n: int, column: str = "state") -> pl.Expr:
    return pl.col(column).shift(n).over(by)


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
        last_day_2=lag(same_kind, 2),
        last_day_3=lag(same_kind, 3),
        lag_1d=lag(same_hour, 1),
        lag_2d=lag(same_hour, 2),
        lag_7d=lag(same_hour, 7),
        lag_14d=lag(same_hour, 14),
        building_last=lag(same_kind, 1, "busy"),
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
        building_shift=logit("building_rate") - logit("p"),
        last_day_pull=(pl.col("last_day") - pl.col("p")).fill_null(0.0),
        last_three_pull=(pl.mean_horizontal("last_day", "last_day_2", "last_day_3") - pl.col("p")).fill_null(0.0),
        lag_7d_pull=(pl.col("lag_7d") - pl.col("p")).fill_null(0.0),
        building_last_pull=(pl.col("building_last") - pl.col("building_rate")).fill_null(0.0),
        device_level=((level[0] + 3.0 * weight) / (level[1] + 3.0 * weight)).log(),
        history=((pl.col("at") - first) / 24.0).clip(0.0).log1p(),
        share_day=pl.col("before").rolling_mean(24, min_samples=1),
        share_week=pl.col("before").rolling_mean(168, min_samples=1),
        last_hour=pl.col("before"),
        last_three_hours=pl.col("before").rolling_mean(3, min_samples=1),
        today=pl.col("surprise").cum_sum().shift(1, fill_value=0.0).over("day"),
        own=pl.col("surprise").shift(1, fill_value=0.0),
        others=(pl.col("excess") - pl.col("surprise").shift(1, fill_value=0.0)) / pl.col("devices"),
        hour=pl.col("clock"),
    ).with_columns(
        silence=((pl.col("hour_number") - pl.col("last")) / 24.0).floor().clip(0.0, 60.0),
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
    own, others, today, day, last, now = (
        table[name].to_numpy() for name in ("own", "others", "today", "day", "last", "hour_number")
    )
    fades = np.exp(-(lead - 1.0) / 2.0)
    same_day = day[target] == day[origin]
    moment = out[:, len(TARGET) + len(ORIGIN) :]
    moment[:, 0] = own[origin] * fades
    moment[:, 1] = np.where(same_day, today[origin], 0.0) * np.exp(-(lead - 1.0) / 6.0)
    moment[:, 2] = others[origin] * fades
    moment[:, 3] = lead
    moment[:, 4] = np.log1p(np.clip(now[origin] - last[origin], 0.0, 14 * 24.0))
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


def linear_inputs(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([np.nan_to_num(rows[:, LINEAR_AT]), np.ones(len(rows), np.float32)]).astype(np.float64)


def ridge_regression(rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, ridge: float) -> np.ndarray:
    """Newton's method from the prior's log-odds."""
    x = linear_inputs(rows)
    penalty = ridge * STRICT * np.maximum((weights @ (x * x)) / max(weights.sum(), 1.0), 1e-6)
    b = np.zeros(x.shape[1])
    for _ in range(8):
        p = 1.0 / (1.0 + np.exp(-(x[:, 0] + x @ b)))
        gradient = (weights * (labels - p)) @ x - penalty * b
        hessian = (x * (weights * p * (1.0 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        b += step
        if np.abs(step).max() < 1e-9:
            break
    return b


def linear_scores(rows: np.ndarray, b: np.ndarray) -> np.ndarray:
    x = linear_inputs(rows)
    return np.clip(x[:, 0] + x @ b, -7.0, 7.0)


def row_losses(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, np.where(labels > 0.5, -scores, scores))


def loss(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ row_losses(scores, labels) / weights.sum())


def best_share(base: np.ndarray, steps: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    shares = np.arange(11) / 10.0
    return float(shares[np.argmin([loss(base + share * steps, labels, weights) for share in shares])])


def gain(old: np.ndarray, new: np.ndarray, labels: np.ndarray, weights: np.ndarray, days: np.ndarray) -> float:
    """By how many standard errors, with days as blocks, the new scores lose less."""
    daily = np.bincount(days - days.min(), weights * (row_losses(old, labels) - row_losses(new, labels)))
    daily = daily[np.bincount(days - days.min()) > 0]
    spread = daily.std(ddof=1) if len(daily) > 1 else 0.0
    return float(daily.mean() / (spread / np.sqrt(len(daily)))) if spread > 0 else 0.0


class Site:
    """The building's layers."""

    def __init__(self, linear: np.ndarray, booster: str | None, share: float):
        self.linear, self.text, self.share = linear, booster, share
        self.booster = lgb.Booster(model_str=booster) if booster else None

    def __reduce__(self):
        return Site, (self.linear, self.text, self.share)

    def scores(self, rows: np.ndarray) -> np.ndarray:
        scores = linear_scores(rows, self.linear)
        if self.booster and self.share > 0.0:
            scores = scores + self.share * self.booster.predict(rows, raw_score=True, num_threads=1)
        return scores


def fit_site(rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, early: np.ndarray) -> tuple[Site, Site]:
    """The building's layers as fitted before the cut (`early`) and on everything."""
    late = ~early
    tries = []
    for ridge in RIDGES:
        b = ridge_regression(rows[early], labels[early], weights[early], ridge)
        tries.append((loss(linear_scores(rows[late], b), labels[late], weights[late]), ridge, b))
    _, ridge, b = min(tries, key=lambda one: one[0])

    most, rate = (72, 0.1) if early.sum() > FEW_ROWS else (120, 0.06)

    def parameters(count: int) -> dict:
        return SITE | {"learning_rate": rate, "min_data_in_leaf": int(np.clip(count // 150, 30, 200)), "monotone_constraints": MONOTONE}

    def data(part: np.ndarray, b: np.ndarray, **more) -> lgb.Dataset:
        start = linear_scores(rows[part], b)
        return lgb.Dataset(rows[part], labels[part], weight=weights[part], init_score=start, params=parameters(early.sum()), **more)

    train = data(early, b)
    held_out = data(late, b, reference=train)
    stop = lgb.early_stopping(SITE_PATIENCE, verbose=False)
    booster = lgb.train(parameters(early.sum()), train, most, valid_sets=[held_out], callbacks=[stop])
    trees = booster.best_iteration
    base, steps = linear_scores(rows[late], b), booster.predict(rows[late], raw_score=True, num_iteration=trees)
    share = best_share(base, steps, labels[late], weights[late])
    before = Site(b, booster.model_to_string(num_iteration=trees), share)
    b = ridge_regression(rows, labels, weights, ridge)
    everything = np.ones(len(rows), bool)
    booster = lgb.train(parameters(len(rows)), data(everything, b), trees) if share > 0.0 else None
    return before, Site(b, booster and booster.model_to_string(), share)


def sampled(table: pl.DataFrame, first: int, seed: int) -> tuple:
    """A device's design matrix with labels, weights, local days, and the number of rows before the cut."""
    past = table.height - HORIZON
    target, lead = choose(table, first, seed)
    cut = past - 24 * int(np.clip(past // 24 // 3, *JUDGED_DAYS))
    labels = table["state"].to_numpy()[target]
    weights = np.exp(-np.log(2) / ROW_HALF_LIFE * (past - target) / 24.0)
    return design(table, target, lead), labels, weights, table["day"].to_numpy()[target], int(np.searchsorted(target, cut))


def boost(rows, labels, weights, start, trees: int, held_out: tuple | None = None) -> lgb.Booster:
    parameters = DEVICE | {"monotone_constraints": [MONOTONE[at] for at in OWN_AT]}
    train = lgb.Dataset(rows[:, OWN_AT], labels, weight=weights, init_score=start, params=parameters)
    if held_out is None:
        return lgb.train(parameters, train, trees)
    rows, labels, weights, start = held_out
    valid = train.create_valid(rows[:, OWN_AT], labels, weight=weights, init_score=start)
    return lgb.train(parameters, train, trees, valid_sets=[valid], callbacks=[lgb.early_stopping(PATIENCE, verbose=False)])


def first_look(rows: np.ndarray, labels: np.ndarray, start: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Steps that the mean residual of each bin of each column suggests for later rows, a mean over the columns."""
    p = 1.0 / (1.0 + np.exp(-start))
    slope, curve = labels - p, p * (1.0 - p)
    steps = np.zeros(len(after))
    for at in OWN_AT:
        some = rows[:: -(-len(rows) // LOOKED_AT), at]
        some = np.sort(some[~np.isnan(some)])
        edges = some[np.arange(1, BINS) * len(some) // BINS] if len(some) else np.full(BINS - 1, np.inf)
        seen, later = (np.where(np.isnan(x), BINS, np.searchsorted(edges, x)) for x in (rows[:, at], after[:, at]))
        up, down = np.bincount(seen, slope, BINS + 1), np.bincount(seen, curve, BINS + 1) + SHRINK / 4.0
        steps += (up / down)[later]
    return steps / len(OWN_AT)


def grow(sample: tuple, before: Site, site: Site, large: bool) -> tuple[lgb.Booster | None, float, bool]:
    """A device's own booster where it convinces, its share, and whether the device follows the site."""
    rows, labels, weights, days, early = sample
    if early == 0 or early == len(labels):
        return None, 0.0, True
    late = slice(early, None)
    base = best = before.scores(rows[late])
    trees, share = 0, 0.0
    shown = slice(0, early, ONE_OF if large else 1)
    start = before.scores(rows[shown])
    looked = base + FIRST_LOOK[0] * first_look(rows[shown], labels[shown], start, rows[late])
    worth_growing = gain(base, looked, labels[late], weights[late], days[late]) >= FIRST_LOOK[1]
    if early >= FEWEST_OWN_ROWS and worth_growing and 0.0 < labels[:early].mean() < 1.0:
        held_out = (rows[late], labels[late], weights[late], base)
        start = before.scores(rows[:early]) if large else start
        booster = boost(rows[:early], labels[:early], weights[:early], start, TREES, held_out)
        steps = booster.predict(rows[late][:, OWN_AT], raw_score=True, num_iteration=booster.best_iteration)
        share = best_share(base, steps, labels[late], weights[late])
        if gain(base, base + share * steps, labels[late], weights[late], days[late]) >= OWN_GAIN:
            trees, share = booster.best_iteration, OWN_SHARE * share
            best = base + share * steps
    if gain(rows[late, 0].astype(np.float64), best, labels[late], weights[late], days[late]) <= LEAVE_LOSS:
        return None, 0.0, False
    if trees == 0:
        return None, 0.0, True
    return boost(rows, labels, weights, site.scores(rows), trees), share, True


def next_day(table: pl.DataFrame) -> np.ndarray:
    """Rows of the 24 hours after the history."""
    past = table.height - HORIZON
    return design(table, np.arange(past, past + HORIZON), np.arange(1, HORIZON + 1))


def ahead(rows: np.ndarray, site: Site, own: tuple[lgb.Booster | None, float, bool]) -> np.ndarray:
    """Probabilities of some rows of a device."""
    booster, share, follows = own
    score = site.scores(rows) if follows else rows[:, 0].astype(np.float64)
    if booster is not None:
        score = score + share * booster.predict(rows[:, OWN_AT], raw_score=True)
    return 1.0 / (1.0 + np.exp(-score))


def sample_batch(site: pl.DataFrame, batch: list, of_devices: float, share: float, place: str) -> list:
    """Makes the rows of some devices, keeps them in a file each, returns the building's part of them: of a share of the devices a
    share of the rows."""
    parts = []
    for name, occupied, seed in batch:
        table, first = features(site, occupied)
        sample = sampled(table, first, seed)
        with open(Path(place, str(seed)), "wb") as file:
            for array in (*sample[:4], next_day(table)):
                np.save(file, array)
        rows, labels, weights, _, early = sample
        dice = np.random.default_rng(seed ^ 0x5EED)
        lucky = (dice.random() <= of_devices) & (dice.random(len(labels)) <= share)
        parts.append((seed, early, rows[lucky], labels[lucky], weights[lucky], np.arange(len(labels))[lucky] < early))
    return parts


def fit_batch(batch: list, earlies: list, before: Site, site: Site, large: bool, place: str) -> list:
    """Fits devices; of each its name, 24 probabilities and number of trees."""
    fitted = []
    for (name, _, seed), early in zip(batch, earlies):
        with open(Path(place, str(seed)), "rb") as file:
            *sample, following = (np.load(file) for _ in range(5))
        own = grow((*sample, early), before, site, large)
        fitted.append((name, ahead(following, site, own), own[0].num_trees() if own[0] else 0))
    return fitted


def main() -> None:
    options = arguments(__doc__)
    seen = occupied(options.readings).filter(pl.col("hour") < options.origin)
    hours, grid = lay(seen, options.origin - HOUR)
    past = grid.height - HORIZON
    devices = hours.partition_by("device", as_dict=True, maintain_order=True)
    site_hours = site_columns(devices, hours, grid)
    work = [(name[0], occupied, at) for at, (name, occupied) in enumerate(devices.items())]
    batches = [work[at : at + BATCH] for at in range(0, len(work), BATCH)]
    total = sum(past - occupied["at"][0] for _, occupied, _ in work)
    # Read by the workers when they start; this process has its threads already.
    os.environ["POLARS_MAX_THREADS"] = "1"
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=shared) as place, Parallel(n_jobs=options.jobs) as parallel:
        share = MOST_ROWS / max(total, 1)
        of_devices = min(max(ENOUGH_DEVICES / len(work), min(share, 1.0)), 1.0)
        parts = parallel(delayed(sample_batch)(site_hours, batch, of_devices, share / of_devices, place) for batch in batches)
        earlies = [[part[1] for part in batch] for batch in parts]
        rows, labels, weights, early = (np.concatenate([part[at] for batch in parts for part in batch]) for at in range(2, 6))
        before, site = fit_site(rows, labels, weights, early)
        fitted = parallel(delayed(fit_batch)(batch, e, before, site, share < 1.0, place) for batch, e in zip(batches, earlies))
    fitted = [one for batch in fitted for one in batch]
    times = grid["hour"][past:].to_list()
    names = [name for name, _, _ in fitted for _ in range(HORIZON)]
    chances = np.concatenate([p for _, p, _ in fitted])
    write(options.forecast, pl.DataFrame({"device": names, "hour": times * len(fitted), "probability": chances}))
    trees = sum(n for _, _, n in fitted)
    print(f"{len(fitted)} devices, {trees} trees of their own, the site's share {site.share}", file=sys.stderr)


if __name__ == "__main__":
    main()
