"""A store that cannot be used is said to be so, at once and with what to do; never a traceback."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.errors import TrackingError
from training import store
from training.commands import app
from training.turns import turn


def refused(*command: str) -> str:
    """Run a command that must end with a sentence and exit code 1; return the sentence."""
    result = CliRunner().invoke(app, list(command))
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join(result.stderr.split())


@pytest.mark.parametrize("junk", [b"", b"not a database at all", b"SQLite format 3\x00" + b"\xff" * 4096])
def test_junk_is_named_with_the_way_out_and_is_left_alone(home: Path, junk: bytes) -> None:
    (home / "mlflow.db").write_bytes(junk)
    said = refused("promote", "1")
    assert "no MLflow store, or a damaged one" in said
    assert "mv " in said
    assert "goes on serving" in said
    assert (home / "mlflow.db").read_bytes() == junk


def test_training_finds_out_before_it_trains(home: Path) -> None:
    (home / "mlflow.db").write_bytes(b"junk")
    assert "no MLflow store" in refused("train", "--snapshots", "nowhere.parquet")


def test_a_store_of_a_newer_mlflow_is_not_touched(home: Path) -> None:
    with closing(sqlite3.connect(home / "mlflow.db")) as made, made:
        made.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    said = refused("rollback")
    assert "written by a newer MLflow" in said
    assert "ffffffffffff" in said


def test_a_store_of_an_older_mlflow_is_brought_up_to_date_by_its_owner(home: Path) -> None:
    with closing(sqlite3.connect(home / "mlflow.db")) as made, made:
        made.execute("UPDATE alembic_version SET version_num = '0584bdc529eb'")
    said = refused("rollback")
    assert f"mlflow db upgrade sqlite:///{home / 'mlflow.db'}" in said


def test_a_locked_store_is_said_to_be_locked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.2)
    with closing(sqlite3.connect(home / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "locked by another program" in refused("rollback")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_store_without_the_right_to_write_is_named(home: Path) -> None:
    (home / "mlflow.db").chmod(0o444)
    assert "cannot be written" in refused("rollback")


def test_a_store_that_is_a_folder_is_named(home: Path) -> None:
    (home / "mlflow.db").unlink()
    (home / "mlflow.db").mkdir()
    assert "cannot be written (unable to open database file)" in refused("rollback")


def test_a_server_that_does_not_answer_is_named_within_seconds(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    said = refused("promote", "1")
    assert "the tracking server does not answer" in said
    assert "MLFLOW_TRACKING_URI" in said


HOLDING = """
import sys, pathlib
from training.turns import turn
with turn(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_waits_is_told_for_whom_and_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    lock = tmp_path / "home" / "training.lock"
    command = [sys.executable, "-c", HOLDING, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(TrackingError, match=rf"process {holder.pid} on .* or end it"),
            turn(lock, 0.5, said.append),
        ):
            pass
        holder.kill()
        holder.wait()
        with turn(lock, 5.0):
            pass
    assert len(said) == 1
    assert f"Waiting for another keepsight command (process {holder.pid} on" in said[0]


@pytest.mark.slow
def test_a_new_store_is_there_whole_or_not_at_all(home: Path, migrated_store: Path) -> None:
    from training.tracking import Tracking

    (home / "mlflow.db").unlink()
    shutil.copy(migrated_store, home / ".mlflow.db.part")
    (home / ".mlflow.db.part").write_bytes(b"half a migration")
    with Tracking(home)._mlflow() as mlflow:
        assert mlflow.search_experiments() is not None
    store.refuse_unless_usable(home / "mlflow.db")
    assert not (home / ".mlflow.db.part").exists()
