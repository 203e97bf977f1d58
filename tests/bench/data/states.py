"""What holds for a time: accounts, contracts, plans, contacts, and what was delivered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.bench.data.columns import DAY, DAYS, Floats, Ints, date, drawn, names, numbers, replaced, time
from tests.bench.data.company import FEATURES, PLANS, SIDE_ROWS, Company
from tests.bench.data.recording import corrected, redrawn


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


@dataclass(frozen=True, slots=True)
class Term:
    """The contracts that accounts sign next, an account each; `number` counts them."""

    number: int
    start: Ints
    days: Ints
    licences: Floats
    price: Floats  # a licence
    plan: Ints

    @property
    def arr(self) -> Floats:
        return self.licences * self.price

    def of(self, accounts: Ints) -> Term:
        """Return those of some accounts."""
        return Term(
            self.number,
            self.start[accounts],
            self.days[accounts],
            self.licences[accounts],
            self.price[accounts],
            self.plan[accounts],
        )

    def followed(self, rng: np.random.Generator) -> Term:
        """Return the contracts that follow: some after a gap, of more or fewer licences, or of another plan."""
        size = len(self.start)
        gap = np.where(rng.random(size) < 0.03, rng.integers(10, 80, size), 0)
        licences = np.ceil(np.maximum(1, self.licences * rng.choice([0.7, 1.0, 1.0, 1.2], size)))
        plan = np.where(rng.random(size) < 0.05, rng.integers(0, len(PLANS), size), self.plan)
        return Term(self.number + 1, self.start + self.days + gap, self.days, licences, self.price, plan)


def contracts(company: Company) -> pa.Table:
    """Return the contracts: one term after the other, with add-ons, gaps, open ends and notices."""
    rng, size = company.rng(21), company.accounts
    term = Term(
        number=0,
        start=company.since,
        days=rng.choice([90, 180, 365], size, p=[0.1, 0.35, 0.55]),
        licences=np.ceil(company.users * rng.uniform(0.8, 2.0, size)),
        price=rng.uniform(80, 400, size).round(2),
        plan=rng.integers(0, len(PLANS), size),
    )
    parts = []
    for _ in range((DAYS + 800) // 90):
        running = np.flatnonzero((term.start < company.end) & (term.start - 60 < DAYS))
        if len(running):
            parts.append(_signed(company, rng, running, term.of(running)))
        term = term.followed(rng)
    return corrected(rng, pa.concat_tables(parts), _more_licences)


def _signed(company: Company, rng: np.random.Generator, running: Ints, term: Term) -> pa.Table:
    """The next term of those still with us: the contract, an add-on for some, and the notice of the last term."""
    size, leaves = len(running), company.end[running]
    end = term.start + term.days - 1
    signed = term.start - rng.integers(5, 60, size)
    last = (end >= leaves) & (leaves < DAYS)
    notice = np.minimum(end - rng.choice([30, 60, 90], size), leaves - 1)
    open_ended = rng.random(size) < 0.01
    table = pa.table(
        {
            "contract_id": _numbered(company, running, "C", term.number),
            "account_id": company.account_ids(running),
            "start_date": date(term.start),
            "end_date": date(end, ~open_ended),
            "signed_at": date(signed),
            "notice_deadline": date(end - rng.choice([30, 60, 90], size), rng.random(size) < 0.8),
            "notice_at": date(notice, np.zeros(size, bool)),
            "auto_renew": pa.array(rng.random(size) < 0.5),
            "licences": numbers(term.licences, rng.random(size) < 0.99),
            "arr": numbers(term.arr.round(2), rng.random(size) < 0.99),
            "plan": names(PLANS, term.plan),
            "recorded_at": time((signed + 1) * DAY + rng.integers(0, DAY, size)),
        }
    )
    later = term.start + term.days // 3
    add_on = replaced(
        table,
        contract_id=_numbered(company, running, "D", term.number),
        start_date=date(later),
        licences=numbers(np.ceil(term.licences * 0.2)),
        arr=numbers(term.arr.round(0) * 0.25),
        signed_at=date(later - 2),
        recorded_at=time((later - 1) * DAY),
    ).filter(pa.array((rng.random(size) < 0.06) & (later < DAYS)))
    given = replaced(table, notice_at=date(notice), recorded_at=time((notice + 1) * DAY))
    return pa.concat_tables([table, add_on, given.filter(pa.array(last & (notice > signed + 2)))])


def _numbered(company: Company, running: Ints, letter: str, number: int) -> pa.Array:
    return pc.binary_join_element_wise(company.account_ids(running), f"{letter}{number:02}", "-")


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
    ids = company.people("p", account, number)
    table = pa.table(
        {
            "contact_id": ids,
            "account_id": company.account_ids(account),
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
    other = company.people("p", account, rng.integers(0, 4, size))
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
