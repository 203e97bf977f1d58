"""A large table, counted by the engine before anything is fetched.

Every row gets the mask of dates at which it is known, and the number of its *tile*: the days between which no
window of the pass begins or ends, so that rows of one tile lie in the same windows. Then rows are counted together
by account, tile and mask, and people (or features, or person-days) by account: what is fetched grows with accounts
and dates, not with events. Which dates lie before a day is looked up in a list: exact, because all dates of
a pass share one time of day, which is taken off first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from features.measures.calendar import SECONDS_A_DAY, Calendar, Floats, Ints, Masks
from features.measures.frames import DAY, Counted, Demand, Starts, Valued
from features.measures.rows import coded, floats, holds, seconds

if TYPE_CHECKING:
    from features.measures.queries import Queries

COUNTS = ("rows", "sum", "given", "nameless", "last")
BY_VALUE = ("distinct", "values", "debuts")


BOUNDS = ("first_account", "after_account")


@dataclass(frozen=True)
class Within:
    """Which of the accounts counted: the number of the first, and how many."""

    first: int
    size: int


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def bit_or(mask: int) -> int:
    """Union of masks; a built-in aggregate of DuckDB, PostgreSQL and Spark."""
    raise NotImplementedError


class CountedTable:
    """Rows of one table counted by the engine, for all accounts that are asked about at the dates of a calendar.

    Parameters
    ----------
    queries
        Where rows are counted.
    calendar
        The dates.
    rows
        Makes the table's rows with their account's number ``a``.
    demands
        All that will be asked.
    name
        The prefix of what is stored.
    """

    def __init__(
        self,
        queries: Queries,
        calendar: Calendar,
        rows: Callable[[], ir.Table],
        demands: Sequence[Demand],
        name: str,
    ) -> None:
        self.queries, self.calendar, self.name = queries, calendar, name
        self._rows, self._demands = rows, demands
        # What the text of a query depends on, beside the tables' columns.
        self._key: Hashable = (name, calendar.dates, tuple(demands))
        self._windows = list(dict.fromkeys((d.window_days, d.until_days_ago) for d in demands))
        self._filters = list({repr(d.any_of): d.any_of for d in demands if d.any_of}.items())
        self._lay_tiles()
        queries.later(f"{name}_rows", self._key, self._masked_rows)
        queries.later(f"{name}_by_tile", self._key, self._tiles)
        for columns in dict.fromkeys(d.columns for d in demands if d.of in BY_VALUE):
            queries.later(self._values_name(columns), self._key, partial(self._by_value, columns))
            queries.later(self._distinct_name(columns), self._key, partial(self._distinct, columns))

    def tiles(self, within: Within) -> pa.Table:
        """Fetch counts by tile: ``a``, ``tile``, ``known``, and an amount ``e…`` for each count asked."""
        return self._fetch(f"{self.name}_by_tile", within)

    def distinct(self, columns: tuple[str, ...], within: Within) -> pa.Table:
        """Fetch how many values have the same dates: ``a``, a mask ``m…`` for each window and filter, ``n``."""
        return self._fetch(self._distinct_name(columns), within)

    def values(self, columns: tuple[str, ...], within: Within) -> pa.Table:
        """Fetch values: ``a``, ``c0``, masks ``m…``, first times ``t…`` and ``late``."""
        return self._fetch(self._values_name(columns), within)

    def served(self, demand: Demand, starts: Mapping[str, pa.Array]) -> pa.Table:
        """Fetch how many combinations have the same dates, for each start of service: ``s``, ``known``, ``n``."""
        name = f"{self.name}_starts"
        self.queries.put(name, starts)
        return self.queries.fetch((demand, self._key), lambda: self._served(demand, name))

    def window_masks(self, demand: Demand) -> Masks:
        """Return, for each tile, the dates whose window holds its rows."""
        return self._window_masks[self._windows.index((demand.window_days, demand.until_days_ago))]

    def place_of_amount(self, demand: Demand) -> int:
        """Return which amount of :meth:`tiles` a demand asks for."""
        return self._counts().index(_regardless_of_window(demand))

    def place_of_mask(self, demand: Demand) -> int:
        """Return which mask a demand asks for."""
        return self._masks_of(demand.columns).index(self._mask_of(demand))

    def place_of_debut(self, demand: Demand) -> int:
        """Return which first time a demand asks for."""
        return self._debuts(demand.columns).index(repr(demand.any_of))

    def _fetch(self, name: str, within: Within) -> pa.Table:
        bounds = f"{self.name}_bounds"
        edges = (within.first, within.first + within.size)
        self.queries.put(bounds, {n: pa.array([edge], pa.int64()) for n, edge in zip(BOUNDS, edges, strict=True)})

        def chosen() -> ir.Table:
            counted, edge = self.queries.table(name), self.queries.table(bounds)
            return counted.join(edge, (counted.a >= edge.first_account) & (counted.a < edge.after_account)).drop(
                *BOUNDS
            )

        return self.queries.fetch((name, "of some accounts", self._key), chosen)

    # --- days, tiles and windows ------------------------------------------------------------------------------

    def _lay_tiles(self) -> None:
        """Find for every day the dates on or before it, and its tile; for every tile, the dates of each window.

        Only days that a date or a window's edge can tell apart: earlier and later ones are as the outermost.
        """
        dates = self.calendar.day.astype(np.int64)
        windows = [(days or 0) + until for days, until in self._windows]
        days = np.arange(dates[0] - max(windows, default=0) - 1, dates[-1] + 1)

        def below(days_later: int) -> Ints:
            return np.searchsorted(dates, days + days_later, side="right").astype(np.int64)

        prefix: Masks = np.array([2**count - 1 for count in range(len(dates) + 1)], dtype=np.int64)
        edges = sorted({0, *windows, *(until for _, until in self._windows)})
        counts = np.column_stack([below(edge) for edge in edges])
        change = np.any(counts[1:] != counts[:-1], axis=1)
        of_tile = np.concatenate([[0], np.flatnonzero(change) + 1])  # the first day of each

        def masks(window_days: int | None, until_days_ago: int) -> Masks:
            begins = prefix[below(until_days_ago)][of_tile]
            if window_days is None:
                # Rows are never known before they occur.
                return np.full(len(of_tile), prefix[-1]) if until_days_ago == 0 else prefix[-1] & ~begins
            within: Masks = prefix[below(window_days + until_days_ago)][of_tile] & ~begins
            return within

        self._window_masks = [masks(*window) for window in self._windows]
        self._first_day, self._before = int(days[0]), prefix[below(0)]
        self._tile = np.concatenate([[0], np.cumsum(change)])

    def _at_day(self, moment: ir.Value, values: Ints) -> ir.Value:
        """Look up what holds of the day of a moment: a list in the text costs a third of what a join costs."""
        since = seconds(moment) - float(self._first_day * SECONDS_A_DAY + self.calendar.time_of_day_seconds + 1)
        day = (since / float(SECONDS_A_DAY)).floor().cast("int64")
        return _listed(values, ibis.greatest(ibis.least(day, len(values) - 1), 0))

    def _masked_rows(self) -> ir.Table:
        """Rows with account, tile, mask, moment, filters judged, and the columns asked for."""
        rows = self._rows()
        moment = rows.occurred_at if "occurred_at" in rows.columns else rows.known_from
        # No column of a company begins with an underscore.
        looked_up = rows.mutate(
            _moment=moment,
            _tile=self._at_day(moment, self._tile),
            _before=self._at_day(moment, self._before),
            _known_before=self._at_day(rows.known_from, self._before),
            _until_before=self._at_day(rows.known_until, self._before),
        )
        columns = list(dict.fromkeys(c for d in self._demands for c in d.columns if c != DAY))
        # Masks before a moment are prefixes, so that the difference is the dates between two.
        known = ibis.greatest(looked_up._until_before - looked_up._known_before, ibis.literal(0, type="int64"))
        lasts = looked_up._until_before == ibis.literal(self.calendar.all, type="int64")
        masked = looked_up.select(
            a=looked_up.a,
            tile=looked_up._tile,
            known=known,
            timely=(looked_up._known_before == looked_up._before) & lasts,
            moment=seconds(looked_up._moment),
            day=(looked_up._moment - ibis.interval(seconds=1)).date(),
            **{f"f{place}": holds(looked_up, one) for place, (_, one) in enumerate(self._filters)},
            **{f"c_{name}": looked_up[name] for name in columns},
        )
        return masked.filter(masked.known != 0)

    def _stored(self) -> ir.Table:
        return self.queries.table(f"{self.name}_rows")

    def _when(self, rows: ir.Table, any_of: str, value: ir.Value) -> ir.Value:
        """The value where the filter holds, else null."""
        for place, (name, _) in enumerate(self._filters):
            if name == any_of:
                return ibis.ifelse(rows[f"f{place}"], value, ibis.null(value.type()))
        return value

    # --- counts by tile ---------------------------------------------------------------------------------------

    def _counts(self) -> list[Demand]:
        return list(dict.fromkeys(_regardless_of_window(d) for d in self._demands if d.of in COUNTS))

    def _tiles(self) -> ir.Table:
        rows = self._stored()
        amounts = {f"e{place}": self._amount(rows, one) for place, one in enumerate(self._counts())}
        return rows.group_by("a", "tile", "known").agg(**amounts)

    def _amount(self, rows: ir.Table, demand: Demand) -> ir.Value:
        if demand.of == "last":
            return self._when(rows, repr(demand.any_of), rows.moment).max()
        if demand.of == "rows":
            return self._when(rows, repr(demand.any_of), rows.a).count()  # never null
        column = rows[f"c_{demand.columns[0]}"]
        if demand.of == "nameless":
            unnamed = ibis.ifelse(column.isnull(), rows.a, ibis.null("int64"))
            return self._when(rows, repr(demand.any_of), unnamed).count()
        value = self._when(rows, repr(demand.any_of), column.cast("float64"))
        return value.sum() if demand.of == "sum" else value.count()

    # --- by value ---------------------------------------------------------------------------------------------

    def _values_name(self, columns: tuple[str, ...]) -> str:
        return f"{self.name}_by_{'_'.join(columns)}"

    def _distinct_name(self, columns: tuple[str, ...]) -> str:
        return f"{self.name}_distinct_{'_'.join(columns)}"

    def _mask_of(self, demand: Demand) -> tuple[int, str]:
        return self._windows.index((demand.window_days, demand.until_days_ago)), repr(demand.any_of)

    def _masks_of(self, columns: tuple[str, ...]) -> list[tuple[int, str]]:
        """Window and filter of every mask that is asked of these columns' values."""
        asked = [d for d in self._demands if d.of in ("distinct", "values") and d.columns == columns]
        return list(dict.fromkeys(self._mask_of(demand) for demand in asked))

    def _debuts(self, columns: tuple[str, ...]) -> list[str]:
        """Filters of every first time that is asked of these columns' values."""
        asked = [d for d in self._demands if d.of == "debuts" and d.columns == columns]
        return list(dict.fromkeys(repr(demand.any_of) for demand in asked))

    def _by_value(self, columns: tuple[str, ...]) -> ir.Table:
        """Per account and value (and, for first times, by what is known late): dates, and the first time."""
        rows = self._stored()
        given = [rows[f"c_{name}"].notnull() for name in columns if name != DAY]
        named = rows.filter(given) if given else rows
        keys = {f"c{place}": named[name if name == DAY else f"c_{name}"] for place, name in enumerate(columns)}
        masks = self._masks_of(columns)
        found = {
            f"m{place}": bit_or(
                self._when(named, any_of, named.known & _listed(self._window_masks[window], named.tile))
            )
            for place, (window, any_of) in enumerate(masks)
        }
        debuts = self._debuts(columns)
        found |= {
            f"t{place}": self._when(named, any_of, named.moment).min() for place, any_of in enumerate(debuts)
        }
        if debuts:
            keys["late"] = ibis.ifelse(named.timely, ibis.literal(0, type="int64"), named.known)
        grouped = named.group_by(a=named.a, **keys).agg(**found)
        return grouped.mutate(**{f"m{place}": grouped[f"m{place}"].fill_null(0) for place in range(len(masks))})

    def _distinct(self, columns: tuple[str, ...]) -> ir.Table:
        """How many values have the same dates."""
        values = self.queries.table(self._values_name(columns))
        masks = [f"m{place}" for place in range(len(self._masks_of(columns)))]
        if self._debuts(columns):  # rows known late stand apart
            keys = ["a", *(f"c{place}" for place in range(len(columns)))]
            values = values.group_by(*keys).agg(**{mask: bit_or(values[mask]) for mask in masks})
        some = values.filter(ibis.or_(*[values[mask] != 0 for mask in masks]))
        return some.group_by("a", *masks).agg(n=some.count())

    def _served(self, demand: Demand, starts_name: str) -> ir.Table:
        rows, starts = self._stored(), self.queries.table(starts_name)
        both = rows.join(starts, rows.a == starts.a)
        first_day, last_day = demand.service_days
        inside = both.filter(
            (both.day >= both.start + ibis.interval(days=first_day - 1))
            & (both.day <= both.start + ibis.interval(days=last_day - 1))
        )
        seen = inside.mutate(known=self._when(inside, repr(demand.any_of), inside.known).fill_null(0))
        seen = seen.filter(seen.known != 0)
        columns = [f"c_{name}" for name in demand.columns]
        if demand.unnamed:
            seen = seen.filter(seen[columns[0]].isnull())
        else:
            seen = seen.filter([seen[column].notnull() for column in columns])
            seen = seen.group_by("s", *columns).agg(known=bit_or(seen.known))
        return seen.group_by("s", "known").agg(n=seen.count())


class CondensedFrame:
    """Counts of some accounts; see :class:`~features.measures.frames.Frame`.

    Parameters
    ----------
    table
        The table, counted.
    within
        Which accounts.
    before_known
        Shape (accounts,): the dates before each account itself was known; no row of it counts then.
    """

    def __init__(self, table: CountedTable, within: Within, before_known: Masks) -> None:
        self._table, self._within, self._before_known = table, within, before_known
        self._fetched: dict[Hashable, pa.Table] = {}

    def counted(self, demand: Demand) -> Counted:
        """Answer counts from tiles, and distinct counts from what each value's rows cover."""
        table = self._table
        if demand.of == "distinct":
            fetched = self._once(
                ("distinct", demand.columns), lambda: table.distinct(demand.columns, self._within)
            )
            mask = _ints(fetched, f"m{table.place_of_mask(demand)}")
            return self._shown(self._accounts(fetched), mask, floats(fetched["n"]))
        fetched = self._once("tiles", lambda: table.tiles(self._within))
        amount = floats(fetched[f"e{table.place_of_amount(demand)}"])
        there = amount > 0 if demand.of in ("rows", "given", "nameless") else ~np.isnan(amount)
        mask = _ints(fetched, "known") & table.window_masks(demand)[_ints(fetched, "tile")]
        return self._shown(self._accounts(fetched), np.where(there, mask, 0), amount)

    def valued(self, demand: Demand) -> Valued:
        """Answer which values there are, with their dates, or when each occurred first."""
        table = self._table
        fetched = self._once(("values", demand.columns), lambda: table.values(demand.columns, self._within))
        account, code = self._accounts(fetched), coded(fetched["c0"].cast(pa.string())).codes
        if demand.of == "values":
            mask = _ints(fetched, f"m{table.place_of_mask(demand)}")
            moment = np.full(len(mask), np.nan)
        else:
            moment = floats(fetched[f"t{table.place_of_debut(demand)}"])
            late = _ints(fetched, "late")
            mask = np.where(late != 0, late, table.calendar.all & ~table.calendar.below(moment))
        mask = mask & ~self._before_known[account]
        seen = mask != 0
        return Valued(account[seen], code[seen], mask[seen], moment[seen])

    def served(self, demand: Demand, starts: Starts) -> tuple[Counted, Ints]:
        """Count different combinations within the days of service that begins at each start."""
        columns = {
            "a": pa.array(starts.account + self._within.first, pa.int64()),
            "start": pa.array(starts.day.astype(np.int32), pa.int32()).cast(pa.date32()),
            "s": pa.array(np.arange(len(starts.day)), pa.int64()),
        }
        fetched = self._table.served(demand, columns)
        start = _ints(fetched, "s")
        account = starts.account[start]
        mask = _ints(fetched, "known") & ~self._before_known[account]
        return Counted(account, mask, floats(fetched["n"])), start

    def _once(self, what: Hashable, fetch: Callable[[], pa.Table]) -> pa.Table:
        if what not in self._fetched:
            self._fetched[what] = fetch()
        return self._fetched[what]

    def _accounts(self, fetched: pa.Table) -> Ints:
        return _ints(fetched, "a") - self._within.first

    def _shown(self, account: Ints, mask: Masks, amount: Floats) -> Counted:
        mask = mask & ~self._before_known[account]
        seen = mask != 0
        return Counted(account[seen], mask[seen], amount[seen])


def _listed(values: Ints, place: ir.Value) -> ir.Value:
    """Return the value at a place of a list."""
    numbers: ir.ArrayValue = ibis.literal(values.tolist(), type="array<int64>")
    return numbers[place.cast("int32")]  # Spark finds places in a list by 32 bits alone


def _ints(fetched: pa.Table, name: str) -> Ints:
    numbers: Ints = fetched[name].to_numpy().astype(np.int64, copy=False)
    return numbers


def _regardless_of_window(demand: Demand) -> Demand:
    return Demand(demand.of, demand.table, demand.any_of, demand.columns)
