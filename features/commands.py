"""Sub-commands of `keepsight` that need nothing but the catalogue and a company's sources."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.commandline import FAILED, SourcesOption, reported

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.catalogue.listing import Line, Listing

app = typer.Typer(help="Tables, definitions and the catalogue.", no_args_is_help=True)
catalogue_app = typer.Typer(help="Signals, factors, thresholds, actions and wording.", no_args_is_help=True)
app.add_typer(catalogue_app, name="catalogue")


class Language(StrEnum):
    """Languages that the catalogue speaks."""

    EN = "en"
    ZH = "zh"


OfCompanyOption = Annotated[
    Path | None, typer.Option("--sources", help="The company's sources.toml; its overlay is laid over ours.")
]
OverlayOption = Annotated[
    Path | None, typer.Option("--overlay", help="A folder of catalogue files to lay over ours.")
]
LanguageOption = Annotated[Language, typer.Option("--lang", help="Language of names and actions.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@app.command("check")
@reported
def check(
    sources: SourcesOption,
    as_json: JsonOption = False,
) -> None:
    """List every problem of the catalogue and the tables, and what each missing table leaves unknown."""
    from features.sources.commands import run_check

    raise typer.Exit(run_check(sources, as_json))


@catalogue_app.command("show")
@reported
def show(
    sources: OfCompanyOption = None,
    overlay: OverlayOption = None,
    language: LanguageOption = Language.EN,
    as_json: JsonOption = False,
) -> None:
    """Show every signal and factor by area: what is measured, thresholds, weight and action."""
    from features.catalogue.listing import lines

    listing = _listing(sources, overlay, language)
    if as_json:
        typer.echo(json.dumps(_as_json(listing), ensure_ascii=False, indent=2))
    else:
        _print_areas(listing, list(lines(listing)))


@catalogue_app.command("check")
@reported
def check_catalogue(sources: OfCompanyOption = None, overlay: OverlayOption = None) -> None:
    """Load the catalogue: say what is there, or everything that is wrong."""
    catalogue = _load(sources, overlay)
    definitions, policy = catalogue.definitions, catalogue.policy
    counts = {
        "signals": definitions.signals,
        "factors": definitions.factors,
        "context columns": definitions.context,
        "areas": catalogue.areas,
        "plays": policy.plays,
        "opportunities": policy.opportunities,
        "languages": catalogue.wording,
    }
    typer.echo(f"The catalogue is sound: {', '.join(f'{len(of)} {what}' for what, of in counts.items())}.")
    typer.echo(f"revision     {catalogue.revision}")
    typer.echo(f"definitions  {catalogue.definitions_fingerprint}  (a change needs retraining)")
    typer.echo(f"policy       {catalogue.policy_fingerprint}  (a change does not)")


@catalogue_app.command("document")
@reported
def document_catalogue(
    sources: OfCompanyOption = None,
    overlay: OverlayOption = None,
    language: LanguageOption = Language.EN,
    out: Annotated[Path | None, typer.Option("--out", help="Write here instead of printing.")] = None,
) -> None:
    """Write a Markdown page with an entry for everything in the catalogue."""
    from features.catalogue.document import document
    from features.catalogue.listing import listing_of

    catalogue = _load(sources, overlay)
    page = document(
        listing_of(catalogue, language),
        revision=catalogue.revision,
        definitions=catalogue.definitions_fingerprint,
        policy=catalogue.policy_fingerprint,
    )
    if out is None:
        typer.echo(page, nl=False)
        return
    try:
        out.write_text(page, "utf-8")
    except OSError as error:
        typer.secho(f"{out}: cannot be written: {error.strerror}.", fg=typer.colors.RED, err=True)
        raise typer.Exit(FAILED) from error
    typer.echo(f"Written: {out}")


def _load(sources: Path | None, overlay: Path | None) -> Catalogue:
    if sources is not None and overlay is not None:
        raise typer.BadParameter("give --sources or --overlay, not both: sources.toml names its own overlay")
    if sources is not None:
        from features.sources import load_sources

        return load_sources(sources).catalogue
    from features.catalogue import load_catalogue

    return load_catalogue(overlay)


def _listing(sources: Path | None, overlay: Path | None, language: Language) -> Listing:
    from features.catalogue.listing import listing_of, our_listing

    if sources is None and overlay is None:
        return our_listing(language)
    return listing_of(_load(sources, overlay), language)


def _as_json(listing: Listing) -> dict[str, Any]:
    from features.catalogue.listing import lines

    policy = listing.policy
    return {
        "revision": policy["revision"],
        "items": [asdict(line) for line in lines(listing)],
        "context": listing.context,
        **{key: policy[key] for key in ("combination", "bands", "scorecard", "segments", "plays")},
        "opportunities": policy.get("opportunities", {}),
    }


def _print_areas(listing: Listing, found: list[Line]) -> None:
    # Plain text: rich's tables of the whole catalogue take 30 ms, as long as everything else together.
    import shutil
    import textwrap

    from features.catalogue.listing import by_area

    width = max(40, min(shutil.get_terminal_size().columns, 120)) - 4
    for area, of_area in by_area(iter(found)).items():
        typer.secho(listing.area_name(area).upper(), bold=True)
        for line in of_area:
            typer.echo(f"  {typer.style(line.id, fg=typer.colors.CYAN)}  (weight {line.weight:g})")
            typer.echo(textwrap.indent(textwrap.fill(f"{line.measure} [{line.unit}]", width), "    "))
            typer.echo(
                f"    healthy {line.healthy}   not so healthy {line.not_so_healthy}   unhealthy {line.unhealthy}"
            )
            owner = line.owner_role.replace("_", " ")
            typer.echo(f"    play {line.play}: {owner}, within {line.due_days} d")
        typer.echo()
    signals = sum(line.kind == "signal" for line in found)
    typer.echo(
        f"{signals} signals, {len(found) - signals} factors, {len(listing.context)} context columns, "
        f"{len(listing.policy['plays'])} plays; revision {listing.policy['revision']}."
    )
