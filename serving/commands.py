"""``keepsight score``, ``explain`` and ``serve``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.commandline import (
    AS_OF_FORMATS,
    SOURCES_VARIABLE,
    SourcesOption,
    parquet_file,
    progress_bar,
    reported,
)
from features.errors import KeepsightError

if TYPE_CHECKING:
    from features.sources import Sources
    from models.bundle import Bundle
    from serving.company import Company

app = typer.Typer()

AsOfOption = Annotated[
    dt.datetime | None,
    typer.Option(
        "--as-of",
        formats=AS_OF_FORMATS,
        help="As known then (UTC); a date is its midnight. Default: where the history ends.",
        show_default=False,
    ),
]
BundleOption = Annotated[
    Path | None,
    typer.Option(
        "--bundle", help="A model's folder. Default: the champion in $KEEPSIGHT_HOME.", show_default=False
    ),
]
RulesOption = Annotated[bool, typer.Option("--rules-alone", help="Leave the model out: the rules answer.")]


@app.command()
@reported
def score(
    sources: SourcesOption,
    out: Annotated[
        Path, typer.Option("--out", help="Parquet file to write; replaced in one step.", callback=parquet_file)
    ],
    as_of: AsOfOption = None,
    bundle: BundleOption = None,
    rules_alone: RulesOption = False,
) -> None:
    """Score every account in force on a date, into a Parquet file."""
    from features.sources.delivery import refuse_to_replace_tables
    from serving.scoring import score_book, write_scores

    with _opened(sources) as company:
        refuse_to_replace_tables(company.sources, out)
        model = _model(company.sources, bundle, rules_alone)
        with progress_bar("Computing vectors") as progress:
            book = score_book(company, model, as_of, progress)
        write_scores(book, out)
    typer.echo(f"{out}: {len(book.order)} accounts as of {book.as_of:%Y-%m-%d %H:%M}, {_who(model)}.")


@app.command()
@reported
def explain(
    sources: SourcesOption,
    account: Annotated[str | None, typer.Argument(help="The account's id.", show_default=False)] = None,
    as_of: AsOfOption = None,
    most_at_risk: Annotated[
        bool, typer.Option("--most-at-risk", help="Explain the account with the highest churn probability.")
    ] = False,
    lang: Annotated[str, typer.Option(help="Language: en or zh.")] = "en",
    json: Annotated[bool, typer.Option("--json", help="The answer as the service gives it.")] = False,
    bundle: BundleOption = None,
    rules_alone: RulesOption = False,
) -> None:
    """Explain one account: the prediction, its parts, signs, actions and what is not known."""
    if (account is None) != most_at_risk:
        raise typer.BadParameter("name one account, or give --most-at-risk", param_hint="ACCOUNT")
    from models.explanation import sentences
    from serving.answers import explained
    from serving.negotiation import language
    from serving.scoring import account_vector, json_text, riskiest_vector, score_book

    with _opened(sources) as company:
        said_in = language(lang, None, sorted(company.catalogue.wording))
        model = _model(company.sources, bundle, rules_alone)
        if account is None:
            with progress_bar("Looking for the account most at risk") as progress:
                vector = riskiest_vector(score_book(company, model, as_of, progress))
        else:
            vector = account_vector(company, model, account, as_of)
        answer = explained(company, model, vector, said_in)
        typer.echo(json_text(answer) if json else sentences(answer, company.catalogue, said_in))


@app.command()
@reported
def serve(
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources",
            help="The company's sources.toml. Without: posted readings only.",
            envvar=SOURCES_VARIABLE,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.", envvar="KEEPSIGHT_HOST")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port; 0 takes a free one.", envvar="KEEPSIGHT_PORT", min=0, max=65535)
    ] = 8000,
    bundle: BundleOption = None,
    refresh_minutes: Annotated[
        float | None, typer.Option(help="Read the sources again every so many minutes.", min=0.01)
    ] = None,
) -> None:
    """Serve predictions over HTTP until stopped."""
    from features.sources import load_sources
    from serving.running import run
    from serving.settings import read_settings

    if sources is not None:
        load_sources(sources)  # what is wrong with it is said here, not in a log
    run(read_settings(sources=sources, bundle=bundle, host=host, port=port, refresh_minutes=refresh_minutes))


@contextmanager
def _opened(sources: Path) -> Iterator[Company]:
    from features.sources import load_sources
    from serving.company import Company

    company = Company(load_sources(sources), often=False)
    try:
        yield company
    finally:
        company.close()


def _model(sources: Sources, bundle: Path | None, rules_alone: bool) -> Bundle | None:
    """Return the model to answer with, and say so where there is none."""
    from models.bundle import load_fitting_bundle
    from serving.settings import read_settings

    if rules_alone:
        return None
    champion = read_settings().champion_folder
    if bundle is None and not champion.exists():
        typer.secho(
            f"No model at {champion}: the rules answer alone. `keepsight train --promote` makes one.", err=True
        )
        return None
    try:
        company = sources.config.company
        return load_fitting_bundle(bundle or champion, sources.catalogue, trusted=bundle is None, company=company)
    except KeepsightError as error:
        raise type(error)(f"{error}\nOr answer without a model: --rules-alone.") from error


def _who(model: Bundle | None) -> str:
    return "by the rules alone" if model is None else f"by model {model.version}"
