"""The signal register: what each signal and factor earned, on this company's own past.

Signs are those of the policy in force: nothing here was fitted, so every snapshot with a label may speak, not
the final block alone. Who tuned thresholds on this history reads figures that flatter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from models.signs import AT_RISK, WATCH
from models.thresholds import HEALTHY, NOT_SO_HEALTHY
from training.fitting import Material
from training.folds import Positions
from training.recipe import EvaluationRecipe, RegisterRecipe
from training.resampling import Draws, Interval

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]

ROWS_AT_A_TIME = 100_000  # judgements of so many snapshots take some 300 MB
FIRSTS = ("any sign", "a strong sign", "signs together: watch", "signs together: at risk")
NEVER = -1


class Verdict(StrEnum):
    """What to do with a sign."""

    KEEP = "keep"
    WATCH = "watch"
    DROP = "drop"


class Role(StrEnum):
    """Whether a sign comes early, or only confirms what is decided."""

    LEADING = "leading"
    CONFIRMATORY = "confirmatory"


@dataclass(frozen=True, slots=True)
class LeadTime:
    """Days from the first firing of a stay to the notice or churn that ended it.

    Attributes
    ----------
    stays
        Stays that ended, with at least one snapshot before.
    fired
        On how many of them it fired before the event.
    median_days, interval
        Of these; None where it never fired. The first snapshot with the sign counts: it may have begun up to one
        distance of snapshots earlier.
    standing
        On how many it fired on the first snapshot of the stay already: there it may be older still.
    """

    stays: int
    fired: int
    median_days: float | None
    interval: Interval | None
    standing: int


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """One signal or factor.

    Attributes
    ----------
    id, area, declared
        As in the catalogue; `declared` is a signal's timing there, None for a factor.
    coverage
        Share of the snapshots on which it was known.
    fired_share
        Of those, the share on which it was not healthy; None where it was never known.
    fired_accounts, churned_accounts
        Accounts on which it fired, and those of them that churned within the horizon after.
    caught
        `churned_accounts` of all that churned; None where nobody did.
    churned, base
        Share of snapshots followed by churn: of those with the sign, and of all on which it was known.
    lift, interval
        `churned` over `base`.
    lead
        How early it came.
    late_share
        Of the churn that it foretold beyond the base rate, the share that came within ``confirming_days``. None
        where it foretold none beyond chance, where it is dropped, and where moments are not known.
    role
        By `late_share`. A sign that fires now and then on anybody has its first firing of a long stay early
        whatever it means, so lead time cannot say it.
    verdict, reason
        What to do, and why, in a sentence.
    """

    id: str
    area: str
    declared: str | None
    coverage: float
    fired_share: float | None
    fired_accounts: int
    churned_accounts: int
    caught: float | None
    churned: float | None
    base: float | None
    lift: float | None
    interval: Interval | None
    lead: LeadTime
    late_share: float | None
    role: Role | None
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Register:
    """All rows in catalogue order, and what they rest on.

    Attributes
    ----------
    rows
        A signal or factor each.
    firsts
        Lead time of the first sign of any kind, the first strong one, and of signs together.
    snapshots, accounts, churned_accounts, base_rate
        With a label.
    dates
        First and last of these snapshots.
    stays
        Ended stays behind the lead times; 0 where moments are not known.
    """

    rows: tuple[RegisterRow, ...]
    firsts: Mapping[str, LeadTime]
    snapshots: int
    accounts: int
    churned_accounts: int
    base_rate: float
    dates: tuple[np.datetime64, np.datetime64]
    stays: int


@dataclass(frozen=True, slots=True)
class Stays:
    """Snapshots of stays that ended with notice or churn, each before the end; ordered by stay and date.

    Attributes
    ----------
    rows
        Shape (r,): positions of the snapshots.
    starts
        Shape (s,): where each stay begins in `rows`.
    days
        Shape (r,): whole days until the end.
    account
        Shape (s,): whose stay it is.
    """

    rows: Positions
    starts: Positions
    days: npt.NDArray[np.int32]
    account: npt.NDArray[np.object_]


def ended_stays(accounts: npt.NDArray[np.object_], as_of: Times, event_at: Times) -> Stays:
    """Group snapshots by the stay that they fall into, where it ended.

    A stay is known by its account and its end. Snapshots at or after the end, and those without one, are left
    out.

    Parameters
    ----------
    accounts, as_of, event_at
        Shape (n,): whose, when, and the notice or churn that ended the stay; NaT unknown.

    Examples
    --------
    >>> moments = np.array(["2025-01-01", "2025-02-01", "2025-03-01", "2025-08-01"], dtype="datetime64[s]")
    >>> ends = np.array(["2025-02-15"] * 3 + ["NaT"], dtype="datetime64[s]")
    >>> stays = ended_stays(np.array(["acme"] * 4, dtype=object), moments, ends)
    >>> stays.rows.tolist(), stays.starts.tolist(), stays.days.tolist()
    ([0, 1], [0], [45, 14])
    """
    rows = np.flatnonzero(_before_the_end(as_of, event_at))
    names, codes = np.unique(accounts[rows], return_inverse=True)
    order = np.lexsort((as_of[rows], event_at[rows], codes))
    rows, codes = rows[order], codes[order]
    ends = event_at[rows]
    starts = np.flatnonzero(_another_stay(codes, ends))
    days = (ends - as_of[rows]).astype("timedelta64[D]").astype(np.int32)
    return Stays(rows, starts, days, names[codes[starts]])


def _before_the_end(as_of: Times, event_at: Times) -> Flags:
    return as_of < event_at  # a comparison with NaT is False


def _another_stay(account: Positions, ends: Times) -> Flags:
    """Mark where ordered rows pass to another stay than that of the row before."""
    new = np.ones(len(ends), dtype=bool)
    new[1:] = (account[1:] != account[:-1]) | (ends[1:] != ends[:-1])
    return new


def lead_times(fired: Flags, stays: Stays, bootstrap: Mapping[str, Any]) -> list[LeadTime]:
    """Measure how early signs came.

    Parameters
    ----------
    fired
        Shape (r, k): k signs on the snapshots ``stays.rows``.
    stays
        Where they belong.
    bootstrap
        ``repeats``, ``interval`` and ``seed`` of the draws over accounts.
    """
    if len(stays.starts) == 0:
        return [LeadTime(0, 0, None, None, 0)] * fired.shape[1]
    days = np.where(fired, stays.days[:, None], NEVER)
    first = np.maximum.reduceat(days, stays.starts, axis=0)
    draws = Draws(stays.account, **bootstrap)
    times = draws.times[:, draws.account]
    standing = fired[stays.starts].sum(axis=0)
    return [_lead_time(first[:, sign], int(standing[sign]), draws, times) for sign in range(fired.shape[1])]


def _lead_time(first: npt.NDArray[np.int32], standing: int, draws: Draws, times: Floats) -> LeadTime:
    seen = np.flatnonzero(first != NEVER)
    if len(seen) == 0:
        return LeadTime(len(first), 0, None, None, 0)
    order = seen[np.argsort(first[seen], kind="stable")]
    drawn = _medians(first[order].astype(np.float64), times[:, order])
    return LeadTime(
        stays=len(first),
        fired=len(seen),
        median_days=float(np.median(first[seen])),
        interval=draws.interval(drawn),
        standing=standing,
    )


def _medians(ordered: Floats, times: Floats) -> Floats:
    """Return the median of ordered values, each taken `times` times: shape (repeats,); NaN of nothing."""
    upto = np.cumsum(times, axis=1)
    total = upto[:, -1:]
    low, high = (2 * upto >= total).argmax(axis=1), (2 * upto > total).argmax(axis=1)
    return np.where(total[:, 0] > 0, (ordered[low] + ordered[high]) / 2, np.nan)


def register_of(material: Material, event_at: Times) -> Register:
    """Draw up the register from the snapshots of a run.

    Lift rests on all snapshots with a label, lead time on all snapshots of stays that ended, before their end.

    Parameters
    ----------
    material
        Vectors, labels, the policy that says what a sign is, and the recipe.
    event_at
        Shape (n,): the notice or churn that ended each snapshot's stay; NaT throughout, as from a snapshot
        file: no lead time and no role is told.
    """
    vectors, recipe = material.vectors, material.recipe
    stays = ended_stays(vectors.account_ids, vectors.as_of, event_at)
    labelled = np.flatnonzero(~np.isnan(material.churned))
    band, _ = _judged(material, labelled)
    on_stays, firsts = _judged(material, stays.rows)
    bootstrap = _bootstrap(recipe.evaluation, recipe.seed)
    leads = lead_times(on_stays >= NOT_SO_HEALTHY, stays, bootstrap)
    churned, accounts = material.churned[labelled], vectors.account_ids[labelled]
    soon = _within(event_at[labelled] - vectors.as_of[labelled], recipe.signal_register.confirming_days)
    lifts = _Lifts(band, churned == 1, soon, Draws(accounts, **bootstrap))
    return Register(
        rows=tuple(_row(material, lifts, sign, leads[sign]) for sign in range(band.shape[1])),
        firsts=dict(zip(FIRSTS, lead_times(firsts, stays, bootstrap), strict=True)),
        snapshots=len(labelled),
        accounts=lifts.draws.accounts,
        churned_accounts=lifts.all_churned,
        base_rate=float(churned.mean()),
        dates=(vectors.as_of[labelled].min(), vectors.as_of[labelled].max()),
        stays=len(stays.starts),
    )


def _bootstrap(evaluation: EvaluationRecipe, seed: int) -> dict[str, Any]:
    return {"repeats": evaluation.bootstrap_repeats, "interval": evaluation.interval, "seed": seed}


def _within(ahead: npt.NDArray[np.timedelta64], days: int) -> Flags | None:
    """Mark what lies at most `days` ahead; None where nothing says when anything happened."""
    return None if np.isnat(ahead).all() else ahead <= np.timedelta64(days, "D")


def _judged(material: Material, rows: Positions) -> tuple[npt.NDArray[np.int8], Flags]:
    """Return each item's band, shape (r, items), and the four firsts, shape (r, 4); a part at a time."""
    bands, firsts = [], []
    for part in np.array_split(rows, max(1, -(-len(rows) // ROWS_AT_A_TIME))):
        said = material.judgements(part)
        bands.append(said.band)
        any_sign, strong = (said.band >= NOT_SO_HEALTHY).any(axis=1), said.strong.any(axis=1)
        firsts.append(np.column_stack([any_sign, strong, said.level >= WATCH, said.level >= AT_RISK]))
    return np.concatenate(bands), np.concatenate(firsts)


class _Lifts:
    """Rates of churn with and without each sign, and their intervals, for all signs at once."""

    def __init__(self, band: npt.NDArray[np.int8], churned: Flags, soon: Flags | None, draws: Draws) -> None:
        self.known, self.fired = band >= HEALTHY, band >= NOT_SO_HEALTHY
        self.lost_known, self.lost_fired = self.known & churned[:, None], self.fired & churned[:, None]
        self.soon, self.draws = None if soon is None else soon & churned, draws
        self.all_churned = self.distinct(churned)
        self.intervals = self._lift_intervals()

    def _lift_intervals(self) -> list[Interval | None]:
        parts = np.hstack([self.lost_fired, self.fired, self.lost_known, self.known])
        lost_fired, fired, lost, known = np.hsplit(self.draws.sums(parts), 4)
        below = fired * lost
        lift = np.where(below > 0, lost_fired * known / np.where(below > 0, below, 1.0), np.nan)
        return [self.draws.interval(column) for column in lift.T]

    def interval(self, sign: int, base: float) -> Interval | None:
        """Return that of the lift; where all or none of the sign's snapshots churned, by the rate's exact one."""
        hit, of = self.lost_fired[:, sign], self.fired[:, sign]
        if 0 < hit.sum() < of.sum() or self.intervals[sign] is None:
            return self.intervals[sign]
        rate = self.draws.share_intervals(hit[:, None], of[:, None])[0]
        return None if rate is None else (rate[0] / base, rate[1] / base)

    def late_share(self, sign: int) -> float | None:
        """Return the part of the churn foretold beyond the base rate that came soon; see :class:`RegisterRow`."""
        if self.soon is None:
            return None
        known, fired = self.known[:, sign], self.fired[:, sign]
        beyond = self.lost_fired[:, sign].sum() / fired.sum() - self.lost_known[:, sign].sum() / known.sum()
        soon = (self.soon & fired).sum() / fired.sum() - (self.soon & known).sum() / known.sum()
        return float(np.clip(soon / beyond, 0.0, 1.0))

    def distinct(self, flags: Flags) -> int:
        """Count the accounts of some rows."""
        return len(np.unique(self.draws.account[flags]))


def _row(material: Material, lifts: _Lifts, sign: int, lead: LeadTime) -> RegisterRow:
    column, how = material.vectors.contract.items[sign], material.recipe.signal_register
    known, fired = lifts.known[:, sign], lifts.fired[:, sign]
    churned, base = _share(lifts.lost_fired[:, sign], fired), _share(lifts.lost_known[:, sign], known)
    lift = churned / base if churned is not None and base else None
    interval = lifts.interval(sign, base) if lift is not None and base else None
    caught = lifts.distinct(lifts.lost_fired[:, sign])
    judged = lifts.distinct(lifts.lost_known[:, sign])
    evidence = _Evidence(
        coverage=float(known.mean()),
        fired=int(fired.sum()),
        caught=caught,
        expected=judged * float(fired.sum()) / max(int(known.sum()), 1),
        lift=lift,
        interval=interval,
    )
    verdict, reason = evidence.verdict(how)
    late = lifts.late_share(sign) if evidence.foretells(how) and verdict is not Verdict.DROP else None
    signal = material.catalogue.definitions.signals.get(column.name)
    return RegisterRow(
        id=column.name,
        area=column.area,
        declared=None if signal is None else signal.timing,
        coverage=evidence.coverage,
        fired_share=_share(fired, known),
        fired_accounts=lifts.distinct(fired),
        churned_accounts=caught,
        caught=caught / lifts.all_churned if lifts.all_churned else None,
        churned=churned,
        base=base,
        lift=lift,
        interval=interval,
        lead=lead,
        late_share=late,
        role=_role(late, how),
        verdict=verdict,
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What a verdict rests on; `expected` churned accounts would have the sign by chance."""

    coverage: float
    fired: int
    caught: int
    expected: float
    lift: float | None
    interval: Interval | None

    def verdict(self, how: RegisterRecipe) -> tuple[Verdict, str]:
        """Judge. Without enough to go by, the answer is *watch*: no data is no reason to drop a sign."""
        if self.coverage == 0:
            return Verdict.WATCH, "It was never known."
        if self.fired == 0:
            return Verdict.WATCH, "It never fired."
        if self.coverage < how.least_coverage:
            wanted = f"wanted are {how.least_coverage:.0%}"
            return Verdict.WATCH, f"Known on {self.coverage:.1%} of snapshots; {wanted}."
        if self.lift is None or self.interval is None:
            return Verdict.WATCH, "Nobody churned where it was known."
        if not self._enough(how):
            wanted = f"wanted are {how.fewest_churned_accounts}"
            by_chance = f"chance alone would put {self.expected:.1f} there"
            return Verdict.WATCH, f"{self.caught} churned accounts showed it, and {by_chance}; {wanted}."
        return self._by_lift(self.lift, self.interval, how.least_lift)

    def foretells(self, how: RegisterRecipe) -> bool:
        """Say whether more churn followed it than chance explains, with enough accounts to go by."""
        return self.interval is not None and self.interval[0] > 1 and self._enough(how)

    def _enough(self, how: RegisterRecipe) -> bool:
        return max(self.caught, self.expected) >= how.fewest_churned_accounts

    @staticmethod
    def _by_lift(lift: float, interval: Interval, least: float) -> tuple[Verdict, str]:
        low, high = interval
        if high < least:
            return Verdict.DROP, f"The lift clearly stays below {least:g}."
        if low > 1 and lift >= least:
            return Verdict.KEEP, f"Beyond chance, and at least {least:g}."
        if low > 1:
            return Verdict.WATCH, f"Beyond chance, but below {least:g}."
        return Verdict.WATCH, "A lift of 1, which says nothing, lies within the interval."


def _role(late_share: float | None, how: RegisterRecipe) -> Role | None:
    if late_share is None:
        return None
    return Role.CONFIRMATORY if late_share > how.confirming_share else Role.LEADING


def _share(hit: Flags, among: Flags) -> float | None:
    total = int(among.sum())
    return int(hit.sum()) / total if total else None


def kept_by_chance(rows: Sequence[RegisterRow], interval: float) -> float:
    """Return how many signs would at most be kept by chance, did none of those judged go with churn."""
    judged = [row for row in rows if row.interval is not None]
    return len(judged) * (1 - interval) / 2
