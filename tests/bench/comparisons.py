"""What is compared with what, on which sizes, and what the project asks of each figure."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.bench.data import Company, write_company
from tests.bench.environment import featuretools_python
from tests.bench.equality import compared, report
from tests.bench.figures import NO_SIZE, Figure, Limit, Result
from tests.bench.measuring import contender, measured, ratios_of_rounds, rounds
from tests.bench.one_account import QUERY, VECTOR
from tests.features.engines.server import postgresql_server

KEEPSIGHT, PANDAS, TUNED, FLOOR, NEEDED = "Keepsight", "pandas", "pandas, tuned", "floor", "floor, needed columns"
SUBSET, FEATURETOOLS, SIXTEEN = "Keepsight, its measures", "Featuretools", "pandas, 16 columns"
SERVER = "KEEPSIGHT_BENCH_POSTGRESQL"
FASTER, LESS_CPU, CPU, MS = "times as fast (wall)", "times less CPU", "times the floor (CPU)", "ms"

# What is measured, and what is asked of it at which size.
FASTER_THAN = {
    PANDAS: Figure("faster than pandas", FASTER, {"1M": Limit(at_least=3), "10M": Limit(at_least=8)}),
    TUNED: Figure("faster than tuned pandas", FASTER),
}
FASTER_THAN_FEATURETOOLS = {
    SUBSET: Figure("faster than Featuretools, its measures", FASTER, {"10M": Limit(at_least=20)}),
    KEEPSIGHT: Figure("faster than Featuretools, our whole catalogue", FASTER),
}
LESS_CPU_THAN_FEATURETOOLS = Figure("less CPU than Featuretools, its measures", LESS_CPU)
LESS_CPU_THAN = {
    PANDAS: Figure("less CPU than pandas", LESS_CPU),
    TUNED: Figure("less CPU than tuned pandas", LESS_CPU),
}
CPU_OVER = {
    FLOOR: Figure("CPU over the floor", CPU, {"10M": Limit(at_most=12)}),
    NEEDED: Figure("CPU over the floor of needed columns", CPU),
}
MEMORY = Figure("memory", "GiB at its peak", {"50M": Limit(at_most=1.5), "100M": Limit(at_most=4)})
GROWTH = Figure("CPU 50M over 10M", "times the CPU", {NO_SIZE: Limit(at_most=4.5)})
SIXTEEN_COLUMNS = Figure(SIXTEEN, "seconds (wall)")
ONE_VECTOR = {
    "DuckDB": Figure("one account on DuckDB, vector", MS, {"10M": Limit(at_most=15)}),
    "PostgreSQL": Figure("one account on PostgreSQL, vector", MS, {"10M": Limit(at_most=2)}),
}


# Of an account that never used the product Featuretools has no last moment; ours then counts from service start.
FEATURETOOLS_LACKS = ["days_since_last_use", "stale_implementation"]
LITTLE_MEMORY = "500MB"  # what sources.toml allows a company with many events


@dataclass(frozen=True, slots=True)
class Setting:
    """Where data and results lie, how often is measured, and who is told of progress."""

    folder: Path
    sizes: Sequence[str]
    repeats: int
    slow_repeats: int
    say: Callable[[str], None]

    def company(self, size: str, *, versions: bool = True) -> Path:
        """Return the folder of a benchmark company of this size; it is made where it is not there."""
        folder = self.folder / (size if versions else f"{size}-as-first-recorded")
        self.say(f"data {folder.name}")
        write_company(folder, Company(events_of(size), versions=versions))
        return folder

    def out(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"


def events_of(size: str) -> int:
    """Return how many events a size has.

    >>> events_of("10M"), events_of("50k")
    (10000000, 50000)
    """
    return int(float(size[:-1]) * {"k": 1_000, "M": 1_000_000}[size[-1]])


class ValuesDifferError(Exception):
    """A contender has other values than Keepsight: its ratio says nothing."""


def must_equal(setting: Setting, ours: Path, theirs: Path, *, may_lack: Sequence[str] = ()) -> None:
    """Compare two files value by value, and say how many values that were."""
    found = list(compared(ours, theirs))
    setting.say(report(found))
    if any(c.different or (c.missing and c.column not in may_lack) for c in found):
        raise ValuesDifferError(f"{ours.name} and {theirs.name} differ:\n{report(found)}")


def pandas(setting: Setting) -> Iterator[Result]:
    """Keepsight, pandas (plain, and tuned) and the floor in turns, on each size; the whole catalogue, compared."""
    for size in setting.sizes:
        folder, ours = setting.company(size), setting.out(f"{size} ours")
        plain, tuned = setting.out(f"{size} pandas"), setting.out(f"{size} pandas tuned")
        contenders = [
            contender(KEEPSIGHT, "keepsight_contender", folder, ours),
            contender(PANDAS, "pandas_contender", folder, plain),
            contender(TUNED, "pandas_contender", folder, tuned, "catalogue", "tuned"),
            contender(FLOOR, "floor", folder, setting.out("floor")),
            contender(NEEDED, "floor", folder, setting.out("floor"), "needed"),
        ]
        turns = rounds(contenders, setting.repeats, size, setting.say)
        must_equal(setting, ours, plain)
        must_equal(setting, ours, tuned)
        options = f"--compare pandas --sizes {size} --repeats {setting.repeats}"
        for other in (PANDAS, TUNED):
            of_wall = ratios_of_rounds(turns, other, KEEPSIGHT, "wall_seconds")
            yield FASTER_THAN[other].result(of_wall, options, size)
            of_cpu = ratios_of_rounds(turns, other, KEEPSIGHT, "cpu_seconds")
            yield LESS_CPU_THAN[other].result(of_cpu, options, size)
        for floor, figure in CPU_OVER.items():
            yield figure.result(ratios_of_rounds(turns, KEEPSIGHT, floor, "cpu_seconds"), options, size)
        yield MEMORY.result([turn[KEEPSIGHT].peak_gib for turn in turns], options, size)


def featuretools(setting: Setting) -> Iterator[Result]:
    """Featuretools in full on the measures that it can express, and Keepsight on the same tables."""
    python = featuretools_python(setting.folder / "featuretools")
    for size in setting.sizes[-1:]:
        folder = setting.company(size, versions=False)
        ours, theirs = setting.out(f"{size} ours, its measures"), setting.out(f"{size} featuretools")
        contenders = [
            contender(SUBSET, "keepsight_contender", folder, ours, "expressible"),
            contender(FEATURETOOLS, "featuretools_contender", folder, theirs, python=python),
            contender(KEEPSIGHT, "keepsight_contender", folder, setting.out("whole")),
        ]
        turns = rounds(contenders, setting.slow_repeats, size, setting.say)
        must_equal(setting, ours, theirs, may_lack=FEATURETOOLS_LACKS)
        options = f"--compare featuretools --sizes {size} --slow-repeats {setting.slow_repeats}"
        for ours_of, figure in FASTER_THAN_FEATURETOOLS.items():
            of_wall = ratios_of_rounds(turns, FEATURETOOLS, ours_of, "wall_seconds")
            yield figure.result(of_wall, options, size)
        of_cpu = ratios_of_rounds(turns, FEATURETOOLS, SUBSET, "cpu_seconds")
        yield LESS_CPU_THAN_FEATURETOOLS.result(of_cpu, options, size)


def growth(setting: Setting) -> Iterator[Result]:
    """From 10M to 50M events: CPU seconds and memory."""
    small, large = setting.company("10M"), setting.company("50M")
    contenders = [
        contender("10M", "keepsight_contender", small, setting.out("10M ours"), "catalogue", LITTLE_MEMORY),
        contender("50M", "keepsight_contender", large, setting.out("50M ours"), "catalogue", LITTLE_MEMORY),
    ]
    turns = rounds(contenders, setting.slow_repeats, "growth", setting.say)
    options = f"--compare growth --slow-repeats {setting.slow_repeats}"
    yield GROWTH.result(ratios_of_rounds(turns, "50M", "10M", "cpu_seconds"), options)
    yield MEMORY.result([turn["50M"].peak_gib for turn in turns], options, "50M")


def limit(setting: Setting) -> Iterator[Result]:
    """100M events: whether they finish, and in how much memory."""
    folder, out = setting.company("100M"), setting.out("100M ours")
    contenders = [contender("100M", "keepsight_contender", folder, out, "catalogue", LITTLE_MEMORY)]
    turns = rounds(contenders, 1, "limit", setting.say)
    yield MEMORY.result([turn["100M"].peak_gib for turn in turns], "--compare limit", "100M")


def baseline(setting: Setting) -> Iterator[Result]:
    """How serious the pandas contender is: seconds for the 16 columns of the engine's first measurements."""
    folder = setting.company("10M")
    contenders = [contender(SIXTEEN, "pandas_contender", folder, setting.out("sixteen"), "sixteen")]
    turns = rounds(contenders, setting.slow_repeats, "baseline", setting.say)
    seconds = [turn[SIXTEEN].wall_seconds for turn in turns]
    yield SIXTEEN_COLUMNS.result(seconds, "--compare baseline", "10M")


def one_account(setting: Setting) -> Iterator[Result]:
    """One account now, on DuckDB and on PostgreSQL: milliseconds of the prepared query, and of the whole vector.

    On the server that :data:`SERVER` names, else on one of our own, if its programs are installed.
    """
    for size in setting.sizes[-1:]:
        folder, options = setting.company(size), f"--compare one_account --sizes {size}"
        with postgresql(os.environ.get(SERVER)) as address:
            for engine, more in (("DuckDB", ()), ("PostgreSQL", (address,))):
                out = setting.folder / f"{size} one account on {engine}.json"
                measured(contender(engine, "one_account", folder, out, *more).command)
                took = json.loads(out.read_text(encoding="utf-8"))
                query = Figure(f"one account on {engine}, query", MS)
                for figure, milliseconds in ((query, took[QUERY]), (ONE_VECTOR[engine], took[VECTOR])):
                    found = figure.result(milliseconds, options, size)
                    setting.say(f"{found.name}: p50 {found.ratio:.2f} ms, load {os.getloadavg()[0]:.1f}")
                    yield found
                    p99 = float(np.percentile(milliseconds, 99))
                    yield replace(found, name=f"{found.name}, p99", ratio=p99, limit=None)


@contextmanager
def postgresql(address: str | None) -> Iterator[str]:
    """Give the address of a server: the one named, else a new one."""
    if address is not None:
        yield address
        return
    with postgresql_server() as own:
        yield own


# A comparison is a function that yields results.
COMPARISONS: dict[str, Callable[[Setting], Iterator[Result]]] = {
    "pandas": pandas,
    "featuretools": featuretools,
    "growth": growth,
    "limit": limit,
    "baseline": baseline,
    "one_account": one_account,
}
BY_DEFAULT = ("pandas", "featuretools")
