"""The rows of the company's own tables that a reading rests on, for one account, as known at `as_of`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from features.as_known import as_known
from features.catalogue import schema
from features.measures.queries import Queries
from features.measures.rows import days, matching
from features.readings import Evidence
from features.sources.contract import TableContract

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from features.catalogue import Catalogue
    from features.sources import Database

MOST_ROWS = 3
ASKED, MOMENT = "evidence_asked", "_asked_at"
REACH_DAYS = 180  # where the measure has no window of its own
QUOTED = 200  # characters of a text that are quoted
# Of these columns, those that one of our tables has are told, in this order.
TOLD = (
    "kind",
    "category",
    "priority",
    "role",
    "title",
    "page",
    "nps",
    "rating",
    "satisfaction",
    "sentiment",
    "reason",
    "level",
    "feature",
    "comment",
    "text",
    "note",
)


def account_evidence(
    database: Database,
    catalogue: Catalogue,
    account_id: str,
    as_of: dt.datetime,
    signal_ids: Sequence[str],
) -> Mapping[str, tuple[Evidence, ...]]:
    """Quote up to three of the newest rows behind each signal.

    Parameters
    ----------
    database, catalogue
        The company's tables and the catalogue in force.
    account_id, as_of
        Whose rows, and when: only what had happened and was known by then.
    signal_ids
        The signals to quote for; those without an ``evidence`` entry, or whose table is not connected, get none.

    Returns
    -------
    Mapping
        Signal id to evidence, newest first. The window is the measure's own, else the last 180 days.
    """
    queries = asking(database, account_id, as_of)
    quoted: dict[str, tuple[Evidence, ...]] = {}
    for name in signal_ids:
        signal = catalogue.definitions.signals.get(name)
        if signal is None or signal.evidence is None or signal.evidence.table not in database.tables:
            continue
        table = signal.evidence.table
        contract = catalogue.definitions.contracts[table]
        told = _told_of_own(contract) if table in catalogue.definitions.tables else TOLD
        newest = partial(_newest, queries, database.tables[table], signal, contract.ended, told)
        rows = queries.fetch(("evidence", repr(signal.measure), repr(signal.evidence), told), newest)
        quoted[name] = tuple(_evidence(table, contract, told, row) for row in rows.to_pylist())
    return quoted


def asking(database: Database, account_id: str, as_of: dt.datetime) -> Queries:
    """Return queries about one account at one moment, which stand in a table and in no text of a query."""
    queries = Queries(database)
    queries.put(
        ASKED, {"account_id": pa.array([account_id], pa.string()), MOMENT: pa.array([as_of], pa.timestamp("us"))}
    )
    return queries


def known_rows(queries: Queries, table: ir.Table) -> ir.Table:
    """Return the account's rows of a table that are known at the moment, with the moment as ``MOMENT``."""
    rows = table.join(queries.table(ASKED), "account_id")
    return as_known(rows, rows[MOMENT])


def _told_of_own(contract: TableContract) -> tuple[str, ...]:
    """Name what is told of a company's own table: all but ids, and the times that evidence gives anyway."""
    aside = {*contract.key, "account_id", contract.occurred}
    return tuple(name for name in contract.columns if name not in aside)


def _reach(measure: schema.Measure) -> int | None:
    """Days that the measure looks back; None for all that is known."""
    unbounded = schema.RecencyMeasure | schema.SilenceMeasure | schema.NewnessMeasure | schema.OpenAtMeasure
    if isinstance(measure, unbounded):
        return None
    if isinstance(measure, schema.BlocksMeasure):
        return measure.blocks * measure.block_days
    parts: tuple[object, ...] = (measure, getattr(measure, "aggregate", None), getattr(measure, "of", None))
    if isinstance(measure, schema.CodedMeasure):
        conditions = [code.condition for code in measure.codes]
        parts = (*conditions, *(getattr(condition, "aggregate", None) for condition in conditions))
    windows = [window for part in parts if (window := getattr(part, "window_days", None)) is not None]
    return max(windows, default=REACH_DAYS)


def _still_open(rows: ir.Table, measure: schema.Measure, ended: str | None) -> ir.Table:
    """For what counts open rows: those open then, or ended as shortly before as the measure says."""
    if not isinstance(measure, schema.OpenAtMeasure) or ended is None:
        return rows
    end = rows[ended]
    return rows.filter(end.isnull() | (end > rows[MOMENT] - days(measure.ended_within_days)))


def _newest(
    queries: Queries, table: ir.Table, signal: schema.Signal, ended: str | None, told: Sequence[str]
) -> ir.Table:
    import ibis

    assert signal.evidence is not None  # whoever asks has looked
    known = matching(_still_open(known_rows(queries, table), signal.measure, ended), signal.evidence.any_of)
    when, reach = _when(known), _reach(signal.measure)
    if reach is not None:
        known = known.filter((when > known[MOMENT] - days(reach)) & (when <= known[MOMENT]))
    there = [column for column in told if column in known.columns]
    return (
        known.mutate(_when=when)
        .order_by([ibis.desc("_when"), "row_key"])
        .limit(MOST_ROWS)
        .select("row_key", "_when", *there)
    )


def _when(rows: ir.Table) -> ir.Value:
    if "occurred_at" in rows.columns:
        return rows.occurred_at
    return rows.valid_from.cast("timestamp") if "valid_from" in rows.columns else rows.known_from


def _evidence(table: str, contract: TableContract, told: Sequence[str], row: dict[str, Any]) -> Evidence:
    said = [f"{name}: {_short(row[name])}" for name in told if row.get(name) is not None]
    happened: dt.datetime = row["_when"]
    if contract.kind == "event" and happened.time() == dt.time():
        happened -= dt.timedelta(days=1)  # a date without a time was counted from the next midnight
    return Evidence(table, row["row_key"], happened, ", ".join(said))


def _short(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"
