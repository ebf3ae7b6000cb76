"""Scores of forecasts of the past."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from .table import Table

if TYPE_CHECKING:
    from . import _roomcast

__all__ = ["Backtest"]


class Backtest:
    """What the forecasts of past days were worth, beside those of simple rules. ``print`` shows the tables of
    ``roomcast backtest``.

    Attributes:
        report: The report of ``roomcast backtest --json`` as a dictionary: verdict, scores, skill with intervals.
    """

    def __init__(self, inner: _roomcast.Backtest) -> None:
        self._inner = inner
        self.report: dict[str, Any] = json.loads(inner.json())

    @property
    def hours(self) -> Table:
        """One row for each device, origin and hour: the probability of the model and of each rule, and what happened."""
        return Table(self._inner.hours())

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Writes the report as one self-contained page."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._inner.html())

    def __str__(self) -> str:
        return self._inner.text()

    def __repr__(self) -> str:
        setup = self.report["setup"]
        return f"<Backtest of {setup['rooms']} rooms and {setup['days']} days: {setup['hours']} forecast hours>"
