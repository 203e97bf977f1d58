"""Posted readings become vectors: coded by the contract's codebooks, unknown where nothing is said."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

import pytest

from features.catalogue import Catalogue
from features.errors import ReadingError
from features.readings import Unknown, UnknownReason
from features.vectors import FeatureContract, Vectors
from serving.readings import Given, GivenRating, vectors_of

AS_OF = dt.datetime(2025, 6, 30)


@pytest.fixture(scope="session")
def a_vector(catalogue: Catalogue, contract: FeatureContract) -> Any:
    def make(**said: Any) -> Vectors:
        return vectors_of([Given("acme", said.pop("as_of", AS_OF), **said)], contract, catalogue.definitions)

    return make


def rated(assessed_at: dt.date, rating: int = 4) -> Mapping[str, GivenRating]:
    return {"partnership": GivenRating(rating, assessed_at)}


def test_what_is_not_said_is_unknown_and_not_zero(a_vector: Any) -> None:
    vector = a_vector(readings={"usage_trend": None})
    for name in ("usage_trend", "open_complaints", "partnership", "arr"):
        assert vector.reading(0, name) == Unknown(UnknownReason.NOT_GIVEN)


def test_a_zero_is_a_value(a_vector: Any) -> None:
    assert a_vector(readings={"open_complaints": 0}).reading(0, "open_complaints") == 0.0


@pytest.mark.parametrize(
    ("assessed_at", "age"),
    [
        (dt.date(2025, 6, 30), 0),  # rated on the day that is asked about
        (dt.date(2025, 6, 29), 0),  # a date counts from its end
        (dt.date(2025, 6, 28), 1),
        (dt.datetime(2025, 6, 29, 12), 0),
        (dt.datetime(2025, 6, 28, 23, 59), 1),
    ],
)
def test_a_rating_ages_by_whole_days(a_vector: Any, assessed_at: dt.date, age: int) -> None:
    vector = a_vector(factors=rated(assessed_at))
    assert vector.reading(0, "partnership") == 4.0
    assert vector.reading(0, "partnership_age_days") == age


def test_a_rating_expires_after_its_last_day(a_vector: Any) -> None:
    last = AS_OF - dt.timedelta(days=360)
    assert a_vector(factors=rated(last)).reading(0, "partnership") == 4.0
    vector = a_vector(factors=rated(last - dt.timedelta(days=1)))
    assert vector.reading(0, "partnership") == Unknown(UnknownReason.EXPIRED)
    assert vector.reading(0, "partnership_age_days") == Unknown(UnknownReason.EXPIRED)


def test_a_rating_from_the_future_is_refused(a_vector: Any) -> None:
    with pytest.raises(ReadingError, match="partnership: assessed_at lies after as_of"):
        a_vector(factors=rated(dt.date(2025, 7, 1)))


def test_a_category_is_coded_by_the_codebook(a_vector: Any) -> None:
    vector = a_vector(context={"plan": "pro"})
    assert vector.reading(0, "plan") == 1.0
    assert vector.category("plan")[0] == "pro"


def test_a_category_that_the_codebook_does_not_have_is_unknown(a_vector: Any) -> None:
    assert isinstance(a_vector(context={"plan": "gold"}).reading(0, "plan"), Unknown)


def test_coverage_counts_what_could_be_known(a_vector: Any, contract: FeatureContract) -> None:
    items = len(contract.items)
    one = a_vector(readings={"usage_trend": 1.0})
    assert one.column("coverage")[0] == 1 / items
    not_asked = {"nps_score": "not_applicable", "exit_page_views": "not_connected", "support_load": "too_few"}
    fewer = a_vector(readings={"usage_trend": 1.0}, unknown=not_asked)
    assert fewer.column("coverage")[0] == 1 / (items - 2)


def test_every_posted_value_arrives_in_its_own_column(
    a_vector: Any, catalogue: Catalogue, contract: FeatureContract
) -> None:
    codes = {name for name, signal in catalogue.definitions.signals.items() if signal.measure.kind == "coded"}
    readings = {
        name: 1.0 if name in codes else 0.125 * (place + 1)
        for place, name in enumerate(catalogue.definitions.signals)
    }
    vector = a_vector(readings=readings)
    assert {name: vector.reading(0, name) for name in readings} == readings


def test_no_reading_is_not_finite(a_vector: Any) -> None:
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(ReadingError, match="not a finite number"):
            a_vector(readings={"usage_trend": value})


def test_several_accounts_keep_their_order(catalogue: Catalogue, contract: FeatureContract) -> None:
    given = [Given(f"a{number}", AS_OF, {"usage_trend": number / 10}) for number in range(5)]
    vectors = vectors_of(given, contract, catalogue.definitions)
    assert list(vectors.account_ids) == ["a0", "a1", "a2", "a3", "a4"]
    assert list(vectors.column("usage_trend")) == [0.0, 0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(("name", "value"), [("nps_score", 45), ("nps_score", -5), ("support_satisfaction", 99)])
def test_a_mean_lies_where_its_column_may_lie(a_vector: Any, name: str, value: float) -> None:
    with pytest.raises(ReadingError, match=rf"{name}: lies outside \d+ to \d+"):
        a_vector(readings={name: value})
