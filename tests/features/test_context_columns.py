"""Context features by naming a column of `accounts`: numbers, yes/no and categories, as known on the date."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from features.readings import Unknown, UnknownReason
from features.snapshots import build_vectors, recorded_codebooks
from features.sources import Database, open_database
from features.vectors import FeatureContract, Vectors, feature_contract
from tests.features.sources.company import Company, at
from training.dataset import timed_only

BEFORE, AFTER = at("2025-03-01"), at("2025-07-01")
CONTEXT = """[context.headcount]
of = "accounts.employees"
kind = "number"

[context.is_public]
of = "accounts.listed"
kind = "yes_no"

[context.size]
of = "accounts.size"
kind = "category"
codebook = ["small", "large"]

[context.channel]
of = "accounts.channel"
kind = "category"
"""
# a1 grew and was bought in April; a2 came in May; a3 says nothing.
WITH_HISTORY = """account_id,recorded_at,employees,listed,size,channel
a1,2024-01-01,40,no,small,web
a1,2025-04-01,4000,yes,large,partner
a2,2025-05-01,7.5,true,huge,fair
a3,2024-01-01,,,,
"""
TODAYS = "account_id,employees,listed,size,channel\na1,4000,yes,large,partner\na2,7.5,no,huge,fair\n"
NO_BASE = Unknown(UnknownReason.NO_BASE)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    made = Company(tmp_path).csv("accounts", WITH_HISTORY).section(CONTEXT).says("observed_until = 2025-06-30")
    return made.csv("visits", "account_id,page,occurred_at\na1,other,2024-01-01\n")


def contract_of(database: Database, as_of: dt.datetime) -> FeatureContract:
    catalogue = database.sources.catalogue
    return feature_contract(catalogue, recorded_codebooks(database, catalogue, as_of))


def read(database: Database, contract: FeatureContract, account: str, as_of: dt.datetime) -> Vectors:
    grid = pa.table({"account_id": [account], "as_of": pa.array([as_of], pa.timestamp("s"))})
    return build_vectors(database, database.sources.catalogue, contract, grid)


def test_numbers_yes_or_no_and_categories_are_read_as_known_on_the_date(company: Company) -> None:
    with open_database(company.load()) as database:
        contract = contract_of(database, AFTER)
        before, after = (read(database, contract, "a1", moment) for moment in (BEFORE, AFTER))
    assert [before.reading(0, name) for name in ("headcount", "is_public")] == [40, 0]
    assert [after.reading(0, name) for name in ("headcount", "is_public")] == [4000, 1]
    assert (before.category("size")[0], after.category("size")[0]) == ("small", "large")
    assert (before.category("channel")[0], after.category("channel")[0]) == ("web", "partner")


def test_a_declared_codebook_stands_in_its_order_and_a_recorded_one_is_what_was_known(company: Company) -> None:
    with open_database(company.load()) as database:
        before, after = (contract_of(database, moment) for moment in (BEFORE, AFTER))
    assert [c.columns[c.position["size"]].codebook for c in (before, after)] == [("small", "large")] * 2
    assert before.columns[before.position["channel"]].codebook == ("web",)
    assert after.columns[after.position["channel"]].codebook == ("fair", "partner", "web")


def test_a_category_that_no_codebook_has_is_unknown_and_no_error(company: Company) -> None:
    with open_database(company.load()) as database:
        trained_then = contract_of(database, BEFORE)
        vector = read(database, trained_then, "a2", AFTER)
    assert vector.reading(0, "size") == NO_BASE  # "huge" is not declared
    assert vector.reading(0, "channel") == NO_BASE  # "fair" came after the model was trained
    assert (vector.reading(0, "headcount"), vector.reading(0, "is_public")) == (7.5, 1)


def test_what_is_not_given_is_unknown(company: Company) -> None:
    with open_database(company.load()) as database:
        vector = read(database, contract_of(database, AFTER), "a3", AFTER)
    assert [vector.reading(0, name) for name in ("headcount", "is_public", "size", "channel")] == [NO_BASE] * 4


def test_a_column_that_is_not_delivered_is_unknown(company: Company) -> None:
    company.csv("accounts", "account_id\na1\n")
    with open_database(company.load()) as database:
        vector = read(database, contract_of(database, AFTER), "a1", AFTER)
    assert [vector.reading(0, name) for name in ("headcount", "is_public", "size", "channel")] == [NO_BASE] * 4


def test_only_todays_value_is_left_out_of_training_and_named(company: Company) -> None:
    company.csv("accounts", TODAYS)
    with open_database(company.load()) as database:
        assert {item.column for item in database.untimed} == {"employees", "listed", "size", "channel"}
        past = timed_only(database)
        vector = read(past, contract_of(past, AFTER), "a1", BEFORE)
    assert [vector.reading(0, name) for name in ("headcount", "is_public", "size", "channel")] == [NO_BASE] * 4


def test_what_was_read_before_in_the_same_process_does_not_come_back(company: Company) -> None:
    # The text of a query is kept for the process: that of the whole tables must not serve the blanked ones.
    company.csv("accounts", TODAYS)
    with open_database(company.load()) as database:
        past = timed_only(database)
        for tables, expected in ((database, 4000), (past, NO_BASE), (database, 4000)):
            assert read(tables, contract_of(tables, AFTER), "a1", AFTER).reading(0, "headcount") == expected


def test_what_never_changes_may_be_learnt_from_without_history(company: Company) -> None:
    company.csv("accounts", TODAYS).says('never_changing = ["accounts.listed", "accounts.size"]')
    with open_database(company.load()) as database:
        assert {item.column for item in database.untimed} == {"employees", "channel"}
        past = timed_only(database)
        vector = read(past, contract_of(past, AFTER), "a1", BEFORE)
    assert (vector.reading(0, "is_public"), vector.category("size")[0]) == (1, "large")
    assert (vector.reading(0, "headcount"), vector.reading(0, "channel")) == (NO_BASE, NO_BASE)


def test_a_value_of_another_type_is_named_by_check_and_its_row_left_out(company: Company) -> None:
    company.csv("accounts", WITH_HISTORY.replace("4000,yes", "many,yes"))
    (said,) = [problem for problem in company.check() if problem.code == "S105"]
    assert (said.table, said.sample) == ("accounts", ("many",))
    with open_database(company.load()) as database:
        assert read(database, contract_of(database, AFTER), "a1", AFTER).reading(0, "headcount") == 40
