"""A company's own tables: what may be said in `tables.toml`, and what a signal over one needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import features.catalogue
from features.catalogue import Catalogue, load_catalogue
from features.catalogue.document import document
from features.catalogue.listing import listing_of
from features.errors import CatalogueError
from tests.features.catalogue.conftest import WriteOverlay

README = (Path(next(iter(features.catalogue.__path__))) / "README.md").read_text("utf-8")
SECTION = README.split("## A company's own tables")[1].split("\n## ")[0]
FILES = dict(re.findall(r"```toml\n# ([\w/.]+)\n(.*?)```", SECTION, flags=re.DOTALL))
OVERLAY = {name.removeprefix("overlay/"): text for name, text in FILES.items() if name != "sources.toml"}
TABLE = OVERLAY["tables.toml"]
ACCOUNT = 'account_id = { type = "text", required = true }'


def loaded(folder: Path) -> Catalogue:
    return load_catalogue(folder)


def refused(folder: Path) -> str:
    with pytest.raises(CatalogueError) as error:
        load_catalogue(folder)
    return str(error.value)


def test_the_readmes_overlay_adds_a_table_and_a_signal_over_it(overlay: WriteOverlay) -> None:
    catalogue = loaded(overlay(OVERLAY))
    table = catalogue.definitions.contracts["trainings"]
    assert (table.kind, table.occurred, table.key) == ("event", "held_at", ("training_id",))
    assert list(catalogue.definitions.contracts)[-1] == "trainings"
    assert "training_hours" in catalogue.definitions.signals


def test_an_own_table_is_part_of_the_definitions(overlay: WriteOverlay) -> None:
    without = {name: text for name, text in OVERLAY.items() if name == "tables.toml"}
    ours = load_catalogue().definitions_fingerprint
    assert loaded(overlay(without)).definitions_fingerprint != ours


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ("at_least = 0", "at_least = 1", True),
        ('key = ["training_id"]', 'key = ["training_id", "held_at"]', True),
        ("Trainings that we held", "Lessons that we gave", False),
    ],
)
def test_what_a_table_is_about_changes_no_fingerprint_and_all_else_does(
    overlay: WriteOverlay, before: str, after: str, counts: bool
) -> None:
    first = loaded(overlay(OVERLAY)).definitions_fingerprint
    assert before in TABLE
    second = loaded(overlay({"tables.toml": TABLE.replace(before, after)})).definitions_fingerprint
    assert (first != second) is counts


def test_an_overlay_without_tables_of_its_own_leaves_our_fingerprint(overlay: WriteOverlay) -> None:
    assert loaded(overlay({"tables.toml": ""})).definitions_fingerprint == load_catalogue().definitions_fingerprint


def test_an_own_table_needs_no_words_and_may_have_some(overlay: WriteOverlay) -> None:
    folder = overlay(OVERLAY)
    assert loaded(folder).wording["en"].table("booked_addons") == "booked addons"
    words = '[tables]\ntrainings = "trainings on site"\n' + OVERLAY["wording/en.toml"]
    spoken = loaded(overlay({"wording/en.toml": words})).wording
    assert (spoken["en"].table("trainings"), spoken["zh"].table("trainings")) == ("trainings on site",) * 2


def test_a_signal_over_an_own_table_needs_words_like_any_other(overlay: WriteOverlay) -> None:
    message = refused(overlay({name: text for name, text in OVERLAY.items() if name != "wording/en.toml"}))
    assert 'no words for "training_hours" in [signals]' in message


def test_the_page_describes_own_tables(overlay: WriteOverlay) -> None:
    catalogue = loaded(overlay(OVERLAY))
    page = document(listing_of(catalogue), revision=1, definitions="d", policy="p")
    assert "## Tables of the company's own" in page
    assert "- `trainings` (events, when: `held_at`): Trainings that we held for the customer." in page
    assert "`hours` (number, at least 0)" in page
    assert "### hours of training (`training_hours`)" in page


def test_without_own_tables_the_page_says_nothing_of_them() -> None:
    page = document(listing_of(load_catalogue()), revision=1, definitions="d", policy="p")
    assert "of the company's own" not in page


# A table that is wrong in one way, and what is said of it.
STATE = f"""[addons]
kind = "state"
known = ["since"]
key = ["addon_id"]
about = "What is booked."
[addons.columns]
addon_id = {{ type = "text" }}
{ACCOUNT}
since = {{ type = "date" }}
seats = {{ type = "integer" }}
"""
MISTAKES = {
    "an unknown key": (
        TABLE.replace("occurred =", "ocurred ="),
        'table "trainings": unknown key "ocurred". Did you mean "occurred"?',
    ),
    "an unknown kind": (
        TABLE.replace('"event"', '"events"'),
        '"events" is not allowed. Did you mean "event"? Allowed: event, state.',
    ),
    "an unknown type": (
        TABLE.replace('type = "number"', 'type = "nummer"'),
        'table "trainings", columns.hours.type: "nummer" is not allowed. Did you mean "number"?',
    ),
    "no key": (TABLE.replace('key = ["training_id"]\n', ""), 'table "trainings": missing key "key".'),
    "an empty key": (
        TABLE.replace('["training_id"]', "[]"),
        'table "trainings", key: names the columns that identify a row',
    ),
    "a key that is no column": (
        TABLE.replace('["training_id"]', '["trainig_id"]'),
        'key: unknown column "trainig_id". Did you mean "training_id"? Allowed:',
    ),
    "a name in capitals": (TABLE.replace("hours =", "Hours ="), '"Hours" is no name here: lower-case letters'),
    "no account": (
        TABLE.replace(ACCOUNT, ""),
        f'table "trainings": every row belongs to an account: give columns.{ACCOUNT}.',
    ),
    "an account that may be empty": (
        TABLE.replace(ACCOUNT, 'account_id = { type = "text" }'),
        "every row belongs to an account",
    ),
    "an event that never happens": (
        TABLE.replace('occurred = "held_at" ', " "),
        'missing key "occurred": the column that says when',
    ),
    "an event that happens by a number": (
        TABLE.replace('occurred = "held_at"', 'occurred = "hours"'),
        'occurred: unknown column "hours". Allowed: held_at. It is of type time; dates may be delivered for it.',
    ),
    "an event that need not happen": (
        TABLE.replace('"time", required = true', '"time"'),
        "columns.held_at: says when the event happened: give required = true.",
    ),
    "an end that is the beginning": (
        TABLE.replace("occurred =", 'ended = "held_at"\noccurred ='),
        'table "trainings", ended: unknown column "held_at". Nothing is allowed here.',
    ),
    "an event that is known": (
        TABLE.replace("occurred =", 'known = ["held_at"]\noccurred ='),
        'known: is for kind = "state"',
    ),
    "a state that happens": (
        STATE.replace("known =", 'occurred = "since"\nknown ='),
        'table "addons", occurred: is for kind = "event"',
    ),
    "a state that nobody dates": (
        STATE.replace('known = ["since"]\n', ""),
        'table "addons": missing key "known": the dates that tell when a row became known. Allowed: since.',
    ),
    "a state dated by a number": (
        STATE.replace('known = ["since"]', 'known = ["seats"]'),
        'known: unknown column "seats". Allowed: since.',
    ),
    "one of our tables": (
        TABLE.replace("trainings", "tickets"),
        'table "tickets": "tickets" is one of our tables, whose contract stands. Choose another name.',
    ),
    "a column that we use": (
        TABLE.replace("hours", "row_key"),
        (
            "columns.row_key: Keepsight uses this name itself. Choose another one; "
            'in sources.toml, columns = { my_row_key = "row_key" }.'
        ),
    ),
    "a column that every table may carry": (
        TABLE.replace("hours =", "recorded_at ="),
        "columns.recorded_at: every table may carry it: leave it out.",
    ),
    "for labels": (
        TABLE.replace("occurred =", "labels_only = true\noccurred ="),
        "labels_only: is for our own tables alone.",
    ),
    "values of a number": (
        TABLE.replace("at_least = 0", 'one_of = ["1"]'),
        "columns.hours: only text has one_of, this is number.",
    ),
    "edges of a text": (
        TABLE.replace('training_id = { type = "text"', 'training_id = { type = "text", at_least = 1'),
        "columns.training_id: only numbers have at_least and at_most, this is text.",
    ),
    "a default that is not allowed": (
        TABLE.replace("at_least = 0", "at_least = 0, default = -1"),
        "columns.hours: default = -1.0 is no value that is allowed.",
    ),
    "half a default": (
        STATE.replace('"integer"', '"integer", default = 0.5'),
        "columns.seats: default = 0.5 is no value that is allowed.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_table_is_named_with_its_place_and_remedy(mistake: str, overlay: WriteOverlay) -> None:
    text, said = MISTAKES[mistake]
    folder = overlay({"tables.toml": text})
    message = refused(folder)
    assert said in message
    assert f"{folder / 'tables.toml'}, table " in message


def test_all_that_is_wrong_with_a_table_is_said_at_once(overlay: WriteOverlay) -> None:
    text = TABLE.replace(ACCOUNT, "").replace('["training_id"]', '["id"]').replace("hours", "row_key")
    assert refused(overlay({"tables.toml": text})).count("\n") == 2


SIGNAL = OVERLAY["signals.toml"]
MEASURE = SIGNAL[SIGNAL.index("measure.kind") :]
WRONG_MEASURES = {
    "a table that is nowhere": (
        'kind = "recency"\nrows = { table = "traininges" }',
        'unknown table "traininges". Did you mean "trainings"?',
    ),
    "a column that is nowhere": (
        'kind = "aggregate"\naggregate = { table = "trainings", of = "sum", columns = ["hour"], window_days = 9 }',
        'unknown column of "trainings" "hour". Did you mean "hours"?',
    ),
    "an end that never comes": (
        'kind = "open_at"\nrows = { table = "trainings" }',
        'rows of "trainings" never end.',
    ),
    "when a state happened last": (
        'kind = "recency"\nrows = { table = "addons" }',
        'rows of "addons" have no day on which they happen: the measure asks when.',
    ),
    "a window of a state": (
        'kind = "aggregate"\naggregate = { table = "addons", window_days = 9 }',
        'rows of "addons" have no day on which they happen: no window.',
    ),
    "the days of a state": (
        'kind = "aggregate"\naggregate = { table = "addons", of = "distinct", columns = ["day"] }',
        'rows of "addons" have no day on which they happen: no window.',
    ),
    "the trend of a state": (
        (
            'kind = "trend"\nof = { table = "addons" }\nfallback = { table = "addons" }\n'
            "recent_days = 9\nbaseline_days = 9\nminimum_baseline_days = 9"
        ),
        "the measure asks when.",
    ),
    "the blocks of a state": (
        (
            'kind = "blocks"\ntable = "addons"\nmore = { seats = [1] }\nthan = { seats = [2] }\n'
            "blocks = 3\nblock_days = 9"
        ),
        'rows of "addons" have no day on which they happen: no blocks of days.',
    ),
    "people where nobody is named": (
        (
            'kind = "utilisation"\nheld_days = 9\n'
            'people = { table = "trainings", of = "distinct", columns = ["training_id"], window_days = 9 }'
        ),
        'unknown column of "trainings" "user_id".',
    ),
    "a range of days": (
        (
            'kind = "aggregate"\n'
            'aggregate = { table = "trainings", any_of = [{ held_at = { at_least = 3 } }], window_days = 9 }'
        ),
        '"trainings.held_at" is time: list its values.',
    ),
}


@pytest.mark.parametrize("wrong", WRONG_MEASURES)
def test_a_measure_that_its_table_cannot_give_is_refused(wrong: str, overlay: WriteOverlay) -> None:
    measure, said = WRONG_MEASURES[wrong]
    text = SIGNAL.replace(MEASURE, f"[signals.training_hours.measure]\n{measure}\n")
    assert said in refused(overlay({**OVERLAY, "tables.toml": TABLE + STATE, "signals.toml": text}))
