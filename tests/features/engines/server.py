"""A PostgreSQL server for the tests, from the installed binaries, reached over a socket in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PATIENCE_SECONDS = 30


def _binary(name: str) -> str:
    found = shutil.which(name) or (str(BINARIES[-1] / name) if BINARIES else None)
    if found is None:
        pytest.skip("PostgreSQL is not installed here: there is no initdb")
    return found


def _user() -> str | None:
    """Whom to run the server as: it refuses root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextlib.contextmanager
def postgresql_server() -> Iterator[str]:
    """Start an empty server and give the address of its database; it ends with the block."""
    initdb, postgres, user = _binary("initdb"), _binary("postgres"), _user()
    folder = Path(tempfile.mkdtemp(prefix="keepsight-postgresql-"))  # short: a socket's path has 107 characters
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    made = ["-D", str(data), "-A", "trust", "-U", "keepsight", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run([initdb, *made], user=user, cwd=folder, check=True, capture_output=True)
    with (folder / "log").open("wb") as log:
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=20"]
        server = subprocess.Popen(
            [postgres, "-D", str(data), "-k", str(folder), *options], user=user, cwd=folder, stdout=log, stderr=log
        )
    try:
        address = f"postgresql:///postgres?host={folder}&user=keepsight"
        _wait_until_it_answers(address, server, folder / "log")
        yield address
    finally:
        server.send_signal(signal.SIGINT)  # ends sessions too
        server.wait(PATIENCE_SECONDS)
        shutil.rmtree(folder)


def _wait_until_it_answers(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    for _ in range(PATIENCE_SECONDS * 20):
        if server.poll() is not None:
            break
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(address).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"PostgreSQL does not start: {log.read_text()}")
