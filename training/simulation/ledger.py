"""What the history writes down: contracts signed, and accounts that depart."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from training.simulation.days import Bools, Floats, Ints
from training.simulation.terms import Terms


class Leaving(IntEnum):
    """How a relationship ends."""

    CANCELLATION = 0  # notice given
    NON_RENEWAL = 1  # no notice; the contract was not renewed
    LAPSE = 2  # involuntary: payment failed, firm closed


@dataclass(frozen=True, slots=True)
class Contracts:
    """Signed contracts; shape (c,) each. `account` is the place in the chunk, `number` counts per account."""

    account: Ints
    number: Ints
    start: Ints
    end: Ints
    signed: Ints
    deadline: Ints
    auto_renew: Bools
    licences: Floats
    addition: Bools


@dataclass(frozen=True, slots=True)
class Departures:
    """Accounts that leave; shape (d,) each.

    `decided` is the day on which notice was given, or service ended without notice; `end` the last day of
    service; `returns` the first day of service of those who come back, or -1.
    """

    account: Ints
    decided: Ints
    end: Ints
    kind: Ints
    returns: Ints


@dataclass(slots=True)
class Ledger:
    """Collects contracts and departures, month by month."""

    accounts: int
    _contracts: list[tuple[npt.NDArray[np.generic], ...]] = field(default_factory=list)
    _departures: list[tuple[Ints, ...]] = field(default_factory=list)
    _signed: Ints = field(init=False)

    def __post_init__(self) -> None:
        self._signed = np.zeros(self.accounts, np.int64)

    def sign(self, who: npt.NDArray[np.intp], terms: Terms, signed: Ints) -> None:
        """Write down the contracts of the accounts `who` (out of the terms of all)."""
        of = terms.of(who)
        self._write(who, of.start, of.end, signed, of.deadline, of.auto_renew, of.licences, False)

    def add(self, who: npt.NDArray[np.intp], terms: Terms, start: Ints, licences: Floats) -> None:
        """Write down additions to the contracts in force, ending with them."""
        of = terms.of(who)
        self._write(who, start, of.end, start - 1, of.deadline, of.auto_renew, licences, True)

    def _write(
        self,
        who: npt.NDArray[np.intp],
        start: Ints,
        end: Ints,
        signed: Ints,
        deadline: Ints,
        auto_renew: Bools,
        licences: Floats,
        addition: bool,
    ) -> None:
        self._signed[who] += 1
        kind = np.full(len(who), addition)
        self._contracts.append(
            (who, self._signed[who].copy(), start, end, signed, deadline, auto_renew, licences, kind)
        )

    def depart(self, account: Ints, decided: Ints, end: Ints, kind: Ints, returns: Ints) -> None:
        """Write down departures."""
        self._departures.append((account, decided, end, kind, returns))

    @property
    def contracts(self) -> Contracts:
        """All contracts, by account and number."""
        columns = [np.concatenate(parts) for parts in zip(*self._contracts, strict=True)]
        order = np.lexsort((columns[1], columns[0]))
        return Contracts(*(column[order] for column in columns))

    @property
    def departures(self) -> Departures:
        """All departures, in the order of time."""
        none: tuple[Ints, ...] = tuple(np.empty(0, np.int64) for _ in range(5))
        return Departures(*(np.concatenate(parts) for parts in zip(none, *self._departures, strict=True)))
