"""The LightGBM model as text: load it, ask it, and keep the text the same on every machine.

LightGBM's answers leave ``init_score`` out: what it gives is what it *adds* to its start
(:class:`models.start.Start`).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from features.errors import BundleError
from features.vectors import Floats

_PARAMETERS, _END_OF_PARAMETERS = "\nparameters:\n", "end of parameters\n"
_PARSE_SECONDS = 120

# Run by a child process: reads the file, and asks one answer of each kind.
_PARSE = """
import sys, numpy, lightgbm
booster = lightgbm.Booster(model_str=open(sys.argv[1], encoding="utf-8").read())
row = numpy.zeros((1, booster.num_feature()))
booster.predict(row, raw_score=True, num_threads=1)
booster.predict(row, pred_contrib=True, num_threads=1)
"""


def booster_text(booster: Any) -> str:
    """Return a trained booster as text, without the parameters it was trained with.

    They hold the number of threads and file names, so that the same model would have another digest on
    another machine; the recipe beside it says what matters. LightGBM reads the text without them.
    """
    text: str = booster.model_to_string()
    head, found, rest = text.partition(_PARAMETERS)
    if not found:
        return text
    return head + "\n" + rest.partition(_END_OF_PARAMETERS)[2]


def load_booster(text: str) -> Any:
    """Return the booster of a text.

    Raises
    ------
    BundleError
        LightGBM cannot read it. A text that may be damaged is given to :func:`refuse_unless_readable` first,
        since LightGBM can end the process over one.
    """
    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise BundleError(f"booster.txt: LightGBM cannot read it ({error}). {REMEDY}") from error


def refuse_unless_readable(path: Path) -> None:
    """Read a booster's file in a process of its own, since a damaged one can end the process that reads it.

    Raises
    ------
    BundleError
        The process failed.
    """
    command = [sys.executable, "-I", "-c", _PARSE, str(path)]
    try:
        # A short-lived child, started anew and not forked: LightGBM's threads do not survive a fork.
        # What it says may hold bytes of the damaged file.
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_PARSE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"{path}: not read after {_PARSE_SECONDS} s. {REMEDY}") from error
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit {done.returncode}"]
        raise BundleError(f"{path}: LightGBM cannot read it ({reason[0]}). {REMEDY}")


REMEDY = "Restore the bundle from the registry, or train again (`keepsight train`)."


def margin(booster: Any, X: Floats) -> Floats:  # noqa: N803 - the customary name of a design matrix
    """Return the log-odds that the booster adds to its start: shape (n,)."""
    if len(X) == 0:
        return np.zeros(0)
    # num_threads=1: one row costs 0.02 ms; a thread pool only adds to that.
    return np.asarray(booster.predict(X, raw_score=True, num_threads=1), dtype=np.float64)


def contributions(booster: Any, X: Floats) -> Floats:  # noqa: N803
    """Return each column's share of :func:`margin` and, last, the expected margin: shape (n, d + 1)."""
    if len(X) == 0:
        return np.zeros((0, booster.num_feature() + 1))
    return np.asarray(booster.predict(X, pred_contrib=True, num_threads=1), dtype=np.float64)
