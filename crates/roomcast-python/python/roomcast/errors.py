"""Exceptions of Roomcast. All of them are `RoomcastError`s."""

from __future__ import annotations

__all__ = [
    "BadRowError",
    "ModelFileError",
    "NotFittedError",
    "ReadingsError",
    "RoomcastError",
    "RoomcastWarning",
    "SettingError",
    "UnknownDeviceError",
]


class RoomcastError(Exception):
    """Any error of Roomcast."""


class SettingError(RoomcastError, ValueError):
    """An argument is not valid: a time zone, a country, a time, a threshold."""


class ReadingsError(RoomcastError, ValueError):
    """Readings cannot be read or are too few: no such file, a missing column, nothing to learn from."""


class BadRowError(ReadingsError):
    """A row is not a reading.

    Attributes:
        file: The name of the file, or ``data frame``.
        row: The position of the row in a data frame or Parquet file, from 0: ``df.iloc[error.row]``. ``None`` for CSV.
        line: The line of the row in a CSV file, from 1. ``None`` for data frames and Parquet.
        column: The invalid column; ``None`` when the row as a whole is invalid.
        expected: The expected content.
        found: The content found, cut to 80 characters.
    """

    def __init__(
        self,
        message: str,
        file: str = "",
        row: int | None = None,
        line: int | None = None,
        column: str | None = None,
        expected: str = "",
        found: str = "",
    ) -> None:
        super().__init__(message)
        self.file = file
        self.row = row
        self.line = line
        self.column = column
        self.expected = expected
        self.found = found


class UnknownDeviceError(RoomcastError, ValueError):
    """There are no readings of a device."""


class NotFittedError(RoomcastError, AttributeError):
    """The forecaster has not learned anything: call ``fit`` first."""


class ModelFileError(RoomcastError, ValueError):
    """A file is not a saved forecaster of this version."""


class RoomcastWarning(UserWarning):
    """A result needs a second look: stale data, models that know the future of a forecast, wrong clocks."""
