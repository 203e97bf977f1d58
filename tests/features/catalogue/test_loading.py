"""What a company may change without code, and what a change means for models."""

import re

import pytest

from features.catalogue import load_catalogue
from features.catalogue.files import OURS as OURS_FOLDER
from features.catalogue.schema import Context, ContextKind, Edges
from features.errors import CatalogueError

OURS = load_catalogue()

A_SIGNAL = """
[signals.late_payments]
area = "contract"
unit = "invoices"
direction = "higher_is_worse"
timing = "leading"
source = "our own finance team"
measure = { kind = "open_at", rows = { table = "tickets", any_of = [{ category = ["billing"] }] } }
"""
ITS_POLICY = """
[signals.late_payments]
weight = 1
counts = { not_so_healthy = 1, unhealthy = 3 }
play = "ask_why_first"
opens = "show_value"
"""
ITS_WORDING = """
[signals.late_payments]
name = "late payments"
healthy = "They pay in time."
not_so_healthy = "{value} are late."
unhealthy = "{value} are late."
"""


def test_the_default_catalogue_has_every_signal_factor_and_context_column():
    assert (len(OURS.definitions.signals), len(OURS.definitions.factors)) == (25, 6)
    assert OURS.areas == (
        "licences",
        "usage",
        "maturity",
        "support",
        "nps",
        "community",
        "feedback",
        "contract",
        "website",
        "organisation",
        "relationship",
    )
    assert OURS.revision == 1
    assert set(OURS.wording) == {"en", "zh"}


def test_an_overlay_changes_one_key_and_leaves_the_rest(overlay):
    folder = overlay({"playbook.toml": "[signals.usage_trend]\nedges = { healthy = 0.8 }\n"})
    read = load_catalogue(folder).policy.signals["usage_trend"]
    assert read.edges is not None
    assert (read.edges.healthy, read.edges.unhealthy, read.weight) == (0.8, 0.7, 2)


def test_a_list_in_an_overlay_replaces_ours(overlay):
    folder = overlay({"signals.toml": '[signals.usage_trend]\nindicates = ["resources"]\n'})
    assert load_catalogue(folder).definitions.signals["usage_trend"].indicates == ("resources",)


def test_a_measure_of_another_kind_replaces_ours_whole(overlay):
    measure = 'measure = { kind = "recency", rows = { table = "community" } }'
    folder = overlay({"signals.toml": f"[signals.community_silence]\n{measure}\n"})
    assert load_catalogue(folder).definitions.signals["community_silence"].measure.kind == "recency"


def test_counts_in_an_overlay_take_the_place_of_edges(overlay):
    counts = "counts = { not_so_healthy = 8, unhealthy = 31 }"
    folder = overlay({"playbook.toml": f"[signals.days_since_last_use]\n{counts}\n"})
    read = load_catalogue(folder).policy.signals["days_since_last_use"]
    assert read.edges is None
    assert read.counts is not None


def test_a_company_adds_a_signal_of_its_own_with_words_in_one_language(overlay):
    folder = overlay({"signals.toml": A_SIGNAL, "playbook.toml": ITS_POLICY, "wording/en.toml": ITS_WORDING})
    catalogue = load_catalogue(folder)
    assert list(catalogue.definitions.signals)[-1] == "late_payments"
    assert catalogue.area_of("late_payments") == "contract"
    assert catalogue.wording["en"].sign("late_payments", "unhealthy", 3, 3) == "3 invoices are late."
    assert catalogue.wording["zh"].name("late_payments") == "late payments"


def test_another_bar_holds_for_a_stage_and_a_context_value(overlay):
    override = (
        '[[signals.feature_breadth.overrides]]\nstages = ["adoption"]\ncontext = { plan = ["basic"], '
        "licences = { at_most = 20 } }\nedges = { healthy = 0.3, unhealthy = 0.1 }\n"
    )
    catalogue = load_catalogue(overlay({"playbook.toml": override}))
    (found,) = catalogue.policy.signals["feature_breadth"].overrides
    assert found.stages == ("adoption",)
    assert found.context["plan"] == ("basic",)


def test_a_signal_switched_off_is_gone_everywhere():
    catalogue = load_catalogue(off=["negative_reviews", "resources"])
    for entries in (catalogue.definitions.signals, catalogue.policy.signals):
        assert "negative_reviews" not in entries
    for wording in catalogue.wording.values():
        assert "negative_reviews" not in wording.texts.signals
        assert "skilled_team" not in wording.texts.opportunities
    assert "resources" not in catalogue.policy.factors
    assert all("resources" not in signal.indicates for signal in catalogue.definitions.signals.values())


def test_a_condition_on_a_signal_switched_off_is_dropped():
    catalogue = load_catalogue(off=["feature_breadth"])
    applies = catalogue.definitions.signals["stale_implementation"].applies
    assert applies.unless is None
    assert applies.stages == ("adoption", "mature", "renewal_window")
    assert "breadth_growing" not in catalogue.policy.opportunities


def test_nothing_is_left_of_an_area_whose_signals_are_all_off():
    assert "organisation" not in load_catalogue(off=["champion_change", "leadership_change"]).areas


def test_switching_off_what_is_not_there_names_the_near_miss():
    with pytest.raises(
        CatalogueError, match=r'no signal or factor "negative_review"\. Did you mean "negative_reviews"'
    ):
        load_catalogue(off=["negative_review"])


def test_context_named_in_the_sources_joins_ours():
    size = Context(of="accounts.size", kind=ContextKind.NUMBER)
    catalogue = load_catalogue(context={"company_size": size})
    assert list(catalogue.definitions.context)[-1] == "company_size"
    assert catalogue.area_of("company_size") == "context"
    assert catalogue.wording["en"].name("company_size") == "company size"


def test_loading_twice_gives_the_same_fingerprints():
    again = load_catalogue(context={})
    assert again.definitions_fingerprint == OURS.definitions_fingerprint
    assert len(OURS.definitions_fingerprint) == len(OURS.policy_fingerprint) == 16


def test_a_changed_definition_changes_the_definitions_fingerprint_alone(overlay):
    changed = load_catalogue(overlay({"signals.toml": "[signals.nps_score.measure]\nwindow_days = 90\n"}))
    assert changed.definitions_fingerprint != OURS.definitions_fingerprint
    assert changed.policy_fingerprint == OURS.policy_fingerprint


@pytest.mark.parametrize(
    "change",
    [
        "lapse_grace_days = 45",
        "[stages]\nonboarding_days = 60",
        "[signals.support_load.measure.comfortable]\nat_most = 4.0",
    ],
)
def test_grace_stages_and_comfortable_ranges_are_definitions(overlay, change):
    changed = load_catalogue(overlay({"signals.toml": f"{change}\n"}))
    assert changed.definitions_fingerprint != OURS.definitions_fingerprint


def test_a_changed_threshold_changes_the_policy_fingerprint_alone(overlay):
    changed = load_catalogue(overlay({"playbook.toml": "[signals.nps_score]\nweight = 3\n"}))
    assert changed.policy_fingerprint != OURS.policy_fingerprint
    assert changed.definitions_fingerprint == OURS.definitions_fingerprint


@pytest.mark.parametrize(
    "files",
    [
        {"wording/en.toml": '[signals.nps_score]\nname = "promoter score"\n'},
        {"signals.toml": '[signals.nps_score]\nsource = "a better reason"\n'},
        {"playbook.toml": "revision = 2\n"},
    ],
)
def test_better_words_and_a_new_revision_change_no_fingerprint(overlay, files):
    changed = load_catalogue(overlay(files))
    assert changed.definitions_fingerprint == OURS.definitions_fingerprint
    assert changed.policy_fingerprint == OURS.policy_fingerprint


def test_the_order_of_signals_counts_the_order_of_keys_does_not():
    definitions = OURS.definitions
    turned = definitions.model_copy(update={"signals": dict(reversed(definitions.signals.items()))})
    from features.catalogue.fingerprints import definitions_fingerprint

    assert definitions_fingerprint(turned) != OURS.definitions_fingerprint
    signal = definitions.signals["support_load"]
    other_keys = type(signal).model_validate(dict(reversed(signal.model_dump(mode="json").items())))
    same = definitions.model_copy(update={"signals": {**definitions.signals, "support_load": other_keys}})
    assert definitions_fingerprint(same) == OURS.definitions_fingerprint


def test_the_revision_is_that_of_the_playbook(overlay):
    assert load_catalogue(overlay({"playbook.toml": "revision = 7\n"})).revision == 7


def test_the_overlay_in_the_readme_loads(overlay):
    readme = (OURS_FOLDER / "README.md").read_text("utf-8")
    example, *_ = re.findall(r"```toml\n# overlay/playbook.toml\n(.*?)```", readme, flags=re.DOTALL)
    signals = load_catalogue(overlay({"playbook.toml": example})).policy.signals
    assert signals["days_since_last_use"].edges == Edges(healthy=31, unhealthy=62)
    assert signals["licence_utilisation"].overrides[0].stages == ("onboarding",)
