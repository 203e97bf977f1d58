"""A decision in words: the answer that people and programs read, in the shape that is fixed for them.

Nothing is judged here: what was decided is said, by the catalogue's wording. A sentence says what was seen and
what that often goes with, never that it is the cause.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from features.catalogue.schema import LowEdge
from features.readings import Evidence
from features.vectors import age_column
from models.answers import Decision, Sign
from models.telling import sentences

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.catalogue.wording import Wording

__all__ = ["AccountFacts", "answer", "evidence_ids", "sentences"]

Answer = dict[str, Any]

SUPPORT_LOAD, NPS_DETRACTORS = "support_load", "nps_detractors"
# Whose evidence is the account's recent community posts: to be read before a detractor is called.
COMMUNITY_POSTS = "community_silence"
BUDGET_SEASON_DAYS = 120  # so long before a fiscal year begins, next year's budget is being made
_STATED_REASON = re.compile(r"(?:^|, )(?:comment|reason): \S")


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What is said of an account beside its readings."""

    name: str | None = None
    fiscal_year_start_month: int | None = None
    commonest_ticket_category: str | None = None


NO_FACTS = AccountFacts()


def evidence_ids(decision: Decision) -> tuple[str, ...]:
    """Name the signals whose evidence an answer quotes: those that have fired.

    A detractor brings the account's community posts along.
    """
    fired = [sign.id for sign in decision.signs]
    posts = [COMMUNITY_POSTS] if NPS_DETRACTORS in fired and COMMUNITY_POSTS not in fired else []
    return (*fired, *posts)


def answer(
    decision: Decision,
    catalogue: Catalogue,
    lang: str,
    evidence: Mapping[str, Sequence[Evidence]],
    prediction_id: str,
    facts: AccountFacts = NO_FACTS,
) -> Answer:
    """Put a decision into words.

    Parameters
    ----------
    decision
        What was decided about one account.
    catalogue
        The one that it was decided with.
    lang
        ``en`` or ``zh``.
    evidence
        By signal, the rows that its reading rests on; empty where readings were given by the caller.
    prediction_id
        Under which the answer can be found again.
    facts
        Name and fiscal year of the account, where known.

    Returns
    -------
    dict
        JSON-ready: texts, finite numbers, None, lists and dicts, in the fixed order. Times are UTC, with a Z.
    """
    wording = catalogue.wording[lang]
    teller = _Teller(decision, catalogue, wording, evidence, facts)
    return {
        "prediction_id": prediction_id,
        "account_id": decision.account_id,
        "as_of": _time(decision.as_of),
        "horizon_days": decision.horizon_days,
        "churn_probability": decision.churn_probability,
        "base_probability": decision.base_probability,
        "interval": list(decision.interval),
        "horizons": [one._asdict() for one in decision.horizons],
        "model_probability": decision.model_probability,
        "scorecard_probability": decision.scorecard_probability,
        "model_weight": decision.model_weight,
        "agreement": decision.agreement,
        "band": decision.band,
        "health_score": decision.health_score,
        "coverage": decision.coverage,
        "stage": decision.stage,
        "under_notice": decision.under_notice,
        "areas": [asdict(area) for area in decision.areas],
        "base_log_odds": decision.base_log_odds,
        "contributions": [asdict(part) for part in decision.contributions],
        "signs": teller.signs(),
        "combination": teller.combination(),
        "actions": teller.actions(),
        "opportunities": teller.opportunities(),
        "unknown": [{"id": item.id, "reason": item.reason.value} for item in decision.unknown],
        "headline": teller.headline(),
        "versions": asdict(decision.versions),
    }


@dataclass(frozen=True, slots=True)
class _Teller:
    """Says the parts of one decision."""

    decision: Decision
    catalogue: Catalogue
    wording: Wording
    evidence: Mapping[str, Sequence[Evidence]]
    facts: AccountFacts

    def signs(self) -> list[Answer]:
        return [
            {
                "id": sign.id,
                "area": sign.area,
                "band": sign.band,
                "value": sign.value,
                "unit": self.wording.entries[sign.id].unit,
                "threshold": _finite(sign.threshold),
                "sentence": self.wording.sign(
                    sign.id,
                    sign.band,
                    sign.value,
                    _finite(sign.threshold),
                    low_side=sign.low_side,
                    detail=self._detail(sign),
                ),
                "evidence": [_row(row) for row in self._rows(sign)],
            }
            for sign in self.decision.signs
        ]

    def combination(self) -> Answer | None:
        decision = self.decision
        if decision.level is None:
            return None
        areas = list(dict.fromkeys(sign.area for sign in decision.signs))
        sentence = self.wording.combination(decision.level, [sign.id for sign in decision.signs], areas)
        return {"strong_areas": list(decision.strong_areas), "level": decision.level, "sentence": sentence}

    def actions(self) -> list[Answer]:
        """Each play once: the band's own first, then those of the signs, the most urgent first."""
        policy = self.catalogue.policy
        wanted: dict[str, list[str]] = {}
        for sign in self.decision.signs:
            wanted.setdefault(self._play(sign), []).append(sign.id)
        plays = sorted(wanted, key=lambda play: policy.plays[play].due_days)
        if self.decision.band is not None:
            of_band = next(play for band, play in self._segments() if band == self.decision.band)
            plays = [of_band, *(play for play in plays if play != of_band)]
        return [
            {
                "play": play,
                "because_of": wanted.get(play, []),
                "owner_role": policy.plays[play].owner_role,
                "due_days": policy.plays[play].due_days,
                "sentence": self._play_sentence(play, wanted.get(play, [])),
            }
            for play in plays
        ]

    def opportunities(self) -> list[Answer]:
        """What is good, then what the signs open: each kind once, with the play of its first sign."""
        policy = self.catalogue.policy
        good = [
            {
                "id": found.id,
                "area": found.area,
                "because_of": [found.of],
                "play": policy.opportunities[found.id].play,
                "sentence": self.wording.opportunity(found.id, found.of, found.value),
            }
            for found in self.decision.opportunities
        ]
        opened: dict[str, list[Sign]] = {}
        for sign in self.decision.signs:
            opened.setdefault(self._opens(sign), []).append(sign)
        return good + [
            {
                "id": kind,
                "area": signs[0].area,
                "because_of": [sign.id for sign in signs],
                "play": self._play(signs[0]),
                "sentence": self.wording.opens(kind, [sign.id for sign in signs]),
            }
            for kind, signs in opened.items()
        ]

    def headline(self) -> str:
        decision = self.decision
        kind = "under_notice" if decision.under_notice else decision.band or "withheld"
        said = self.wording.headline(
            kind,
            account=self.facts.name or decision.account_id,
            probability=decision.churn_probability,
            base=decision.base_probability,
            days=decision.horizon_days,
            coverage=decision.coverage,
            signs=len(decision.signs),
        )
        return self.wording.sentences([said, self._whose_voice()])

    def _whose_voice(self) -> str:
        """Say why the rules count for more than the model, where they do."""
        decision, wording = self.decision, self.wording
        if decision.versions.model is None:
            return wording.detail("no_model")
        if decision.model_weight >= 0.5:
            return ""
        weight = wording.number(decision.model_weight, "", 1)
        if decision.full_model_weight >= 0.5:
            return wording.detail("little_known", weight=weight)
        accounts = wording.number(decision.churned_accounts_seen, "", 0)
        return wording.detail("few_churned", accounts=accounts, weight=weight)

    def _segments(self) -> Iterable[tuple[str, str]]:
        return ((str(band), segment.play) for band, segment in self.catalogue.policy.segments.items())

    def _low(self, sign: Sign) -> LowEdge | None:
        policy = self.catalogue.policy
        return policy.signals[sign.id].low if sign.low_side and sign.id in policy.signals else None

    def _play(self, sign: Sign) -> str:
        policy = self.catalogue.policy
        entry = policy.signals[sign.id] if sign.id in policy.signals else policy.factors[sign.id]
        return (self._low(sign) or entry).play

    def _opens(self, sign: Sign) -> str:
        policy = self.catalogue.policy
        entry = policy.signals[sign.id] if sign.id in policy.signals else policy.factors[sign.id]
        return (self._low(sign) or entry).opens

    def _play_sentence(self, play: str, because_of: Sequence[str]) -> str:
        teaches = any(self._opens(sign) == "teach" for sign in self.decision.signs if sign.id in because_of)
        month = self.facts.fiscal_year_start_month
        budget = ""
        if teaches and month is not None and _days_to_month(self.decision.as_of, month) <= BUDGET_SEASON_DAYS:
            budget = self.wording.detail("budget_season", month=self.wording.month(month))
        return self.wording.sentences([self.wording.play(play), budget])

    def _detail(self, sign: Sign) -> str:
        """Say what the evidence, or the reading beside it, adds to a sign's sentence."""
        if sign.stale:
            age = self.decision.readings.get(age_column(sign.id))
            if isinstance(age, float):
                return self.wording.detail("stale", age=self.wording.number(age, "days"))
        if sign.id == SUPPORT_LOAD and not sign.low_side:
            category = self.facts.commonest_ticket_category
            if category is not None:
                said = self.wording.texts.categories.get(category, category)
                return self.wording.detail("commonest_category", category=said)
        if sign.id == NPS_DETRACTORS and self._unexplained(sign) and self.evidence.get(COMMUNITY_POSTS):
            return self.wording.detail("read_posts_first")
        if sign.area == "contract" and (deadline := self._notice_deadline()) is not None:
            return self.wording.detail("notice_deadline", date=self.wording.date(deadline))
        return ""

    def _unexplained(self, sign: Sign) -> bool:
        """Whether some detractor's answer came without a stated reason."""
        return any(_STATED_REASON.search(row.text) is None for row in self.evidence.get(sign.id, ()))

    def _rows(self, sign: Sign) -> Sequence[Evidence]:
        rows = list(self.evidence.get(sign.id, ()))
        if sign.id == NPS_DETRACTORS and self._unexplained(sign):
            rows += self.evidence.get(COMMUNITY_POSTS, ())
        return rows

    def _notice_deadline(self) -> dt.date | None:
        days = self.decision.readings.get("days_to_notice_deadline")
        if not isinstance(days, float) or days < 0:
            return None
        return self.decision.as_of.date() + dt.timedelta(days=math.floor(days))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _time(when: dt.datetime) -> str:
    return when.isoformat(timespec="seconds") + "Z"


def _row(row: Evidence) -> Answer:
    return {"table": row.table, "key": row.key, "occurred_at": _time(row.occurred_at), "text": row.text}


def _days_to_month(as_of: dt.datetime, month: int) -> int:
    """Count the days to the next first day of `month`."""
    year = as_of.year + (as_of.month >= month)
    return (dt.date(year, month, 1) - as_of.date()).days
