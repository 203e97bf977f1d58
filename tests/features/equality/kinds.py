"""Measures of every kind, drawn: any table that fits, any filter, window, minimum and bonus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from features.catalogue import schema

Drawn = st.SearchStrategy[Any]


@dataclass(frozen=True)
class Columns:
    """What the columns of an invented table hold."""

    values: Mapping[str, tuple[str | bool, ...]]
    numbers: Mapping[str, tuple[float, ...]]
    people: tuple[str, ...] = ()
    ends: bool = False


TABLES: Mapping[str, Columns] = {
    "usage": Columns(
        {"feature": ("board", "chat", "files"), "actor": ("person", "machine")},
        {"quantity": (0.1, 0.5, 0.8), "users": (3,)},
        ("user_id",),
    ),
    "tickets": Columns(
        {"priority": ("low", "normal", "high"), "escalated": (True, False), "category": ("bug", "how_to")},
        {"satisfaction": (2, 3, 4)},
        ends=True,
    ),
    "surveys": Columns({}, {"nps": (0, 6, 7, 10)}, ("respondent_id",)),
    "community": Columns(
        {"kind": ("post", "reply", "visit"), "question": (True, False), "level": ("basic", "advanced")},
        {"sentiment": (-0.3, 0, 0.3)},
        ("member_id",),
    ),
    "feedback": Columns(
        {"kind": ("review", "social", "complaint")}, {"rating": (1, 3, 5), "sentiment": (-0.3,)}, ends=True
    ),
    "requests": Columns({"kind": ("discount", "terms", "downgrade", "cancel")}, {}),
    "visits": Columns({"page": ("cancel", "export", "other")}, {}, ("user_id",)),
    "organisation": Columns({"kind": ("acquirer", "acquired")}, {}),
    "trainings": Columns(
        {"topic": ("basics", "advanced"), "attended": (True, False)},
        {"hours": (0.5, 1), "grade": (1, 3, 6)},
        ("attendee_id",),
    ),
    "incidents": Columns({"severe": (True, False)}, {}, ends=True),
}
STATE = Columns({"addon": ("reports", "audit"), "active": (True, False)}, {"seats": (5, 20)})
WITH_NUMBERS = [name for name, columns in TABLES.items() if columns.numbers]
WITH_PEOPLE = [name for name, columns in TABLES.items() if columns.people]
WITH_ENDS = [name for name, columns in TABLES.items() if columns.ends]
ROLES = ("champion", "sponsor", "admin", "user")

days = st.one_of(st.sampled_from((1, 7, 30, 60, 90, 180, 365)), st.integers(1, 400))


def any_filter(columns: Columns) -> Drawn:
    """One or two columns that must match."""
    values = {
        name: st.lists(st.sampled_from(v), min_size=1, max_size=2, unique=True)
        for name, v in columns.values.items()
    }
    numbers = {
        name: st.builds(
            lambda edge, low: schema.Between(at_least=edge) if low else schema.Between(at_most=edge),
            st.sampled_from(edges),
            st.booleans(),
        )
        for name, edges in columns.numbers.items()
    }
    both: Mapping[str, Drawn] = {**{name: drawn.map(tuple) for name, drawn in values.items()}, **numbers}
    return st.lists(st.sampled_from(sorted(both)), min_size=1, max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: both[name] for name in names})
    )


def any_of(columns: Columns) -> Drawn:
    if not columns.values and not columns.numbers:
        return st.just(())
    return st.lists(any_filter(columns), max_size=2).map(tuple)


@st.composite
def rows(draw: Any, tables: Any = tuple(TABLES)) -> schema.Rows:
    table = draw(st.sampled_from(list(tables)))
    return schema.Rows(table=table, any_of=draw(any_of(TABLES[table])))


@st.composite
def aggregates(
    draw: Any, *ofs: str, tables: Any = tuple(TABLES), windowed: bool | None = None
) -> schema.Aggregate:
    """An aggregate of events, or of what an account has booked (which has no window)."""
    of = draw(st.sampled_from(ofs or ("rows", "distinct", "sum", "mean")))
    # What is added up is never negative: sums that cancel out are 0 or nearly so by the order of the rows.
    fitting = [n for n in tables if TABLES[n].numbers.keys() - {"sentiment"} or of not in ("sum", "mean")]
    table = draw(st.sampled_from([*fitting, *(() if windowed else ("subscription_addons",))]))
    columns = TABLES.get(table, STATE)
    named: tuple[str, ...] = ()
    if of == "distinct":
        there = [*columns.values, *columns.people, *(("day",) if table in TABLES else ())]
        named = tuple(draw(st.lists(st.sampled_from(there), min_size=1, max_size=2, unique=True)))
    elif of in ("sum", "mean"):
        named = (draw(st.sampled_from(sorted(set(columns.numbers) - {"sentiment"}))),)
    asked: dict[str, Any] = {"table": table, "of": of, "columns": named, "any_of": draw(any_of(columns))}
    if table in TABLES and windowed is not False and (windowed or draw(st.integers(0, 4))):
        asked["window_days"] = draw(days)
        asked["until_days_ago"] = draw(st.sampled_from((0, 0, 0, 30, 91)))
        if columns.people and draw(st.integers(0, 3)) == 0:
            asked["by_known_since"] = schema.KnownSince(column=columns.people[0], days=draw(days))
    return schema.Aggregate(**asked)


@st.composite
def bonuses(draw: Any, table: str) -> schema.Bonus:
    points = draw(st.sampled_from((0.5, 2.0)))
    columns = TABLES.get(table, STATE)
    if table in TABLES and draw(st.booleans()):
        near = schema.NearDeadline(days=draw(days), term_share=draw(st.sampled_from((0.25, 1 / 3, 1.0))))
        return schema.Bonus(points=points, near_deadline=near)
    if not columns.values and not columns.numbers:
        return schema.Bonus(points=points, near_deadline=schema.NearDeadline(days=60, term_share=0.5))
    return schema.Bonus(points=points, filter=draw(any_filter(columns)))


@st.composite
def aggregate(draw: Any) -> schema.AggregateMeasure:
    of = draw(aggregates())
    earned = tuple(draw(st.lists(bonuses(of.table), max_size=2)))
    return schema.AggregateMeasure(
        kind="aggregate", aggregate=of, minimum_rows=draw(st.integers(1, 3)), bonuses=earned
    )


@st.composite
def ratio(draw: Any) -> schema.RatioMeasure:
    made: dict[str, Any] = {"kind": "ratio", "scale": draw(st.sampled_from((1.0, 10.0)))}
    made |= {part: draw(aggregates("rows", "distinct", "sum")) for part in ("of", "per")}
    if draw(st.booleans()):
        side = schema.LowSide(
            minimum_base=draw(st.sampled_from((0.5, 2, 5))),
            stages=tuple(draw(st.lists(st.sampled_from(schema.STAGES), min_size=1, unique=True))),
            and_none_of=draw(aggregates("rows", "distinct")),
        )
        made |= {"low_side": side, "comfortable": schema.Between(at_least=0.5, at_most=3.0)}
    return schema.RatioMeasure(**made)


people = aggregates("distinct", tables=("usage",), windowed=True).map(
    lambda of: of.model_copy(update={"columns": ("user_id",), "by_known_since": None})
)
utilisation = st.builds(schema.UtilisationMeasure, kind=st.just("utilisation"), people=people, held_days=days)


@st.composite
def onboarding_adoption(draw: Any) -> schema.OnboardingAdoptionMeasure:
    first, length, more = draw(st.integers(1, 90)), draw(st.integers(0, 60)), draw(st.integers(1, 400))
    return schema.OnboardingAdoptionMeasure(
        kind="onboarding_adoption",
        people=draw(people).model_copy(update={"window_days": None, "until_days_ago": 0}),
        from_day=first,
        to_day=first + length,
        until_day=first + length + more,
    )


level_change = st.builds(schema.LevelChangeMeasure, kind=st.just("level_change"), days_ago=days)


@st.composite
def trend(draw: Any) -> schema.TrendMeasure:
    table = draw(st.sampled_from([name for name in WITH_NUMBERS if name != "community"]))
    parts = aggregates("rows", "distinct", "sum", tables=(table,), windowed=False)
    both = parts.filter(lambda of: of.table == table)
    return schema.TrendMeasure(
        kind="trend",
        of=draw(both),
        fallback=draw(both),
        recent_days=draw(days),
        baseline_days=draw(days),
        minimum_baseline_days=draw(st.sampled_from((1, 20, 60))),
    )


recency = st.builds(schema.RecencyMeasure, kind=st.just("recency"), rows=rows())


@st.composite
def breadth(draw: Any) -> schema.BreadthMeasure:
    of = draw(rows(("usage", "community", "tickets")))
    column = draw(st.sampled_from(sorted(n for n, v in TABLES[of.table].values.items() if True not in v)))
    return schema.BreadthMeasure(
        kind="breadth",
        rows=of,
        column=column,
        window_days=draw(days),
        until_days_ago=draw(st.sampled_from((0, 0, 30, 90))),
    )


@st.composite
def newness(draw: Any) -> schema.NewnessMeasure:
    of = draw(rows())
    there = [*TABLES[of.table].values, *TABLES[of.table].people] or ["nps"]
    columns = draw(st.lists(st.sampled_from(there), min_size=1, max_size=2, unique=True))
    return schema.NewnessMeasure(kind="newness", rows=of, columns=tuple(columns), history_days=draw(days))


median_duration = st.builds(
    schema.MedianDurationMeasure,
    kind=st.just("median_duration"),
    rows=rows(WITH_ENDS),
    window_days=days,
    minimum_rows=st.integers(1, 3),
)
open_at = st.builds(
    schema.OpenAtMeasure,
    kind=st.just("open_at"),
    rows=rows(WITH_ENDS),
    ended_within_days=st.one_of(st.just(0), days),
    bonuses=st.lists(
        st.builds(schema.Bonus, points=st.sampled_from((0.5, 2.0)), open_longer_than_days=days), max_size=2
    ).map(tuple),
)


@st.composite
def answers(draw: Any, /, made: Callable[..., Any], **more: Any) -> Any:
    """A measure or condition of latest answers, each by somebody or of some group."""
    of = draw(rows(WITH_NUMBERS))
    columns = TABLES[of.table]
    by = draw(st.sampled_from([*columns.people, *columns.values]))
    column = draw(st.sampled_from(sorted(columns.numbers)))
    return made(rows=of, by=by, column=column, window_days=draw(days), **more)


latest = answers(schema.LatestMeasure, kind="latest")
delta = answers(schema.DeltaMeasure, kind="delta")


@st.composite
def blocks(draw: Any) -> schema.BlocksMeasure:
    table = draw(st.sampled_from([name for name, columns in TABLES.items() if columns.values]))
    more, than = draw(any_filter(TABLES[table])), draw(any_filter(TABLES[table]))
    return schema.BlocksMeasure(
        kind="blocks", table=table, more=more, than=than, blocks=draw(st.integers(1, 4)), block_days=draw(days)
    )


silence = st.builds(
    schema.SilenceMeasure,
    kind=st.just("silence"),
    rows=rows(),
    active_blocks=st.integers(1, 3),
    of_blocks=st.integers(3, 6),
    block_days=st.sampled_from((1, 7, 30, 91)),
    kept_days=days,
)


# --- conditions of codes ----------------------------------------------------------------------------------------

at_least = st.builds(
    schema.AtLeast,
    when=st.just("at_least"),
    aggregate=aggregates("rows", "distinct", "sum"),
    rows=st.integers(1, 4),
)
no_rows = st.builds(schema.NoRows, when=st.just("no_rows"), aggregate=aggregates("rows", "distinct"))


@st.composite
def latest_at_most(draw: Any) -> schema.LatestAtMost:
    made = draw(answers(schema.LatestMeasure, kind="latest"))
    roles = tuple(draw(st.lists(st.sampled_from(ROLES), max_size=2, unique=True)))
    return schema.LatestAtMost(
        when="latest_at_most",
        rows=made.rows,
        by=made.by,
        column=made.column,
        at_most=draw(st.sampled_from(TABLES[made.rows.table].numbers[made.column])),
        window_days=made.window_days,
        roles=roles if made.by == "respondent_id" else (),
    )


above_own_rate = st.builds(
    schema.AboveOwnRate,
    when=st.just("above_own_rate"),
    aggregate=aggregates("rows", "distinct", "sum", windowed=True),
    baseline_days=days,
    minimum_baseline_days=st.sampled_from((1, 20, 60)),
)
contact_lost = st.builds(
    schema.ContactLost,
    when=st.just("contact_lost"),
    change=st.sampled_from(("gone", "some")),
    roles=st.lists(st.sampled_from(ROLES), min_size=1, max_size=2, unique=True).map(tuple),
    fallback_roles=st.lists(st.sampled_from(ROLES), max_size=2, unique=True).map(tuple),
    window_days=days,
)
CONDITIONS: Mapping[str, Drawn] = {
    "at_least": at_least,
    "no_rows": no_rows,
    "latest_at_most": latest_at_most(),
    "above_own_rate": above_own_rate,
    "contact_lost": contact_lost,
}


def coded(*conditions: Drawn) -> Drawn:
    """Two codes, each under one of the conditions."""
    return st.lists(st.one_of(*conditions), min_size=1, max_size=2).map(
        lambda drawn: schema.CodedMeasure(
            kind="coded",
            none_means="nothing",
            codes=tuple(
                schema.Code(code=number, means=str(number), condition=one)
                for number, one in enumerate(drawn, start=1)
            ),
        )
    )


KINDS: Mapping[str, Drawn] = {
    "aggregate": aggregate(),
    "ratio": ratio(),
    "utilisation": utilisation,
    "onboarding_adoption": onboarding_adoption(),
    "level_change": level_change,
    "trend": trend(),
    "recency": recency,
    "breadth": breadth(),
    "newness": newness(),
    "median_duration": median_duration,
    "open_at": open_at,
    "latest": latest,
    "delta": delta,
    "blocks": blocks(),
    "silence": silence,
    **{f"coded: {name}": coded(drawn) for name, drawn in CONDITIONS.items()},
    "coded": coded(*CONDITIONS.values()),
}
