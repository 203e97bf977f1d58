"""What a training run costs beside LightGBM: the whole command over the ``lightgbm.train`` calls that it makes.

::

    python -m tests.proofs.overhead [--snapshots FILE.parquet] [--accounts 42000]

The command is ``keepsight train --snapshots FILE --search-trials 0``, from its first import to the model in the
registry, report and gates included; the calls are timed inside it. Without a file one is made of a simulated
company: 42,000 accounts give a million snapshots.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq
import typer

from training.simulation import simulate

SEED, MONTHS = 21, 30
FIRST, LAST = "2023-02-01", "2025-07-01"
MOST, MOST_GIB = 1.5, 6.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Cost:
    """Seconds of one training run and of the calls in it, by wall and of the processor; and its memory."""

    snapshots: int
    calls: int
    wall: float
    wall_of_calls: float
    cpu: float
    cpu_of_calls: float
    peak_gib: float

    @property
    def ratio(self) -> float:
        """How many times as long as the bare calls the run takes, by wall."""
        return self.wall / self.wall_of_calls

    @property
    def holds(self) -> bool:
        """Whether it is at most one and a half times as long, within six GiB."""
        return self.ratio <= MOST and self.peak_gib <= MOST_GIB

    def __str__(self) -> str:
        return (
            f"{self.snapshots:,} snapshots: {self.wall:.0f} s, of which {self.calls} calls of lightgbm.train "
            f"{self.wall_of_calls:.0f} s: {self.ratio:.2f} times as long ({self.cpu / self.cpu_of_calls:.2f} by "
            f"CPU seconds); {self.peak_gib:.2f} GiB at its peak"
        )


def snapshot_file(folder: Path, accounts: int) -> Path:
    """Simulate a company, and write its monthly snapshots."""
    simulate(folder, accounts, MONTHS, SEED)
    out = folder / "snapshots.parquet"
    sources = ["--sources", str(folder / "sources.toml")]
    _keepsight("snapshot", *sources, "--from", FIRST, "--to", LAST, "--no-proof", "--out", str(out))
    return out


def _keepsight(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "keepsight", *arguments], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )


def cost(file: Path) -> Cost:
    """Train on a snapshot file in a process of its own, and return what it took."""
    with tempfile.TemporaryDirectory() as home:
        told = Path(home) / "calls.json"
        environment = {**os.environ, "KEEPSIGHT_HOME": home, "PYTHONPATH": str(ROOT)}
        subprocess.run(
            [sys.executable, "-m", "tests.proofs.overhead", "--timed", str(told), "--snapshots", str(file)],
            check=True,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        return Cost(pq.read_metadata(file).num_rows, **json.loads(told.read_text(encoding="utf-8")))


@dataclass
class _Calls:
    """A function that is timed whenever it is called."""

    function: Any
    calls: int = 0
    wall: float = 0.0
    cpu: float = 0.0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = self.function(*arguments, **named)
        self.calls, self.wall = self.calls + 1, self.wall + time.perf_counter() - wall
        self.cpu += time.process_time() - cpu
        return result


def train_timed(file: Path, told: Path) -> None:
    """Run the command in this process, with LightGBM's training timed, and write what it took."""
    start = time.perf_counter()
    import lightgbm

    timed = lightgbm.train = _Calls(lightgbm.train)
    from keepsight import app

    app(["train", "--snapshots", str(file), "--search-trials", "0", "--json"], standalone_mode=False)
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = Cost(
        snapshots=0,
        calls=timed.calls,
        wall=time.perf_counter() - start,
        wall_of_calls=timed.wall,
        cpu=used.ru_utime + used.ru_stime,
        cpu_of_calls=timed.cpu,
        peak_gib=used.ru_maxrss / 1024**2,
    )
    told.write_text(json.dumps({k: v for k, v in asdict(found).items() if k != "snapshots"}), encoding="utf-8")


def main(
    snapshots: Annotated[
        Path | None, typer.Option(help="A file of `keepsight snapshot`; else one is made.")
    ] = None,
    accounts: Annotated[int, typer.Option(min=100, help="Accounts of the simulated company.")] = 42_000,
    timed: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print what a training run costs beside LightGBM; exit 1 where it is more than it may."""
    if timed is not None:
        assert snapshots is not None
        train_timed(snapshots, timed)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = cost(snapshots or snapshot_file(Path(folder), accounts))
    typer.echo(str(found))
    raise typer.Exit(0 if found.holds else 1)


if __name__ == "__main__":
    typer.run(main)
