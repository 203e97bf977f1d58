"""A trained model as a folder of text: saved whole or not at all, and refused when a byte of it has changed.

::

    booster.txt       the LightGBM model
    calibration.json  a, b, the booster's start, the base rate, the horizon, and what leads from it to others
    scorecard.json    refitted weights, and the policy that they were fitted under
    blend.json        kappa, churned accounts, median coverage, recipe of the interval
    contract.json     the vectors' columns, what stands for unknown in the booster, and whose tables they were
    recipe.toml       how it was trained
    model_card.md     what it is, for people
    SHA256SUMS        digests of all of these
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from features.errors import BundleError, ContractMismatchError
from features.readings import UnknownReason
from features.vectors import FeatureContract, Vectors, feature_contract
from models.blend import Blend, Interval
from models.booster import REMEDY, contributions, load_booster, refuse_unless_readable
from models.calibration import Platt
from models.design import DesignMatrix, Medians, design_matrix
from models.hazard import Hazard
from models.scorecard import Scorecard
from models.start import Start

if TYPE_CHECKING:
    from features.catalogue import Catalogue

FORMAT = 3
SUMS = "SHA256SUMS"
FILES = (
    "blend.json",
    "booster.txt",
    "calibration.json",
    "contract.json",
    "model_card.md",
    "recipe.toml",
    "scorecard.json",
)

Read = TypeVar("Read")


@dataclass(frozen=True)
class Bundle:
    """Everything that a probability comes from.

    Attributes
    ----------
    booster_text
        From :func:`models.booster.booster_text`.
    start, platt, scorecard, blend
        What the booster adds to, its calibration, refitted rules, and how both are blended.
    contract, medians
        The vectors that it reads, and what stands for unknown in the booster.
    hazard
        The window that the probability is about, and what leads from it to other horizons.
    base_rate
        Share of the training rows that churned within the horizon.
    recipe, model_card
        TOML and Markdown, as they were given.
    company
        Whose tables it was trained on, as their ``sources.toml`` names it; None: not known.
    version
        Name by which answers mention it; the registry's, else the digest's first 12 digits. Not part of the
        folder.
    """

    booster_text: str
    start: Start
    platt: Platt
    scorecard: Scorecard
    blend: Blend
    contract: FeatureContract
    medians: Medians
    hazard: Hazard
    base_rate: float
    recipe: str = ""
    model_card: str = ""
    company: str | None = None
    given_version: str | None = field(default=None, compare=False)

    @cached_property
    def booster(self) -> Any:
        """The LightGBM booster; safe to ask from several threads."""
        return load_booster(self.booster_text)

    @cached_property
    def expected_margin(self) -> float:
        """What the booster adds to an account of which nothing is said: TreeSHAP's base value (f₀)."""
        columns = self.booster.num_feature()
        return float(contributions(self.booster, np.zeros((1, columns)))[0, -1])

    @property
    def horizon_days(self) -> int:
        """Length of the window that the probability is about."""
        return self.hazard.days

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The folder's files, in the order of their names."""
        texts = {
            "blend.json": _json(asdict(self.blend)),
            "booster.txt": self.booster_text,
            "calibration.json": _json(
                {
                    "a": self.platt.a,
                    "b": self.platt.b,
                    "base_rate": self.base_rate,
                    "start": asdict(self.start),
                    "hazard": asdict(self.hazard),
                }
            ),
            "contract.json": _json(
                {
                    "format": FORMAT,
                    "contract": json.loads(self.contract.to_json()),
                    "best": self.medians.best,
                    "fills": self.medians.fills,
                    "stale_after_days": self.medians.stale_after_days,
                    "company": self.company,
                }
            ),
            "model_card.md": self.model_card,
            "recipe.toml": self.recipe,
            "scorecard.json": self.scorecard.to_json(),
        }
        return {name: texts[name].encode() for name in FILES}

    @cached_property
    def sums(self) -> str:
        """The content of SHA256SUMS, as `sha256sum` writes and checks it."""
        return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in self.files.items())

    @cached_property
    def digest(self) -> str:
        """64 hex digits over all of it: the same data and seed give the same digest."""
        return hashlib.sha256(self.sums.encode()).hexdigest()

    @property
    def version(self) -> str:
        """The name that answers give it."""
        return self.given_version or self.digest[:12]


def save_bundle(bundle: Bundle, folder: Path) -> Path:
    """Write a bundle, whole or not at all; a bundle that is there already is replaced.

    Raises
    ------
    BundleError
        The folder holds something else than a bundle.
    """
    if folder.exists() and not (folder.is_dir() and (_is_bundle(folder) or not any(folder.iterdir()))):
        raise BundleError(f"{folder}: holds something else than a bundle. Name another folder, or empty it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    written = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in {**bundle.files, SUMS: bundle.sums.encode()}.items():
            _write(written / name, content)
        written.chmod(0o755)
        _sync(written)
        _replace(written, folder)
    except BaseException:
        shutil.rmtree(written, ignore_errors=True)
        raise
    _sync(folder.parent)
    return folder


def install_bundle(bundle: Bundle, place: Path) -> Path:
    """Make `place` lead to a bundle, in one step: at every moment to the old one or to the new one, whole.

    The bundle is written beside, as ``.NAME-DIGEST``, and `place` is a link to it. A folder cannot be exchanged
    for another in one step everywhere; a link can. What `place` led to before is left for readers that are in the
    middle of it, and removed by the installation after the next.

    Raises
    ------
    BundleError
        `place` is a folder that holds something else than a bundle.
    """
    folder, before = lay_beside(bundle, place), place.resolve()
    if place.is_dir() and not place.is_symlink():
        if not _is_bundle(place) and any(place.iterdir()):
            raise BundleError(f"{place}: holds something else than a bundle. Name another folder, or empty it.")
        before = place.with_name(f".{place.name}-before")  # of a version that wrote the folder itself
        shutil.rmtree(before, ignore_errors=True)
        place.replace(before)
    link = place.with_name(f".{place.name}-link")
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name, target_is_directory=True)
    link.replace(place)
    _sync(place.parent)
    kept = (folder.resolve(), before.resolve())
    for left in place.parent.glob(f".{place.name}-*"):
        if left.resolve() not in kept:
            shutil.rmtree(left, ignore_errors=True)
    return place


def lay_beside(bundle: Bundle, place: Path) -> Path:
    """Write a bundle to where :func:`install_bundle` needs it: what can fail fails now, before anything moves."""
    folder = place.with_name(f".{place.name}-{bundle.digest[:16]}")
    if not _intact(folder, bundle):
        shutil.rmtree(folder, ignore_errors=True)
        save_bundle(bundle, folder)
    return folder


def remove_unfinished(place: Path) -> None:
    """Remove what killed processes had begun to lay beside; call it where no other process can be at it."""
    for left in place.parent.glob(f"..{place.name}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _intact(folder: Path, bundle: Bundle) -> bool:
    try:
        return _verified(folder) == bundle.files and (folder / SUMS).read_bytes() == bundle.sums.encode()
    except (BundleError, OSError):
        return False


def digest_in(folder: Path) -> str | None:
    """Return the digest of the bundle in a folder, without reading it; None where there is none."""
    try:
        return hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()
    except OSError:
        return None


def load_bundle(folder: Path, *, trusted: bool = False, version: str | None = None) -> Bundle:
    """Read a bundle back, after its digests.

    Parameters
    ----------
    folder
        As :func:`save_bundle` wrote it.
    trusted
        This process, or one it trusts, wrote the folder: the digests are verified as ever, but the booster is
        not first parsed in a process of its own (about a second).
    version
        The registry's name for it, mentioned in answers.

    Raises
    ------
    BundleError
        A file is missing, changed or cannot be read; the message names it and says what to do.
    """
    folder = folder.resolve()  # an installation may put another in its place while this one is read
    contents = _verified(folder)
    text = {name: content.decode("utf-8", errors="replace") for name, content in contents.items()}
    if not trusted:
        refuse_unless_readable(folder / "booster.txt")
    contract = _read(folder, "contract.json", text, _contract)
    calibration = _read(folder, "calibration.json", text, json.loads)
    bundle = Bundle(
        booster_text=text["booster.txt"],
        start=_read(folder, "calibration.json", text, lambda _: Start(**calibration["start"])),
        platt=_read(folder, "calibration.json", text, lambda _: Platt(calibration["a"], calibration["b"])),
        scorecard=_read(folder, "scorecard.json", text, Scorecard.from_json),
        blend=_read(folder, "blend.json", text, _blend),
        contract=contract[0],
        medians=contract[1],
        hazard=_read(folder, "calibration.json", text, lambda _: Hazard.from_plain(calibration["hazard"])),
        company=contract[2],
        base_rate=_read(folder, "calibration.json", text, lambda _: _share(calibration["base_rate"])),
        recipe=text["recipe.toml"],
        model_card=text["model_card.md"],
        given_version=version,
    )
    _refuse_unless_whole(folder, bundle)
    return bundle


def load_fitting_bundle(
    folder: Path, catalogue: Catalogue, *, trusted: bool = False, company: str | None = None
) -> Bundle:
    """Read a bundle back, once its digests hold and it fits the catalogue in force and the company.

    `trusted`: the folder is the champion's own, written by `promote`; any other model is first parsed in a
    process of its own, since a damaged one can end the process that reads it. `company`: whose accounts it is to
    answer about; None, or a bundle that names none: any.

    Raises
    ------
    BundleError
        Missing, damaged or changed.
    ContractMismatchError
        It was trained with other definitions, or on another company's tables.
    """
    bundle = load_bundle(folder, trusted=trusted)
    if company is not None and bundle.company is not None and bundle.company != company:
        raise ContractMismatchError(
            f"{folder}: this model was trained on the tables of {bundle.company}, and the sources are those of "
            f"{company}. Give each company a home of its own (KEEPSIGHT_HOME=…) and train there; if it is the "
            "same company under a new name, train again."
        )
    codebooks = {column.name: column.codebook for column in bundle.contract.columns if column.codebook}
    bundle.contract.refuse_unless_equal(feature_contract(catalogue, codebooks))
    return bundle


def _refuse_unless_whole(folder: Path, bundle: Bundle) -> None:
    """Refuse parts that do not belong together; loads the booster on the way."""
    columns = bundle.booster.num_feature()
    if columns != len(bundle.medians.fills):
        raise BundleError(
            f"{folder}: booster.txt reads {columns} columns, contract.json has {len(bundle.medians.fills)}. "
            + REMEDY
        )
    _read(folder, "contract.json", {"contract.json": ""}, lambda _: _design_of_nothing(bundle))
    items = tuple(column.name for column in bundle.contract.items)
    if items != bundle.scorecard.items:
        raise BundleError(f"{folder}: scorecard.json and contract.json name different items. {REMEDY}")


def _verified(folder: Path) -> dict[str, bytes]:
    """Return the files' contents, after comparing their digests."""
    if not _is_bundle(folder):
        raise BundleError(f"{folder}: no bundle here (no {SUMS}). {REMEDY}")
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    contents = {}
    for name in FILES:
        if name not in listed:
            raise BundleError(f"{folder / SUMS}: does not list {name}. {REMEDY}")
        try:
            contents[name] = (folder / name).read_bytes()
        except OSError as error:
            raise BundleError(f"{folder / name}: cannot be read ({error.strerror}). {REMEDY}") from error
        if hashlib.sha256(contents[name]).hexdigest() != listed[name]:
            raise BundleError(f"{folder / name}: changed since it was saved: its digest differs. {REMEDY}")
    return contents


def _read(folder: Path, name: str, text: dict[str, str], parse: Callable[[str], Read]) -> Read:
    try:
        return parse(text[name])
    except BundleError as error:
        remedy = "" if REMEDY in str(error) else f" {REMEDY}"
        raise BundleError(f"{folder / name}: {error}{remedy}") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise BundleError(
            f"{folder / name}: not as this version of Keepsight writes it ({error}). {REMEDY}"
        ) from error


def _contract(text: str) -> tuple[FeatureContract, Medians, str | None]:
    raw = json.loads(text)
    if raw["format"] != FORMAT:
        raise BundleError(f"format {raw['format']}; this version of Keepsight reads format {FORMAT}. {REMEDY}")
    contract = FeatureContract.from_json(json.dumps(raw["contract"]))
    fills = tuple(None if fill is None else float(fill) for fill in raw["fills"])
    best = tuple(float(value) for value in raw["best"])
    stale_after_days = tuple(float(days) for days in raw["stale_after_days"])
    return contract, Medians(best, fills, stale_after_days), raw.get("company")


def _design_of_nothing(bundle: Bundle) -> DesignMatrix:
    """Return the booster's columns of an account of which nothing is known: they fit what stands for unknown."""
    shape = (1, len(bundle.contract.columns))
    letters = np.full(shape, UnknownReason.NOT_GIVEN.letter)
    nobody, never = np.array([""], dtype=object), np.array(["NaT"], dtype="datetime64[s]")
    return design_matrix(Vectors(bundle.contract, nobody, never, np.full(shape, np.nan), letters), bundle.medians)


def _share(value: float) -> float:
    if not 0.0 < value < 1.0:
        raise BundleError(f"the base rate is {value}; it must lie between 0 and 1.")
    return float(value)


def _blend(text: str) -> Blend:
    raw = json.loads(text)
    return Blend(**{**raw, "interval": Interval(**raw["interval"])})


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True)


def _is_bundle(folder: Path) -> bool:
    return (folder / SUMS).is_file()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make a folder's entries last through a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _replace(written: Path, folder: Path) -> None:
    """Put `written` in the place of `folder`; what was there is removed once the new one stands."""
    if not (folder.exists() and any(folder.iterdir())):
        written.replace(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.replace(old)
    written.replace(folder)
    shutil.rmtree(old)
