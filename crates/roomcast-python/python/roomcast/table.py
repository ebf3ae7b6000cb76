"""Tables of results."""

from __future__ import annotations

import csv
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from ._roomcast import Columns

__all__ = ["Table"]


class Table:
    """A table that every library of data frames can take over: ``polars.DataFrame(table)``, ``pyarrow.table(table)``,
    ``duckdb.sql("from table")``. It needs none of them.

    Times are local wall times, or carry the site's time zone if it has one.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the table as a stream of Arrow's C interface."""
        return self._columns.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self._columns.names

    def to_dict(self) -> dict[str, list[Any]]:
        """Returns the columns as lists; times as `datetime.datetime`."""
        return {name: self._cells(name) for name in self.columns}

    def to_polars(self) -> polars.DataFrame:
        """Returns the table as a Polars data frame."""
        import polars

        return polars.DataFrame(self)

    def to_arrow(self) -> pyarrow.Table:
        """Returns the table as a PyArrow table."""
        import pyarrow

        return pyarrow.table(self)

    def to_pandas(self) -> pandas.DataFrame:
        """Returns the table as a pandas data frame, without PyArrow. The times of a site with a zone are in UTC."""
        import pandas

        columns: dict[str, Any] = self.to_dict()
        for name, cells in columns.items():
            if cells and isinstance(cells[0], datetime):
                columns[name] = pandas.to_datetime(cells, utc=cells[0].tzinfo is not None)
        return pandas.DataFrame(columns)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes the table in the form of the command line: local times, six digits of a probability."""
        columns = [[_text(cell) for cell in cells] for cells in self.to_dict().values()]
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows(zip(*columns))

    def _cells(self, name: str) -> list[Any]:
        cells = self._columns.cells(name)
        return [datetime.fromisoformat(cell) for cell in cells] if name in ("time", "origin") else cells

    def __repr__(self) -> str:
        head = [[_text(cell) for cell in cells[:10]] for cells in self.to_dict().values()]
        widths = [max(map(len, [name, *cells])) for name, cells in zip(self.columns, head)]
        rows = [self.columns, *zip(*head)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        if len(self) > 10:
            lines.append(f"… {len(self)} rows")
        return "\n".join(lines)


def _text(cell: Any) -> str:
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S")
    return f"{cell:.6f}" if isinstance(cell, float) else str(cell)
