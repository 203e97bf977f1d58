"""Problems found while loading: gathered, so that all are told at once."""

from __future__ import annotations

from features.errors import CatalogueError


class Problems:
    """Problems found so far; all of them are reported at once.

    Examples
    --------
    >>> problems = Problems()
    >>> problems.add('playbook.toml, play "call": nobody does it.')
    >>> problems.stop_if_any()
    Traceback (most recent call last):
    ...
    features.errors.CatalogueError: playbook.toml, play "call": nobody does it.
    """

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, problem: str) -> None:
        """Note one problem; the same one twice is noted once."""
        if problem not in self.found:
            self.found.append(problem)

    def stop_if_any(self) -> None:
        """End the loading if any problem was found; else do nothing.

        Raises
        ------
        CatalogueError
            All problems, one a line, in the order in which they were found.
        """
        if self.found:
            raise CatalogueError("\n".join(self.found))
