"""Labels: did this account give notice or churn within the horizon? Yes, no, or nobody can say.

For a snapshot at *t*: notice or churn, whichever came first, in ``(t + embargo, t + embargo + horizon]``,
judged by what is known when the history ends. NaN is the answer where the window reaches past the end of the
history, where the account had left or given notice by *t*, where no contract known at *t* was in force (the
gap before a late renewal would show survivors only), and where it left between *t* and the window.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from features.as_known import as_known, covers
from features.errors import TrainingError
from training.spells import Ending, Spell, Term, derived_spells, recorded_spells

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

    from features.sources.database import Database

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]

ENDINGS = ("cancellation", "non_renewal", "lapse")
LONG_AGO = dt.date(1900, 1, 1)  # service that began before any record


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of n snapshots.

    Attributes
    ----------
    churned
        Shape (n,): 1, 0, or NaN where there is no answer.
    at_risk
        Shape (n,): the account could still be lost at that moment.
    event_at
        Shape (n,), datetime64[s]: the notice or churn that ended the spell, NaT where none is known.
    """

    churned: Floats
    at_risk: Flags
    event_at: Times


@dataclass(frozen=True, slots=True)
class LabelRule:
    """What counts as churn, and when. Days.

    Examples
    --------
    >>> LabelRule(horizon_days=90).window_days
    90
    >>> LabelRule(horizon_days=90, embargo_days=14).window_days
    104
    """

    horizon_days: int = 90
    embargo_days: int = 0
    lapse_grace_days: int = 30
    involuntary_counts: bool = True

    @property
    def window_days(self) -> int:
        """Days from a snapshot to the end of its label window."""
        return self.embargo_days + self.horizon_days


def label(database: Database, grid: pa.Table, rule: LabelRule) -> Labels:
    """Return the labels of a grid of snapshots, ``account_id`` and ``as_of``; see :func:`labeller`."""
    return labeller(database, rule)(grid)


def labeller(database: Database, rule: LabelRule) -> Callable[[pa.Table], Labels]:
    """Return what labels grids of snapshots, with the company's record of departures read once.

    Parameters
    ----------
    database
        The company's tables. Read are ``labels`` (given labels replace derived ones: a snapshot without its
        row has none), else ``outcomes`` (they say what was churn), else ``contracts`` (a run that ended and
        was not renewed within the grace).
    rule
        Horizon, embargo, grace, and whether involuntary churn counts.

    Returns
    -------
    Callable
        Takes a table with columns ``account_id`` and ``as_of``, and answers in its order.

    Raises
    ------
    TrainingError
        None of the three tables is connected.
    """
    given = _given(database) if "labels" in database.tables else None
    spells = {} if given is not None else spells_of(database, rule)
    until = np.datetime64(database.observed_until, "s")

    def labels_of(grid: pa.Table) -> Labels:
        accounts = np.array(grid["account_id"].to_pylist(), dtype=object)
        as_of = np.array(grid["as_of"].to_pylist(), dtype="datetime64[s]")
        if given is not None:
            return _label_as_given(given, accounts, as_of)
        at_risk = np.ones(len(as_of), dtype=bool)
        if "contracts" in database.tables:
            at_risk = _known_in_force(database, accounts, as_of)
        return label_by_spells(spells, accounts, as_of, at_risk, until, rule)

    return labels_of


def spells_of(database: Database, rule: LabelRule) -> dict[str, list[Spell]]:
    """Return every account's spells of service, in order, as known when the history ends.

    An account without a contract is not there; where no contracts are connected, every account is.

    Raises
    ------
    TrainingError
        Neither ``contracts`` nor ``outcomes`` is connected.
    """
    connected = {"contracts", "outcomes"} & set(database.tables)
    if not connected:
        raise TrainingError(
            "Nothing says who churned: none of the tables contracts, outcomes and labels is connected. "
            "Name at least one of them in sources.toml, under [tables]."
        )
    until, grace = database.observed_until, rule.lapse_grace_days
    terms = _terms(database) if "contracts" in connected else _terms_without_contracts(database)
    if "outcomes" not in connected:
        return {account: derived_spells(theirs, grace, until) for account, theirs in terms.items()}
    endings = _endings(database)
    return {
        account: recorded_spells(theirs, endings.get(account, ()), grace, until, rule.involuntary_counts)
        for account, theirs in terms.items()
    }


def label_by_spells(
    spells: Mapping[str, Sequence[Spell]],
    accounts: npt.NDArray[np.object_],
    as_of: Times,
    in_force: Flags,
    observed_until: np.datetime64,
    rule: LabelRule,
) -> Labels:
    """Judge n snapshots by their accounts' spells.

    Parameters
    ----------
    spells
        By account.
    accounts, as_of
        Shape (n,): whose snapshot, and when.
    in_force
        Shape (n,): a contract known then was in force then.
    observed_until
        Where the history ends.
    rule
        What counts.
    """
    begins, event, ended, doubtful = _spell_at(spells, accounts, as_of)
    opens = as_of + np.timedelta64(rule.embargo_days, "D")
    closes = as_of + np.timedelta64(rule.window_days, "D")
    # A comparison with NaT is False: an event that never came is neither before nor within.
    at_risk = in_force & ~np.isnat(begins) & ~(ended <= as_of) & ~(doubtful <= as_of)
    judged = at_risk & (closes <= observed_until) & ~(event <= opens) & ~(doubtful <= closes)
    churned = np.where(judged, ((opens < event) & (event <= closes)).astype(float), np.nan)
    return Labels(churned, at_risk, event)


def _spell_at(
    spells: Mapping[str, Sequence[Spell]], accounts: npt.NDArray[np.object_], as_of: Times
) -> tuple[Times, Times, Times, Times]:
    """Return begin, event, end and doubt of the spell that each snapshot falls into (NaT: none)."""
    columns = {name: np.full(len(as_of), "NaT", dtype="datetime64[s]") for name in _MOMENTS}
    names, codes = np.unique(accounts, return_inverse=True)
    rows_of = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    for account, rows in zip(names, rows_of, strict=True):
        for spell in spells.get(account, ()):
            inside = rows[as_of[rows] >= np.datetime64(spell.begins, "s")]
            for name, column in columns.items():
                column[inside] = np.datetime64(getattr(spell, name) or "NaT", "s")
    begins, event, ended, doubtful = columns.values()
    return begins, event, ended, doubtful


_MOMENTS = ("begins", "event", "ended", "doubtful_from")


def _terms(database: Database) -> dict[str, list[Term]]:
    known = as_known(database.tables["contracts"], database.observed_until)
    terms: dict[str, list[Term]] = defaultdict(list)
    for row in _rows(known.select("account_id", "start_date", "end_date", "notice_at")):
        terms[row["account_id"]].append(Term(row["start_date"], row["end_date"], row["notice_at"]))
    return terms


def _terms_without_contracts(database: Database) -> dict[str, list[Term]]:
    """Return one open-ended term from when each account came, and one from each recorded renewal."""
    known = as_known(database.tables["accounts"], database.observed_until)
    terms: dict[str, list[Term]] = defaultdict(list)
    for row in _rows(known.select("account_id", "customer_since")):
        terms[row["account_id"]].append(Term(row["customer_since"] or LONG_AGO))
    if "outcomes" in database.tables:
        for row in _known_outcomes(database):
            if row["kind"] == "renewed":
                terms[row["account_id"]].append(Term(row["churned_at"]))
    return terms


def _endings(database: Database) -> dict[str, list[Ending]]:
    endings: dict[str, list[Ending]] = defaultdict(list)
    for row in _known_outcomes(database):
        if row["kind"] in ENDINGS:
            endings[row["account_id"]].append(
                Ending(row["churned_at"], row["notice_at"], bool(row["involuntary"]))
            )
    return endings


def _known_outcomes(database: Database) -> list[dict[str, Any]]:
    outcomes, until = database.tables["outcomes"], database.observed_until
    # An ending that is still ahead is known by its notice.
    known = (outcomes.known_from <= until) | (outcomes.notice_at < until.date())
    current = outcomes.filter(known & (outcomes.known_until > until))
    return _rows(current.select("account_id", "kind", "churned_at", "notice_at", "involuntary"))


def _known_in_force(database: Database, accounts: npt.NDArray[np.object_], as_of: Times) -> Flags:
    """Say for each snapshot whether a contract known then was in force then.

    A contract written down on the day it begins is known from the next midnight on; it counts.
    """
    import ibis
    import pyarrow as pa

    rows = pa.table({"row": np.arange(len(as_of)), "account": accounts.tolist(), "as_of": as_of.astype("M8[us]")})
    grid, contracts = database.given("_label_grid", rows), database.tables["contracts"]
    covered = grid.inner_join(
        contracts,
        [
            grid.account == contracts.account_id,
            contracts.known_from <= grid.as_of + ibis.interval(days=1),
            contracts.known_until > grid.as_of,
            covers(contracts, grid.as_of.date()),
        ],
    )
    found = database.connection.to_pyarrow(covered.select("row").distinct())
    flags = np.zeros(len(as_of), dtype=bool)
    flags[found["row"].to_numpy()] = True
    return flags


def _given(database: Database) -> dict[tuple[str, np.datetime64], float]:
    """Return the labels that the company gives itself, by account and date."""
    known = as_known(database.tables["labels"], database.observed_until)
    return {
        (row["account_id"], np.datetime64(row["as_of"], "s")): float(row["churned"])
        for row in _rows(known.select("account_id", "as_of", "churned"))
    }


def _label_as_given(
    given: Mapping[tuple[str, np.datetime64], float], accounts: npt.NDArray[np.object_], as_of: Times
) -> Labels:
    churned = np.array(
        [given.get((account, moment), np.nan) for account, moment in zip(accounts, as_of, strict=True)],
        dtype=np.float64,
    )
    return Labels(churned, ~np.isnan(churned), np.full(len(as_of), "NaT", dtype="datetime64[s]"))


def _rows(table: ibis.Table) -> list[dict[str, Any]]:
    return list(table.to_pyarrow().to_pylist())
