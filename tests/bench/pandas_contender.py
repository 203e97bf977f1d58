"""Plain pandas from a company's Parquet files to the Parquet file of the same values: the serious baseline.

::

    python -m tests.bench.pandas_contender FOLDER OUT [catalogue|sixteen] [plain|tuned] [MONTHS]

Text becomes categories when it is read, and each date is one vectorised pass over the rows known by then
(recorded, and not replaced): masks, groups and merges. ``tuned`` sorts usage once and works on slices and
whole-number keys. NaN stands for every kind of unknown: that is what makes it simpler than Keepsight.
``sixteen`` are the columns of the first measurements of the engine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.bench.in_pandas import contracts, people, support, usage
from tests.bench.in_pandas.tables import Floats, Moment, Tables, ratio
from tests.bench.in_pandas.tuned import TunedMoment, TunedTables
from tests.bench.pairs import MONTHS, as_of_dates

Columns = Mapping[str, Callable[[Moment], Any]]

CATALOGUE: Columns = {
    "licence_utilisation": usage.licence_utilisation,
    "licence_change": contracts.licence_change,
    "usage_trend": usage.usage_trend,
    "days_since_last_use": usage.days_since_last_use,
    "feature_breadth": usage.feature_breadth,
    "stale_implementation": usage.stale_implementation,
    "onboarding_adoption": usage.onboarding_adoption,
    "support_load": support.support_load,
    "slow_resolution": support.slow_resolution,
    "open_escalations": support.open_escalations,
    "support_satisfaction": support.support_satisfaction,
    "nps_score": support.nps_score,
    "nps_detractors": support.nps_detractors,
    "nps_change": support.nps_change,
    "angry_posts": support.angry_posts,
    "beginner_questions": support.beginner_questions,
    "community_silence": support.community_silence,
    "community_absence": support.community_absence,
    "negative_reviews": support.negative_reviews,
    "open_complaints": support.open_complaints,
    "contract_requests": support.contract_requests,
    "exit_page_views": support.exit_page_views,
    "export_requests": support.export_requests,
    "champion_change": people.champion_change,
    "leadership_change": people.leadership_change,
    "days_to_notice_deadline": contracts.days_to_notice_deadline,
    "days_to_renewal": contracts.days_to_renewal,
    "tenure_days": contracts.tenure_days,
    "stage": contracts.stage,
    "licences": lambda moment: contracts.total(moment, "licences"),
    "arr": lambda moment: contracts.total(moment, "arr"),
    "plan": lambda moment: contracts.plan(moment).astype(object).to_numpy(),
    "industry": lambda moment: of_account(moment, "industry"),
    "region": lambda moment: of_account(moment, "region"),
    "contract_length_days": contracts.contract_length_days,
    "feature_breadth_before": lambda moment: usage.feature_breadth(moment, ago=90),
    "under_notice": contracts.under_notice,
}

SIXTEEN: Columns = {
    "licence_utilisation": lambda moment: ratio(usage.people_in(moment, 30), contracts.total(moment, "licences")),
    "people_90_days": lambda moment: usage.people_in(moment, 90),
    "events_30_days": lambda moment: events(moment, 30),
    "event_trend": lambda moment: ratio(events(moment, 30) / 30, events(moment, 90, 30) / 90),
    "days_since_last_use": usage.days_since_last_use,
    "features_90_days": lambda moment: usage.features_shown(moment, 90),
    "support_load": lambda moment: ratio(tickets(moment, 90) * 10, usage.people_in(moment, 90)),
    "hours_to_close": lambda moment: hours_to_close(moment),
    "open_escalations": support.open_escalations,
    "nps_score": support.nps_score,
    "nps_change": support.nps_change,
    "negative_share": support.negative_share,
    "community_silence": support.community_silence,
    "exit_page_views": support.exit_page_views,
    "contact_left": people.contact_left,
    "days_to_renewal": contracts.days_to_renewal,
}


STYLES: Mapping[str, tuple[Any, Any]] = {"plain": (Tables, Moment), "tuned": (TunedTables, TunedMoment)}


def of_account(moment: Moment, column: str) -> Any:
    """Return a column of ``accounts``."""
    known = moment.known("accounts").set_index("account")[column]
    return known.astype(object).reindex(range(moment.size)).to_numpy()


def events(moment: Moment, days: int, ago: int = 0) -> Floats:
    return moment.count(moment.window("usage", days, ago).account)


def tickets(moment: Moment, days: int) -> Floats:
    return moment.count(moment.window("tickets", days).account)


def hours_to_close(moment: Moment) -> Floats:
    """Return the median hours from opening to closing of tickets closed over 90 days."""
    rows = moment.known("tickets")
    rows = rows[(rows.closed_at <= moment.as_of) & (rows.closed_at > moment.as_of - pd.Timedelta(days=90))]
    hours = (rows.closed_at - rows["at"]) / pd.Timedelta(hours=1)
    return moment.per_account(hours.groupby(rows.account).median())


def values(folder: Path, scope: str = "catalogue", style: str = "plain", months: int = MONTHS) -> pd.DataFrame:
    """Return every account's values on every date."""
    tables, at = STYLES[style][0](folder), STYLES[style][1]
    columns = {"catalogue": CATALOGUE, "sixteen": SIXTEEN}[scope]
    parts = []
    for as_of in as_of_dates(months):
        moment = at(tables, pd.Timestamp(as_of))
        made = {name: measure(moment) for name, measure in columns.items()}
        made |= people.ratings(moment) if scope == "catalogue" else {}
        ids = {"account_id": tables.account_ids.to_numpy(), "as_of": np.full(moment.size, as_of)}
        parts.append(pd.DataFrame({**ids, **made}))
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    values(Path(sys.argv[1]), *sys.argv[3:5], *map(int, sys.argv[5:])).to_parquet(sys.argv[2])
