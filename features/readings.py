"""What is known about one account on one date: a value, or why there is none.

Missing, not applicable and zero are three different things, and stay so up to the answer.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum


class UnknownReason(StrEnum):
    """Why a reading has no value. The letter is what the snapshot's column ``unknown`` stores.

    Examples
    --------
    >>> UnknownReason.NOT_DELIVERED.letter
    'd'
    >>> UnknownReason.of_letter("h")
    <UnknownReason.HISTORY_TOO_SHORT: 'history_too_short'>
    """

    NOT_CONNECTED = "not_connected"  # the company has no such table in its sources
    NOT_DELIVERED = "not_delivered"  # the feed has a gap in the window, or has died
    HISTORY_TOO_SHORT = "history_too_short"  # the window begins before the feed, or before the account
    NOT_APPLICABLE = "not_applicable"  # the question makes no sense for this account now
    TOO_FEW = "too_few"  # fewer answers, tickets or baseline days than the definition asks for
    NO_BASE = "no_base"  # nothing to divide by: no licences, no active people, no baseline
    NOT_RATED = "not_rated"  # nobody has rated this factor
    EXPIRED = "expired"  # rated too long ago
    CSM_CHANGED = "csm_changed"  # rated for a CSM who no longer has the account
    NOT_GIVEN = "not_given"  # a caller posted readings without this one

    @property
    def letter(self) -> str:
        """One letter for the reason, unique, for life."""
        return _LETTERS[self]

    @classmethod
    def of_letter(cls, letter: str) -> UnknownReason:
        """Return the reason that `letter` stands for."""
        return _REASONS[letter]


_LETTERS = {
    UnknownReason.NOT_CONNECTED: "c",
    UnknownReason.NOT_DELIVERED: "d",
    UnknownReason.HISTORY_TOO_SHORT: "h",
    UnknownReason.NOT_APPLICABLE: "a",
    UnknownReason.TOO_FEW: "f",
    UnknownReason.NO_BASE: "b",
    UnknownReason.NOT_RATED: "r",
    UnknownReason.EXPIRED: "e",
    UnknownReason.CSM_CHANGED: "m",
    UnknownReason.NOT_GIVEN: "g",
}
_REASONS = {letter: reason for reason, letter in _LETTERS.items()}
KNOWN_LETTER = "."


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no value, and this is why."""

    reason: UnknownReason


@dataclass(frozen=True, slots=True)
class Evidence:
    """One row of the company's own tables that a reading rests on, as it was known at `as_of`."""

    table: str
    key: str
    occurred_at: dt.datetime
    text: str
