"""What people do in the product."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.bench.in_pandas import contracts
from tests.bench.in_pandas.tables import ONE_DAY, Floats, Moment, ratio


def people_in(moment: Moment, days: int) -> Floats:
    return moment.distinct(moment.window("usage", days), "person")


def licence_utilisation(moment: Moment) -> Floats:
    return ratio(people_in(moment, 30), contracts.licences_held(moment, 30))


def person_days(moment: Moment, days: int, ago: int = 0) -> Floats:
    return moment.distinct(moment.window("usage", days, ago), "person", "day")


def usage_trend(moment: Moment) -> Floats:
    """Person-days per covered day of 30 days over the 90 days before; where there are none, quantities."""
    recent_days, base_days = (moment.covered_days("usage", *span)[1] for span in ((30, 0), (90, 30)))
    now, then = person_days(moment, 30), person_days(moment, 90, 30)
    sums = [_quantity(moment, *span) for span in ((30, 0), (90, 30))]
    none = (now == 0) & (then == 0)
    now, then = np.where(none, sums[0], now), np.where(none, sums[1], then)
    trend = ratio(ratio(now, recent_days), ratio(then, base_days))
    return np.where(base_days >= 30, trend, np.nan)


def _quantity(moment: Moment, days: int, ago: int) -> Floats:
    rows = moment.window("usage", days, ago)
    rows = rows[rows.human]
    return np.nan_to_num(moment.per_account(rows.groupby("account").quantity.sum()))


def days_since_last_use(moment: Moment) -> Floats:
    last = moment.use.groupby("account")["at"].max()
    since = moment.per_account((moment.as_of - last).dt.days)
    return np.where(np.isnan(since), contracts.tenure_days(moment), since)


def features_shown(moment: Moment, days: int, ago: int = 0) -> Floats:
    return moment.distinct(moment.window("usage", days, ago), "feature")


def feature_breadth(moment: Moment, ago: int = 0) -> Floats:
    """Features used over 90 days / features that the plan offers now."""
    plans = moment.known("plans")
    begun = plans.valid_from.isna() | (plans.valid_from <= moment.as_of)
    offered = plans[begun & ~(plans.valid_to < moment.as_of)].groupby("plan").feature.nunique()
    own = contracts.plan(moment).astype(object).map(offered).to_numpy(float)
    return ratio(features_shown(moment, 90, ago), own)


def stale_implementation(moment: Moment) -> Floats:
    """Days since a feature or a person was seen for the first time."""
    ages = ((moment.as_of - moment.newest(moment.use, column)).dt.days for column in ("feature", "person"))
    newest = np.fmin(*map(moment.per_account, ages))
    tenure = contracts.tenure_days(moment)
    return np.where(tenure >= 240, np.where(np.isnan(newest), tenure, newest), np.nan)


def onboarding_adoption(moment: Moment) -> Floats:
    """People active in days 61 to 90 of service / licences on day 90."""
    tenure = contracts.tenure_days(moment)
    asked = (tenure >= 90) & (tenure < 365)
    rows = moment.window("usage", 365)
    rows = rows[asked[rows.account]]
    start = moment.service_start[rows.account]
    after = rows["at"].to_numpy() - start
    rows = rows[(after > np.timedelta64(60, "D")) & (after <= np.timedelta64(90, "D"))]
    held = moment.known("contracts")
    day_90 = pd.Series(moment.service_start[held.account], index=held.index) + 89 * ONE_DAY
    licences = contracts.level(moment, contracts.in_force(held, day_90), "licences")
    return np.where(asked, ratio(moment.distinct(rows, "person"), np.nan_to_num(licences)), np.nan)
