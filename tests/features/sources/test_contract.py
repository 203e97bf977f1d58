from __future__ import annotations

import pytest

from features.sources.contract import ColumnType, TableContract, table_contracts

CONTRACTS = table_contracts()


@pytest.mark.parametrize(("name", "contract"), CONTRACTS.items())
def test_what_a_contract_names_are_its_own_columns(name: str, contract: TableContract) -> None:
    named = {*contract.key, *contract.known, contract.occurred, contract.ended} - {None}
    assert named <= set(contract.columns), name


@pytest.mark.parametrize(("name", "contract"), CONTRACTS.items())
def test_an_event_says_when_and_a_state_does_not(name: str, contract: TableContract) -> None:
    assert (contract.occurred is not None) == (contract.kind == "event"), name
    if contract.occurred is not None:
        assert contract.occurred in contract.required
        assert contract.columns[contract.occurred].type in (ColumnType.TIME, ColumnType.DATE)


@pytest.mark.parametrize(("name", "contract"), CONTRACTS.items())
def test_every_table_belongs_to_accounts_unless_it_says_otherwise(name: str, contract: TableContract) -> None:
    assert contract.by_account != contract.no_account, name


def test_edges_of_allowed_values_are_read() -> None:
    sentiment = CONTRACTS["community"].columns["sentiment"]
    assert (sentiment.at_least, sentiment.at_most) == (-1, 1)
    assert CONTRACTS["visits"].columns["page"].one_of == ("cancel", "downgrade", "export", "other")


def test_labels_are_read_by_no_feature() -> None:
    assert [name for name, contract in CONTRACTS.items() if contract.labels_only] == ["outcomes", "labels"]
