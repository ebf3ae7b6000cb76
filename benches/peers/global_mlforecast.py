"""Nixtla's mlforecast: one LightGBM for all devices.

Its normal use: a global model over all series, here on Polars frames. Every lag and window lies at least a day back, so the
24 hours need no forecast of their own as a feature, which for a yes or no would be one the model never saw in training.
Windows say how often the same hour, and the same hour of the week, was occupied lately. LightGBM is given the objective
`binary`, so that its regressor returns probabilities.
"""

import lightgbm as lgb
import polars as pl
from mlforecast import MLForecast
from mlforecast.lag_transforms import ExponentiallyWeightedMean, RollingMean, SeasonalRollingMean

from hours import HORIZON, arguments, grid, write

DAY, WEEK = 24, 168


def off(times: pl.Series) -> pl.Series:
    return (times.dt.weekday() >= 6).cast(pl.UInt8)


def forecaster(jobs: int) -> MLForecast:
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
    return MLForecast(
        models={"probability": model},
        freq="1h",
        lags=[DAY * day for day in (1, 2, 3, 4, 5, 6, 7, 14)],
        lag_transforms={
            DAY: [
                RollingMean(DAY, min_samples=1),
                RollingMean(WEEK, min_samples=1),
                SeasonalRollingMean(season_length=DAY, window_size=7, min_samples=1),
                SeasonalRollingMean(season_length=DAY, window_size=28, min_samples=1),
                ExponentiallyWeightedMean(alpha=0.02),
            ],
            WEEK: [SeasonalRollingMean(season_length=WEEK, window_size=4, min_samples=1)],
        },
        date_features=["hour", "weekday", off],
        num_threads=jobs,
    )


def main() -> None:
    options = arguments(__doc__)
    model = forecaster(options.jobs)
    hours = grid(options.readings, options.origin)
    model.fit(hours, id_col="device", time_col="hour", target_col="occupied", dropna=False, as_numpy=True)
    write(options.forecast, model.predict(HORIZON))


if __name__ == "__main__":
    main()
