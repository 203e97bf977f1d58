"""Switch signals and factors off, in definitions, policy and wording alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from features.catalogue.problems import Problems
from features.catalogue.schema import Applies, Definitions, Policy, Signal
from features.errors import near_miss

Entry = TypeVar("Entry")


def check_off(off: Sequence[str], definitions: Definitions, problems: Problems) -> None:
    """Note each id that is no signal or factor."""
    known = [*definitions.signals, *definitions.factors]
    for name in off:
        if name not in known:
            problems.add(f'[catalogue] off: no signal or factor "{name}". {near_miss(name, known)}')


def without(entries: Mapping[str, Entry], off: Sequence[str]) -> dict[str, Entry]:
    """Return the entries that stay, in their order."""
    return {name: entry for name, entry in entries.items() if name not in off}


def definitions_without(definitions: Definitions, off: Sequence[str]) -> Definitions:
    """Return the definitions without `off`; what names them (``unless``, ``indicates``) goes too."""
    return definitions.model_copy(
        update={
            "signals": {
                name: _forgetting(signal, off) for name, signal in without(definitions.signals, off).items()
            },
            "factors": without(definitions.factors, off),
        }
    )


def policy_without(policy: Policy, off: Sequence[str]) -> Policy:
    """Return the policy without `off`, and without the opportunities that they would have shown."""
    opportunities = {
        name: entry
        for name, entry in policy.opportunities.items()
        if entry.of not in off and entry.minus not in off
    }
    return policy.model_copy(
        update={
            "signals": without(policy.signals, off),
            "factors": without(policy.factors, off),
            "opportunities": opportunities,
        }
    )


def _forgetting(signal: Signal, off: Sequence[str]) -> Signal:
    unless = signal.applies.unless
    applies = signal.applies
    if unless is not None and unless.signal in off:
        applies = Applies(stages=applies.stages)
    indicates = tuple(factor for factor in signal.indicates if factor not in off)
    return signal.model_copy(update={"applies": applies, "indicates": indicates})
