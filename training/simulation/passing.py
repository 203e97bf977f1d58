"""How the months pass for a chunk of accounts: who joins, signs, gives notice, leaves and comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.simulation.book import Book
from training.simulation.days import Bools, Floats, Ints, Period, first_day, month_of
from training.simulation.latent import Singles, State, Traits, log_hazard, standardised
from training.simulation.ledger import Leaving, Ledger
from training.simulation.parameters import Latent, Parameters
from training.simulation.terms import Terms, day_weights

MONTH_DAYS = 30.4


class Months:
    """The accounts' moving parts, while the months go by."""

    def __init__(self, rng: np.random.Generator, book: Book, period: Period, parameters: Parameters) -> None:
        n = len(book)
        self.rng, self.book, self.period, self.parameters = rng, book, period, parameters
        self.ledger = Ledger(n)
        self.leaves = np.full(n, -1)  # last day of service, once that is decided
        self.enters = book.joins.copy()  # first day of the present service, or of the one to come
        first = month_of(book.joins)
        self.terms = Terms(
            first,
            book.joins - first_day(first) + 1,
            book.term,
            book.notice_days,
            book.auto_renew,
            book.joins,
            book.licences,
            np.zeros(n),
        ).with_signing(rng.random(n))
        self.upcoming = self.terms
        self.contracted = np.zeros(n, bool)

    def before_the_history(self) -> None:
        """Sign the founding accounts' contracts, up to the one in force when the history begins."""
        founding = self.book.founding
        self._enter(founding)
        while (old := founding & (self.terms.end < self.period.first)).any():
            neutral = np.zeros(len(old))
            following = self.terms.following(self._luck(), self._renewed(neutral))
            self.ledger.sign(np.flatnonzero(old), following, self.terms.signing[old])
            self.terms = following.where(old, self.terms)

    def month(self, m: int, state: State, who: Traits) -> tuple[Floats, Bools, Terms, Floats]:
        """Let month `m` pass: who joins, gives notice, signs, starts a new contract.

        Returns the accounts' intent, who was at risk, their contracts, and their seats.
        """
        start, after = self.period.starts[m], self.period.starts[m + 1]
        self._enter(~self.contracted & (self.enters == start))
        at_risk = self.contracted & (self.leaves < 0)
        terms = self.terms
        self._enter(~self.contracted & (self.enters > start) & (self.enters < after))
        eta = log_hazard(state, who, self.parameters.hazard)
        intent = standardised(eta)
        seats = np.where(self.contracted, self.terms.licences + self.terms.added, 0.0)
        decided = self._decisions(start, after, eta)
        self._additions(start, after, state)
        self._signings(start, after, decided, intent)
        self._departures_over(after)
        return intent, at_risk, terms, seats

    def _enter(self, who: Bools) -> None:
        places = np.flatnonzero(who)
        self.ledger.sign(places, self.terms, self.enters[who] - self.rng.integers(1, 15, len(places)))
        self.contracted |= who

    def _decisions(self, start: int, after: int, eta: Singles) -> Ints:
        """Draw who decides to leave and when; return the day, far ahead where nobody does."""
        hazard, season = self.parameters.hazard, self.parameters.season
        days = np.arange(start, after)
        notice, lapse, open_to = day_weights(self.terms, days, season)
        free = self.contracted & (self.leaves < 0)
        exposed = free[:, None] & (days >= self.enters[:, None])
        voluntary = np.exp(eta.astype(np.float64))[:, None] / MONTH_DAYS * (notice + lapse) * exposed
        involuntary = hazard.involuntary_a_month / MONTH_DAYS * open_to * exposed
        risen = np.cumsum(voluntary + involuntary, axis=1)
        drawn = self.rng.exponential(1.0, len(free))
        cause = self.rng.random(len(free))
        leaving = np.flatnonzero(drawn < risen[:, -1])
        place = (risen[leaving] < drawn[leaving, None]).sum(axis=1)
        bad_luck = involuntary[leaving, place]
        forced = cause[leaving] < bad_luck / (bad_luck + voluntary[leaving, place])
        silent = self.rng.random(len(leaving)) < lapse[leaving, place] / np.maximum(
            lapse[leaving, place] + notice[leaving, place], 1e-12
        )
        kind = np.where(forced, Leaving.LAPSE, np.where(silent, Leaving.NON_RENEWAL, Leaving.CANCELLATION))
        day = days[place]
        self._leave(leaving, day, kind)
        decided = np.full(len(free), np.iinfo(np.int64).max)
        decided[leaving] = day
        return decided

    def _leave(self, leaving: Ints, day: Ints, kind: Ints) -> None:
        growth, terms = self.parameters.growth, self.terms.of(leaving)
        next_end = first_day(terms.month + 2 * terms.term) + terms.day_of_month - 2
        signed_already = (day > terms.end) | (terms.short & (day > terms.signing))
        end = np.where(signed_already, next_end, terms.end)
        soon = day + self.rng.integers(20, 60, len(day))
        early = (self.rng.random(len(day)) < growth.early_termination) & ~terms.short & ~signed_already
        end = np.where((kind == Leaving.CANCELLATION) & early, np.minimum(end, soon), end)
        end = np.where(kind == Leaving.LAPSE, day, end)
        back = end + self.rng.integers(75, 240, len(day))
        comes_back = (self.rng.random(len(day)) < growth.return_share) & (kind != Leaving.LAPSE)
        returns = np.where(comes_back, back, -1)
        self.leaves[leaving] = end
        self.ledger.depart(leaving, day, end, kind, returns)

    def _additions(self, start: int, after: int, state: State) -> None:
        growth = self.parameters.growth
        chance = growth.addon_a_month * np.exp(0.5 * state.x[Latent.ENGAGEMENT])
        day = self.rng.integers(start, after, len(chance))
        takes = self.rng.random(len(chance)) < chance
        more = np.ceil(self.terms.licences * self.rng.uniform(0.08, 0.3, len(chance)))
        takes &= self.contracted & (self.leaves < 0) & ~self.terms.short
        takes &= (day > self.enters + 30) & (day >= self.terms.start) & (day < self.terms.deadline)
        who = np.flatnonzero(takes)
        self.ledger.add(who, self.terms, day[who], more[who])
        self.terms = replace(self.terms, added=self.terms.added + np.where(takes, more, 0.0))

    def _signings(self, start: int, after: int, decided: Ints, intent: Floats) -> None:
        """Sign the contracts whose day has come, and start those whose predecessor ends in this month."""
        stays = self.contracted & ((self.leaves < 0) | (decided < after))
        following = self.terms.following(self._luck(), self._renewed(intent))
        self._sign(stays & (self.terms.signing < after) & (decided > self.terms.signing), following)
        ends = self.contracted & (self.terms.end >= start) & (self.terms.end < after)
        self.terms = self.upcoming.where(ends & self._signed, self.terms)
        # Monthly contracts that have just begun may be renewed within the same month.
        following = self.terms.following(self._luck(), self._renewed(intent))
        self._sign(self.contracted & (self.leaves < 0) & (self.terms.signing < after), following)

    def _sign(self, who: Bools, following: Terms) -> None:
        signs = who & ~self._signed
        self.upcoming = following.where(signs, self.upcoming)
        self.ledger.sign(np.flatnonzero(signs), following, self.terms.signing[signs])

    @property
    def _signed(self) -> Bools:
        """Whether the contract that follows on the present one is signed."""
        return np.asarray(self.upcoming.start == self.terms.end + 1)

    def _departures_over(self, after: int) -> None:
        """Let those go whose service has ended; those who will come back wait for their day."""
        gone = self.contracted & (self.leaves >= 0) & (self.leaves < after)
        self.contracted &= ~gone
        self.leaves[gone] = -1
        self.enters[gone] = np.iinfo(np.int64).max
        departures = self.ledger.departures
        back = np.flatnonzero(departures.returns >= 0)
        for place in back[gone[departures.account[back]]]:
            account, day = departures.account[place], departures.returns[place]
            if departures.end[place] >= after or day < after:
                continue
            self.enters[account] = day
            self._agree_anew(account, day)

    def _agree_anew(self, account: int, day: int) -> None:
        only = np.zeros(len(self.enters), bool)
        only[account] = True
        month = int(month_of(day))
        anew = replace(
            self.terms,
            month=np.where(only, month, self.terms.month),
            day_of_month=np.where(only, min(28, day - int(first_day(month)) + 1), self.terms.day_of_month),
            licences=np.where(only, np.ceil(0.6 * self.terms.licences), self.terms.licences),
            added=np.where(only, 0.0, self.terms.added),
        ).with_signing(self._luck())
        self.terms = anew.where(only, self.terms)
        self.enters[account] = self.terms.start[account]

    def _luck(self) -> Floats:
        return self.rng.random(len(self.enters))

    def _renewed(self, intent: Floats) -> Floats:
        """Draw the licences of the next contract: the more an account thinks of leaving, the likelier a cut."""
        terms, n = self.terms, len(intent)
        growth = self.parameters.growth
        cuts = self.rng.random(n) < 1.0 / (1.0 + np.exp(growth.cut_at - 0.7 * intent))
        grows = self.rng.random(n) < 0.42
        change = np.where(cuts, -self.rng.uniform(0.08, 0.4, n), grows * self.rng.uniform(0.03, 0.3, n))
        change = np.where(terms.short & (self.rng.random(n) > 0.1), 0.0, change)
        return np.clip(np.round((terms.licences + terms.added) * (1.0 + change)), 2.0, 1200.0)
