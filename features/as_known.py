"""What counted at a moment, in queries: rows as known then, contracts in force.

For whoever asks the tables beside the engine of the measures, which reads many dates at once in NumPy and has the
same two rules there (:mod:`features.measures.service`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir


def as_known(rows: ir.Table, moment: dt.datetime | ir.TimestampValue) -> ir.Table:
    """Return the rows that count at a moment: recorded by then, and not corrected or replaced by then.

    Examples
    --------
    >>> import ibis, pyarrow as pa
    >>> first, second, never = dt.datetime(2025, 1, 1), dt.datetime(2025, 1, 8), dt.datetime(9999, 12, 31)
    >>> versions = {"said": ["open", "closed"], "known_from": [first, second], "known_until": [second, never]}
    >>> tickets = ibis.memtable(pa.table(versions))
    >>> [as_known(tickets, moment).said.to_pyarrow().to_pylist() for moment in (first, second)]
    [['open'], ['closed']]
    """
    return rows.filter((rows.known_from <= moment) & (rows.known_until > moment))


def covers(contracts: ir.Table, day: dt.date | ir.DateValue) -> ir.BooleanValue:
    """Tell which contracts are in force on a day: begun by then, and not ended before; one without an end has not.

    Examples
    --------
    >>> import ibis, pyarrow as pa
    >>> january, february = (dt.date(2025, 1, 1), dt.date(2025, 1, 31)), dt.date(2025, 2, 1)
    >>> terms = {"id": ["a", "b"], "start_date": [january[0], february], "end_date": [january[1], None]}
    >>> contracts = ibis.memtable(pa.table(terms))
    >>> days = (january[1], february)
    >>> [contracts.filter(covers(contracts, day)).id.to_pyarrow().to_pylist() for day in days]
    [['a'], ['b']]
    """
    return (contracts.start_date <= day) & (contracts.end_date.isnull() | (contracts.end_date >= day))
