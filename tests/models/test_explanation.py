"""The answer in words: shape, sums, actions, opportunities, what the evidence adds, and golden texts."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.catalogue import Catalogue
from features.readings import Evidence, UnknownReason
from features.vectors import Vectors
from models.bundle import Bundle
from models.calibration import Platt
from models.decision import decide
from models.explanation import AccountFacts, answer, evidence_ids, sentences
from models.labels import labels
from models.telling import shown_parts

GOLDEN = Path(__file__).with_name("golden")
AnAccount = SomeVectors = Callable[..., Vectors]
Explain = Callable[..., dict[str, Any]]


@pytest.fixture
def explain(catalogue: Catalogue) -> Explain:
    """`explain(vectors, bundle=None, lang="en", evidence={}, facts=AccountFacts())`."""

    def make(vectors: Vectors, bundle: Bundle | None = None, lang: str = "en", **said: Any) -> dict[str, Any]:
        decision = decide(vectors, bundle, catalogue)[0]
        evidence, facts = said.get("evidence", {}), said.get("facts", AccountFacts())
        return answer(decision, catalogue, lang, evidence, "p-1", facts)

    return make


def row(table: str, text: str) -> Evidence:
    return Evidence(table, f"{table}-1", dt.datetime(2024, 12, 20), text)


def by_id(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in items}


class TestSums:
    def test_log_odds_and_points_add_up(self, explain: Explain, some_vectors: Any, bundle: Bundle) -> None:
        vectors = some_vectors(40, seed=3)
        for account in vectors:
            for model in (bundle, None):
                said = explain(account, model)
                p = said["churn_probability"]
                total = said["base_log_odds"] + sum(part["log_odds"] for part in said["contributions"])
                assert total == pytest.approx(math.log(p) - math.log1p(-p), abs=1e-9)
                points = 100 * said["base_probability"] + sum(part["points"] for part in said["contributions"])
                assert points == pytest.approx(100 * p, abs=1e-9)

    def test_what_is_shown_adds_up_too(self, explain: Explain, some_vectors: Any, bundle: Bundle) -> None:
        for account in some_vectors(40, seed=4):
            parts = shown_parts(explain(account, bundle))
            assert len(parts) <= 20 + 3
            assert sum(part.points for part in parts[:-1]) == pytest.approx(parts[-1].points, abs=1e-9)

    def test_it_is_plain_json_of_finite_numbers(self, explain: Explain, some_vectors: Any, bundle: Bundle) -> None:
        for account in some_vectors(40, seed=5, unknown_share=0.7):
            said = explain(account, bundle)
            assert json.loads(json.dumps(said, allow_nan=False)) == said


class TestSigns:
    def test_the_strongest_come_first(self, explain: Explain, an_account: AnAccount) -> None:
        said = explain(an_account(usage_trend=0.8, open_complaints=3, open_escalations=1))
        assert [sign["id"] for sign in said["signs"]] == ["open_complaints", "usage_trend", "open_escalations"]

    def test_a_sentence_never_speaks_of_a_cause(self, explain: Explain, some_vectors: Any) -> None:
        for account in some_vectors(60, seed=6):
            for sign in explain(account)["signs"]:
                said = sign["sentence"].lower()
                assert [claim for claim in ("because of", "caused", "causes ", "due to") if claim in said] == []

    def test_too_many_tickets_name_the_commonest_category(self, explain: Explain, an_account: AnAccount) -> None:
        facts = AccountFacts(commonest_ticket_category="bug")
        assert "Most are about bugs." in explain(an_account(support_load=8), facts=facts)["signs"][0]["sentence"]

    def test_too_few_tickets_are_said_and_treated_as_what_they_are(
        self, explain: Explain, an_account: AnAccount
    ) -> None:
        facts = AccountFacts(commonest_ticket_category="bug")
        said = explain(an_account(support_load=0.1), facts=facts)
        assert said["signs"][0]["threshold"] == 0.3
        assert "bugs" not in said["signs"][0]["sentence"]
        assert "may suggest" in said["signs"][0]["sentence"]
        assert by_id(said["opportunities"])["teach"]["because_of"] == ["support_load"]

    def test_a_detractor_without_a_reason_points_at_the_posts(
        self, explain: Explain, an_account: AnAccount
    ) -> None:
        posts = [row("community", "kind: post, text: again")]
        silent = {"nps_detractors": [row("surveys", "nps: 2")], "community_silence": posts}
        spoke = {"nps_detractors": [row("surveys", "nps: 2, comment: too slow")], "community_silence": posts}
        account = an_account(nps_detractors=1)
        without_reason = explain(account, evidence=silent)["signs"][0]
        assert "read their recent community posts" in without_reason["sentence"]
        assert [found["table"] for found in without_reason["evidence"]] == ["surveys", "community"]
        with_reason = explain(account, evidence=spoke)["signs"][0]
        assert "read their recent community posts" not in with_reason["sentence"]
        assert [found["table"] for found in with_reason["evidence"]] == ["surveys"]

    def test_a_detractor_asks_for_the_posts_as_evidence(self, catalogue: Catalogue, an_account: AnAccount) -> None:
        detractor, other = (
            decide(vectors, None, catalogue)[0]
            for vectors in (an_account(nps_detractors=1), an_account(usage_trend=0.5))
        )
        assert evidence_ids(detractor) == ("nps_detractors", "community_silence")
        assert evidence_ids(other) == ("usage_trend",)

    def test_a_stale_rating_is_shown_as_stale(self, explain: Explain, an_account: AnAccount) -> None:
        stale = explain(an_account(partnership=1, partnership_age_days=200))["signs"][0]
        fresh = explain(an_account(partnership=1, partnership_age_days=20))["signs"][0]
        assert "200 days old" in stale["sentence"]
        assert "days old" not in fresh["sentence"]

    def test_a_contract_request_names_the_notice_deadline(self, explain: Explain, an_account: AnAccount) -> None:
        said = explain(an_account(contract_requests=1, days_to_notice_deadline=40))
        assert "10 February 2025" in said["signs"][0]["sentence"]


class TestActions:
    def test_plays_stand_once_and_the_bands_own_comes_first(self, explain: Explain, an_account: AnAccount) -> None:
        said = explain(an_account(nps_score=5, nps_change=-4, open_complaints=2, feature_breadth=0.1))
        plays = {action["play"]: action for action in said["actions"]}
        assert len(plays) == len(said["actions"])
        assert said["actions"][0]["play"] == "weekly_review"
        assert plays["talk_to_the_respondent"]["because_of"] == ["nps_score", "nps_change"]
        assert (plays["answer_and_solve"]["owner_role"], plays["answer_and_solve"]["due_days"]) == ("csm_lead", 1)
        assert [action["due_days"] for action in said["actions"][1:]] == [1, 3, 14]

    def test_a_withheld_band_has_no_play_of_its_own(self, explain: Explain, an_account: AnAccount) -> None:
        said = explain(an_account(usage_trend=1.0))
        assert said["band"] is None
        assert said["actions"] == []

    def test_before_their_budget_season_value_is_shown_first(
        self, explain: Explain, an_account: AnAccount
    ) -> None:
        account = an_account(feature_breadth=0.1)  # as of 1 January
        said = {
            month: explain(account, facts=AccountFacts(fiscal_year_start_month=month))["actions"][-1]["sentence"]
            for month in (1, 4, 7)
        }
        assert "fiscal year begins in April" in said[4]
        assert "fiscal year" not in said[7]
        assert "fiscal year" not in said[1]  # it begins today: the budget has been made


class TestOpportunities:
    def test_good_signs_and_what_each_sign_opens(self, explain: Explain, an_account: AnAccount) -> None:
        said = explain(an_account(nps_score=9.5, usage_trend=0.5, champion_change=2, open_escalations=1))
        found = by_id(said["opportunities"])
        assert found["promoters"]["because_of"] == ["nps_score"]
        assert found["show_value"]["because_of"] == ["usage_trend", "champion_change"]
        assert found["fix_product"]["because_of"] == ["open_escalations"]


class TestTheHeadline:
    def test_it_names_the_account_or_its_id(self, explain: Explain, an_account: AnAccount, bundle: Bundle) -> None:
        account = an_account(usage_trend=0.5)
        assert explain(account, bundle)["headline"].startswith("acme ")
        assert explain(account, bundle, facts=AccountFacts("Acme Ltd"))["headline"].startswith("Acme Ltd ")

    def test_without_a_model_it_says_so(self, explain: Explain, an_account: AnAccount, bundle: Bundle) -> None:
        account = an_account(usage_trend=0.5)
        assert "from the rules alone" in explain(account)["headline"]
        assert "from the rules alone" not in explain(account, bundle)["headline"]

    def test_it_says_why_the_rules_count_for_more(
        self, explain: Explain, an_account: AnAccount, bundle: Bundle, some_vectors: SomeVectors
    ) -> None:
        blend = bundle.blend
        young = dataclasses.replace(bundle, blend=dataclasses.replace(blend, churned_accounts=41))
        weight = 41 / (41 + blend.kappa)
        known = some_vectors(n=1, unknown_share=0.0)
        assert explain(known, young)["model_weight"] == pytest.approx(weight)
        said = f"Only 41 churned accounts were seen so far: the model counts {weight:.1f}, the rules the rest."
        assert explain(known, young)["headline"].endswith(said)
        assert "churned accounts were seen" not in explain(known, bundle)["headline"]

    def test_an_account_of_which_little_is_known_says_so(
        self, explain: Explain, an_account: AnAccount, bundle: Bundle
    ) -> None:
        calm = dataclasses.replace(bundle, platt=Platt(-5.0, 0.8))  # so that the rules are the more alarmed voice
        said = explain(an_account(usage_trend=0.5), calm)
        assert said["model_weight"] < 0.5 < bundle.blend.full_weight
        assert "Little is known of this account" in said["headline"]

    def test_notice_given_is_said_first(self, explain: Explain, an_account: AnAccount) -> None:
        said = explain(an_account(usage_trend=0.5, under_notice=1))
        assert "has given notice" in said["headline"]
        assert said["under_notice"] is True


class TestGoldenTexts:
    @pytest.mark.parametrize("lang", ["en", "zh"])
    def test_the_text_for_the_command_line_is_as_agreed(
        self, explain: Explain, an_account: AnAccount, catalogue: Catalogue, lang: str
    ) -> None:
        account = an_account(
            missing={
                "exit_page_views": UnknownReason.NOT_CONNECTED,
                "slow_resolution": UnknownReason.TOO_FEW,
                "product_fit": UnknownReason.NOT_RATED,
                "onboarding_adoption": UnknownReason.NOT_APPLICABLE,
            },
            usage_trend=0.5,
            support_load=8,
            open_complaints=2,
            nps_detractors=1,
            licence_utilisation=0.95,
            days_since_last_use=3,
            partnership=2,
            partnership_age_days=10,
            stage=2,
        )
        evidence = {"open_complaints": [row("feedback", "kind: complaint, text: nobody calls back")]}
        facts = AccountFacts("Acme", 4, "bug")
        text = sentences(explain(account, None, lang, evidence=evidence, facts=facts), catalogue, lang)
        text = text.rpartition("\n\n")[0] + "\n"  # the last block names fingerprints
        golden = GOLDEN / f"explanation_{lang}.txt"
        if os.environ.get("KEEPSIGHT_WRITE_GOLDEN"):
            golden.write_text(text, encoding="utf-8")
        assert text == golden.read_text(encoding="utf-8")

    def test_both_languages_have_the_same_labels(self) -> None:
        assert sorted(labels("en")) == sorted(labels("zh"))
