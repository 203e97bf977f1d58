"""The engine with one rule broken, to show that a comparison would have told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pytest

from features.measures import frames, groups, kinds, quantities, queries, rows, scope
from features.measures.calendar import SECONDS_A_DAY, Calendar, Floats

Break = Callable[[pytest.MonkeyPatch], None]
Moments = Mapping[str, Floats]


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Break one rule of the engine; queries compiled meanwhile are forgotten."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queries, "_COMPILED", {})
        MUTANTS[name](patch)
        yield


def _wall_clock_in_every_window(patch: pytest.MonkeyPatch) -> None:
    honest = Calendar.__init__

    def made(self: Calendar, dates: Any) -> None:
        honest(self, dates)
        self.seconds = np.full(len(dates), np.floor(time.time()))
        self.day = np.floor(self.seconds / SECONDS_A_DAY)

    patch.setattr(Calendar, "__init__", made)


def _wall_clock_in_a_measure(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kinds, "_days_since", lambda moment, known: np.floor((time.time() - moment) / SECONDS_A_DAY))


def _other_moments(change: Callable[[Moments], Moments]) -> Break:
    """Change when rows occurred, became known or were replaced."""
    honest = rows.TableRows.frame

    def broken(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(
            rows.TableRows,
            "frame",
            lambda self, *rest: honest(replace(self, moments=change(self.moments)), *rest),
        )

    return broken


def _known_when_it_occurred(moments: Moments) -> Moments:
    return {**moments, "known_from": moments.get("occurred_at", moments["known_from"])}


def _never_replaced(moments: Moments) -> Moments:
    return {**moments, "known_until": np.full(len(moments["known_until"]), np.inf)}


def _window_a_day_longer(patch: pytest.MonkeyPatch) -> None:
    honest = quantities.Total.demand

    def demand(self: quantities.Total) -> frames.Demand:
        asked = honest.__get__(self)
        longer = asked.window_days and asked.window_days + 1
        return frames.Demand(asked.of, asked.table, asked.any_of, asked.columns, longer, asked.until_days_ago)

    patch.setattr(quantities.Total, "demand", property(demand))


def _null_matches(patch: pytest.MonkeyPatch) -> None:
    honest = rows._holds

    def holds(table: ir.Table, chosen: Any) -> ir.BooleanValue:
        a_null = [table[name].isnull() for name in chosen]
        found = honest(table, chosen)
        for null in a_null:
            found = found | null
        return found

    patch.setattr(rows, "_holds", holds)


def _people_without_their_account(patch: pytest.MonkeyPatch) -> None:
    """Users of the same name are one user, whichever account they are of: the first one's."""
    honest = groups.numbered
    patch.setattr(frames, "numbered", lambda keys: honest(keys[1:]))


def _reference_values_of_those_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scope.Scope, "everyone", property(lambda self: self))


def _local_time(patch: pytest.MonkeyPatch) -> None:
    honest = rows.seconds
    patch.setattr(rows, "seconds", lambda moment: honest(moment) + 3600.0)


MUTANTS: Mapping[str, Break] = {
    "the wall clock ends every window": _wall_clock_in_every_window,
    "a measure asks the wall clock": _wall_clock_in_a_measure,
    "recorded_at is ignored": _other_moments(_known_when_it_occurred),
    "corrections are ignored": _other_moments(_never_replaced),
    "windows are a day longer": _window_a_day_longer,
    "a null matches a filter": _null_matches,
    "people are told apart without their account": _people_without_their_account,
    "reference values are of those asked about": _reference_values_of_those_asked,
    "an engine reads times in local time": _local_time,
}
