"""The labels against the written definition: an oracle that goes day by day, mutants of it, and golden cases."""

from __future__ import annotations

import datetime as dt
import random
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import find as find_example
from hypothesis import strategies as st

from features.sources import load_sources, open_database
from tests.training.label_oracle import ENDINGS, MUTANTS, Account, Answer, Contract, Oracle, Outcome
from training.definition import KINDS, VERSION, Labelling, LabelRule
from training.labels import label, label_by_spells
from training.spells import Ending, derived_spells, recorded_spells
from training.terms import Term

FIRST = dt.date(2024, 1, 1)
DAYS = 110
PLANS = (None, frozenset({"reports"}), frozenset({"reports", "exports"}))


def date(day: int) -> dt.date:
    return FIRST + dt.timedelta(days=day)


def maybe_date(day: int | None) -> dt.date | None:
    return None if day is None else date(day)


def the_labels(account: Account, days: Sequence[int]) -> list[Answer]:
    """What the fast code answers on some days."""
    terms = [
        Term(
            date(one.start),
            maybe_date(one.end),
            maybe_date(one.notice),
            renews_itself=one.renews_itself,
            cut_short=one.cut_short,
            signed=maybe_date(one.signed),
            licences=one.licences,
            value=one.value,
            features=one.features,
        )
        for one in account.contracts
    ]
    until, grace = dt.datetime.combine(date(account.until + 1), dt.time()), account.rule.lapse_grace_days
    if account.outcomes is None:
        spells = derived_spells(terms, grace, until)
    else:
        told = [
            Ending(date(one.day), maybe_date(one.notice), one.involuntary, one.kind) for one in account.outcomes
        ]
        endings = [ending for ending in told if ending.kind in ENDINGS]
        contracted = [ending for ending in told if ending.kind not in ENDINGS]
        spells = recorded_spells(terms, endings, grace, until, contracted or None)
    found = label_by_spells(
        {"a": spells},
        np.array(["a"] * len(days), dtype=object),
        np.array([date(day) for day in days], dtype="datetime64[s]"),
        np.array([any(one.runs_on(day) for one in account.contracts) for day in days]),
        np.datetime64(until, "s"),
        account.rule,
    )
    return [
        Answer(None if np.isnan(churned) else bool(churned), str(kind), bool(at_risk))
        for churned, kind, at_risk in zip(found.churned, found.kind, found.at_risk, strict=True)
    ]


@st.composite
def contracts(draw: st.DrawFn) -> tuple[Contract, ...]:
    """Some contracts one after the other, with gaps and overlaps about as long as the grace."""
    found: list[Contract] = []
    start = draw(st.integers(0, 20))
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(-1, 40))
        end = draw(st.sampled_from([start + length, start + length, start + length, None]))
        last = DAYS if end is None else end
        near = st.integers(start - 3, max(start, last) + 2)
        found.append(
            Contract(
                start,
                end,
                notice=draw(st.none() | near),
                signed=draw(st.none() | st.integers(start - 12, start + 2)),
                renews_itself=draw(st.sampled_from([None, True, False, False])),
                cut_short=draw(st.sampled_from([False, False, True])),
                licences=draw(st.sampled_from([None, 5.0, 10.0, 20.0])),
                value=draw(st.sampled_from([None, 100.0, 200.0])),
                features=draw(st.sampled_from(PLANS)),
            )
        )
        start = max(0, draw(st.integers(min(start, last - 8), min(last, 80) + 9)))
    return tuple(found)


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[Outcome, ...]:
    found = []
    for _ in range(draw(st.integers(0, 3))):
        day = draw(st.integers(0, DAYS))
        notice = draw(st.none() | st.integers(day - 20, day))
        found.append(Outcome(draw(st.sampled_from(KINDS)), day, notice, draw(st.booleans())))
    return tuple(found)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    kinds = draw(st.sampled_from([ENDINGS, KINDS, ("contraction",), ("cancellation",), ("lapse", "contraction")]))
    rule = LabelRule(
        horizon_days=draw(st.integers(2, 20)),
        embargo_days=draw(st.integers(0, 5)),
        lapse_grace_days=draw(st.integers(0, 6)),
        involuntary_counts=draw(st.booleans()),
        kinds=kinds,
    )
    told = draw(st.none() | outcomes())
    return Account(draw(contracts()), told, draw(st.integers(30, DAYS)), rule)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(accounts())
def test_the_labels_are_those_of_the_definition_on_every_day(account: Account) -> None:
    oracle = Oracle(account)
    assert the_labels(account, range(DAYS)) == [oracle.answer(day) for day in range(DAYS)]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_definition_that_is_wrong_in_one_line_is_caught(mutant: type[Oracle]) -> None:
    def differs(account: Account) -> bool:
        wrong = mutant(account)
        return the_labels(account, range(DAYS)) != [wrong.answer(day) for day in range(DAYS)]

    calm = settings(max_examples=3000, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
    find_example(accounts(), differs, settings=calm)


def a_book(seed: int, accounts: int) -> list[tuple[Contract, ...]]:
    """Contracts of many accounts at once, each known when it begins at the latest."""
    rng = random.Random(seed)
    found = []
    for _ in range(accounts):
        theirs, start = [], rng.randint(0, 20)
        for _ in range(rng.randint(1, 4)):
            end = rng.choice([start + rng.randint(5, 40)] * 4 + [None])
            notice = rng.choice([None, None, start + rng.randint(0, 30)])
            signed = rng.choice([None, start - rng.randint(0, 12)])
            amount = rng.choice([5.0, 10.0, 20.0])
            plan = rng.choice(PLANS)
            renews_itself = rng.choice([None, True, False])
            theirs.append(Contract(start, end, notice, signed, renews_itself, False, amount, None, plan))
            start = max(0, (end or 60) + rng.randint(-6, 9))
        found.append(tuple(theirs))
    return found


def written(folder: Path, book: Sequence[tuple[Contract, ...]], until: int) -> Path:
    """Write a book as a company's tables."""
    rows: list[dict[str, Any]] = [
        {
            "account_id": f"a{number:03d}",
            "start_date": date(one.start),
            "end_date": maybe_date(one.end),
            "notice_at": maybe_date(one.notice),
            "signed_at": maybe_date(one.signed),
            "auto_renew": one.renews_itself,
            "licences": one.licences,
            "plan": None if one.features is None else f"of-{len(one.features)}",
        }
        for number, theirs in enumerate(book)
        for one in theirs
    ]
    plans = [{"plan": f"of-{len(plan)}", "feature": name} for plan in PLANS if plan for name in sorted(plan)]
    tables = {
        "accounts": [{"account_id": f"a{n:03d}"} for n in range(len(book))],
        "contracts": rows,
        "plans": plans,
    }
    lines = ['company = "Many"', f"observed_until = {date(until)}"]
    for name, table in tables.items():
        pq.write_table(pa.Table.from_pylist(table), folder / f"{name}.parquet")
        lines.append(f'[tables.{name}]\npath = "{name}.parquet"\nnever_rewritten = true')
    (folder / "sources.toml").write_text("\n".join(lines))
    return folder / "sources.toml"


@pytest.mark.parametrize("kinds", [ENDINGS, KINDS])
def test_from_tables_to_labels_it_is_the_definition_too(kinds: tuple[str, ...], tmp_path: Path) -> None:
    book, until = a_book(seed=11, accounts=150), 90
    rule = LabelRule(horizon_days=12, embargo_days=3, lapse_grace_days=5, kinds=kinds)
    days = range(0, until, 3)
    grid = pa.table(
        {
            "account_id": [f"a{number:03d}" for number in range(len(book)) for _ in days],
            "as_of": pa.array(
                [dt.datetime.combine(date(t), dt.time()) for _ in book for t in days], pa.timestamp("s")
            ),
        }
    )
    with open_database(load_sources(written(tmp_path, book, until))) as database:
        found = label(database, grid, rule)
    expected: list[Answer] = []
    for theirs in book:
        known = tuple(c for c in theirs if (c.start if c.signed is None else c.signed) <= until)
        oracle = Oracle(Account(known, None, until, rule))
        expected += [oracle.answer(t) for t in days]
    assert [None if np.isnan(y) else bool(y) for y in found.churned] == [one.churned for one in expected]
    assert found.kind.tolist() == [one.kind for one in expected]
    assert found.at_risk.tolist() == [one.at_risk for one in expected]
    assert {one.kind for one in expected} == {"", *KINDS}


GOLDEN = Path(__file__).with_name("golden")


def test_the_same_version_means_the_same_labels_and_the_same_words() -> None:
    # If this fails since labels mean something else now: raise VERSION, and write new golden cases beside these.
    golden = tomllib.loads((GOLDEN / f"label_definition_{VERSION}.toml").read_text(encoding="utf-8"))
    for case in golden["case"]:
        theirs = tuple(Contract(**contract) for contract in case["contracts"])
        told = tuple(Outcome(**outcome) for outcome in case["outcomes"]) if "outcomes" in case else None
        rule = LabelRule(**{**golden["rule"], "kinds": tuple(case.get("kinds", ENDINGS))})
        answers = the_labels(Account(theirs, told, golden["until"], rule), case["days"])
        assert [answer.kind or str(answer.churned) for answer in answers] == case["answers"], case["about"]
    assert (GOLDEN / f"label_definition_{VERSION}.txt").read_text(encoding="utf-8") == LabelRule().text + "\n"


def test_what_a_file_says_of_its_labels_is_read_back_and_compared() -> None:
    rule = LabelRule(horizon_days=30, kinds=KINDS)
    said = Labelling(rule, "contracts", dt.datetime(2025, 7, 1))
    assert Labelling.from_json(said.to_json()) == said
    assert said.differences(rule) == []
    assert said.differences(LabelRule(horizon_days=30)) == [
        f"kinds is {list(KINDS)} there and {list(ENDINGS)} here".replace("'", '"')
    ]
    older = Labelling(rule, "contracts", dt.datetime(2025, 7, 1), version=0)
    assert older.differences(rule) == [f"version is 0 there and {VERSION} here"]


@pytest.mark.parametrize(
    "other",
    [
        LabelRule(horizon_days=91),
        LabelRule(embargo_days=1),
        LabelRule(lapse_grace_days=31),
        LabelRule(involuntary_counts=False),
        LabelRule(kinds=KINDS),
    ],
)
def test_another_number_is_another_fingerprint_and_other_words(other: LabelRule) -> None:
    assert other.fingerprint != LabelRule().fingerprint
    assert other.text.splitlines()[1:] != LabelRule().text.splitlines()[1:]
