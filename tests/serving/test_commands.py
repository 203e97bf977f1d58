"""`keepsight score`, `explain` and `serve` on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from models.bundle import Bundle, install_bundle, save_bundle
from serving.commands import app
from serving.schemas import Answer
from tests.serving.company import AS_OF, IN_FORCE, LEFT, TROUBLED, write_company

SCORE_COLUMNS = [
    "account_id", "as_of", "model_probability", "scorecard_probability", "churn_probability", "model_weight",
    "interval", "band", "health_score", "coverage", "arr_at_risk",
]  # fmt: skip


@pytest.fixture
def keepsight(home: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("KEEPSIGHT_HOME", str(home))
    monkeypatch.delenv("KEEPSIGHT_SOURCES", raising=False)
    return CliRunner()


def test_score_writes_one_row_an_account_and_explain_agrees_with_it(
    keepsight: CliRunner, sources: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "scores.parquet"
    scored = keepsight.invoke(app, ["score", "--sources", str(sources), "--as-of", AS_OF, "--out", str(out)])
    assert scored.exit_code == 0, scored.output
    table = pq.read_table(out)
    assert table.column_names == SCORE_COLUMNS
    rows = {row["account_id"]: row for row in table.to_pylist()}
    assert set(rows) == IN_FORCE
    assert f"{len(IN_FORCE)} accounts as of {AS_OF} 00:00, by model" in scored.output
    explained = keepsight.invoke(
        app, ["explain", "--most-at-risk", "--sources", str(sources), "--as-of", AS_OF, "--json"]
    )
    assert explained.exit_code == 0, explained.output
    answer = json.loads(explained.stdout)
    Answer.model_validate(answer)
    assert answer["account_id"] == max(rows, key=lambda account: rows[account]["churn_probability"]) == TROUBLED
    row = rows[TROUBLED]
    assert answer["as_of"] == f"{row['as_of'].isoformat()}Z"
    for column in SCORE_COLUMNS[2:-1]:
        assert answer[column] == row[column], column
    assert row["arr_at_risk"] == row["churn_probability"] * 50_000
    assert rows["unseen"]["arr_at_risk"] is None


def test_explain_prints_sentences_in_the_language_asked_for(
    keepsight: CliRunner, sources: Path, tmp_path: Path
) -> None:
    said = keepsight.invoke(app, ["explain", TROUBLED, "--sources", str(sources), "--lang", "zh", "--rules-alone"])
    assert said.exit_code == 0, said.output
    assert "要做什么" in said.stdout
    assert "有投诉" in said.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", "nobody"], 'There is no account "nobody" in the sources of Small.'),
        (["explain", LEFT], "no contract in force"),
        (["explain", TROUBLED, "--as-of", "2999-01-01"], "lies in the future"),
        (["explain", TROUBLED, "--lang", "de"], "Allowed: en, zh."),
        (["explain", TROUBLED, "--bundle", "nowhere"], "no bundle here"),
        (
            ["score", "--out", "never.parquet", "--as-of", "1990-01-01"],
            "No account of Small has a contract in force",
        ),
    ],
)
def test_what_cannot_be_answered_is_said_with_exit_code_1(
    keepsight: CliRunner, sources: Path, arguments: list[str], said: str
) -> None:
    result = keepsight.invoke(app, [*arguments, "--sources", str(sources)])
    assert result.exit_code == 1, result.output
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
    assert not Path("never.parquet").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain"],
        ["explain", TROUBLED, "--most-at-risk"],
        ["explain", TROUBLED, "--as-of", "yesterday"],
        ["score"],
        ["score", "--out", "scores.csv"],
        ["serve", "--port", "70000"],
    ],
)
def test_a_wrong_command_line_has_exit_code_2(keepsight: CliRunner, sources: Path, arguments: list[str]) -> None:
    assert keepsight.invoke(app, [*arguments, "--sources", str(sources)]).exit_code == 2


@pytest.mark.parametrize("command", [["score", "--out", "x"], ["explain", "acme"], ["serve"]])
def test_sources_that_are_not_there_are_a_clear_error(
    keepsight: CliRunner, tmp_path: Path, command: list[str]
) -> None:
    result = keepsight.invoke(app, [*command, "--sources", str(tmp_path / "sources.toml")])
    assert result.exit_code == 1
    assert "no such file" in result.stderr


def test_broken_toml_and_a_missing_table_are_clear_errors(keepsight: CliRunner, tmp_path: Path) -> None:
    path = write_company(tmp_path)
    (tmp_path / "accounts.csv").unlink()
    missing = keepsight.invoke(app, ["explain", TROUBLED, "--sources", str(path)])
    assert missing.exit_code == 1
    assert "accounts.csv" in missing.stderr
    path.write_text("[tables\n")
    broken = keepsight.invoke(app, ["explain", TROUBLED, "--sources", str(path)])
    assert broken.exit_code == 1
    assert "is not TOML" in broken.stderr


def test_a_champion_that_is_damaged_is_refused_and_names_the_way_out(
    keepsight: CliRunner, sources: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_bundle(bundle, tmp_path / "champion")
    (tmp_path / "champion" / "blend.json").write_text("{}")
    monkeypatch.setenv("KEEPSIGHT_HOME", str(tmp_path))
    result = keepsight.invoke(app, ["explain", TROUBLED, "--sources", str(sources)])
    assert result.exit_code == 1
    assert "blend.json: changed since it was saved" in result.stderr
    assert "--rules-alone" in result.stderr


@pytest.mark.parametrize("out", [".", "a_file/scores.parquet"])
def test_a_file_that_cannot_be_written_is_a_clear_error(
    keepsight: CliRunner, sources: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "a_file").touch()
    done = keepsight.invoke(
        app, ["score", "--sources", str(sources), "--as-of", AS_OF, "--out", str(tmp_path / out)]
    )
    assert done.exit_code == 1
    assert "cannot be read or written" in done.output
    assert not list(tmp_path.parent.glob("*.part"))


def test_the_champion_of_another_company_is_refused_with_the_way_out(
    keepsight: CliRunner, sources: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_bundle(replace(bundle, company="Large"), tmp_path / "champion")
    monkeypatch.setenv("KEEPSIGHT_HOME", str(tmp_path))
    result = keepsight.invoke(app, ["explain", TROUBLED, "--sources", str(sources)])
    assert result.exit_code == 1
    assert "trained on the tables of Large, and the sources are those of Small" in result.stderr
    assert "KEEPSIGHT_HOME" in result.stderr
    install_bundle(replace(bundle, company="Small"), tmp_path / "champion")
    assert keepsight.invoke(app, ["explain", TROUBLED, "--sources", str(sources)]).exit_code == 0
