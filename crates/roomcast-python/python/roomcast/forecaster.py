"""The forecaster of one site."""

from __future__ import annotations

import inspect
import json
import os
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, Union

from . import _roomcast
from .backtest import Backtest
from .errors import ModelFileError, NotFittedError, ReadingsError, RoomcastWarning, SettingError
from .schedule import Schedule
from .table import Table

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Forecaster"]


class ArrowStream(Protocol):
    """A data frame of Polars, pandas, PyArrow, DuckDB or any other library that speaks Arrow."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...


Path = Union[str, "os.PathLike[str]"]
Readings = Union[ArrowStream, Mapping[str, Iterable[Any]], Path]
Time = Union[str, datetime]
Date = Union[str, date]
Step = Union[str, timedelta]
Progress = Callable[[int, int], object]
Rule = tuple[Union[float, None], Union[float, None], Union[float, None], Union[float, None]]

COLUMNS = ("time", "device", "device_activated")
FORMAT = 1
# A saved forecaster has the same bytes whenever it is saved.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class Forecaster:
    """Learns from motion sensors when each room of a site is in use, and forecasts the next 24 hours.

    Readings have the columns ``time``, ``device`` and ``device_activated``, one row each time a sensor fired. They may be
    a data frame (Polars, pandas, PyArrow, DuckDB, …), a mapping of columns, or the path of a CSV or Parquet file. Times are
    local wall times, or instants if they carry an offset or zone; a site's ``timezone`` must be given then.

    Args:
        timezone: IANA time zone of the site, such as ``Europe/Berlin``. Without it times are read as they stand.
        country: Country whose public holidays are days off: ``DE``, or with a region ``DE-BY``.
        region: State or province of the country, such as ``BY``.
        holidays: More days off: dates, or the path of an iCalendar or CSV file.
        closed: Days on which the site is closed.
        open: Holidays on which the site works all the same.
        weekend: Weekly days off.
        threshold: Lowest probability of an hour that counts as occupied; 0.5 without any rule.
        cost_miss: Cost of an occupied hour that is called vacant, in the unit of ``cost_waste``.
        cost_waste: Cost of a vacant hour that is called occupied.
        max_missed: Highest share of the occupied hours that may be called vacant.
        skip_bad_rows: Leave out rows that cannot be read, instead of raising `BadRowError`.

    >>> forecaster = Forecaster(timezone="Europe/Berlin", country="DE-BY").fit("readings.csv")  # doctest: +SKIP
    >>> forecaster.predict_proba("now").to_polars()  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        timezone: str | None = None,
        country: str | None = None,
        region: str | None = None,
        holidays: Iterable[Date] | Path = (),
        closed: Iterable[Date] = (),
        open: Iterable[Date] = (),
        weekend: Iterable[str] = ("sat", "sun"),
        threshold: float | None = None,
        cost_miss: float | None = None,
        cost_waste: float | None = None,
        max_missed: float | None = None,
        skip_bad_rows: bool = False,
    ) -> None:
        self.timezone = timezone
        self.country = country
        self.region = region
        self.holidays = holidays
        self.closed = closed
        self.open = open
        self.weekend = weekend
        self.threshold = threshold
        self.cost_miss = cost_miss
        self.cost_waste = cost_waste
        self.max_missed = max_missed
        self.skip_bad_rows = skip_bad_rows
        file: str | None = None
        days: list[str] = []
        if isinstance(holidays, (str, os.PathLike)):
            file = os.fspath(holidays)
        else:
            days = [str(day) for day in holidays]
        self._site = _roomcast.Site(
            timezone=timezone,
            country=country,
            region=region,
            holidays=days,
            holidays_file=file,
            closed=[str(day) for day in closed],
            open=[str(day) for day in open],
            weekend=list(weekend),
            skip_bad_rows=skip_bad_rows,
        )
        self._model: _roomcast.Model | None = None
        self._readings: _roomcast.Readings | None = None

    def fit(self, readings: Readings, *, until: Time | None = None, progress: Progress | None = None) -> Self:
        """Fits models on the readings, and keeps the readings to forecast from.

        Args:
            readings: A data frame, a mapping of columns, or the path of a file.
            until: Only readings before this time are learned from and kept. Without it all are.
            progress: A function that gets the number of devices fitted and of all, such as ``lambda done, all: …``.

        Returns:
            The forecaster. ``fit(readings, until=t).predict(t)`` equals ``roomcast predict t readings`` to the last bit.

        Raises:
            ReadingsError: The readings cannot be read, or there are none.
            BadRowError: A row is not a reading.
        """
        end = None if until is None else self._instant(until)
        self._readings = self._read(readings, end)
        self._model = _roomcast.Model.fit(self._site, self._readings, end, self._rule(), progress)
        return self

    def predict(self, at: Time = "now", *, readings: Readings | None = None, devices: Iterable[str] | None = None) -> Table:
        """Forecasts for each device and hour whether the room is occupied.

        Args:
            at: Time of the forecast, local: ``now``, ``2016-08-31 23:59:59`` or a `datetime`. The 24 hours begin with the
                first whole hour at or after it. Readings at or after it change nothing.
            readings: Readings to forecast from, instead of those of ``fit``. The models stay.
            devices: Devices to forecast; without it, all.

        Returns:
            The columns ``time``, ``device`` and ``activation_predicted`` (1 or 0), ordered by time, then device.
        """
        return self._forecast(at, readings, devices, probabilities=False)

    def predict_proba(
        self, at: Time = "now", *, readings: Readings | None = None, devices: Iterable[str] | None = None
    ) -> Table:
        """Forecasts for each device and hour how likely the room is to be occupied.

        Takes the arguments of `predict`, and returns the columns ``time``, ``device`` and ``probability``.
        """
        return self._forecast(at, readings, devices, probabilities=True)

    def schedule(
        self,
        at: Time = "now",
        *,
        readings: Readings | None = None,
        devices: Iterable[str] | None = None,
        promise: Literal["site", "room"] = "site",
        preheat: Step = "0s",
        setback_after: Step = "0s",
        min_run: Step = "0s",
        progress: Progress | None = None,
    ) -> Schedule:
        """Plans when each room is to be on in the 24 hours after a time.

        The rule is that of the settings. Without any, the plan aims to miss at most 5 % of the occupied hours, or
        ``max_missed`` of them: forecasts of the last 28 days are made anew to see from which probability on that holds.

        Args:
            at: Time of the plan, as in `predict`.
            readings: Readings to plan from, instead of those of ``fit``.
            devices: Devices to plan for; without it, all.
            promise: What ``max_missed`` holds for: all rooms of the site together, or each room at some more hours on.
            preheat: Time that a room must be on before its first hour in use, at most 12 hours: ``45m`` or a `timedelta`.
            setback_after: Time that a room stays on after its last hour in use.
            min_run: Shortest time that a room is on.
            progress: A function that gets the number of steps done and in all.

        Returns:
            The schedule of ``fit(readings, until=t)`` is that of ``roomcast schedule t --input readings`` to the last bit.

        Raises:
            SettingError: A time or the promise is not one.
            UnknownDeviceError: There are no readings of a device.
        """
        if promise not in ("site", "room"):
            raise SettingError(f"promise: expected 'site' or 'room', found {promise!r}")
        model, origin = self._model_at(at, readings)
        wanted = None if devices is None else set(devices)
        times = (_step(preheat), _step(setback_after), _step(min_run))
        return Schedule(*_roomcast.schedule(model, self._site, origin, wanted, self._rule(), promise == "room", times, progress))

    def explain(self, device: str, hour: Time, *, at: Time | None = None) -> dict[str, Any]:
        """Explains the probability of one hour by the features of the models.

        Args:
            device: The device.
            hour: The hour, local time.
            at: Time of the forecast; without it, the midnight before the hour.

        Returns:
            ``probability``, ``score`` (log-odds: ``base`` plus all contributions) and ``contributions``, largest first, each
            with ``feature``, ``value`` and ``contribution``.
        """
        start, midnight = self._site.hour_and_midnight(self._instant(hour))
        origin = midnight if at is None else self._instant(at)
        explanation: dict[str, Any] = json.loads(self._fitted().explain(device, start, origin))
        return explanation

    def backtest(
        self,
        readings: Readings | None = None,
        *,
        start: Time | date | None = None,
        stop: Time | date | None = None,
        every: Step = "24h",
        refit: Step = "24h",
        devices: Iterable[str] | None = None,
        progress: Progress | None = None,
    ) -> Backtest:
        """Forecasts past days from what was known then, and scores the forecasts beside those of simple rules.

        Models are fitted anew on the readings before each refit; those of ``fit`` are not used and not changed.

        Args:
            readings: Readings to replay; without them, those of ``fit``.
            start: First origin; without it, midnight after two thirds of the readings' days.
            stop: Last origin; without it, midnight of the last day that the readings cover as a whole.
            every: Time from one origin to the next, such as ``6h`` or a `timedelta`.
            refit: Time between two fits.
            devices: Devices to score; without it, all.
            progress: A function that gets the number of steps done and in all.
        """
        known = self._kept() if readings is None else self._read(readings, None)
        inner = _roomcast.Backtest.run(
            self._site,
            known,
            start=None if start is None else self._instant(start),
            stop=None if stop is None else self._instant(stop),
            every=_step(every),
            refit=_step(refit),
            devices=None if devices is None else list(devices),
            progress=progress,
        )
        return Backtest(inner)

    def save(self, path: Path) -> None:
        """Saves settings, models and readings in one file, whole or not at all."""
        settings = self.get_params()
        if not isinstance(self.holidays, (str, os.PathLike)):
            settings["holidays"] = [str(day) for day in self.holidays]
        else:
            settings["holidays"] = os.fspath(self.holidays)
        for name in ("closed", "open", "weekend"):
            settings[name] = [str(day) for day in settings[name]]
        about = {"format": FORMAT, "version": _roomcast.VERSION, "settings": settings, "heard": self._kept().heard}
        parts = {
            "roomcast.json": json.dumps(about, indent=2).encode(),
            "models.bin": self._fitted().encode(),
            "readings.parquet": self._kept().parquet(),
        }
        path = os.fspath(path)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".roomcast-")
        try:
            with os.fdopen(handle, "wb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                    for name, content in parts.items():
                        archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), content, zipfile.ZIP_DEFLATED)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    @classmethod
    def load(cls, path: Path) -> Self:
        """Returns the forecaster that `save` wrote. It forecasts the same to the last bit.

        Raises:
            ModelFileError: The file is damaged, or another version of Roomcast wrote it.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                about = json.loads(archive.read("roomcast.json"))
                models, readings = archive.read("models.bin"), archive.read("readings.parquet")
            if about["format"] != FORMAT:
                raise ModelFileError(f"{os.fspath(path)}: format {about['format']} where {FORMAT} is expected")
            lists = {name: tuple(value) for name, value in about["settings"].items() if isinstance(value, list)}
            forecaster = cls(**{**about["settings"], **lists})
            heard = about["heard"]
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ModelFileError(f"{os.fspath(path)}: not a saved forecaster: {error}") from error
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "readings.parquet")
            with open(file, "wb") as output:
                output.write(readings)
            forecaster._readings = forecaster._site.read_file(file, None).heard_at(heard)
        site, rule = forecaster._site, forecaster._rule()
        forecaster._model = _roomcast.Model.decode(site, forecaster._readings, models, rule)
        return forecaster

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns the settings by name, as scikit-learn asks for them."""
        return {name: getattr(self, name) for name in inspect.signature(type(self).__init__).parameters if name != "self"}

    def set_params(self, **params: Any) -> Self:
        """Changes settings. What was fitted is forgotten."""
        self.__init__(**{**self.get_params(), **params})  # type: ignore[misc]
        return self

    def __repr__(self) -> str:
        defaults = {name: value.default for name, value in inspect.signature(type(self).__init__).parameters.items()}
        changed = (f"{name}={value!r}" for name, value in self.get_params().items() if value != defaults[name])
        return f"Forecaster({', '.join(changed)})"

    def _forecast(
        self, at: Time, readings: Readings | None, devices: Iterable[str] | None, *, probabilities: bool
    ) -> Table:
        model, origin = self._model_at(at, readings)
        columns, stale = model.forecast(origin, None if devices is None else set(devices), probabilities)
        if stale is not None:
            _warn(f"no sensor has been heard since {stale}: the forecast is the hour-of-week rate")
        return Table(columns)

    def _model_at(self, at: Time, readings: Readings | None) -> tuple[_roomcast.Model, int]:
        model, origin = self._fitted(), self._instant(at)
        if readings is not None:
            model = model.with_readings(self._read(readings, origin))
        if model.cutoff > origin:
            _warn("the models learned from readings after the time of the forecast: fit(…, until=…) leaves those out")
        return model, origin

    def _read(self, readings: Readings, until: int | None) -> _roomcast.Readings:
        if isinstance(readings, (str, os.PathLike)):
            known = self._site.read_file(os.fspath(readings), until)
        else:
            known = self._read_frame(readings, until)
        summary = json.loads(known.summary)
        if summary["set_aside"] > 0:
            _warn(f"{summary['set_aside']} readings ahead of the clock or far from all others are not learned from")
        if summary["refused"] > 0:
            _warn(f"{summary['refused']} rows could not be read and were left out")
        return known

    def _read_frame(self, readings: Any, until: int | None) -> _roomcast.Readings:
        if hasattr(readings, "__arrow_c_stream__"):
            try:
                return self._site.read_stream(readings.__arrow_c_stream__(), until)
            except ImportError:
                pass  # pandas gives out Arrow only with PyArrow
        if not hasattr(readings, "keys"):
            raise ReadingsError(f"expected a data frame, a mapping of columns or a path, found {type(readings).__name__}")
        wanted = [name for name in readings.keys() if str(name).strip().lower() in COLUMNS]
        return self._site.read_texts([(str(name), [_cell(cell) for cell in readings[name]]) for name in wanted], until)

    def _instant(self, time: Time | date) -> int:
        if isinstance(time, datetime):
            time = time.isoformat(" ")
        return self._site.now() if time == "now" else self._site.parse(str(time))

    def _rule(self) -> Rule:
        return (self.threshold, self.cost_miss, self.cost_waste, self.max_missed)

    def _fitted(self) -> _roomcast.Model:
        if self._model is None:
            raise NotFittedError("the forecaster is not fitted: call fit(readings) first")
        return self._model

    def _kept(self) -> _roomcast.Readings:
        self._fitted()
        assert self._readings is not None
        return self._readings


def _cell(cell: Any) -> str | None:
    # NaN and NaT are not equal to themselves.
    return None if cell is None or cell != cell else str(cell)


def _step(step: Step) -> str:
    return f"{int(step.total_seconds())}s" if isinstance(step, timedelta) else step


def _warn(text: str) -> None:
    """Warns of the line that called into this file, however deep the warning is."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, RoomcastWarning, stacklevel=level)
