"""CatBoost per device, on categories of the calendar.

Hour of day, weekday and day off as categories, 500 rounds, stopped early on the last fifth of the hours. One worker process
per core, each with one thread, gets devices in batches.
"""

import numpy as np
import polars as pl
from catboost import CatBoostClassifier, Pool
from joblib import Parallel, delayed

from hours import HORIZON, HOUR, arguments, grid, some, write

ROUNDS, PATIENCE = 500, 50
BATCH = 10
COLUMNS = [0, 1, 2]


def categories(hours: pl.Series) -> np.ndarray:
    weekday = hours.dt.weekday().to_numpy()
    return np.column_stack([hours.dt.hour().to_numpy(), weekday, weekday >= 6]).astype(np.int32)


def fit(hours: np.ndarray, labels: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Probabilities of the hours ahead."""
    cut = len(labels) - len(labels) // 5
    early = labels[:cut]
    # CatBoost wants both classes.
    if early.min() == early.max():
        return np.full(len(ahead), labels.mean())
    model = CatBoostClassifier(
        iterations=ROUNDS, thread_count=1, random_seed=1, allow_writing_files=False, logging_level="Silent", od_type="Iter", od_wait=PATIENCE
    )
    pool = lambda part: Pool(hours[part], labels[part], cat_features=COLUMNS)
    model.fit(pool(slice(0, cut)), eval_set=pool(slice(cut, None)), use_best_model=True)
    return model.predict_proba(Pool(ahead, cat_features=COLUMNS))[:, 1]


def fit_batch(batch: list, ahead: np.ndarray) -> list[np.ndarray]:
    return [fit(hours, labels, ahead) for hours, labels in batch]


def main() -> None:
    options = arguments(__doc__)
    hours = some(grid(options.readings, options.origin), options.devices)
    devices = hours.partition_by("device", as_dict=True, maintain_order=True)
    work = [(categories(one["hour"]), one["occupied"].to_numpy().astype(np.int8)) for one in devices.values()]
    times = pl.datetime_range(options.origin, options.origin + (HORIZON - 1) * HOUR, "1h", time_unit="ms", eager=True)
    batches = [work[at : at + BATCH] for at in range(0, len(work), BATCH)]
    fitted = Parallel(n_jobs=options.jobs)(delayed(fit_batch)(batch, categories(times)) for batch in batches)
    chances = [one for batch in fitted for one in batch]
    names = [name for (name,) in devices for _ in range(HORIZON)]
    write(options.forecast, pl.DataFrame({"device": names, "hour": times.to_list() * len(chances), "probability": np.concatenate(chances)}))


if __name__ == "__main__":
    main()
