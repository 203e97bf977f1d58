"""What the README shows must work as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

import keepsight
from features.sources import load_sources, open_database

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = sorted(set(re.findall(r"`keepsight ([a-z-]+)", README)))
LINKS = re.findall(r"\]\(([^)#:]+)\)", README)


def test_the_readme_names_every_command() -> None:
    named = set(re.findall(r"`(?:keepsight )?([a-z-]+)", README))
    app = keepsight.app
    offered = {
        command.name or command.callback.__name__.replace("_", "-")
        for group in app.registered_groups
        for command in group.typer_instance.registered_commands
    }
    assert offered <= named


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_explains_itself(command: str) -> None:
    result = CliRunner().invoke(keepsight.app, [command, "--help"])
    assert result.exit_code == 0


@pytest.mark.parametrize("link", LINKS)
def test_a_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_the_sources_of_the_readme_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.toml").write_text(README.split("```toml\n")[1].split("```")[0])
    (tmp_path / "accounts.csv").write_text("account_id,name\nA,Acme\n")
    (tmp_path / "events").mkdir()
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 'A' AS account, 'p' AS person, 'f' AS feature, TIMESTAMP '2025-05-01' AS happened) "
            f"TO '{tmp_path / 'events' / 'may.parquet'}'"
        )
    sources = load_sources(tmp_path / "sources.toml")
    assert sources.config.company == "Example"
    with open_database(sources) as database:
        assert database.connection.to_pyarrow(database.tables["usage"].user_id).to_pylist() == ["p"]


def test_every_make_target_of_the_readme_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make ([a-z-]+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_no_figure_is_left_to_be_filled_in() -> None:
    assert "@@" not in README


def test_the_line_for_cron_is_a_command_that_is_understood(tmp_path: Path) -> None:
    (line,) = re.findall(r"^\d+ \d+ \* \* \d+  (.*)$", README, flags=re.MULTILINE)
    setting, program, *arguments = shlex.split(line.split(">>")[0])
    assert program.endswith("/keepsight")
    environment = {"KEEPSIGHT_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": ""}
    result = CliRunner().invoke(keepsight.app, arguments, env=environment)
    assert setting.startswith("KEEPSIGHT_HOME=")
    assert result.exit_code == 1  # not 2: the options are known, and the company is not there
    assert "/srv/acme/sources.toml: no such file" in result.stderr
