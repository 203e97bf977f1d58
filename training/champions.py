"""The line of champions: which versions were champion, in order, told so that no crash can make it untrue.

The alias is the truth: MLflow moves it in one step. A move is noted before it is made, as what the line will
become, and the note is taken back afterwards. Whoever reads the line between looks at the alias: it says whether
the move was made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

KEPT = 200  # versions; MLflow refuses tags of more than 5,000 bytes


@dataclass(frozen=True, slots=True)
class Line:
    """Versions that were champion, newest last.

    Attributes
    ----------
    was
        Before the move that is under way, if one is.
    becomes
        Once it has been made; None: none is under way.

    Examples
    --------
    >>> moving = Line((1, 2)).moving_to((1, 2, 3))
    >>> Line.from_tag(moving.to_tag()) == moving
    True
    >>> moving.settled(champion=2), moving.settled(champion=3)
    ((1, 2), (1, 2, 3))
    """

    was: tuple[int, ...] = ()
    becomes: tuple[int, ...] | None = None

    @classmethod
    def from_tag(cls, text: str | None) -> Line:
        """Read what :meth:`to_tag` wrote; None, or what it did not write: an empty line."""
        try:
            said = json.loads(text or "[]")
            if isinstance(said, list):
                return cls(_versions(said))
            return cls(_versions(said["was"]), _versions(said["becomes"]))
        except (ValueError, KeyError, TypeError):
            return cls()

    def to_tag(self) -> str:
        """Return it as the text of a tag."""
        if self.becomes is None:
            return json.dumps(self.was[-KEPT:])
        return json.dumps({"was": self.was[-KEPT:], "becomes": self.becomes[-KEPT:]})

    def moving_to(self, becomes: tuple[int, ...]) -> Line:
        """Return the line with a move under way."""
        return Line(self.was, becomes)

    def settled(self, champion: int | None) -> tuple[int, ...]:
        """Return the line, given the version that has the alias now; None: no version has it.

        It always ends with that version. If other hands have moved the alias, the version follows those of before.

        Examples
        --------
        >>> Line((1, 2)).settled(7), Line((1,)).settled(None)
        ((1, 2, 7), ())
        """
        if champion is None:
            return ()
        for line in (self.was, self.becomes):
            if line and line[-1] == champion:
                return line
        return (*self.was, champion)


def _versions(said: list[object]) -> tuple[int, ...]:
    return tuple(int(str(version)) for version in said)
