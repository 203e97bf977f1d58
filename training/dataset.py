"""The dataset: a company's tables, on monthly dates, as vectors with labels."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from features.errors import TableError, TrainingError
from features.vectors import UNDER_NOTICE, FeatureContract, Floats, Vectors, feature_contract
from training.definition import CONTRACTION, Labelling, LabelRule
from training.labels import Names, counted, label_by_horizon, labeller, labelling, spells_of
from training.recipe import Recipe

if TYPE_CHECKING:
    import pyarrow as pa

    from features.catalogue import Catalogue
    from features.snapshot_store import Listener, Written
    from features.sources import Database, Sources, Untimed

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Snapshots:
    """Vectors with labels.

    Attributes
    ----------
    vectors
        n rows.
    churned
        Shape (n,): 1, 0, or NaN without a label.
    event_at
        Shape (n,), datetime64[s]: the notice or churn that ended the stay; NaT unknown.
    left_out
        Tables and columns that show only today's state; their signals are unknown here. None: not known, from
        a file.
    by_horizon
        Labels of other horizons, by days; shape (n,) each. None from a file.
    kind
        Shape (n,), text: what happened within the window, see :class:`training.labels.Labels`. None: not known,
        from a file that does not say.
    labelled
        By which definition; None as for `kind`.
    """

    vectors: Vectors
    churned: Floats
    event_at: npt.NDArray[np.datetime64]
    left_out: tuple[Untimed, ...] | None = None
    by_horizon: Mapping[int, Floats] = field(default_factory=dict)
    kind: Names | None = None
    labelled: Labelling | None = None

    def accounts_by_kind(self, churned: bool = True) -> dict[str, int]:
        """Count the accounts with a labelled snapshot of each kind; those that counted, or those that did not.

        An account that left twice, in two ways, is there twice. Nothing where the kinds are not known.
        """
        if self.kind is None:
            return {}
        of_them = (self.churned == float(churned)) & (self.kind != "")
        accounts = self.vectors.account_ids[of_them]
        pairs = set(zip(self.kind[of_them].tolist(), accounts.tolist(), strict=True))
        return dict(sorted(Counter(kind for kind, _ in pairs).items()))

    @property
    def digest(self) -> str:
        """Sixteen hex digits over vectors and labels."""
        vectors = self.vectors
        parts = (
            vectors.contract.fingerprint.encode(),
            "\n".join(vectors.account_ids).encode(),
            vectors.as_of.astype("datetime64[s]").astype(np.int64).tobytes(),
            vectors.values.tobytes(),
            self.churned.tobytes(),
            *(labels.tobytes() for _, labels in sorted(self.by_horizon.items())),
        )
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def label_rule(sources: Sources, recipe: Recipe) -> LabelRule:
    """Return what counts as churn: the recipe's word, else the company's, else involuntary churn counts.

    The horizon, embargo and kinds are the recipe's, the grace of a late renewal the catalogue's.
    """
    return rule_of(recipe, sources.catalogue, sources.config.labels.involuntary_counts)


def rule_of(recipe: Recipe, catalogue: Catalogue, involuntary_counts: bool | None = None) -> LabelRule:
    """Return what counts as churn by a recipe; `involuntary_counts` is asked where the recipe does not say."""
    ours = recipe.labels
    said = involuntary_counts if ours.involuntary_counts is None else ours.involuntary_counts
    return LabelRule(
        horizon_days=ours.horizon_days,
        embargo_days=ours.embargo_days,
        lapse_grace_days=catalogue.definitions.lapse_grace_days,
        involuntary_counts=True if said is None else said,
        kinds=ours.kinds,
    )


def training_dates(database: Database, rule: LabelRule, recipe: Recipe) -> list[dt.datetime]:
    """Return the monthly dates whose labels can be known, the last ``max_months`` of them.

    The first lies ``min_history_months`` after the history began (see :func:`history_begins`). Where only
    contracts say who churned, the last window must have ended a grace period before the history does: until
    then nobody knows who lapsed, and those who stayed would be all that is left. Given labels bring their own
    dates.

    Raises
    ------
    TrainingError
        There is no such date.
    """
    from features.snapshots import month_starts

    if "labels" in database.tables:
        return _dates_of_labels(database)
    until = database.observed_until
    told_at_once = "outcomes" in database.tables and CONTRACTION not in rule.kinds
    settled = rule.window_days + (0 if told_at_once else rule.lapse_grace_days)
    last = until - dt.timedelta(days=settled)
    began = history_begins(database, rule)
    first = _months_later(began, recipe.grid.min_history_months)
    if first > last:
        # Too short for half-filled windows to be left out: better a thin history than none.
        first = began
    dates = month_starts(first.date(), last.date()) if first <= last else []
    if not dates:
        raise TrainingError(
            f"The history begins {began:%Y-%m-%d} and ends {until:%Y-%m-%d}: no label window of {settled} days "
            "fits into it. Deliver a longer history, or shorten horizon_days in a recipe."
        )
    return dates[-recipe.grid.max_months :]


def _dates_of_labels(database: Database) -> list[dt.datetime]:
    labels = database.tables["labels"]
    days = database.connection.to_pyarrow(labels.select("as_of").distinct())["as_of"].to_pylist()
    if not days:
        raise TrainingError("The labels table is empty. Fill it, or leave it out to have labels derived.")
    return [dt.datetime.combine(day, dt.time()) for day in sorted(days)]


def history_begins(database: Database, rule: LabelRule) -> dt.datetime:
    """Return when the history began.

    The first day covered of a table of events, or, if later, one label window before the first departure
    known: before anybody was seen leaving, a record holds survivors only.

    Raises
    ------
    TrainingError
        Nothing happened, or nobody ever left.
    """
    events = [name for name, table in database.sources.contracts.items() if table.kind == "event"]
    feeds = database.feeds.filter(database.feeds.table.isin(events))
    covered = feeds.covered_from.min().to_pyarrow().as_py()
    if covered is None:
        raise TrainingError(
            "Nothing says when the history begins: no table of events is connected, or all of them are empty. "
            "Connect usage, tickets or another table of events."
        )
    spells = [spell for theirs in spells_of(database, rule).values() for spell in theirs]
    happened = [moment for spell in spells for moment in counted(spell, rule)]
    if not happened:
        raise TrainingError(
            f"No account ever left in a way that counts ({', '.join(rule.kinds)}): there is nothing to learn "
            "from. Without a model the scorecard still answers; train when some have left."
        )
    return max(dt.datetime.combine(covered, dt.time()), min(happened) - dt.timedelta(days=rule.window_days))


def _months_later(moment: dt.datetime, months: int) -> dt.datetime:
    month = moment.year * 12 + moment.month - 1 + months
    return dt.datetime.combine(dt.date(month // 12, month % 12 + 1, 1), dt.time())


def timed_only(database: Database) -> Database:
    """Return the database without tables and columns that show only today's state.

    A signal that needs such a table is unknown in training, ``not_connected``.
    """
    import ibis

    tables = {
        name: table
        for name, table in database.tables.items()
        if not any(item.table == name and item.column is None for item in database.untimed)
    }
    for item in database.untimed:
        if item.column is not None and item.table in tables:
            table = tables[item.table]
            blank = ibis.null(table.schema()[item.column])
            tables[item.table] = table.mutate(**{item.column: blank})
    return replace(database, tables=MappingProxyType(tables))


def gather(
    database: Database,
    dates: Sequence[dt.datetime],
    rule: LabelRule,
    progress: Progress | None = None,
    *,
    horizons: Sequence[int] = (),
) -> Snapshots:
    """Return vectors and labels of all accounts in force on each date, untimed tables left out.

    Rows are ordered by account and date. Accounts that were known to be under notice are there without a label.

    Raises
    ------
    TrainingError
        No account is in force on any of the dates, or nothing says who churned.
    """
    from features.snapshots import build_vectors

    asked = _asked(database, dates)
    others = [days for days in horizons if days != rule.horizon_days]
    if "labels" in database.tables:
        others = []  # given ones are of one horizon
    labels, *longer = label_by_horizon(database, asked.grid, rule, [rule.horizon_days, *others])
    vectors = build_vectors(asked.past, database.sources.catalogue, asked.contract, asked.grid, progress)
    noticed = vectors.column(UNDER_NOTICE)
    by_horizon = {
        days: _unless_noticed(found.churned, noticed) for days, found in zip(others, longer, strict=True)
    }
    churned = _unless_noticed(labels.churned, noticed)
    kind, by = np.where(np.isnan(churned), "", labels.kind), labelling(database, rule)
    return Snapshots(vectors, churned, labels.event_at, database.untimed, by_horizon, kind, by)


def to_file(
    path: Path,
    database: Database,
    dates: Sequence[dt.datetime],
    rule: LabelRule,
    *,
    pairs_a_part: int | None = None,
    fresh: bool = False,
    listener: Listener | None = None,
) -> Written:
    """Write what :func:`gather` returns, ordered by date and account, part by part.

    See :func:`features.snapshot_store.write_in_parts`, also for its errors; `pairs_a_part` None: its default.

    Raises
    ------
    TrainingError
        No account is in force on any of the dates, or nothing says who churned.
    """
    from features.measures.rows import floats
    from features.snapshot_file import CHURNED, KIND, label_columns
    from features.snapshot_store import NOBODY, PAIRS_A_PART, Task, write_in_parts

    asked, labels_of = _asked(database, dates), labeller(database, rule)

    def labels(rows: pa.Table) -> pa.Table:
        found = labels_of(rows)
        churned = _unless_noticed(found.churned, floats(rows[UNDER_NOTICE]))
        return label_columns(churned, np.where(np.isnan(churned), "", found.kind))

    definition = labelling(database, rule).to_json()
    task = Task(asked.past, asked.grid, asked.contract, labels, (CHURNED, KIND), definition)
    size = pairs_a_part or PAIRS_A_PART
    return write_in_parts(path, task, pairs_a_part=size, fresh=fresh, listener=listener or NOBODY)


@dataclass(frozen=True)
class _Asked:
    """Whose vectors on which dates, of what kind, and the tables that they may rest on."""

    grid: pa.Table
    contract: FeatureContract
    past: Database


def _asked(database: Database, dates: Sequence[dt.datetime]) -> _Asked:
    from features.snapshots import accounts_in_force, recorded_codebooks

    catalogue: Catalogue = database.sources.catalogue
    grid = accounts_in_force(database, catalogue, dates)
    if grid.num_rows == 0:
        raise TrainingError("No account is in force on any of the dates. `keepsight check` shows the contracts.")
    past = timed_only(database)
    return _Asked(grid, feature_contract(catalogue, recorded_codebooks(past, catalogue, max(dates))), past)


def _unless_noticed(churned: Floats, under_notice: Floats) -> Floats:
    return np.where(under_notice == 1, np.nan, churned)


def from_file(path: Path) -> Snapshots:
    """Read a snapshot file, in the order of :func:`gather`.

    ``event_at`` is NaT throughout: a file tells who churned within the horizon, not when.

    Raises
    ------
    TableError
        No such file, not a snapshot file, or what it says of its labels cannot be read.
    """
    from features.snapshot_file import read_labels, read_snapshots

    vectors, churned = read_snapshots(path)
    order = np.lexsort((vectors.as_of, vectors.account_ids.astype(str)))
    said, kind = read_labels(path)
    try:
        labelled = None if said is None else Labelling.from_json(said)
    except (ValueError, TypeError, KeyError) as error:
        raise TableError(
            f"{path}: its label definition cannot be read ({error}). Write the file again."
        ) from error
    nowhere = np.full(len(vectors), "NaT", dtype="datetime64[s]")
    kinds = None if kind is None else kind[order]
    return Snapshots(vectors.take(order), churned[order], nowhere, kind=kinds, labelled=labelled)


def refuse_other_labels(found: Snapshots, recipe: Recipe, catalogue: Catalogue) -> None:
    """Raise unless snapshots of a file were labelled as the recipe asks; a file that does not say is taken to be.

    Raises
    ------
    TrainingError
        They were labelled by another definition; what differs is named.
    """
    if found.labelled is None:
        return
    asked = rule_of(recipe, catalogue, found.labelled.rule.involuntary_counts)
    if differences := found.labelled.differences(asked):
        raise TrainingError(
            f"The snapshots were labelled by another definition than the recipe asks: {'; '.join(differences)}. "
            "Write the file again with `keepsight snapshot --recipe` and this recipe (vectors are taken as they "
            "are), or train with a recipe that asks for what the file has."
        )


def known_at(found: Snapshots, as_of: dt.datetime, recipe: Recipe) -> Snapshots:
    """Leave out snapshots after `as_of`, and labels whose window was not over by then.

    Of snapshots that are all later, nothing is left.

    Raises
    ------
    TrainingError
        The labels were judged by what was recorded after `as_of`: nothing in a file tells which of them would
        have been judged otherwise then. A file that does not say by what is taken at its word.
    """
    judged = None if found.labelled is None else found.labelled.observed_until
    if judged is not None and judged > as_of:
        raise TrainingError(
            f"The labels of these snapshots were judged by what was known on {judged:%Y-%m-%d}, later than "
            f"{as_of:%Y-%m-%d}. Write a file with `keepsight snapshot --as-of {as_of:%Y-%m-%d}`, or train from "
            "--sources, which can be cut at any moment."
        )
    vectors, moment = found.vectors, np.datetime64(as_of, "s")
    over = vectors.as_of + np.timedelta64(recipe.window_days, "D") <= moment
    kept = np.flatnonzero(vectors.as_of <= moment)
    churned = np.where(over, found.churned, np.nan)  # of one horizon: a file has no other labels
    kind = None if found.kind is None else np.where(np.isnan(churned), "", found.kind)[kept]
    return replace(
        found, vectors=vectors.take(kept), churned=churned[kept], event_at=found.event_at[kept], kind=kind
    )


def rebuild_from(sources: Sources, contract: FeatureContract) -> Callable[[Sequence[str], np.datetime64], Vectors]:
    """Return what computes accounts' vectors at a date from tables that end there, untimed tables left out.

    What is returned opens the sources anew each time, and raises what :func:`features.sources.open_database` does.
    """

    def rebuild(accounts: Sequence[str], date: np.datetime64) -> Vectors:
        import pyarrow as pa

        from features.snapshots import build_vectors
        from features.sources import open_database

        moment = date.astype("datetime64[us]").astype(dt.datetime)
        grid = pa.table(
            {
                "account_id": pa.array(accounts, pa.string()),
                "as_of": pa.array([moment] * len(accounts), pa.timestamp("s")),
            }
        )
        with open_database(sources, truncated_at=moment) as database:
            return build_vectors(timed_only(database), sources.catalogue, contract, grid)

    return rebuild
