"""Who changes band under a proposed overlay: today, and on the month starts of the past.

Both catalogues answer about the same accounts and dates, through :func:`~models.decision.score` and
:func:`~models.decision.decide`. Where only the policy differs, both read the same vectors. Where definitions
differ, each reads its own; no model that is there fits both, so the scorecard answers on both sides.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.as_known import as_known
from features.clock import moment_asked
from features.errors import UnknownAccountError
from features.snapshots import accounts_in_force, build_vectors, month_starts, recorded_codebooks
from features.sources import open_database
from features.vectors import FeatureContract, Vectors, feature_contract
from models.decision import Decision, decide, score
from models.thresholds import BAND_NAMES

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.sources import Database, Sources
    from models.bundle import Bundle

ARR = "arr"
Progress = Callable[[int, int], None]
Bands = npt.NDArray[np.object_]  # names; None: withheld
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class SignChange:
    """A signal or factor that is another sign than before; None: no sign."""

    id: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """An account that changes band today; a band of None is withheld."""

    account_id: str
    name: str | None
    csm: str | None
    arr: float | None
    before: str | None
    after: str | None
    signs: tuple[SignChange, ...]


@dataclass(frozen=True, slots=True)
class Month:
    """How many accounts in force on a date change band: for the worse, for the better, from or to withheld."""

    as_of: dt.datetime
    accounts: int
    worse: int
    better: int
    withheld: int

    @property
    def changes(self) -> int:
        """All of them."""
        return self.worse + self.better + self.withheld


@dataclass(frozen=True, slots=True)
class Preview:
    """What a proposed overlay would change.

    Attributes
    ----------
    company, as_of
        Whose accounts, and when: only what was known by then counts.
    model
        Version of the model that answers; None: the scorecard.
    definitions, policy
        Fingerprints in force, and as proposed.
    bands
        Accounts in each band (None: withheld) in force, and as proposed.
    changes
        Who changes band: for the worse first, then by yearly value.
    months
        The month starts of the past, oldest first; those with nobody in force are left out.
    """

    company: str
    as_of: dt.datetime
    model: str | None
    definitions: tuple[str, str]
    policy: tuple[str, str]
    bands: Mapping[str | None, tuple[int, int]]
    changes: tuple[Change, ...]
    months: tuple[Month, ...]

    @property
    def accounts(self) -> int:
        """How many are in force."""
        return sum(before for before, _ in self.bands.values())

    @property
    def retrain(self) -> bool:
        """Whether models must be trained anew: a reading means something else, or there is another."""
        return self.definitions[0] != self.definitions[1]


def preview(
    now: Sources,
    proposed: Sources,
    bundle: Bundle | None,
    *,
    as_of: dt.datetime | None,
    clock: dt.datetime,
    months: int = 12,
    progress: Progress | None = None,
) -> Preview:
    """Compare the bands of all accounts in force under two catalogues.

    Parameters
    ----------
    now, proposed
        The same sources under the catalogue in force and under the one that is proposed
        (:func:`~features.sources.config.load_proposed`).
    bundle
        The model that answers while definitions stay as they are; None: the scorecard.
    as_of
        Which day is today; None: where the history ends, or `clock` if that is earlier.
    clock
        What time it is.
    months
        On how many month starts before `as_of` to look as well.
    progress
        Called with (account-dates done, in all).

    Raises
    ------
    UnknownAccountError
        No account is in force at `as_of`.
    ReadingError
        `as_of` lies in the future.
    """
    with open_database(now) as database:
        today = moment_asked(as_of, database.observed_until, clock)
        grid = accounts_in_force(database, now.catalogue, [*_past(today, months), today])
        if today not in set(grid["as_of"].to_pylist()):
            raise UnknownAccountError(
                f"No account of {now.config.company} has a contract in force on {today:%Y-%m-%d}, as known then. "
                f"The history ends on {database.observed_until:%Y-%m-%d}: give a date before that as --as-of."
            )
        retrain = now.catalogue.definitions_fingerprint != proposed.catalogue.definitions_fingerprint
        bundle = None if retrain else bundle
        shown = _shared(progress, parts=2 if retrain else 1)
        vectors = _vectors(database, now.catalogue, bundle, grid, today, shown(0))
        cards = _cards(database, today)
    other = vectors
    if retrain:
        with open_database(proposed) as database:
            other = _vectors(database, proposed.catalogue, None, grid, today, shown(1))
    sides = (_Side(now, vectors, bundle), _Side(proposed, other, bundle))
    return _compared(sides, today, cards, None if bundle is None else bundle.version)


@dataclass(frozen=True)
class _Side:
    """One catalogue with the vectors that it reads."""

    sources: Sources
    vectors: Vectors
    bundle: Bundle | None

    def bands(self) -> Bands:
        scores = score(self.vectors, self.bundle, self.sources.catalogue, self.sources.yearly_churn)
        return scores.band

    def decisions(self, rows: Rows) -> list[Decision]:
        chosen = self.vectors.take(rows)
        return decide(chosen, self.bundle, self.sources.catalogue, self.sources.yearly_churn)


def _past(today: dt.datetime, months: int) -> list[dt.datetime]:
    """Return the last `months` month starts before today."""
    before = today.date() - dt.timedelta(days=1)
    month = before.year * 12 + before.month - months
    return month_starts(dt.date(month // 12, month % 12 + 1, 1), before)[-months:] if months else []


def _shared(progress: Progress | None, parts: int) -> Callable[[int], Progress | None]:
    """Return what makes of one bar a bar of so many equal parts, and gives that of one part."""

    def of_part(part: int) -> Progress | None:
        if progress is None:
            return None
        return lambda done, total: progress(part * total + done, parts * total)

    return of_part


def _vectors(
    database: Database,
    catalogue: Catalogue,
    bundle: Bundle | None,
    grid: pa.Table,
    today: dt.datetime,
    progress: Progress | None,
) -> Vectors:
    contract: FeatureContract
    if bundle is not None:
        contract = bundle.contract
    else:
        contract = feature_contract(catalogue, recorded_codebooks(database, catalogue, today))
    return build_vectors(database, catalogue, contract, grid, progress)


def _cards(database: Database, today: dt.datetime) -> dict[str, dict[str, Any]]:
    """Return each account's name and CSM, as known today."""
    accounts = database.tables["accounts"]
    known = as_known(accounts, today).select("account_id", "name", "csm")
    rows = database.connection.to_pyarrow(known).to_pylist()
    return {row.pop("account_id"): row for row in rows}


def _compared(
    sides: tuple[_Side, _Side], today: dt.datetime, cards: Mapping[str, Mapping[str, Any]], model: str | None
) -> Preview:
    before, after = (side.bands() for side in sides)
    as_of = sides[0].vectors.as_of
    is_today = as_of == np.datetime64(today, "s")
    months = [
        _month(date.astype(dt.datetime), before[as_of == date], after[as_of == date])
        for date in np.unique(as_of[~is_today])
    ]
    counts = [Counter(bands[is_today].tolist()) for bands in (before, after)]
    now, proposed = (side.sources.catalogue for side in sides)
    return Preview(
        company=sides[0].sources.config.company,
        as_of=today,
        model=model,
        definitions=(now.definitions_fingerprint, proposed.definitions_fingerprint),
        policy=(now.policy_fingerprint, proposed.policy_fingerprint),
        bands={band: (counts[0][band], counts[1][band]) for band in (*BAND_NAMES, None)},
        changes=_changes(sides, np.flatnonzero(is_today & (before != after)), cards),
        months=tuple(months),
    )


def _month(date: dt.datetime, before: Bands, after: Bands) -> Month:
    steps = Counter(_direction(*pair) for pair in zip(before.tolist(), after.tolist(), strict=True))
    return Month(date, len(before), steps["worse"], steps["better"], steps["withheld"])


def _direction(before: str | None, after: str | None) -> str:
    """Say which way a band changes.

    >>> _direction("healthy", "unhealthy"), _direction("healthy", None), _direction("healthy", "healthy")
    ('worse', 'withheld', 'same')
    """
    if before == after:
        return "same"
    if before is None or after is None:
        return "withheld"
    return "worse" if BAND_NAMES.index(after) > BAND_NAMES.index(before) else "better"


def _changes(sides: tuple[_Side, _Side], rows: Rows, cards: Mapping[str, Mapping[str, Any]]) -> tuple[Change, ...]:
    found = [
        replace(_change(before, after), **cards.get(before.account_id, {}))
        for before, after in zip(*(side.decisions(rows) for side in sides), strict=True)
    ]
    order = ("worse", "withheld", "better")
    return tuple(
        sorted(found, key=lambda c: (order.index(_direction(c.before, c.after)), -(c.arr or 0.0), c.account_id))
    )


def _change(before: Decision, after: Decision) -> Change:
    signs = [{sign.id: sign.band for sign in decision.signs} for decision in (before, after)]
    arr = after.readings.get(ARR)
    return Change(
        account_id=before.account_id,
        name=None,
        csm=None,
        arr=arr if isinstance(arr, float) else None,
        before=before.band,
        after=after.band,
        signs=tuple(
            SignChange(name, signs[0].get(name), signs[1].get(name))
            for name in dict.fromkeys([*signs[1], *signs[0]])
            if signs[0].get(name) != signs[1].get(name)
        ),
    )
