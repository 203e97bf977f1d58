"""How the catalogue speaks to people: sentences per language, checked when loaded, rendered for one account.

What a sentence says: what was seen, and what that often goes with; never that it is the cause.

A signal's sentences may use ``{name}``, ``{value}``, ``{threshold}`` (the edge that the value has crossed),
``{unit}``, ``{detail}`` (more that the evidence tells; where a sentence has no place for it, it follows as a
sentence of its own), and each whole number of the signal's own measure by its key, such as ``{window_days}``:
so a number is declared once, in the definition.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from features.catalogue.schema import Strict
from features.readings import UnknownReason
from features.sources.contract import Identifier

Sentence = Annotated[str, Field(min_length=1)]


class SignalWording(Strict):
    """A signal in words. `low` and `low_because` are for the low side of a two-sided signal."""

    name: Sentence
    healthy: Sentence
    not_so_healthy: Sentence
    unhealthy: Sentence
    because: str = ""  # what it often goes with
    low: str = ""
    low_because: str = ""
    codes: tuple[Sentence, ...] = ()  # of a coded signal: what 0, 1, 2 … mean, as `{value}`
    unit: str | None = None  # say the value in another unit than the definition's


class FactorWording(Strict):
    """A factor in words; sentences may use ``{name}``, ``{value}`` (the rating) and ``{detail}``."""

    name: Sentence
    healthy: Sentence
    not_so_healthy: Sentence
    unhealthy: Sentence
    because: str = ""


class UnitWording(Strict):
    """How a value in this unit is written: ``{value}`` is the number, `one` serves the singular."""

    style: Literal["number", "percent", "signed_percent"] = "number"
    decimals: Annotated[int, Field(ge=0, le=6)] = 2  # at most; trailing zeros are left out
    one: str | None = None
    other: str = "{value}"


class ReasonWording(Strict):
    """Why a value is unknown, and what would settle it; may use ``{name}`` and ``{table}``."""

    sentence: Sentence
    settles: Sentence


class SignsWording(Strict):
    """How many signs there are; may use ``{count}``, a number in words."""

    one: Sentence
    other: Sentence


class LevelWording(Strict):
    """Signs together, by level; may use ``{count}``, ``{signs}`` and ``{areas}``."""

    watch: Sentence
    at_risk: Sentence
    critical: Sentence


class HeadlineWording(Strict):
    """The answer in one sentence; see :meth:`Wording.headline`."""

    healthy: Sentence
    not_so_healthy: Sentence
    unhealthy: Sentence
    withheld: Sentence
    under_notice: Sentence


class AgreementWording(Strict):
    """What it means when model and rules agree or not; may use ``{model}`` and ``{scorecard}``."""

    agree: Sentence
    model_higher: Sentence
    scorecard_higher: Sentence


class OpensWording(Strict):
    """What a sign opens; may use ``{signs}``."""

    teach: Sentence
    fix_product: Sentence
    show_value: Sentence


class DetailWording(Strict):
    """What evidence adds to a sentence; see :meth:`Wording.detail`."""

    commonest_category: Sentence
    read_posts_first: Sentence
    budget_season: Sentence
    notice_deadline: Sentence
    stale: Sentence
    no_model: Sentence
    few_churned: Sentence
    little_known: Sentence


class Texts(Strict):
    """``wording/LANGUAGE.toml``."""

    locale: Sentence
    space: Literal["", " "]  # between two sentences
    numbers: tuple[Sentence, ...]  # none, one, two … in words
    signs_together: Sentence  # the name of the combination among the contributions
    signs: SignsWording
    signals: Mapping[Identifier, SignalWording]
    factors: Mapping[Identifier, FactorWording]
    context: Mapping[Identifier, Sentence]
    areas: Mapping[Identifier, Sentence]
    bands: Mapping[Literal["healthy", "not_so_healthy", "unhealthy"], Sentence]
    levels: Mapping[Literal["watch", "at_risk", "critical"], Sentence]
    stages: Mapping[Identifier, Sentence]
    roles: Mapping[Identifier, Sentence]
    tables: Mapping[Identifier, Sentence]
    categories: Mapping[str, Sentence]
    units: Mapping[str, UnitWording]
    unknown: Mapping[UnknownReason, ReasonWording]
    plays: Mapping[Identifier, Sentence]
    opportunities: Mapping[Identifier, Sentence]
    opens: OpensWording
    combination: LevelWording
    headlines: HeadlineWording
    agreement: AgreementWording
    details: DetailWording


@dataclass(frozen=True, slots=True)
class Entry:
    """What the words of one signal or factor rest on in its definition."""

    unit: str
    table: str
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Wording:
    """One language.

    Attributes
    ----------
    language
        ``en`` or ``zh``.
    texts
        The file, typed.
    entries
        What each signal and factor is in the definitions.

    Examples
    --------
    >>> from features.catalogue import load_catalogue
    >>> english = load_catalogue().wording["en"]
    >>> english.value("licence_utilisation", 0.255)
    '25.5%'
    >>> english.value("champion_change", 2)
    'the only champion has left, or there is none'
    >>> print(english.sign("days_since_last_use", "unhealthy", 41, 30))  # doctest: +ELLIPSIS
    Nobody has used the product for 41 days (more than 30 days is unhealthy). This often goes with ...
    """

    language: str
    texts: Texts
    entries: Mapping[str, Entry]

    # --- names ---

    def name(self, item_id: str) -> str:
        """Return the name of a signal, factor, context column or ``combination``."""
        texts = self.texts
        if item_id in texts.signals:
            return texts.signals[item_id].name
        if item_id in texts.factors:
            return texts.factors[item_id].name
        if item_id == "combination":
            return texts.signs_together
        return texts.context.get(item_id, item_id.replace("_", " "))

    def area(self, area: str) -> str:
        """Return the name of an area."""
        return self.texts.areas.get(area, area.replace("_", " "))

    def band(self, band: str) -> str:
        """Return the name of a band."""
        return {str(name): text for name, text in self.texts.bands.items()}[band]

    def stage(self, stage: str) -> str:
        """Return the name of a lifecycle stage."""
        return self.texts.stages[stage]

    def role(self, role: str) -> str:
        """Return the name of an owner's role."""
        return self.texts.roles[role]

    def table(self, table: str) -> str:
        """Return the name of a table; one of the company's own needs no words."""
        return self.texts.tables.get(table, table.replace("_", " "))

    # --- values ---

    def value(self, item_id: str, value: float, *, apart_from: float | None = None) -> str:
        """Return a value of a signal, factor or context column in words.

        Parameters
        ----------
        item_id
            Whose value it is; a code is said by its meaning.
        value
            In the unit of the definition.
        apart_from
            A threshold: as many decimals are given as it takes to tell the value from it.
        """
        signal = self.texts.signals.get(item_id)
        if signal is not None and signal.codes:
            meaning = signal.codes[min(max(round(value), 0), len(signal.codes) - 1)]
            return meaning.format(**self.entries[item_id].numbers)
        unit = self._unit(item_id)
        said = self.number(value, unit)
        if apart_from is None or apart_from == value:
            return said
        for decimals in range(1, 7):
            if said != self.number(apart_from, unit):
                break
            said = self.number(value, unit, decimals)
        return said

    def number(self, value: float, unit: str, decimals: int | None = None) -> str:
        """Return a number with its unit; `decimals` at most, instead of the unit's own."""
        known = self.texts.units.get(unit) or UnitWording(other=f"{{value}} {unit}".strip())
        return _with_unit(value, known, decimals, self.texts.locale)

    def date(self, day: dt.date) -> str:
        """Return a date as people write it."""
        from babel.dates import format_date

        return format_date(day, format="long", locale=self.texts.locale)

    def month(self, number: int) -> str:
        """Return the name of a month, 1 to 12."""
        from babel.dates import get_month_names

        return str(get_month_names("wide", context="stand-alone", locale=self.texts.locale)[number])

    def count(self, number: int) -> str:
        """Return a small number in words, a larger one in digits."""
        numbers = self.texts.numbers
        return numbers[number] if 0 <= number < len(numbers) else str(number)

    def join(self, items: Sequence[str]) -> str:
        """Return a list as people say it: a, b and c."""
        from babel.lists import format_list

        return format_list(items, locale=self.texts.locale) if items else ""

    # --- sentences ---

    def sign(
        self,
        item_id: str,
        band: str,
        value: float,
        threshold: float | None = None,
        *,
        low_side: bool = False,
        detail: str = "",
    ) -> str:
        """Say what was seen in a signal or factor, and what it often goes with.

        Parameters
        ----------
        item_id
            Signal or factor.
        band
            ``healthy``, ``not_so_healthy`` or ``unhealthy``.
        value
            The reading's value.
        threshold
            The edge that the value has crossed into its band; for ``healthy`` that of the healthy band.
        low_side
            The low side of a two-sided signal.
        detail
            More that the evidence tells, a sentence.
        """
        words = self.texts.signals.get(item_id) or self.texts.factors[item_id]
        low = low_side and isinstance(words, SignalWording)
        seen = words.low if low and isinstance(words, SignalWording) else str(getattr(words, band))
        because = words.low_because if low and isinstance(words, SignalWording) else words.because
        fields = {
            "name": words.name,
            "value": self.value(item_id, value, apart_from=threshold),
            "threshold": "" if threshold is None else self._threshold(item_id, threshold),
            "unit": self._unit(item_id),
            "detail": detail,
            **self.entries[item_id].numbers,
        }
        parts = [_capital(seen.format(**fields))]
        if detail and "{detail}" not in seen:
            parts.append(detail)
        if because and band != "healthy":
            parts.append(because.format(**fields))
        return self.sentences(parts)

    def _threshold(self, item_id: str, threshold: float) -> str:
        signal = self.texts.signals.get(item_id)
        return f"{threshold:g}" if signal and signal.codes else self.number(threshold, self._unit(item_id))

    def _unit(self, item_id: str) -> str:
        signal = self.texts.signals.get(item_id)
        if signal is not None and signal.unit is not None:
            return signal.unit
        return self.entries[item_id].unit if item_id in self.entries else ""

    def sentences(self, parts: Iterable[str]) -> str:
        """Join sentences as the language does."""
        return self.texts.space.join(part.strip() for part in parts if part.strip())

    def unknown(self, item_id: str, reason: UnknownReason) -> str:
        """Say why a reading has no value, and what would settle it."""
        words = self.texts.unknown[reason]
        table = self.entries[item_id].table if item_id in self.entries else ""
        fields = {"name": self.name(item_id), "table": self.table(table)}
        return self.sentences([_capital(words.sentence.format(**fields)), words.settles.format(**fields)])

    def play(self, play: str) -> str:
        """Return the action, as an imperative sentence."""
        return self.texts.plays[play]

    def opportunity(self, opportunity: str, item_id: str, value: float) -> str:
        """Say what good was seen; `value` is that of the entry's ``of`` (less its ``minus``)."""
        words = self.texts.opportunities[opportunity]
        return _capital(words.format(name=self.name(item_id), value=self.value(item_id, value)))

    def opens(self, kind: str, signs: Sequence[str]) -> str:
        """Say what some signs (ids) open: ``teach``, ``fix_product`` or ``show_value``."""
        words: str = getattr(self.texts.opens, kind)
        return _capital(words.format(signs=self.join([self.name(sign) for sign in signs])))

    def combination(self, level: str, signs: Sequence[str], areas: Sequence[str]) -> str:
        """Say which signs (ids, in these areas) are there together."""
        words: str = getattr(self.texts.combination, level)
        return _capital(
            words.format(
                count=self.count(len(signs)),
                signs=self.join([self.name(sign) for sign in signs]),
                areas=self.join([self.area(area) for area in areas]),
            )
        )

    def headline(
        self,
        kind: str,
        *,
        account: str,
        probability: float,
        base: float,
        days: int,
        coverage: float,
        signs: int,
    ) -> str:
        """Return the answer in one sentence.

        Parameters
        ----------
        kind
            A band, ``withheld`` or ``under_notice``.
        account
            Name of the account.
        probability, base
            Churn probability of the account, and the usual one.
        days
            Horizon.
        coverage
            Share known of what should be known.
        signs
            How many signs have fired.
        """
        words: str = getattr(self.texts.headlines, kind)
        return words.format(
            account=account,
            probability=self.number(probability, "ratio"),
            base=self.number(base, "ratio"),
            days=self.number(days, "days"),
            coverage=self.number(coverage, "ratio"),
            signs=(self.texts.signs.one if signs == 1 else self.texts.signs.other).format(count=self.count(signs)),
        )

    def agreement(self, kind: str, *, model: float, scorecard: float) -> str:
        """Say whether model and rules agree; both are probabilities."""
        words: str = getattr(self.texts.agreement, kind)
        return words.format(model=self.number(model, "ratio"), scorecard=self.number(scorecard, "ratio"))

    def detail(self, kind: str, **values: str) -> str:
        """Return one of the sentences that evidence adds.

        ``commonest_category`` takes `category`, ``budget_season`` `month`, ``notice_deadline`` `date`,
        ``stale`` `age`, ``few_churned`` `accounts` and `weight`, ``little_known``
        `weight`; ``read_posts_first`` and ``no_model`` take
        nothing. All are given in words.
        """
        words: str = getattr(self.texts.details, kind)
        return words.format(**values)


def _with_unit(value: float, unit: UnitWording, decimals: int | None, locale: str) -> str:
    from babel import Locale
    from babel.numbers import format_decimal, format_percent

    shown_decimals = unit.decimals if decimals is None else decimals
    places = "#" * shown_decimals
    if unit.style == "number":
        number = format_decimal(value, format=f"#,##0.{places}".rstrip("."), locale=locale)
    else:
        sign = "+" if unit.style == "signed_percent" and value > 0 else ""
        number = sign + format_percent(value, format=f"#,##0.{places}%".replace(".%", "%"), locale=locale)
    template = unit.other
    if unit.one is not None and Locale.parse(locale).plural_form(round(value, shown_decimals)) == "one":
        template = unit.one
    return template.format(value=number.replace("-", "−"))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
