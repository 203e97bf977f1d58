"""Everything that is wrong with a company's tables, in one go, with row counts, samples and remedies."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from features.errors import KeepsightError
from features.sources import sql
from features.sources.config import Sources
from features.sources.database import is_empty, name_accounts, newest_known, observed_until_said
from features.sources.delivery import Delivered, csv_fault, deliver, first_lines
from features.sources.engines import session_to_check
from features.sources.file_tests import file_problems
from features.sources.history_tests import end_problems, isolated_problems, late_problems
from features.sources.key_tests import feed_problems, key_problems, quoted, reference_problems
from features.sources.needs import left_unknown_without, read_by
from features.sources.problems import Problem, Severity, kinds
from features.sources.row_tests import row_problems
from features.sources.rows import content, normalised_rows, read_columns
from features.sources.session import Session
from features.sources.untimed import untimed
from features.sources.versions import end_replaced_rows


@dataclass(frozen=True, slots=True)
class TableSummary:
    """What was delivered for one table: rows, those that keep the contract, and the days that they span."""

    table: str
    rows: int
    kept: int
    first: dt.date | None
    last: dt.date | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, and what the tables hold."""

    problems: tuple[Problem, ...]
    tables: tuple[TableSummary, ...]
    observed_until: dt.datetime | None

    def count(self, severity: Severity) -> int:
        """Return how many problems are this bad."""
        return sum(problem.severity is severity for problem in self.problems)


def check_sources(sources: Sources, now: dt.datetime) -> list[Problem]:
    """Return every problem of a company's tables, the worst first, then by code and table.

    Errors of one table do not hide those of another. Nothing is written but to a temporary folder.

    Parameters
    ----------
    sources
        What :func:`~features.sources.load_sources` returns.
    now
        Rows dated later, by more than a day, are a mistake.
    """
    return list(check_report(sources, now).problems)


def check_report(sources: Sources, now: dt.datetime) -> Report:
    """Return every problem, and a summary of each table that could be read."""
    with session_to_check(sources) as session:
        found = _Check(session, sources, now)
        found.run()
        problems = in_order(found.problems, list(sources.contracts))
        return Report(tuple(problems), tuple(found.summaries), found.observed_until)


def in_order(problems: list[Problem], tables: Sequence[str]) -> list[Problem]:
    """Return the worst first, then by code, then in the order of `tables`."""
    severities = list(Severity)
    return sorted(
        problems,
        key=lambda p: (severities.index(p.severity), p.code, tables.index(p.table) if p.table in tables else -1),
    )


class _Check:
    """One run over all tables; what it finds gathers in `problems`."""

    def __init__(self, session: Session, sources: Sources, now: dt.datetime) -> None:
        self.session, self.sources, self.now = session, sources, now
        self.problems: list[Problem] = []
        self.summaries: list[TableSummary] = []
        self.newest: dict[str, dt.datetime | None] = {}
        self.observed_until: dt.datetime | None = None

    def run(self) -> None:
        delivered = self._delivered()
        whole = {table: one for table, one in delivered.items() if not one.missing_required()}
        self._name_accounts(whole)
        readable = {table: one for table, one in whole.items() if self._table(one)}
        self._history(readable)
        if "feeds" in readable:
            name = quoted("normalised", "feeds")
            end_replaced_rows(self.session, "normalised feeds", content(readable["feeds"]))
            self.problems += feed_problems(self.session, readable["feeds"], name, self.sources)
        self._coverage(readable)
        self.problems += reference_problems(self.session, readable)
        self.problems += _untimed_problems(self.sources, delivered)
        self.problems += _missing_tables(self.sources)
        self.problems += _missing_columns(self.sources, delivered)

    def _delivered(self) -> dict[str, Delivered]:
        delivered: dict[str, Delivered] = {}
        for table in sorted(self.sources.tables, key=list(self.sources.contracts).index):
            try:
                one = deliver(self.session, self.sources, table)
            except KeepsightError as error:
                self._unreadable(table, str(error))
                continue
            self.problems += file_problems(self.session, one, self.sources.folder)
            self.problems += [kinds()["S103"].found(table, missing) for missing in one.missing_required()]
            self.problems += [kinds()["S104"].found(table, missing) for missing in one.missing_named()]
            delivered[table] = one
        return delivered

    def _name_accounts(self, whole: Mapping[str, Delivered]) -> None:
        import duckdb

        try:
            name_accounts(self.session, whole["accounts"])
        except (KeyError, KeepsightError, duckdb.Error):
            # Said elsewhere. Without accounts no row's account can be judged: take all that the tables name.
            self.session.connection.execute("CREATE OR REPLACE TABLE _account_ids (account_id VARCHAR)")
            for one in whole.values():
                if "account_id" in one.raw_name and one.table != "accounts":
                    with contextlib.suppress(duckdb.Error):
                        self.session.connection.execute(
                            f"INSERT INTO _account_ids SELECT DISTINCT account_id FROM ({read_columns(one)})"
                        )

    def _unreadable(self, table: str, sentence: str) -> None:
        """Name a file or query that cannot be read; of CSV the line, where it can be told."""
        fault = csv_fault(self.sources.folder, self.sources.tables[table])
        if fault is None:
            self.problems.append(kinds()["S101"].found(table, sentence))
        else:
            self.problems.append(kinds()["S113"].found(table, fault.sentence, remedy=fault.remedy))

    def _table(self, one: Delivered) -> bool:
        """Look at one table's rows and keys; return whether they could be read."""
        import duckdb

        read, normalised = quoted("read", one.table), quoted("normalised", one.table)
        try:
            self.session.connection.execute(f"CREATE TEMP TABLE {read} AS {read_columns(one)}")
        except duckdb.Error as error:
            self._unreadable(one.table, f"{one.table}: cannot be read: {first_lines(error)}")
            return False
        self.session.connection.execute(f"CREATE TEMP TABLE {normalised} AS {normalised_rows(one, read=read)}")
        self._emptiness(one, read, normalised)
        self.problems += row_problems(self.session, one, read)
        self.problems += key_problems(self.session, one, normalised)
        self._summarise(one, read, normalised)
        return True

    def _emptiness(self, one: Delivered, read: str, normalised: str) -> None:
        if is_empty(self.session, read):
            if one.table == "accounts":
                self.problems.append(kinds()["S112"].found(one.table, "accounts has no rows."))
        elif is_empty(self.session, normalised):
            self.problems.append(kinds()["S111"].found(one.table, f"No row of {one.table} keeps the contract."))

    def _summarise(self, one: Delivered, read: str, normalised: str) -> None:
        when = "occurred_at" if one.contract.occurred else "recorded_at"
        kept, first, last, newest = self.session.row(
            f"SELECT count(*), CAST(min({when}) - INTERVAL 1 MICROSECOND AS DATE), "
            f"CAST(max({when}) - INTERVAL 1 MICROSECOND AS DATE), max(recorded_at) FROM {normalised}"
        )
        (rows,) = self.session.row(f"SELECT count(*) FROM {read}")
        dated = one.contract.occurred is not None or one.dated
        self.summaries.append(
            TableSummary(one.table, rows, kept, first if dated else None, last if dated else None)
        )
        self.newest[one.table] = newest

    def _history(self, readable: Mapping[str, Delivered]) -> None:
        """Find where the history ends, and what lies after it."""
        said = observed_until_said(self.sources.config.observed_until)
        self.problems += end_problems(said, self.now)
        self.observed_until = said or newest_known(readable, self.newest)
        if self.observed_until is None:
            self.problems.append(kinds()["S309"].found(None, "Nothing says where the history ends."))
            return
        for one in readable.values():
            if not one.contract.labels_only:
                read = quoted("read", one.table)
                self.problems += late_problems(self.session, one, read, self.observed_until, self.now)
        if said is None:
            self.problems += isolated_problems(self.session, readable, self.observed_until, self.now)

    def _coverage(self, readable: Mapping[str, Delivered]) -> None:
        """Say what is taken to be covered, and which feeds have gone quiet."""
        said: set[str] = set()
        if "feeds" in readable:
            name = quoted("normalised", "feeds")
            said = {table for (table,) in self.session.rows(f'SELECT DISTINCT "table" FROM {name}')}
        for one in readable.values():
            if not one.contract.fed or one.table in said:
                continue
            name = quoted("normalised", one.table)
            if one.source.begins is None:
                if is_empty(self.session, quoted("read", one.table)):
                    self.problems.append(kinds()["S102"].found(one.table, f"{one.table} has no rows."))
                self.problems += self._taken(one, name)
            if one.contract.kind == "event":
                self.problems += self._quiet(one, name)

    def _taken(self, one: Delivered, normalised: str) -> Iterator[Problem]:
        when = "occurred_at" if one.contract.occurred else "known_from"
        (begins,) = self.session.row(
            f"SELECT CAST(min({when}) - INTERVAL 1 MICROSECOND AS DATE) FROM {normalised}"
        )
        if begins is not None:
            sentence = f"{one.table} is taken to cover every account from {begins}, the day of its first row."
            yield kinds()["S403"].found(one.table, sentence)

    def _quiet(self, one: Delivered, normalised: str) -> Iterator[Problem]:
        """Say so if the days without a row at the end are many more than ever before."""
        if self.observed_until is None:
            return
        end = sql.moment(min(self.observed_until, self.now))
        last, since, longest, days = self.session.row(
            f"SELECT max(day), date_diff('day', max(day), CAST({end} AS DATE)), max(gap), count(*) FROM ("
            "SELECT day, date_diff('day', lag(day) OVER (ORDER BY day), day) AS gap FROM (SELECT DISTINCT "
            f"CAST(occurred_at AS DATE) AS day FROM {normalised} WHERE occurred_at <= {end}))"
        )
        if days >= 30 and since > max(7, 3 * longest):
            sentence = (
                f"The last row of {one.table} is of {last}, {since} days before the end of the history; "
                f"never before were there more than {longest} days between two rows."
            )
            yield kinds()["S405"].found(one.table, sentence)


def _untimed_problems(sources: Sources, delivered: Mapping[str, Delivered]) -> Iterator[Problem]:
    for one in delivered.values():
        events = one.contract.kind == "event" and not one.contract.labels_only
        if events and not one.dated and not one.source.never_rewritten:
            yield kinds()["S301"].found(one.table, _without_recorded_at(one))
    for found in untimed(sources.config, delivered):
        code = "S302" if found.column is None else "S303"
        where = found.table if found.column is None else f"{found.table}.{found.column}"
        yield kinds()[code].found(found.table, f"{where}: {found.reason}")


def _without_recorded_at(one: Delivered) -> str:
    """Say which columns would be known before they were: those filled in later, without a date of their own."""
    later = [name for name, column in one.contract.columns.items() if column.filled_later and name in one.raw_name]
    leaking = f" {', '.join(later)}: taken as known from the beginning, though filled in later." if later else ""
    return f"{one.table} has no recorded_at.{leaking}"


def _missing_tables(sources: Sources) -> Iterator[Problem]:
    """Say of every table that is not connected which signals, factors and context it leaves unknown."""
    for table in sources.contracts:
        if table in sources.tables:
            continue
        wholly, partly = left_unknown_without(sources.catalogue, table)
        if wholly or partly:
            parts = [f"Unknown without it: {', '.join(wholly)}."] if wholly else []
            parts += [f"With less to go by: {', '.join(partly)}."] if partly else []
            yield kinds()["S501"].found(table, f"{table} is not connected. {' '.join(parts)}")


def _missing_columns(sources: Sources, delivered: Mapping[str, Delivered]) -> Iterator[Problem]:
    for one in delivered.values():
        for name, column in one.contract.columns.items():
            if name in one.raw_name or column.default is not None or column.required:
                continue
            if signals := read_by(sources.catalogue, one.table, name):
                sentence = f"{one.table} has no {name}, which {', '.join(signals)} would read."
                yield kinds()["S502"].found(one.table, sentence)
