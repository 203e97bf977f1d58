"""The benchmark company: Parquet tables of the written contract, made by seed, as large as one asks for.

20,000 accounts over 900 days. Activity is log-normal (sigma 1.3) over accounts and beta-skewed over users and
features; 40% of the accounts start late and 35% end early. Of all rows 1% are recorded 1 to 45 days late, the
others within the hour; 0.5% are corrected later under the same key (another feature, priority, page … or another
time). Tickets, complaints, contracts and contacts that end have a second version from the day on which the end
became known. Files are in the order of arrival.

Usage is made day by day and written as it is made: what memory holds does not grow with the events.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.bench.shapes import SHAPES

Ints = npt.NDArray[np.int64]
Change = Callable[[np.random.Generator, pa.Table], pa.Table]

FIRST_DAY = np.datetime64("2023-01-01", "s")
DAYS = 900
DAY = 86_400
LATE_SHARE, MOST_DAYS_LATE = 0.01, 45
CORRECTED_SHARE, MOST_DAYS_TO_CORRECT = 0.005, 30
ROW_GROUP, ROWS_AT_ONCE = 250_000, 1_000_000
SIDE_ROWS = {  # an account, as in 10 M events of 20,000 accounts
    "tickets": 10.0,
    "surveys": 2.5,
    "community": 5.0,
    "feedback": 1.5,
    "requests": 1.0,
    "visits": 25.0,
    "organisation": 0.4,
    "assessments": 8.0,
}
FACTORS = ("partnership", "executive_relationship", "business_value", "resources", "technical_debt", "product_fit")
PLANS = ("basic", "team", "pro")
FEATURES = tuple(f"feature-{number:02}" for number in range(40))


@dataclass(frozen=True)
class Company:
    """Who the accounts are: everything that usage and the side tables are drawn from."""

    events: int
    accounts: int = 20_000
    seed: int = 1
    versions: bool = True  # false: every row as first recorded, nothing corrected or ended later

    def rng(self, *purpose: int) -> np.random.Generator:
        """Return the random numbers of one table, or one day: none depends on what was drawn for others."""
        return np.random.default_rng([self.seed, *purpose])

    @cached_property
    def ids(self) -> npt.NDArray[np.object_]:
        return np.array([f"A{number:06}" for number in range(self.accounts)], dtype=object)

    @cached_property
    def weight(self) -> npt.NDArray[np.float64]:
        return self.rng(1).lognormal(0, 1.3, self.accounts)

    @cached_property
    def start(self) -> Ints:
        """The first day of activity."""
        rng = self.rng(2)
        return np.where(rng.random(self.accounts) < 0.4, rng.integers(1, 600, self.accounts), 0)

    @cached_property
    def end(self) -> Ints:
        """The day after the last one of activity."""
        rng = self.rng(3)
        early = np.minimum(DAYS, self.start + rng.integers(120, 900, self.accounts))
        return np.where(rng.random(self.accounts) < 0.35, early, DAYS)

    @cached_property
    def since(self) -> Ints:
        """The day of the first contract; who was there from the first day on may have come long before."""
        before = self.rng(4).integers(0, 700, self.accounts)
        return np.where((self.start == 0) & (before > 300), -before, self.start)

    @cached_property
    def users(self) -> Ints:
        return np.maximum(2, self.rng(5).lognormal(2.5, 0.8, self.accounts).astype(np.int64))

    @cached_property
    def features(self) -> Ints:
        return self.rng(6).integers(10, len(FEATURES), self.accounts)

    @cached_property
    def user_ids(self) -> pa.Array:
        """The ids of all accounts' users, one account after the other."""
        account = np.repeat(np.arange(self.accounts), self.users)
        number = np.arange(len(account)) - self.first_user[account]
        return pc.binary_join_element_wise(pa.array(self.ids[account], pa.string()), text(number), "-u")

    @cached_property
    def first_user(self) -> Ints:
        return np.cumsum(self.users) - self.users

    def occurrences(self, rng: np.random.Generator, rows: int) -> tuple[Ints, Ints]:
        """Draw the accounts and moments (seconds since the first day) of so many rows of a side table."""
        chance = np.sqrt(self.weight) * rng.lognormal(0, 0.8, self.accounts)
        account = rng.choice(self.accounts, rows, p=chance / chance.sum())
        days = self.start[account] + rng.random(rows) * (self.end - self.start)[account]
        return account, (days * DAY).astype(np.int64)

    def side_rows(self, table: str) -> int:
        return round(SIDE_ROWS[table] * self.accounts)


# --- columns --------------------------------------------------------------------------------------------------


def text(numbers: Ints, width: int = 0) -> pa.Array:
    """Return numbers as text, with zeros in front."""
    written = pc.cast(pa.array(numbers), pa.string())
    return pc.utf8_lpad(written, width, "0") if width else written


def time(seconds: Ints, given: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return moments; null where none is given."""
    moments = (FIRST_DAY + seconds).astype("datetime64[us]")
    return pa.array(moments, pa.timestamp("us"), mask=None if given is None else ~given)


def date(days: Ints, given: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return dates; null where none is given."""
    dates = FIRST_DAY.astype("datetime64[D]") + days
    return pa.array(dates, pa.date32(), mask=None if given is None else ~given)


def names(values: Sequence[str | None], codes: Ints) -> pa.Array:
    """Return the text that each code stands for."""
    return pa.array(values, pa.string()).take(pa.array(codes))


def drawn(rng: np.random.Generator, values: Sequence[str | None], shares: Sequence[float], rows: int) -> pa.Array:
    """Draw from a few texts."""
    return names(values, rng.choice(len(values), rows, p=shares))


def numbers(values: npt.NDArray[Any], given: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return numbers; null where none is given."""
    return pa.array(values, pa.float64(), mask=None if given is None else ~given)


def recorded(rng: np.random.Generator, occurred: Ints) -> Ints:
    """Return when rows were recorded: within the hour, 1% of them days late."""
    late = rng.random(len(occurred)) < LATE_SHARE
    minutes = rng.integers(10, 3_600, len(occurred))
    return occurred + np.where(late, rng.integers(1, MOST_DAYS_LATE + 1, len(occurred)) * DAY, minutes)


def replaced(table: pa.Table, **columns: pa.Array) -> pa.Table:
    """Return the table with other values in some columns."""
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return table


def corrected(rng: np.random.Generator, table: pa.Table, change: Change) -> pa.Table:
    """Return the table with its corrections: 0.5% of the rows once more, recorded later and changed."""
    again = table.take(pa.array(np.flatnonzero(rng.random(len(table)) < CORRECTED_SHARE)))
    later = rng.integers(1, MOST_DAYS_TO_CORRECT + 1, len(again)) * DAY
    recorded_at = seconds_of(again["recorded_at"]) + later
    return pa.concat_tables([table, change(rng, replaced(again, recorded_at=time(recorded_at)))])


def seconds_of(moments: pa.ChunkedArray) -> Ints:
    """Return moments as seconds since the first day."""
    return (moments.to_numpy().astype("datetime64[s]") - FIRST_DAY).astype(np.int64)


def redrawn(column: str, values: Sequence[str]) -> Change:
    """Return the correction that gives a column other values."""

    def change(rng: np.random.Generator, table: pa.Table) -> pa.Table:
        return replaced(table, **{column: names(values, rng.integers(0, len(values), len(table)))})

    return change


def moved(column: str) -> Change:
    """Return the correction that something happened up to three days earlier."""

    def change(rng: np.random.Generator, table: pa.Table) -> pa.Table:
        before = rng.integers(0, 3 * DAY, len(table))
        return replaced(table, **{column: time(np.maximum(1, seconds_of(table[column]) - before))})

    return change


def as_it_ended(table: pa.Table, column: str, ended: Ints, known: Ints, ends: npt.NDArray[np.bool_]) -> pa.Table:
    """Return the rows as first recorded, and once more from when their end was known.

    Rows that had ended when they were recorded have no second version.
    """
    first = known >= ended
    before = replaced(table, **{column: time(ended, ends & first)})
    second = np.flatnonzero(ends & ~first & (ended < DAYS * DAY))
    after = replaced(table, **{column: time(ended), "recorded_at": time(ended + 600)}).take(pa.array(second))
    return pa.concat_tables([before, after])


def as_first_recorded(table: pa.Table, name: str) -> pa.Table:
    """Return the first row of each key, of rows in the order of arrival."""
    keys = pc.binary_join_element_wise(*(pc.cast(table[column], pa.string()) for column in SHAPES[name].key), "/")
    _, first = np.unique(pc.fill_null(keys, "").to_numpy(), return_index=True)
    return table.take(pa.array(np.sort(first)))


# --- usage ----------------------------------------------------------------------------------------------------


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


def _usage_of_day(
    company: Company, rate: npt.NDArray[np.float64], day: int, rows: int, first: int
) -> dict[str, npt.NDArray[Any]]:
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


# --- side tables ----------------------------------------------------------------------------------------------


def accounts(company: Company) -> pa.Table:
    """Return the accounts; a tenth went to another customer-success manager."""
    rng, size = company.rng(20), company.accounts
    managers = [f"csm-{number:03}" for number in range(60)]
    table = pa.table(
        {
            "account_id": pa.array(company.ids, pa.string()),
            "name": pc.binary_join_element_wise("Company", pa.array(company.ids, pa.string()), " "),
            "customer_since": date(company.since),
            "csm": names(managers, rng.integers(0, len(managers), size)),
            "industry": drawn(rng, ["bank", "shop", "school", "clinic", None], [0.3, 0.3, 0.2, 0.15, 0.05], size),
            "region": drawn(rng, ["north", "south", "east", "west"], [0.4, 0.3, 0.2, 0.1], size),
            "recorded_at": time(company.since * DAY),
        }
    )
    moving = rng.random(size) < 0.1
    days = company.start + rng.integers(30, 400, size)
    other = replaced(
        table, csm=names(managers, rng.integers(0, len(managers), size)), recorded_at=time(days * DAY + 9 * 3_600)
    )
    return pa.concat_tables([table, other.filter(pa.array(moving & (days < DAYS)))])


def contracts(company: Company) -> pa.Table:
    """Return the contracts: one term after the other, with add-ons, gaps, open ends and notices."""
    rng, size = company.rng(21), company.accounts
    term = rng.choice([90, 180, 365], size, p=[0.1, 0.35, 0.55])
    licences = np.ceil(company.users * rng.uniform(0.8, 2.0, size))
    price = rng.uniform(80, 400, size).round(2)
    plan = rng.integers(0, len(PLANS), size)
    start = company.since.copy()
    parts = []
    for number in range((DAYS + 800) // 90):
        running = np.flatnonzero((start < company.end) & (start - 60 < DAYS))
        if len(running):
            parts.append(_terms(company, rng, number, running, start, term, licences, price, plan))
        gap = np.where(rng.random(size) < 0.03, rng.integers(10, 80, size), 0)
        start = start + term + gap
        licences = np.ceil(np.maximum(1, licences * rng.choice([0.7, 1.0, 1.0, 1.2], size)))
        plan = np.where(rng.random(size) < 0.05, rng.integers(0, len(PLANS), size), plan)
    return corrected(rng, pa.concat_tables(parts), _more_licences)


def _terms(
    company: Company,
    rng: np.random.Generator,
    number: int,
    running: Ints,
    starts: Ints,
    terms: Ints,
    licences: npt.NDArray[np.float64],
    price: npt.NDArray[np.float64],
    plan: Ints,
) -> pa.Table:
    """The next term of those still with us: the contract, an add-on for some, and the notice of the last term."""
    size, start, term = len(running), starts[running], terms[running]
    end = start + term - 1
    signed = start - rng.integers(5, 60, size)
    last = (end >= company.end[running]) & (company.end[running] < DAYS)
    notice = np.minimum(end - rng.choice([30, 60, 90], size), company.end[running] - 1)
    open_ended = rng.random(size) < 0.01
    table = pa.table(
        {
            "contract_id": _numbered(company, running, "C", number),
            "account_id": pa.array(company.ids[running], pa.string()),
            "start_date": date(start),
            "end_date": date(end, ~open_ended),
            "signed_at": date(signed),
            "notice_deadline": date(end - rng.choice([30, 60, 90], size), rng.random(size) < 0.8),
            "notice_at": date(notice, np.zeros(size, bool)),
            "auto_renew": pa.array(rng.random(size) < 0.5),
            "licences": numbers(licences[running], rng.random(size) < 0.99),
            "arr": numbers((licences * price)[running].round(2), rng.random(size) < 0.99),
            "plan": names(PLANS, plan[running]),
            "recorded_at": time((signed + 1) * DAY + rng.integers(0, DAY, size)),
        }
    )
    add_on = replaced(
        table,
        contract_id=_numbered(company, running, "D", number),
        start_date=date(start + term // 3),
        licences=numbers(np.ceil(licences[running] * 0.2)),
        arr=numbers((licences * price)[running].round(0) * 0.25),
        signed_at=date(start + term // 3 - 2),
        recorded_at=time((start + term // 3 - 1) * DAY),
    ).filter(pa.array((rng.random(size) < 0.06) & (start + term // 3 < DAYS)))
    given = replaced(table, notice_at=date(notice), recorded_at=time((notice + 1) * DAY))
    return pa.concat_tables([table, add_on, given.filter(pa.array(last & (notice > signed + 2)))])


def _numbered(company: Company, running: Ints, letter: str, number: int) -> pa.Array:
    ids = pa.array(company.ids[running], pa.string())
    return pc.binary_join_element_wise(ids, f"{letter}{number:02}", "-")


def _more_licences(rng: np.random.Generator, table: pa.Table) -> pa.Table:
    more = pc.add(table["licences"], pa.array(rng.integers(1, 5, len(table)), pa.float64()))
    return replaced(table, licences=more)


def plans(company: Company) -> pa.Table:
    """Return what each plan offers; a feature of each comes later, and one goes."""
    rows = [
        {
            "plan": plan,
            "feature": feature,
            "valid_from": 400 if place == 5 else -1_000,
            "valid_to": 600 if place == 7 else None,
        }
        for number, plan in enumerate(PLANS)
        for place, feature in enumerate(FEATURES[: 15 + 12 * number])
    ]
    begun = np.array([row["valid_from"] for row in rows])
    ended = np.array([row["valid_to"] or 0 for row in rows])
    return pa.table(
        {
            "plan": pa.array([row["plan"] for row in rows]),
            "feature": pa.array([row["feature"] for row in rows]),
            "valid_from": date(begun),
            "valid_to": date(ended, ended > 0),
            "recorded_at": time(begun * DAY),
        }
    )


def contacts(company: Company) -> pa.Table:
    """Return three people or so an account: new titles, departures and successors among them."""
    rng = company.rng(22)
    people = rng.integers(1, 5, company.accounts)
    account = np.repeat(np.arange(company.accounts), people)
    number = np.arange(len(account)) - (np.cumsum(people) - people)[account]
    size = len(account)
    role = np.where(
        number == 0, np.where(rng.random(size) < 0.9, 0, 2), rng.choice(4, size, p=[0.2, 0.3, 0.2, 0.3])
    )
    begun = company.since[account] + rng.integers(0, 90, size) * (rng.random(size) < 0.4)
    ids = pc.binary_join_element_wise(pa.array(company.ids[account], pa.string()), text(number), "-p")
    table = pa.table(
        {
            "contact_id": ids,
            "account_id": pa.array(company.ids[account], pa.string()),
            "role": names(["champion", "sponsor", "admin", "user"], role),
            "title": drawn(rng, ["Head of Data", "Buyer", "Analyst", None], [0.3, 0.3, 0.3, 0.1], size),
            "valid_from": date(begun),
            "valid_to": date(begun, np.zeros(size, bool)),
            "successor_id": pa.nulls(size, pa.string()),
            "recorded_at": time((begun + 1) * DAY + rng.integers(0, DAY, size)),
        }
    )
    leaves = (rng.random(size) < 0.2) & (begun < 800)
    left = begun + rng.integers(60, 700, size)
    named = rng.random(size) < 0.4
    other = pc.binary_join_element_wise(
        pa.array(company.ids[account], pa.string()), text(rng.integers(0, 4, size)), "-p"
    )
    gone = replaced(
        table,
        valid_to=date(left),
        successor_id=pc.if_else(pa.array(named), other, None),
        recorded_at=time((left - rng.integers(-3, 20, size)) * DAY),
    ).filter(pa.array(leaves & (left < DAYS)))
    promoted = begun + rng.integers(100, 700, size)
    risen = replaced(
        table,
        title=drawn(rng, ["Head of Data", "Group Head of Data", "Buyer", None], [0.3, 0.3, 0.3, 0.1], size),
        valid_from=date(promoted),
        recorded_at=time((promoted + 1) * DAY),
    ).filter(pa.array(~leaves & (rng.random(size) < 0.12) & (promoted < DAYS)))
    return corrected(rng, pa.concat_tables([table, gone, risen]), redrawn("title", ["Buyer", "Analyst"]))


def tickets(company: Company) -> pa.Table:
    """Return the tickets, recorded in the night; those still open then are recorded once more when closed."""
    rng, size = company.rng(23), company.side_rows("tickets")
    account, opened = company.occurrences(rng, size)
    days_open = rng.exponential(np.where(rng.random(size) < 0.6, 0.2, 5.0), size)
    closed = opened + (days_open * DAY).astype(np.int64) + 600
    known = recorded(rng, (opened // DAY + 1) * DAY)
    closes = rng.random(size) < 0.97
    table = pa.table(
        {
            "ticket_id": pc.binary_join_element_wise("T", text(np.arange(size), 7), ""),
            "account_id": pa.array(company.ids[account], pa.string()),
            "opened_at": time(opened),
            "closed_at": time(closed),
            "priority": drawn(rng, ["low", "normal", "high", "urgent", None], [0.3, 0.45, 0.15, 0.05, 0.05], size),
            "escalated": pa.array(rng.random(size) < 0.05),
            "category": drawn(rng, ["bug", "how_to", "billing", "other"], [0.4, 0.4, 0.1, 0.1], size),
            "satisfaction": numbers(rng.integers(1, 6, size), rng.random(size) < 0.6),
            "recorded_at": time(known),
        }
    )
    return corrected(
        rng, as_it_ended(table, "closed_at", closed, known, closes), redrawn("priority", ["low", "high"])
    )


def surveys(company: Company) -> pa.Table:
    """Return answers to surveys, most of them by contacts."""
    rng, size = company.rng(24), company.side_rows("surveys")
    account, occurred = company.occurrences(rng, size)
    who = pc.binary_join_element_wise(
        pa.array(company.ids[account], pa.string()), text(rng.integers(0, 5, size)), "-p"
    )
    table = pa.table(
        {
            "survey_id": pc.binary_join_element_wise("S", text(np.arange(size), 7), ""),
            "account_id": pa.array(company.ids[account], pa.string()),
            "respondent_id": pc.if_else(pa.array(rng.random(size) < 0.95), who, None),
            "nps": numbers(np.minimum(10, (rng.beta(3, 1.2, size) * 11).astype(np.int64))),
            "comment": drawn(rng, [None, "It does what we need.", "Too slow for us."], [0.8, 0.1, 0.1], size),
            "occurred_at": time(occurred),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, moved("occurred_at"))


def community(company: Company) -> pa.Table:
    """Return posts, replies and visits of a few members an account."""
    rng, size = company.rng(25), company.side_rows("community")
    account, occurred = company.occurrences(rng, size)
    who = pc.binary_join_element_wise(
        pa.array(company.ids[account], pa.string()), text((rng.beta(1, 3, size) * 6).astype(np.int64)), "-m"
    )
    table = pa.table(
        {
            "activity_id": pc.binary_join_element_wise("P", text(np.arange(size), 7), ""),
            "account_id": pa.array(company.ids[account], pa.string()),
            "member_id": pc.if_else(pa.array(rng.random(size) < 0.98), who, None),
            "kind": drawn(rng, ["post", "reply", "visit"], [0.3, 0.3, 0.4], size),
            "question": pa.array(rng.random(size) < 0.3),
            "level": drawn(rng, ["basic", "advanced", None], [0.4, 0.4, 0.2], size),
            "sentiment": numbers(rng.integers(-10, 11, size) / 10, rng.random(size) < 0.7),
            "occurred_at": time(occurred),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, redrawn("kind", ["post", "reply"]))


def feedback(company: Company) -> pa.Table:
    """Return reviews, social posts and complaints; a complaint resolved is a new version of the row."""
    rng, size = company.rng(26), company.side_rows("feedback")
    account, occurred = company.occurrences(rng, size)
    kind = rng.choice(3, size, p=[0.3, 0.3, 0.4])
    resolved = occurred + (rng.exponential(12.0, size) * DAY).astype(np.int64) + 600
    known = recorded(rng, occurred)
    table = pa.table(
        {
            "feedback_id": pc.binary_join_element_wise("F", text(np.arange(size), 7), ""),
            "account_id": pa.array(company.ids[account], pa.string()),
            "kind": names(["review", "social", "complaint"], kind),
            "rating": numbers(rng.integers(1, 6, size), kind == 0),
            "sentiment": numbers(rng.integers(-10, 11, size) / 10, kind == 1),
            "occurred_at": time(occurred),
            "resolved_at": time(resolved),
            "recorded_at": time(known),
        }
    )
    ended = as_it_ended(table, "resolved_at", resolved, known, (kind == 2) & (rng.random(size) < 0.8))
    return corrected(rng, ended, moved("occurred_at"))


def requests(company: Company) -> pa.Table:
    """Return what customers asked of us."""
    rng, size = company.rng(27), company.side_rows("requests")
    account, occurred = company.occurrences(rng, size)
    kinds = ["discount", "terms", "downgrade", "data_export", "cancel", "expansion"]
    table = pa.table(
        {
            "request_id": pc.binary_join_element_wise("R", text(np.arange(size), 7), ""),
            "account_id": pa.array(company.ids[account], pa.string()),
            "kind": drawn(rng, kinds, [0.25, 0.2, 0.1, 0.15, 0.1, 0.2], size),
            "reason": drawn(rng, ["budget", "competitor", "value", None], [0.3, 0.2, 0.2, 0.3], size),
            "occurred_at": time(occurred),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, redrawn("kind", kinds))


def visits(company: Company) -> pa.Table:
    """Return views of the pages that say something about leaving, and of others."""
    rng, size = company.rng(28), company.side_rows("visits")
    account, occurred = company.occurrences(rng, size)
    who = company.first_user[account] + (rng.beta(1, 3, size) * company.users[account]).astype(np.int64)
    pages = ["cancel", "downgrade", "export", "other"]
    table = pa.table(
        {
            "visit_id": pc.binary_join_element_wise("V", text(np.arange(size), 7), ""),
            "account_id": pa.array(company.ids[account], pa.string()),
            "user_id": company.user_ids.take(pa.array(who, mask=rng.random(size) < 0.02)),
            "page": drawn(rng, pages, [0.1, 0.1, 0.2, 0.6], size),
            "occurred_at": time(occurred),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, redrawn("page", pages))


def organisation(company: Company) -> pa.Table:
    """Return changes at the top of customers."""
    rng, size = company.rng(29), company.side_rows("organisation")
    account, occurred = company.occurrences(rng, size)
    kinds = ["chief_executive", "department_head", "acquirer", "acquired"]
    table = pa.table(
        {
            "event_id": pc.binary_join_element_wise("O", text(np.arange(size), 7), ""),
            "account_id": pa.array(company.ids[account], pa.string()),
            "kind": drawn(rng, kinds, [0.3, 0.4, 0.2, 0.1], size),
            "occurred_at": time(occurred),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, moved("occurred_at"))


def assessments(company: Company) -> pa.Table:
    """Return the ratings of the qualitative factors."""
    rng, size = company.rng(30), company.side_rows("assessments")
    account, occurred = company.occurrences(rng, size)
    table = pa.table(
        {
            "assessment_id": pc.binary_join_element_wise("Q", text(np.arange(size), 7), ""),
            "account_id": pa.array(company.ids[account], pa.string()),
            "factor": names(FACTORS, rng.integers(0, len(FACTORS), size)),
            "rating": numbers(rng.integers(1, 6, size)),
            "occurred_at": time(occurred),
            "assessor": names(["csm", "services"], rng.integers(0, 2, size)),
            "recorded_at": time(recorded(rng, occurred)),
        }
    )
    return corrected(rng, table, moved("occurred_at"))


def feeds(company: Company) -> pa.Table:
    """Return what was delivered: everything since the first day, but for a hole of three days in one table."""
    tables = ["usage", "contacts", *SIDE_ROWS]
    begun = np.array([0] * len(tables) + [433])
    ended = np.array([0] * len(tables) + [0])
    ended[tables.index("community")] = 429
    return pa.table(
        {
            "table": pa.array([*tables, "community"]),
            "account_id": pa.nulls(len(begun), pa.string()),
            "covered_from": date(begun),
            "covered_to": date(ended, ended > 0),
            "recorded_at": time(begun * DAY),
        }
    )


SIDE_TABLES: Mapping[str, Callable[[Company], pa.Table]] = {
    "accounts": accounts,
    "contracts": contracts,
    "plans": plans,
    "tickets": tickets,
    "surveys": surveys,
    "community": community,
    "feedback": feedback,
    "requests": requests,
    "visits": visits,
    "contacts": contacts,
    "organisation": organisation,
    "assessments": assessments,
    "feeds": feeds,
}


# --- files ----------------------------------------------------------------------------------------------------


def write_company(folder: Path, company: Company) -> Path:
    """Write a company's tables and its ``sources.toml`` to a folder; nothing is left of an interrupted run.

    What was written by the same code for the same company stays as it is.
    """
    made_by = {"code": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(), "company": repr(company)}
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
