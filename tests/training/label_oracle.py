"""The label definition in plain Python: day by day, account by account. Slow, and meant to be read.

Days are whole numbers. A snapshot at day t stands at the midnight that begins t; what happens on a day counts from
its end, so that the window of a snapshot holds the days t + embargo to t + embargo + horizon - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from training.definition import LabelRule

FOREVER = 1_000


@dataclass(frozen=True)
class Contract:
    start: int
    end: int | None = None
    notice: int | None = None
    signed: int | None = None
    renews_itself: bool | None = None
    cut_short: bool = False
    licences: float | None = None
    value: float | None = None
    features: frozenset[str] | None = None

    @property
    def last(self) -> int:
        return FOREVER if self.end is None else self.end

    def runs_on(self, day: int) -> bool:
        return self.start <= day <= self.last


@dataclass(frozen=True)
class Outcome:
    """A recorded leaving, or a recorded contraction."""

    kind: str
    day: int
    notice: int | None = None
    involuntary: bool = False


@dataclass(frozen=True)
class Account:
    """What is known of an account when the history ends with the day `until`; outcomes None: not recorded."""

    contracts: tuple[Contract, ...]
    outcomes: tuple[Outcome, ...] | None
    until: int
    rule: LabelRule


@dataclass
class Stay:
    contracts: list[Contract]
    left: int | None = None
    kind: str = ""
    involuntary: bool = False
    doubtful: int | None = None  # the day with whose end nobody knows how it went on
    contracted: list[int] = field(default_factory=list)
    unclear: list[int] = field(default_factory=list)

    @property
    def first(self) -> int:
        return min(contract.start for contract in self.contracts)

    @property
    def last(self) -> int:
        return max(contract.last for contract in self.contracts)

    def running(self, day: int) -> list[Contract]:
        return [contract for contract in self.contracts if contract.runs_on(day)]


@dataclass(frozen=True)
class Answer:
    churned: bool | None
    kind: str
    at_risk: bool


class Oracle:
    """Answers about one account; mutants override a line."""

    def __init__(self, account: Account) -> None:
        self.account, self.rule, self.until = account, account.rule, account.until

    @property
    def grace(self) -> int:
        return self.rule.lapse_grace_days

    def window(self, t: int) -> range:
        opens = t + self.rule.embargo_days
        return range(opens, opens + self.rule.horizon_days)

    def answer(self, t: int) -> Answer:
        begun = [stay for stay in self.stays if stay.first <= t]
        if not begun or not any(contract.runs_on(t) for contract in self.account.contracts):
            return Answer(None, "", False)
        stay = begun[-1]
        if (stay.left is not None and stay.left < t) or (stay.doubtful is not None and stay.doubtful < t):
            return Answer(None, "", False)
        window = self.window(t)
        gone_before = stay.left is not None and stay.left < window[0]
        if window[-1] > self.until or gone_before or (stay.doubtful is not None and stay.doubtful <= window[-1]):
            return Answer(None, "", True)
        if "contraction" in self.rule.kinds and set(stay.unclear) & set(window):
            return Answer(None, "", True)
        aside = ""
        for day in window:
            if day in stay.contracted:
                if "contraction" in self.rule.kinds:
                    return Answer(True, "contraction", True)
                aside = aside or "contraction"
            if day == stay.left:
                if stay.kind in self.rule.kinds and (self.rule.involuntary_counts or not stay.involuntary):
                    return Answer(True, stay.kind, True)
                aside = aside or stay.kind
        return Answer(False, aside, True)

    # Stays

    @cached_property
    def stays(self) -> list[Stay]:
        found = self.stays_and_how_they_ended()
        for stay in found:
            stay.contracted, stay.unclear = self.contractions(stay)
        return found

    def stays_and_how_they_ended(self) -> list[Stay]:
        if self.account.outcomes is None:
            return [self.derived(stay) for stay in self.without_long_gaps(self.account.contracts)]
        found: list[Stay] = []
        left = list(self.account.contracts)
        for outcome in sorted(self.account.outcomes, key=lambda outcome: outcome.day):
            if outcome.kind == "contraction":
                continue
            stays = self.without_long_gaps([contract for contract in left if contract.start <= outcome.day])
            left = [contract for contract in left if contract.start > outcome.day]
            found += [self.unrecorded(stay) for stay in stays[:-1]]
            found += [self.recorded(stay, outcome) for stay in stays[-1:]]
        return found + [self.unrecorded(stay) for stay in self.without_long_gaps(left)]

    def without_long_gaps(self, contracts: Sequence[Contract]) -> list[Stay]:
        stays: list[Stay] = []
        real = [contract for contract in contracts if contract.last >= contract.start]
        for contract in sorted(real, key=lambda contract: (contract.start, contract.last)):
            if stays and contract.start - stays[-1].last - 1 <= self.grace:
                stays[-1].contracts.append(contract)
            else:
                stays.append(Stay([contract]))
        return stays

    def derived(self, stay: Stay) -> Stay:
        noticed = self.noticed(stay)
        if stay.last > self.until:
            stay.left = noticed
        elif noticed is None and stay.last + self.grace > self.until:
            stay.doubtful = stay.last
        else:
            stay.left = stay.last if noticed is None else noticed
        stay.kind = "" if stay.left is None else self.kind(stay, noticed)
        return stay

    def noticed(self, stay: Stay) -> int | None:
        """The first day at whose end all that goes on is under notice."""
        days = range(stay.first - 100, min(stay.last, self.until) + 1)
        return next((day for day in days if self.under_notice(stay, day)), None)

    def under_notice(self, stay: Stay, day: int) -> bool:
        given = [one for one in stay.contracts if one.notice is not None and one.notice <= day]
        goes_on = [one for one in stay.contracts if one.last > day]
        return any(one.last >= day for one in given) and all(one in given for one in goes_on)

    def kind(self, stay: Stay, noticed: int | None) -> str:
        final = [one for one in stay.contracts if one.last == stay.last]
        if all(one.renews_itself is False and one.end is not None and not one.cut_short for one in final):
            return "non_renewal"
        return "lapse" if noticed is None else "cancellation"

    def unrecorded(self, stay: Stay) -> Stay:
        noticed = self.noticed(stay)
        if stay.last > self.until:
            stay.left = noticed
            stay.kind = "" if noticed is None else self.kind(stay, noticed)
        else:
            stay.doubtful = stay.last if noticed is None else noticed
        return stay

    def recorded(self, stay: Stay, outcome: Outcome) -> Stay:
        told = [day for day in (self.noticed(stay), outcome.notice, outcome.day) if day is not None]
        come = [day for day in told if day <= self.until]
        if come:
            stay.left, stay.kind, stay.involuntary = min(come), outcome.kind, outcome.involuntary
        return stay

    # Contractions

    def contractions(self, stay: Stay) -> tuple[list[int], list[int]]:
        """The days on which the stay went on with less, and those on which nobody can tell."""
        told = [outcome for outcome in self.account.outcomes or () if outcome.kind == "contraction"]
        if self.account.outcomes is not None and told:
            days, unclear = [self.first_known(outcome) for outcome in told], list[int]()
        else:
            days, unclear = self.derived_contractions(stay)
        last = FOREVER if stay.left is None else stay.left - 1
        return [day for day in days if stay.first <= day <= last], [d for d in unclear if stay.first <= d <= last]

    def first_known(self, outcome: Outcome) -> int:
        days = [day for day in (outcome.notice, outcome.day) if day is not None and day <= self.until]
        return min(days, default=FOREVER)

    def derived_contractions(self, stay: Stay) -> tuple[list[int], list[int]]:
        days: list[int] = []
        unclear: list[int] = []
        changes = [day for one in stay.contracts for day in (one.start, one.last + 1) if day <= stay.last]
        for day in range(stay.first + 1, max(changes) + 1):
            before = [stay.running(d) for d in range(day - 1 - self.grace, day) if stay.running(d)]
            after = [stay.running(d) for d in range(day, day + self.grace + 1) if stay.running(d)]
            if stay.running(day) in ([], *before[-1:]):
                continue
            less = self.less(before, after)
            if less is False:
                continue
            begun = [one for one in stay.contracts if one.start == day]
            ended = [one for running in before[-1:] for one in running if one.last < day]
            agreed = [one.signed for one in begun] if begun else [one.notice for one in ended]
            sure = bool(agreed) and None not in agreed
            moments = self.moments(day, max(d for d in agreed if d is not None) if sure else day)
            if not begun and not sure and day + self.grace > self.until:
                unclear += moments  # it may still be renewed late
            elif not begun and stay.last < day + self.grace:
                continue  # part of leaving
            else:
                (days if less else unclear).extend(moments)
        return days, unclear

    def moments(self, day: int, agreed: int) -> list[int]:
        """The last day with more, or the day on which it was agreed if that came first."""
        return [min(agreed, day - 1)]

    def less(self, before: list[list[Contract]], after: list[list[Contract]]) -> bool | None:
        known: list[bool] = []
        for level in (self.licences, self.value, self.features):
            then, now = [level(running) for running in before], [level(running) for running in after]
            if then and None not in [*then, *now]:
                known.append(max(n for n in now if n is not None) < min(n for n in then if n is not None))
        return any(known) if known else None

    def licences(self, running: list[Contract]) -> float | None:
        amounts = [one.licences for one in running]
        return None if None in amounts else sum(amount for amount in amounts if amount is not None)

    def value(self, running: list[Contract]) -> float | None:
        amounts = [one.value for one in running]
        return None if None in amounts else sum(amount for amount in amounts if amount is not None)

    def features(self, running: list[Contract]) -> float | None:
        sets = [one.features for one in running]
        return None if None in sets else len({feature for one in sets for feature in one or ()})


# Mutants: each is wrong in one line, and must be caught.


class EdgeMovedByADay(Oracle):
    def window(self, t: int) -> range:
        return range(super().window(t).start, super().window(t).stop + 1)


class OpensADayLate(Oracle):
    def window(self, t: int) -> range:
        return range(super().window(t).start + 1, super().window(t).stop)


class GraceIgnored(Oracle):
    @property
    def grace(self) -> int:
        return 0


class NoticeIgnored(Oracle):
    def noticed(self, stay: Stay) -> int | None:
        return None


class OneNoticeIsEnough(Oracle):
    def under_notice(self, stay: Stay, day: int) -> bool:
        return any(one.notice is not None and one.notice <= day <= one.last for one in stay.contracts)


class ContractionCountedTwice(Oracle):
    def moments(self, day: int, agreed: int) -> list[int]:
        return sorted({*super().moments(day, agreed), day - 1})


class OverlapIsContraction(Oracle):
    def less(self, before: list[list[Contract]], after: list[list[Contract]]) -> bool | None:
        return super().less(before[-1:], after[:1])


class ReturnContinuesTheStay(Oracle):
    def without_long_gaps(self, contracts: Sequence[Contract]) -> list[Stay]:
        stays = super().without_long_gaps(contracts)
        return [Stay([one for stay in stays for one in stay.contracts])] if stays else []


class EndOfHistoryIgnored(Oracle):
    def answer(self, t: int) -> Answer:
        seen = Account(self.account.contracts, self.account.outcomes, FOREVER, self.rule)
        return Oracle(seen).answer(t) if self.account.until < FOREVER else super().answer(t)


class EveryKindCounts(Oracle):
    def answer(self, t: int) -> Answer:
        found = super().answer(t)
        return Answer(True, found.kind, True) if found.churned is False and found.kind in ENDINGS else found


class WrongKind(Oracle):
    def kind(self, stay: Stay, noticed: int | None) -> str:
        return "lapse" if noticed is None else "cancellation"


ENDINGS = ("cancellation", "non_renewal", "lapse")
MUTANTS = (
    EdgeMovedByADay,
    OpensADayLate,
    GraceIgnored,
    NoticeIgnored,
    OneNoticeIsEnough,
    ContractionCountedTwice,
    OverlapIsContraction,
    ReturnContinuesTheStay,
    EndOfHistoryIgnored,
    EveryKindCounts,
    WrongKind,
)
