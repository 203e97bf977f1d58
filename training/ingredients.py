"""What a model was made of, in digests: whether there is anything new to train on, and what."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from models.bundle import FORMAT
from training.recipe import TRAINING

if TYPE_CHECKING:
    from training.dataset import Snapshots
    from training.fitting import Material


@dataclass(frozen=True, slots=True)
class Ingredients:
    """All that a training run depends on, each in 16 hex digits but the first.

    Attributes
    ----------
    company
        Its name; None: not known.
    data
        Vectors, labels, and what was left out.
    recipe
        Every number.
    definitions, policy
        The catalogue's fingerprints: what is measured, and how it is read.
    prior
        Where the scorecard begins, the company's yearly churn in it.
    software
        The versions of training and of bundles.
    """

    company: str | None
    data: str
    recipe: str
    definitions: str
    policy: str
    prior: str
    software: str

    @classmethod
    def of(cls, snapshots: Snapshots, material: Material) -> Ingredients:
        """Return the ingredients of a run."""
        return cls(
            snapshots.company,
            _digest(snapshots.digest, *map(str, snapshots.left_out or ())),
            _digest(material.recipe.to_toml()),
            material.catalogue.definitions_fingerprint,
            material.catalogue.policy_fingerprint,
            _digest(material.prior.to_json()),
            _digest(str(TRAINING), str(FORMAT)),
        )

    def to_tag(self) -> str:
        """Return them as the text of a tag."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_tag(cls, text: str | None) -> Ingredients | None:
        """Read what :meth:`to_tag` wrote; None: there is none, or it is from another version of Keepsight."""
        try:
            return None if text is None else cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def changed_since(self, earlier: Ingredients) -> list[str]:
        """Name what is not as it was.

        Examples
        --------
        >>> before = Ingredients("Acme", "d0", "r0", "f0", "p0", "s0", "v0")
        >>> Ingredients("Acme", "d1", "r0", "f0", "p1", "s0", "v0").changed_since(before)
        ['data', 'policy']
        """
        ours, theirs = asdict(self), asdict(earlier)
        return [name for name in ours if ours[name] != theirs[name]]


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
