"""A preview as text for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from models.preview import Change, Preview, SignChange

MOST_SHOWN = 50
WITHHELD = "withheld"
RETRAIN = (
    "Definitions change: models must be trained anew (`keepsight train`). Until then the scorecard answers, as it "
    "does here for both sides."
)


def as_dict(found: Preview) -> dict[str, Any]:
    """Return a preview as JSON has it; a band of null is withheld."""
    return {
        "company": found.company,
        "as_of": found.as_of.isoformat(),
        "model": found.model,
        "definitions": {"now": found.definitions[0], "proposed": found.definitions[1]},
        "policy": {"now": found.policy[0], "proposed": found.policy[1]},
        "retrain": found.retrain,
        "accounts": found.accounts,
        "bands": [
            {"band": band, "now": now, "proposed": proposed} for band, (now, proposed) in found.bands.items()
        ],
        "changes": [asdict(change) for change in found.changes],
        "months": [{**asdict(month), "as_of": month.as_of.isoformat()} for month in found.months],
    }


def text(found: Preview, now: Catalogue, proposed: Catalogue) -> str:
    """Return a preview for people: plain lines, so that they can be kept, compared and mailed."""
    return "\n".join(_lines(found, now, proposed)) + "\n"


def _lines(found: Preview, now: Catalogue, proposed: Catalogue) -> Iterator[str]:
    count = len(found.changes)
    yield (
        f"{found.company}, as known on {found.as_of:%Y-%m-%d %H:%M}: {count:,} of {_counted(found.accounts)} "
        f"in force would change band."
    )
    yield _what_changes(found)
    yield "Answered by the scorecard." if found.model is None else f"Answered by model {found.model}."
    yield ""
    yield from _table(
        ("band", "now", "proposed"),
        [(_band(band), f"{before:,}", f"{after:,}") for band, (before, after) in found.bands.items()],
        numbers=(1, 2),
    )
    if found.changes:
        yield from ("", "Who changes band today")
        yield from _table(
            ("account", "name", "csm", "yearly value", "band", "because of"),
            [_row(change, now, proposed) for change in found.changes[:MOST_SHOWN]],
            numbers=(3,),
        )
    if count > MOST_SHOWN:
        yield f"… and {count - MOST_SHOWN:,} more: --json has them all."
    if found.months:
        yield from ("", "Who would have changed band, by month")
        yield from _table(
            ("as known on", "accounts", "change", "worse", "better", WITHHELD),
            [
                (
                    f"{m.as_of:%Y-%m-%d}",
                    *(f"{n:,}" for n in (m.accounts, m.changes, m.worse, m.better, m.withheld)),
                )
                for m in found.months
            ],
            numbers=(1, 2, 3, 4, 5),
        )


def _what_changes(found: Preview) -> str:
    if found.retrain:
        return RETRAIN
    if found.policy[0] != found.policy[1]:
        return "Only the playbook changes how readings are read: nothing to retrain."
    return "Definitions and playbook are those in force: only words can differ."


def _row(change: Change, now: Catalogue, proposed: Catalogue) -> tuple[str, ...]:
    value = "" if change.arr is None else f"{change.arr:,.0f}"
    signs = ", ".join(_sign(sign, now, proposed) for sign in change.signs)
    return (
        change.account_id,
        change.name or "",
        change.csm or "",
        value,
        f"{_band(change.before)} → {_band(change.after)}",
        signs or "no sign: weights, combination or the bands' own edges",
    )


def _sign(sign: SignChange, now: Catalogue, proposed: Catalogue) -> str:
    """Say how a sign changes: ``+`` has fired, ``-`` has not any more."""
    catalogue = proposed if sign.id in {**proposed.definitions.signals, **proposed.definitions.factors} else now
    name = catalogue.wording["en"].name(sign.id)
    if sign.before is None:
        return f"+ {name} ({_band(sign.after)})"
    if sign.after is None:
        return f"- {name}"
    return f"{name} ({_band(sign.before)} → {_band(sign.after)})"


def _band(band: str | None) -> str:
    return WITHHELD if band is None else band.replace("_", " ")


def _counted(accounts: int) -> str:
    return "1 account" if accounts == 1 else f"{accounts:,} accounts"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> Iterator[str]:
    """Yield aligned lines, numbers to the right."""
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    for row in (heads, *rows):
        cells = [
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()
