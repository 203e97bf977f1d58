"""Labels, story by story: contracts and outcomes on one side, the answer on the other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import TrainingError
from features.sources import load_sources, open_database
from training.definition import KINDS
from training.labels import LabelRule, Labels, label

D = dt.date
END = D(2025, 6, 30)  # with its whole day: the history ends on 1 July, 00:00
YEAR = (D(2024, 3, 1), D(2025, 2, 28))


def contract(
    start: dt.date, end: dt.date | None = None, notice: dt.date | None = None, **more: Any
) -> dict[str, Any]:
    return {"account_id": "a", "start_date": start, "end_date": end, "notice_at": notice, **more}


def outcome(kind: str, churned: dt.date, notice: dt.date | None = None, **more: Any) -> dict[str, Any]:
    return {"account_id": "a", "kind": kind, "churned_at": churned, "notice_at": notice, **more}


class Story:
    """A company of one account, written as files and read as every company is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def labels(
        self,
        as_of: Sequence[dt.date],
        rule: LabelRule | None = None,
        observed_until: dt.date = END,
        **tables: list[dict[str, Any]],
    ) -> Labels:
        tables.setdefault("accounts", [{"account_id": "a", "customer_since": D(2020, 1, 1)}])
        lines = ['company = "One"', f"observed_until = {observed_until}"]
        for name, rows in tables.items():
            columns = dict.fromkeys(column for row in rows for column in row)  # Arrow asks the first row alone
            pq.write_table(
                pa.Table.from_pylist([{**columns, **row} for row in rows]), self.folder / f"{name}.parquet"
            )
            lines.append(f'[tables.{name}]\npath = "{name}.parquet"\nnever_rewritten = true')
        (self.folder / "sources.toml").write_text("\n".join(lines))
        moments = [dt.datetime.combine(day, dt.time()) for day in as_of]
        grid = pa.table({"account_id": ["a"] * len(moments), "as_of": pa.array(moments, pa.timestamp("s"))})
        with open_database(load_sources(self.folder / "sources.toml")) as database:
            return label(database, grid, rule or LabelRule())

    def one(self, as_of: dt.date, rule: LabelRule | None = None, **more: Any) -> float | None:
        """Return True, False or None for one date."""
        [answer] = self.labels([as_of], rule, **more).churned
        return None if np.isnan(answer) else bool(answer)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_a_renewal_on_time_is_no_churn(story: Story) -> None:
    renewed = [contract(*YEAR), contract(D(2025, 3, 1), D(2026, 2, 28), signed_at=D(2025, 2, 1))]
    assert story.one(D(2025, 1, 1), contracts=renewed) is False


def test_a_contract_that_is_not_renewed_is_churn_on_the_day_its_service_ended(story: Story) -> None:
    dates = [D(2024, 11, 30), D(2024, 12, 1), D(2025, 2, 28), D(2025, 3, 1)]
    # Service ends with 28 February, that is on 1 March at 00:00: 90 days after 1 December.
    answers = story.labels(dates, contracts=[contract(*YEAR)])
    assert answers.churned[:3].tolist() == [0.0, 1.0, 1.0]
    assert np.isnan(answers.churned[3])
    assert not answers.at_risk[3]
    assert answers.event_at[0] == np.datetime64("2025-03-01")


@pytest.mark.parametrize(("start", "churned"), [(D(2025, 3, 31), False), (D(2025, 4, 1), True)])
def test_a_late_renewal_inside_the_grace_is_no_churn_and_after_it_is(
    story: Story, start: dt.date, churned: bool
) -> None:
    late = [contract(*YEAR), contract(start, None, signed_at=start)]
    assert story.one(D(2025, 1, 1), contracts=late) is churned


def test_inside_the_gap_there_is_no_snapshot_even_if_it_was_renewed_late(story: Story) -> None:
    late = [contract(*YEAR), contract(D(2025, 3, 20), None, signed_at=D(2025, 3, 20))]
    dates = [D(2025, 3, 10), D(2025, 3, 19), D(2025, 3, 20)]
    assert story.labels(dates, contracts=late).at_risk.tolist() == [False, False, True]


def test_notice_is_labelled_once_at_the_day_of_notice_not_at_the_end_of_service(story: Story) -> None:
    noticed = [contract(D(2024, 7, 1), D(2025, 6, 30), notice=D(2025, 3, 10))]
    dates = [D(2024, 12, 10), D(2024, 12, 11), D(2025, 3, 10), D(2025, 3, 11), D(2025, 4, 1)]
    answers = story.labels(dates, contracts=noticed)
    assert answers.churned[:3].tolist() == [0.0, 1.0, 1.0]
    assert np.isnan(answers.churned[3:]).all()
    assert answers.at_risk.tolist() == [True, True, True, False, False]
    assert answers.event_at[2] == np.datetime64("2025-03-11")


def test_notice_counts_though_the_contract_runs_past_the_end_of_the_history(story: Story) -> None:
    assert story.one(D(2025, 2, 1), contracts=[contract(D(2025, 1, 1), D(2025, 12, 31), D(2025, 4, 1))]) is True


def test_notice_that_a_renewal_overtook_is_no_churn(story: Story) -> None:
    renewed = [contract(*YEAR, notice=D(2024, 12, 15)), contract(D(2025, 3, 1), None, signed_at=D(2025, 2, 20))]
    assert story.one(D(2024, 12, 1), contracts=renewed) is False


def test_notice_on_one_of_two_contracts_is_a_contraction(story: Story) -> None:
    two = [contract(*YEAR, notice=D(2024, 12, 15)), contract(D(2024, 6, 1), D(2026, 5, 31))]
    assert story.one(D(2024, 12, 1), contracts=two) is False


def test_an_end_within_the_grace_of_the_history_is_censored(story: Story) -> None:
    ending = [contract(D(2024, 7, 1), D(2025, 6, 10))]
    assert story.one(D(2025, 4, 1), contracts=ending) is None
    assert story.one(D(2025, 3, 1), contracts=ending) is False


def test_a_noticed_end_within_the_grace_is_churn_at_once(story: Story) -> None:
    assert story.one(D(2025, 4, 1), contracts=[contract(D(2024, 7, 1), D(2025, 6, 10), D(2025, 6, 1))]) is True


@pytest.mark.parametrize(("as_of", "answer"), [(D(2025, 4, 2), False), (D(2025, 4, 3), None)])
def test_a_window_that_passes_the_end_of_the_history_has_no_label(
    story: Story, as_of: dt.date, answer: bool | None
) -> None:
    assert story.one(as_of, contracts=[contract(D(2024, 1, 1))]) is answer


def test_churn_that_is_known_already_does_not_close_an_open_window(story: Story) -> None:
    # Else the last months would hold those who left and nobody who stayed.
    assert story.one(D(2025, 5, 1), contracts=[contract(D(2024, 7, 1), D(2025, 6, 1), D(2025, 5, 10))]) is None


def test_an_embargo_moves_the_window_and_leaves_out_who_is_gone_before_it_opens(story: Story) -> None:
    ending, rule = [contract(*YEAR)], LabelRule(horizon_days=60, embargo_days=30)
    dates = [D(2024, 11, 1), D(2024, 12, 1), D(2025, 1, 29), D(2025, 1, 30)]
    answers = story.labels(dates, rule, contracts=ending).churned
    assert answers[:3].tolist() == [0.0, 1.0, 1.0]
    assert np.isnan(answers[3])


def test_who_returns_after_the_grace_starts_anew(story: Story) -> None:
    back = [contract(*YEAR), contract(D(2025, 4, 15), None, signed_at=D(2025, 4, 15))]
    answers = story.labels(
        [D(2025, 2, 1), D(2025, 4, 1), D(2025, 4, 15)], contracts=back, observed_until=D(2025, 12, 31)
    )
    assert answers.churned[[0, 2]].tolist() == [1.0, 0.0]
    assert np.isnan(answers.churned[1])


def test_a_contract_cancelled_before_it_began_is_none(story: Story) -> None:
    void = [contract(*YEAR), contract(D(2025, 3, 1), D(2025, 2, 1))]
    assert story.one(D(2025, 1, 1), contracts=void) is True


def test_recorded_outcomes_decide_the_date(story: Story) -> None:
    # The contract row was never cut short; the outcome knows better.
    told = {
        "contracts": [contract(D(2024, 1, 1), D(2026, 12, 31))],
        "outcomes": [outcome("cancellation", D(2025, 2, 10))],
    }
    answers = story.labels([D(2024, 11, 1), D(2025, 2, 1), D(2025, 3, 1)], **told)
    assert answers.churned[:2].tolist() == [0.0, 1.0]
    assert not answers.at_risk[2]


def test_a_contract_that_ended_without_a_recorded_outcome_is_neither_churned_nor_stayed(story: Story) -> None:
    told = {"contracts": [contract(*YEAR)], "outcomes": [outcome("renewed", D(2024, 3, 1))]}
    assert story.one(D(2025, 1, 1), **told) is None
    assert story.one(D(2024, 10, 1), **told) is False


@pytest.mark.parametrize("kind", ["renewed", "contraction"])
def test_renewal_and_contraction_are_no_churn(story: Story, kind: str) -> None:
    told = {"contracts": [contract(D(2024, 1, 1))], "outcomes": [outcome(kind, D(2025, 2, 10))]}
    assert story.one(D(2025, 1, 1), **told) is False


@pytest.mark.parametrize("counts", [True, False])
def test_involuntary_churn_counts_or_not_as_the_rule_says(story: Story, counts: bool) -> None:
    told = {"contracts": [contract(*YEAR)], "outcomes": [outcome("lapse", D(2025, 2, 28), involuntary=True)]}
    rule = LabelRule(involuntary_counts=counts)
    answers = story.labels([D(2025, 1, 1), D(2025, 3, 5)], rule, **told)
    assert answers.churned[0] == counts
    assert not answers.at_risk[1]


def test_outcomes_alone_are_enough(story: Story) -> None:
    told = [outcome("cancellation", D(2025, 2, 10), D(2025, 1, 20)), outcome("renewed", D(2025, 3, 20))]
    answers = story.labels([D(2024, 10, 1), D(2025, 1, 1), D(2025, 2, 1), D(2025, 4, 1)], outcomes=told)
    assert answers.churned[[0, 1, 3]].tolist() == [0.0, 1.0, 0.0]
    assert np.isnan(answers.churned[2])


def test_given_labels_replace_derived_ones(story: Story) -> None:
    given = [{"account_id": "a", "as_of": D(2025, 1, day), "churned": day == 2} for day in (1, 2)]
    dates = [D(2025, 1, 1), D(2025, 1, 2), D(2025, 2, 1)]
    answers = story.labels(dates, contracts=[contract(*YEAR)], labels=given)
    assert answers.churned[:2].tolist() == [0.0, 1.0]
    assert np.isnan(answers.churned[2])
    assert answers.kind.tolist() == ["", "given", ""]


def test_nothing_that_says_who_churned_is_refused(story: Story) -> None:
    with pytest.raises(TrainingError, match="none of the tables contracts, outcomes and labels is connected"):
        story.one(D(2025, 1, 1))


def test_a_contract_that_became_known_later_does_not_make_a_snapshot_earlier(story: Story) -> None:
    backdated = [contract(D(2024, 1, 1), None, recorded_at=dt.datetime(2024, 5, 1))]
    answers = story.labels([D(2024, 4, 1), D(2024, 6, 1)], contracts=backdated)
    assert answers.at_risk.tolist() == [False, True]


ALL = LabelRule(kinds=KINDS)


@pytest.mark.parametrize(
    ("terms", "kind"),
    [
        ({}, "lapse"),
        ({"auto_renew": True}, "lapse"),
        ({"auto_renew": False}, "non_renewal"),
        ({"notice": D(2025, 2, 1)}, "cancellation"),
        ({"notice": D(2025, 2, 1), "auto_renew": True}, "cancellation"),
        ({"notice": D(2025, 2, 1), "auto_renew": False}, "non_renewal"),
    ],
)
def test_contracts_tell_how_the_account_left(story: Story, terms: dict[str, Any], kind: str) -> None:
    answers = story.labels([D(2025, 1, 1), D(2024, 10, 1)], contracts=[contract(*YEAR, **terms)])
    assert answers.kind.tolist() == [kind, ""]


def test_what_ended_before_the_end_agreed_did_not_run_out(story: Story) -> None:
    agreed = contract(*YEAR, auto_renew=False, contract_id="c", recorded_at=dt.datetime(2024, 2, 1))
    ended = {**agreed, "end_date": D(2025, 1, 15), "recorded_at": dt.datetime(2025, 1, 15)}
    assert story.labels([D(2024, 12, 1)], contracts=[agreed, ended]).kind.tolist() == ["lapse"]
    ended["notice_at"] = D(2025, 1, 10)
    assert story.labels([D(2024, 12, 1)], contracts=[agreed, ended]).kind.tolist() == ["cancellation"]


def test_notice_that_was_taken_back_is_no_churn(story: Story) -> None:
    plain = contract(D(2024, 3, 1), D(2026, 2, 28), contract_id="c", recorded_at=dt.datetime(2024, 2, 1))
    noticed = {**plain, "notice_at": D(2024, 12, 1), "recorded_at": dt.datetime(2024, 12, 1)}
    withdrawn = {**plain, "recorded_at": dt.datetime(2025, 1, 10)}
    assert story.one(D(2024, 11, 1), contracts=[plain, noticed]) is True
    assert story.one(D(2024, 11, 1), contracts=[plain, noticed, withdrawn]) is False


def test_the_recorded_kind_is_the_companys_word(story: Story) -> None:
    told = {"contracts": [contract(*YEAR)], "outcomes": [outcome("non_renewal", D(2025, 2, 28), D(2025, 1, 20))]}
    assert story.labels([D(2025, 1, 1)], **told).kind.tolist() == ["non_renewal"]


@pytest.mark.parametrize(("kinds", "churned"), [(("lapse",), 1.0), (("cancellation",), 0.0)])
def test_a_kind_that_does_not_count_is_a_no_and_ends_the_risk(
    story: Story, kinds: tuple[str, ...], churned: float
) -> None:
    answers = story.labels([D(2025, 1, 1), D(2025, 3, 1)], LabelRule(kinds=kinds), contracts=[contract(*YEAR)])
    assert answers.churned[0] == churned
    assert answers.kind.tolist() == ["lapse", ""]
    assert answers.at_risk.tolist() == [True, False]


def test_fewer_licences_at_renewal_are_a_contraction_on_the_day_they_are_agreed(story: Story) -> None:
    renewed = [
        contract(*YEAR, licences=10),
        contract(D(2025, 3, 1), D(2026, 2, 28), licences=8, signed_at=D(2025, 1, 31)),
    ]
    dates = [D(2025, 1, 1), D(2025, 1, 31), D(2025, 2, 1)]
    answers = story.labels(dates, ALL, contracts=renewed)
    assert answers.churned.tolist() == [1.0, 1.0, 0.0]
    assert answers.kind.tolist() == ["contraction", "contraction", ""]
    assert answers.at_risk.all()
    assert answers.event_at[0] == np.datetime64("2025-02-01")
    aside = story.labels(dates, contracts=renewed)
    assert aside.churned.tolist() == [0.0, 0.0, 0.0]
    assert aside.kind.tolist() == ["contraction", "contraction", ""]


@pytest.mark.parametrize(
    ("before", "after", "contracted"),
    [
        ({"arr": 100}, {"arr": 90}, True),
        ({"arr": 100, "licences": 10}, {"arr": 110, "licences": 9}, True),
        ({"arr": 100, "licences": 10}, {"arr": 100, "licences": 10}, False),
        ({"plan": "pro", "arr": 100}, {"plan": "basic", "arr": 100}, True),
        ({"plan": "basic"}, {"plan": "pro"}, False),
        ({"plan": "basic"}, {"plan": "unheard-of"}, None),
        ({"licences": 10}, {}, None),
    ],
)
def test_less_is_fewer_licences_lower_value_or_a_smaller_plan(
    story: Story, before: dict[str, Any], after: dict[str, Any], contracted: bool | None
) -> None:
    offered = [("basic", "reports"), ("pro", "reports"), ("pro", "exports")]
    plans = [{"plan": plan, "feature": feature} for plan, feature in offered]
    blank = {"licences": None, "arr": None, "plan": None}
    renewed = [contract(*YEAR, **{**blank, **before}), contract(D(2025, 3, 1), **{**blank, **after})]
    assert (
        story.one(D(2025, 1, 1), LabelRule(kinds=("contraction",)), contracts=renewed, plans=plans) is contracted
    )


def test_an_account_that_contracted_is_at_risk_and_counts_again_when_it_leaves(story: Story) -> None:
    fewer = [contract(*YEAR, licences=10), contract(D(2025, 3, 1), D(2025, 5, 1), licences=8)]
    dates = [D(2025, 2, 1), D(2025, 3, 2)]
    answers = story.labels(dates, LabelRule(30, kinds=KINDS), contracts=fewer)
    assert answers.kind.tolist() == ["contraction", ""]
    later = story.labels([D(2025, 4, 5)], LabelRule(30, kinds=KINDS), contracts=fewer)
    assert later.kind.tolist() == ["lapse"]


def test_recorded_contractions_are_the_companys_word(story: Story) -> None:
    told = {
        "contracts": [contract(*YEAR, licences=10), contract(D(2025, 3, 1), licences=8)],
        "outcomes": [outcome("contraction", D(2025, 1, 20))],
    }
    dates = [D(2025, 1, 20), D(2025, 1, 21)]
    assert story.labels(dates, LabelRule(60, kinds=KINDS), **told).kind.tolist() == ["contraction", ""]


def test_where_nothing_tells_of_contractions_they_cannot_count(story: Story) -> None:
    with pytest.raises(TrainingError, match=r"contraction counts .* and nothing tells of it"):
        story.one(D(2025, 1, 1), ALL, contracts=[contract(*YEAR)])
