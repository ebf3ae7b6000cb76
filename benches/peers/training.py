"""Training and a day's forecast: Roomcast and its peers, and how Roomcast grows."""

import shutil
import statistics
from datetime import datetime
from pathlib import Path

import measure
from measure import Taken
from score import score

HERE = Path(__file__).parent
FIRST, ORIGIN = "2024-01-08", datetime(2024, 3, 8)
SEED = 7

PEERS = {
    "Python": ("train.py", "the same features and parameters: Polars, LightGBM, joblib"),
    "mlforecast": ("global_mlforecast.py", "one LightGBM for all devices"),
    "skforecast": ("global_skforecast.py", "one LightGBM for all devices, recursive"),
    "CatBoost": ("device_catboost.py", "per device: hour, weekday, day off; 500 rounds, stopped early"),
    "Prophet": ("device_prophet.py", "per device: daily and weekly seasonality"),
}
# Its rounds are minutes long, and steady.
ONCE = {"CatBoost"}
SAMPLED = "Prophet"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def simulate(roomcast: Path, place: Path, devices: int, first: str, last: str) -> Path:
    path = place / f"{devices}-{first}-{last}.csv"
    if not path.exists():
        span = ["--from", first, "--to", last, "--seed", SEED]
        measure.run([roomcast, "simulate", "--devices", devices, *span, "--output", path])
    return path


def split(everything: Path, origin: datetime) -> Path:
    """The rows before the origin, as a file beside."""
    path = everything.with_suffix(".before.csv")
    with open(everything) as source, open(path, "w") as target:
        target.write(next(source))
        target.writelines(row for row in source if row[:19] < str(origin))
    return path


def ours(roomcast: Path, readings: Path, place: Path, forecast: Path) -> Taken:
    models = place / "models"
    shutil.rmtree(models, ignore_errors=True)
    trained = measure.run([roomcast, "train", "--input", readings, "--models", models])
    asked = ["predict", "2024-03-07 23:59:59", readings, forecast, "--models", models, "--probabilities"]
    return trained.then(measure.run([roomcast, *asked]))


def median(all_taken: list[Taken]) -> Taken:
    return Taken(*(statistics.median(getattr(taken, name) for taken in all_taken) for name in ("seconds", "cpu", "peak")))


def against(roomcast: Path, python: Path, place: Path, devices: int, sample: int, rounds: int) -> str:
    """The first table: everything in turn, medians, scores."""
    everything = simulate(roomcast, place, devices, FIRST, "2024-03-08")
    readings = split(everything, ORIGIN)
    small = split(simulate(roomcast, place, 10, FIRST, "2024-03-08"), ORIGIN)
    forecast = {name: place / f"{name}.forecast.csv" for name in ("Roomcast", *PEERS)}

    def theirs(name: str, path: Path, *more) -> Taken:
        options = ["--origin", str(ORIGIN), *more]
        return measure.run([python, HERE / PEERS[name][0], path, forecast[name], *options])

    # Once each on little, so that no one pays for reading programs from disk.
    ours(roomcast, small, place, forecast["Roomcast"])
    for name in PEERS:
        theirs(name, small, "--devices", 2) if name in (*ONCE, SAMPLED) else theirs(name, small)
    taken: dict[str, list[Taken]] = {name: [] for name in forecast}
    start = []
    for round in range(rounds):
        taken["Roomcast"].append(ours(roomcast, readings, place, forecast["Roomcast"]))
        for name in PEERS:
            if name == SAMPLED:
                # What a program costs before its first device is not what each device costs.
                start.append(theirs(name, readings, "--devices", 2))
                taken[name].append(theirs(name, readings, "--devices", sample))
            elif round == 0 or name not in ONCE:
                taken[name].append(theirs(name, readings))
    figures = {name: median(of) for name, of in taken.items()}
    few, many = median(start), figures[SAMPLED]
    scale = lambda a, b: a + (b - a) / (sample - 2) * (devices - 2)
    figures[SAMPLED] = Taken(scale(few.seconds, many.seconds), scale(few.cpu, many.cpu), many.peak)

    rate = {name: devices / one.seconds for name, one in figures.items()}
    scores = {name: score(path, everything, ORIGIN) for name, path in forecast.items()}
    for name, (scored, _, _) in scores.items():
        if name != SAMPLED and scored != scores["Roomcast"][0]:
            raise SystemExit(f"{name} forecast {scored} devices, Roomcast {scores['Roomcast'][0]}")
    rows = []
    for name, one in figures.items():
        _, loss, right = scores[name]
        times = "" if name == "Roomcast" else f"{rate['Roomcast'] / rate[name]:.1f}"
        cells = [f"{one.seconds:.1f}", f"{rate[name]:.1f}", f"{1e3 * one.cpu / devices:.1f}", f"{one.peak:.0f}"]
        label = f"**{name}**" if name == "Roomcast" else name + (" ¹" if name == SAMPLED else "")
        rows.append([label, *cells, f"{loss:.4f}", f"{right:.4f}", times])
    head = ["program", "seconds", "devices/s", "CPU ms/device", "peak MiB", "log loss", "accuracy", "Roomcast's rate is … times"]
    _, loss, right = score(forecast["Roomcast"], everything, ORIGIN, forecast[SAMPLED])
    notes = [
        f"¹ A sample of {sample} devices, scaled to {devices} by what the devices after the second cost; its scores are of the sample "
        f"alone, where Roomcast's are {loss:.4f} and {right:.4f}.",
        (f"Medians of {rounds} rounds in turn ({', '.join(sorted(ONCE))}: one round). " if rounds > 1 else "One round. ") +
        "Seconds are from the CSV file to the forecast file, start of the program included; Roomcast's are two commands, `train` (which also "
        "judges its models and saves a registry) and `predict`. Memory is of all processes together.",
    ]
    goals = [
        goal("devices per second against mlforecast", rate["Roomcast"] / rate["mlforecast"], 5.0),
        goal("devices per second against CatBoost", rate["Roomcast"] / rate["CatBoost"], 20.0),
    ]
    worse = [name for name in ("mlforecast", "CatBoost") if scores[name][1] < scores["Roomcast"][1]]
    goals.append(f"- log loss not above that of mlforecast and CatBoost: {'missed against ' + ', '.join(worse) if worse else 'met'}")
    programs = table(["program", "what it does"], [[name, what] for name, (_, what) in PEERS.items()])
    return f"{programs}\n{table(head, rows)}\n" + "\n\n".join(notes) + "\n\n" + "\n".join(goals) + "\n"


def goal(what: str, reached: float, wanted: float) -> str:
    return f"- {what}: {reached:.1f} times (goal: {wanted:g}), {'met' if reached >= wanted else 'missed'}"


def growth(roomcast: Path, place: Path, sizes: list[int], weeks: list[int], devices: int) -> str:
    """How Roomcast grows with devices and with weeks."""
    rows, goals, costs = [], [], []
    for size in sizes:
        readings = simulate(roomcast, place, size, FIRST, "2024-03-07")
        one = ours(roomcast, readings, place, place / "growth.csv")
        cells = [f"{one.seconds:.1f}", f"{1e3 * one.cpu / size:.1f}", f"{one.peak:.0f}", f"{1024 * one.peak / size:.0f}"]
        rows.append([f"{size:,}", *cells])
        costs.append((size, one.cpu / size, one.peak / size))
        readings.unlink()
        if size == 10_000:
            goals.append(f"- 10,000 devices × 60 days in less than 1 GiB: {one.peak:.0f} MiB, {'met' if one.peak < 1024 else 'missed'}")
    head = ["devices (60 days)", "seconds", "CPU ms/device", "peak MiB", "KiB/device"]
    text = table(head, rows) + "\n"
    goals.append("- with more devices, per device " + not_rising(costs))
    rows, costs = [], []
    for span in weeks:
        first = datetime.fromordinal(ORIGIN.toordinal() - 7 * span).date()
        readings = simulate(roomcast, place, devices, str(first), "2024-03-07")
        one = ours(roomcast, readings, place, place / "growth.csv")
        cells = [f"{one.seconds:.1f}", f"{1e3 * one.cpu / devices:.1f}", f"{1e3 * one.cpu / devices / span:.2f}", f"{one.peak:.0f}", f"{1024 * one.peak / devices / span:.0f}"]
        rows.append([f"{span}", *cells])
        costs.append((span, one.cpu / span, one.peak / span))
        readings.unlink()
    head = [f"weeks ({devices:,} devices)", "seconds", "CPU ms/device", "CPU ms/device and week", "peak MiB", "KiB/device and week"]
    goals.append("- with more weeks, per week " + not_rising(costs))
    return text + table(head, rows) + "\n" + "\n".join(goals) + "\n"


def not_rising(costs: list[tuple[int, float, float]]) -> str:
    """Whether processor time or memory of one is more than where there were fewer, by more than a tenth."""
    rises = [
        f"{what} from {before[0]:,} to {after[0]:,} by {after[at] / before[at] - 1:.0%}"
        for before, after in zip(costs, costs[1:])
        for at, what in ((1, "processor time"), (2, "memory"))
        if after[at] > 1.1 * before[at]
    ]
    return f"rises: {', '.join(rises)}" if rises else "neither processor time nor memory rises by a tenth: met"
