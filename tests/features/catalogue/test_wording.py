"""What the catalogue says to people, in every language."""

import datetime as dt
import itertools
import re

import pytest

from features.catalogue import load_catalogue
from features.catalogue.files import WORDING, our_file
from features.readings import UnknownReason

CATALOGUE = load_catalogue()
ENGLISH, CHINESE = CATALOGUE.wording["en"], CATALOGUE.wording["zh"]
LANGUAGES = list(CATALOGUE.wording.values())
BANDS = ("healthy", "not_so_healthy", "unhealthy")
ITEMS = [*CATALOGUE.definitions.signals, *CATALOGUE.definitions.factors]


def by_language(wording):
    return wording.language


def values_of(table):
    return [sentence for entry in table.values() for sentence in entry.model_dump().values() if sentence]


@pytest.mark.parametrize("wording", LANGUAGES, ids=by_language)
@pytest.mark.parametrize(("item", "band"), list(itertools.product(ITEMS, BANDS)))
def test_every_sign_renders_without_a_field_left_open(wording, item, band):
    sentence = wording.sign(item, band, 2, 1)
    assert "{" not in sentence
    assert "  " not in sentence
    assert sentence.endswith((".", "。"))


@pytest.mark.parametrize("wording", LANGUAGES, ids=by_language)
@pytest.mark.parametrize("item", ITEMS)
def test_every_sign_says_what_it_often_goes_with_and_a_healthy_reading_does_not(wording, item):
    words = wording.texts.signals.get(item) or wording.texts.factors[item]
    assert words.because
    because = words.because.format(**wording.entries[item].numbers)
    assert because in wording.sign(item, "unhealthy", 2, 1)
    assert because not in wording.sign(item, "healthy", 2, 1)


def test_no_sentence_claims_a_cause():
    for wording in LANGUAGES:
        for sentence in values_of(wording.texts.signals) + values_of(wording.texts.factors):
            assert not re.search(r"\bcause|because of|due to|导致|因为|引起", str(sentence)), sentence


def test_both_languages_say_the_same_things_on_their_own():
    english, chinese = (our_file(file) for file in WORDING.values())
    assert english.keys() == chinese.keys()
    for table in english:
        if isinstance(english[table], dict):
            assert english[table].keys() == chinese[table].keys(), table


def test_the_chinese_wording_is_chinese_throughout():
    ours = our_file("wording/zh.toml")
    sentences = list(ours["plays"].values())
    for entry in (*ours["signals"].values(), *ours["factors"].values()):
        sentences += [*entry.get("codes", ()), *(entry[key] for key in entry if key not in ("codes", "unit"))]
    assert len(sentences) > 150
    for sentence in sentences:
        assert sentence == "{value}。" or re.search(r"[\u4e00-\u9fff]{2}", sentence), sentence


@pytest.mark.parametrize("wording", LANGUAGES, ids=by_language)
def test_every_unit_of_a_definition_can_be_said(wording):
    units = {signal.unit for signal in CATALOGUE.definitions.signals.values()}
    units |= {context.unit for context in CATALOGUE.definitions.context.values()}
    assert units <= set(wording.texts.units)


@pytest.mark.parametrize(
    ("item", "value", "english", "chinese"),
    [
        ("licence_utilisation", 0.255, "25.5%", "25.5%"),
        ("licence_change", -0.2, "−20%", "−20%"),
        ("licence_change", 0.1, "+10%", "+10%"),
        ("days_since_last_use", 1, "1 day", "1 天"),
        ("days_since_last_use", 1234, "1,234 days", "1,234 天"),
        ("open_escalations", 1, "1 ticket", "1 张工单"),
        ("open_escalations", 2, "2 tickets", "2 张工单"),
        ("support_satisfaction", 3.456, "3.46 of 5", "3.46/5"),
        ("slow_resolution", 2.5, "2.5 times as long", "2.5 倍"),
        ("leadership_change", 0, "no change at the top", "高层没有变动"),
        ("partnership", 2, "2 of 5", "2/5"),
        ("arr", 120000, "120,000 a year", "每年 120,000"),
        ("tenure_days", 400, "400 days", "400 天"),
    ],
)
def test_a_value_is_said_in_its_unit(item, value, english, chinese):
    assert ENGLISH.value(item, value) == english
    assert CHINESE.value(item, value) == chinese


def test_a_value_close_to_its_threshold_never_reads_as_the_threshold():
    sentence = ENGLISH.sign("licence_utilisation", "not_so_healthy", 0.59997, 0.6)
    assert sentence.startswith("59.997% of the licences were in use in the last 30 days (less than 60% is")


def test_a_unit_of_the_companys_own_is_written_after_the_number():
    assert ENGLISH.number(3, "invoices") == "3 invoices"


def test_the_windows_in_a_sentence_are_those_of_the_definition(overlay):
    changed = load_catalogue(overlay({"signals.toml": "[signals.usage_trend.measure]\nrecent_days = 14\n"}))
    said = changed.wording["en"].sign("usage_trend", "unhealthy", 0.5, 0.7)
    assert said.startswith("Usage over the last 14 days fell to 50% of the 90 days before (less than 70% is")


def test_too_few_tickets_have_a_sentence_of_their_own_that_only_suggests():
    said = ENGLISH.sign("support_load", "not_so_healthy", 0.1, 0.3, low_side=True)
    assert said.startswith("They sent only 0.1 tickets per 10 active people in 90 days and asked nothing in the")
    assert said.endswith("This may suggest that they have not invested in the product.")


def test_a_detail_follows_what_was_seen():
    detail = ENGLISH.detail("commonest_category", category=ENGLISH.texts.categories["bug"])
    said = ENGLISH.sign("support_load", "unhealthy", 8, 6, detail=detail)
    assert ") . " not in said
    assert "(more than 6 tickets per 10 active people is unhealthy). Most are about bugs. This often" in said


def test_a_detail_may_have_its_place_in_the_sentence(overlay):
    folder = overlay({"wording/en.toml": '[signals.nps_score]\nunhealthy = "{detail} So: {value}."\n'})
    said = load_catalogue(folder).wording["en"].sign("nps_score", "unhealthy", 4, 6.5, detail="Three answers.")
    assert said.startswith("Three answers. So: 4 of 10. ")


@pytest.mark.parametrize("wording", LANGUAGES, ids=by_language)
@pytest.mark.parametrize("reason", list(UnknownReason))
def test_every_reason_for_not_knowing_says_what_would_settle_it(wording, reason):
    said = wording.unknown("usage_trend", reason)
    assert wording.name("usage_trend").lower() in said.lower()
    assert said.endswith(wording.texts.unknown[reason].settles.format(table=wording.table("usage"), name=""))


def test_an_unconnected_table_is_named():
    said = ENGLISH.unknown("champion_change", UnknownReason.NOT_CONNECTED)
    assert said.startswith("Change of champion: the table “contacts” is not connected, or lacks a column")
    assert "sources.toml" in said


def test_signs_together_are_counted_in_words():
    signs = ["usage_trend", "nps_score", "champion_change"]
    assert ENGLISH.combination("at_risk", signs, ["usage", "nps", "organisation"]) == (
        "Three signs together: usage trend, NPS and change of champion. Together they can mean that the "
        "relationship is at risk."
    )
    assert CHINESE.combination("at_risk", signs, []).startswith(
        "三个迹象同时出现：使用趋势、净推荐值和支持者变动。"
    )


@pytest.mark.parametrize("wording", LANGUAGES, ids=by_language)
@pytest.mark.parametrize("kind", [*BANDS, "withheld", "under_notice"])
def test_every_headline_names_the_account(wording, kind):
    said = wording.headline(kind, account="Acme", probability=0.234, base=0.026, days=90, coverage=0.2, signs=1)
    assert "Acme" in said
    assert "{" not in said
    if kind in BANDS:
        assert "23.4%" in said


def test_a_headline_is_plain():
    assert (
        ENGLISH.headline("unhealthy", account="Acme", probability=0.234, base=0.026, days=90, coverage=1, signs=3)
        == "Acme needs help now, with three signs: 23.4% chance of leaving within 90 days (usual: 2.6%)."
    )


@pytest.mark.parametrize("wording", LANGUAGES, ids=by_language)
def test_everything_else_renders(wording):
    for name, entry in CATALOGUE.policy.opportunities.items():
        assert "{" not in wording.opportunity(name, entry.of, 0.95)
    for kind in ("teach", "fix_product", "show_value"):
        assert wording.name("usage_trend") in wording.opens(kind, ["usage_trend", "nps_score"])
    for kind in ("agree", "model_higher", "scorecard_higher"):
        assert "31%" in wording.agreement(kind, model=0.31, scorecard=0.1)
    for play in CATALOGUE.policy.plays.values():
        assert wording.role(play.owner_role)
    for area in (*CATALOGUE.areas, "context"):
        assert wording.area(area)
    assert wording.detail("stale", age=wording.number(200, "days"))
    assert wording.detail("notice_deadline", date=wording.date(dt.date(2025, 6, 1)))
    assert wording.detail("budget_season", month=wording.month(4))
    assert wording.detail("read_posts_first")


def test_dates_and_months_are_written_as_people_write_them():
    assert (ENGLISH.date(dt.date(2025, 6, 1)), ENGLISH.month(4)) == ("1 June 2025", "April")
    assert (CHINESE.date(dt.date(2025, 6, 1)), CHINESE.month(4)) == ("2025年6月1日", "四月")


def test_the_playbook_says_what_a_csm_needs_to_hear():
    play = ENGLISH.play
    assert "read their community posts first" in play("talk_to_the_respondent")
    assert "budget season is near, show value first" in play("educate_and_train")
    assert play("ask_why_first").startswith("Ask why before anything else")
    assert "notice deadline" in play("ask_why_first")
