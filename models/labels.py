"""Words around an answer, on pages and on the command line, by language."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path

_FILE = Path(__file__).with_name("labels.toml")


@functools.cache
def _all() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(_FILE.read_text("utf-8"))


def labels(lang: str) -> Mapping[str, str]:
    """Return the words of a language by key.

    >>> labels("en")["actions"], sorted(labels("en")) == sorted(labels("zh"))
    ('What to do', True)
    """
    return _all()[lang]
