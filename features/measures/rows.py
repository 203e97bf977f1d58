"""Rows of a table in Ibis: which match a filter, and the query that fetches those of a pass.

Times are fetched as seconds since 1970, dates as days since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.catalogue.schema import Allowed, Between, Filter
from features.measures.calendar import Calendar, Floats, Ints, Masks
from features.measures.frames import Filters, RowFrame, Spec, Texts, told

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from features.sources.dictionaries import Dictionary

MOMENTS = ("occurred_at", "known_from", "known_until")
_NO_CODES: Mapping[str, Dictionary] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Asked(Spec):
    """What is to be fetched of one table: columns, filters to judge, and whether ties are broken by key."""

    columns: tuple[str, ...]
    filters: tuple[Filters, ...]
    ordered: bool

    def in_codes(self, dictionaries: Mapping[str, Dictionary]) -> Asked:
        """Return what is to be fetched where some columns are codes of texts; a text without one is in no row."""

        def codes_of(name: str, wanted: Allowed) -> Allowed:
            if name not in dictionaries or isinstance(wanted, Between):
                return wanted
            return tuple(code for text in wanted if (code := dictionaries[name].code(str(text))) is not None)

        filters = tuple(
            tuple({n: codes_of(n, w) for n, w in one.items()} for one in some) for some in self.filters
        )
        return replace(self, filters=filters)


def matching(table: ir.Table, filters: Filters) -> ir.Table:
    """Keep the rows that match any of the filters (all of its columns); a null never matches."""
    return table.filter(holds(table, filters)) if filters else table


def holds(table: ir.Table, filters: Filters) -> ir.BooleanValue:
    """Whether rows match any of the filters."""
    import ibis

    return ibis.or_(*[_holds(table, chosen) for chosen in filters])


def _holds(table: ir.Table, chosen: Filter) -> ir.BooleanValue:
    import ibis

    conditions: list[ir.Value] = []
    for name, wanted in chosen.items():
        column = table[name]
        if isinstance(wanted, Between):
            if wanted.at_least is not None:
                conditions.append(column >= wanted.at_least)
            if wanted.at_most is not None:
                conditions.append(column <= wanted.at_most)
        else:
            conditions.append(column.isin(list(wanted)))
    return ibis.and_(*conditions).fill_null(False)


def seconds(moment: ir.Value) -> ir.Value:
    """Seconds since 1970 as float64: Ibis takes them for 32 bits, which end in 2038."""
    return moment.epoch_seconds().cast("float64")


def days(count: int) -> ir.Value:
    """An interval of whole days."""
    import ibis

    return ibis.interval(days=count)


def selected(rows: ir.Table, asked: Asked) -> ir.Table:
    """Select what is asked for; `rows` have the account's number ``a``."""
    import ibis

    columns: dict[str, ir.Value] = {"a": rows.a}
    columns |= {name: seconds(rows[name]) for name in MOMENTS if name in rows.columns}
    columns |= {f"f{place}": ibis.ifelse(holds(rows, one), 1, 0) for place, one in enumerate(asked.filters)}
    for place, name in enumerate(asked.columns):
        column = rows[name]
        columns[f"c{place}"] = seconds(column) if column.type().is_timestamp() else column
    if asked.ordered:
        columns["row_key"] = rows.row_key
    return rows.select(**columns)


@dataclass(frozen=True)
class TableRows:
    """Rows of one table, before it is asked at which dates they count; attributes as in a :class:`RowFrame`."""

    account: Ints  # int64, as among takes for granted
    moments: Mapping[str, Floats]  # those of MOMENTS that the table has
    matches: Mapping[str, npt.NDArray[np.bool_]]
    numbers: Mapping[str, Floats]
    texts: Mapping[str, Texts]
    key_rank: Ints

    def among(self, first: int, size: int) -> TableRows:
        """Return the rows of so many accounts from the `first` on, which are numbered anew."""
        number = self.account - first
        rows = (number.view(np.uint64) < size).nonzero()[
            0
        ]  # as 64 bits without a sign those before the first are great
        return TableRows(
            number.take(rows),
            {name: values.take(rows) for name, values in self.moments.items()},
            {chosen: match.take(rows) for chosen, match in self.matches.items()},
            {name: values.take(rows) for name, values in self.numbers.items()},
            {name: texts.take(rows) for name, texts in self.texts.items()},
            self.key_rank.take(rows) if len(self.key_rank) else self.key_rank,
        )

    def frame(self, calendar: Calendar, account_known: Masks | None) -> RowFrame:
        """Return them with their dates; one of an account counts only once the account itself is known."""
        moments, account = self.moments, self.account
        known = calendar.known(moments["known_from"], moments["known_until"])
        if account_known is not None:
            known &= account_known[account]
        occurred = moments.get("occurred_at")
        return RowFrame(
            calendar,
            account,
            np.full(len(account), np.nan) if occurred is None else occurred,
            moments["known_from"],
            moments["known_until"],
            known,
            self.matches,
            self.numbers,
            self.texts,
            self.key_rank,
        )


def table_rows(fetched: pa.Table, asked: Asked, dictionaries: Mapping[str, Dictionary] = _NO_CODES) -> TableRows:
    """Return the rows that a query of :func:`selected` fetched; `dictionaries`: of columns of codes."""
    numbers, texts = {}, {}
    for place, name in enumerate(asked.columns):
        column = fetched[f"c{place}"]
        if name in dictionaries:
            texts[name] = Texts(_codes(column), dictionaries[name].values)
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            texts[name] = coded(column)
        else:
            numbers[name] = floats(column)
    return TableRows(
        fetched["a"].to_numpy().astype(np.int64, copy=False),
        {name: floats(fetched[name]) for name in MOMENTS if name in fetched.column_names},
        {told(one): fetched[f"f{place}"].to_numpy() > 0 for place, one in enumerate(asked.filters)},
        numbers,
        texts,
        _ranks(fetched["row_key"]) if asked.ordered else np.zeros(0, dtype=np.int64),
    )


def floats(column: pa.ChunkedArray) -> Floats:
    """Numbers, days (since 1970) and yes/no as float64; null is NaN."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values: Floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return values


def coded(column: pa.ChunkedArray) -> Texts:
    """Text as codes."""
    encoded = column.combine_chunks().dictionary_encode()
    return Texts(_codes(encoded.indices), tuple(encoded.dictionary.to_pylist()))


def _codes(column: pa.Array | pa.ChunkedArray) -> Ints:
    codes: Ints = column.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes


def _ranks(column: pa.ChunkedArray) -> Ints:
    """As :func:`ranks`, of a column without nulls, in half the time."""
    place: Ints = pc.rank(column, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int64) - 1
    return place


def ranks(texts: Sequence[str]) -> Ints:
    """The place of each text in order of its bytes; equal texts, equal places."""
    place = {text: rank for rank, text in enumerate(sorted(set(texts)))}
    return np.array([place[text] for text in texts], dtype=np.int64)
