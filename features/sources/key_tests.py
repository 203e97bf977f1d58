"""What is asked of keys: that rows with one key are versions of one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from features.errors import near_miss
from features.sources import sql
from features.sources.config import Sources
from features.sources.delivery import Delivered
from features.sources.problems import Problem, kinds
from features.sources.row_tests import counted, short
from features.sources.rows import content
from features.sources.session import Session
from features.sources.spool import HASH_OF_KEY


def key_problems(session: Session, delivered: Delivered, normalised: str) -> Iterator[Problem]:
    """Yield what is wrong with a table's keys.

    Parameters
    ----------
    session
        Where the tables are.
    delivered
        The table.
    normalised
        SQL name of its normalised rows, versions not yet told apart.
    """
    row = f"row({', '.join(content(delivered))})"
    chosen = f"SELECT {HASH_OF_KEY} AS h FROM {normalised} GROUP BY h HAVING count(*) > 1"
    session.connection.execute(
        "CREATE OR REPLACE TEMP TABLE _repeated AS "
        "SELECT *, count(*) OVER same_key AS moments, sum(rows) OVER same_key AS in_all "
        f"FROM (SELECT row_key, recorded_at, count(*) AS rows, count(DISTINCT {row}) AS different "
        f"FROM {normalised} WHERE {HASH_OF_KEY} IN ({chosen}) GROUP BY row_key, recorded_at) "
        "WINDOW same_key AS (PARTITION BY row_key) QUALIFY in_all > 1"
    )
    if delivered.dated or delivered.contract.kind == "state":
        code = "S206" if delivered.table == "accounts" else "S201"
        sentence = "{rows} share their key and recorded_at with another row, and differ from it."
        yield from _found(session, delivered, code, "different > 1", "different", sentence)
    else:
        sentence = "{rows} share their key with a different row; each is read as a correction of the one before."
        yield from _found(session, delivered, "S205", "(moments > 1 OR different > 1)", "different", sentence)
    sentence = "{rows} only repeat another row."
    yield from _found(session, delivered, "S202", "rows > different", "rows - different", sentence)
    if delivered.key and "account_id" in delivered.raw_name and "account_id" not in delivered.contract.key:
        yield from _moved(session, delivered, normalised)


def _moved(session: Session, delivered: Delivered, normalised: str) -> Iterator[Problem]:
    moved = session.rows(
        f"SELECT row_key FROM {normalised} WHERE row_key IN (SELECT row_key FROM _repeated WHERE moments > 1) "
        "GROUP BY row_key HAVING count(DISTINCT account_id) > 1 ORDER BY row_key"
    )
    if moved:
        sentence = f"{counted(len(moved))} {'was' if len(moved) == 1 else 'were'} moved to another account."
        shown = [short(key) for (key,) in moved[:3]]
        yield kinds()["S207"].found(delivered.table, sentence, rows=len(moved), sample=shown)


def _found(
    session: Session, delivered: Delivered, code: str, condition: str, rows: str, sentence: str
) -> Iterator[Problem]:
    count, keys = session.row(f"SELECT sum({rows}), count(DISTINCT row_key) FROM _repeated WHERE {condition}")
    if not keys:
        return
    sample = session.rows(f"SELECT DISTINCT row_key FROM _repeated WHERE {condition} ORDER BY row_key LIMIT 3")
    by_content = not delivered.key
    shown = [] if by_content else [short(str(key)) for (key,) in sample]
    yield kinds()[code].found(
        delivered.table, sentence.format(rows=counted(int(count))), rows=int(count), sample=shown
    )


# Columns that name rows of another table. Not so `surveys.respondent_id`: who answers need not be a contact.
_REFERENCES = {
    ("contacts", "successor_id"): ("contacts", "contact_id"),
    ("contracts", "plan"): ("plans", "plan"),
}


def reference_problems(session: Session, readable: Mapping[str, Delivered]) -> Iterator[Problem]:
    """Yield columns that name what another table, connected too, does not have in any version."""
    for (table, column), (other, key) in _REFERENCES.items():
        if not ({table, other} <= set(readable) and column in readable[table].raw_name):
            continue
        unknown = (
            f"FROM {quoted('normalised', table)} WHERE {sql.name(column)} IS NOT NULL AND {sql.name(column)} "
            f"NOT IN (SELECT {sql.name(key)} FROM {quoted('normalised', other)})"
        )
        (count,) = session.row(f"SELECT count(*) {unknown}")
        if count:
            sample = session.rows(f"SELECT DISTINCT {sql.name(column)} AS shown {unknown} ORDER BY shown LIMIT 3")
            sentence = f"{column} names none of `{other}` in {counted(count)}."
            shown = [short(value) for (value,) in sample]
            yield kinds()["S208"].found(table, sentence, rows=count, sample=shown)


def feed_problems(session: Session, feeds: Delivered, normalised: str, sources: Sources) -> Iterator[Problem]:
    """Yield what is wrong with the company's ``feeds``.

    Parameters
    ----------
    session
        Where the tables are.
    feeds
        The table.
    normalised
        SQL name of its rows, with their versions.
    sources
        Which tables there are, and which are connected.
    """
    named = session.rows(f'SELECT "table", count(*) FROM {normalised} GROUP BY ALL ORDER BY "table"')
    for table, count in named:
        if table not in sources.contracts:
            sentence = f'feeds names "{table}". {near_miss(table, sources.contracts)}'
            yield kinds()["S401"].found(feeds.table, sentence, rows=count, sample=[table])
        elif table not in sources.tables:
            sentence = f"feeds names {table}, which sources.toml does not connect."
            yield kinds()["S404"].found(feeds.table, sentence, rows=count, sample=[table])
    overlapping = session.rows(
        f"SELECT a.\"table\", coalesce(a.account_id, 'all accounts'), a.covered_from, b.covered_from "
        f'FROM {normalised} a JOIN {normalised} b ON a."table" = b."table" '
        "AND a.account_id IS NOT DISTINCT FROM b.account_id AND a.row_key <> b.row_key "
        "AND a.covered_from <= b.covered_from AND coalesce(a.covered_to, DATE '9999-12-31') >= b.covered_from "
        "AND a.known_from < b.known_until AND b.known_from < a.known_until "
        "AND (a.covered_from < b.covered_from OR a.row_key < b.row_key) ORDER BY ALL"
    )
    if overlapping:
        sample = [f"{t}, {account}: from {a} and from {b}" for t, account, a, b in overlapping[:3]]
        sentence = f"{counted(len(overlapping))} of feeds overlap with another."
        yield kinds()["S402"].found(feeds.table, sentence, rows=len(overlapping), sample=sample)


def quoted(prefix: str, table: str) -> str:
    """Return the SQL name of a working table of the check.

    >>> quoted("read", "usage")
    '"read usage"'
    """
    return sql.name(f"{prefix} {table}")
