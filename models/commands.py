"""``keepsight catalogue preview``: the one command that needs no more than bands."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated

import typer

from features.commandline import AS_OF_FORMATS, SourcesOption, progress_bar, reported

app = typer.Typer()


@app.command("preview")
@reported
def preview_catalogue(
    sources: SourcesOption,
    overlay: Annotated[
        Path, typer.Option("--overlay", help="The folder that is to take the place of the overlay in force.")
    ],
    as_of: Annotated[
        dt.datetime | None,
        typer.Option(
            "--as-of",
            formats=AS_OF_FORMATS,
            help="Which day is today (UTC); a date is its midnight. Default: where the history ends.",
            show_default=False,
        ),
    ] = None,
    months: Annotated[
        int, typer.Option(help="How many month starts before that to look at, too.", min=0, max=60)
    ] = 12,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="A model's folder. Default: the scorecard answers.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Show who changes band under an overlay, today and over the past year."""
    from features.clock import now
    from features.sources.config import load_proposed
    from models.bundle import load_fitting_bundle
    from models.preview import preview
    from models.preview_words import as_dict, text

    today, proposed = load_proposed(sources, overlay)
    model = None if bundle is None else load_fitting_bundle(bundle, today.catalogue)
    with progress_bar("Computing vectors") as progress:
        found = preview(today, proposed, model, as_of=as_of, clock=now(), months=months, progress=progress)
    if as_json:
        typer.echo(json.dumps(as_dict(found), ensure_ascii=False, indent=2))
    else:
        typer.echo(text(found, today.catalogue, proposed.catalogue), nl=False)
