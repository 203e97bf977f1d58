"""One account now has the vector of a snapshot, bit for bit, of rows that a prepared query fetches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import ibis
import pytest

from features import now as now_module
from features.errors import ContractMismatchError
from features.now import Now
from features.snapshots import accounts_in_force, build_vectors, recorded_codebooks
from features.sources import Database, load_sources, open_database
from features.vectors import FeatureContract, Vectors, feature_contract
from tests.oracle.company import Company
from tests.oracle.engine import grid_table
from tests.oracle.invented import invented_company
from tests.oracle.written import write_company

DATES = tuple(dt.datetime.fromisoformat(text) for text in ("2025-03-01", "2025-07-01 13:07"))
ACCOUNTS = 25
UNHEARD_OF = "nobody's"


def without(company: Company, *columns: str) -> Company:
    return replace(company, lacking=frozenset(columns))


def of_own_feeds(company: Company) -> Company:
    """Some accounts have feeds of their own."""
    usage = {"table": "usage", "covered_from": dt.date(2025, 1, 1), "covered_to": dt.date(2025, 6, 1)}
    own = [{**usage, "account_id": f"A{number:03}"} for number in range(0, ACCOUNTS, 3)]
    return replace(company, tables={**company.tables, "feeds": [*company.tables["feeds"], *own]})


COMPANIES: dict[str, Callable[[], Company]] = {
    "everything connected": lambda: invented_company(1, ACCOUNTS, DATES),
    "accounts with feeds of their own": lambda: of_own_feeds(invented_company(2, ACCOUNTS, DATES)),
    "no feeds": lambda: invented_company(4, ACCOUNTS, DATES, feeds=False),
    "no plans, contacts or community": lambda: invented_company(
        6, ACCOUNTS, DATES, without=("plans", "contacts", "community")
    ),
    "no contracts": lambda: invented_company(7, ACCOUNTS, DATES, without=("contracts",)),
    "columns that were not delivered": lambda: without(
        invented_company(9, ACCOUNTS, DATES), "usage.user_id", "surveys.respondent_id", "contracts.licences"
    ),
}


class Opened:
    """A company, open, with what a snapshot says of every account on each date."""

    def __init__(self, database: Database) -> None:
        self.database, self.catalogue = database, database.sources.catalogue
        codebooks = recorded_codebooks(database, self.catalogue, max(DATES))
        self.contract: FeatureContract = feature_contract(self.catalogue, codebooks)
        accounts = [*(f"A{number:03}" for number in range(ACCOUNTS)), UNHEARD_OF]
        self.pairs = [(account, as_of) for account in accounts for as_of in DATES]
        self.snapshot = build_vectors(database, self.catalogue, self.contract, grid_table(self.pairs))

    def now(self, **options: Any) -> Now:
        return Now(self.database, self.catalogue, **options)

    def differ(self, now: Now) -> list[str]:
        """Name the accounts and dates whose vector is another one than in the snapshot."""
        found = [now.vector(account, as_of, self.contract) for account, as_of in self.pairs]
        return [
            f"{account} at {as_of}"
            for row, (account, as_of) in enumerate(self.pairs)
            if not same(found[row], self.snapshot.take([row]))
        ]


def same(one: Vectors, other: Vectors) -> bool:
    return (
        one.values.tobytes() == other.values.tobytes()
        and one.unknown.tolist() == other.unknown.tolist()
        and one.account_ids.tolist() == other.account_ids.tolist()
        and one.as_of.tolist() == other.as_of.tolist()
    )


@contextmanager
def opened(company: Company, folder: Path, connection: str = "") -> Iterator[Opened]:
    """Open a company on an engine."""
    with open_database(load_sources(write_company(company, folder, connection))) as database:
        yield Opened(database)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with opened(COMPANIES["everything connected"](), tmp_path_factory.mktemp("company")) as one:
        yield one


@pytest.fixture(scope="module")
def asked(company: Opened) -> Callable[[], Now]:
    return cache(company.now)


@pytest.mark.parametrize("name", COMPANIES)
def test_every_account_has_the_vector_of_a_snapshot_bit_for_bit(name: str, tmp_path: Path) -> None:
    with opened(COMPANIES[name](), tmp_path) as one:
        assert one.differ(one.now()) == []
        assert one.differ(one.now(often=False)) == []


def test_an_account_that_no_table_knows_has_no_reading_of_its_own(
    company: Opened, asked: Callable[[], Now]
) -> None:
    account = asked().account(UNHEARD_OF, DATES[0])
    assert account.in_service is False
    assert account.vector(company.contract).column("coverage")[0] < 0.2  # no exports were asked for: that is known


def test_the_accounts_in_service_are_those_in_force(company: Opened, asked: Callable[[], Now]) -> None:
    for as_of in DATES:
        grid = accounts_in_force(company.database, company.catalogue, [as_of])
        accounts = [account for account, date in company.pairs if date == as_of]
        there = [account for account in accounts if asked().account(account, as_of).in_service]
        assert there == grid["account_id"].to_pylist()
        assert 0 < len(there) < ACCOUNTS


def test_an_account_whose_name_is_sql_is_only_a_name(company: Opened, asked: Callable[[], Now]) -> None:
    for name in ("A001' OR 'a' = 'a", "%s", "$1", "A001; DROP TABLE usage"):
        assert not asked().account(name, DATES[0]).in_service
    assert company.differ(asked()) == []


def test_many_threads_get_what_one_gets(company: Opened, asked: Callable[[], Now]) -> None:
    now, rows = asked(), [*range(len(company.pairs))] * 4

    def ask(row: int) -> bool:
        return same(now.vector(*company.pairs[row], company.contract), company.snapshot.take([row]))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, rows))


def test_nothing_is_compiled_when_an_account_is_asked_about(
    company: Opened, asked: Callable[[], Now], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = asked()

    def refuse(*given: object, **options: object) -> None:
        raise AssertionError("compiled at request time")

    monkeypatch.setattr(company.database.engine.ibis, "compile", refuse)
    monkeypatch.setattr(ibis, "union", refuse)
    assert company.differ(now) == []


def test_a_contract_of_other_definitions_is_refused(company: Opened, asked: Callable[[], Now]) -> None:
    with pytest.raises(ContractMismatchError, match="Retrain"):
        asked().vector("A001", DATES[0], replace(company.contract, definitions="0" * 16))


# --- the comparison can fail -------------------------------------------------------------------------------


def test_a_query_without_the_account_would_be_noticed(company: Opened) -> None:
    now = company.now()
    everyone = [row for number in range(ACCOUNTS) for row in now.fetch(f"A{number:03}")]
    now.fetch = lambda account_id: everyone
    assert len(company.differ(now)) > ACCOUNTS


@pytest.mark.parametrize("table", ["contracts", "usage", "visits", "contacts"])
def test_a_table_that_is_left_out_would_be_noticed(table: str, company: Opened) -> None:
    now = company.now()
    part = next(place for place, one in enumerate(now._layout._parts) if one.table == table)
    fetch = now.fetch
    now.fetch = lambda account_id: [row for row in fetch(account_id) if row[1] != part]
    assert len(company.differ(now)) >= 5


def test_values_of_everyone_from_another_day_would_be_noticed(tmp_path: Path) -> None:
    with opened(COMPANIES["no plans, contacts or community"](), tmp_path) as company:
        now = company.now()
        everyone = now._everyone
        long_ago = now_module.Calendar([DATES[0] - dt.timedelta(days=100)])
        now._everyone = lambda calendar: everyone(long_ago)  # type: ignore[method-assign]
        assert len(company.differ(now)) >= 5
