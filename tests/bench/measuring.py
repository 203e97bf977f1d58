"""Run contenders as processes of their own, in turns, and make ratios of what was measured in the same round."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIBIBYTE = 1024**3


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took, from its start to its end; `peak_gib` is the largest resident set."""

    wall_seconds: float
    cpu_seconds: float
    peak_gib: float

    def __str__(self) -> str:
        return f"{self.wall_seconds:7.2f} s wall {self.cpu_seconds:7.2f} s CPU {self.peak_gib:5.2f} GiB"


@dataclass(frozen=True, slots=True)
class Contender:
    """A name, and the command that does the whole job."""

    name: str
    command: Sequence[str]


Round = Mapping[str, Run]


class ContenderFailedError(Exception):
    """A contender's process ended with an error."""


def measured(command: Sequence[str]) -> Run:
    """Run a command to its end, from the root of the project.

    Raises
    ------
    ContenderFailedError
        It failed; what it said is in the message.
    """
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None  # a pipe was asked for
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode != 0:
        raise ContenderFailedError(
            f"{' '.join(command)} ended with {process.returncode}:\n{said.decode()[-2000:]}"
        )
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / GIBIBYTE)


def rounds(contenders: Sequence[Contender], repeats: int, about: str, say: Callable[[str], None]) -> list[Round]:
    """Run every contender once a round, each round in the other order."""
    found = []
    for number in range(repeats):
        turn: dict[str, Run] = {}
        for contender in contenders if number % 2 == 0 else list(reversed(contenders)):
            turn[contender.name] = measured(contender.command)
            load = os.getloadavg()[0]
            say(f"{about} {number + 1}/{repeats}  {contender.name:22} {turn[contender.name]}   load {load:.1f}")
        found.append(turn)
    return found


def ratios_of_rounds(turns: Sequence[Round], above: str, below: str, of: str) -> list[float]:
    """Divide what two contenders took, round by round."""
    return [getattr(turn[above], of) / getattr(turn[below], of) for turn in turns]


def contender(name: str, module: str, *arguments: object, python: str | Path = sys.executable) -> Contender:
    """Return a contender that is a module of this package."""
    return Contender(name, [str(python), "-m", f"tests.bench.{module}", *map(str, arguments)])
