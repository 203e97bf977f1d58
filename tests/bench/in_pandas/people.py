"""Contacts, leadership, and what people who know the account say of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.bench.in_pandas.tables import FAR, ONE_DAY, Floats, Moment


def spells(moment: Moment) -> pd.DataFrame:
    """Return the known rows of contacts with their last day: their own, or that before the contact's next row."""
    rows = moment.known("contacts").sort_values(["contact", "valid_from"])
    following = rows.groupby("contact").valid_from.shift(-1) - ONE_DAY
    return rows.assign(last=pd.concat([rows.valid_to.fillna(FAR), following.fillna(FAR)], axis=1).min(axis=1))


def champion_change(moment: Moment, days: int = 180) -> Floats:
    """2: the only champion left, or there is none; 1: one of several left, or has a new title."""
    rows = spells(moment)
    has_champion = rows.account.isin(rows.account[rows.role.eq("champion")])
    rows["holds"] = np.where(has_champion, rows.role.eq("champion"), rows.role.eq("admin"))
    since = moment.as_of - days * ONE_DAY
    held = rows[rows.holds]
    left = held.groupby("contact").agg(account=("account", "first"), left=("last", "max")).reset_index()
    left = left[left.left < FAR]
    lately = left[left.left >= since]
    nobody = _nobody(moment, held, lately)
    named = _successor_named(moment, held, lately)
    followed = moment.count(lately.account[named]) > 0
    unfollowed = moment.count(lately.account[~named]) > 0
    retitled = moment.count(_new_titles(moment, rows, left, since)) > 0
    gone = nobody & ~followed
    some = (~nobody & unfollowed) | retitled
    return np.where(gone, 2.0, some.astype(float))


def _nobody(moment: Moment, held: pd.DataFrame, lately: pd.DataFrame) -> np.ndarray:
    """Tell where nobody holds the role today, or on the day after a departure already known."""
    today = held[(held.valid_from <= moment.as_of) & (held["last"] >= moment.as_of)]
    nobody = moment.count(today.account) == 0
    ahead = lately.loc[lately.left >= moment.as_of, ["account", "left"]]
    pairs = ahead.assign(day=ahead.left + ONE_DAY).reset_index().merge(held, on="account", suffixes=("_ahead", ""))
    someone = pairs.loc[(pairs.valid_from <= pairs.day) & (pairs["last"] >= pairs.day), "index"]
    nobody[ahead.account[~ahead.index.isin(someone)]] = True
    return nobody


def _successor_named(moment: Moment, held: pd.DataFrame, lately: pd.DataFrame) -> pd.Series:
    """Tell which of those who left had a successor named by the end of their last day."""
    naming = held.loc[held.successor_id.notna(), ["contact", "valid_from"]].merge(lately, on="contact")
    by = (naming.left + ONE_DAY).clip(upper=moment.as_of)
    versions = naming.assign(by=by).merge(moment.tables["contacts"], on=["contact", "valid_from"])
    then = versions[(versions.recorded_at <= versions.by) & (versions.until > versions.by)]
    named = then[then.successor_id.notna()]
    return lately.contact.isin(named.contact)


def _new_titles(moment: Moment, rows: pd.DataFrame, left: pd.DataFrame, since: pd.Timestamp) -> pd.Series:
    """Return the accounts of those who stay in the role under a title that is no promotion."""
    same = rows.groupby("contact")
    before = rows.assign(was_holding=same.holds.shift(), old=same.title.shift())
    here = before.holds & (before.valid_from <= moment.as_of) & (before["last"] >= moment.as_of)
    stays = ~before.contact.isin(left.contact)
    chosen = before[
        here
        & stays
        & before.was_holding.eq(True)
        & (before.valid_from >= since)
        & before.title.notna()
        & before.old.notna()
    ]
    other = [old not in new and new not in old for old, new in zip(chosen.old, chosen.title, strict=True)]
    return chosen.account[np.array(other, dtype=bool)]


def contact_left(moment: Moment, days: int = 180) -> Floats:
    """Tell whether any contact left lately."""
    rows = moment.known("contacts")
    gone = (rows.valid_to >= moment.as_of - days * ONE_DAY) & (rows.valid_to < moment.as_of)
    return (moment.count(rows.account[gone]) > 0).astype(float)


def leadership_change(moment: Moment) -> Floats:
    rows = moment.window("organisation", 180)
    top = moment.count(rows.account[rows.kind.isin(["chief_executive", "acquired"])]) > 0
    other = moment.count(rows.account[rows.kind.isin(["department_head", "acquirer"])]) > 0
    return np.where(top, 2.0, other.astype(float))


def ratings(moment: Moment) -> dict[str, Floats]:
    """Return the latest rating of each factor and its age in days, up to 360."""
    rows = moment.known("assessments")
    latest = rows.drop_duplicates(["account", "factor"], keep="last")
    latest = latest.assign(age=(moment.as_of - latest["at"]).dt.days)
    latest = latest[latest.age <= 360]
    found: dict[str, Floats] = {}
    for factor, of_factor in latest.groupby("factor", observed=True):
        by_account = of_factor.set_index("account")
        found[str(factor)] = moment.per_account(by_account.rating)
        found[f"{factor}_age_days"] = moment.per_account(by_account.age)
    return found
