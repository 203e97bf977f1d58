"""Vectors that cost nothing, in place of computed ones; run as a module: ``keepsight`` with such vectors."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from features.readings import KNOWN_LETTER, UnknownReason
from features.vectors import UNDER_NOTICE, FeatureContract, Vectors

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.sources import Database


def quick_vectors(
    database: Database,
    catalogue: Catalogue,
    contract: FeatureContract,
    grid: pa.Table,
    progress: Callable[[int, int], None] | None = None,
    asked: object = None,
) -> Vectors:
    """Return vectors made from nothing but the account's id, the date and the codebooks."""
    accounts = np.array(grid["account_id"].to_pylist(), dtype=object)
    as_of = grid["as_of"].to_numpy().astype("datetime64[s]")
    values = np.array([_numbers(f"{a} {d}", len(contract.columns)) for a, d in zip(accounts, as_of, strict=True)])
    for place, column in enumerate(contract.columns):
        if column.kind == "category":
            values[:, place] = np.floor(values[:, place]) % len(column.codebook) if column.codebook else np.nan
    unknown = np.where(np.isnan(values), UnknownReason.NO_BASE.letter, KNOWN_LETTER)
    plans = contract.columns[contract.position["plan"]].codebook
    values[:, contract.position["plan"]] = [_code(plan_of(account), plans) for account in accounts]
    unknown[:, contract.position["plan"]] = KNOWN_LETTER
    values[:, contract.position[UNDER_NOTICE]] = 0.0
    if progress is not None:
        progress(len(accounts), len(accounts))
    return Vectors(contract, accounts, as_of, values, unknown)


def plan_of(account: str) -> str:
    """Return the plan that stands in the name of a made-up company's account."""
    return account.split("-")[0]


def _code(plan: str, plans: Sequence[str]) -> float:
    return float(plans.index(plan)) if plan in plans else 0.0


def _numbers(text: str, size: int) -> list[float]:
    """Return numbers that the text decides, every sixteenth unknown."""
    made = hashlib.shake_128(text.encode()).digest(size)
    return [np.nan if byte % 16 == 0 else byte / 10 for byte in made]


def main() -> None:
    """Run ``keepsight`` with quick vectors; each part takes the seconds that the environment says."""
    import keepsight
    from features import snapshot_store

    def slow(*arguments: object) -> Vectors:
        time.sleep(float(os.environ["SECONDS_A_PART"]))
        return quick_vectors(*arguments)  # type: ignore[arg-type]

    snapshot_store.build_vectors = slow  # type: ignore[assignment]
    if os.environ.get("MUTANT") == "half a part is taken for finished":
        _write_in_place()
    keepsight.main()


def _write_in_place() -> None:
    """Write parts under their own names from the beginning, slowly, and trust whatever has such a name."""
    from contextlib import contextmanager

    from features import snapshot_store

    whole = snapshot_store.whole

    @contextmanager
    def in_place(path: Path, within: Path | None = None) -> Iterator[Path]:
        if within is not None:  # the output
            with whole(path, within) as unfinished:
                yield unfinished
            return
        path.write_bytes(b"PAR1 half a part")
        time.sleep(5 * float(os.environ["SECONDS_A_PART"]))
        yield path

    snapshot_store.whole = in_place
    snapshot_store._Run._unusable = lambda run, path, part: None  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main())
