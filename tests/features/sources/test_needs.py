from __future__ import annotations

import pytest

from features.catalogue import load_catalogue
from features.sources.contract import table_contracts
from features.sources.needs import columns_read, left_unknown_without, tables_helping, tables_needed

SIGNALS = load_catalogue().definitions.signals


@pytest.mark.parametrize("signal", SIGNALS)
def test_what_a_measure_asks_for_is_in_the_contract(signal: str) -> None:
    measure, contracts = SIGNALS[signal].measure, table_contracts()
    tables = tables_needed(measure) | tables_helping(measure)
    assert tables <= set(contracts)
    assert tables, "every signal rests on some table"
    for table, column in columns_read(measure):
        assert column in contracts[table].columns


@pytest.mark.parametrize(
    ("signal", "needed", "helping"),
    [
        ("licence_change", {"contracts"}, set()),
        ("onboarding_adoption", {"contracts", "usage"}, set()),
        ("support_load", {"tickets", "usage"}, {"community"}),
        ("nps_detractors", {"surveys"}, {"contacts"}),
        ("contract_requests", {"requests"}, {"contracts"}),
        ("champion_change", {"contacts"}, set()),
        ("export_requests", set(), {"requests", "visits"}),
    ],
)
def test_tables_that_a_signal_needs_and_those_that_help(signal: str, needed: set[str], helping: set[str]) -> None:
    measure = SIGNALS[signal].measure
    assert (tables_needed(measure), tables_helping(measure)) == (needed, helping)


def test_columns_are_named_with_the_table_of_their_rows() -> None:
    assert columns_read(SIGNALS["beginner_questions"].measure) == {
        ("community", "question"),
        ("community", "level"),
        ("community", "member_id"),
        ("usage", "actor"),
        ("usage", "user_id"),
    }


def test_without_assessments_every_factor_is_unknown() -> None:
    catalogue = load_catalogue()
    assert left_unknown_without(catalogue, "assessments") == (list(catalogue.definitions.factors), [])


def test_without_contracts_tenure_rests_on_customer_since() -> None:
    wholly, partly = left_unknown_without(load_catalogue(), "contracts")
    assert {"days_to_renewal", "licences", "arr", "plan", "licence_change"} <= {*wholly}
    assert {"tenure_days", "stage"} <= {*partly}


def test_what_no_signal_reads_leaves_nothing_unknown() -> None:
    assert left_unknown_without(load_catalogue(), "goals") == ([], [])
