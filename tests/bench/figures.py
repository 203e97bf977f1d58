"""What is measured: its name and unit, what the project asks of it at a size, and the results."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

NO_SIZE = ""  # of what is measured once, with the sizes in its name


@dataclass(frozen=True, slots=True)
class Limit:
    """What is asked of a figure."""

    at_least: float | None = None
    at_most: float | None = None

    def met_by(self, figure: float) -> bool:
        return (self.at_least is None or figure >= self.at_least) and (
            self.at_most is None or figure <= self.at_most
        )

    def __str__(self) -> str:
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class Result:
    """A figure over the rounds: its median, lowest and highest, and what is asked of it."""

    name: str
    ratio: float
    low: float
    high: float
    runs: int
    unit: str
    command: str
    limit: Limit | None = None

    @property
    def verdict(self) -> str:
        """What is asked, and whether it is missed."""
        if self.limit is None:
            return ""
        return str(self.limit) if self.limit.met_by(self.ratio) else f"{self.limit} missed"

    def to_json(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if name != "limit"}


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that is measured, at one size of the data or at several.

    Attributes
    ----------
    name, unit
        As they are shown.
    limits
        What is asked, by size; at other sizes nothing is.
    """

    name: str
    unit: str
    limits: Mapping[str, Limit] = field(default_factory=dict)

    def result(self, values: Sequence[float], options: str, size: str = NO_SIZE) -> Result:
        """Return the median of the rounds with the lowest and the highest, beside the limit at this size.

        >>> speed = Figure("pandas / Keepsight", "times as fast (wall)", {"10M": Limit(at_least=8)})
        >>> found = speed.result([8.0, 10.0, 9.0], "--compare pandas", "10M")
        >>> found.name, found.ratio, found.verdict
        ('pandas / Keepsight, 10M', 9.0, '>= 8')
        """
        return Result(
            f"{self.name}, {size}" if size else self.name,
            statistics.median(values),
            min(values),
            max(values),
            len(values),
            self.unit,
            f"python -m tests.bench.run {options}",
            self.limits.get(size),
        )
