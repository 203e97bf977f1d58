"""One embedded DuckDB in a temporary folder: large tables lie on disk, and are gone when it is closed."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from features.sources import sql
from features.sources.delivery import RAW

if TYPE_CHECKING:
    import duckdb


class Session:
    """A DuckDB over a company's files; close it, or use it in a ``with`` statement.

    Parameters
    ----------
    folder
        Where queries find files by relative paths.
    memory_limit
        What DuckDB may hold in memory before it writes to its temporary folder.
    """

    def __init__(self, folder: Path, memory_limit: str = "4GB") -> None:
        import duckdb

        self._temporary = tempfile.TemporaryDirectory(prefix="keepsight-")
        place = Path(self._temporary.name)
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(
            str(place / "tables.duckdb"),
            config={
                "threads": 2,
                "memory_limit": memory_limit,
                "temp_directory": str(place / "spilled"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,  # reading files never reaches for the network
                "allow_community_extensions": False,
            },
        )
        self.connection.execute("SET TimeZone = 'UTC'")
        with contextlib.suppress(duckdb.InvalidInputException):  # in notebooks without ipywidgets there is no bar
            self.connection.execute("SET enable_progress_bar = false")  # it would be printed into the JSON
        self.connection.execute(f"SET file_search_path = {sql.text(str(_search_path(folder, place)))}")
        self.connection.execute(f"CREATE SCHEMA {RAW}")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self.connection.execute(query).fetchall()

    def row(self, query: str) -> tuple[Any, ...]:
        """Return the one row of an aggregate."""
        return self.rows(query)[0]

    def close(self) -> None:
        """Close the connection and delete its files; a second time does nothing."""
        self.connection.close()
        self._temporary.cleanup()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _search_path(folder: Path, place: Path) -> Path:
    """Return a name of the folder that DuckDB's comma-separated search path can hold."""
    folder = folder.resolve()
    if not any(character in str(folder) for character in ",*?["):
        return folder
    alias = place / "sources"
    alias.symlink_to(folder, target_is_directory=True)
    return alias
