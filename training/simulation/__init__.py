"""A simulated company: its tables, and the truth about each account's chance of leaving.

What drives churn, and what tables see of it, is written in README.md beside this file; the numbers are in
``parameters.py``. The same seed gives the same bytes. Accounts are made in chunks of fixed size, each from its
own source of chance, so that memory stays bounded whatever the size of the book.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.simulation.book import accounts_needed, draw_book
from training.simulation.days import DAY_SECONDS, Ints, Period, as_times
from training.simulation.emissions.agreements import accounts as account_rows
from training.simulation.emissions.agreements import contracts, outcomes, plans
from training.simulation.emissions.coverage import coverage, delivered, feeds
from training.simulation.emissions.intent import requests, visits
from training.simulation.emissions.people import contacts, organisation
from training.simulation.emissions.ratings import assessments, goals
from training.simulation.emissions.support import tickets
from training.simulation.emissions.usage import usage
from training.simulation.emissions.voice import community, feedback, surveys
from training.simulation.history import live_through
from training.simulation.parameters import Parameters
from training.simulation.rows import Numbered, Rows, Scene
from training.simulation.truth import true_probabilities
from training.simulation.writing import Writer

STATED_YEARLY_CHURN = 0.12
MOST_MONTHS = 240  # twenty years
_TABLES: dict[str, Callable[[Scene], Rows]] = {
    "accounts": account_rows,
    "plans": plans,
    "contracts": contracts,
    "tickets": tickets,
    "surveys": surveys,
    "community": community,
    "feedback": feedback,
    "requests": requests,
    "visits": visits,
    "organisation": organisation,
    "assessments": assessments,
    "goals": goals,
    "outcomes": outcomes,
}


def simulate(
    out: Path,
    accounts: int,
    months: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the tables of a simulated company, ``sources.toml`` and ``truth.parquet`` into `out`.

    Parameters
    ----------
    out
        Folder; made where it does not exist, and its files replaced.
    accounts
        About how many accounts are in service at any time. As some leave and others join, there are more in
        all: 2,570 for 2,000 over 30 months.
    months
        Length of the history, counted back from 2025-06-30.
    seed
        Same seed, same bytes.
    progress
        Called after each chunk with (accounts made, accounts in all).

    Raises
    ------
    ValueError
        Fewer than one account or month, or a negative seed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     simulate(Path(folder), accounts=5, months=3, seed=7)
    ...     names = sorted(path.name for path in Path(folder).iterdir())
    >>> len(names), names[0], names[-2]
    (18, 'accounts.parquet', 'usage.parquet')
    """
    if accounts < 1 or not 1 <= months <= MOST_MONTHS or seed < 0:
        raise ValueError(
            f"{accounts} accounts, {months} months, seed {seed}: give at least one account, one to {MOST_MONTHS} "
            "months, and a seed of 0 or more."
        )
    parameters, period = Parameters(), Period.of(months)
    total = accounts_needed(accounts, months, parameters.growth)
    with Writer(out) as writer:
        for chunk, first in enumerate(range(0, total, parameters.chunk)):
            last = min(first + parameters.chunk, total)
            _write_chunk(writer, seed, chunk, np.arange(first, last), period, parameters)
            if progress is not None:
                progress(last, total)
    writer.sources(STATED_YEARLY_CHURN)


def _write_chunk(
    writer: Writer, seed: int, chunk: int, number: Ints, period: Period, parameters: Parameters
) -> None:
    def chance(stream: int) -> np.random.Generator:
        return np.random.default_rng([seed, chunk, stream])

    book = draw_book(chance(0), number, period, parameters.growth, parameters.motion.between_accounts)
    history = live_through(chance(1), book, period, parameters)
    account, month, probability = true_probabilities(chance(2), history, parameters)
    scene = Scene(history, seed, chunk, parameters)
    writer.write(
        "truth",
        {
            "account_id": scene.accounts(account),
            "as_of": as_times(period.starts[month] * DAY_SECONDS),
            "true_probability": probability,
        },
    )
    rows, active = usage(scene)
    people, champions, sponsors = contacts(scene)
    scene, holes = replace(scene, active=active, champions=champions, sponsors=sponsors), coverage(scene)
    writer.write("contacts", people)
    writer.write("usage", delivered(holes, "usage", _places(rows, book.number), rows))
    del rows
    for table, make in _TABLES.items():
        made = make(scene)
        if "account_id" in made:
            made = delivered(holes, table, _places(made, book.number), made)
        writer.write(table, made)
    writer.write("feeds", feeds(scene, holes))


def _places(rows: Rows, number: Ints) -> Ints:
    """Return the place in the chunk of each row's account."""
    ids = rows["account_id"]
    assert isinstance(ids, Numbered)
    return ids.numbers - (100_000 + int(number[0]))
