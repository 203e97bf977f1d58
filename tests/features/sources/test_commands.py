from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.commandline import reported
from features.commands import app
from features.sources.commands import run_check
from tests.features.sources.company import Company

USAGE = "account_id,occurred_at\na1,2025-01-01 10:00\n"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_errors_make_the_exit_code_1(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    company.csv("usage", f"{USAGE}a1,?\n").load()
    assert run_check(company.folder / "sources.toml", as_json=False) == 1
    out = said(capsys)
    assert "error S105 usage occurred_at cannot be read as a time" in out
    assert "for instance ?" in out
    assert "1 error," in out


def test_warnings_do_not(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    company.csv("usage", USAGE).load()
    assert run_check(company.folder, as_json=False) == 0
    assert "0 errors, 1 warning," in said(capsys)


def test_the_sources_may_stand_in_the_environment(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.csv("usage", USAGE).load()
    monkeypatch.setenv("KEEPSIGHT_SOURCES", str(company.folder))
    found = CliRunner().invoke(app, ["check"])
    assert found.exit_code == 0, found.output
    assert "1 warning" in found.stdout


def test_a_remedy_is_said_once_for_all_that_it_helps(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    company.csv("usage", USAGE).load()
    run_check(company.folder, as_json=False)
    assert said(capsys).count("Connect it in sources.toml") == 1


def test_json_says_the_same_for_programs(company: Company, capfd: pytest.CaptureFixture[str]) -> None:
    company.csv("usage", f"{USAGE}a1,?\n").load()
    assert run_check(company.folder, as_json=True) == 1
    report = json.loads(capfd.readouterr().out)
    (error,) = [problem for problem in report["problems"] if problem["severity"] == "error"]
    assert (error["code"], error["table"], error["rows"], error["sample"]) == ("S105", "usage", 1, ["?"])
    assert report["errors"] == 1
    assert report["tables"][1] == {
        "table": "usage",
        "rows": 2,
        "kept": 1,
        "first": "2025-01-01",
        "last": "2025-01-01",
    }


@pytest.mark.parametrize("text", ["company = ", 'company = "Acme"\n[tables.usge]\npath = "u.csv"'])
def test_a_sources_toml_that_cannot_be_read_is_an_error_like_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "sources.toml").write_text(text, encoding="utf-8")
    assert run_check(tmp_path, as_json=True) == 1
    assert {problem["code"] for problem in json.loads(capsys.readouterr().out)["problems"]} == {"S902"}


def test_a_missing_sources_toml_is_an_error_like_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_check(tmp_path / "sources.toml", as_json=False) == 1
    assert "S902" in said(capsys)


def test_with_a_broken_catalogue_the_tables_are_still_checked(
    company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    company.csv("usage", f"{USAGE}a1,?\n").section('[catalogue]\noff = ["negative_review"]')
    (company.folder / "sources.toml").write_text(company.toml, encoding="utf-8")
    assert run_check(company.folder, as_json=True) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [p["code"] for p in problems if p["severity"] == "error"] == ["S105", "S901"]


def test_the_command_line_is_light_until_it_is_asked() -> None:
    heavy = "{'numpy', 'pandas', 'ibis', 'duckdb', 'pyarrow', 'lightgbm', 'mlflow'}"
    code = f"import sys, features.sources.commands; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("said", "raised"), [("Query interrupted", KeyboardInterrupt), ("other", RuntimeError)])
def test_a_query_ended_by_ctrl_c_is_an_interrupt_and_no_error(said: str, raised: type[BaseException]) -> None:
    """What DuckDB raises, told without a signal: now and then it misses one."""

    @reported
    def command() -> None:
        raise RuntimeError(said)

    with pytest.raises(raised):
        command()
