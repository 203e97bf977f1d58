"""Tables of a company's own, made by chance, as ``overlay/tables.toml`` declares them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tests.oracle.company import ONE_DAY, Company, Row
from tests.oracle.invented import Maker, _moment, _spells


def with_own_tables(company: Company, seed: int, dates: Sequence[Any]) -> Company:
    """Give a company's accounts trainings, incidents and booked add-ons, with feeds for some of them."""
    make = Maker(random.Random(seed), dates)
    for row in company.tables["accounts"]:
        _account(make, row["account_id"])
    if "feeds" not in company.tables:
        return replace(company, tables={**company.tables, **make.tables})
    feeds = [*company.tables["feeds"]]
    for table in ("trainings", "incidents", "subscription_addons"):
        if make.chance(0.7):
            feeds += _spells(make, table, None)
    return replace(company, tables={**company.tables, **make.tables, "feeds": feeds})


def _account(make: Maker, account: str) -> None:
    for table, rows_of in ROWS.items():
        busy = make.rng.choice((0, 3, 12, 30))
        for number in range(make.rng.randrange(busy + 1)):
            when = make.day() if table == "subscription_addons" else make.time()
            row = {f"{table.split('_')[-1].rstrip('s')}_id": f"{account}-{number}", "account_id": account}
            changed = lambda: rows_of(make, make.time())  # noqa: B023, E731
            if table == "subscription_addons":
                changed = lambda: {"active": make.chance(0.5), "seats": make.rng.randrange(9)}  # noqa: E731
            make.add(table, make.versions({**row, **rows_of(make, when)}, when, changed))


def _trainings(make: Maker, held: Any) -> Row:
    rng = make.rng
    return {
        "held_at": held,
        "topic": rng.choice(("basics", "basics", "advanced", None)),
        "attendee_id": make.or_none(f"p{rng.randrange(4)}"),
        "attended": rng.choice((True, True, False, None)),
        "hours": make.or_none(rng.randrange(1, 9) / 4),
        "grade": make.or_none(rng.randrange(1, 7)),
    }


def _incidents(make: Maker, began: Any) -> Row:
    over = _moment(began) + make.rng.choice((0.1, 1, 7, 8, 30)) * ONE_DAY
    return {"began_at": began, "over_at": make.or_none(over, 0.3), "severe": make.rng.choice((True, False, None))}


def _addons(make: Maker, since: Any) -> Row:
    rng = make.rng
    return {
        "addon": rng.choice(("reports", "audit", "sandbox")),
        "since": make.or_none(since, 0.1),
        "seats": make.or_none(rng.randrange(1, 40)),
        "active": rng.choice((True, True, False)),
    }


ROWS: dict[str, Callable[[Maker, Any], Row]] = {
    "trainings": _trainings,
    "incidents": _incidents,
    "subscription_addons": _addons,
}
