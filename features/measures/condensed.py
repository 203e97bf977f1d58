"""Many rows of a table, condensed before they are asked: what no demand can tell apart is counted once.

Between two days on which some window of the pass begins or ends, all days are alike: a *tile*. Rows of one tile
that are known at the same dates and match the same filters are of one *kind*, and for each kind every demand has
one mask. So rows become whole numbers (account, value, kind), which one sort puts together; what is left to look
at grows with accounts and dates, not with rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from features.measures.calendar import SECONDS_A_DAY, Calendar, Floats, Ints, Masks
from features.measures.frames import Counted, Demand, RowFrame, Starts, Valued, day_of
from features.measures.groups import Packed, as_places, firsts, numbered, stable_order, where_so

FILTERS_IN_A_TABLE = 16  # whose combinations are looked up in a table
EXACT = 2.0**53  # whole numbers up to here add up to the same sum in any order


class Tiles:
    """The days of a calendar that no window of some demands tells apart.

    Parameters
    ----------
    calendar
        The dates.
    windows
        Of each window: its days (None: it has no beginning), and how many days before the date it ends.
    """

    def __init__(self, calendar: Calendar, windows: Sequence[tuple[int | None, int]]) -> None:
        dates = calendar.day.astype(np.int64)
        lengths = [(days or 0) + until for days, until in windows]
        # Only days that a date or a window's edge can tell apart: earlier and later ones are as the outermost.
        days = np.arange(dates[0] - max(lengths, default=0) - 1, dates[-1] + 1)

        def below(days_later: int) -> Ints:
            return np.searchsorted(dates, days + days_later, side="right").astype(np.int64)

        prefix: Masks = np.array([2**count - 1 for count in range(len(dates) + 1)], dtype=np.int64)
        edges = sorted({0, *lengths, *(until for _, until in windows)})
        counts = np.column_stack([below(edge) for edge in edges])
        change = np.any(counts[1:] != counts[:-1], axis=1)
        of_tile = np.concatenate([[0], np.flatnonzero(change) + 1])  # the first day of each
        self.known = prefix[-1] & ~prefix[below(0)][of_tile]

        def within(window_days: int | None, until_days_ago: int) -> Masks:
            begins = prefix[below(until_days_ago)][of_tile]
            if window_days is None:
                # Rows are never known before they occur.
                return np.full(len(of_tile), prefix[-1]) if until_days_ago == 0 else prefix[-1] & ~begins
            inside: Masks = prefix[below(window_days + until_days_ago)][of_tile] & ~begins
            return inside

        self.windows = {window: within(*window) for window in windows}
        self._first_second = int(days[0]) * SECONDS_A_DAY + calendar.time_of_day_seconds + 1
        self._of_day = np.concatenate([[0], np.cumsum(change)])

    def __len__(self) -> int:
        """How many tiles."""
        return len(self.known)

    def of(self, moments: Floats) -> Ints:
        """Return the tile that each moment lies in; one that never comes lies in the last."""
        day = np.floor((moments - self._first_second) / SECONDS_A_DAY)
        return self._of_day[np.fmax(np.fmin(day, len(self._of_day) - 1), 0).astype(np.int64)]


@dataclass(frozen=True)
class _Kinds:
    """Kinds of rows: shape (kinds,) each.

    `tile` is theirs; `known` the dates at which rows of the kind count; `matches` (by filters) whether they match.
    """

    tile: Ints
    known: Masks
    matches: dict[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class _Groups:
    """Rows put together by account, values and kind: each combination once, in order.

    `kind` is of each combination; `begins` is where account and values change, and `account` and `code` (of the
    first value) are those that begin there.
    """

    kind: Ints
    begins: Ints
    account: Ints
    code: Ints

    def joined(self, masks: Masks) -> Masks:
        """Return the dates of all rows of each account and its values; `masks` are those of kinds."""
        if not len(self.begins):
            return np.zeros(0, dtype=np.int64)
        joined: Masks = np.bitwise_or.reduceat(masks[self.kind], self.begins)
        return joined


class CondensedFrame:
    """Rows of some accounts, condensed; see :class:`~features.measures.frames.Frame`.

    Parameters
    ----------
    rows
        The rows.
    demands
        All that will be asked.
    """

    def __init__(self, rows: RowFrame, demands: Sequence[Demand]) -> None:
        self._rows = rows
        self._filters = list(dict.fromkeys(d.chosen for d in demands if d.any_of))
        self._tiles = Tiles(rows.calendar, list(dict.fromkeys((d.window_days, d.until_days_ago) for d in demands)))
        self._groups_of: dict[tuple[str, ...], _Groups] = {}
        state = np.isnan(rows.occurred)  # it counts once recorded
        moments = np.where(state, rows.known_from, rows.occurred) if state.any() else rows.occurred
        self._kind, self._kinds = self._by_kind(self._tiles.of(moments))

    def _by_kind(self, tile: Ints) -> tuple[Ints, _Kinds]:
        """Return each row's kind, and what the kinds are.

        Nearly all rows are known from their own moment on: those of a tile at the same dates. Of the others, each
        combination of tile and dates is told apart.
        """
        rows, tiles = self._rows, self._tiles
        late = np.flatnonzero(rows.known != tiles.known[tile])
        dates, which = np.unique(rows.known[late], return_inverse=True)
        pairs, pair = np.unique(tile[late] * max(len(dates), 1) + which, return_inverse=True)
        of_row = tile.copy()
        of_row[late] = len(tiles) + pair
        tile_of = np.concatenate([np.arange(len(tiles)), pairs // max(len(dates), 1)])
        known_of = np.concatenate([tiles.known, dates[pairs % max(len(dates), 1)] if len(pairs) else pairs])
        patterns, pattern = _patterns([rows.matches[chosen] for chosen in self._filters], len(tile))
        kind, kinds = of_row * len(patterns) + pattern, np.arange(len(tile_of) * len(patterns))
        if len(kinds) > len(kind):  # only those that occur
            kinds, kind = np.unique(kind, return_inverse=True)
        moment, which = kinds // len(patterns), kinds % len(patterns)
        matches = {chosen: patterns[which, place] for place, chosen in enumerate(self._filters)}
        return kind, _Kinds(tile_of[moment], known_of[moment], matches)

    def _mask_of_kinds(self, demand: Demand) -> Masks:
        """Shape (kinds,): the dates at which rows of each kind count for a demand."""
        kinds = self._kinds
        mask = kinds.known & self._tiles.windows[demand.window_days, demand.until_days_ago][kinds.tile]
        return where_so(mask, kinds.matches[demand.chosen]) if demand.any_of else mask

    def counted(self, demand: Demand) -> Counted:
        """Count rows by account and kind, and different values by the dates of all their rows."""
        if demand.of == "sum" and not self._adds_up_exactly(demand.columns[0]):
            return self._rows.counted(demand)  # which adds up floats in one order, whatever the calendar
        masks = self._mask_of_kinds(demand)
        if demand.of == "distinct":
            groups = self._groups(demand.columns)
            return _shown(groups.account, groups.joined(masks), None)
        order, begins = self._by_account_and_kind
        first = order[begins]
        return _shown(self._rows.account[first], masks[self._kind[first]], self._amounts(demand))

    @cached_property
    def _by_account_and_kind(self) -> tuple[Ints, Ints]:
        """The rows in order, and where each account and kind begins."""
        key = numbered([self._rows.account, self._kind])
        order = stable_order(key)
        return order, np.flatnonzero(firsts(key[order]))

    def _amounts(self, demand: Demand) -> Floats:
        """Return what the rows of each account and kind come to."""
        order, begins = self._by_account_and_kind
        if not len(begins):
            return np.zeros(0)
        if demand.of == "rows":
            return np.diff(begins, append=len(order)).astype(np.float64)
        if demand.of == "last":
            return np.maximum.reduceat(self._rows.occurred[order], begins)
        (column,) = demand.columns
        if demand.of == "sum":
            return np.add.reduceat(np.nan_to_num(self._rows.numbers[column], nan=0.0)[order], begins)
        given = self._rows.given(column)
        return np.add.reduceat((~given if demand.of == "nameless" else given)[order], begins, dtype=np.float64)

    def _adds_up_exactly(self, column: str) -> bool:
        """Return whether amounts have one sum in any order: whole numbers, and not too many."""
        amounts = np.nan_to_num(self._rows.numbers[column], nan=0.0)
        return _whole(amounts) and float(np.abs(amounts).sum()) < EXACT

    def _groups(self, columns: tuple[str, ...]) -> _Groups:
        """Return the rows that have a value in every column, put together by account, values and kind."""
        if columns not in self._groups_of:
            keys = [self._rows.codes(column) for column in columns]
            chosen = np.logical_and.reduce([key >= 0 for key in keys])
            some: slice | npt.NDArray[np.bool_] = slice(None) if chosen.all() else chosen
            parts = [self._rows.account[some], *(key[some] for key in keys)]
            self._groups_of[columns] = _put_together(parts, self._kind[some])
        return self._groups_of[columns]

    def valued(self, demand: Demand) -> Valued:
        """Return each different value with the dates of all its rows; or, of debuts, when each occurred first."""
        if demand.of == "debuts":
            return self._debuts(demand)
        groups = self._groups(demand.columns)
        mask = groups.joined(self._mask_of_kinds(demand))
        seen = mask != 0
        moment = np.full(int(seen.sum()), np.nan)
        values = self._rows.values(demand.columns[0])
        return Valued(groups.account[seen], groups.code[seen], mask[seen], moment, values)

    def _debuts(self, demand: Demand) -> Valued:
        """Of rows known from their own moment on the earliest of each value alone; the others one by one."""
        rows, (column,) = self._rows, demand.columns
        codes = rows.codes(column)
        chosen = codes >= 0
        if demand.any_of:
            chosen &= rows.matches[demand.chosen]
        timely, late = chosen & self._timely, np.flatnonzero(chosen & ~self._timely & (rows.known != 0))
        account, code, moment = _earliest(rows.account[timely], codes[timely], rows.occurred[timely])
        known = self._tiles.known[self._tiles.of(moment)]
        seen = known != 0  # not those that occur after all dates
        return Valued(
            np.concatenate([account[seen], rows.account[late]]),
            np.concatenate([code[seen], codes[late]]),
            np.concatenate([known[seen], rows.known[late]]),
            np.concatenate([moment[seen], rows.occurred[late]]),
            rows.values(column),
        )

    @cached_property
    def _timely(self) -> npt.NDArray[np.bool_]:
        """Whether each row is known from its own moment on."""
        timely: npt.NDArray[np.bool_] = self._rows.known == self._tiles.known[self._kinds.tile[self._kind]]
        return timely

    def served(self, demand: Demand, starts: Starts) -> tuple[Counted, Ints]:
        """Ask the rows that lie near a start of their account."""
        if not len(starts.account):
            return self._rows.take(np.zeros(0, dtype=np.int64)).served(demand, starts)
        size = int(max(self._rows.account.max(initial=0), starts.account.max())) + 1
        first_day, last_day = demand.service_days
        earliest, latest = np.full(size, np.inf), np.full(size, -np.inf)
        np.fmin.at(earliest, starts.account, starts.day + first_day - 1)
        np.fmax.at(latest, starts.account, starts.day + last_day - 1)
        account = self._rows.account
        near = (self._day >= earliest[account]) & (self._day <= latest[account])
        return self._rows.take(np.flatnonzero(near)).served(demand, starts)

    @cached_property
    def _day(self) -> Floats:
        return day_of(self._rows.occurred)


def _patterns(matches: Sequence[npt.NDArray[np.bool_]], size: int) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Return the combinations of filters that rows match, shape (combinations, filters), and which each row has.

    Only those that occur: of twenty filters there could be a million.
    """
    if len(matches) > FILTERS_IN_A_TABLE:
        found, which = np.unique(np.column_stack(matches), axis=0, return_inverse=True)
        return found, which.ravel()
    bits = np.zeros(size, dtype=np.int64)
    for place, match in enumerate(matches):
        bits |= match.astype(np.int64) << place
    there = np.bincount(bits, minlength=1) > 0
    found = (np.flatnonzero(there)[:, None] >> np.arange(len(matches)) & 1) > 0
    return found, (np.cumsum(there) - 1)[bits]


def _put_together(parts: Sequence[Ints], kind: Ints) -> _Groups:
    """Put rows together by account, values and kind."""
    named: Sequence[Ints] = ()
    if not Packed.fits([*parts, kind]):  # accounts and values are numbered first
        _, first, group = np.unique(as_places(parts), return_index=True, return_inverse=True)
        named, parts = [part[first] for part in parts], [group]
    packed = Packed([*parts, kind])
    both = _once(packed.numbers)
    begins = np.flatnonzero(firsts(packed.without_last(both)))
    if named:
        group = packed.part(0, both[begins])
        account, code = named[0][group], named[1][group]
    else:
        account, code = packed.part(0, both[begins]), packed.part(1, both[begins])
    return _Groups(packed.part(len(parts), both), begins, account, code)


def _shown(account: Ints, mask: Masks, amount: Floats | None) -> Counted:
    seen = mask != 0
    return Counted(account[seen], mask[seen], None if amount is None else amount[seen])


def _once(keys: Ints) -> Ints:
    """Return the different keys, in order; a sort without a trace of places takes a fifth of one with."""
    keys.sort()
    return keys[firsts(keys)]


def _earliest(account: Ints, code: Ints, moment: Floats) -> tuple[Ints, Ints, Floats]:
    """Return each combination of account and code once, with its earliest moment."""
    if _whole(moment) and Packed.fits(parts := [account, code, moment.astype(np.int64)]):
        packed = Packed(parts)
        found = np.sort(packed.numbers)
        found = found[firsts(packed.without_last(found))]
        return packed.part(0, found), packed.part(1, found), packed.part(2, found).astype(np.float64)
    order = np.lexsort((moment, code, account))
    order = order[firsts(numbered([account[order], code[order]]))]
    return account[order], code[order], moment[order]


def _whole(numbers: Floats) -> bool:
    return bool((numbers == np.floor(numbers)).all())
