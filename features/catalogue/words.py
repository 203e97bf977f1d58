"""Definitions and thresholds in words, derived from the entries themselves, so that nothing is written twice.

All functions take entries in the shape of the TOML files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]


def measure_in_words(measure: Entry) -> str:
    """Say how a reading is computed.

    Examples
    --------
    >>> measure_in_words({"kind": "recency", "rows": {"table": "usage", "any_of": [{"actor": ["person"]}]}})
    'whole days since the last of the rows of usage (actor: person); never: since service start'
    >>> measure_in_words({"kind": "aggregate", "aggregate": {"table": "visits", "window_days": 30}})
    'number of rows of visits in the last 30 days'
    """
    return _MEASURES[measure["kind"]](measure)


def thresholds_in_words(read: Entry, direction: str) -> tuple[str, str, str]:
    """Say which values are healthy, not so healthy and unhealthy.

    Examples
    --------
    >>> thresholds_in_words({"edges": {"healthy": 0.6, "unhealthy": 0.3}}, "lower_is_worse")
    ('≥ 0.6', '≥ 0.3', '< 0.3')
    >>> edges = {"healthy": -1.5, "unhealthy": -2.5, "edge_is_healthier": False}
    >>> thresholds_in_words({"edges": edges}, "lower_is_worse")
    ('> -1.5', '> -2.5', '≤ -2.5')
    >>> two_sided = {"edges": {"healthy": 3, "unhealthy": 6}, "low": {"healthy": 0.3}}
    >>> thresholds_in_words(two_sided, "two_sided")
    ('0.3 to 3', '≤ 6, or < 0.3', '> 6')
    >>> thresholds_in_words({"counts": {"not_so_healthy": 1, "unhealthy": 2}}, "higher_is_worse")
    ('< 1', '≥ 1', '≥ 2')
    >>> thresholds_in_words({"healthy_from": 4, "not_so_healthy_from": 3}, "lower_is_worse")
    ('≥ 4', '≥ 3', '< 3')
    """
    if "healthy_from" in read:
        good, fair = _n(read["healthy_from"]), _n(read["not_so_healthy_from"])
        return f"≥ {good}", f"≥ {fair}", f"< {fair}"
    if counts := read.get("counts"):
        bad = counts.get("unhealthy")
        some = _n(counts["not_so_healthy"])
        return f"< {some}", f"≥ {some}", "never" if bad is None else f"≥ {_n(bad)}"
    edges = read["edges"]
    good, bad = _n(edges["healthy"]), _n(edges["unhealthy"])
    on_edge = edges.get("edge_is_healthier", True)
    if direction == "lower_is_worse":
        inside, outside = ("≥", "<") if on_edge else (">", "≤")
    else:
        inside, outside = ("≤", ">") if on_edge else ("<", "≥")
    if low := read.get("low"):
        return f"{_n(low['healthy'])} to {good}", f"{inside} {bad}, or < {_n(low['healthy'])}", f"{outside} {bad}"
    return f"{inside} {good}", f"{inside} {bad}", f"{outside} {bad}"


def override_in_words(override: Entry, direction: str) -> str:
    """Say for whom other thresholds hold, and which.

    >>> override_in_words({"stages": ["mature"], "edges": {"healthy": 3, "unhealthy": 9}}, "higher_is_worse")
    'stage mature: healthy ≤ 3, not so healthy ≤ 9, unhealthy > 9'
    """
    who = [f"stage {_or(override['stages'])}"] if override.get("stages") else []
    who += [f"{column} {_allowed(wanted)}" for column, wanted in override.get("context", {}).items()]
    good, fair, bad = thresholds_in_words(override, direction)
    return f"{' and '.join(who)}: healthy {good}, not so healthy {fair}, unhealthy {bad}"


def applies_in_words(applies: Entry) -> str:
    """Say when a signal can be asked at all; empty: always.

    >>> applies_in_words({"stages": ["mature"], "unless": {"signal": "feature_breadth", "at_least": 0.4}})
    'only in the stage mature; not while `feature_breadth` is 0.4 or more'
    """
    parts = []
    if stages := applies.get("stages"):
        parts.append(f"only in the stage {_or(stages)}")
    if unless := applies.get("unless"):
        parts.append(f"not while `{unless['signal']}` is {_n(unless['at_least'])} or more")
    return "; ".join(parts)


def column_in_words(column: Entry) -> str:
    """Say what a column of a company's own table holds.

    >>> column_in_words({"type": "number", "at_least": 0, "default": 1})
    'number, at least 0, 1 where nothing is given'
    >>> column_in_words({"type": "text", "required": True, "one_of": ["basics", "advanced"]})
    'text, in every row, basics or advanced'
    """
    parts = [column["type"].replace("_", " ")]
    parts += ["in every row"] if column.get("required") else []
    parts += [_or(column["one_of"])] if column.get("one_of") else []
    parts += [f"at least {_n(column['at_least'])}"] if column.get("at_least") is not None else []
    parts += [f"at most {_n(column['at_most'])}"] if column.get("at_most") is not None else []
    default = column.get("default")
    if default is not None:
        parts.append(f"{default if isinstance(default, str) else _n(default)} where nothing is given")
    return ", ".join(parts)


# --- rows and aggregates ----------------------------------------------------------------------------------------


def _rows(rows: Entry) -> str:
    return f"rows of {rows['table']}{_filters(rows.get('any_of', ()))}{_known_since(rows)}"


def _known_since(rows: Entry) -> str:
    since = rows.get("by_known_since")
    return f", by a {since['column']} first seen more than {since['days']} days ago" if since else ""


def _filters(filters: Sequence[Entry]) -> str:
    return f" ({'; or '.join(_filter(only) for only in filters)})" if filters else ""


def _filter(only: Entry) -> str:
    return ", ".join(f"{column}: {_allowed(wanted)}" for column, wanted in only.items())


def _allowed(wanted: Any) -> str:
    if isinstance(wanted, Mapping):
        low, high = wanted.get("at_least"), wanted.get("at_most")
        if low is None or high is None:
            return f"≥ {_n(low)}" if low is not None else f"≤ {_n(wanted['at_most'])}"
        return f"{_n(low)} to {_n(high)}"
    return _or(["yes" if value is True else "no" if value is False else str(value) for value in wanted])


def _or(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def _aggregate(aggregate: Entry) -> str:
    columns = " and ".join(aggregate.get("columns", ()))
    what = {
        "rows": "number of",
        "distinct": f"distinct {columns} in",
        "sum": f"sum of {columns} over",
        "mean": f"mean {columns} of",
    }[aggregate.get("of", "rows")]
    return f"{what} {_rows(aggregate)}{_window(aggregate)}"


def _window(entry: Entry) -> str:
    days, until = entry.get("window_days"), entry.get("until_days_ago", 0)
    if days is None:
        return ""
    return f" in the {days} days that ended {until} days ago" if until else f" in the last {days} days"


def _n(value: float) -> str:
    return f"{value:g}"


# --- measures ---------------------------------------------------------------------------------------------------


def _bonuses(measure: Entry) -> str:
    return "".join(f"; plus {_n(bonus['points'])} if {_bonus(bonus)}" for bonus in measure.get("bonuses", ()))


def _bonus(bonus: Entry) -> str:
    if near := bonus.get("near_deadline"):
        return (
            f"one lies within {near['days']} days, or {near['term_share']:.3g} of the term if that is less, "
            "before the notice deadline"
        )
    if days := bonus.get("open_longer_than_days"):
        return f"one has been open for more than {days} days"
    return f"one has {_filter(bonus['filter'])}"


def _plain_aggregate(measure: Entry) -> str:
    least = measure.get("minimum_rows", 1)
    floor = f"; fewer than {least} values: unknown" if least > 1 else ""
    return _aggregate(measure["aggregate"]) + floor + _bonuses(measure)


def _ratio(measure: Entry) -> str:
    scale = measure.get("scale", 1)
    words = f"{_aggregate(measure['of'])}, per {_n(scale)} of: {_aggregate(measure['per'])}"
    if comfortable := measure.get("comfortable"):
        words += f"; comfortable {_allowed(comfortable)}"
    if low := measure.get("low_side"):
        words += (
            f"; too few only counts from {_n(low['minimum_base'])} of the base on, in the stage "
            f"{_or(low['stages'])}, and with none of: {_rows(low['and_none_of'])}{_window(low['and_none_of'])}"
        )
    return words


def _utilisation(measure: Entry) -> str:
    return f"{_aggregate(measure['people'])}, by licences held for the last {measure['held_days']} days"


def _onboarding(measure: Entry) -> str:
    return (
        f"{_aggregate(measure['people'])} in days {measure['from_day']} to {measure['to_day']} of service, by "
        f"licences in force on day {measure['to_day']}; known from then to day {measure['until_day']}"
    )


def _level_change(measure: Entry) -> str:
    return (
        "licences (yearly value where there are none) now, signed cuts ahead included, by those "
        f"{measure['days_ago']} days ago, less 1"
    )


def _trend(measure: Entry) -> str:
    return (
        f"{_aggregate(measure['of'])} a covered day over {measure['recent_days']} days, by the same over the "
        f"{measure['baseline_days']} days before (at least {measure['minimum_baseline_days']}); without it, "
        f"{_aggregate(measure['fallback'])}"
    )


def _recency(measure: Entry) -> str:
    return f"whole days since the last of the {_rows(measure['rows'])}; never: since service start"


def _breadth(measure: Entry) -> str:
    return (
        f"distinct {measure['column']} in {_rows(measure['rows'])}{_window(measure)}, by those that the plan "
        "offers (or that any account of the plan used)"
    )


def _newness(measure: Entry) -> str:
    return (
        f"whole days since a {_or(measure['columns'])} was seen for the first time in {_rows(measure['rows'])}; "
        f"needs {measure['history_days']} days of history"
    )


def _median_duration(measure: Entry) -> str:
    return (
        f"median days from beginning to end of {_rows(measure['rows'])}{_window(measure)} (open ones with their "
        f"age), by the median of the whole company; fewer than {measure['minimum_rows']}: unknown"
    )


def _open_at(measure: Entry) -> str:
    ended = measure.get("ended_within_days", 0)
    also = f", or ended within {ended} days" if ended else ""
    return f"{_rows(measure['rows'])} that are open{also}{_bonuses(measure)}"


def _latest(measure: Entry) -> str:
    return (
        f"mean of each {measure['by']}'s latest {measure['column']} in {_rows(measure['rows'])}{_window(measure)}"
    )


def _delta(measure: Entry) -> str:
    return (
        f"each {measure['by']}'s latest {measure['column']} less the one before, both in "
        f"{_rows(measure['rows'])}{_window(measure)}, averaged"
    )


def _blocks(measure: Entry) -> str:
    return (
        f"of the last {measure['blocks']} blocks of {measure['block_days']} days, those in which more rows of "
        f"{measure['table']} have {_filter(measure['more'])} than {_filter(measure['than'])}"
    )


def _silence(measure: Entry) -> str:
    return (
        f"whole days since the last of the {_rows(measure['rows'])}, for accounts with some in at least "
        f"{measure['active_blocks']} of the {measure['of_blocks']} blocks of {measure['block_days']} days before "
        f"it; kept for {measure['kept_days']} days"
    )


def _coded(measure: Entry) -> str:
    codes = "; ".join(
        f"{code['code']} = {code['means']} ({_condition(code['condition'])})" for code in measure["codes"]
    )
    return f"code: 0 = {measure['none_means']}; {codes}"


def _condition(condition: Entry) -> str:
    match condition["when"]:
        case "at_least":
            return f"at least {condition.get('rows', 1)}: {_aggregate(condition['aggregate'])}"
        case "no_rows":
            return f"none: {_aggregate(condition['aggregate'])}"
        case "latest_at_most":
            roles = f" in the role {_or(condition['roles'])}" if condition.get("roles") else ""
            return (
                f"the latest {condition['column']} of a {condition['by']}{roles} is at most "
                f"{_n(condition['at_most'])} in {_rows(condition['rows'])}{_window(condition)}"
            )
        case "above_own_rate":
            return (
                f"{_aggregate(condition['aggregate'])}, more a covered day than in the "
                f"{condition['baseline_days']} days before"
            )
        case _:
            left = "nobody is left" if condition["change"] == "gone" else "somebody left or changed title"
            instead = f", else {_or(condition['fallback_roles'])}" if condition.get("fallback_roles") else ""
            return f"contacts in the role {_or(condition['roles'])}{instead}: {left}{_window(condition)}"


_MEASURES: Mapping[str, Callable[[Entry], str]] = {
    "aggregate": _plain_aggregate,
    "ratio": _ratio,
    "utilisation": _utilisation,
    "onboarding_adoption": _onboarding,
    "level_change": _level_change,
    "trend": _trend,
    "recency": _recency,
    "breadth": _breadth,
    "newness": _newness,
    "median_duration": _median_duration,
    "open_at": _open_at,
    "latest": _latest,
    "delta": _delta,
    "blocks": _blocks,
    "silence": _silence,
    "coded": _coded,
}
