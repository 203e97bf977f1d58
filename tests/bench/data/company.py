"""Who the accounts of a benchmark company are: everything that its tables are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tests.bench.data.columns import DAY, DAYS, Ints, text

LATE_START_SHARE, EARLY_END_SHARE = 0.40, 0.35
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
PLANS = ("basic", "team", "pro")
FEATURES = tuple(f"feature-{number:02}" for number in range(40))


@dataclass(frozen=True)
class Company:
    """A company by its size and seed. Days and moments count from the first day."""

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
        return np.where(rng.random(self.accounts) < LATE_START_SHARE, rng.integers(1, 600, self.accounts), 0)

    @cached_property
    def end(self) -> Ints:
        """The day after the last one of activity."""
        rng = self.rng(3)
        early = np.minimum(DAYS, self.start + rng.integers(120, 900, self.accounts))
        return np.where(rng.random(self.accounts) < EARLY_END_SHARE, early, DAYS)

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
        return self.people("u", account, number)

    @cached_property
    def first_user(self) -> Ints:
        return np.cumsum(self.users) - self.users

    def account_ids(self, account: Ints) -> pa.Array:
        """Return the ids of accounts."""
        return pa.array(self.ids[account], pa.string())

    def people(self, letter: str, account: Ints, number: Ints) -> pa.Array:
        """Return the ids of people: the account's, a letter for who they are, and a number."""
        return pc.binary_join_element_wise(self.account_ids(account), text(number), f"-{letter}")

    def occurrences(self, rng: np.random.Generator, rows: int) -> tuple[Ints, Ints]:
        """Draw the accounts and moments (seconds since the first day) of so many rows of a side table."""
        chance = np.sqrt(self.weight) * rng.lognormal(0, 0.8, self.accounts)
        account = rng.choice(self.accounts, rows, p=chance / chance.sum())
        days = self.start[account] + rng.random(rows) * (self.end - self.start)[account]
        return account, (days * DAY).astype(np.int64)

    def side_rows(self, table: str) -> int:
        return round(SIDE_ROWS[table] * self.accounts)
