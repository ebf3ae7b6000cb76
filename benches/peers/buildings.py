"""All methods beside each other on real buildings: Roomcast, its parts, simple rules, and peers.

All forecast the same hours from the same origins: every midnight, fitted once a week on what came before. The hours and what
came are those of the files that `roomcast backtest --cases` writes; a peer's forecasts join them, and all are scored here.
"""

import argparse
import os
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import NormalDist

import numpy as np
import polars as pl

import measure
from report import versions
from rolling import PEERS, forecasts
from training import table
from windows import REFIT_DAYS, WINDOWS, Window

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/ACCURACY.md"
BEGIN, END = "<!-- begin: make bench-buildings -->", "<!-- end: make bench-buildings -->"
# As in the backtest: keeps the loss of a sure error finite.
CLIP = 1e-6
DRAWS = 1000
OURS = "Roomcast"
RULES = {
    "hour_of_week_rate": "hour-of-week rate",
    "last_day_of_the_same_type": "same hour, last day of the same type",
    "same_hour_last_week": "same hour last week",
    "same_hour_yesterday": "same hour yesterday",
    "all_vacant": "all vacant",
}


def replayed(roomcast: Path, window: Window, readings: Path, place: Path) -> pl.DataFrame:
    """Roomcast's scored hours of a window."""
    cases = place / f"{window.name}.parquet"
    span = ["--from", window.first, "--to", window.last, "--refit", f"{REFIT_DAYS}d"]
    measure.output([roomcast, "backtest", "--input", readings, *span, "--cases", cases, "--json"])
    return pl.read_parquet(cases)


def peer(name: str, window: Window, readings: Path, work: Path, jobs: int) -> pl.DataFrame:
    """A peer's forecasts of a window, from the work folder where they are there already."""
    path = work / f"{window.name}.{name}.parquet"
    if not path.exists():
        beside = path.with_suffix(".tmp")
        forecasts(name, window, readings, jobs).write_parquet(beside)
        beside.rename(path)
    return pl.read_parquet(path)


def methods(cases: pl.DataFrame, peers: dict[str, pl.DataFrame]) -> tuple[pl.DataFrame, dict[str, tuple[str, pl.Expr]]]:
    """The hours with all forecasts; of each method, where its probability and its state are."""
    half = lambda column: pl.col(column) >= 0.5
    found = {OURS: ("probability", pl.col("state") == 1)}
    for column in cases.columns:
        if column.startswith("part_"):
            name = column.removeprefix("part_")
            found["kernel rate alone" if name == "kernel" else f"Roomcast’s {name} alone"] = (column, half(column))
    found |= {name: (rule, pl.col(f"{rule}_state") == 1) for rule, name in RULES.items()}
    for name, made in peers.items():
        cases = cases.join(made.rename({"hour": "time", "probability": name}), on=["origin", "device", "time"], how="left")
        if missing := cases[name].null_count():
            sys.exit(f"{name} has no forecast of {missing} of {cases.height} hours")
        found[name] = (name, half(name))
    return cases, found


def scores(cases: pl.DataFrame, found: dict[str, tuple[str, pl.Expr]]) -> dict[str, np.ndarray]:
    """Of each method, sums by local day: log loss, squared error, right states, hours."""
    truth = pl.col("truth") == 1
    daily = {}
    for name, (column, state) in found.items():
        # A part that has no answer for an hour leaves it to the whole forecast, which is another part's alone then.
        p = pl.coalesce(pl.col(column).cast(pl.Float64), pl.col("probability").cast(pl.Float64))
        clipped = p.clip(CLIP, 1.0 - CLIP)
        loss = -pl.when(truth).then(clipped.log()).otherwise((1.0 - clipped).log())
        right = pl.coalesce(state, pl.col("state") == 1) == truth
        sums = cases.group_by("date").agg(loss.sum().alias("loss"), (p - truth.cast(pl.Float64)).pow(2).sum().alias("square"), right.sum().alias("right"), pl.len().alias("hours"))
        daily[name] = sums.sort("date").drop("date").to_numpy().astype(float)
    return daily


def differences(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of theirs less ours, and the 2.5th and 97.5th percentile over days drawn with replacement."""
    drawn = np.random.default_rng(0).integers(0, len(ours), (DRAWS, len(ours)))
    mean = lambda sums: sums[..., :3] / sums[..., 3:]
    of_draws = mean(theirs[drawn].sum(axis=1)) - mean(ours[drawn].sum(axis=1))
    return mean(theirs.sum(axis=0)) - mean(ours.sum(axis=0)), *np.percentile(of_draws, [2.5, 97.5], axis=0)


def beaten(cases: pl.DataFrame, found: dict[str, tuple[str, pl.Expr]]) -> str:
    """Says on how many devices the rule that is best on each has the lower log loss, and on how many beyond noise."""
    rules = {name: found[name] for name in RULES.values()}
    names = cases["device"].unique().sort().to_list()
    # One-sided at 5 % for all devices together (Bonferroni).
    limit = NormalDist().inv_cdf(1.0 - 0.05 / len(names))
    lower, worse, largest = 0, [], -np.inf
    for name in names:
        own = cases.filter(pl.col("device") == name)
        ours = scores(own, {OURS: found[OURS]})[OURS]
        best = min(scores(own, rules).values(), key=lambda sums: sums[:, 0].sum())
        more = (ours - best)[:, 0]
        errors = more.mean() / (more.std(ddof=1) / np.sqrt(len(more)) or 1.0)
        lower += more.sum() > 0
        worse += [f"{name} ({errors:.1f} standard errors)"] if errors > limit else []
        largest = max(largest, errors)
    beyond = f"beyond noise on {', '.join(worse)}" if worse else "beyond noise on none"
    return (
        f"Of {len(names)} devices the best rule of each has a lower log loss on {lower}, {beyond} (paired by day; {limit:.1f} standard errors for so many "
        f"devices, the largest is {largest:.1f})."
    ).replace("-", "−")


def signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def rows(daily: dict[str, np.ndarray]) -> list[tuple[float, list[str], str]]:
    """Of each method: log loss, cells of its row, cell of the summary."""
    means = {name: sums.sum(axis=0)[:3] / sums.sum(axis=0)[3] for name, sums in daily.items()}
    best = [min(round(m[0], 4) for m in means.values()), min(round(m[1], 4) for m in means.values()), max(round(m[2], 4) for m in means.values())]
    made = []
    for name, mean in means.items():
        shown = [f"**{value:.4f}**" if round(value, 4) == top else f"{value:.4f}" for value, top in zip(mean, best)]
        beside, mark = ["", "", ""], ""
        if name != OURS:
            middle, low, high = differences(daily[OURS], daily[name])
            beside = [
                f"{signed(scale * middle[at], digits)} [{signed(scale * low[at], digits)}, {signed(scale * high[at], digits)}]"
                for at, scale, digits in ((0, 1, 4), (1, 1, 4), (2, 100, 1))
            ]
            mark = " ▲" if high[0] < 0 else "" if low[0] <= 0 else " ▽"
        made.append((mean[0], [f"**{name}**" if name == OURS else name, *shown, *beside], shown[0] + mark))
    return made


def section(options: argparse.Namespace, work: Path) -> str:
    """The tables of all windows whose files are there."""
    details, summary, names = [], {}, []
    for window in WINDOWS:
        readings = options.data / window.file
        if not readings.exists():
            print(f"skipped: {window.what}: there is no {readings}", file=sys.stderr)
            continue
        cases = replayed(options.roomcast, window, readings, work)
        jobs = len(os.sched_getaffinity(0))
        cases, found = methods(cases, {name: peer(name, window, readings, work, jobs) for name in options.methods})
        made = rows(scores(cases, found))
        names.append(window.what)
        for (_, cells, short), name in zip(made, found):
            summary.setdefault(name, {})[window.what] = short
        head = ["", "log loss", "Brier", "accuracy", "log loss more than Roomcast’s", "Brier more", "accuracy more, points"]
        ordered = [cells for _, cells, _ in sorted(made, key=lambda row: row[0])]
        days = cases["date"].n_unique()
        details.append(f"**{window.what[0].upper()}{window.what[1:]}**: {cases.height:,} hours of {days} days, {cases['truth'].mean():.1%} occupied\n\n{table(head, ordered)}\n{beaten(cases, found)}\n")
    if not details:
        sys.exit("none of the buildings is there")
    short = [[f"**{name}**" if name == OURS else name, *(of.get(what, "–") for what in names)] for name, of in summary.items()]
    note = (
        f"Written by `make bench-buildings DATA=folder` on {date.today()} ({versions(options.roomcast)}). Every method forecasts the 24 hours from every midnight, "
        "fitted once a week on the hours before; no holidays are given. Log loss; ▽ marks a method that is worse than Roomcast beyond noise, ▲ one that is "
        "better (95 % intervals of paired days, drawn 1,000 times). `benches/peers` has the peers: one LightGBM for all devices in mlforecast and skforecast, "
        "CatBoost per device on the calendar.\n"
    )
    return f"{note}\n{table(['', *names], short)}\n" + "\n".join(details)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path, nargs="?", help="folder of the peers' forecasts")
    parser.add_argument("--roomcast", type=Path, required=True)
    parser.add_argument("--methods", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--print", action="store_true", help="print the tables instead of writing them into docs/ACCURACY.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = options.work or Path(place)
        work.mkdir(parents=True, exist_ok=True)
        text = section(options, work)
    if options.print:
        print(text)
        return
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    beside = PAGE.with_suffix(".tmp")
    beside.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}")
    beside.rename(PAGE)


if __name__ == "__main__":
    main()
