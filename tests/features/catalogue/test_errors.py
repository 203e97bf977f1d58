"""A mistake in a company's catalogue: what, where, and what would be right."""

import re

import pytest

from features.catalogue import load_catalogue
from features.catalogue.files import FILES, our_file
from features.catalogue.schema import Context, ContextKind
from features.errors import CatalogueError

GONE = 'condition = { when = "no_rows", aggregate = { table = "visits" } }'
LOST = 'condition = { when = "contact_lost", change = "some", roles = ["sponser"], window_days = 9 }'
A_RATE = """code = 1
means = "more"
condition.when = "above_own_rate"
condition.aggregate.table = "visits"
condition.baseline_days = 180
condition.minimum_baseline_days = 30"""
A_SIGNAL = """area = "usage"
unit = "days"
direction = "higher_is_worse"
timing = "leading"
source = "us"
measure = { kind = "recency", rows = { table = "usage" } }"""
A_READING = """weight = 1
counts = { not_so_healthy = 1 }
play = "monthly_review"
opens = "teach"
"""
CHAMPION = "[signals.champion_change.measure]\n"
USAGE = "[signals.usage_trend]\n"

# What is written in which file, and what the message says.
MISTAKES = {
    "an unknown key": (
        "signals.toml",
        '[signals.days_since_last_use]\nsorce = "us"',
        'signals.toml, signal "days_since_last_use": unknown key "sorce". Did you mean "source"? Allowed: ',
    ),
    "an unknown key deep in a measure": (
        "signals.toml",
        "[signals.support_load.measure.per]\nwindow_day = 30",
        'signal "support_load", measure.per: unknown key "window_day". Did you mean "window_days"?',
    ),
    "an unknown key where a key is called like its kind": (
        "signals.toml",
        "[signals.exit_page_views.measure]\nminimum_row = 3",
        'signal "exit_page_views", measure: unknown key "minimum_row". Did you mean "minimum_rows"?',
    ),
    "an unknown key in an aggregate of an aggregate": (
        "signals.toml",
        "[signals.exit_page_views.measure.aggregate]\nwindow = 3",
        'signal "exit_page_views", measure.aggregate: unknown key "window". Did you mean "window_days"?',
    ),
    "an unknown key in an optional table": (
        "playbook.toml",
        "[signals.support_load.low]\nplays = 1",
        'playbook.toml, signal "support_load", low: unknown key "plays". Did you mean "play"?',
    ),
    "an unknown kind of measure": (
        "signals.toml",
        '[signals.usage_trend.measure]\nkind = "trendy"',
        'signal "usage_trend", measure: unknown kind "trendy". Did you mean "trend"? Allowed: aggregate, blocks,',
    ),
    "a measure without a kind": (
        "context.toml",
        '[spread]\nkind = "number"\nmeasure = { column = "feature" }',
        'context.toml, context "spread", measure: missing key "kind". Allowed: aggregate, blocks,',
    ),
    "an unknown kind of condition": (
        "signals.toml",
        (
            "[signals.community_absence.measure]\n"
            'codes = [{ code = 1, means = "gone", condition = { when = "no_row" } }]'
        ),
        'measure.codes entry 1.condition: unknown when "no_row". Did you mean "no_rows"?',
    ),
    "a number in quotes": (
        "playbook.toml",
        '[signals.usage_trend]\nweight = "2"',
        'playbook.toml, signal "usage_trend", weight: must be a number.',
    ),
    "a part of a day": (
        "factors.toml",
        "[partnership]\nstale_after_days = 90.5",
        'factors.toml, factor "partnership", stale_after_days: must be a whole number.',
    ),
    "text where a list is needed": (
        "signals.toml",
        '[signals.community_silence.evidence]\ntable = "community"\nany_of = [{ kind = "post" }]',
        'signal "community_silence", evidence.any_of entry 1.kind: must be a list in square brackets.',
    ),
    "a filter on half a number": (
        "signals.toml",
        '[signals.community_silence.evidence]\ntable = "community"\nany_of = [{ kind = [0.5] }]',
        "any_of entry 1.kind entry 1: must be text in quotes or true or false or a whole number.",
    ),
    "a range with a mistyped edge": (
        "signals.toml",
        '[signals.nps_change.evidence]\ntable = "surveys"\nany_of = [{ nps = { at_mos = 6 } }]',
        'evidence.any_of entry 1.nps: unknown key "at_mos". Did you mean "at_most"?',
    ),
    "a number that is not finite": (
        "playbook.toml",
        "[signals.usage_trend.edges]\nhealthy = nan",
        'signal "usage_trend", edges.healthy: must be a finite number.',
    ),
    "a table where an entry is a number": (
        "playbook.toml",
        "[plays]\nmonthly_review = 14",
        'playbook.toml, play "monthly_review": must be a table of entries.',
    ),
    "a missing key": (
        "playbook.toml",
        "[plays.call]\ndue_days = 3",
        'playbook.toml, play "call": missing key "owner_role".',
    ),
    "a role that nobody has": (
        "playbook.toml",
        '[plays.monthly_review]\nowner_role = "csm_leads"',
        'play "monthly_review", owner_role: "csm_leads" is not allowed. Did you mean "csm_lead"? Allowed: csm, ',
    ),
    "an unknown direction": (
        "signals.toml",
        f'{USAGE}direction = "down"',
        'signal "usage_trend", direction: "down" is not allowed. ',
    ),
    "a band that does not exist": (
        "playbook.toml",
        '[segments.healthyy]\nplay = "monthly_review"\ncadence_days = 1',
        'unknown key "healthyy". Did you mean "healthy"?',
    ),
    "a name in capitals": (
        "factors.toml",
        "[Trust]\nstale_after_days = 1",
        '"Trust" is no name here: lower-case letters, digits and underscores',
    ),
    "a window of no days": (
        "signals.toml",
        "[signals.nps_score.measure]\nwindow_days = 0",
        'signal "nps_score", measure.window_days: input should be greater than or equal to 1.',
    ),
    "a context column from nowhere": (
        "context.toml",
        '[size]\nkind = "number"',
        'context.toml, context "size": give exactly one of of and measure.',
    ),
    "columns that an aggregate cannot take": (
        "signals.toml",
        '[signals.support_satisfaction.measure.aggregate]\ncolumns = ["satisfaction", "priority"]',
        'measure.aggregate: of = "mean" takes one column, got 2.',
    ),
    "a rate compared with nothing": (
        "signals.toml",
        f"[[signals.export_requests.measure.codes]]\n{A_RATE}",
        "the aggregate has window_days",
    ),
    "a bonus for what is open, of rows that are counted": (
        "signals.toml",
        "[signals.contract_requests.measure]\nbonuses = [{ points = 1, open_longer_than_days = 14 }]",
        'open_longer_than_days is a bonus of kind = "open_at" alone',
    ),
    "a bonus for some rows, of rows that are open": (
        "signals.toml",
        '[signals.open_complaints.measure]\nbonuses = [{ points = 1, filter = { kind = ["complaint"] } }]',
        'a bonus of kind = "open_at" is open_longer_than_days',
    ),
    "broken TOML": ("signals.toml", "[signals.usage_trend\nweight = 1", "signals.toml: broken TOML: "),
    "a file of another name": (
        "signal.toml",
        "",
        'signal.toml: not a file of the catalogue. Did you mean "signals.toml"?',
    ),
    "a language that we do not speak": (
        "wording/fr.toml",
        "",
        'not a file of the catalogue. Did you mean "wording/',
    ),
    "factors in the signals' file": (
        "signals.toml",
        "[factors.trust]\nweight = 1",
        '"factors" has a file of its own, factors.toml.',
    ),
    # --- references ---
    "a factor that does not exist": (
        "signals.toml",
        f'{USAGE}indicates = ["product_fits"]',
        'signal "usage_trend", indicates: unknown factor "product_fits". Did you mean "product_fit"?',
    ),
    "a stage that does not exist": (
        "signals.toml",
        f'{USAGE}applies = {{ stages = ["matur"] }}',
        'signal "usage_trend", applies.stages: unknown stage "matur". Did you mean "mature"?',
    ),
    "a condition on a signal that does not exist": (
        "signals.toml",
        f'{USAGE}applies = {{ unless = {{ signal = "breadth", at_least = 1 }} }}',
        'signal "usage_trend", applies.unless.signal: unknown signal "breadth".',
    ),
    "a signal that depends on itself": (
        "signals.toml",
        f'{USAGE}applies = {{ unless = {{ signal = "usage_trend", at_least = 1 }} }}',
        "a signal cannot depend on itself.",
    ),
    "a table that does not exist": (
        "signals.toml",
        '[signals.nps_score.measure]\nrows = { table = "survey" }',
        'signal "nps_score", measure.rows: unknown table "survey". Did you mean "surveys"?',
    ),
    "a table that tells the outcome": (
        "signals.toml",
        '[signals.nps_score]\nevidence = { table = "outcomes" }',
        'table "outcomes" is read by labels only: it tells what is to be predicted.',
    ),
    "a column that does not exist": (
        "signals.toml",
        '[signals.nps_score.measure]\ncolumn = "score"',
        'signal "nps_score", measure.column: unknown column of "surveys" "score".',
    ),
    "a column of text that is to be added up": (
        "signals.toml",
        '[signals.support_satisfaction.measure.aggregate]\ncolumns = ["priority"]',
        '"tickets.priority" is text, a number is needed.',
    ),
    "a value that the column never has": (
        "signals.toml",
        '[signals.exit_page_views.measure.aggregate]\nany_of = [{ page = ["cancle"] }]',
        'any_of entry 1.page: unknown value "cancle". Did you mean "cancel"?',
    ),
    "yes where a text is needed": (
        "signals.toml",
        "[signals.exit_page_views.measure.aggregate]\nany_of = [{ page = [true] }]",
        '"visits.page" is text, never true.',
    ),
    "a range of texts": (
        "signals.toml",
        "[signals.exit_page_views.measure.aggregate]\nany_of = [{ page = { at_least = 1 } }]",
        '"visits.page" is text: list its values.',
    ),
    "an end of rows that never end": (
        "signals.toml",
        '[signals.open_escalations.measure]\nrows = { table = "visits", any_of = [] }',
        'rows of "visits" never end. ',
    ),
    "a window over a table of states": (
        "signals.toml",
        (
            "[signals.licence_utilisation.measure]\n"
            'people = { table = "contacts", columns = ["contact_id"], any_of = [] }'
        ),
        'rows of "contacts" have no day on which they happen: no window.',
    ),
    "a bonus on a column that does not exist": (
        "signals.toml",
        '[signals.contract_requests.measure]\nbonuses = [{ points = 1, filter = { kinds = ["cancel"] } }]',
        'measure.bonuses entry 1.filter.kinds: unknown column of "requests" "kinds". Did you mean "kind"?',
    ),
    "a contact's role that does not exist": (
        "signals.toml",
        CHAMPION + f'codes = [{{ code = 1, means = "x", {LOST} }}, {{ code = 2, means = "y", {GONE} }}]',
        'unknown role "sponser". Did you mean "sponsor"?',
    ),
    "codes that fall": (
        "signals.toml",
        CHAMPION + f'codes = [{{ code = 2, means = "x", {GONE} }}, {{ code = 1, means = "y", {GONE} }}]',
        "codes rise from entry to entry, each given once.",
    ),
    "a two-sided signal without a comfortable range": (
        "signals.toml",
        f'{USAGE}direction = "two_sided"',
        'signal "usage_trend", measure: a two-sided signal is a "ratio" with a comfortable range.',
    ),
    "half a comfortable range": (
        "signals.toml",
        (
            '[signals.beginner_questions]\ndirection = "two_sided"\n'
            "[signals.beginner_questions.measure]\ncomfortable = { at_most = 1.0 }"
        ),
        "measure.comfortable: a comfortable range has both at_least and at_most.",
    ),
    "a comfortable range of a one-sided signal": (
        "signals.toml",
        "[signals.beginner_questions.measure]\ncomfortable = { at_least = 0.1, at_most = 1.0 }",
        'only a signal with direction = "two_sided" has a comfortable range or low side.',
    ),
    "a low side of a one-sided signal": (
        "playbook.toml",
        '[signals.usage_trend]\nlow = { healthy = 1, weight = 1, play = "monthly_review", opens = "teach" }',
        "only a two-sided signal has a low side.",
    ),
    "a context column derived from nothing known": (
        "context.toml",
        '[size]\nkind = "number"\nof = "licenses"',
        'context "size", of: unknown origin "licenses". Did you mean "licences"?',
    ),
    "a name taken twice": (
        "context.toml",
        '[usage_trend]\nkind = "number"\nof = "arr"',
        '"usage_trend" is taken already by a signal; ids are unique.',
    ),
    "a name that vectors keep for themselves": (
        "context.toml",
        '[coverage]\nkind = "number"\nof = "arr"',
        '"coverage" is taken already by a column of every vector',
    ),
    "a signal that nobody reads": (
        "signals.toml",
        f"[signals.quiet]\n{A_SIGNAL}",
        'signal "quiet": no entry [signals.quiet] in playbook.toml says how it is read.',
    ),
    "a reading of a signal that does not exist": (
        "playbook.toml",
        f"[signals.usage_tend]\n{A_READING}",
        'playbook.toml, signal "usage_tend": no such signal is defined. Did you mean "usage_trend"?',
    ),
    "a play that does not exist": (
        "playbook.toml",
        '[signals.usage_trend]\nplay = "find_out_what_change"',
        'signal "usage_trend", play: unknown play "find_out_what_change". Did you mean "find_out_what_changed"?',
    ),
    "edges the wrong way round": (
        "playbook.toml",
        "[signals.usage_trend.edges]\nhealthy = 0.5",
        'signal "usage_trend", edges: lower is worse: healthy must lie above unhealthy.',
    ),
    "edges and counts together": (
        "playbook.toml",
        "[signals.usage_trend]\nedges = { healthy = 1, unhealthy = 0 }\ncounts = { not_so_healthy = 1 }",
        'signal "usage_trend": give exactly one of edges and counts.',
    ),
    "another bar for a stage that does not exist": (
        "playbook.toml",
        '[[signals.usage_trend.overrides]]\nstages = ["old"]\nedges = { healthy = 1, unhealthy = 0 }',
        'signal "usage_trend", overrides entry 1.stages: unknown stage "old".',
    ),
    "another bar for nobody in particular": (
        "playbook.toml",
        "[[signals.usage_trend.overrides]]\nedges = { healthy = 1, unhealthy = 0 }",
        "overrides entry 1: say for which stages or context values it holds.",
    ),
    "another bar of another make": (
        "playbook.toml",
        '[[signals.nps_detractors.overrides]]\nstages = ["mature"]\nedges = { healthy = 0, unhealthy = 1 }',
        'this signal has "counts", so have its overrides.',
    ),
    "another bar by a context column that does not exist": (
        "playbook.toml",
        '[[signals.usage_trend.overrides]]\ncontext = { plans = ["x"] }\nedges = { healthy = 1, unhealthy = 0 }',
        'overrides entry 1.context: unknown context column "plans". Did you mean "plan"?',
    ),
    "another bar by a list of numbers": (
        "playbook.toml",
        '[[signals.usage_trend.overrides]]\ncontext = { arr = ["big"] }\nedges = { healthy = 1, unhealthy = 0 }',
        "a number is matched by at_least and at_most.",
    ),
    "levels that fall": (
        "playbook.toml",
        "[combination]\nwatch = 2.5",
        "combination: watch, at_risk and critical must rise in this order.",
    ),
    "an opportunity of something that does not exist": (
        "playbook.toml",
        '[opportunities.promoters]\nof = "nps_scores"',
        'opportunity "promoters", of: unknown signal, factor or context "nps_scores". Did you mean "nps_score"?',
    ),
    # --- wording ---
    "a field that a sentence does not have": (
        "wording/en.toml",
        '[signals.nps_score]\nunhealthy = "Only {valu}."',
        'wording/en.toml, signal "nps_score", unhealthy: unknown field "{valu}". Did you mean "value"?',
    ),
    "a number that the measure does not have": (
        "wording/en.toml",
        '[signals.usage_trend]\nhealthy = "In {window_days} days."',
        'signal "usage_trend", healthy: unknown field "{window_days}".',
    ),
    "a way into the program": (
        "wording/en.toml",
        '[signals.nps_score]\nunhealthy = "{name.__class__}"',
        'unknown field "{name.__class__}".',
    ),
    "a field that formats itself": (
        "wording/en.toml",
        '[signals.nps_score]\nunhealthy = "{value:>10}"',
        'write "{value}" alone: values come formatted.',
    ),
    "a brace that never closes": (
        "wording/zh.toml",
        '[plays]\nmonthly_review = "x"\n[details]\nno_model = "{"',
        "wording/zh.toml, details.no_model: broken template: ",
    ),
    "words for nothing": (
        "wording/en.toml",
        '[plays]\nmonthly_reviews = "Review."',
        'play "monthly_reviews": there is no such entry. Did you mean "monthly_review"?',
    ),
    "a code without a meaning": (
        "wording/en.toml",
        '[signals.champion_change]\ncodes = ["stays", "left"]',
        'signal "champion_change", codes: says what 3 codes mean, 0 to 2; got 2.',
    ),
    "an area without a name": (
        "signals.toml",
        f'{USAGE}area = "activity"',
        'no words for "activity" in [areas].',
    ),
    "a new play that nobody can read": (
        "playbook.toml",
        '[plays.call]\nowner_role = "csm"\ndue_days = 1',
        'no words for "call" in [plays].',
    ),
}


@pytest.mark.parametrize(("file", "content", "message"), list(MISTAKES.values()), ids=list(MISTAKES))
def test_a_mistake_is_named_with_its_place_and_remedy(overlay, file, content, message):
    folder = overlay({file: content + "\n"})
    with pytest.raises(CatalogueError, match=re.escape(message)) as caught:
        load_catalogue(folder)
    assert "pydantic" not in str(caught.value)
    assert "Input should be" not in str(caught.value)


def test_a_problem_in_an_overlay_names_the_overlays_file(overlay):
    folder = overlay({"playbook.toml": "[signals.usage_trend]\nweigth = 1\n"})
    with pytest.raises(CatalogueError, match=re.escape(f'{folder}/playbook.toml, signal "usage_trend": unknown')):
        load_catalogue(folder)


def test_all_problems_are_told_at_once(overlay):
    folder = overlay(
        {
            "playbook.toml": '[signals.usage_trend]\nweigth = 1\n[plays.call]\nowner_role = "csm"\n',
            "signals.toml": "[signals.nps_score]\nunits = 1\n",
        }
    )
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(folder)
    problems = str(caught.value).splitlines()
    assert len(problems) == 3
    assert all("overlay/" in problem for problem in problems)


def test_broken_toml_names_the_line(overlay):
    folder = overlay({"factors.toml": "[partnership]\nquestion = \n"})
    with pytest.raises(CatalogueError, match=r"factors\.toml: broken TOML: .*line 2"):
        load_catalogue(folder)


def test_a_file_that_is_not_utf_8_says_so(overlay):
    folder = overlay({"wording/en.toml": ""})
    (folder / "wording/en.toml").write_bytes('[plays]\nx = "é"\n'.encode("latin-1"))
    with pytest.raises(CatalogueError, match="not UTF-8 text: byte 13"):
        load_catalogue(folder)


def test_an_overlay_that_is_not_there_says_what_it_should_be(tmp_path):
    with pytest.raises(
        CatalogueError, match=r"nowhere: no such folder. An overlay is a folder with any of signals"
    ):
        load_catalogue(tmp_path / "nowhere")


def test_context_from_the_sources_cannot_take_a_signals_name():
    taken = {"usage_trend": Context(of="arr", kind=ContextKind.NUMBER)}
    with pytest.raises(CatalogueError, match='"usage_trend" is taken already by a signal'):
        load_catalogue(context=taken)


@pytest.mark.parametrize("value", ["3", "[1]", '"x"', "{ x = 1 }", "{ x = { y = { z = 1 } } }", "2024-01-01"])
@pytest.mark.parametrize("file", FILES)
def test_no_shape_of_any_table_ends_in_another_error(overlay, file, value):
    folder = overlay({file: "\n".join(f"{key} = {value}" for key in our_file(file))})
    with pytest.raises(CatalogueError, match=re.escape(file)):
        load_catalogue(folder)
