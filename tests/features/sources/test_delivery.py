"""How files and queries are read: paths, names, mappings, and what cannot be read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from features.errors import SourcesError, TableError
from features.sources import load_sources, open_database
from features.sources.delivery import refuse_to_replace_tables
from tests.features.sources.company import Company, rows

USAGE = "account_id,user_id,occurred_at\na1,u1,2025-01-01 10:00\na2,u2,2025-01-02 11:00\n"


def test_csv_parquet_and_query_give_the_same_rows(company: Company) -> None:
    columns = {
        "account_id": ["a1", "a2"],
        "user_id": ["u1", "u2"],
        "occurred_at": ["2025-01-01 10:00", "2025-01-02 11:00"],
    }
    from_csv = rows(company.csv("usage", USAGE).open(), "usage", "row_key", "user_id", "occurred_at")
    from_query = company.query("usage", "select * from read_csv('usage.csv', all_varchar = true)").open()
    assert rows(from_query, "usage", "row_key", "user_id", "occurred_at") == from_csv
    from_parquet = company.parquet("usage", columns).open()
    assert rows(from_parquet, "usage", "row_key", "user_id", "occurred_at") == from_csv


@pytest.mark.parametrize(
    "folder",
    ["plain", "with space", "Mary's", 'a "quoted" name', "a, comma", "[1]", "100%", "Zoë 客户"],
)
def test_paths_may_hold_any_character(company_in: Callable[[str], Company], folder: str) -> None:
    company = company_in(folder)
    company.csv("usage", USAGE, file="usage [final], it's.csv")
    (company.folder / "tickets.csv").write_text("account_id,opened_at\na1,2025-01-01\n", encoding="utf-8")
    company.query("tickets", "select * from 'tickets.csv'")
    database = company.open()
    assert (len(rows(database, "usage", "row_key")), len(rows(database, "tickets", "row_key"))) == (2, 1)


def test_a_pattern_reads_many_files(company: Company) -> None:
    for month in ("01", "02"):
        company.csv("usage", f"account_id,occurred_at\na1,2025-{month}-01\n", file=f"usage/{month}.csv")
    assert len(rows(company.path("usage", "usage/*.csv").open(), "usage", "row_key")) == 2


def test_compressed_csv_is_read(company: Company) -> None:
    (company.folder / "usage.csv.gz").write_bytes(gzip.compress(USAGE.encode()))
    assert len(rows(company.path("usage", "usage.csv.gz").open(), "usage", "row_key")) == 2


def test_an_absolute_path_is_taken_as_it_is(company: Company) -> None:
    company.csv("usage", USAGE).path("usage", str(company.folder / "usage.csv"))
    assert len(rows(company.open(), "usage", "row_key")) == 2


def test_columns_are_mapped_by_name(company: Company) -> None:
    text = 'Kunde,"the ""when""",uid\na1,2025-01-01 10:00,u1\n'
    mapped = """columns = { account_id = "Kunde", occurred_at = 'the "when"', user_id = "uid" }"""
    assert rows(company.csv("usage", text, mapped).open(), "usage", "account_id", "user_id") == [("a1", "u1")]


def test_upper_and_lower_case_are_the_same(company: Company) -> None:
    company.csv("usage", "Account_ID,OCCURRED_AT\na1,2025-01-01\n")
    assert rows(company.open(), "usage", "account_id") == ["a1"]


def test_a_query_reads_no_variable_of_the_program(company: Company) -> None:
    company.query("usage", "select * from relation")
    with pytest.raises(TableError, match="relation does not exist"):
        company.open()


def test_a_query_may_end_with_a_comment_or_a_semicolon(company: Company) -> None:
    company.csv("usage", USAGE).query("usage", "select * from 'usage.csv'; -- all of it")
    with pytest.raises(TableError, match="usage: the query cannot be read"):
        company.open()  # a statement after a semicolon is not a query
    assert len(rows(company.query("usage", "select * from 'usage.csv' -- all").open(), "usage", "row_key")) == 2
    assert len(rows(company.query("usage", "select * from 'usage.csv';").open(), "usage", "row_key")) == 2


def test_only_accounts_are_needed(company: Company) -> None:
    company.csv("accounts", "account_id,recorded_at\na1,2025-01-01 08:00\n")
    database = company.open()
    assert list(database.tables) == ["accounts"]
    assert rows(database, "coverage", "table") == []


def test_all_missing_files_are_named_at_once(company: Company) -> None:
    company.csv("usage", USAGE).path("usage", "usge.csv").path("tickets", "tickets.parquet")
    with pytest.raises(SourcesError) as error:
        company.open()
    assert "[tables.usage]: no such file:" in str(error.value)
    assert 'Did you mean "usage.csv"?' in str(error.value)
    assert "[tables.tickets]: no such file:" in str(error.value)


def test_a_folder_is_not_a_file(company: Company) -> None:
    (company.folder / "usage").mkdir()
    with pytest.raises(SourcesError, match=r"usage is a folder\. Name its files: path = \"usage/\*\.parquet\""):
        company.path("usage", "usage").open()


def test_a_pattern_without_files_is_refused(company: Company) -> None:
    with pytest.raises(TableError, match=r"usage: .*cannot be read: No files found"):
        company.path("usage", "usage/*.csv").open()


def test_other_kinds_of_files_are_refused_with_a_way_out(company: Company) -> None:
    company.csv("usage", USAGE, file="usage.xlsx")
    with pytest.raises(SourcesError, match=r"is no CSV or Parquet file .* Read other formats with a query"):
        company.open()


def test_a_query_that_is_wrong_says_so_in_one_line(company: Company) -> None:
    with pytest.raises(TableError, match=r"usage: the query cannot be read: .*nowhere") as error:
        company.query("usage", "select * from nowhere").open()
    assert "LINE 1" not in str(error.value)


def test_a_broken_parquet_file_is_refused(company: Company) -> None:
    company.csv("usage", "no parquet", file="usage.parquet")
    with pytest.raises(TableError, match=r"usage: usage\.parquet cannot be read"):
        company.open()


def test_a_missing_column_gets_its_near_miss(company: Company) -> None:
    with pytest.raises(TableError, match=r'usage: there is no column "occurred_at"\. Did you mean "ocurred_at"'):
        company.csv("usage", "account_id,ocurred_at\na1,2025-01-01\n").open()


def test_a_mapped_column_that_is_not_there_is_refused(company: Company) -> None:
    company.csv("usage", USAGE, 'columns = { feature = "area" }')
    with pytest.raises(TableError, match=r'usage: there is no column "area" \(for feature\)'):
        company.open()


def test_no_account_at_all_is_refused(company: Company) -> None:
    with pytest.raises(TableError, match="accounts: there is no row that keeps the contract"):
        company.csv("accounts", "account_id\n").open()


def test_a_table_of_which_no_row_can_be_read_is_refused(company: Company) -> None:
    with pytest.raises(TableError, match=r"usage: no row keeps the contract\. `keepsight check`"):
        company.csv("usage", "account_id,occurred_at\na1,01/02/2025\n").open()


def test_an_empty_table_is_connected_and_tells_nothing(company: Company) -> None:
    company.says("observed_until = 2025-06-30").csv("usage", "account_id,occurred_at\n")
    database = company.open()
    assert rows(database, "usage", "row_key") == []
    assert rows(database, "coverage", "table") == []


def test_closing_deletes_the_temporary_files(company: Company) -> None:
    with company.csv("usage", USAGE).open() as database:
        place = database.engine.files.place
        assert place.is_dir()
    assert not place.exists()


@pytest.mark.parametrize("named", ["some", "so[m]e"])
def test_a_pattern_is_looked_for_from_a_relative_folder_too(
    company: Company, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.csv("usage", USAGE).path("usage", "usa*.csv").open().close()
    (tmp_path / named).symlink_to(company.folder, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    with open_database(load_sources(Path(named) / "sources.toml")) as database:
        assert len(rows(database, "usage", "row_key")) == 2


def test_what_a_table_is_read_from_is_not_written_to(company: Company, tmp_path: Path) -> None:
    company.csv("usage", USAGE).open().close()
    sources = load_sources(company.folder)
    refuse_to_replace_tables(sources, tmp_path / "new.parquet")
    with pytest.raises(SourcesError, match="is what the table usage is read from"):
        refuse_to_replace_tables(sources, company.folder / "usage.csv")
