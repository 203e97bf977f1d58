"""What counts as churn, as a written definition: its numbers, its version and its text.

The text is for people, the fingerprint for machines: both travel with every file of snapshots and every model.
``VERSION`` is raised when the same tables and numbers would give other labels; golden cases see to it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

VERSION = 1

CANCELLATION, NON_RENEWAL, LAPSE = ENDINGS = ("cancellation", "non_renewal", "lapse")
CONTRACTION = "contraction"
KINDS = (*ENDINGS, CONTRACTION)
GIVEN = "given"  # the kind of a label that the company gave without saying what happened


@dataclass(frozen=True, slots=True)
class LabelRule:
    """What counts as churn, and when. Days.

    Attributes
    ----------
    horizon_days, embargo_days
        Length of the window in which something must happen, and of the gap before it.
    lapse_grace_days
        Days between two contracts that still count as continuous.
    involuntary_counts
        Whether an ending that the customer did not choose (failed payment, company closed) counts.
    kinds
        Which of :data:`KINDS` count, in their order.

    Examples
    --------
    >>> LabelRule(horizon_days=90, embargo_days=14).window_days
    104
    >>> print(LabelRule(horizon_days=30).sentence)
    Yes: within 30 days the account gave notice, or its service ended, by cancellation, non_renewal or lapse.
    >>> LabelRule().fingerprint == LabelRule(horizon_days=30).fingerprint
    False
    """

    horizon_days: int = 90
    embargo_days: int = 0
    lapse_grace_days: int = 30
    involuntary_counts: bool = True
    kinds: tuple[str, ...] = ENDINGS

    @property
    def window_days(self) -> int:
        """Days from a snapshot to the end of its label window."""
        return self.embargo_days + self.horizon_days

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits over the version and all numbers."""
        return hashlib.sha256(json.dumps([VERSION, asdict(self)], sort_keys=True).encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Version and fingerprint, as people quote them.

        >>> LabelRule().name.split("-")[0]
        '1'
        """
        return f"{VERSION}-{self.fingerprint}"

    @property
    def sentence(self) -> str:
        """The question that a label answers, in one sentence."""
        after = f", beginning {self.embargo_days} days ahead," if self.embargo_days else ""
        ended = [kind for kind in self.kinds if kind in ENDINGS]
        said = [f"gave notice, or its service ended, by {_either(ended)}"] if ended else []
        said += ["went on with less (contraction)"] if CONTRACTION in self.kinds else []
        return f"Yes: within {self.horizon_days} days{after} the account {', or '.join(said)}."

    @property
    def text(self) -> str:
        """The whole definition in plain English, one statement a line."""
        others = [kind for kind in KINDS if kind not in self.kinds]
        return _TEXT.format(
            name=self.name,
            sentence=self.sentence,
            opens=f"t + {self.embargo_days} days" if self.embargo_days else "t",
            window=self.window_days,
            grace=self.lapse_grace_days,
            days=self.lapse_grace_days + 1,
            involuntary="count" if self.involuntary_counts else "do not count",
            others=f" Not counted: {', '.join(others)}." if others else "",
            gone="it left before the window opened; " if self.embargo_days else "",
        ).replace("\n  ", " ")


_TEXT = """\
Label definition {name}.
{sentence}
Window: for a snapshot at t, after {opens} and not later than t + {window} days. A date counts from the end of its
  day. What happens several times in a window counts once: the first is it.
Stay: contracts with at most {grace} days between them are one stay. Who comes back later begins another, and
  leaving the first one has counted.
Leaving: the day on which notice had been given for all that still ran, or the end of service, whichever came
  first. Notice that was taken back, or that a renewal overtook, is none.
non_renewal: a contract that does not renew itself ran to the end agreed, and no other followed.
cancellation: any other leaving for which notice was given before the service ended.
lapse: any other leaving: the service ended without notice, and {grace} days passed without another contract.
contraction: the stay went on with less: fewer licences, lower value or a plan of fewer features on each of the
  {days} days after than on any of the {days} days before, days without a contract aside; at its first day or, if
  earlier, the day it was agreed (signature of what follows, notice for what ends). It is no leaving: the account
  can contract again, or leave.
Outcomes: where the company records them, they say who left, when and how, and who contracted if they name any
  contraction; a contract that ended without an outcome is neither a yes nor a no. Labels that the company gives
  itself replace all of this.
Involuntary endings {involuntary}.{others} Who left in a way that does not count is a no, and no longer at risk.
At risk: a contract known at t was in force at t, and the account had neither left nor given notice.
No answer: not at risk; the window reaches past the end of the history; a contract ended in the window, and its
  {grace} days were not over at the end of the history; {gone}it cannot be told whether it contracted, where that
  counts. All is judged by what was known when the history ended; what a later version of a contract says is taken
  to have been so from its beginning.
"""


def _either(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


@dataclass(frozen=True, slots=True)
class Labelling:
    """By which definition snapshots were labelled, on what, and with what was known until when.

    Attributes
    ----------
    rule
        The definition's numbers.
    basis
        ``labels`` (given by the company), ``outcomes`` (recorded) or ``contracts`` (derived).
    observed_until
        Where the history ended, by whose records the labels were judged.
    version
        Of the definition.

    Examples
    --------
    >>> june = Labelling(LabelRule(), "outcomes", dt.datetime(2025, 7, 1))
    >>> Labelling.from_json(june.to_json()) == june
    True
    >>> june.differences(LabelRule(horizon_days=30))
    ['horizon_days is 90 there and 30 here']
    """

    rule: LabelRule
    basis: str
    observed_until: dt.datetime
    version: int = VERSION

    def to_json(self) -> str:
        """Return it as canonical JSON, with the text for whoever reads the file elsewhere."""
        said = {
            "version": self.version,
            "fingerprint": self.rule.fingerprint,
            "rule": asdict(self.rule),
            "basis": self.basis,
            "observed_until": self.observed_until.isoformat(),
            "text": self.rule.text,
        }
        return json.dumps(said, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Labelling:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        ValueError, TypeError, KeyError
            It is not JSON, or not that of a labelling.
        """
        said: dict[str, Any] = json.loads(text)
        numbers = {**said["rule"], "kinds": tuple(said["rule"]["kinds"])}
        ended = dt.datetime.fromisoformat(said["observed_until"])
        return cls(LabelRule(**numbers), said["basis"], ended, said["version"])

    def differences(self, asked: LabelRule) -> list[str]:
        """Name what is asked for otherwise than it was done, a phrase each; none: the same definition."""
        pairs: list[tuple[str, object, object]] = [("version", self.version, VERSION)]
        pairs += [(f.name, getattr(self.rule, f.name), getattr(asked, f.name)) for f in fields(LabelRule)]
        return [
            f"{name} is {json.dumps(there)} there and {json.dumps(here)} here"
            for name, there, here in pairs
            if there != here
        ]
