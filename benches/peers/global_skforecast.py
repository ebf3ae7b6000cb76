"""skforecast: one LightGBM for all devices, asked recursively.

`ForecasterRecursiveMultiSeries` is the library's forecaster for many series of one kind. The device is a feature (ordinal),
lags are whole days, windows are rolling means of a day and a week, the calendar comes as exogenous variables. LightGBM is
given the objective `binary`, so that its regressor returns probabilities; forecasts of earlier hours enter the windows.
"""

import warnings

import lightgbm as lgb
import pandas as pd
import polars as pl
from skforecast.preprocessing import RollingFeatures
from skforecast.recursive import ForecasterRecursiveMultiSeries

from hours import HORIZON, arguments, grid, write

DAY, WEEK = 24, 168
# Hours before the first that it can learn from.
REACH = 14 * DAY


def calendar(times: pd.DatetimeIndex) -> pd.DataFrame:
    weekday = times.dayofweek
    columns = {"hour": times.hour, "weekday": weekday, "off": (weekday >= 5).astype(int)}
    return pd.DataFrame(columns, index=times).astype("int16")


def prepared(hours: pl.DataFrame, jobs: int) -> tuple[ForecasterRecursiveMultiSeries, dict, dict]:
    """A forecaster that is not fitted, the series by device, and their calendar."""
    everything = calendar(pd.date_range(hours["hour"].min(), hours["hour"].max(), freq="h"))
    series, known = {}, {}
    for (device,), one in hours.partition_by("device", as_dict=True, maintain_order=True).items():
        index = pd.date_range(one["hour"][0], periods=one.height, freq="h")
        series[device] = pd.Series(one["occupied"].to_numpy(), index=index, name=device)
        known[device] = everything.loc[index]
    model = lgb.LGBMRegressor(
        objective="binary",
        n_estimators=200,
        learning_rate=0.05,
        num_leaves=31,
        min_child_samples=100,
        colsample_bytree=0.8,
        max_bin=63,
        n_jobs=jobs,
        random_state=1,
        verbosity=-1,
    )
    forecaster = ForecasterRecursiveMultiSeries(
        estimator=model,
        lags=[DAY * day for day in (1, 2, 3, 4, 5, 6, 7, 14)],
        window_features=RollingFeatures(stats=["mean", "mean"], window_sizes=[DAY, WEEK]),
        encoding="ordinal",
    )
    return forecaster, series, known


def main() -> None:
    options = arguments(__doc__)
    forecaster, series, known = prepared(grid(options.readings, options.origin), options.jobs)
    warnings.simplefilter("ignore")
    forecaster.fit(series=series, exog=known, suppress_warnings=True)
    ahead = calendar(pd.date_range(options.origin, periods=HORIZON, freq="h"))
    made = forecaster.predict(HORIZON, exog={device: ahead for device in series}, suppress_warnings=True)
    forecast = pl.from_pandas(made.reset_index(names="hour"))
    write(options.forecast, forecast.rename({"level": "device", "pred": "probability"}))


if __name__ == "__main__":
    main()
