# %% [markdown]
# # Seven rooms, from a file to a picture
#
# Open this file as a notebook (VS Code, Jupytext), or run it: `python examples/rooms.py [READINGS [PICTURE]]`.
# It needs the wheel of Roomcast, Polars and matplotlib. The readings of `data/` are simulated.

# %%
import sys

import matplotlib.pyplot as plt
import polars as pl

from roomcast import Forecaster

readings = sys.argv[1] if len(sys.argv) > 1 else "data/device_activations.csv"
picture = sys.argv[2] if len(sys.argv) > 2 else "rooms.png"
frame = pl.read_csv(readings, try_parse_dates=True)
print(frame.group_by("device").len().sort("device"))

# %% [markdown]
# ## The next 24 hours
#
# `until` keeps the models from learning anything after the time of the forecast.

# %%
origin = "2016-08-24 23:59:59"
forecaster = Forecaster().fit(frame, until=origin)
forecast = forecaster.predict_proba(origin).to_polars()
table = forecast.pivot("device", index="time", values="probability")
print(table)

# %% [markdown]
# ## When to switch on
#
# The plan aims to miss at most 5 % of the occupied hours, as the last 28 days would have it.

# %%
plan = forecaster.schedule(origin, preheat="45m", setback_after="30m")
print(plan)
blocks = plan.blocks.to_polars()

# %% [markdown]
# ## What drove one hour

# %%
explanation = forecaster.explain("device_2", "2016-08-25 10:00:00")
print(f"device_2, 10:00: {explanation['probability']:.0%}")
for part in explanation["contributions"][:5]:
    print(f"  {part['contribution']:+.3f}  {part['feature']}")

# %% [markdown]
# ## How good such forecasts have been
#
# At each midnight of the last third of the days, models are fitted on what came before and forecast the next day. The rate of
# the hour of the week is the rule that is hardest to beat.

# %%
backtest = Forecaster().fit(frame).backtest(refit="7d")
print(backtest.report["verdict"]["headline"])
hours = backtest.hours.to_polars()


def log_loss(column: str) -> pl.Expr:
    chance = pl.col(column).clip(0.001, 0.999)
    return -pl.when("occupied").then(chance).otherwise(1 - chance).log().mean()


by_lead = hours.group_by("lead").agg(model=log_loss("probability"), rate=log_loss("hour_of_week_rate")).sort("lead")
reliability = (
    hours.group_by((pl.col("probability") * 10).floor().clip(0, 9).alias("bin"))
    .agg(pl.col("probability").mean(), pl.col("occupied").mean(), pl.len())
    .sort("bin")
)

# %%
figure, (heat, loss, calibration) = plt.subplots(1, 3, figsize=(15, 4), layout="constrained")
devices = table.columns[1:]
heat.imshow(table.select(devices).to_numpy().T, aspect="auto", cmap="YlOrRd", vmin=0, vmax=1)
heat.set(title=f"Chance that a room is occupied, {table['time'][0]:%d %B}", xlabel="hour", yticks=range(len(devices)))
heat.set_yticklabels(devices)
# The frames are the blocks of the plan; hour 0 is the middle of a cell.
first = table["time"][0]
for device, start, end in blocks.select("device", "start", "end").iter_rows():
    left, right = ((time - first).total_seconds() / 3600 - 0.5 for time in (start, end))
    row = devices.index(device) - 0.45
    heat.add_patch(plt.Rectangle((left, row), right - left, 0.9, fill=False, edgecolor="black"))
loss.plot(by_lead["lead"], by_lead["model"], label="Roomcast")
loss.plot(by_lead["lead"], by_lead["rate"], label="hour-of-week rate")
loss.set(title="Log loss by lead (lower is better)", xlabel="hours ahead")
loss.legend()
calibration.plot([0, 1], [0, 1], color="gray", linewidth=1)
calibration.plot(reliability["probability"], reliability["occupied"], marker="o")
calibration.set(title="Of hours forecast at p, the share occupied", xlabel="forecast", ylabel="seen")
figure.savefig(picture, dpi=120)
print(f"written to {picture}")
