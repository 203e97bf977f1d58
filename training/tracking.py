"""MLflow: runs, the registry and its aliases. The one file of this package that imports it, and only when used.

Without ``MLFLOW_TRACKING_URI`` everything lies in ``$KEEPSIGHT_HOME``: ``mlflow.db``, ``mlruns/`` with the
artefacts, ``reports/`` by version, and ``champion``, the copy of the champion's bundle that is served.

The alias ``champion`` is the truth: it moves in one step, and only to a version that has passed its gates and
whose bundle has been read. The copy that is served and the line of champions follow it. A command that was killed
leaves them behind it at most: what is served is then the champion before, whole, and the next command puts all in
order and removes what the dead one left (:meth:`Tracking._in_order`).

One command at a time: those of one home wait for each other at a lock; those of several homes that share a
tracking server at a claim, with the guarantee that :mod:`training.claims` states.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import BundleError, GateError, NoModelError, TrackingError, near_miss
from models.bundle import (
    Bundle,
    digest_in,
    install_bundle,
    lay_beside,
    load_bundle,
    remove_unfinished,
    save_bundle,
)
from training.answering import TOLD_NUMBERS, TOLD_TEXTS, answers, catalogue_json, catalogue_of
from training.champions import Line
from training.claims import claim
from training.gates import Gate, Verdict, not_promoted, refusals, vouched_for
from training.ingredients import Ingredients
from training.store import refuse_unless_answering, refuse_unless_usable
from training.turns import PATIENCE_SECONDS, Say, left_behind, nobody, remove, turn, working_folder

if TYPE_CHECKING:
    from features.vectors import FeatureContract
    from training.run import Proof

MODEL = EXPERIMENT = "keepsight"
CHAMPION, CHALLENGER = "champion", "challenger"
HISTORY = "champion_history"  # tag of the registered model, see training.champions
GATE_TAG = "gate."
# Tags of a version: whether its gates let it serve (the service asks), whether it ever did, what it was made of.
PROMOTABLE, WAS_CHAMPION, INGREDIENTS = "promotable", "was_champion", "ingredients"
WORKING_FOLDER = "working_folder"  # tag of a run: tells whether it was killed
CATALOGUE = "catalogue.json"
LOCK = "training.lock"
REPORTS = "reports"
_URIS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
_REASON_LENGTH = 2_000  # MLflow refuses tags of more than 5,000 bytes

# What MLflow runs when it loads the model: no pickled object, and the class stays where it can be read.
_SCRIPT = "from training.tracking import answer_through_decide\n\nanswer_through_decide()\n"
_REQUIRED = ("duckdb", "ibis-framework", "lightgbm", "numpy", "pandas", "pyarrow", "pydantic")


def home() -> Path:
    """Return the folder of all state: ``$KEEPSIGHT_HOME``, else ``.keepsight`` here."""
    return Path(os.environ.get("KEEPSIGHT_HOME") or ".keepsight").resolve()


@dataclass(frozen=True, slots=True)
class Registered:
    """Where a run went: its id, the version of the registered model, and the folder of its report."""

    run_id: str
    version: int
    report: Path


@dataclass(frozen=True, slots=True)
class Made:
    """A registered version, as `retrain` looks at it.

    Attributes
    ----------
    version
        Its number.
    ingredients
        What it was made of.
    gates
        Its own.
    was_champion
        Whether it is the champion or ever was.
    is_champion
        Whether it is the champion.
    """

    version: int
    ingredients: Ingredients
    gates: tuple[Gate, ...]
    was_champion: bool
    is_champion: bool


@dataclass(frozen=True)
class _Registry:
    """The registered model, in order, held against others.

    Attributes
    ----------
    client
        MLflow's.
    versions
        All of them, by number.
    line
        The versions that were champion and may be again, newest last; the last is the champion.
    still_mine
        Raises if another has taken it over.
    """

    client: Any
    versions: dict[int, Any]
    line: tuple[int, ...]
    still_mine: Callable[[], None]


class Tracking:
    """The MLflow store of one home.

    Parameters
    ----------
    folder
        Keepsight's home.
    uri
        Of a tracking server; None: the store inside the home, made when it is first needed.
    say
        Told what is waited for, and what was put in order.
    patience_seconds
        How long to wait for other commands.
    """

    def __init__(
        self,
        folder: Path,
        uri: str | None = None,
        say: Say = nobody,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.folder = folder
        self.store = folder / "mlflow.db"
        self.uri = uri or f"sqlite:///{self.store}"
        self._own = uri is None
        self._say = say
        self._patience_seconds = patience_seconds
        self._turns = 0

    @classmethod
    def here(cls, say: Say = nobody) -> Tracking:
        """Return the store that the environment names."""
        return cls(home(), os.environ.get(_URIS[0]) or None, say)

    @property
    def champion_folder(self) -> Path:
        """Where the champion's bundle is copied to."""
        return self.folder / "champion"

    def refuse_unless_usable(self) -> None:
        """Refuse a store or server that cannot be used: asked before the long work, without loading MLflow.

        Raises
        ------
        TrackingError
            What is wrong with it, and what to do.
        """
        if self._own:
            refuse_unless_usable(self.store)
        else:
            refuse_unless_answering(self.uri)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep other commands of this home out; within it, all other methods may be called.

        Raises
        ------
        TrackingError
            Another command has not ended in time.
        """
        with contextlib.ExitStack() as held:
            if self._turns == 0:
                held.enter_context(turn(self.folder / LOCK, self._patience_seconds, self._say))
            self._turns += 1
            try:
                yield
            finally:
                self._turns -= 1

    def record(self, proof: Proof) -> Registered:
        """Log a run and register its model, with the alias ``challenger``.

        Logged are the recipe, all figures, the report, gates, the model card, the digest of the data, the bundle,
        and the bundle as a model that answers through :func:`models.decision.decide`. The report also lies in
        ``reports/VERSION`` of the home. A version appears once all of it is there, together with its gates.

        Raises
        ------
        TrackingError
            The store or the server cannot be used now.
        """
        # Not above: this file is what MLflow runs where a model answers, and nothing there draws reports.
        from training.report import report_of
        from training.report_files import report_files, write_files

        report = report_files(report_of(proof))
        with self._mlflow() as mlflow:
            client = mlflow.MlflowClient()
            self._reap(client)
            with working_folder(self.folder) as scratch, _temporary_files_in(scratch):
                tags = {WORKING_FOLDER: scratch.name}
                with mlflow.start_run(experiment_id=self._experiment(mlflow), tags=tags) as run:
                    _log_figures(mlflow, proof)
                    _log_files(mlflow, proof, scratch)
                    mlflow.log_artifacts(str(write_files(report, scratch / "report")), "report")
                    model = _log_model(mlflow, proof, scratch)
            _found_or_made(
                lambda: client.search_registered_models(f"name='{MODEL}'"),
                lambda: client.create_registered_model(MODEL),
            )
            version = client.create_model_version(
                MODEL, source=model.model_uri, run_id=run.info.run_id, model_id=model.model_id, tags=_tags(proof)
            )
            with self._in_order(client):  # sets the alias
                kept = write_files(report, self.folder / REPORTS / str(version.version))
                return Registered(run.info.run_id, int(version.version), kept)

    def promote(self, version: int, *, vouched: bool = False) -> Path:
        """Make a version the champion, if its gates let it, and copy its bundle to the champion's folder.

        Parameters
        ----------
        version
            Its number.
        vouched
            Somebody vouches for tables that could not be asked (gates G08 and G09); the version's gates will say
            so.

        Returns
        -------
        Path
            The champion's folder.

        Raises
        ------
        NoModelError
            There is no such version.
        GateError
            A gate stands against it; every reason is named, and what to do.
        BundleError
            The registry's copy is damaged.
        TrackingError
            The store or the server cannot be used now.
        """
        with self._registry() as registry:
            found = _version(registry.versions, version)
            gates = _gates_of(found.tags)
            if vouched:
                gates = vouched_for(gates)
            if refusals(gates):
                raise GateError(not_promoted(version, gates))
            if vouched:
                for name, value in _gate_tags(gates).items():
                    registry.client.set_model_version_tag(MODEL, str(version), name, value)
            self._say_if_another_company(registry, found)
            self._move(registry, found, (*registry.line, version))
        return self.champion_folder

    def rollback(self) -> int:
        """Make the version before the champion the champion again; return it.

        Raises
        ------
        NoModelError
            There was none before.
        BundleError
            The registry's copy is damaged.
        TrackingError
            The store or the server cannot be used now.
        """
        with self._registry() as registry:
            line = registry.line
            if len(line) < 2:
                now = f"Version {line[0]} is the first champion" if line else "There is no champion"
                raise NoModelError(f"{now}: nothing to go back to. `keepsight promote VERSION` makes one.")
            self._move(registry, registry.versions[line[-2]], line[:-1])
        return line[-2]

    def newest(self, company: str | None) -> Made | None:
        """Return the newest version that was made from a company's tables; None: there is none."""
        with self._registry() as registry:
            for number, found in sorted(registry.versions.items(), reverse=True):
                ingredients = Ingredients.from_tag(found.tags.get(INGREDIENTS))
                if ingredients is not None and ingredients.company == company:
                    return Made(
                        number,
                        ingredients,
                        tuple(_gates_of(found.tags)),
                        WAS_CHAMPION in found.tags,
                        registry.line[-1:] == (number,),
                    )
        return None

    def _move(self, registry: _Registry, version: Any, line: tuple[int, ...]) -> None:
        """Move the alias: note what the line becomes, move, and let the copy and the line follow.

        The bundle is read and laid beside the copy before anything moves. Killed at any point, the alias tells
        whether it was moved.
        """
        client, number = registry.client, int(version.version)
        bundle = self._fetched(client, version)
        lay_beside(bundle, self.champion_folder)
        moves = registry.line[-1:] != (number,)
        if moves:
            registry.still_mine()
            client.set_registered_model_tag(MODEL, HISTORY, Line(registry.line).moving_to(line).to_tag())
            registry.still_mine()
            client.set_registered_model_alias(MODEL, CHAMPION, str(number))
        install_bundle(bundle, self.champion_folder)
        if moves:
            client.set_model_version_tag(MODEL, str(number), WAS_CHAMPION, "yes")
            client.set_registered_model_tag(MODEL, HISTORY, Line(line).to_tag())

    def _fetched(self, client: Any, version: Any) -> Bundle:
        """Return a version's bundle from the registry, read in a process of its own first."""
        with working_folder(self.folder) as scratch:
            bundle = load_bundle(Path(client.download_artifacts(version.run_id, "bundle", str(scratch))))
        if bundle.digest != version.tags.get("bundle_digest"):
            raise BundleError(
                f"Version {version.version}: the registry's bundle is not the one that was registered "
                "(its digest differs). Train again (`keepsight train`)."
            )
        return bundle

    @contextmanager
    def _registry(self) -> Iterator[_Registry]:
        """Give the registered model, in order, and keep others out."""
        with self._mlflow() as mlflow:
            client = mlflow.MlflowClient()
            self._reap(client)
            if not client.search_registered_models(f"name='{MODEL}'"):
                yield _Registry(client, {}, (), _nothing)
                return
            with self._in_order(client) as registry:
                yield registry

    @contextmanager
    def _in_order(self, client: Any) -> Iterator[_Registry]:
        """Make everything follow the alias, and the alias the gates; then give the registered model.

        An alias on a version that its gates refuse was set by other hands: it goes back to the newest champion
        that they let, or is taken away.
        """
        with contextlib.ExitStack() as held:
            still_mine = _nothing
            if not self._own:
                still_mine = held.enter_context(claim(client, MODEL, self._patience_seconds, self._say))
            versions = {int(found.version): found for found in client.search_model_versions(f"name='{MODEL}'")}
            aliases = {n: int(v) for n, v in client.get_registered_model(MODEL).aliases.items()}
            line = self._settled(client, versions, aliases.get(CHAMPION))
            _mark(client, versions, aliases.get(CHALLENGER))
            if line:
                self._follow(client, versions[line[-1]])
            yield _Registry(client, versions, line, still_mine)

    def _settled(self, client: Any, versions: dict[int, Any], champion: int | None) -> tuple[int, ...]:
        """Return the line of champions that may serve, and write alias and line where they are not so."""
        told = client.get_registered_model(MODEL).tags.get(HISTORY)
        allowed = [
            number
            for number in Line.from_tag(told).settled(champion)
            if number in versions and not refusals(_gates_of(versions[number].tags))
        ]
        line = tuple(number for number, _ in itertools.groupby(allowed))
        if champion is not None and line[-1:] != (champion,):
            instead = f"version {line[-1]} is again" if line else "there is none now"
            self._say(f"Version {champion} was made champion past its gates, not by keepsight: {instead}.")
            if line:
                client.set_registered_model_alias(MODEL, CHAMPION, str(line[-1]))
            else:
                client.delete_registered_model_alias(MODEL, CHAMPION)
        if line and WAS_CHAMPION not in versions[line[-1]].tags:
            client.set_model_version_tag(MODEL, str(line[-1]), WAS_CHAMPION, "yes")
        if (line or told) and told != Line(line).to_tag():
            client.set_registered_model_tag(MODEL, HISTORY, Line(line).to_tag())
        return line

    def _follow(self, client: Any, champion: Any) -> None:
        """Make the copy that is served the champion's; one that cannot be had stays as it is."""
        if digest_in(self.champion_folder) == champion.tags.get("bundle_digest"):
            return
        try:
            install_bundle(self._fetched(client, champion), self.champion_folder)
        except BundleError as error:
            self._say(f"Version {champion.version} is the champion, but cannot be copied. {error}")

    def _reap(self, client: Any) -> None:
        """Mark the runs of processes that were killed, and remove their files.

        Who has the turn is alone in this home: a run of it that still seems to be under way is dead. Runs of other
        homes on the same server are theirs to judge.
        """
        dead = left_behind(self.folder)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None and (dead or self._own):
            for run in client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
                folder = run.data.tags.get(WORKING_FOLDER)
                if folder is not None and (self._own or folder in {path.name for path in dead}):
                    client.set_terminated(run.info.run_id, "KILLED")
                    self._say(f"Run {run.info.run_id} was killed before it ended; it is marked so.")
        for folder in dead:
            remove(folder)
        remove_unfinished(self.champion_folder)
        for unfinished in (self.folder / REPORTS).glob(".*"):
            remove(unfinished)

    def _say_if_another_company(self, registry: _Registry, version: Any) -> None:
        if registry.line:
            before = registry.versions[registry.line[-1]].tags.get("company")
            now = version.tags.get("company")
            if None not in (before, now) and before != now:
                self._say(
                    f"The champion before was trained on the tables of {before}, this one on those of {now}. Two "
                    "companies need two homes (KEEPSIGHT_HOME): the service refuses a model of another company."
                )

    def _experiment(self, mlflow: Any) -> str:
        location = (self.folder / "mlruns").as_uri() if self._own else None
        found = _found_or_made(
            lambda: mlflow.get_experiment_by_name(EXPERIMENT),
            lambda: mlflow.create_experiment(EXPERIMENT, artifact_location=location),
        )
        return str(found.experiment_id)

    @contextmanager
    def _mlflow(self) -> Iterator[Any]:
        """Have the turn, import MLflow and point it at this store, quietly, and at nothing once done."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # ours is the command's answer
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # else it waits four minutes for the dead
        with self.turn():
            self.refuse_unless_usable()
            import mlflow

            for noisy in ("mlflow", "alembic"):
                logging.getLogger(noisy).setLevel(logging.WARNING)
            with warnings.catch_warnings(), _explained(self.uri):
                warnings.simplefilter("ignore", UserWarning)  # recommends an example; we give a signature
                if self._own and not self.store.exists():
                    self._make_store(mlflow)
                with _pointed_at(mlflow, self.uri):
                    yield mlflow

    def _make_store(self, mlflow: Any) -> None:
        """Make an empty store under another name first: a killed migration would leave one that none can open."""
        unfinished = self.folder / f".{self.store.name}.part"
        unfinished.unlink(missing_ok=True)
        uri = f"sqlite:///{unfinished}"
        mlflow.MlflowClient(uri, uri).search_experiments()
        unfinished.replace(self.store)


def _nothing() -> None:
    """Hold nothing against anybody: the turn is enough."""


@contextmanager
def _pointed_at(mlflow: Any, uri: str) -> Iterator[None]:
    # Setting them also sets the environment, by which the next command would take our store for a server's.
    tracking, registry = (os.environ.get(name) for name in _URIS)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(tracking)
        mlflow.set_registry_uri(registry or "")
        if registry is None:
            os.environ.pop(_URIS[1], None)


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Say what MLflow or its database could not do, where, and what to do."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        text = " ".join(str(error).split())[:500]
        remedy = (
            f"Copy the store, then bring it up to date: `mlflow db upgrade {uri}`."
            if "out-of-date database schema" in text
            else "If it goes on, look at the store or the server: disk, rights, log. Nothing is half done: the "
            "same command may be started again."
        )
        raise TrackingError(f"{uri}: MLflow could not go on ({text}). {remedy}") from error


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Let all temporary files, MLflow's too, lie where they are found after a kill."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _log_figures(mlflow: Any, proof: Proof) -> None:
    recipe = proof.material.recipe.model_dump(exclude_none=True)
    parameters = {name: value for name, value in recipe.items() if not isinstance(value, dict)}
    for table, values in recipe.items():
        if isinstance(values, dict):
            parameters |= {f"{table}.{name}": value for name, value in values.items()}
    mlflow.log_params(parameters)
    registered = proof.registered
    metrics: dict[str, float] = {
        "churned_accounts_proven": proof.proven.churned_accounts,
        "churned_accounts": registered.churned_accounts,
        "rounds": registered.rounds,
        "kappa": registered.blend.kappa,
        "base_rate": registered.base_rate,
    }
    if proof.contest is not None:
        for name, scores in proof.contest.scores.items():
            for figure, value in scores.to_dict().items():
                if isinstance(value, float):
                    metrics[f"{name}.{figure}"] = value
    mlflow.log_metrics(metrics)
    mlflow.set_tags(
        {
            "dataset_digest": proof.snapshots.digest,
            "bundle_digest": proof.bundle.digest,
            "verdict": proof.verdict,
            "definitions": proof.bundle.contract.definitions,
            "label_definition": proof.rule.name,
            "label_text": proof.rule.text,
        }
    )


def _log_files(mlflow: Any, proof: Proof, scratch: Path) -> None:
    mlflow.log_artifacts(str(save_bundle(proof.bundle, scratch / "bundle")), "bundle")
    mlflow.log_text(proof.bundle.model_card, "model_card.md")
    mlflow.log_dict([one.to_dict() for one in proof.gates], "gates.json")
    if proof.search is not None:
        mlflow.log_dict(proof.search.to_dict(), "search.json")
    if proof.contest is not None:
        mlflow.log_dict({n: s.to_dict() for n, s in proof.contest.scores.items()}, "contest.json")


def _log_model(mlflow: Any, proof: Proof, scratch: Path) -> Any:
    script = scratch / "answering.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    catalogue = scratch / CATALOGUE
    catalogue.write_text(catalogue_json(proof.material.catalogue), encoding="utf-8")
    house = Path(__file__).resolve().parent.parent
    return mlflow.pyfunc.log_model(
        name="model",
        python_model=str(script),
        artifacts={"bundle": str(scratch / "bundle"), "catalogue": str(catalogue)},
        signature=_signature(proof.bundle.contract),
        # Given, since MLflow would otherwise start a process to find out: 11 s.
        pip_requirements=[f"{name}=={installed(name)}" for name in _REQUIRED],
        code_paths=[str(house / package) for package in ("features", "models", "training")],
    )


def _signature(contract: FeatureContract) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    asked = [ColSpec("string", "account_id"), ColSpec("datetime", "as_of")]
    asked += [ColSpec("double", name, required=False) for name in contract.names]
    asked.append(ColSpec("string", "unknown", required=False))
    told = [ColSpec("string", "account_id"), ColSpec("datetime", "as_of")]
    told += [ColSpec("double", name) for name in TOLD_NUMBERS] + [ColSpec("string", n) for n in TOLD_TEXTS]
    return ModelSignature(Schema(asked), Schema(told))


def answer_through_decide() -> None:
    """Tell MLflow that the model being loaded answers as :func:`models.decision.decide` does.

    Runs when MLflow loads the model's script. The model takes the columns of a snapshot file: ``account_id``,
    ``as_of``, the vector, and ``unknown``; a column or letter that is not given is unknown, ``not_given``.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import set_model

    class Answering(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        """The bundle, and the catalogue that it was trained under."""

        def load_context(self, context: Any) -> None:
            """Read bundle and catalogue."""
            self.bundle: Bundle = load_bundle(Path(context.artifacts["bundle"]))
            self.catalogue = catalogue_of(Path(context.artifacts["catalogue"]).read_text(encoding="utf-8"))

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            """Answer about each row."""
            del context, params
            return answers(model_input, self.bundle, self.catalogue)

        # The one hint that MLflow takes without wanting to check columns, which the signature does.
        predict.__annotations__["model_input"] = pd.DataFrame

    set_model(Answering())


def _tags(proof: Proof) -> dict[str, str]:
    tags = {
        **_gate_tags(proof.gates),
        INGREDIENTS: Ingredients.of(proof.snapshots, replace(proof.material, recipe=proof.asked)).to_tag(),
        "bundle_digest": proof.bundle.digest,
        "label_definition": proof.rule.name,
        "verdict": proof.verdict,
    }
    return tags if proof.snapshots.company is None else {**tags, "company": proof.snapshots.company}


def _gate_tags(gates: Sequence[Gate]) -> dict[str, str]:
    shown = [replace(one, reason=one.reason[:_REASON_LENGTH]) for one in gates]
    told = {f"{GATE_TAG}{one.code}": json.dumps(one.to_dict()) for one in shown}
    return {**told, PROMOTABLE: "yes" if gates and not refusals(gates) else "no"}


def _gates_of(tags: dict[str, str]) -> list[Gate]:
    """Read gates back; a version without any was not made here, and has passed none."""
    found = [json.loads(value) for name, value in sorted(tags.items()) if name.startswith(GATE_TAG)]
    if not found:
        return [Gate("G01", "gates", Verdict.CANNOT_JUDGE, "this version has none: `keepsight train` asks them.")]
    return [Gate(one["code"], one["about"], Verdict(one["verdict"]), one["reason"]) for one in found]


def _mark(client: Any, versions: dict[int, Any], challenger: int | None) -> None:
    """Say of each version whether it may serve, and give the newest one of ours the alias ``challenger``."""
    for number, found in versions.items():
        if PROMOTABLE not in found.tags:
            may = "no" if refusals(_gates_of(found.tags)) else "yes"
            client.set_model_version_tag(MODEL, str(number), PROMOTABLE, may)
    ours = [n for n, found in versions.items() if any(name.startswith(GATE_TAG) for name in found.tags)]
    if ours and max(ours) != challenger:
        client.set_registered_model_alias(MODEL, CHALLENGER, str(max(ours)))


def _version(versions: dict[int, Any], asked: int) -> Any:
    if asked not in versions:
        known = near_miss(str(asked), [str(number) for number in versions])
        raise NoModelError(
            f"There is no version {asked} of the model {MODEL}. {known} `keepsight train` makes a new one."
        )
    return versions[asked]


def _found_or_made(find: Callable[[], Any], make: Callable[[], object]) -> Any:
    """Find something on the server, made if need be; another home may make it at the same moment."""
    found = find()
    if found:
        return found
    try:
        make()
    except Exception:
        if not find():
            raise
    return find()
