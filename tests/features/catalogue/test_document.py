"""The catalogue's page: an entry for everything, derived from the entries themselves."""

import pytest

from features.catalogue import load_catalogue
from features.catalogue.document import document
from features.catalogue.files import SIGNALS, our_file
from features.catalogue.listing import lines, listing_of, our_listing

CATALOGUE = load_catalogue()


def page_of(catalogue, language="en"):
    return document(
        listing_of(catalogue, language),
        revision=catalogue.revision,
        definitions=catalogue.definitions_fingerprint,
        policy=catalogue.policy_fingerprint,
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_has_an_entry_for_every_signal_and_factor(language):
    page = page_of(CATALOGUE, language)
    for line in lines(listing_of(CATALOGUE, language)):
        assert f"### {line.name} (`{line.id}`)" in page
        assert CATALOGUE.wording[language].play(line.play) in page


def test_the_page_names_context_plays_opportunities_levels_and_bands():
    page = page_of(CATALOGUE)
    for name in (*CATALOGUE.definitions.context, *CATALOGUE.policy.opportunities, "watch", "at_risk", "critical"):
        assert f"- `{name}`" in page
    for play in CATALOGUE.policy.plays:
        assert f"play `{play}`)" in page
    for band in ("healthy", "not_so_healthy", "unhealthy"):
        assert f"(`{band}`):" in page


def test_every_signal_says_how_it_is_detected_why_it_matters_and_what_to_do():
    page = page_of(CATALOGUE)
    for heading in ("How it is detected", "Why it matters", "Bands", "What to do"):
        assert page.count(f"**{heading}.**") >= len(CATALOGUE.definitions.signals)


def test_the_page_names_both_fingerprints_and_the_revision():
    page = page_of(CATALOGUE)
    assert (
        f"Revision 1, definitions `{CATALOGUE.definitions_fingerprint}`, policy `{CATALOGUE.policy_fingerprint}`"
        in page
    )


def test_a_changed_definition_changes_the_page(overlay):
    override = '[[signals.nps_score.overrides]]\nstages = ["mature"]\nedges = { healthy = 9, unhealthy = 7 }\n'
    folder = overlay(
        {"signals.toml": "[signals.nps_score.measure]\nwindow_days = 77\n", "playbook.toml": override}
    )
    page = page_of(load_catalogue(folder))
    assert "latest nps in rows of surveys in the last 77 days" in page
    assert "Stage mature: healthy ≥ 9, not so healthy ≥ 7, unhealthy < 7." in page


def test_a_loaded_catalogue_lists_as_its_files_do():
    for language in ("en", "zh"):
        assert list(lines(listing_of(CATALOGUE, language))) == list(lines(our_listing(language)))


def test_the_measure_of_every_signal_is_put_in_words_of_its_own():
    said = {line.measure for line in lines(our_listing()) if line.kind == "signal"}
    assert len(said) == len(our_file(SIGNALS)["signals"])
    assert not any("None" in words or "{" in words for words in said)
