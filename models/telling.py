"""An answer as text for the command line, and the parts that pages show too: what adds up, what is unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from features.readings import UnknownReason
from models.labels import labels

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.catalogue.wording import Wording

START, OTHERS, TOTAL = "start", "others", "total"

# --- parts that visibly add up --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownPart:
    """One row of a list that adds up: `id` is a contribution's, or ``start``, ``others``, ``total``.

    `points` are rounded to one decimal; `count` says how many parts ``others`` stands for.
    """

    id: str
    points: float
    count: int = 1


def shown_parts(answer: Mapping[str, Any], most: int = 20) -> list[ShownPart]:
    """Return the base, the largest parts (risk first), the others together, and the total.

    Rounded so that what is shown adds up too.

    >>> parts = [{"id": "a", "points": 3.04}, {"id": "b", "points": 1.04}, {"id": "c", "points": -2.04}]
    >>> whole = {"base_probability": 0.0304, "contributions": parts, "churn_probability": 0.0508}
    >>> [(part.id, part.points) for part in shown_parts(whole, most=2)]
    [('start', 3.0), ('a', 3.0), ('c', -2.0), ('others', 1.1), ('total', 5.1)]
    """
    by_size = sorted(answer["contributions"], key=lambda part: -abs(part["points"]))
    large = [part for part in by_size[:most] if abs(part["points"]) >= 0.05]
    small = [part for part in by_size[len(large) :] if part["points"] != 0.0]
    rows = [(START, 100.0 * answer["base_probability"], 1)]
    rows += [(part["id"], part["points"], 1) for part in sorted(large, key=lambda part: -part["points"])]
    if small:
        rows.append((OTHERS, math.fsum(part["points"] for part in small), len(small)))
    rounded = _rounded_to_sum([points for _, points, _ in rows], 100.0 * answer["churn_probability"])
    shown = [ShownPart(id, points, count) for (id, _, count), points in zip(rows, rounded, strict=True)]
    return [*shown, ShownPart(TOTAL, round(100.0 * answer["churn_probability"], 1))]


def _rounded_to_sum(values: Sequence[float], total: float) -> list[float]:
    """Round to tenths so that they add up to the rounded total; the largest remainders are rounded up."""
    tenths = [math.floor(10.0 * value) for value in values]
    left = round(10.0 * round(total, 1)) - sum(tenths)
    by_remainder = sorted(range(len(values)), key=lambda place: tenths[place] - 10.0 * values[place])
    for step in range(abs(left)):
        tenths[by_remainder[step % len(values)]] += 1 if left > 0 else -1
    return [tenth / 10.0 for tenth in tenths]


# --- text for the command line --------------------------------------------------------------------------------


def sentences(answer: Mapping[str, Any], catalogue: Catalogue, lang: str) -> str:
    """Return an answer as readable text, for the command line."""
    wording, words = catalogue.wording[lang], labels(lang)
    blocks = [
        [answer["headline"], *_probabilities(answer, wording)],
        [words["signs"], *_sign_lines(answer, wording)],
        [words["actions"], *_action_lines(answer, wording)],
        [words["opportunities"], *(f"  • {item['sentence']}" for item in answer["opportunities"])],
        [words["unknowns"], *_unknown_lines(answer, wording)],
        [words["parts"], *_part_lines(answer, wording)],
        [_version_line(answer, wording)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if len(block) > 1 or block is blocks[-1])


def _probabilities(answer: Mapping[str, Any], wording: Wording) -> list[str]:
    words = labels(wording.language)
    low, high = (wording.number(edge, "ratio") for edge in answer["interval"])
    lines = [f"{words['interval']}: {low} – {high}", f"{words['horizons']}: {other_horizons(answer, wording)}"]
    if answer["agreement"] is not None:
        lines.append(
            wording.agreement(
                answer["agreement"],
                model=answer["model_probability"],
                scorecard=answer["scorecard_probability"],
            )
        )
    health = answer["health_score"]
    lines.append(
        f"{words['band']}: {band_in_words(answer['band'], wording)} · {words['health']}: "
        + (words["withheld"] if health is None else wording.number(health, "", 0))
        + f" · {words['coverage']}: {wording.number(answer['coverage'], 'ratio', 0)}"
    )
    return lines


def other_horizons(answer: Mapping[str, Any], wording: Wording) -> str:
    """Say the chance of leaving within the horizons that are not the answer's own."""
    words = labels(wording.language)
    return " · ".join(
        words["extrapolated" if one["extrapolated"] else "within"].format(
            probability=wording.number(one["churn_probability"], "ratio"), days=wording.number(one["days"], "days")
        )
        for one in answer["horizons"]
        if one["days"] != answer["horizon_days"]
    )


def band_in_words(band: str | None, wording: Wording) -> str:
    """Return a band's name, or that it is withheld."""
    words = labels(wording.language)
    return words["withheld"] if band is None else wording.band(band)


def _sign_lines(answer: Mapping[str, Any], wording: Wording) -> list[str]:
    words = labels(wording.language)
    lines = [f"  {answer['combination']['sentence']}"] if answer["combination"] else []
    for sign in answer["signs"]:
        lines.append(f"  • [{wording.band(sign['band'])}] {sign['sentence']}")
        lines += [
            f"      {row['occurred_at'][:10]}  {wording.table(row['table'])} {row['key']}: {row['text']}"
            for row in sign["evidence"]
        ]
    return lines or [f"  {words['no_signs']}"]


def _action_lines(answer: Mapping[str, Any], wording: Wording) -> list[str]:
    lines = []
    for number, action in enumerate(answer["actions"], 1):
        because = wording.join([wording.name(sign) for sign in action["because_of"]])
        about = f"{wording.role(action['owner_role'])}, {wording.number(action['due_days'], 'days')}"
        lines.append(f"  {number}. {action['sentence']} ({about}{': ' if because else ''}{because})")
    return lines


def _unknown_lines(answer: Mapping[str, Any], wording: Wording) -> list[str]:
    """Say what is not known, one line for each reason and table."""
    return [f"  • {line}" for line in unknown_in_words(answer, wording)]


def unknown_in_words(answer: Mapping[str, Any], wording: Wording) -> list[str]:
    """Say what is not known, why, and what would settle it: one text for each reason and table."""
    together: dict[tuple[str, str], list[str]] = {}
    for item in answer["unknown"]:
        reasons = wording.texts.unknown[UnknownReason(item["reason"])]
        names_table = "{table}" in reasons.sentence + reasons.settles
        table = wording.table(wording.entries[item["id"]].table) if names_table else ""
        together.setdefault((item["reason"], table), []).append(wording.name(item["id"]))
    lines = []
    for (reason, table), names in together.items():
        reasons = wording.texts.unknown[UnknownReason(reason)]
        parts = (
            part.format(name=wording.join(names), table=table) for part in (reasons.sentence, reasons.settles)
        )
        said = wording.sentences(parts)
        lines.append(said[:1].upper() + said[1:])
    return lines


def _part_lines(answer: Mapping[str, Any], wording: Wording) -> list[str]:
    return [
        f"  {part.points:{'' if part.id in (START, TOTAL) else '+'}8.1f}  {part_name(part, wording)}"
        for part in shown_parts(answer)
    ]


def part_name(part: ShownPart, wording: Wording) -> str:
    """Return what a row of the list that adds up is called."""
    words = labels(wording.language)
    if part.id == OTHERS:
        return words["other_parts"].format(count=part.count)
    return words[f"{part.id}_part"] if part.id in (START, TOTAL) else wording.name(part.id)


def _version_line(answer: Mapping[str, Any], wording: Wording) -> str:
    words = labels(wording.language)
    said = ", ".join(f"{name} {value}" for name, value in answer["versions"].items() if value is not None)
    return f"{words['as_of']} {answer['as_of'][:10]} · {said}"
