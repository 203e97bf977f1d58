"""Usage events, made day by day: what memory holds does not grow with the events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tests.bench.data.columns import DAY, DAYS, Floats, names, numbers, text, time
from tests.bench.data.company import FEATURES, Company
from tests.bench.data.recording import CORRECTED_SHARE, MOST_DAYS_TO_CORRECT, recorded


def usage(company: Company) -> Iterator[pa.Table]:
    """Yield the usage events in the order of arrival, one day at a time."""
    spans = company.end - company.start
    rate = company.weight / spans
    steps = np.zeros(DAYS + 1)
    np.add.at(steps, company.start, rate)
    np.add.at(steps, company.end, -rate)
    daily = np.maximum(np.cumsum(steps)[:DAYS], 0)
    counts = company.rng(10).multinomial(company.events, daily / daily.sum())
    firsts = np.cumsum(counts) - counts
    waiting = _usage_of_day(company, rate, 0, 0, 0)
    for day in range(DAYS):
        fresh = _usage_of_day(company, rate, day, int(counts[day]), int(firsts[day]))
        waiting = {name: np.concatenate([waiting[name], fresh[name]]) for name in fresh}
        arrived = waiting["recorded_at"] < (day + 1) * DAY
        yield _usage_table(company, {name: values[arrived] for name, values in waiting.items()})
        waiting = {name: values[~arrived] for name, values in waiting.items()}
    yield _usage_table(company, waiting)


def _usage_of_day(company: Company, rate: Floats, day: int, rows: int, first: int) -> dict[str, npt.NDArray[Any]]:
    rng = company.rng(11, day)
    among = np.flatnonzero((company.start <= day) & (day < company.end))
    edges = np.cumsum(rate[among])
    account = among[np.minimum(np.searchsorted(edges, rng.random(rows) * edges[-1]), len(among) - 1)]
    occurred = day * DAY + rng.integers(0, DAY, rows)
    made = {
        "usage_id": np.arange(first, first + rows),
        "account": account,
        "user": (rng.beta(1, 3, rows) * company.users[account]).astype(np.int64),
        "feature": (rng.beta(1, 2, rows) * company.features[account]).astype(np.int64),
        "quantity": rng.integers(1, 6, rows),
        "actor": rng.choice(4, rows, p=[0.93, 0.04, 0.02, 0.01]),  # the last: a person whom nobody names
        "occurred_at": occurred,
        "recorded_at": recorded(rng, occurred),
    }
    again = np.flatnonzero(rng.random(rows) < CORRECTED_SHARE * company.versions)
    change = {name: values[again] for name, values in made.items()}
    in_time = rng.random(len(again)) < 0.5
    earlier = np.where(in_time, rng.integers(0, 3 * DAY, len(again)), 0)
    change["occurred_at"] = np.maximum(1, change["occurred_at"] - earlier)
    change["feature"] = np.where(in_time, change["feature"], (change["feature"] + 1) % len(FEATURES))
    change["recorded_at"] = change["recorded_at"] + rng.integers(1, MOST_DAYS_TO_CORRECT + 1, len(again)) * DAY
    return {name: np.concatenate([made[name], change[name]]) for name in made}


def _usage_table(company: Company, columns: Mapping[str, npt.NDArray[Any]]) -> pa.Table:
    order = np.argsort(columns["recorded_at"], kind="stable")
    part = {name: values[order] for name, values in columns.items()}
    user = pa.array(company.first_user[part["account"]] + part["user"], mask=part["actor"] == 3)
    return pa.table(
        {
            "usage_id": pc.binary_join_element_wise("E", text(part["usage_id"], 9), ""),
            "account_id": pa.array(company.ids, pa.string()).take(pa.array(part["account"])),
            "user_id": company.user_ids.take(user),
            "feature": names(FEATURES, part["feature"]),
            "occurred_at": time(part["occurred_at"]),
            "recorded_at": time(part["recorded_at"]),
            "quantity": numbers(part["quantity"]),
            "actor": names(["person", "machine", None, "person"], part["actor"]),
        }
    )
