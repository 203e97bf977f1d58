"""Many rows of a table, condensed before they are asked: what no demand can tell apart is counted once.

Between two days on which some window of the pass begins or ends, all days are alike: a *tile*. Rows of one tile
that are known from their own moment on and match the same filters are of one *kind*, and for each kind every
demand has one mask. So rows become whole numbers (account, value, kind), which tables and sorts put together; what
is left to look at grows with accounts and dates, not with rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from features.measures.calendar import SECONDS_A_DAY, Calendar, Floats, Ints, Masks
from features.measures.frames import DAY, Counted, Demand, RowFrame, Starts, Valued
from features.measures.groups import (
    adds_up_exactly,
    as_places,
    firsts,
    largest,
    narrowest,
    occurring,
    smallest,
    sums,
    where_so,
)

FILTERS_IN_A_TABLE = 16  # whose combinations are looked up in a table


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
        self._of_day = np.concatenate([[0], np.cumsum(change)]).astype(np.int32)

    def __len__(self) -> int:
        """How many tiles."""
        return len(self.known)

    def of(self, moments: Floats) -> Ints:
        """Return the tile that each moment lies in; one that never comes lies in the last."""
        day = moments - self._first_second
        day /= SECONDS_A_DAY
        np.fmin(day, len(self._of_day) - 1, out=day)  # NaN is passed over
        return self._of_day[np.maximum(day, 0.0, out=day).astype(np.int64)]  # which cuts off parts of days


@dataclass(frozen=True)
class _Kinds:
    """Kinds of rows: shape (kinds,) each.

    `tile` is theirs; `matches` (by filters) whether they match.
    """

    tile: Ints
    matches: dict[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class _Places:
    """Each row's combination of account and values, as a place.

    `place` is `size` where the row lacks a value; `there` are the places that occur, `row` is a row of each.
    """

    place: Ints
    size: int
    there: Ints
    row: Ints


@dataclass(frozen=True)
class _Parts:
    """The rows of each combination.

    In `kind`, from `begins` on, stand the kinds of its timely rows, each once; `late` are rows known late, as
    places among those, and `of_late` is the combination of each.
    """

    kind: Ints
    begins: Ints
    late: Ints
    of_late: Ints

    def joined(self, of_kinds: Masks, of_late: Masks) -> Masks:
        """Return the dates of all rows of each combination."""
        if not len(self.begins):
            return np.zeros(0, dtype=np.int64)
        joined: Masks = np.bitwise_or.reduceat(of_kinds[self.kind], self.begins)
        np.bitwise_or.at(joined, self.of_late, of_late[self.late])
        return joined


@dataclass(frozen=True)
class _Days:
    """Combinations of an account's values and day, to be counted.

    Nearly all have rows of one kind alone: `times` is how many those of an `account` and `kind` are. The others
    are each of an account (`others`), and have `parts`.
    """

    account: Ints
    kind: Ints
    times: Floats
    others: Ints
    parts: _Parts

    def counted(self, of_kinds: Masks, of_late: Masks) -> Counted:
        """Count them by account."""
        alone = Counted(self.account, of_kinds[self.kind], self.times)
        return _both(_shown(alone), _shown(Counted(self.others, self.parts.joined(of_kinds, of_late), None)))


class CondensedFrame:
    """Rows of some accounts, condensed; see :class:`~features.measures.frames.Frame`.

    Nearly all rows are known from their own moment on: those of a tile at the same dates. The few others, known
    late or replaced since, are looked at one by one.

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
        self._places_of: dict[tuple[str, ...], _Places] = {}
        self._parts_of: dict[tuple[str, ...], _Parts] = {}
        self._days_of: dict[tuple[str, ...], _Days] = {}
        self._whole_amounts: dict[str, Floats | None] = {}
        self._amounts_of: dict[tuple[str, tuple[str, ...]], Floats] = {}
        self._near: tuple[Starts, tuple[int, int], RowFrame] | None = None
        state = np.isnan(rows.occurred)  # it counts once recorded
        moments = np.where(state, rows.known_from, rows.occurred) if state.any() else rows.occurred
        tile = self._tiles.of(moments)
        self._timely = rows.known == self._tiles.known[tile]
        others = np.flatnonzero(~self._timely)
        tile[others] = len(self._tiles)  # one more tile, of no date
        self._late_rows = others[rows.known[others] != 0]
        self._late = rows.take(self._late_rows)
        self._kind, self._kinds = self._by_kind(tile)

    def _by_kind(self, tile: Ints) -> tuple[Ints, _Kinds]:
        """Return each row's kind, and what the kinds are."""
        tiles = len(self._tiles) + 1
        patterns, pattern = _patterns([self._rows.matches[chosen] for chosen in self._filters], len(tile))
        kinds = np.arange(tiles * len(patterns))
        kind = tile.astype(narrowest(len(kinds)))
        kind *= len(patterns)
        kind += pattern
        if len(kinds) > len(kind):  # only those that occur
            kinds, kind = np.unique(kind, return_inverse=True)
        tile, which = kinds // len(patterns), kinds % len(patterns)
        return kind, _Kinds(tile, {chosen: patterns[which, place] for place, chosen in enumerate(self._filters)})

    def _mask_of_kinds(self, demand: Demand) -> Masks:
        """Shape (kinds,): the dates at which rows of each kind count for a demand."""
        tiles, kinds = self._tiles, self._kinds
        mask = np.append(tiles.known & tiles.windows[demand.window_days, demand.until_days_ago], 0)[kinds.tile]
        return where_so(mask, kinds.matches[demand.chosen]) if demand.any_of else mask

    def _mask_of_late(self, demand: Demand) -> Masks:
        """The dates at which each row known late counts for a demand."""
        late = self._late
        mask = late.known & late.calendar.within(late.occurred, demand.window_days, demand.until_days_ago)
        return where_so(mask, late.matching(demand.chosen))

    def counted(self, demand: Demand) -> Counted:
        """Count rows by account and kind, and different values by the dates of all their rows."""
        if demand.of == "sum" and not self._adds_up_exactly(demand.columns[0]):
            return self._rows.counted(demand)  # which adds up floats in one order, whatever the calendar
        if demand.of == "distinct" and DAY not in demand.columns:
            found = self._places(demand.columns)
            return _shown(Counted(self._rows.account[found.row], self._joined(demand), None))
        masks = self._mask_of_kinds(demand)
        if demand.of == "distinct":
            return self._days(demand.columns).counted(masks, self._mask_of_late(demand))
        _, _, account, kind = self._by_account_and_kind
        timely = Counted(account, masks[kind], self._amounts(demand))
        return _both(_shown(timely), self._late.counted(demand))

    @cached_property
    def _by_account_and_kind(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Each row's place, the places that occur, and the account and kind of each of those."""
        place = as_places([self._rows.account, self._kind])
        there, row = occurring(place, _size(place))
        return place, there, self._rows.account[row], self._kind[row]

    def _amounts(self, demand: Demand) -> Floats:
        """Return what the rows of each account and kind come to, whatever the window."""
        what = demand.of, demand.columns
        if what not in self._amounts_of:
            place, there, _, _ = self._by_account_and_kind
            self._amounts_of[what] = self._amounts_of_places(demand, place, _size(place))[there]
        return self._amounts_of[what]

    def _amounts_of_places(self, demand: Demand, place: Ints, size: int) -> Floats:
        """Return what the rows of each place come to."""
        if demand.of == "rows":
            return sums(place, None, size)
        if demand.of == "last":
            return largest(place, self._rows.occurred, size)
        (column,) = demand.columns
        if demand.of == "sum":
            return sums(place, self._whole_amounts[column], size)
        given = self._rows.given(column)
        return sums(place[(~given if demand.of == "nameless" else given).nonzero()[0]], None, size)

    def _adds_up_exactly(self, column: str) -> bool:
        if column not in self._whole_amounts:
            amounts = self._rows.numbers[column]
            absent = np.isnan(amounts)
            amounts = np.where(absent, 0.0, amounts) if absent.any() else amounts
            self._whole_amounts[column] = amounts if adds_up_exactly(amounts) else None
        return self._whole_amounts[column] is not None

    def _places(self, columns: tuple[str, ...]) -> _Places:
        """Number the combinations of account and values."""
        if columns not in self._places_of:
            account, codes = self._rows.account, [self._rows.codes(column) for column in columns]
            # Where an account's rows name nobody, that is somebody of its own: so each place is of one account.
            place = as_places([account, *(_or_of_account(code, account) for code in codes)])
            size = _size(place)
            place = place.astype(narrowest(size))
            for code in codes:
                place[(code < 0).nonzero()[0]] = size
            self._places_of[columns] = _Places(place, size, *occurring(place, size))
        return self._places_of[columns]

    def _pairs(self, combination: Ints, size: int) -> tuple[Ints, Ints]:
        """Return the different pairs of combination, below `size`, and kind, in order.

        One number says both, so that a sort without a trace of rows finds them, in a fifth of the time.
        """
        bits = len(self._kinds.tile).bit_length()
        most = max(_size(combination), size) + 1 << bits
        assert most < 1 << 62  # places are at most four times the rows of a part, and days take 18 bits
        pairs = combination.astype(narrowest(most))  # of 32 bits sorted in half the time
        pairs <<= bits
        pairs |= self._kind
        pairs.sort()
        pairs = pairs[: np.searchsorted(pairs, pairs.dtype.type(size << bits))]
        pairs = pairs[firsts(pairs).nonzero()[0]]  # a mask of no pattern chooses seven times as slowly
        return pairs >> bits, pairs & ((1 << bits) - 1)

    def _joined(self, demand: Demand) -> Masks:
        """Return the dates of all rows of each combination of account and values."""
        columns = demand.columns
        if columns not in self._parts_of:
            found = self._places(columns)
            combination, kind = self._pairs(found.place, found.size)
            of_late = found.place[self._late_rows]
            late = np.flatnonzero(of_late < found.size)
            nth = np.empty(found.size, dtype=np.int64)
            nth[found.there] = np.arange(len(found.there))
            of_late = nth[of_late[late]]
            self._parts_of[columns] = _Parts(kind, np.flatnonzero(firsts(combination)), late, of_late)
        return self._parts_of[columns].joined(self._mask_of_kinds(demand), self._mask_of_late(demand))

    def _days(self, columns: tuple[str, ...]) -> _Days:
        """Put rows together by account, values and day: nearly as many combinations as rows."""
        if columns not in self._days_of:
            found = self._places(tuple(column for column in columns if column != DAY))
            account_of = np.zeros(found.size, dtype=np.int64)
            account_of[found.there] = self._rows.account[found.row]
            first = self._rows.day.min() if len(self._rows.day) else 0
            day = as_places([self._rows.day - first])
            days = _size(day)
            which = found.place * np.int64(days)
            which += day
            combination, kind = self._pairs(which, found.size * days)
            new, first_late = (
                firsts(combination),
                np.searchsorted(self._kinds.tile, len(self._tiles)),
            )  # in order of tiles
            alone = new & np.append(new[1:], True) & (kind < first_late)
            several = (~alone).nonzero()[0]
            account = account_of[combination // days]
            place = as_places([account, kind])
            there, row = occurring(place, _size(place))
            times = np.bincount(place, minlength=1) - np.bincount(place[several], minlength=_size(place))
            others = combination[several]
            begins = np.flatnonzero(firsts(others))
            of_late = which[self._late_rows]
            late = np.flatnonzero(of_late < found.size * days)
            of_late = np.searchsorted(others[begins], of_late[late])
            parts = _Parts(kind[several], begins, late, of_late)
            self._days_of[columns] = _Days(
                account[row], kind[row], times[there].astype(np.float64), account_of[others[begins] // days], parts
            )
        return self._days_of[columns]

    def valued(self, demand: Demand) -> Valued:
        """Return each different value with the dates of all its rows; or, of debuts, when each occurred first."""
        if demand.of == "debuts":
            return self._debuts(demand)
        row, mask = self._places(demand.columns).row, self._joined(demand)
        seen = mask.nonzero()[0]
        row, (column,) = row[seen], demand.columns
        rows, moment = self._rows, np.full(len(row), np.nan)
        return Valued(rows.account[row], rows.codes(column)[row], mask[seen], moment, rows.values(column))

    def _debuts(self, demand: Demand) -> Valued:
        """Of rows known from their own moment on the earliest of each value alone; the others one by one."""
        rows, late, (column,) = self._rows, self._late, demand.columns
        found, codes = self._places(demand.columns), rows.codes(column)
        timely = self._timely & rows.matching(demand.chosen)
        moment = smallest(found.place, np.where(timely, rows.occurred, np.inf), found.size + 1)[found.there]
        known = self._tiles.known[self._tiles.of(moment)]
        seen = np.flatnonzero((known != 0) & ~np.isnan(moment))  # not those that occur after all dates
        others = np.flatnonzero(late.matching(demand.chosen) & (late.codes(column) >= 0))
        row = np.concatenate([found.row[seen], self._late_rows[others]])
        return Valued(
            rows.account[row],
            codes[row],
            np.concatenate([known[seen], late.known[others]]),
            np.concatenate([moment[seen], late.occurred[others]]),
            rows.values(column),
        )

    def served(self, demand: Demand, starts: Starts) -> tuple[Counted, Ints]:
        """Ask the rows that lie near a start of their account."""
        days = demand.service_days
        if self._near is None or self._near[0] is not starts or self._near[1] != days:
            self._near = starts, days, self._rows.take(self._near_a_start(starts, *days))
        return self._near[2].served(demand, starts)

    def _near_a_start(self, starts: Starts, first_day: int, last_day: int) -> Ints:
        size = int(max(self._rows.account.max(initial=0), starts.account.max(initial=0))) + 1
        earliest, after = np.full(size, np.inf), np.full(size, -np.inf)
        np.fmin.at(earliest, starts.account, starts.day + first_day - 1)
        np.fmax.at(after, starts.account, starts.day + last_day)
        account, moment = self._rows.account, self._rows.occurred - 1  # midnight belongs to the day that ends
        near = moment >= (SECONDS_A_DAY * earliest)[account]
        near &= moment < (SECONDS_A_DAY * after)[account]
        near &= self._rows.known != 0
        return np.flatnonzero(near)


def _patterns(matches: Sequence[npt.NDArray[np.bool_]], size: int) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Return the combinations of filters that rows match, shape (combinations, filters), and which each row has.

    Only those that occur: of twenty filters there could be a million.
    """
    if len(matches) > FILTERS_IN_A_TABLE:
        found, which = np.unique(np.column_stack(matches), axis=0, return_inverse=True)
        return found, which.ravel()
    bits = np.zeros(size, dtype=np.int32)
    for place, match in enumerate(matches):
        bits |= match.astype(np.int32) << place
    there = np.zeros(1 << len(matches), dtype=bool)
    there[bits] = True
    found = (np.flatnonzero(there)[:, None] >> np.arange(len(matches)) & 1) > 0
    return found, bits if there.all() else (np.cumsum(there) - 1)[bits]


def _shown(counted: Counted) -> Counted:
    """Return what counts at any date."""
    seen = counted.mask.nonzero()[0]
    amount = None if counted.amount is None else counted.amount[seen]
    return Counted(counted.account[seen], counted.mask[seen], amount)


def _both(one: Counted, other: Counted) -> Counted:
    """Return what is counted here and there."""
    amounts = (np.ones(len(c.account)) if c.amount is None else c.amount for c in (one, other))
    return Counted(
        np.concatenate([one.account, other.account]),
        np.concatenate([one.mask, other.mask]),
        np.concatenate([*amounts]),
    )


def _or_of_account(codes: Ints, account: Ints) -> Ints:
    """Return codes; where there is none, one of the account's own."""
    none = (codes < 0).nonzero()[0]
    if not len(none):
        return codes
    codes = codes.astype(np.int64)
    codes[none] = account[none] + _size(codes)
    return codes


def _size(place: Ints) -> int:
    return int(place.max(initial=-1)) + 1
