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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from features.as_known import as_known, covers
from features.errors import TrainingError
from training.definition import CONTRACTION, ENDINGS, GIVEN, KINDS, Labelling
from training.definition import LabelRule as LabelRule
from training.spells import Ending, Spell, derived_spells, recorded_spells
from training.terms import Term

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

    from features.sources.database import Database

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]
Names = npt.NDArray[np.str_]

LONG_AGO = dt.date(1900, 1, 1)  # service that began before any record
NEVER = dt.date(9999, 12, 31)
_NAMES = np.array(["", *KINDS, GIVEN])
_CODES = {str(name): code for code, name in enumerate(_NAMES)}


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
        Shape (n,), datetime64[s]: what counts and came first after the window opened, be it after the window; NaT
        where nothing is known.
    kind
        Shape (n,), text: where `churned` is 1, the kind that counted; where it is 0, what happened in the window
        and does not count (empty: nothing); empty where there is no answer.
    """

    churned: Floats
    at_risk: Flags
    event_at: Times
    kind: Names


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
        What counts; :attr:`LabelRule.text` says it in words.

    Returns
    -------
    Callable
        Takes a table with columns ``account_id`` and ``as_of``, and answers in its order.

    Raises
    ------
    TrainingError
        None of the three tables is connected, or contraction counts and nothing tells of it.
    """
    judge = _judge(database, rule)
    return lambda grid: judge(grid, [rule])[0]


def label_by_horizon(database: Database, grid: pa.Table, rule: LabelRule, days: Sequence[int]) -> list[Labels]:
    """Return the labels of a grid for each of some horizons, the rule otherwise the same; tables are read once."""
    return _judge(database, rule)(grid, [replace(rule, horizon_days=horizon) for horizon in days])


def _judge(database: Database, rule: LabelRule) -> Callable[[pa.Table, Sequence[LabelRule]], list[Labels]]:
    """Return what labels a grid by some rules that differ from `rule` in their windows alone."""
    given = _given(database) if "labels" in database.tables else None
    spells = {} if given is not None else spells_of(database, rule)
    until = np.datetime64(database.observed_until, "s")

    def judge(grid: pa.Table, rules: Sequence[LabelRule]) -> list[Labels]:
        accounts = np.array(grid["account_id"].to_pylist(), dtype=object)
        as_of = np.array(grid["as_of"].to_pylist(), dtype="datetime64[s]")
        if given is not None:
            return [_label_as_given(given, accounts, as_of) for _ in rules]
        in_force = np.ones(len(as_of), dtype=bool)
        if "contracts" in database.tables:
            in_force = _known_in_force(database, accounts, as_of)
        return [label_by_spells(spells, accounts, as_of, in_force, until, one) for one in rules]

    return judge


def labelling(database: Database, rule: LabelRule) -> Labelling:
    """Return by which definition, on what basis and until when :func:`labeller` judges."""
    basis = next((name for name in ("labels", "outcomes") if name in database.tables), "contracts")
    return Labelling(rule, basis, database.observed_until)


def spells_of(database: Database, rule: LabelRule) -> dict[str, list[Spell]]:
    """Return every account's spells of service, in order, as known when the history ends.

    An account without a contract is not there; where no contracts are connected, every account is.

    Raises
    ------
    TrainingError
        Neither ``contracts`` nor ``outcomes`` is connected, or contraction counts and nothing tells of it.
    """
    connected = {"contracts", "outcomes"} & set(database.tables)
    if not connected:
        raise TrainingError(
            "Nothing says who churned: none of the tables contracts, outcomes and labels is connected. "
            "Name at least one of them in sources.toml, under [tables]."
        )
    until, grace = database.observed_until, rule.lapse_grace_days
    endings, contractions = _recorded(database)
    if CONTRACTION in rule.kinds and not contractions:
        _refuse_without_levels(database)
    terms = _terms(database) if "contracts" in connected else _terms_without_contracts(database)
    if "outcomes" not in connected:
        return {account: derived_spells(theirs, grace, until) for account, theirs in terms.items()}
    named = bool(contractions) or "contracts" not in connected
    return {
        account: recorded_spells(
            theirs, endings.get(account, ()), grace, until, contractions.get(account, ()) if named else None
        )
        for account, theirs in terms.items()
    }


def counted(spell: Spell, rule: LabelRule) -> list[dt.datetime]:
    """Return when what happened to a spell counted, by the rule.

    >>> left = Spell(dt.datetime(2024, 1, 1), event=dt.datetime(2025, 1, 1), kind="lapse", involuntary=True)
    >>> [len(counted(left, LabelRule(involuntary_counts=counts))) for counts in (True, False)]
    [1, 0]
    """
    left = [spell.event] if spell.event is not None and _leaving_counts(spell, rule) else []
    return [*(spell.contractions if CONTRACTION in rule.kinds else ()), *left]


def _leaving_counts(spell: Spell, rule: LabelRule) -> bool:
    return spell.kind in rule.kinds and (rule.involuntary_counts or not spell.involuntary)


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
    opens = as_of + np.timedelta64(rule.embargo_days, "D")
    closes = as_of + np.timedelta64(rule.window_days, "D")
    stay = _stays_at(spells, accounts, as_of, opens, rule)
    nothing = np.datetime64("NaT", "s")
    shrinking_counts = CONTRACTION in rule.kinds
    # A comparison with NaT is False: an event that never came is neither before nor within.
    at_risk = in_force & ~np.isnat(stay.begins) & ~(stay.left <= as_of) & ~(stay.doubtful <= as_of)
    judged = at_risk & (closes <= observed_until) & ~(stay.left <= opens) & ~(stay.doubtful <= closes)
    if shrinking_counts:
        judged &= ~(stay.unclear <= closes)
    left = np.where(stay.counts, stay.left, nothing)
    shrunk = stay.shrunk if shrinking_counts else np.full_like(left, nothing)
    event = np.fmin(left, shrunk)
    yes = judged & (event <= closes)
    # A contraction lies before the leaving of its stay, never on it: whichever is first is told by either.
    first = np.where(yes, event, np.fmin(stay.left, stay.shrunk))
    happened = judged & (first <= closes)
    kind = np.where(first == stay.left, stay.kind, _CODES[CONTRACTION])
    return Labels(np.where(judged, yes.astype(float), np.nan), at_risk, event, _NAMES[np.where(happened, kind, 0)])


@dataclass(frozen=True, slots=True)
class _Stays:
    """Of each snapshot the spell that it falls into; NaT: none, or never.

    `kind` is a place in ``_NAMES``, `counts` whether leaving counts; `shrunk` and `unclear` are the first
    contraction, and the first that may be one, after the window opened.
    """

    begins: Times
    left: Times
    doubtful: Times
    shrunk: Times
    unclear: Times
    kind: npt.NDArray[np.int64]
    counts: Flags


def _stays_at(
    spells: Mapping[str, Sequence[Spell]],
    accounts: npt.NDArray[np.object_],
    as_of: Times,
    opens: Times,
    rule: LabelRule,
) -> _Stays:
    size = len(as_of)
    begins, left, doubtful, shrunk, unclear = (np.full(size, "NaT", dtype="datetime64[s]") for _ in range(5))
    kind, counts = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=bool)
    stays = _Stays(begins, left, doubtful, shrunk, unclear, kind, counts)
    names, codes = np.unique(accounts, return_inverse=True)
    rows_of = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    for account, rows in zip(names, rows_of, strict=True):
        for spell in spells.get(account, ()):
            inside = rows[as_of[rows] >= np.datetime64(spell.begins, "s")]
            stays.begins[inside] = _moment(spell.begins)
            stays.left[inside] = _moment(spell.event)
            stays.doubtful[inside] = _moment(spell.doubtful_from)
            stays.kind[inside], stays.counts[inside] = _CODES[spell.kind], _leaving_counts(spell, rule)
            stays.shrunk[inside] = _first_after(spell.contractions, opens[inside])
            stays.unclear[inside] = _first_after(spell.unclear, opens[inside])
    return stays


def _moment(moment: dt.datetime | None) -> np.datetime64:
    return np.datetime64(moment or "NaT", "s")


def _first_after(moments: Sequence[dt.datetime], opens: Times) -> Times:
    """Return the first of the moments, which are in order, after each opening; NaT where there is none."""
    ahead = np.array([*moments, "NaT"], dtype="datetime64[s]")
    return ahead[np.searchsorted(ahead[:-1], opens, side="right")]


def _refuse_without_levels(database: Database) -> None:
    """Raise unless contracts tell how much they are for."""
    amounts = {"licences", "arr"} | ({"plan"} if "plans" in database.tables else set())
    if not amounts & database.columns.get("contracts", frozenset()):
        raise TrainingError(
            "contraction counts ([labels] kinds in the recipe), and nothing tells of it: outcomes name none, and "
            "contracts have neither licences nor arr (nor a plan that the table plans tells the features of). "
            "Deliver one of them, or leave contraction out of kinds."
        )


def _terms(database: Database) -> dict[str, list[Term]]:
    contracts, until = database.tables["contracts"], database.observed_until
    versions = contracts.filter(contracts.known_from <= until)
    longest = versions.group_by("row_key").aggregate(agreed_end=versions.end_date.fill_null(NEVER).max())
    known = as_known(contracts, until).inner_join(longest, "row_key")
    features = _features_by_plan(database)
    terms: dict[str, list[Term]] = defaultdict(list)
    for row in _rows(known.select("account_id", "agreed_end", *_OF_A_CONTRACT)):
        terms[row["account_id"]].append(_term(row, features))
    return terms


_OF_A_CONTRACT = ("start_date", "end_date", "notice_at", "auto_renew", "signed_at", "licences", "arr", "plan")


def _term(row: Mapping[str, Any], features: Mapping[str, frozenset[str]]) -> Term:
    end: dt.date | None = row["end_date"]
    return Term(
        row["start_date"],
        end,
        row["notice_at"],
        renews_itself=row["auto_renew"],
        cut_short=end is not None and end < row["agreed_end"],
        signed=row["signed_at"],
        licences=row["licences"],
        value=row["arr"],
        features=features.get(row["plan"]),
    )


def _features_by_plan(database: Database) -> dict[str, frozenset[str]]:
    """Return what each plan offers or ever offered: what we take out of a plan is no contraction."""
    if "plans" not in database.tables:
        return {}
    offered: dict[str, set[str]] = defaultdict(set)
    for row in _rows(as_known(database.tables["plans"], database.observed_until).select("plan", "feature")):
        offered[row["plan"]].add(row["feature"])
    return {plan: frozenset(features) for plan, features in offered.items()}


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


def _recorded(database: Database) -> tuple[dict[str, list[Ending]], dict[str, list[Ending]]]:
    """Return the recorded endings, and the recorded contractions, by account; nothing where none are connected."""
    endings: dict[str, list[Ending]] = defaultdict(list)
    contractions: dict[str, list[Ending]] = defaultdict(list)
    for row in _known_outcomes(database) if "outcomes" in database.tables else ():
        if row["kind"] in KINDS:
            found = endings if row["kind"] in ENDINGS else contractions
            found[row["account_id"]].append(
                Ending(row["churned_at"], row["notice_at"], bool(row["involuntary"]), row["kind"])
            )
    return endings, contractions


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
    kind = _NAMES[np.where(churned == 1, _CODES[GIVEN], 0)]
    return Labels(churned, ~np.isnan(churned), np.full(len(as_of), "NaT", dtype="datetime64[s]"), kind)


def _rows(table: ibis.Table) -> list[dict[str, Any]]:
    return list(table.to_pyarrow().to_pylist())
