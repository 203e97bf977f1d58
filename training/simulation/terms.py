"""The present contract of each account, and how its calendar weighs the hazard of giving notice, day by day."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.simulation.days import Bools, Floats, Ints, first_day
from training.simulation.parameters import Season


@dataclass(frozen=True, slots=True)
class Terms:
    """The contract in force of n accounts; all arrays of shape (n,).

    A contract starts on day `day_of_month` (1 to 28) of `month` and lasts `term` months; `signing` is the day
    on which the next one is signed, if nobody gave notice until then.
    """

    month: Ints
    day_of_month: Ints
    term: Ints
    notice_days: Ints
    auto_renew: Bools
    signing: Ints
    licences: Floats
    added: Floats

    @property
    def start(self) -> Ints:
        """First day of service."""
        return first_day(self.month) + self.day_of_month - 1

    @property
    def end(self) -> Ints:
        """Last day of service."""
        return first_day(self.month + self.term) + self.day_of_month - 2

    @property
    def deadline(self) -> Ints:
        """Last day to give notice."""
        return self.end - self.notice_days

    @property
    def short(self) -> Bools:
        """Terms under a year: there notice is given at any time."""
        return self.term < 12

    def of(self, accounts: npt.NDArray[np.intp]) -> Terms:
        """Return the contracts of these accounts."""
        return Terms(*(getattr(self, name)[accounts] for name in self.__slots__))

    def where(self, condition: Bools, other: Terms) -> Terms:
        """Return these contracts where the condition holds, the other ones elsewhere."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return Terms(*(np.where(condition, mine, theirs) for mine, theirs in pairs))

    def following(self, luck: Floats, licences: Floats) -> Terms:
        """Return the contracts that follow on these, of the same terms; `luck` draws their signing days."""
        after = replace(self, month=self.month + self.term, licences=licences, added=np.zeros_like(licences))
        return after.with_signing(luck)

    def with_signing(self, luck: Floats) -> Terms:
        """Draw the day of the next signing: after the deadline, or the last day where nothing renews itself."""
        room = np.where(self.short, np.minimum(self.notice_days, 7), self.notice_days)
        day = self.end - np.floor(luck * room).astype(np.int64)
        return replace(self, signing=np.where(self.auto_renew, day, self.end))


def day_weights(terms: Terms, days: Ints, season: Season) -> tuple[Floats, Floats, Bools]:
    """Return how much each day weighs in the hazard of giving notice, and of letting the contract lapse.

    A short term weighs the same on all days. A longer one weighs little, more and more in the 120 days up to
    the notice deadline, hardly after it, and nothing between the signing of the next contract and its start.
    Days after the end belong to the next contract, which is never near its own deadline within 90 days.

    Parameters
    ----------
    terms
        n contracts.
    days
        Shape (k,), days.
    season
        The weights.

    Returns
    -------
    notice
        Shape (n, k), in days of weight 1.
    lapse
        Shape (n, k), the same; only on the last day of contracts that do not renew by themselves.
    open_to
        Shape (n, k): the day is not between the signing of the next contract and its start.
    """
    to_deadline = terms.deadline[:, None] - days
    to_end = terms.end[:, None] - days
    nearness = np.clip(1.0 - to_deadline / season.window_days, 0.0, 1.0)
    weight = season.ordinary + (season.peak - season.ordinary) * nearness
    weight = np.where(to_deadline < 0, season.after_deadline, weight)
    open_to = ~((days > terms.signing[:, None]) & (to_end >= 0))
    weight = np.where(open_to, weight, 0.0)
    weight = np.where(to_end < 0, season.ordinary, weight)
    weight = np.where(terms.short[:, None], season.short_terms, weight)
    lapse = np.where((to_end == 0) & ~terms.auto_renew[:, None], season.lapse_at_end, 0.0)
    return weight, lapse, open_to
