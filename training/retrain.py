"""Retraining on a schedule: train if anything is new, promote if the gates let it, and say so in a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from training.gates import Gate, next_steps, refusals
from training.ingredients import Ingredients
from training.tracking import Made, Registered, Tracking


class Outcome(StrEnum):
    """What came of it."""

    NOTHING_TO_DO = "nothing_to_do"
    UNDER_WAY = "under_way"
    PROMOTED = "promoted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Retrained:
    """What a retraining did.

    Attributes
    ----------
    outcome
        In a word.
    sentence
        In a line.
    version
        The version it is about; None: there is none.
    changed
        What is new since the version before.
    against
        What stands against promotion.
    """

    outcome: Outcome
    sentence: str
    version: int | None = None
    changed: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: train because of `changed`, or promote `version`, or, with neither, nothing."""

    changed: tuple[str, ...] = ()
    version: int | None = None
    sentence: str = ""


def decide(now: Ingredients, newest: Made | None, *, force: bool) -> Plan:
    """Decide what there is to do.

    A version that was champion and was rolled back from is not promoted again: somebody did not want it. One that
    was trained and could be champion, but never was, is promoted without training again: the run that made it was
    killed, or was not asked to.

    Parameters
    ----------
    now
        What a model would be made of.
    newest
        The newest version made from the same company's tables; None: there is none.
    force
        Train whatever is the same.
    """
    if newest is None:
        return Plan(changed=("everything",))
    changed = tuple(now.changed_since(newest.ingredients))
    if changed or force:
        return Plan(changed=changed or ("nothing",))
    same = f"version {newest.version} was trained on the same data, recipe and catalogue"
    against = refusals(newest.gates)
    if against:
        codes = ", ".join(line.split()[0] for line in against)
        return Plan(sentence=f"Nothing to do: {same}, and {codes} refuse it. {next_steps(newest.gates)[0]}")
    if newest.is_champion:
        return Plan(sentence=f"Nothing to do: {same}, and is the champion.")
    if newest.was_champion:
        back = f"`keepsight promote {newest.version}` brings it back, --force trains another"
        return Plan(sentence=f"Nothing to do: {same}, and was rolled back from; {back}.")
    return Plan(version=newest.version)


def retrain(
    tracking: Tracking,
    now: Ingredients,
    train: Callable[[], tuple[Registered, Sequence[Gate]]],
    *,
    force: bool = False,
) -> Retrained:
    """Do what :func:`decide` says.

    Parameters
    ----------
    tracking
        Where models are registered.
    now
        What a model would be made of.
    train
        Trains, registers and promotes if the gates let it.
    force
        Train whatever is the same.

    Raises
    ------
    KeepsightError
        As training and promotion do.
    """
    newest = tracking.newest(now.company)
    plan = decide(now, newest, force=force)
    if plan.version is not None:
        tracking.promote(plan.version)
        said = f"Version {plan.version}, trained earlier on the same data, is the champion now."
        return Retrained(Outcome.PROMOTED, said, plan.version)
    if not plan.changed:
        return Retrained(
            Outcome.NOTHING_TO_DO,
            plan.sentence,
            None if newest is None else newest.version,
            against=() if newest is None else tuple(refusals(newest.gates)),
        )
    registered, gates = train()
    against, new = tuple(refusals(gates)), ", ".join(plan.changed)
    if against:
        said = (
            f"Version {registered.version} (new: {new}) is not promoted; the champion stays as it is: "
            f"{' '.join(against)} What to do: {' '.join(next_steps(gates))}"
        )
        return Retrained(Outcome.REFUSED, said, registered.version, plan.changed, against)
    said = f"Version {registered.version} (new: {new}) is the champion now."
    return Retrained(Outcome.PROMOTED, said, registered.version, plan.changed)
