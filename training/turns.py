"""One at a time: locks in Keepsight's home, and the folders of runs that were killed.

A lock is the operating system's own on an open file: it ends with the process that holds it, however that ends, so
that none is ever left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from features.errors import TrackingError

RUNNING = "running"
PATIENCE_SECONDS = 600.0
_LOOK_SECONDS = 0.2

Say = Callable[[str], None]


def nobody(_: str) -> None:
    """Hear a sentence and do nothing."""


def this_process() -> str:
    """Name this process as people find it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def turn(lock: Path, patience_seconds: float = PATIENCE_SECONDS, say: Say = nobody) -> Iterator[None]:
    """Hold a lock; wait while another process does.

    Parameters
    ----------
    lock
        The file; made if need be, and left there.
    patience_seconds
        How long to wait.
    say
        Told once, with the name of the holder, if there is something to wait for.

    Raises
    ------
    TrackingError
        The holder has not ended in time.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as home, turn(Path(home) / "a.lock"):
    ...     try:
    ...         with turn(Path(home) / "a.lock", patience_seconds=0):
    ...             pass
    ...     except TrackingError as error:
    ...         print("held by another" in str(error))
    True
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="utf-8") as file:
        _wait(file, lock, patience_seconds, say)
        file.truncate(0)
        file.write(this_process())
        file.flush()
        yield


@contextmanager
def turn_unless_taken(lock: Path) -> Iterator[str | None]:
    """Hold a lock and give None, or give the name of who holds it, without waiting."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="utf-8") as file:
        if not _taken(file):
            yield _holder(file)
            return
        file.truncate(0)
        file.write(this_process())
        file.flush()
        yield None


def _wait(file: IO[str], lock: Path, patience_seconds: float, say: Say) -> None:
    begun = time.monotonic()
    told = False
    while not _taken(file):
        if time.monotonic() - begun >= patience_seconds:
            raise TrackingError(
                f"{lock}: held by another keepsight command ({_holder(file)}) for the {patience_seconds:g} s that "
                "this one has waited. Start again when that one has ended, or end it: its lock ends with it."
            )
        if not told:
            say(f"Waiting for another keepsight command ({_holder(file)}), {patience_seconds:g} s at most.")
            told = True
        time.sleep(_LOOK_SECONDS)


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read(200) or "just begun"


@contextmanager
def working_folder(home: Path) -> Iterator[Path]:
    """Give a run a folder of its own, removed at its end; held by whoever has the turn.

    Its name is for the run's record, so that :func:`left_behind` tells which runs were killed.
    """
    folder = home / RUNNING / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(folder)


def left_behind(home: Path) -> list[Path]:
    """Return the folders of runs that were killed: all there are, to who has the turn and no run of its own."""
    return sorted((home / RUNNING).glob("*"))


def remove(folder: Path) -> None:
    """Remove a run's folder."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # something else is there
        folder.parent.rmdir()
