"""One at a time where no file is shared: a claim on a registered model of a tracking server.

MLflow has no comparing write. A claim is a tag that is written, left for a moment and read again: who finds
another's name there has lost and waits. Two that write within that moment see the later name only. What this
guarantees: two promotions do not run at the same time unless a write takes longer than :data:`PAUSE_SECONDS` to
be seen; and even then the alias moves by single steps to versions that have passed their gates, so that what is
served is whole and gated: at worst one of the two is missing from the line that `rollback` goes back along.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from features.errors import TrackingError
from training.turns import Say, this_process

CLAIM = "claimed_by"
PAUSE_SECONDS = 1.0
LEFT_SECONDS = 60.0  # a claim that stands unchanged for so long was left by a process that is dead

StillMine = Callable[[], None]


@contextmanager
def claim(client: Any, model: str, patience_seconds: float, say: Say) -> Iterator[StillMine]:
    """Hold the claim on a registered model; what is given raises if it was lost, and is called before each step.

    Raises
    ------
    TrackingError
        Another has held it for too long, or has taken it.
    """
    ours = f"{this_process()}, {uuid.uuid4().hex[:12]}"
    _take(client, model, ours, patience_seconds, say)

    def still_mine() -> None:
        if (now := _claimed(client, model)) != ours:
            raise TrackingError(
                f"The tracking server's claim on {model} was taken over ({now or 'removed'}): nothing was moved. "
                "Start again."
            )

    try:
        yield still_mine
    finally:
        if _claimed(client, model) == ours:
            client.delete_registered_model_tag(model, CLAIM)


def _take(client: Any, model: str, ours: str, patience_seconds: float, say: Say) -> None:
    begun = since = time.monotonic()
    seen = None
    while True:
        there = _claimed(client, model)
        if there is None or (there == seen and time.monotonic() - since > LEFT_SECONDS):
            client.set_registered_model_tag(model, CLAIM, ours)
            time.sleep(PAUSE_SECONDS)
            if _claimed(client, model) == ours:
                return
            continue
        if there != seen:
            if seen is None:
                say(f"Waiting for another keepsight command ({there}), {patience_seconds:g} s at most.")
            seen, since = there, time.monotonic()
        if time.monotonic() - begun >= patience_seconds:
            raise TrackingError(
                f"The registered model {model} is claimed by another keepsight command ({there}) for the "
                f"{patience_seconds:g} s that this one has waited. Start again when that one has ended."
            )
        time.sleep(PAUSE_SECONDS)


def _claimed(client: Any, model: str) -> str | None:
    said: str | None = client.get_registered_model(model).tags.get(CLAIM)
    return said
