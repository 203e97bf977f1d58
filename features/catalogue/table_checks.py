"""Check the company's own tables: that a contract fits itself, and that its names are free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from features.catalogue.checking import Checker
from features.catalogue.files import TABLES
from features.errors import near_miss
from features.sources.contract import RECORDED_AT, ColumnContract, ColumnType, TableContract, table_contracts

ACCOUNT = "account_id"
NUMERIC = (ColumnType.NUMBER, ColumnType.INTEGER)
# Columns that every table is given while it is read. All else that is made on the way begins with an underscore,
# which no identifier does.
WORKING_COLUMNS = ("a", "day", "known_from", "known_until", "occurred_at", "row_key")


@dataclass(frozen=True, slots=True)
class TableChecker(Checker):
    """Checks ``tables.toml`` of an overlay."""

    def check(self) -> None:
        """Note every own table that takes a name of ours, or cannot be read as an event or a state."""
        for name, table in self.definitions.tables.items():
            if name in table_contracts():
                self.complain(
                    TABLES, [name], f'"{name}" is one of our tables, whose contract stands. Choose another name.'
                )
                continue
            for keys, problem in _problems(table):
                self.complain(TABLES, [name, *keys], problem)


def _problems(table: TableContract) -> Iterator[tuple[list[str], str]]:
    """Yield what is wrong with a contract, with the keys that lead there."""
    account = table.columns.get(ACCOUNT)
    if account is None or account.type is not ColumnType.TEXT or not account.required:
        yield (
            [],
            f'every row belongs to an account: give columns.{ACCOUNT} = {{ type = "text", required = true }}.',
        )
    for flag in ("labels_only", "no_account"):
        if getattr(table, flag):
            yield [flag], "is for our own tables alone. Leave it out."
    if not table.key:
        yield ["key"], "names the columns that identify a row, at least one."
    for name in table.key:
        if name not in table.columns:
            yield ["key"], _unknown(name, table.columns)
    yield from _event_problems(table) if table.kind == "event" else _state_problems(table)
    for name, column in table.columns.items():
        for problem in _column_problems(name, column, table):
            yield ["columns", name], problem


def _event_problems(table: TableContract) -> Iterator[tuple[list[str], str]]:
    times = [name for name, column in table.columns.items() if column.type is ColumnType.TIME]
    if table.occurred is None:
        yield [], f'missing key "occurred": the column that says when an event happened. {near_miss("", times)}'
    elif table.occurred not in times:
        yield ["occurred"], f"{_unknown(table.occurred, times)} It is of type time; dates may be delivered for it."
    elif not table.columns[table.occurred].required:
        yield ["columns", table.occurred], "says when the event happened: give required = true."
    if table.ended is not None and (table.ended not in times or table.ended == table.occurred):
        yield ["ended"], _unknown(table.ended, [name for name in times if name != table.occurred])
    if table.known:
        yield ["known"], 'is for kind = "state": an event is known once it occurred or was recorded.'


def _state_problems(table: TableContract) -> Iterator[tuple[list[str], str]]:
    for key in ("occurred", "ended"):
        if getattr(table, key) is not None:
            yield [key], 'is for kind = "event": rows that happen.'
    dates = [name for name, column in table.columns.items() if column.type is ColumnType.DATE]
    if not table.known:
        yield [], f'missing key "known": the dates that tell when a row became known. {near_miss("", dates)}'
    for name in table.known:
        if name not in dates:
            yield ["known"], _unknown(name, dates)


def _column_problems(name: str, column: ColumnContract, table: TableContract) -> Iterator[str]:
    if name == RECORDED_AT:
        yield "every table may carry it: leave it out."
    elif name in WORKING_COLUMNS and name != table.occurred:
        mapped = f'columns = {{ my_{name} = "{name}" }}'
        yield f"Keepsight uses this name itself. Choose another one; in sources.toml, {mapped}."
    if column.one_of and column.type is not ColumnType.TEXT:
        yield f"only text has one_of, this is {column.type}."
    if (column.at_least is not None or column.at_most is not None) and column.type not in NUMERIC:
        yield f"only numbers have at_least and at_most, this is {column.type}."
    if column.default is not None and not _fits(column.default, column):
        yield f"default = {column.default!r} is no value that is allowed."


def _fits(value: float | str, column: ColumnContract) -> bool:
    if isinstance(value, str):
        return column.type is ColumnType.TEXT and (not column.one_of or value in column.one_of)
    low = -float("inf") if column.at_least is None else column.at_least
    high = float("inf") if column.at_most is None else column.at_most
    whole = column.type is ColumnType.NUMBER or (column.type is ColumnType.INTEGER and value == int(value))
    return whole and low <= value <= high


def _unknown(name: str, allowed: Iterable[str]) -> str:
    return f'unknown column "{name}". {near_miss(name, allowed)}'
