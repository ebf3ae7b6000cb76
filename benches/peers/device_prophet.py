"""Prophet per device, on 0 and 1 by the hour.

Daily and weekly seasonality as Prophet finds them, no uncertainty samples; a worker process per core. It is a regression: what it
forecasts counts as a probability once it is between 0 and 1.
"""

import logging

import numpy as np
import pandas as pd
import polars as pl
from joblib import Parallel, delayed

from hours import HORIZON, HOUR, arguments, grid, some, write


def fit(hours: np.ndarray, values: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    from prophet import Prophet

    logging.getLogger("cmdstanpy").setLevel(logging.WARNING)
    model = Prophet(daily_seasonality=True, weekly_seasonality=True, yearly_seasonality=False, uncertainty_samples=0)
    model.fit(pd.DataFrame({"ds": hours, "y": values}))
    return model.predict(pd.DataFrame({"ds": ahead}))["yhat"].to_numpy()


def main() -> None:
    options = arguments(__doc__)
    hours = some(grid(options.readings, options.origin), options.devices)
    devices = hours.partition_by("device", as_dict=True, maintain_order=True)
    times = pl.datetime_range(options.origin, options.origin + (HORIZON - 1) * HOUR, "1h", time_unit="ms", eager=True)
    jobs = (delayed(fit)(one["hour"].to_numpy(), one["occupied"].to_numpy(), times.to_numpy()) for one in devices.values())
    chances = Parallel(n_jobs=options.jobs)(jobs)
    names = [name for (name,) in devices for _ in range(HORIZON)]
    write(options.forecast, pl.DataFrame({"device": names, "hour": times.to_list() * len(chances), "probability": np.concatenate(chances)}))


if __name__ == "__main__":
    main()
