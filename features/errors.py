"""Everything that Keepsight refuses, and why.

Each message says what, where and what to do. The core knows no HTTP status: the table from class to
status is in ``serving``.

::

    KeepsightError
    ├── CatalogueError       a definition, a playbook entry or a wording is not as allowed
    ├── SourcesError         sources.toml cannot be read, or names what is not there
    ├── TableError           a table's rows are not as its contract says
    ├── ReadingError         readings or factors given to `/predict` that no definition allows
    ├── UnknownAccountError  no such account, or none in force on that date
    ├── SnapshotError        a file of snapshots that cannot be written now
    ├── ContractMismatchError a vector and a model that do not fit each other
    ├── BundleError          a model bundle that is missing, damaged or changed
    ├── NoModelError         there is no model yet
    ├── TrainingError        training cannot go on: what is missing, and what would settle it
    ├── TrackingError        the MLflow store or server cannot be used now
    └── GateError            promotion refused by a gate
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KeepsightError(Exception):
    """What went wrong, where, and what to do about it."""


class CatalogueError(KeepsightError):
    """A definition, a playbook entry or a wording is not as allowed."""


class SourcesError(KeepsightError):
    """The company's ``sources.toml`` cannot be read, or names what is not there."""


class TableError(KeepsightError):
    """A table's rows are not as its contract says."""


class ReadingError(KeepsightError):
    """Readings, factors or context given by a caller that no definition allows."""


class UnknownAccountError(KeepsightError):
    """No such account, or it was not in force on the date asked for."""


class SnapshotError(KeepsightError):
    """A file of snapshots cannot be written now."""


class ContractMismatchError(KeepsightError):
    """A vector and a model that do not fit each other."""


class BundleError(KeepsightError):
    """A model bundle that is missing, damaged or changed."""


class NoModelError(KeepsightError):
    """There is no model yet."""


class TrainingError(KeepsightError):
    """Training cannot go on."""


class TrackingError(KeepsightError):
    """The MLflow store or server cannot be used now."""


class GateError(KeepsightError):
    """A gate refuses promotion."""


def near_miss(given: str, allowed: Iterable[str]) -> str:
    """Return the sentence that helps someone who mistyped a name.

    Parameters
    ----------
    given
        What was written.
    allowed
        What may be written there.

    Returns
    -------
    str
        ``Did you mean …?`` when one of `allowed` is close, then all that is allowed (at most 40 names).

    Examples
    --------
    >>> near_miss("sorce", ["source", "id"])
    'Did you mean "source"? Allowed: id, source.'
    >>> near_miss("x", [])
    'Nothing is allowed here.'
    """
    names = sorted(allowed)
    if not names:
        return "Nothing is allowed here."
    close = difflib.get_close_matches(given, names, n=1)
    guess = f'Did you mean "{close[0]}"? ' if close else ""
    shown = ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
    return f"{guess}Allowed: {shown}."
