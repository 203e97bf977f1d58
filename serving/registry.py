"""The champion model: which one answers, and how a new one takes over.

The one file here that may import MLflow, and only when a registry is named: the service itself needs none. The
champion's last good copy (``$KEEPSIGHT_HOME/champion``, written by `promote`) is enough to start and to answer.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import structlog

from features.catalogue import Catalogue
from features.errors import BundleError, KeepsightError
from models.bundle import SUMS, Bundle, digest_in, install_bundle, load_bundle, load_fitting_bundle

REGISTRY_TIMEOUT_SECONDS = "5"

log = structlog.get_logger()


class Champion:
    """The model in use. Readers take :attr:`bundle` once; a swap is one assignment.

    A bundle that cannot be read or does not fit is refused, and the one before stays.
    """

    def __init__(
        self, folder: Path, catalogue: Catalogue, *, trusted: bool = False, company: str | None = None
    ) -> None:
        self.folder = folder
        self.catalogue = catalogue
        self._company = company
        self._trusted = trusted
        self.bundle: Bundle | None = None
        self.refused: str | None = None
        self._stamp: bytes | None = None
        self._lock = threading.Lock()

    def look(self) -> bool:
        """Take the folder's bundle if it is another than the one in use; tell whether it was swapped."""
        with self._lock:
            stamp = _stamp(self.folder)
            if stamp is None or stamp == self._stamp:
                return False
            try:
                bundle = load_fitting_bundle(
                    self.folder, self.catalogue, trusted=self._trusted, company=self._company
                )
            except KeepsightError as error:
                if self.refused != str(error):
                    log.warning("model refused", folder=str(self.folder), reason=str(error))
                self.refused = str(error)
                return False
            self._stamp, self.refused = stamp, None
            self.bundle = bundle
            log.info("model in use", folder=str(self.folder), digest=bundle.digest)
            return True


def _stamp(folder: Path) -> bytes | None:
    try:
        return (folder / SUMS).read_bytes()
    except OSError:
        return None


def fetch_champion(registry_uri: str, model: str, folder: Path) -> bool:
    """Copy the registry's champion to `folder` if it is another one; tell whether it was.

    Parameters
    ----------
    registry_uri
        MLflow tracking and registry address.
    model
        The registered model's name; its version with the alias ``champion`` is taken.
    folder
        Where the last good copy lies.

    Raises
    ------
    BundleError
        MLflow is not installed, the registry does not answer, or what it has is damaged, was registered by
        something else than `keepsight train`, or was refused by its gates.
    """
    # Bounded: MLflow's own defaults wait four minutes for a registry that is down.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", REGISTRY_TIMEOUT_SECONDS)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise BundleError(
            f"MLflow is not installed, so the registry {registry_uri} cannot be asked. "
            "Install `keepsight[training]`, or leave KEEPSIGHT_REGISTRY_URI out and copy the bundle yourself."
        ) from None
    with tempfile.TemporaryDirectory(prefix="keepsight-champion-") as scratch:
        try:
            client = mlflow.MlflowClient(tracking_uri=registry_uri, registry_uri=registry_uri)
            version = client.get_model_version_by_alias(model, "champion")
            registered = version.tags.get("bundle_digest")
            if registered is not None and registered == digest_in(folder):
                return False
            if version.tags.get("promotable") != "yes":
                raise BundleError(
                    f"Version {version.version} of {model} has the alias champion in the registry {registry_uri}, "
                    "but not by its gates. `keepsight promote` or `keepsight rollback` puts it right; the last "
                    "good model stays in use."
                )
            fetched = Path(client.download_artifacts(version.run_id, "bundle", scratch))
        except (MlflowException, OSError) as error:
            raise BundleError(
                f"The registry {registry_uri} gives no champion of {model}: {str(error)[:300]} "
                "Check the address and `keepsight promote`; the last good model stays in use."
            ) from error
        bundle = load_bundle(fetched)
        if registered is not None and bundle.digest != registered:
            raise BundleError(
                f"The registry {registry_uri} holds another bundle than version {version.version} was registered "
                "with (its digest differs). Train again (`keepsight train`); the last good model stays in use."
            )
        install_bundle(bundle, folder)
    return True
