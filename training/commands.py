"""``keepsight demo-data``, ``snapshot``, ``train``, ``retrain``, ``promote`` and ``rollback``."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.commandline import FAILED, SOURCES_VARIABLE, SourcesOption, parquet_file, reported

if TYPE_CHECKING:
    from rich.console import Console

    from features.catalogue import Catalogue
    from features.sources import Sources, Untimed
    from training.dataset import Snapshots
    from training.gates import Gate
    from training.recipe import Recipe
    from training.retrain import Retrained
    from training.run import Proof
    from training.search import Found
    from training.tracking import Registered, Tracking

app = typer.Typer(help="Snapshots, training and the champion model.", no_args_is_help=True)

DAY = ["%Y-%m-%d"]
SEARCHES = "search"  # in Keepsight's home: the trials of searches
SHOWN_TRIALS = 5
RecipeOption = Annotated[
    Path | None,
    typer.Option("--recipe", help="A TOML file with what differs from the default recipe.", show_default=False),
]
AsOfOption = Annotated[
    dt.datetime | None,
    typer.Option("--as-of", formats=DAY, help="Use only what was known then.", show_default=False),
]
VouchedOption = Annotated[
    bool,
    typer.Option(
        "--allow-unproven-tables",
        help="Vouch for tables that could not be asked (gates G08 and G09): the snapshot file does not carry the "
        "proof. The gates of the version, and the card of a model trained so, will say it.",
    ),
]


class Every(StrEnum):
    """How far apart the dates of snapshots lie."""

    MONTH = "month"


@app.command("demo-data")
@reported
def demo_data(
    out: Annotated[Path, typer.Argument(help="Folder for the tables, sources.toml and truth.parquet.")],
    accounts: Annotated[int, typer.Option(help="Accounts in service at any time, about.", min=1)] = 2000,
    months: Annotated[int, typer.Option(help="Months of history.", min=1)] = 30,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.", min=0)] = 7,
) -> None:
    """Write the tables of a simulated company, to try everything on."""
    from training.simulation import simulate

    with _progress() as bar:
        simulate(out, accounts, months, seed, bar("Simulating accounts"))
    typer.echo(f"{out / 'sources.toml'}: about {accounts:,} accounts over {months} months, seed {seed}.")


@app.command()
@reported
def snapshot(
    sources: SourcesOption,
    first: Annotated[dt.datetime, typer.Option("--from", formats=DAY, help="First date.")],
    last: Annotated[dt.datetime, typer.Option("--to", formats=DAY, help="Last date.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Parquet file to write; replaced in one step. Dates that it has are computed again only where "
            "what was known then has changed.",
            callback=parquet_file,
        ),
    ],
    every: Annotated[Every, typer.Option(help="Distance of the dates.")] = Every.MONTH,
    as_of: AsOfOption = None,
    recipe: RecipeOption = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compute all, whatever an older file or an interrupted run has.")
    ] = False,
    proof: Annotated[
        bool,
        typer.Option(
            "--proof/--no-proof",
            help="Let the file carry what promotion asks of the tables; they are read a second time for it.",
        ),
    ] = True,
    part_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Snapshots computed and written at a time, about: fewer need less memory and more time.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write vectors and labels of all accounts in force on the first day of each month.

    Started again, a run that was interrupted goes on where it ended; one more month costs one more month.
    """
    assert every is Every.MONTH
    from features.snapshot_store import Listener
    from features.snapshots import month_starts
    from features.sources import load_sources, open_database
    from features.sources.delivery import refuse_to_replace_tables
    from training.dataset import label_rule, to_file
    from training.recipe import load_recipe

    if last < first:
        raise typer.BadParameter(f"--to {last:%Y-%m-%d} lies before --from {first:%Y-%m-%d}")
    dates = month_starts(first.date(), last.date())
    if not dates:
        raise typer.BadParameter(f"no month begins between {first:%Y-%m-%d} and {last:%Y-%m-%d}")
    if as_of is not None and max(dates) > as_of:
        raise typer.BadParameter(f"--as-of {as_of:%Y-%m-%d} lies before the last date, {max(dates):%Y-%m-%d}")
    company, how = load_sources(sources), load_recipe(recipe)
    refuse_to_replace_tables(company, out)
    with _progress() as bar:
        bar("Reading tables")
        with open_database(company, truncated_at=_known_until(company, as_of)) as database:
            written = to_file(
                out,
                database,
                dates,
                label_rule(company, how),
                pairs_a_part=part_size,
                fresh=fresh,
                proven=proof,
                listener=Listener(bar, lambda sentence: typer.echo(sentence, err=True)),
            )
            left_out = database.untimed
    typer.echo(
        f"{out}: {written.rows:,} snapshots on {len(dates)} dates, {written.labelled:,} with a label, "
        f"{written.churned:,} of them churned. {written.computed:,} were computed now."
    )
    _say_left_out(left_out)


@app.command()
@reported
def train(
    context: typer.Context,
    sources: Annotated[
        Path | None,
        typer.Option("--sources", help="The company's sources.toml.", envvar=SOURCES_VARIABLE, show_default=False),
    ] = None,
    snapshots: Annotated[
        Path | None,
        typer.Option("--snapshots", help="A file of `keepsight snapshot` instead.", show_default=False),
    ] = None,
    as_of: AsOfOption = None,
    recipe: RecipeOption = None,
    search_trials: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1000,
            help="Boosters to try on the months before the final block; 0 takes the recipe's own.",
            show_default="as the recipe says",
        ),
    ] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Make it the champion, if the gates let it.")] = False,
    vouched: VouchedOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Train a model, prove it on months it has not seen, and register it."""
    told = context.get_parameter_source("sources")
    if snapshots is not None and told is not None and told.name == "ENVIRONMENT":
        sources = None  # the command line wins
    if (sources is None) == (snapshots is None):
        raise typer.BadParameter("give exactly one of --sources and --snapshots")
    from training.gates import not_promoted, refusals
    from training.recipe import load_recipe

    how, tracking = load_recipe(recipe), _tracking()
    if search_trials is not None:
        how = how.model_copy(update={"search": how.search.model_copy(update={"trials": search_trials})})
    with _progress() as bar:
        if sources is not None:
            proof = _train_from_sources(sources, as_of, how, bar, tracking.folder)
        else:
            assert snapshots is not None
            proof = _train_from_file(snapshots, as_of, how, bar, tracking.folder, vouched=vouched)
        bar("Registering")
        registered = _register(tracking, proof, promote=promote)
        against = refusals(proof.gates)
    if as_json:
        typer.echo(json.dumps(_as_json(proof, registered, promoted=promote and not against)))
    else:
        _print_proof(proof, registered)
    if promote and against:
        typer.secho(not_promoted(registered.version, proof.gates), err=True)
        raise typer.Exit(FAILED)
    if promote and not as_json:
        typer.echo(f"Version {registered.version} is the champion: {tracking.champion_folder}")


@app.command()
@reported
def promote(
    version: Annotated[int, typer.Argument(help="Version of the registered model.")],
    vouched: VouchedOption = False,
) -> None:
    """Make a registered version the champion, if its gates let it."""
    folder = _tracking().promote(version, vouched=vouched)
    typer.echo(f"Version {version} is the champion: {folder}")


@app.command()
@reported
def rollback() -> None:
    """Make the version that was champion before the champion again."""
    typer.echo(f"Version {_tracking().rollback()} is the champion again.")


@app.command()
@reported
def retrain(
    sources: SourcesOption,
    recipe: RecipeOption = None,
    force: Annotated[bool, typer.Option("--force", help="Train even if nothing has changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a line.")] = False,
) -> None:
    """Train if data, recipe or catalogue have changed, and promote if the gates let it: for a schedule.

    May be started at any time: what a killed one left is put in order, and of two at once one does the work.
    """
    from training.recipe import load_recipe
    from training.retrain import Outcome, Retrained
    from training.turns import turn_unless_taken

    how, tracking = load_recipe(recipe), _tracking()
    with turn_unless_taken(tracking.folder / "retrain.lock") as holder:
        if holder is not None:
            said = f"Nothing to do: another `keepsight retrain` is under way ({holder})."
            done = Retrained(Outcome.UNDER_WAY, said)
        else:
            done = _retrain(tracking, sources, how, force=force)
    typer.echo(json.dumps(asdict(done)) if as_json else done.sentence)
    if done.outcome is Outcome.REFUSED:
        raise typer.Exit(FAILED)


def _retrain(tracking: Tracking, path: Path, recipe: Recipe, *, force: bool) -> Retrained:
    from features.sources import load_sources
    from training.ingredients import Ingredients
    from training.retrain import retrain as bring_up_to_date
    from training.run import material_of

    company = load_sources(path)
    with _progress() as bar:
        found = _gathered(company, None, recipe, bar)
        material = material_of(found, company.catalogue, recipe, company.yearly_churn)

        def train() -> tuple[Registered, Sequence[Gate]]:
            proof = _proven(company, found, recipe, bar, tracking.folder)
            bar("Registering")
            return _register(tracking, proof, promote=True), proof.gates

        return bring_up_to_date(tracking, Ingredients.of(found, material), train, force=force)


def _tracking() -> Tracking:
    """Return the registry of this home, once it can be used."""
    from training.tracking import Tracking

    tracking = Tracking.here(lambda sentence: typer.echo(sentence, err=True))
    tracking.refuse_unless_usable()
    return tracking


def _register(tracking: Tracking, proof: Proof, *, promote: bool) -> Registered:
    """Register a model, and promote it if that is asked and the gates let it, before another command's turn."""
    from training.gates import refusals

    with tracking.turn():
        registered = tracking.record(proof)
        if promote and not refusals(proof.gates):
            tracking.promote(registered.version)
    return registered


Bar = Callable[[str], Callable[[int, int], None]]


def _train_from_sources(path: Path, as_of: dt.datetime | None, recipe: Recipe, bar: Bar, home: Path) -> Proof:
    from features.sources import load_sources

    company = load_sources(path)
    return _proven(company, _gathered(company, as_of, recipe, bar), recipe, bar, home)


def _gathered(company: Sources, as_of: dt.datetime | None, recipe: Recipe, bar: Bar) -> Snapshots:
    from features.sources import open_database
    from training.dataset import gather, label_rule, training_dates

    rule = label_rule(company, recipe)
    bar("Reading tables")
    with open_database(company, truncated_at=_known_until(company, as_of)) as database:
        dates = training_dates(database, rule, recipe)
        return gather(database, dates, rule, bar("Computing vectors"), horizons=recipe.horizons.days)


def _proven(company: Sources, found: Snapshots, recipe: Recipe, bar: Bar, home: Path) -> Proof:
    from training.dataset import rebuild_from
    from training.run import train as prove

    return prove(
        found,
        company.catalogue,
        recipe,
        yearly_churn=company.yearly_churn,
        rebuild=rebuild_from(company, found.vectors.contract),
        stage=lambda name: bar(name.capitalize()),
        searches=home / SEARCHES,
    )


def _train_from_file(
    path: Path, as_of: dt.datetime | None, recipe: Recipe, bar: Bar, home: Path, *, vouched: bool = False
) -> Proof:
    from training.dataset import from_file, known_at
    from training.run import train as prove

    found = from_file(path)
    if found.labelled is None:
        _warn(f"{path}: does not say how it was labelled; it is taken to be as the recipe asks.")
    if as_of is not None:
        found = known_at(found, as_of, recipe)
    catalogue = _catalogue_of(found)
    return prove(
        found,
        catalogue,
        recipe,
        stage=lambda name: bar(name.capitalize()),
        searches=home / SEARCHES,
        vouched=vouched,
    )


def _catalogue_of(found: Snapshots) -> Catalogue:
    """Return our catalogue, if the file was made by it; one with an overlay comes with its sources only."""
    from features.catalogue import load_catalogue
    from features.errors import TrainingError

    catalogue = load_catalogue()
    if found.vectors.contract.definitions != catalogue.definitions_fingerprint:
        raise TrainingError(
            f"The snapshots were made by definitions {found.vectors.contract.definitions}, the catalogue has "
            f"{catalogue.definitions_fingerprint}. Write them anew, or train from --sources, which knows the "
            "company's own catalogue."
        )
    return catalogue


@contextmanager
def _progress() -> Iterator[Bar]:
    """Show what is going on, on standard error, while it lasts."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def begin(name: str) -> Callable[[int, int], None]:
            for task in progress.tasks:
                progress.update(task.id, total=1, completed=1)
            task_id = progress.add_task(name, total=None)
            return lambda done, total: progress.update(task_id, completed=done, total=total)

        yield begin


def _as_json(proof: Proof, registered: Registered, *, promoted: bool) -> dict[str, Any]:
    contest = proof.contest
    scores = {} if contest is None else {name: s.to_dict() for name, s in contest.scores.items()}
    return {
        "run_id": registered.run_id,
        "version": registered.version,
        "verdict": proof.verdict,
        "search": None if proof.search is None else proof.search.to_dict(),
        "promoted": promoted,
        "contest": scores,
        "gates": [one.to_dict() for one in proof.gates],
        "bundle_digest": proof.bundle.digest,
        "dataset_digest": proof.snapshots.digest,
        "labels": dict.fromkeys(proof.rule.kinds, 0) | proof.snapshots.accounts_by_kind(),
        "label_definition": {"name": proof.rule.name, "sentence": proof.rule.sentence},
        "report": str(registered.report / "report.html"),
        "churned_accounts": {
            "trained": proof.proven.churned_accounts,
            "final": 0 if contest is None else contest.block.churned_accounts,
            "registered": proof.registered.churned_accounts,
        },
        "final_dates": [] if contest is None else sorted({str(day)[:10] for day in contest.block.as_of}),
        "bands": [] if contest is None else [[b.band, b.snapshots, b.churned] for b in contest.bands],
        "intervals": None if contest is None or contest.intervals is None else asdict(contest.intervals),
        "origins": [one.to_dict() for one in proof.proven.origins],
        "horizons": [one.to_dict() for one in proof.horizons],
        "not_healthy_before": {} if contest is None else dict(contest.not_healthy_before),
    }


def _print_proof(proof: Proof, registered: Registered) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if proof.search is not None:
        _print_search(proof.search, console)
    contest = proof.contest
    if contest is not None:
        table = Table(title=f"Final block: {_block(proof)}", title_justify="left")
        for heading in ("", "log loss", "AUC", "Brier", "ECE", "lift", "ARR caught"):
            table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
        for name, s in contest.scores.items():
            figures = (s.auc, s.brier, s.ece, s.lift, s.arr_caught)
            shown = ["–" if value is None else f"{value:.3f}" for value in figures]
            table.add_row(name, f"{s.log_loss:.4f}", *shown)
        console.print(table)
    table = Table(title="Gates", title_justify="left")
    for heading in ("gate", "verdict", "reason"):
        table.add_column(heading)
    colour = {"pass": "green", "fail": "red", "cannot_judge": "yellow"}
    for one in proof.gates:
        table.add_row(f"{one.code} {one.about}", f"[{colour[one.verdict]}]{one.verdict}[/]", one.reason)
    console.print(table)
    console.print(_labels(proof), highlight=False)
    console.print(_weights(proof), highlight=False)
    console.print(proof.verdict, style="bold", highlight=False)
    console.print(f"Registered as version {registered.version} (run {registered.run_id}).", highlight=False)
    # Not by `console`, which would break the path where the line ends.
    typer.echo(f"Report: {registered.report / 'report.html'}")
    _say_left_out(proof.snapshots.left_out or ())


def _print_search(found: Found, console: Console) -> None:
    from rich.table import Table

    from training.search import TRIED

    table = Table(title=found.sentence, title_justify="left")
    for heading in ("trial", "log loss", "trees", *TRIED):
        table.add_column(heading, justify="right")
    for trial in found.trials[:SHOWN_TRIALS]:
        loss = f"{trial.log_loss:.4f}" if trial.finished else "given up"
        tried = [f"{getattr(trial.booster, name):g}" for name in TRIED]
        table.add_row("own" if trial.number == 0 else str(trial.number), loss, str(trial.rounds), *tried)
    console.print(table)


def _block(proof: Proof) -> str:
    assert proof.contest is not None
    block = proof.contest.block
    days = sorted({str(day)[:10] for day in block.as_of})
    return (
        f"{days[0]} to {days[-1]}, {len(block):,} snapshots of {block.accounts:,} accounts, "
        f"{block.churned_accounts:,} churned (learnt from {proof.proven.churned_accounts:,})"
    )


def _labels(proof: Proof) -> str:
    told = ", ".join(f"{kind} {accounts:,}" for kind, accounts in proof.snapshots.accounts_by_kind().items())
    return f"{proof.rule.sentence} Accounts by kind: {told or 'not told by the file'}."


def _weights(proof: Proof) -> str:
    from training.card import drivers

    named = ", ".join(f"{name} {size:.2f}" for name, size in drivers(proof.material, proof.registered)[:8])
    weight = proof.registered.blend.full_weight
    return f"Answers rest most on (mean log-odds): {named}. Model weight {weight:.2f} at full coverage."


def _say_left_out(left_out: Sequence[Untimed]) -> None:
    for item in left_out:
        _warn(f"Left out of training: {item}.")


def _known_until(company: Sources, as_of: dt.datetime | None) -> dt.datetime:
    """Return until when records count: as asked, and not longer than now.

    What is recorded in the future is a mistake, and would put the end of the history there.
    """
    from features.clock import CLOCKS_DIFFER, now
    from features.sources.database import observed_until_said

    said, until = observed_until_said(company.config.observed_until), now()
    if said is not None and said > until + CLOCKS_DIFFER:
        _warn(
            f"{company.path}: observed_until = {company.config.observed_until} lies in the future; the history "
            "is taken to end now."
        )
    return until if as_of is None else min(as_of, until)


def _warn(sentence: str) -> None:
    typer.secho(sentence, fg=typer.colors.YELLOW, err=True)
