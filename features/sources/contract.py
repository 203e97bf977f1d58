"""The written contract of every table: ours, read from ``contract.toml``, and the form of a company's own.

A company's own tables stand in its overlay's ``tables.toml``, in the same form;
:attr:`~features.catalogue.schema.Definitions.contracts` has both.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RECORDED_AT = "recorded_at"  # every table may carry it: when we came to know the row
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]


class ColumnType(StrEnum):
    """What the values of a column are; each is one type of every engine.

    Text, 64-bit integer, 64-bit float, boolean, date, and timestamp in UTC without zone, whole seconds.
    """

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    YES_NO = "yes_no"
    DATE = "date"
    TIME = "time"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnContract(_Frozen):
    """One column: its type, whether every row needs it, and the values allowed (edges included).

    `default` stands where nothing was given, also where the company has no such column. `filled_later`: written
    into a row after it was first written, without a date of its own.
    """

    type: ColumnType
    required: bool = False
    one_of: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    default: float | str | None = None
    filled_later: bool = False


class TableContract(_Frozen):
    """One table.

    Attributes
    ----------
    kind
        ``event``: rows happen. ``state``: rows describe what holds, and may be announced ahead.
    key
        The columns that identify a row over its corrections.
    about
        One sentence for people.
    occurred
        Of an event: the column that says when.
    ended
        Of an event that lasts: the column that says until when; empty while it lasts.
    known
        Of a state without ``recorded_at``: the first of these dates that is given tells when it became known.
    in_order
        Pairs of dates, of which the first cannot lie after the second.
    labels_only
        Read by labels alone, never by features.
    no_account
        Its rows belong to no account.
    columns
        By name, in order; ``recorded_at`` is understood.
    """

    kind: Literal["event", "state"]
    key: tuple[str, ...]
    about: str
    occurred: str | None = None
    ended: str | None = None
    known: tuple[str, ...] = ()
    in_order: tuple[tuple[str, str], ...] = ()
    labels_only: bool = False
    no_account: bool = False
    columns: Mapping[Identifier, ColumnContract]

    @property
    def ordered(self) -> tuple[tuple[str, str], ...]:
        """Pairs of dates, of which the first cannot lie after the second: nothing ends before it begins."""
        lasts = ((self.occurred, self.ended),) if self.occurred and self.ended else ()
        return (*lasts, *self.in_order)

    @property
    def by_account(self) -> bool:
        """Whether each row belongs to an account (``feeds`` may leave it empty: all accounts)."""
        return "account_id" in self.columns

    @property
    def required(self) -> tuple[str, ...]:
        """The columns without which a row says nothing."""
        return tuple(name for name, column in self.columns.items() if column.required)

    @property
    def fed(self) -> bool:
        """Whether measures ask which days of this table were delivered."""
        return "account_id" in self.required and bool(self.occurred or self.known) and not self.labels_only


@cache
def table_contracts() -> Mapping[str, TableContract]:
    """Return the contract of each of our tables by name, in the order of ``contract.toml``.

    Examples
    --------
    >>> contracts = table_contracts()
    >>> contracts["tickets"].occurred, contracts["tickets"].ended, contracts["tickets"].key
    ('opened_at', 'closed_at', ('ticket_id',))
    >>> contracts["surveys"].columns["nps"].at_most
    10.0
    """
    raw = tomllib.loads(Path(__file__).with_name("contract.toml").read_text(encoding="utf-8"))
    return MappingProxyType({name: TableContract.model_validate(table) for name, table in raw.items()})
