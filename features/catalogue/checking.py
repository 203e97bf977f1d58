"""What all checks of the catalogue share: the place of a problem, and names that must be known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from features.catalogue.files import Files
from features.catalogue.findings import Problems
from features.catalogue.schema import Definitions
from features.errors import near_miss


@dataclass(frozen=True, slots=True)
class Checker:
    """Notes in `problems` what does not fit, at the place that `files` gives it."""

    definitions: Definitions
    files: Files
    problems: Problems

    def complain(self, file: str, keys: Sequence[str], problem: str) -> None:
        """Note a problem of an entry."""
        self.problems.add(f"{self.files.where(file, keys)}: {problem}")

    def known(self, file: str, keys: Sequence[str], what: str, name: str, allowed: Collection[str]) -> bool:
        """Return whether `name` is one of `allowed`; if not, note it with the near miss."""
        if name in allowed:
            return True
        self.complain(file, keys, f'unknown {what} "{name}". {near_miss(name, allowed)}')
        return False
