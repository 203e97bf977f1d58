"""Everything that a measure may ask about one account at one moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from statistics import median
from typing import Any

from features.catalogue.schema import BreadthMeasure, Definitions, DeltaMeasure, LatestAtMost, LatestMeasure
from tests.oracle import contracts
from tests.oracle.company import CONTRACT, Known, Row
from tests.oracle.contacts import holders
from tests.oracle.rows import View, Window, durations, occurred_at, window


class Question:
    """One account at one moment. `shared` keeps what the whole company has in common on that date."""

    def __init__(self, definitions: Definitions, known: Known, account_id: str, shared: dict[Any, Any]) -> None:
        self.definitions, self.known, self.shared = definitions, known, shared
        self.as_of = known.as_of
        self.contracts: Sequence[Row] = known.rows("contracts", account_id)
        self.view = View(known, account_id, contracts.service_start(known, account_id, definitions))

    @cached_property
    def stage(self) -> str | None:
        return contracts.stage(
            self.contracts,
            self.as_of.date(),
            self.view.tenure_days,
            self.definitions.stages,
            self.definitions.lapse_grace_days,
        )

    def must_know_contracts(self) -> None:
        self.view.must_be_connected("contracts")

    def of(self, account_id: str) -> Question:
        """The same question about another account."""
        return Question(self.definitions, self.known, account_id, self.shared)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """A reference value, worked out once for a company and date."""
        if key not in self.shared:
            self.shared[key] = make()
        return self.shared[key]

    def of_the_day(self) -> Question:
        """The same company at the midnight with which the day begins: then everyone's values are taken."""

        def put() -> Question:
            midnight = dt.datetime.combine(self.as_of.date(), dt.time())
            return Question(self.definitions, self.known.company.known_at(midnight), self.view.account_id, {})

        put_then: Question = self.once("midnight", put)
        return put_then

    def account_ids(self) -> list[str]:
        return sorted({row["account_id"] for row in self.known.company.rows["accounts"]})

    def values_shown(self, account_id: str, measure: BreadthMeasure, span: Window) -> set[Any]:
        rows = View(self.known, account_id, None).rows(measure.rows, span)
        return {row[measure.column] for row in rows if row[measure.column] is not None}

    def offered(self, plan: str | None, measure: BreadthMeasure) -> set[Any]:
        """What the plan offers now; where no table says, what any account of the plan showed by midnight.

        Accounts without a plan are compared with one another.
        """
        day = self.as_of.date()
        if self.known.connected("plans"):
            return {
                row["feature"]
                for row in self.known.rows("plans")
                if row["plan"] == plan
                and (row["valid_from"] or dt.date.min) <= day <= (row["valid_to"] or dt.date.max)
            }
        then = self.of_the_day()
        span = window(then.as_of, measure.window_days, measure.until_days_ago)
        by_plan: Mapping[str | None, set[Any]] = then.once(
            ("offered", repr(measure), span), lambda: then.shown_by_plan(measure, span)
        )
        return by_plan.get(plan, set())

    def shown_by_plan(self, measure: BreadthMeasure, span: Window) -> dict[str | None, set[Any]]:
        by_plan: dict[str | None, set[Any]] = {}
        for account_id in self.account_ids():
            held = contracts.in_force(self.known.rows("contracts", account_id), self.as_of.date())
            plan = contracts.plan(held, self.as_of.date())
            if not held:
                continue
            by_plan.setdefault(plan, set()).update(self.values_shown(account_id, measure, span))
        return by_plan

    def company_median(self, measure: Any) -> float | None:
        """The median over the rows of all accounts by midnight; none where there are none."""
        then = self.of_the_day()
        span = window(then.as_of, measure.window_days)

        def work_out() -> float | None:
            rows = [row for one in then.account_ids() for row in then.of(one).view.rows(measure.rows)]
            lengths = durations(measure.rows.table, rows, span)
            return median(lengths) if lengths else None

        value: float | None = then.once(("median", repr(measure), span), work_out)
        return value

    def answers_by(
        self, asked: LatestMeasure | DeltaMeasure | LatestAtMost, span: Window
    ) -> dict[str | None, list[float]]:
        """Each respondent's answers in the window, from the first to the last."""
        table = asked.rows.table
        (key,) = CONTRACT[table]["key"]
        rows = sorted(
            self.view.rows(asked.rows, span),
            key=lambda row: (occurred_at(table, row), max(row["known_from"], occurred_at(table, row)), row[key]),
        )
        answers: dict[str | None, list[float]] = {}
        for row in rows:
            if row[asked.column] is not None:
                answers.setdefault(row[asked.by], []).append(row[asked.column])
        return answers

    def people_at(self, role_in: Sequence[str], day: dt.date) -> set[str]:
        """Contacts who hold one of these roles on a day."""
        return holders(self.known.rows("contacts", self.view.account_id), role_in, day)
