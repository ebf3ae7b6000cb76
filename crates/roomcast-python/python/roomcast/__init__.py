"""Hourly room occupancy forecasts from motion sensors.

>>> from roomcast import Forecaster
>>> forecaster = Forecaster(timezone="Europe/Berlin", country="DE").fit("readings.csv")  # doctest: +SKIP
>>> forecaster.predict("now").to_pandas()  # doctest: +SKIP

The wheel also brings the command ``roomcast``, with a server, a page and connections to brokers: ``roomcast --help``.
"""

from ._roomcast import VERSION as __version__
from .backtest import Backtest
from .errors import (
    BadRowError,
    ModelFileError,
    NotFittedError,
    ReadingsError,
    RoomcastError,
    RoomcastWarning,
    SettingError,
    UnknownDeviceError,
)
from .forecaster import Forecaster
from .schedule import Schedule
from .table import Table

__all__ = [
    "Backtest",
    "BadRowError",
    "Forecaster",
    "ModelFileError",
    "NotFittedError",
    "ReadingsError",
    "RoomcastError",
    "RoomcastWarning",
    "Schedule",
    "SettingError",
    "Table",
    "UnknownDeviceError",
    "__version__",
]
