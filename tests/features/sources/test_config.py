from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from features.errors import CatalogueError, SourcesError
from features.sources import load_sources
from features.sources.contract import ColumnType
from tests.features.sources.company import Company


def refused(folder: Path, text: str) -> str:
    (folder / "sources.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SourcesError) as error:
        load_sources(folder)
    return str(error.value)


ACCOUNTS = '[tables.accounts]\npath = "accounts.csv"\n'


def test_everything_that_may_be_said_is_read(company: Company) -> None:
    company.says("yearly_churn = 0.12").says("observed_until = 2025-06-30")
    company.says('never_changing = ["accounts.industry", "accounts.size"]')
    company.csv("usage", "account_id,occurred_at\n", 'columns = { user_id = "uid" }\nbegins = 2023-01-01')
    company.section('[catalogue]\noff = ["negative_reviews"]')
    company.section('[context.company_size]\nof = "accounts.size"\nkind = "number"')
    company.section("[labels]\ninvoluntary_counts = true")
    sources = company.load()
    assert (sources.config.company, sources.yearly_churn) == ("Acme", 0.12)
    assert sources.config.observed_until == dt.date(2025, 6, 30)
    assert sources.config.tables["usage"].begins == dt.date(2023, 1, 1)
    assert sources.config.tables["usage"].columns == {"user_id": "uid"}
    assert sources.config.labels.involuntary_counts is True
    assert "negative_reviews" not in sources.catalogue.definitions.signals
    assert "company_size" in sources.catalogue.definitions.context
    assert sources.contracts["accounts"].columns["size"].type is ColumnType.NUMBER


def test_the_folder_serves_as_well_as_the_file(company: Company) -> None:
    assert company.load().path == load_sources(company.folder / "sources.toml").path


def test_a_missing_sources_toml_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match=r"sources\.toml: no such file\. .*keepsight demo-data"):
        load_sources(tmp_path / "sources.toml")


def test_broken_toml_names_its_line(tmp_path: Path) -> None:
    assert "is not TOML" in (message := refused(tmp_path, 'company = "Acme"\ntables = [\n[x'))
    assert "line 3" in message


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sources.toml").write_bytes('company = "Müller"'.encode("latin-1"))
    with pytest.raises(SourcesError, match="is not UTF-8 text"):
        load_sources(tmp_path)


def test_an_unknown_key_gets_its_near_miss(tmp_path: Path) -> None:
    message = refused(tmp_path, 'company = "Acme"\n[tables.accounts]\npth = "a.csv"\npath = "b.csv"')
    assert 'sources.toml, [tables.accounts]: unknown key "pth". Did you mean "path"?' in message


def test_an_unknown_key_at_the_top_gets_its_near_miss(tmp_path: Path) -> None:
    message = refused(tmp_path, f'company = "Acme"\nyearly_chrun = 0.1\n{ACCOUNTS}')
    assert 'sources.toml: unknown key "yearly_chrun". Did you mean "yearly_churn"?' in message


def test_an_unknown_table_gets_its_near_miss_and_a_way_out(tmp_path: Path) -> None:
    message = refused(tmp_path, f'company = "Acme"\n{ACCOUNTS}[tables.usge]\npath = "u.csv"')
    assert 'sources.toml, [tables]: unknown table "usge". Did you mean "usage"?' in message
    assert "Shape it into one of these with a query, or write its contract into tables.toml" in message


def test_an_unknown_column_gets_its_near_miss(tmp_path: Path) -> None:
    text = f'company = "Acme"\n{ACCOUNTS}[tables.usage]\npath = "u.csv"\ncolumns = {{ usr_id = "uid" }}'
    message = refused(tmp_path, text)
    assert 'sources.toml, [tables.usage], columns: unknown column "usr_id". Did you mean "user_id"?' in message


@pytest.mark.parametrize(
    ("settings", "said"),
    [('path = "u.csv"\nquery = "select 1"', "both are given"), ("never_rewritten = true", "neither is given")],
)
def test_a_table_has_either_a_path_or_a_query(tmp_path: Path, settings: str, said: str) -> None:
    message = refused(tmp_path, f'company = "Acme"\n{ACCOUNTS}[tables.usage]\n{settings}')
    assert f"sources.toml, [tables.usage]: a table has either a path or a query, and {said}" in message


def test_accounts_are_always_needed(tmp_path: Path) -> None:
    assert "`accounts` is missing" in refused(tmp_path, 'company = "Acme"\n[tables.usage]\npath = "u.csv"')


def test_other_engines_are_refused_by_name(tmp_path: Path) -> None:
    message = refused(tmp_path, f'company = "Acme"\n{ACCOUNTS}[connection]\nengine = "oracle"')
    assert 'sources.toml, [connection], engine: "oracle" is not allowed. Allowed: duckdb, ' in message


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ('engine = "postgresql"', "PostgreSQL has either a url or a url_env, and neither is given"),
        ('engine = "postgresql"\nurl = "postgresql://h/d"\nurl_env = "URL"', "and both are given"),
        ('url = "postgresql://h/d"', 'url is for engine = "postgresql", and the engine is "duckdb"'),
        (
            'engine = "postgresql"\nmaster = "local"',
            'master is for engine = "spark", and the engine is "postgresql"',
        ),
        ('engine = "spark"\nconfg = {}', 'unknown key "confg". Did you mean "config"?'),
        ('engine = "spark"\nconfig = { "spark.sql.shuffle.partitions" = 8 }', "text in quotes"),
    ],
)
def test_each_engine_is_told_what_it_asks_and_nothing_else(tmp_path: Path, said: str, problem: str) -> None:
    message = refused(tmp_path, f'company = "Acme"\n{ACCOUNTS}[connection]\n{said}')
    assert problem in message
    assert "sources.toml, [connection]" in message


def test_never_changing_names_columns_of_accounts(tmp_path: Path) -> None:
    message = refused(tmp_path, f'company = "Acme"\nnever_changing = ["accounts.industy"]\n{ACCOUNTS}')
    assert 'unknown column "accounts.industy". Did you mean "accounts.industry"?' in message


@pytest.mark.parametrize("share", ["0", "1", "12", "nan"])
def test_yearly_churn_is_a_share(tmp_path: Path, share: str) -> None:
    assert "yearly_churn" in refused(tmp_path, f'company = "Acme"\nyearly_churn = {share}\n{ACCOUNTS}')


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    message = refused(tmp_path, f'colour = "red"\n{ACCOUNTS}[tables.usge]\npath = "u.csv"\nbegins = "spring"')
    assert message.count("\n") == 3
    for part in ('missing key "company"', 'unknown key "colour"', 'unknown table "usge"', "begins"):
        assert part in message


def test_a_signal_switched_off_that_does_not_exist_is_the_catalogues_error(company: Company) -> None:
    company.section('[catalogue]\noff = ["negative_review"]')
    with pytest.raises(CatalogueError, match='Did you mean "negative_reviews"'):
        company.load()


def test_a_column_that_the_overlays_context_reads_can_be_mapped(
    company_in: Callable[[str], Company],
) -> None:
    company = company_in("with overlay")
    (company.folder / "overlay").mkdir()
    text = '[headcount]\nof = "accounts.people"\nkind = "number"\n'
    (company.folder / "overlay" / "context.toml").write_text(text, encoding="utf-8")
    company.csv("accounts", "account_id,employees\na1,5\n", 'columns = { people = "employees" }')
    company.section('[catalogue]\noverlay = "overlay"')
    assert company.load().contracts["accounts"].columns["people"].type is ColumnType.NUMBER


@pytest.mark.parametrize("said", ["lots", "0", "50%", "2 GBB", "-1GB"])
def test_an_amount_of_memory_is_asked_for_with_an_example(tmp_path: Path, said: str) -> None:
    told = refused(tmp_path, f'company = "Acme"\n{ACCOUNTS}[connection]\nmemory_limit = "{said}"\n')
    assert f'"{said}" is no amount of memory: write "700MB"' in told


def test_too_little_memory_is_refused(tmp_path: Path) -> None:
    told = refused(tmp_path, f'company = "Acme"\n{ACCOUNTS}[connection]\nmemory_limit = "20MB"\n')
    assert '"20MB" is too little for the tables of a company: allow "100MB" at least' in told


@pytest.mark.parametrize("column", ["row_key", "known_from", "known_until", "occurred_at", "a", "day", "_hash"])
def test_a_column_of_accounts_cannot_have_a_name_that_keepsight_uses(company: Company, column: str) -> None:
    company.section(f'[context.ours]\nof = "accounts.{column}"\nkind = "number"')
    with pytest.raises(CatalogueError, match=f'Keepsight uses the name "{column}" itself'):
        company.load()
