"""What only shows today's state, and therefore cannot be used for training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from features.sources.config import SourcesConfig
from features.sources.delivery import Delivered

# Facts about the past, or names: they change nothing that a model learns.
_NO_STATE = frozenset({"account_id", "name", "customer_since"})


@dataclass(frozen=True, slots=True)
class Untimed:
    """A table, or a column of ``accounts``, whose past nobody can tell; why, and what would settle it."""

    table: str
    column: str | None
    reason: str
    remedy: str

    def __str__(self) -> str:
        where = self.table if self.column is None else f"{self.table}.{self.column}"
        return f"{where}: {self.reason} {self.remedy}"


def untimed(config: SourcesConfig, delivered: Mapping[str, Delivered]) -> tuple[Untimed, ...]:
    """Return what is not usable for training: state without ``recorded_at`` that may have been rewritten."""
    return tuple(found for one in delivered.values() for found in _untimed(config, one))


def _untimed(config: SourcesConfig, delivered: Delivered) -> Iterator[Untimed]:
    contract, table = delivered.contract, delivered.table
    if contract.kind == "event" or contract.labels_only or table == "feeds":
        return
    if delivered.dated or delivered.source.never_rewritten:
        return
    if table != "accounts":
        yield Untimed(
            table,
            None,
            "its rows have no recorded_at: what was changed later shows in the past.",
            f"Deliver recorded_at, or say [tables.{table}] never_rewritten = true if rows stay as first written.",
        )
        return
    for column in contract.columns:
        if column in _NO_STATE or column not in delivered.raw_name:
            continue
        if f"accounts.{column}" not in config.never_changing:
            yield Untimed(
                table,
                column,
                "only today's value is known.",
                f'Deliver accounts with recorded_at, or list "accounts.{column}" under never_changing.',
            )
