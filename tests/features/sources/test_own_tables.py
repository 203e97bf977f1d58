"""A company's own table, from TOML and a file to readings, `keepsight check`, evidence and coverage."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pyarrow as pa
import pytest

from features.errors import CatalogueError, SourcesError, TableError
from features.evidence import account_evidence
from features.measures import fetching
from features.readings import Unknown, UnknownReason
from features.snapshots import build_vectors
from features.sources import load_sources, open_database, session
from features.sources.commands import report_on
from features.sources.config import load_proposed
from features.vectors import Vectors, feature_contract
from tests.features.catalogue.test_own_tables import FILES, TABLE
from tests.features.equality.answers import WAYS
from tests.features.sources.company import Company, at, rows
from tests.files import write_files

TRAININGS = """training_id,account_id,held_at,hours
t1,a1,2025-06-02 10:00:00,2
t2,a1,2025-05-02,1.5
t3,a1,2024-05-02,9
"""
TODAY = at("2025-07-01")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """The README's overlay in force, two accounts, and three trainings of one of them."""
    write_files(tmp_path, FILES)
    made = Company(tmp_path).says("observed_until = 2025-06-30").section('[catalogue]\noverlay = "overlay"')
    return made.csv("trainings", TRAININGS, "begins = 2024-01-01")


def vectors(company: Company) -> Vectors:
    with open_database(company.load()) as database:
        catalogue = database.sources.catalogue
        grid = pa.table({"account_id": ["a1", "a2"], "as_of": pa.array([TODAY] * 2, pa.timestamp("s"))})
        return build_vectors(database, catalogue, feature_contract(catalogue, {}), grid)


def test_the_readmes_sources_are_read_with_their_own_table(tmp_path: Path) -> None:
    write_files(tmp_path, {**FILES, "accounts.csv": "account_id\na1\n", "trainings.csv": TRAININGS})
    assert list(load_sources(tmp_path).tables) == ["accounts", "trainings"]
    assert [p.sentence for p in report_on(tmp_path, TODAY).problems if p.severity == "error"] == []


def test_an_own_table_is_read_in_its_types_and_as_known(company: Company) -> None:
    with open_database(company.load()) as database:
        assert rows(database, "trainings", "row_key", "hours", "occurred_at") == [
            ("t1", 2.0, at("2025-06-02 10:00")),
            ("t2", 1.5, at("2025-05-03")),
            ("t3", 9.0, at("2024-05-03")),
        ]
        assert rows(database, "coverage", "table", "covered_from") == [("trainings", dt.date(2024, 1, 1))]


def test_a_signal_over_it_is_read_and_an_account_without_rows_had_none(company: Company) -> None:
    read = vectors(company)
    assert [read.reading(row, "training_hours") for row in (0, 1)] == [3.5, 0.0]


CORRECTED = """training_id,account_id,held_at,hours,recorded_at
t1,a1,2025-06-02 10:00:00,1,2025-06-03
t1,a1,2025-06-02 10:00:00,2,2025-06-04
t2,a1,2025-05-02,1.5,2025-06-03
t3,a1,2024-05-02,9,2025-06-03
"""
OF_QUERIES = [
    "value",
    "known",
    "tile",
    "i",
    "n",
    "late",
    "moment",
    "before",
    "place",
    "version",
    "replaced_at",
    "kept",
]


@pytest.mark.parametrize("way", [*WAYS, "in files"])
@pytest.mark.parametrize("name", [*OF_QUERIES, "place", "h"])
def test_a_column_may_have_a_name_that_a_query_would_use(
    company: Company, name: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "in files":
        monkeypatch.setattr(session, "BYTES_A_STORED_ROW", 10**12)
    else:
        monkeypatch.setattr(fetching, "ROWS_WORTH_CONDENSING", WAYS[way])
    for file in ("tables.toml", "signals.toml"):
        path = company.folder / "overlay" / file
        path.write_text(re.sub(r'hours( = \{|"\])', rf"{name}\1", path.read_text("utf-8")), encoding="utf-8")
    company.csv("trainings", CORRECTED.replace("hours", name), "begins = 2024-01-01")
    assert [vectors(company).reading(row, "training_hours") for row in (0, 1)] == [3.5, 0.0]


@pytest.mark.parametrize(
    "name",
    ["days", "moments", "coverage", "chosen_accounts", "feed_accounts", "given_rows", "account_ids", "kept"],
)
def test_a_table_may_have_a_name_that_a_query_would_use(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {file: text.replace("trainings", name) for file, text in FILES.items()})
    made = Company(tmp_path).says("observed_until = 2025-06-30").section('[catalogue]\noverlay = "overlay"')
    company = made.csv(name, CORRECTED)
    assert [vectors(company).reading(row, "training_hours") for row in (0, 1)] == [3.5, 0.0]


def test_without_the_table_the_signal_is_not_connected(company_without: Company) -> None:
    assert vectors(company_without).reading(0, "training_hours") == Unknown(UnknownReason.NOT_CONNECTED)


@pytest.fixture
def company_without(tmp_path: Path) -> Company:
    write_files(tmp_path, FILES)
    made = Company(tmp_path).says("observed_until = 2025-06-30").section('[catalogue]\noverlay = "overlay"')
    return made.csv("visits", "account_id,page,occurred_at\na1,cancel,2024-01-01\n")


def test_check_says_what_is_unknown_without_an_own_table(company_without: Company) -> None:
    (said,) = [p for p in company_without.check() if p.table == "trainings"]
    assert (said.code, said.sentence) == (
        "S501",
        "trainings is not connected. Unknown without it: training_hours.",
    )


def test_check_judges_the_rows_of_an_own_table(company: Company) -> None:
    company.csv(
        "trainings", f"{TRAININGS}t4,a1,soon,1\nt5,a9,2025-06-01,1\nt6,a1,2025-06-01,-2\nt7,a1,2025-08-01,1\n"
    )
    found = {p.code: p for p in company.check() if p.table == "trainings"}
    assert found["S105"].sentence == "held_at cannot be read as a time (2025-06-30 17:00:00) in 1 row of 7."
    assert found["S203"].sample == ("a9",)
    assert (found["S107"].rows, found["S107"].sample) == (1, ("-2",))
    assert found["S304"].rows == 1


def test_check_names_a_missing_column_and_who_would_read_it(company: Company) -> None:
    company.csv("trainings", "training_id,account_id,held_at\nt1,a1,2025-06-02\n")
    (said,) = [p for p in company.check() if p.code == "S502" and p.table == "trainings"]
    assert said.sentence == "trainings has no hours, which training_hours would read."


def test_feeds_may_name_an_own_table(company: Company) -> None:
    company.csv("trainings", TRAININGS)
    company.csv(
        "feeds", "table,account_id,covered_from,covered_to\ntrainings,,2025-04-01,\ntrainigs,,2025-04-01,\n"
    )
    (said,) = [p for p in company.check() if p.code == "S401"]
    assert 'feeds names "trainigs". Did you mean "trainings"?' in said.sentence
    assert vectors(company).reading(0, "training_hours") == Unknown(UnknownReason.HISTORY_TOO_SHORT)


def test_a_column_by_another_name_is_mapped_and_a_wrong_one_gets_its_near_miss(company: Company) -> None:
    company.csv("trainings", TRAININGS.replace("hours", "Stunden"), 'columns = { hours = "Stunden" }')
    assert vectors(company).reading(0, "training_hours") == 3.5
    company.csv("trainings", TRAININGS, 'columns = { houres = "hours" }')
    with pytest.raises(
        SourcesError, match=r"\[tables.trainings\], columns: unknown column \"houres\"\. Did you mean"
    ):
        company.load()


def test_a_required_column_that_is_missing_is_named(company: Company) -> None:
    company.csv("trainings", "training_id,account_id,held\nt1,a1,2025-06-02\n")
    with pytest.raises(TableError, match=r'trainings: there is no column "held_at"\. Did you mean "held"\?'):
        open_database(company.load())


def test_evidence_quotes_an_own_table_without_ids_and_times(company: Company) -> None:
    with open_database(company.load()) as database:
        catalogue = database.sources.catalogue
        quoted = account_evidence(database, catalogue, "a1", TODAY, ["training_hours"])["training_hours"]
    assert [(e.table, e.key, e.occurred_at.date(), e.text) for e in quoted] == [
        ("trainings", "t1", dt.date(2025, 6, 2), "hours: 2"),
        ("trainings", "t2", dt.date(2025, 5, 2), "hours: 1.5"),
    ]


# --- an overlay that is broken, or only proposed -----------------------------------------------------------


def test_a_broken_table_is_the_catalogues_error_and_not_an_unknown_table(company: Company) -> None:
    (company.folder / "overlay" / "tables.toml").write_text("[trainings\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"tables\.toml: broken TOML"):
        company.load()


def test_check_tells_a_broken_contract_and_checks_the_other_tables(company: Company) -> None:
    company.csv("visits", "account_id,page,occurred_at\na1,nowhere,2024-01-01\n")
    company.load()
    (company.folder / "overlay" / "tables.toml").write_text(TABLE.replace('"event"', '"evnt"'), encoding="utf-8")
    found = report_on(company.folder, TODAY).problems
    assert ['"evnt" is not allowed' in p.sentence for p in found if p.code == "S901"] == [True]
    assert [p.table for p in found if p.code == "S108"] == ["visits"]


def test_a_table_of_a_proposed_overlay_may_be_connected_before_it_is_adopted(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    company = Company(tmp_path).csv("trainings", TRAININGS)
    with pytest.raises(SourcesError, match='unknown table "trainings"'):
        company.load()
    now, proposed = load_proposed(tmp_path, tmp_path / "overlay")
    assert (list(now.tables), list(proposed.tables)) == (["accounts"], ["accounts", "trainings"])
    with open_database(proposed) as database:
        assert set(database.tables) == {"accounts", "trainings"}


def test_a_table_of_neither_overlay_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    (tmp_path / "sources.toml").write_text(Company(tmp_path).csv("trainigs", TRAININGS).toml, encoding="utf-8")
    with pytest.raises(SourcesError, match=r'unknown table "trainigs"\. Did you mean "trainings"\?'):
        load_proposed(tmp_path, tmp_path / "overlay")
