"""When each room is to be on."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from .table import Table

if TYPE_CHECKING:
    from ._roomcast import Columns

__all__ = ["Schedule"]


class Schedule:
    """When each room is to be on in the 24 hours after a time. ``print`` shows the table of ``roomcast schedule``.

    Attributes:
        blocks: One row for each block: ``device``, ``start``, ``end``, ``occupied_from``, ``occupied_until`` and
            ``peak_probability``.
        report: The plan of ``roomcast schedule --format json`` as a dictionary: the promise, how well it was kept, and hours
            on, threshold and blocks of each room.
    """

    def __init__(self, columns: Columns, report: str, text: str, calendar: str) -> None:
        self.blocks = Table(columns)
        self.report: dict[str, Any] = json.loads(report)
        self._text = text
        self._calendar = calendar

    def to_ics(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan as iCalendar, with one event for each block."""
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(self._calendar)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        rooms, hours = len(self.report["devices"]), self.report["hours_on"]
        return f"<Schedule of {rooms} rooms: {len(self.blocks)} blocks, {hours:.1f} hours on>"
