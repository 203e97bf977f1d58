"""Tickets, surveys, the community, feedback, requests and visits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.bench.in_pandas import contracts
from tests.bench.in_pandas.tables import ONE_DAY, Floats, Moment, ratio
from tests.bench.in_pandas.usage import people_in

LATER = ("adoption", "mature", "renewal_window")


# --- tickets --------------------------------------------------------------------------------------------------


def support_load(moment: Moment) -> Floats:
    """Tickets per 10 people over 90 days; few are read as enough where the low side cannot be judged."""
    people = people_in(moment, 90)
    load = ratio(moment.count(moment.window("tickets", 90).account), people) * 10
    silent = moment.count(moment.window("community", 90).account) == 0
    asked, covered = moment.covered_days("community", 90)
    judged = (people >= 30) & np.isin(contracts.stage(moment), LATER) & silent & (asked == covered)
    return np.where((load < 0.3) & ~judged, 0.3, load)


def slow_resolution(moment: Moment) -> Floats:
    """Median days to close, the open ones with their age, over the company's median; of three or more."""
    tickets = moment.known("tickets")
    is_open = ~(tickets.closed_at <= moment.as_of)
    ended = tickets.closed_at.where(~is_open, moment.as_of)
    days = (ended - tickets["at"]) / ONE_DAY
    days = days[ended > moment.as_of - 90 * ONE_DAY]
    grouped = days.groupby(tickets.account)
    own = grouped.median()[grouped.size() >= 3]
    return moment.per_account(own / days.median())


def open_escalations(moment: Moment) -> Floats:
    tickets = moment.known("tickets")
    grave = tickets.priority.isin(["high", "urgent"]) | tickets.escalated
    return moment.count(tickets.account[grave & ~(tickets.closed_at <= moment.as_of)])


def support_satisfaction(moment: Moment) -> Floats:
    given = moment.window("tickets", 90).dropna(subset="satisfaction").groupby("account").satisfaction
    return moment.per_account(given.mean()[given.size() >= 3])


# --- surveys --------------------------------------------------------------------------------------------------


def answers(moment: Moment, days: int) -> pd.DataFrame:
    return moment.window("surveys", days).dropna(subset="nps")


def latest_answers(moment: Moment) -> pd.DataFrame:
    """Return the latest answer of each respondent over 180 days; nobody in particular is one of them."""
    rows = answers(moment, 180)
    rows = rows.assign(who=rows.respondent_id.cat.codes)
    return rows.drop_duplicates(["account", "who"], keep="last")


def nps_score(moment: Moment) -> Floats:
    return moment.per_account(latest_answers(moment).groupby("account").nps.mean())


def nps_detractors(moment: Moment) -> Floats:
    """1: somebody's latest answer is at most 6; 2: a champion's or sponsor's is."""
    from tests.bench.in_pandas.people import spells

    latest = latest_answers(moment)
    contacts = spells(moment)
    here = (contacts.valid_from <= moment.as_of) & (contacts["last"] >= moment.as_of)
    important = contacts[here & contacts.role.isin(["champion", "sponsor"])].drop_duplicates("contact")
    important = important[["account", "contact_id"]].rename(columns={"contact_id": "respondent_id"})
    both = latest.astype({"respondent_id": "str"}).merge(
        important.astype({"respondent_id": "str"}), how="left", indicator=True
    )
    code = np.where(both.nps > 6, 0, np.where(both["_merge"] == "both", 2, 1))
    return moment.per_account(pd.Series(code).groupby(both.account).max())


def nps_change(moment: Moment) -> Floats:
    """Mean over respondents of the latest answer less the one before, over 540 days."""
    rows = answers(moment, 540).dropna(subset="respondent_id")
    grouped = rows.groupby(["account", "respondent_id"], observed=True).nps
    changes = rows.assign(change=rows.nps - grouped.shift()).dropna(subset="change")
    last = changes.drop_duplicates(["account", "respondent_id"], keep="last")
    return moment.per_account(last.groupby("account").change.mean())


# --- community ------------------------------------------------------------------------------------------------


def angry_posts(moment: Moment) -> Floats:
    """Of the last three blocks of 30 days, those with more angry posts than kind ones."""
    worse = np.zeros(moment.size)
    for block in range(3):
        rows = moment.window("community", 30, block * 30)
        rows = rows[rows.kind.isin(["post", "reply"])]
        angry, kind = (
            moment.count(rows.account[felt]) for felt in (rows.sentiment <= -0.3, rows.sentiment >= 0.3)
        )
        worse += angry > kind
    return worse


def beginner_questions(moment: Moment) -> Floats:
    """Basic questions over 90 days by members of more than 90 days, per 10 people."""
    known = moment.known("community")
    first = known.dropna(subset="member_id").drop_duplicates(["account", "member_id"])
    first = first[["account", "member_id", "at"]].rename(columns={"at": "joined"})
    rows = moment.window("community", 90)
    rows = rows[rows.question & rows.level.eq("basic")].merge(first, on=["account", "member_id"])
    old = (moment.as_of - rows.joined).dt.days > 90
    return ratio(moment.count(rows.account[old]), people_in(moment, 90)) * 10


def community_silence(moment: Moment) -> Floats:
    """Days since the last activity of accounts active in three of the six 30-day blocks that end with it."""
    rows = moment.known("community")
    last = rows.groupby("account")["at"].transform("max")
    block = (last - rows["at"]) // (30 * ONE_DAY)
    active = block[block < 6].groupby(rows.account).nunique()
    age = (moment.as_of - rows.groupby("account")["at"].max()).dt.days
    return moment.per_account(age[(active >= 3) & (age <= 365)])


def community_absence(moment: Moment) -> Floats:
    return (moment.count(moment.window("community", 365).account) == 0).astype(float)


def negative_share(moment: Moment) -> Floats:
    """Share of negative posts over 90 days."""
    rows = moment.window("community", 90).dropna(subset="sentiment")
    return moment.per_account((rows.sentiment < 0).groupby(rows.account).mean())


# --- feedback, requests, visits -------------------------------------------------------------------------------


def negative_reviews(moment: Moment) -> Floats:
    rows = moment.window("feedback", 180)
    review, social = rows.kind.eq("review") & (rows.rating <= 2), rows.kind.eq("social") & (rows.sentiment <= -0.3)
    return moment.count(rows.account[review | social])


def open_complaints(moment: Moment) -> Floats:
    """Complaints open or resolved within 30 days; one more if one is open for more than 14 days."""
    rows = moment.known("feedback")
    rows = rows[rows.kind.eq("complaint")]
    is_open = ~(rows.resolved_at <= moment.as_of)
    recent = rows.resolved_at > moment.as_of - 30 * ONE_DAY
    long_open = is_open & ((moment.as_of - rows["at"]).dt.days > 14)
    return moment.count(rows.account[is_open | recent]) + (moment.count(rows.account[long_open]) > 0)


def contract_requests(moment: Moment) -> Floats:
    """Requests over 180 days; one more if one was near a deadline, two more if one was to cancel."""
    rows = moment.window("requests", 180)
    rows = rows[rows.kind.isin(["discount", "terms", "downgrade", "cancel"])]
    pairs = rows[["account", "day"]].merge(moment.known("contracts"), on="account")
    day = pd.to_datetime(pairs.day, unit="D")
    held = (pairs.start_date <= day) & (contracts.ends(pairs) >= day)
    ahead = (pairs.notice_deadline.fillna(pairs.end_date) - day).dt.days
    term = (pairs.end_date - pairs.start_date).dt.days + 1
    near = held & (ahead >= 0) & (ahead <= np.fmin(120, term / 3))
    cancel = rows.account[rows.kind.eq("cancel")]
    return moment.count(rows.account) + (moment.count(pairs.account[near]) > 0) + 2 * (moment.count(cancel) > 0)


def exit_page_views(moment: Moment) -> Floats:
    """Distinct pairs of person and day on pages of leaving over 30 days."""
    rows = moment.window("visits", 30)
    return moment.distinct(rows[rows.page.isin(["cancel", "downgrade"])], "user_id", "day")


def export_requests(moment: Moment) -> Floats:
    """1: export pages opened more often than in the 180 days before; 2: data asked for, over 90 days."""
    asked = moment.count(moment.window("requests", 90).query("kind == 'data_export'").account)
    now, then = (
        moment.count(moment.window("visits", *span).query("page == 'export'").account)
        for span in ((90, 0), (180, 90))
    )
    now_days, then_days = (moment.covered_days("visits", *span)[1] for span in ((90, 0), (180, 90)))
    more = (ratio(now, now_days) > ratio(then, then_days)) & (then_days >= 30)
    return np.where(asked > 0, 2.0, more.astype(float))
