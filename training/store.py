"""The embedded MLflow store and the tracking server, looked at before MLflow does: it retries what cannot work.

What is wrong is said with what to do, in a second: MLflow itself tries a damaged file for minutes.
"""

from __future__ import annotations

import importlib.util
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path

from features.errors import TrackingError

LOCK_SECONDS = 10.0
ANSWER_SECONDS = 10.0


def refuse_unless_usable(path: Path) -> None:
    """Refuse an SQLite store that cannot be written, is damaged, or is newer than this MLflow; none is fine.

    Raises
    ------
    TrackingError
        With what to do.
    """
    if not path.exists():
        return
    try:
        name = urllib.parse.quote(str(path))
        with closing(sqlite3.connect(f"file:{name}?mode=rw", uri=True, timeout=LOCK_SECONDS)) as store:
            store.execute("BEGIN IMMEDIATE")
            store.execute("ROLLBACK")
            (schema,) = store.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise TrackingError(f"{path}: {_said(path, error)}") from error
    if schema not in _known_schemas():
        raise TrackingError(
            f"{path}: written by a newer MLflow than the one installed (its schema {schema} is not known here). "
            "Use the environment that wrote it, or another home (KEEPSIGHT_HOME)."
        )


def _known_schemas() -> set[str]:
    """Return the revisions of the schema that the installed MLflow knows: its migrations are named by them."""
    found = importlib.util.find_spec("mlflow")  # found, not imported: that takes seconds
    assert found is not None
    assert found.origin is not None
    migrations = Path(found.origin).parent / "store" / "db_migrations" / "versions"
    return {path.name.partition("_")[0] for path in migrations.glob("*.py")}


def _said(path: Path, error: Exception) -> str:
    text = str(error)
    if "locked" in text:
        return (
            f"locked by another program for more than {LOCK_SECONDS:g} s. Close what has it open (an MLflow user "
            "interface, a database browser, a copy under way) and start again."
        )
    if "readonly" in text or "unable to open" in text:
        return f"cannot be written ({text}). Give this user the right to write the file and its folder."
    return (
        f"no MLflow store, or a damaged one ({text}). Restore it from a copy, or move it away "
        f"(mv {path} {path}.damaged): the next training makes a new one; the champion in "
        f"{path.parent / 'champion'} goes on serving."
    )


def refuse_unless_answering(uri: str) -> None:
    """Refuse a tracking server that does not answer; stores that are no server are not asked.

    Raises
    ------
    TrackingError
        With what to do.

    Examples
    --------
    >>> refuse_unless_answering("postgresql://tracking/mlflow")
    >>> refuse_unless_answering("http://127.0.0.1:9")
    Traceback (most recent call last):
    ...
    features.errors.TrackingError: http://127.0.0.1:9: the tracking server does not answer ...
    """
    if not uri.startswith(("http://", "https://")):
        return
    try:
        with urllib.request.urlopen(uri.rstrip("/") + "/health", timeout=ANSWER_SECONDS):
            pass
    except urllib.error.HTTPError:
        return  # it answers; whether it lets us in, MLflow finds out
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(
            f"{uri}: the tracking server does not answer ({reason}). Start it, correct MLFLOW_TRACKING_URI, or "
            "leave that out to use the store in KEEPSIGHT_HOME."
        ) from error
