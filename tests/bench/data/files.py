"""A benchmark company's files: Parquet tables in the order of arrival, and ``sources.toml``."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.data import events, states
from tests.bench.data.company import Company
from tests.bench.data.recording import as_first_recorded
from tests.bench.data.usage import usage

ROW_GROUP, ROWS_AT_ONCE = 250_000, 1_000_000
SIDE_TABLES: Mapping[str, Callable[[Company], pa.Table]] = {
    "accounts": states.accounts,
    "contracts": states.contracts,
    "plans": states.plans,
    "tickets": events.tickets,
    "surveys": events.surveys,
    "community": events.community,
    "feedback": events.feedback,
    "requests": events.requests,
    "visits": events.visits,
    "contacts": states.contacts,
    "organisation": events.organisation,
    "assessments": events.assessments,
    "feeds": states.feeds,
}


def write_company(folder: Path, company: Company) -> Path:
    """Write a company's tables and its ``sources.toml`` to a folder; nothing is left of an interrupted run.

    What was written by the same code for the same company stays as it is.
    """
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    made_by = {"code": hashlib.sha256(code).hexdigest(), "company": repr(company)}
    note = folder / "made_by.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) == made_by:
        return folder / "sources.toml"
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, make in SIDE_TABLES.items():
        table = make(company).sort_by("recorded_at")
        if not company.versions:
            table = as_first_recorded(table, name)
        pq.write_table(table, part / f"{name}.parquet", compression="zstd", row_group_size=ROW_GROUP)
    _write_usage(part / "usage.parquet", company)
    lines = ['company = "Benchmark"']
    lines += [f'[tables.{name}]\npath = "{name}.parquet"' for name in [*SIDE_TABLES, "usage"]]
    (part / "sources.toml").write_text("\n".join([*lines, ""]), encoding="utf-8")
    (part / "made_by.json").write_text(json.dumps(made_by), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder / "sources.toml"


def _write_usage(path: Path, company: Company) -> None:
    """Write usage as it is made, a million rows at a time."""
    waiting: list[pa.Table] = []
    writer: pq.ParquetWriter | None = None
    for table in usage(company):
        waiting.append(table)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        if sum(map(len, waiting)) >= ROWS_AT_ONCE:
            writer.write_table(pa.concat_tables(waiting), row_group_size=ROW_GROUP)
            waiting = []
    assert writer is not None  # there are days
    if waiting:
        writer.write_table(pa.concat_tables(waiting), row_group_size=ROW_GROUP)
    writer.close()
