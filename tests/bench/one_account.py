"""Milliseconds that single accounts take on an engine: the prepared query alone, and the whole vector.

::

    python -m tests.bench.one_account FOLDER OUT [POSTGRESQL_ADDRESS]

Random accounts, each asked about once, after others have warmed up what is lazy; in the afternoon, so that nothing
falls together with a date of a snapshot. Only if each vector equals that of a snapshot, bit for bit, are times
written to OUT.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from features.measures.engine import Asked
from features.measures.queries import Queries
from features.now import Now, keep_what_is_loaded
from features.snapshots import build_vectors, recorded_codebooks
from features.sources import load_sources, open_database
from features.vectors import feature_contract
from tests.bench.pairs import as_of_dates

ACCOUNTS, WARMED_UP = 300, 30
HOURS = 13
QUERY, VECTOR = "query", "vector"


def sources_on(folder: Path, address: str | None) -> Path:
    """Return the sources of a benchmark company, on a PostgreSQL server if one is named."""
    if address is None:
        return folder / "sources.toml"
    path = folder / "sources-on-postgresql.toml"
    connection = f'\n[connection]\nengine = "postgresql"\nurl = "{address}"\n'
    path.write_text((folder / "sources.toml").read_text(encoding="utf-8") + connection, encoding="utf-8")
    return path


def one_by_one(folder: Path, address: str | None = None, accounts: int = ACCOUNTS) -> dict[str, list[float]]:
    """Return the milliseconds of each account, by what was done."""
    sources = load_sources(sources_on(folder, address))
    last = as_of_dates()[-1].astype("datetime64[s]").item()
    as_of = last.replace(hour=HOURS)
    with open_database(sources) as database:
        contract = feature_contract(sources.catalogue, recorded_codebooks(database, sources.catalogue, as_of))
        now = Now(database, sources.catalogue)
        known = Asked(database, sources.catalogue.definitions).known_accounts(Queries(database)).to_pylist()
        chosen = random.Random(0).sample(known, min(2 * accounts + WARMED_UP, len(known)))
        for account in chosen[2 * accounts :]:
            now.vector(account, as_of, contract)
        keep_what_is_loaded()  # as the service does
        took = {QUERY: _milliseconds(now.fetch, chosen[accounts : 2 * accounts])}  # of others: pages are cold
        chosen = chosen[:accounts]
        took[VECTOR] = _milliseconds(lambda account: now.vector(account, as_of, contract), chosen)
        grid = pa.table({"account_id": chosen, "as_of": pa.array([as_of] * len(chosen), pa.timestamp("s"))})
        expected = build_vectors(database, sources.catalogue, contract, grid)
        for row, account in enumerate(chosen):
            found = now.vector(account, as_of, contract)
            if found.digest(0) != expected.digest(row):
                raise AssertionError(f"{account} has another vector now than in a snapshot.")
    return took


def _milliseconds(ask: Callable[[str], object], accounts: Sequence[str]) -> list[float]:
    took = []
    for account in accounts:
        start = time.perf_counter()
        ask(account)
        took.append(1000 * (time.perf_counter() - start))
    return took


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(one_by_one(Path(sys.argv[1]), *sys.argv[3:])), encoding="utf-8")
