"""The history of a chunk of accounts: latent states, contracts, notices. No table is read or written here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulation.book import Book
from training.simulation.days import Bools, Floats, Period
from training.simulation.latent import Singles, State, Traits, advance, first_state, traits
from training.simulation.ledger import Contracts, Departures
from training.simulation.parameters import Latent, Parameters
from training.simulation.passing import Months
from training.simulation.terms import Terms


@dataclass(frozen=True, slots=True)
class History:
    """What happened to n accounts in m months.

    Attributes
    ----------
    states
        m + 1 states: at the start of each month, and after the last.
    intent
        Shape (n, m): how much the account thinks of leaving (calendar apart), around 0 with spread 1.
    terms
        m contracts in force at the start of each month.
    seats
        Shape (n, m): licences in the month.
    at_risk
        Shape (n, m): in service at the start of the month, and no notice given.
    in_service, under_notice
        Shape (n, days).
    """

    book: Book
    who: Traits
    period: Period
    states: tuple[State, ...]
    intent: Floats
    terms: tuple[Terms, ...]
    seats: Floats
    at_risk: Bools
    in_service: Bools
    under_notice: Bools
    contracts: Contracts
    departures: Departures

    def latent(self, latent: Latent, lag: int = 0) -> Singles:
        """Return one latent at the start of each month, or `lag` months before; shape (n, m)."""
        months = len(self.period)
        return np.stack([self.states[max(0, m - lag)].x[latent] for m in range(months)], axis=1)

    def champion_of(self, account: int) -> list[bool]:
        """Return whether there is a champion at one account at the start of each month, and at the end."""
        return [bool(state.champion[account]) for state in self.states]

    @property
    def champion(self) -> Bools:
        """Whether there is a champion at the start of each month, and at the end; shape (n, m + 1)."""
        return np.stack([state.champion for state in self.states], axis=1)


def live_through(rng: np.random.Generator, book: Book, period: Period, parameters: Parameters) -> History:
    """Let the months of `period` pass for the accounts of `book`.

    Parameters
    ----------
    rng
        Of this chunk of accounts.
    book
        n accounts.
    period
        m months.
    parameters
        The causal model's numbers.
    """
    who = traits(book, parameters.hazard)
    run = Months(rng, book, period, parameters)
    run.before_the_history()
    states = [first_state(rng, who, parameters.motion)]
    months = []
    for m in range(len(period)):
        months.append(run.month(m, states[-1], who))
        states.append(advance(rng, states[-1], who, int(period.months[m]), parameters.motion))
    intent, at_risk, terms, seats = zip(*months, strict=True)
    contracts, departures = run.ledger.contracts, run.ledger.departures
    in_service, under_notice = _service(len(book), period, contracts, departures)
    return History(
        book=book,
        who=who,
        period=period,
        states=tuple(states),
        intent=np.stack(intent, axis=1),
        terms=terms,
        seats=np.stack(seats, axis=1),
        at_risk=np.stack(at_risk, axis=1),
        in_service=in_service,
        under_notice=under_notice,
        contracts=contracts,
        departures=departures,
    )


def _service(accounts: int, period: Period, contracts: Contracts, departures: Departures) -> tuple[Bools, Bools]:
    """Return the days (n, days) of service, and those under notice."""
    in_service = np.zeros((accounts, period.days), bool)
    under_notice = np.zeros((accounts, period.days), bool)
    main = ~contracts.addition
    for account, start, end in zip(
        contracts.account[main], contracts.start[main], contracts.end[main], strict=True
    ):
        in_service[account, max(0, start - period.first) : max(0, end + 1 - period.first)] = True
    for account, decided, end, returns in zip(
        departures.account, departures.decided, departures.end, departures.returns, strict=True
    ):
        until = returns if returns >= 0 else period.after
        in_service[account, max(0, end + 1 - period.first) : max(0, until - period.first)] = False
        under_notice[account, decided - period.first : max(0, end + 1 - period.first)] = True
    return in_service, under_notice
