"""What the known contracts say: service, licences, deadlines, stage, notice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from tests.bench.in_pandas.tables import FAR, ONE_DAY, Floats, Moment, ratio

GRACE_DAYS = 30
STAGES = np.array(["onboarding", "adoption", "mature", "renewal_window"], dtype=object)


def ends(contracts: pd.DataFrame) -> pd.Series:
    return contracts.end_date.fillna(FAR)


def in_force(contracts: pd.DataFrame, day: pd.Timestamp | pd.Series) -> pd.DataFrame:
    return contracts[(contracts.start_date <= day) & (ends(contracts) >= day)]


def service_start(moment: Moment) -> npt.NDArray[np.datetime64]:
    """Return the first day of the last run of contracts that has begun; without contracts, the first day."""
    contracts = moment.known("contracts").sort_values(["account", "start_date"])
    ended = ends(contracts).groupby(contracts.account).cummax().groupby(contracts.account).shift()
    opens_a_run = ended.isna() | ((contracts.start_date - ended).dt.days - 1 > GRACE_DAYS)
    begun = contracts[opens_a_run & (contracts.start_date <= moment.as_of)]
    start = begun.groupby("account").start_date.last().reindex(range(moment.size))
    accounts = moment.known("accounts").set_index("account").customer_since
    uncontracted = accounts[~accounts.index.isin(contracts.account)]
    return start.fillna(uncontracted).to_numpy()


def tenure_days(moment: Moment) -> Floats:
    return (moment.as_of.to_datetime64() - moment.service_start) / np.timedelta64(1, "D")


def level(moment: Moment, held: pd.DataFrame, column: str) -> Floats:
    """Add up a column over contracts in force: 0 where there are none, NaN where none says."""
    said = held.groupby("account")[column].sum(min_count=1)
    return moment.per_account(said.reindex(range(moment.size), fill_value=0.0))


def total(moment: Moment, column: str) -> Floats:
    held = in_force(moment.known("contracts"), moment.as_of)
    return moment.per_account(held.groupby("account")[column].sum(min_count=1))


def licences_held(moment: Moment, days: int) -> Floats:
    """Return the smaller of the licences now and so many days ago."""
    contracts = moment.known("contracts")
    now, then = (level(moment, in_force(contracts, moment.as_of - ago * ONE_DAY), "licences") for ago in (0, days))
    return np.minimum(np.nan_to_num(now), np.nan_to_num(then))


def licence_change(moment: Moment, days: int = 180) -> Floats:
    by_licences, by_arr = (_change(moment, column, days) for column in ("licences", "arr"))
    change = np.where(np.isnan(by_licences[0] + by_licences[1]), _relative(*by_arr), _relative(*by_licences))
    return np.where(tenure_days(moment) >= days, change, np.nan)


def _relative(now: Floats, then: Floats) -> Floats:
    return ratio(now, then) - 1


def _change(moment: Moment, column: str, days: int) -> tuple[Floats, Floats]:
    """Return the smallest level from now on, as far as it is signed, and the level then."""
    contracts = moment.known("contracts")
    now = level(moment, in_force(contracts, moment.as_of), column)
    later = contracts.loc[contracts.start_date > moment.as_of, ["account", "start_date"]].drop_duplicates()
    both = later.rename(columns={"start_date": "on"}).merge(contracts, on="account")
    held = both[(both.start_date <= both.on) & (ends(both) >= both.on)]
    ahead = held.groupby(["account", "on"])[column].sum(min_count=1).groupby("account").min()
    then = level(moment, in_force(contracts, moment.as_of - days * ONE_DAY), column)
    return np.fmin(now, moment.per_account(ahead)), then


def unsettled(moment: Moment) -> pd.DataFrame:
    """Return the contracts in force or ahead that no signed one carries on."""
    contracts = moment.known("contracts")
    alive = contracts[ends(contracts) >= moment.as_of].reset_index(drop=True)
    later = contracts.loc[contracts.start_date > moment.as_of, ["account", "start_date"]]
    pairs = alive.reset_index().merge(later, on="account", suffixes=("", "_next"))
    gap = (pairs.start_date_next - ends(pairs)).dt.days - 1
    followed = pairs[(pairs.start_date_next > pairs.start_date) & pairs.end_date.notna() & (gap <= GRACE_DAYS)]
    return alive[~alive.index.isin(followed["index"])]


def days_to_notice_deadline(moment: Moment) -> Floats:
    rows = unsettled(moment)
    ahead = rows[rows.notice_deadline >= moment.as_of]
    return moment.per_account((ahead.groupby("account").notice_deadline.min() - moment.as_of).dt.days)


def days_to_renewal(moment: Moment) -> Floats:
    return moment.per_account((unsettled(moment).groupby("account").end_date.min() - moment.as_of).dt.days)


def stage(moment: Moment) -> npt.NDArray[np.object_]:
    until, tenure = days_to_notice_deadline(moment), tenure_days(moment)
    until = np.where(np.isnan(until), days_to_renewal(moment), until)
    by_tenure = np.select([np.isnan(tenure), tenure < 90, tenure < 365], [-1, 0, 1], 2)
    codes = np.where(until <= 120, 3, by_tenure)
    return np.where(codes >= 0, STAGES[codes], None)


def largest(moment: Moment, first: str, second: str) -> pd.DataFrame:
    """Return each account's contract in force with most of one column, then of the other."""
    held = in_force(moment.known("contracts"), moment.as_of)
    held = held.assign(**{first: held[first].fillna(-1), second: held[second].fillna(-1)})
    ordered = held.sort_values(["account", first, second, "contract_id"])
    return ordered.drop_duplicates("account", keep="last").set_index("account")


def plan(moment: Moment) -> pd.Series:
    return largest(moment, "licences", "arr").plan.reindex(range(moment.size))


def contract_length_days(moment: Moment) -> Floats:
    chosen = largest(moment, "arr", "licences")
    return moment.per_account((chosen.end_date - chosen.start_date).dt.days + 1)


def under_notice(moment: Moment) -> Floats:
    """Notice given for all in force or ahead; where nothing is, for what ended last."""
    contracts = moment.known("contracts")
    given = contracts.notice_at + ONE_DAY <= moment.as_of
    contracts = contracts.assign(given=given, ends=ends(contracts), begun=contracts.start_date <= moment.as_of)
    alive = contracts[contracts.ends >= moment.as_of].groupby("account").given.all()
    begun = contracts[contracts.begun]
    some = begun.groupby("account").given.any()
    last = begun[begun.ends == begun.groupby("account").ends.transform("max")].groupby("account").given.any()
    every = pd.Series(range(moment.size))
    of_those = every.map(alive).fillna(every.map(last)).fillna(False)
    return (every.map(some).fillna(False).astype(bool) & of_those.astype(bool)).to_numpy(dtype=float)
