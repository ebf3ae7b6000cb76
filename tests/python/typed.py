"""Calls whose types mypy checks, as a user's would be."""

from datetime import datetime, timedelta

import pandas
import polars
import pyarrow

from roomcast import Backtest, Forecaster, Schedule, Table


def calls(a: polars.DataFrame, b: pandas.DataFrame, c: pyarrow.Table, d: dict[str, list[str]]) -> None:
    forecaster: Forecaster = Forecaster(timezone="Europe/Berlin", closed=[datetime.now().date()])
    for readings in (a, c, d):
        forecaster.fit(readings).fit(b, until=datetime.now(), progress=lambda done, total: print(done, total))
    table: Table = forecaster.predict_proba("now", readings=b, devices=["device_1"])
    frame: polars.DataFrame = table.to_polars()
    backtest: Backtest = forecaster.backtest(every=timedelta(hours=6), start=datetime.now().date())
    print(frame, backtest.report["verdict"], forecaster.explain("device_1", "2016-08-25 10:00:00")["probability"])
    schedule: Schedule = forecaster.schedule(promise="room", preheat=timedelta(minutes=45), min_run="1h")
    print(schedule, schedule.blocks.to_polars(), schedule.report["promise"])
    forecaster.save("a.roomcast")
    loaded: Forecaster = Forecaster.load("a.roomcast")
    print(loaded.predict(datetime.now()).to_pandas(), len(table))
