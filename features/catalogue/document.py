"""The catalogue as a Markdown page: every entry with how it is detected, why it matters and what to do.

All of it is derived from definitions, playbook and wording; nothing is written here a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from features.catalogue.listing import Line, Listing, by_area, lines
from features.catalogue.words import (
    Entry,
    applies_in_words,
    column_in_words,
    measure_in_words,
    override_in_words,
)


def document(listing: Listing, *, revision: int, definitions: str, policy: str) -> str:
    """Return the page.

    Parameters
    ----------
    listing
        The catalogue, in one language.
    revision, definitions, policy
        Number of the revision and the two fingerprints.
    """
    return "\n".join(_page(listing, revision, definitions, policy)) + "\n"


def _page(listing: Listing, revision: int, definitions: str, policy: str) -> Iterator[str]:
    yield "# Catalogue"
    yield ""
    yield f"Revision {revision}, definitions `{definitions}`, policy `{policy}`."
    yield ""
    yield "Customers come back because:"
    yield ""
    yield from (f"- {reason}" for reason in listing.definitions["why_customers_come_back"])
    yield ""
    stages = listing.definitions["stages"]
    yield (
        f"Lifecycle stages: onboarding to day {stages['onboarding_days']}, adoption to day "
        f"{stages['adoption_days']}, then mature; the renewal window is the last "
        f"{stages['renewal_window_days']} days before the notice deadline and wins over the others. Gaps of up "
        f"to {listing.definitions['lapse_grace_days']} days between contracts count as continuous."
    )
    for area, found in by_area(lines(listing)).items():
        yield from ("", f"## {listing.area_name(area).capitalize()}")
        for line in found:
            yield from _signal(listing, line) if line.kind == "signal" else _factor(listing, line)
    yield from _context(listing)
    yield from _own_tables(listing.definitions.get("tables", {}))
    yield from _combination(listing.policy)
    yield from _bands(listing)
    yield from _plays(listing)
    yield from _opportunities(listing)


def _signal(listing: Listing, line: Line) -> Iterator[str]:
    signal = listing.definitions["signals"][line.id]
    read, words = listing.policy["signals"][line.id], listing.texts["signals"][line.id]
    yield from _heading(line)
    yield f"- **How it is detected.** {_sentence(line.measure)} Unit: {line.unit}."
    if applies := applies_in_words(signal.get("applies", {})):
        yield f"- **When it is asked.** {_sentence(applies)}"
    yield f"- **Why it matters.** {_why(words, signal)}"
    yield f"- **Bands.** {_bands_of(line)}"
    yield from (
        f"  - {_sentence(override_in_words(override, signal['direction']))}"
        for override in read.get("overrides", ())
    )
    yield f"- **What to do.** {_what_to_do(listing, line.play)} It opens: {_words(line.opens)}."
    if low := read.get("low"):
        yield (
            f"- **On the low side** (weight {low['weight']:g}). {words['low_because']} "
            f"{_what_to_do(listing, low['play'])} It opens: {_words(low['opens'])}."
        )
    yield f"- **Source.** {signal['source']}."


def _factor(listing: Listing, line: Line) -> Iterator[str]:
    factor, words = listing.factors[line.id], listing.texts["factors"][line.id]
    yield from _heading(line)
    yield f"- **How it is rated.** {_sentence(line.measure)}"
    yield f"- **Why it matters.** {words.get('because') or 'Factors find growth as well as risk.'}"
    yield f"- **Bands.** {_bands_of(line)}"
    yield (
        f"- **Age.** Stale after {factor['stale_after_days']} days: counts half and is no strong sign; unknown "
        f"after {factor['unknown_after_days']} days, or when the account changes hands."
    )
    yield f"- **What to do.** {_what_to_do(listing, line.play)} It opens: {_words(line.opens)}."


def _heading(line: Line) -> Iterator[str]:
    yield from ("", f"### {line.name} (`{line.id}`)", "")


def _why(words: Entry, signal: Entry) -> str:
    kind = "A leading sign" if signal["timing"] == "leading" else "It confirms a decision already taken"
    factors = ", ".join(f"`{factor}`" for factor in signal.get("indicates", ()))
    of = f"; it may say something about {factors}" if factors else ""
    return f"{words.get('because', '')} {kind}{of}.".strip()


def _bands_of(line: Line) -> str:
    return (
        f"Healthy {line.healthy}; not so healthy {line.not_so_healthy}; unhealthy {line.unhealthy}. "
        f"Weight {line.weight:g}."
    )


def _what_to_do(listing: Listing, play: str) -> str:
    entry = listing.policy["plays"][play]
    return (
        f"{listing.texts['plays'][play]} ({listing.texts['roles'][entry['owner_role']]}, "
        f"{_days(entry['due_days'])}; play `{play}`)"
    )


def _context(listing: Listing) -> Iterator[str]:
    yield from ("", "## Context", "")
    yield "Used by the model and shown, with no threshold of its own."
    yield ""
    for name, entry in listing.context.items():
        origin = f"from `{entry['of']}`" if entry.get("of") else measure_in_words(entry["measure"])
        values = f"; values: {', '.join(entry['codebook'])}" if entry.get("codebook") else ""
        shown = "" if entry.get("in_model", True) else "; shown only, no model reads it"
        yield f"- `{name}` ({_words(entry['kind'])}): {origin}{values}{shown}."


def _own_tables(tables: Mapping[str, Entry]) -> Iterator[str]:
    if not tables:
        return
    yield from ("", "## Tables of the company's own")
    for name, table in tables.items():
        when = f"events, when: `{table['occurred']}`" if table["kind"] == "event" else "a state"
        ended = f", until: `{table['ended']}`" if table.get("ended") else ""
        yield from ("", f"- `{name}` ({when}{ended}): {_sentence(table['about'])}")
        yield from (f"  - `{column}` ({column_in_words(entry)})" for column, entry in table["columns"].items())


def _combination(policy: Entry) -> Iterator[str]:
    c, s = policy["combination"], policy["scorecard"]
    yield from ("", "## Signs together", "")
    yield (
        f"An area with a strong sign gives {c['strong_area']:g}, with only ordinary signs "
        f"{c['ordinary_area']:g}; a second strong sign in the same area adds {c['second_strong']:g}. Ordinary "
        "signs alone never pass `watch`."
    )
    yield ""
    for level in ("watch", "at_risk", "critical"):
        yield f"- `{level}` from {c[level]:g} points; adds {s[level]:g} to the scorecard's log-odds."
    yield ""
    yield (
        f"The scorecard starts from {s['log_odds_per_weight']:g} log-odds for each unit of weight, a mean "
        f"severity of {s['mean_severity']:g} and, where the company states no churn of its own, "
        f"{s['yearly_churn']:.0%} a year. Model and scorecard agree when they differ by less than "
        f"{s['agreement_log_odds']:g}."
    )


def _bands(listing: Listing) -> Iterator[str]:
    bands, levels = listing.policy["bands"], "`at_risk` or `critical`"
    yield from ("", "## Bands of the account", "")
    rules = {
        "unhealthy": f"health below {bands['unhealthy_below']:g}, or signs together at {levels}",
        "not_so_healthy": (
            f"health below {bands['not_so_healthy_below']:g}, signs together at `watch`, or a churn probability "
            f"of at least {bands['base_rate_multiple']:g} times the base rate"
        ),
        "healthy": f"else; withheld where less than {bands['coverage_floor']:.0%} is known",
    }
    for band, rule in rules.items():
        segment = listing.policy["segments"][band]
        yield (
            f"- **{listing.texts['bands'][band]}** (`{band}`): {rule}. Audited every "
            f"{_days(segment['cadence_days'])}. {_what_to_do(listing, segment['play'])}"
        )


def _plays(listing: Listing) -> Iterator[str]:
    yield from ("", "## Plays", "")
    yield from (f"- {_what_to_do(listing, play)}" for play in listing.policy["plays"])


def _opportunities(listing: Listing) -> Iterator[str]:
    yield from ("", "## Opportunities", "")
    for name, entry in listing.policy.get("opportunities", {}).items():
        edge = f"above {entry['above']:g}" if entry.get("above") is not None else f"≥ {entry['at_least']:g}"
        less = f" less `{entry['minus']}`" if entry.get("minus") else ""
        yield f"- `{name}`: `{entry['of']}`{less} {edge}. {_what_to_do(listing, entry['play'])}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "?", "!")) else ".")


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def _words(identifier: str) -> str:
    return identifier.replace("_", " ")
