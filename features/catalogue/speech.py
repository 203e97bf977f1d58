"""Load the wording of every language: complete, and with no field that an entry does not have.

A signal, play or opportunity that a company adds needs words in one language only: where another language has
none, it borrows them.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from features.catalogue.files import LANGUAGES, WORDING, Files, Raw
from features.catalogue.problems import Problems, parse
from features.catalogue.schema import (
    STAGES,
    CodedMeasure,
    Definitions,
    Measure,
    Policy,
    Rows,
    Signal,
)
from features.catalogue.switching import without
from features.catalogue.wording import Entry, Texts, Wording
from features.errors import near_miss
from features.readings import UnknownReason

_BORROWED = ("signals", "factors", "context", "areas", "plays", "opportunities", "units", "tables")
_SIGNAL_FIELDS = ("name", "value", "threshold", "unit", "detail")
_FACTOR_FIELDS = ("name", "value", "threshold", "unit", "detail")
_HEADLINE_FIELDS = ("account", "probability", "base", "days", "coverage", "signs")
_DETAIL_FIELDS = {
    "commonest_category": ("category",),
    "budget_season": ("month",),
    "notice_deadline": ("date",),
    "stale": ("age",),
    "few_churned": ("accounts", "weight"),
    "little_known": ("weight",),
}


def load_wording(
    files: Files, definitions: Definitions, policy: Policy, off: Sequence[str], problems: Problems
) -> Mapping[str, Wording]:
    """Return the wording by language; what is missing or says too much is noted in `problems`."""
    entries = {name: _entry(signal) for name, signal in definitions.signals.items()}
    entries |= {name: Entry("points of 5", "assessments", {}) for name in definitions.factors}
    entries |= {name: Entry(context.unit, "accounts", {}) for name, context in definitions.context.items()}
    spoken = {}
    for language in LANGUAGES:
        file = WORDING[language]
        where = functools.partial(files.where, file)
        texts = parse(Texts, _with_borrowed(files, language), where, problems)
        if texts is None:
            continue
        texts = texts.model_copy(
            update={"signals": without(texts.signals, off), "factors": without(texts.factors, off)}
        )
        texts = _without_gone_opportunities(texts, files, policy)
        _complete(texts, definitions, policy, where, problems)
        for keys, template, fields in _templates(texts, definitions, entries):
            for problem in _template_problems(template, fields):
                problems.add(f"{where(keys)}: {problem}")
        spoken[language] = Wording(language, texts, entries)
    return spoken


def _with_borrowed(files: Files, language: str) -> Raw:
    """Return a language's file, with what it lacks and another has."""
    raw = dict(files.tables[WORDING[language]])
    for other in LANGUAGES:
        for table in _BORROWED:
            own, lent = raw.get(table, {}), files.tables[WORDING[other]].get(table, {})
            if isinstance(own, dict) and isinstance(lent, dict):
                raw[table] = {**own, **{name: entry for name, entry in lent.items() if name not in own}}
    return raw


def _without_gone_opportunities(texts: Texts, files: Files, policy: Policy) -> Texts:
    """Drop the words of opportunities that went with what is switched off."""
    written = files.tables["playbook.toml"].get("opportunities", {})
    gone = [name for name in written if name not in policy.opportunities]
    return texts.model_copy(update={"opportunities": without(texts.opportunities, gone)})


# --- completeness -----------------------------------------------------------------------------------------------


def _complete(texts: Texts, definitions: Definitions, policy: Policy, where: Any, problems: Problems) -> None:
    needed: dict[str, tuple[Collection[str], bool]] = {  # what needs words, and whether only that may have them
        "signals": (definitions.signals, True),
        "factors": (definitions.factors, True),
        "plays": (policy.plays, True),
        "opportunities": (policy.opportunities, True),
        "areas": (definitions.areas, False),
        "stages": (STAGES, True),
        "bands": (("healthy", "not_so_healthy", "unhealthy"), True),
        "levels": (("watch", "at_risk", "critical"), True),
        "roles": ({play.owner_role for play in policy.plays.values()}, False),
        "unknown": (list(UnknownReason), True),
    }
    for table, (names, only) in needed.items():
        said = getattr(texts, table)
        for name in names:
            if name not in said:
                problems.add(f'{where([])}: no words for "{name}" in [{table}].')
        for name in said if only else ():
            if name not in names:
                problems.add(f"{where([table, name])}: there is no such entry. {near_miss(name, names)}")
    for name, signal in definitions.signals.items():
        words = texts.signals.get(name)
        if words is None:
            continue
        if isinstance(signal.measure, CodedMeasure):
            wanted = 1 + max(code.code for code in signal.measure.codes)
            if len(words.codes) != wanted:
                problems.add(
                    f"{where(['signals', name, 'codes'])}: says what {wanted} codes mean, 0 to {wanted - 1}; "
                    f"got {len(words.codes)}."
                )
        elif words.codes:
            problems.add(f"{where(['signals', name, 'codes'])}: only a coded signal has codes.")
        if name in policy.signals and policy.signals[name].low is not None and not words.low:
            problems.add(f'{where(["signals", name])}: missing key "low", the sentence for the low side.')


# --- templates --------------------------------------------------------------------------------------------------


def _templates(
    texts: Texts, definitions: Definitions, entries: Mapping[str, Entry]
) -> Iterator[tuple[list[str], str, Collection[str]]]:
    """Yield every template with where it stands and the fields that it may use."""
    for name in texts.signals.keys() & definitions.signals.keys():
        fields = (*_SIGNAL_FIELDS, *entries[name].numbers)
        for key in ("healthy", "not_so_healthy", "unhealthy", "because", "low", "low_because"):
            yield ["signals", name, key], getattr(texts.signals[name], key), fields
        for code in texts.signals[name].codes:
            yield ["signals", name, "codes"], code, tuple(entries[name].numbers)
    for name, factor in texts.factors.items():
        for key in ("healthy", "not_so_healthy", "unhealthy", "because"):
            yield ["factors", name, key], getattr(factor, key), _FACTOR_FIELDS
    for name, unit in texts.units.items():
        yield ["units", name, "other"], unit.other, ("value",)
        yield ["units", name, "one"], unit.one or "", ("value",)
    for reason, words in texts.unknown.items():
        yield ["unknown", reason, "sentence"], words.sentence, ("name", "table")
        yield ["unknown", reason, "settles"], words.settles, ("name", "table")
    for name, sentence in texts.opportunities.items():
        yield ["opportunities", name], sentence, ("name", "value")
    yield from _of_table("signs", texts.signs, ("count",))
    yield from _of_table("opens", texts.opens, ("signs",))
    yield from _of_table("combination", texts.combination, ("count", "signs", "areas"))
    yield from _of_table("headlines", texts.headlines, _HEADLINE_FIELDS)
    yield from _of_table("agreement", texts.agreement, ("model", "scorecard"))
    for name in type(texts.details).model_fields:
        yield ["details", name], getattr(texts.details, name), _DETAIL_FIELDS.get(name, ())


def _of_table(
    table: str, words: BaseModel, fields: Collection[str]
) -> Iterator[tuple[list[str], str, Collection[str]]]:
    for name in type(words).model_fields:
        yield [table, name], getattr(words, name), fields


def _template_problems(template: str, allowed: Collection[str]) -> Iterator[str]:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        yield f"broken template: {error}. A brace in the text is written twice."
        return
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in allowed:
            yield f'unknown field "{{{name}}}". {near_miss(name, allowed)}'
        elif form or conversion:
            yield f'write "{{{name}}}" alone: values come formatted.'


# --- what words rest on -----------------------------------------------------------------------------------------


def _entry(signal: Signal) -> Entry:
    numbers: dict[str, int] = {}
    _collect_numbers(signal.measure, numbers)
    return Entry(signal.unit, _first_table(signal.measure), numbers)


def _collect_numbers(model: BaseModel, numbers: dict[str, int]) -> None:
    """Collect the whole numbers of a measure by key, the first of a name first."""
    for key in type(model).model_fields:
        value = getattr(model, key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
            numbers.setdefault(key, int(value))
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, BaseModel):
                _collect_numbers(inner, numbers)


def _first_table(measure: Measure | BaseModel) -> str:
    """Return the table that a measure reads first; a level or change of licences rests on contracts."""
    if isinstance(measure, Rows):
        return measure.table
    if isinstance(table := getattr(measure, "table", None), str):
        return table
    for key in type(measure).model_fields:
        value = getattr(measure, key)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, BaseModel) and (found := _first_table(inner)):
                return found
    if getattr(measure, "when", None) == "contact_lost":
        return "contacts"
    return "contracts" if getattr(measure, "kind", None) == "level_change" else ""
