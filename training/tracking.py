"""MLflow: runs, the registry and its aliases. The one file of this package that imports it, and only when used.

Without ``MLFLOW_TRACKING_URI`` everything lies in ``$KEEPSIGHT_HOME``: ``mlflow.db``, ``mlruns/`` with the
artefacts, ``reports/`` by version, and ``champion/``, the copy of the champion's bundle that is served.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import BundleError, GateError, NoModelError, near_miss
from models.bundle import Bundle, load_bundle, save_bundle
from training.answering import TOLD_NUMBERS, TOLD_TEXTS, answers, catalogue_json, catalogue_of
from training.gates import Gate, Verdict, refusals

if TYPE_CHECKING:
    from features.vectors import FeatureContract
    from training.run import Proof

MODEL = EXPERIMENT = "keepsight"
CHAMPION, CHALLENGER = "champion", "challenger"
HISTORY = "champion_history"  # tag of the registered model: versions that were champion, newest last
GATE_TAG = "gate."
CATALOGUE = "catalogue.json"
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


class Tracking:
    """The MLflow store of one home.

    Parameters
    ----------
    folder
        Keepsight's home.
    uri
        Of a tracking server; None: the store inside the home, made when it is first needed.
    """

    def __init__(self, folder: Path, uri: str | None = None) -> None:
        self.folder = folder
        self.uri = uri or f"sqlite:///{folder / 'mlflow.db'}"
        self._own = uri is None

    @classmethod
    def here(cls) -> Tracking:
        """Return the store that the environment names."""
        return cls(home(), os.environ.get(_URIS[0]) or None)

    @property
    def champion_folder(self) -> Path:
        """Where the champion's bundle is copied to."""
        return self.folder / "champion"

    def record(self, proof: Proof) -> Registered:
        """Log a run and register its model, with the alias ``challenger``.

        Logged are the recipe, all figures, the report, gates, the model card, the digest of the data, the bundle,
        and the bundle as a model that answers through :func:`models.decision.decide`. The report also lies in
        ``reports/VERSION`` of the home.
        """
        # Not above: this file is what MLflow runs where a model answers, and nothing there draws reports.
        from training.report import report_of
        from training.report_files import report_files, write_files

        report = report_files(report_of(proof))
        with self._mlflow() as mlflow, tempfile.TemporaryDirectory(prefix="keepsight-run-") as scratch:
            experiment = self._experiment(mlflow)
            with mlflow.start_run(experiment_id=experiment) as run:
                _log_figures(mlflow, proof)
                _log_files(mlflow, proof, Path(scratch))
                mlflow.log_artifacts(str(write_files(report, Path(scratch) / "report")), "report")
                model = _log_model(mlflow, proof, Path(scratch))
            client = mlflow.MlflowClient()
            _ensure_registered_model(client)
            version = client.create_model_version(
                MODEL, source=model.model_uri, run_id=run.info.run_id, model_id=model.model_id, tags=_tags(proof)
            )
            client.set_registered_model_alias(MODEL, CHALLENGER, version.version)
            kept = write_files(report, self.folder / "reports" / str(version.version))
            return Registered(run.info.run_id, int(version.version), kept)

    def promote(self, version: int) -> Path:
        """Make a version the champion, if its gates let it, and copy its bundle to the champion's folder.

        Returns
        -------
        Path
            The champion's folder.

        Raises
        ------
        NoModelError
            There is no such version.
        GateError
            A gate stands against it; every reason is named.
        BundleError
            The registry's copy is damaged.
        """
        with self._mlflow() as mlflow:
            client = mlflow.MlflowClient()
            found = self._version(client, version)
            against = refusals(_gates_of(found.tags))
            if against:
                raise GateError(
                    f"Version {version} is not promoted:\n" + "\n".join(f"  {line}" for line in against)
                )
            history = _history(client)
            self._install(client, found)
            client.set_registered_model_alias(MODEL, CHAMPION, str(version))
            if history[-1:] != [version]:
                history.append(version)
            client.set_registered_model_tag(MODEL, HISTORY, json.dumps(history))
        return self.champion_folder

    def rollback(self) -> int:
        """Make the version before the champion the champion again; return it.

        Raises
        ------
        NoModelError
            There was none before.
        """
        with self._mlflow() as mlflow:
            client = mlflow.MlflowClient()
            history = _history(client) if self._has_model(client) else []
            if len(history) < 2:
                now = f"Version {history[0]} is the first champion" if history else "There is no champion"
                raise NoModelError(f"{now}: nothing to go back to. `keepsight promote VERSION` makes one.")
            *before, _ = history
            self._install(client, self._version(client, before[-1]))
            client.set_registered_model_alias(MODEL, CHAMPION, str(before[-1]))
            client.set_registered_model_tag(MODEL, HISTORY, json.dumps(before))
        return before[-1]

    def _install(self, client: Any, version: Any) -> None:
        """Copy a version's bundle into the champion's folder, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="keepsight-bundle-") as scratch:
            fetched = Path(client.download_artifacts(version.run_id, "bundle", scratch))
            bundle = load_bundle(fetched)
            if bundle.digest != version.tags.get("bundle_digest"):
                raise BundleError(
                    f"Version {version.version}: the registry's bundle is not the one that was registered "
                    "(its digest differs). Train again (`keepsight train`)."
                )
            save_bundle(bundle, self.champion_folder)

    def _version(self, client: Any, version: int) -> Any:
        there = {int(v.version): v for v in client.search_model_versions(f"name='{MODEL}'")}
        if version not in there:
            known = near_miss(str(version), [str(number) for number in there])
            raise NoModelError(
                f"There is no version {version} of the model {MODEL}. {known} `keepsight train` makes a new one."
            )
        return there[version]

    def _has_model(self, client: Any) -> bool:
        return bool(client.search_registered_models(f"name='{MODEL}'"))

    def _experiment(self, mlflow: Any) -> str:
        found = mlflow.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        location = (self.folder / "mlruns").as_uri() if self._own else None
        return str(mlflow.create_experiment(EXPERIMENT, artifact_location=location))

    @contextmanager
    def _mlflow(self) -> Iterator[Any]:
        """Import MLflow and point it at this store, quietly, and at nothing once done."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        import mlflow

        if self._own:
            self.folder.mkdir(parents=True, exist_ok=True)
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        # Setting them also sets the environment, by which the next command would take our store for a server's.
        tracking, registry = (os.environ.get(name) for name in _URIS)
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # recommends an example; we give a signature
                yield mlflow
        finally:
            mlflow.set_tracking_uri(tracking)
            mlflow.set_registry_uri(registry or "")
            if registry is None:
                os.environ.pop(_URIS[1], None)


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
    shown = [replace(one, reason=one.reason[:_REASON_LENGTH]) for one in proof.gates]
    gates = {f"{GATE_TAG}{one.code}": json.dumps(one.to_dict()) for one in shown}
    digest = {"bundle_digest": proof.bundle.digest, "label_definition": proof.rule.name}
    return {**gates, **digest, "verdict": proof.verdict}


def _gates_of(tags: dict[str, str]) -> list[Gate]:
    """Read gates back; a version without any was not made here, and has passed none."""
    found = [json.loads(value) for name, value in sorted(tags.items()) if name.startswith(GATE_TAG)]
    if not found:
        return [Gate("G01", "gates", Verdict.CANNOT_JUDGE, "this version has none: `keepsight train` asks them.")]
    return [Gate(one["code"], one["about"], Verdict(one["verdict"]), one["reason"]) for one in found]


def _ensure_registered_model(client: Any) -> None:
    if not client.search_registered_models(f"name='{MODEL}'"):
        client.create_registered_model(MODEL)


def _history(client: Any) -> list[int]:
    tags = client.get_registered_model(MODEL).tags
    return [int(version) for version in json.loads(tags.get(HISTORY, "[]"))]
