"""The problems that ``keepsight check`` finds: each kind has a code for life."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType


class Severity(StrEnum):
    """How bad it is.

    ``error``: rows or tables are lost, or there can be no answer. ``warning``: answers may be wrong.
    ``note``: nothing is wrong, and it is good to know.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its code, how bad it is, what it is about, and what to do."""

    code: str
    severity: Severity
    about: str
    remedy: str

    def found(
        self,
        table: str | None,
        sentence: str,
        *,
        rows: int | None = None,
        sample: Sequence[str] = (),
        remedy: str | None = None,
    ) -> Problem:
        """Return one finding of this kind; `remedy` where a more exact one is known."""
        return Problem(
            self.severity,
            table,
            self.code,
            sentence,
            rows,
            tuple(sample),
            self.remedy if remedy is None else remedy,
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem found.

    Attributes
    ----------
    severity
        Error, warning or note.
    table
        The table of the contract; None for ``sources.toml`` and the catalogue.
    code
        Of its kind, for life.
    sentence
        What is wrong, and where.
    rows
        How many rows it is about; None where it is not about rows.
    sample
        Up to three values or rows.
    remedy
        What to do.
    """

    severity: Severity
    table: str | None
    code: str
    sentence: str
    rows: int | None
    sample: tuple[str, ...]
    remedy: str


@cache
def kinds() -> Mapping[str, Kind]:
    """Return every kind of problem by its code, from ``problems.toml``.

    Examples
    --------
    >>> kinds()["S203"].severity, kinds()["S203"].about
    (<Severity.WARNING: 'warning'>, 'Rows belong to accounts that `accounts` does not have.')
    """
    raw = tomllib.loads(Path(__file__).with_name("problems.toml").read_text(encoding="utf-8"))
    return MappingProxyType(
        {code: Kind(code, Severity(kind["severity"]), kind["about"], kind["remedy"]) for code, kind in raw.items()}
    )
