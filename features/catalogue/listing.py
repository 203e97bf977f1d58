"""The catalogue as plain entries in the shape of its files: what is shown, documented and printed as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from features.catalogue.files import CONTEXT, FACTORS, PLAYBOOK, SIGNALS, WORDING, our_file
from features.catalogue.words import Entry, measure_in_words, thresholds_in_words

if TYPE_CHECKING:
    from features.catalogue import Catalogue

RELATIONSHIP = "relationship"


@dataclass(frozen=True, slots=True)
class Listing:
    """Definitions, policy and one language's wording, entry by entry."""

    definitions: Entry  # signals.toml
    factors: Mapping[str, Entry]
    context: Mapping[str, Entry]
    policy: Entry
    texts: Entry

    def area_name(self, area: str) -> str:
        """Return an area's name."""
        return str(self.texts["areas"].get(area, area))


@dataclass(frozen=True, slots=True)
class Line:
    """One signal or factor: what is measured, how it is read, what is done."""

    id: str
    kind: str  # signal or factor
    area: str
    name: str
    measure: str
    unit: str
    healthy: str
    not_so_healthy: str
    unhealthy: str
    weight: float
    play: str
    owner_role: str
    due_days: int
    opens: str


def our_listing(language: str = "en") -> Listing:
    """Return our own catalogue as its files have it; the tests have checked them, so nothing is typed.

    Examples
    --------
    >>> our_listing().area_name("organisation")
    'organisation'
    """
    names = (SIGNALS, FACTORS, CONTEXT, PLAYBOOK, WORDING[language])
    return Listing(*(our_file(name) for name in names))


def listing_of(catalogue: Catalogue, language: str = "en") -> Listing:
    """Return a loaded catalogue, with its overlay and without what is switched off."""
    definitions = _plain(catalogue.definitions)
    return Listing(
        definitions,
        definitions["factors"],
        definitions["context"],
        _plain(catalogue.policy),
        _plain(catalogue.wording[language].texts),
    )


def _plain(model: Any) -> dict[str, Any]:
    plain: dict[str, Any] = model.model_dump(mode="json", exclude_unset=True)
    return plain


def lines(listing: Listing) -> Iterator[Line]:
    """Yield every signal, then every factor, in catalogue order.

    Examples
    --------
    >>> first = next(lines(our_listing()))
    >>> first.id, first.healthy, first.unhealthy, first.play
    ('licence_utilisation', '≥ 0.6', '< 0.3', 'educate_and_train')
    """
    for name, signal in listing.definitions["signals"].items():
        measure = measure_in_words(signal["measure"])
        yield _line(listing, name, "signal", signal, measure, signal["unit"], signal["direction"])
    for name, factor in listing.factors.items():
        measure = f"{factor['question']} 1 = {factor['weak']}, 5 = {factor['strong']}"
        yield _line(listing, name, "factor", factor, measure, "1 to 5", "lower_is_worse")


def _line(listing: Listing, name: str, kind: str, entry: Entry, measure: str, unit: str, direction: str) -> Line:
    table = f"{kind}s"
    read = listing.policy[table][name]
    play = listing.policy["plays"][read["play"]]
    good, fair, bad = thresholds_in_words(read, direction)
    return Line(
        id=name,
        kind=kind,
        area=entry["area"],
        name=listing.texts[table][name]["name"],
        measure=measure,
        unit=unit,
        healthy=good,
        not_so_healthy=fair,
        unhealthy=bad,
        weight=float(read["weight"]),
        play=read["play"],
        owner_role=play["owner_role"],
        due_days=play["due_days"],
        opens=read["opens"],
    )


def by_area(found: Iterator[Line]) -> dict[str, list[Line]]:
    """Return lines by area, in catalogue order, ``relationship`` last."""
    areas: dict[str, list[Line]] = {}
    for line in found:
        areas.setdefault(line.area, []).append(line)
    return dict(sorted(areas.items(), key=lambda item: item[0] == RELATIONSHIP))
