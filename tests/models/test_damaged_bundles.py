"""A damaged bundle is refused with a sentence; it never ends the process that reads it.

Damage is of two kinds: that which the digests show, and that of somebody who ran sha256sum afterwards. Of the
second kind a booster is read in a process of its own first, since LightGBM can end the process over one.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import BundleError
from models import booster as reading
from models.bundle import FILES, SUMS, install_bundle, load_bundle, save_bundle
from tests.models.test_bundle import rewrite


@pytest.fixture(scope="module")
def saved(a_bundle: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bundle(a_bundle(trees=8), tmp_path_factory.mktemp("saved") / "bundle")


def truncated(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def with_flipped_bits(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 3, 20])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def with_a_piece_moved(content: bytes, rng: random.Random) -> bytes:
    first, second = sorted(rng.randrange(len(content)) for _ in range(2))
    return content[:first] + content[second:] + content[first:second]


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (truncated, with_flipped_bits, with_a_piece_moved)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([*FILES, SUMS]), damage=st.sampled_from(DAMAGES), rng=st.randoms(use_true_random=False)
)
def test_what_was_damaged_by_chance_is_refused_by_its_digest(
    saved: Path, tmp_path: Path, name: str, damage: Callable[[bytes, random.Random], bytes], rng: random.Random
) -> None:
    content = (saved / name).read_bytes()
    if not content:
        return
    folder = shutil.copytree(saved, tmp_path / "damaged", dirs_exist_ok=True)
    (folder / name).write_bytes(damage(content, rng))
    if (folder / name).read_bytes() == content:
        return
    said = what_is_said_of(folder)
    if said is None:  # of the sums, more than the files' own lines may change
        assert name == SUMS
        assert load_bundle(folder, trusted=True).files == load_bundle(saved, trusted=True).files
    else:
        assert "damaged" in said
        assert "keepsight train" in said


def what_is_said_of(folder: Path) -> str | None:
    """Return why a bundle is refused; None: it is read."""
    try:
        load_bundle(folder, trusted=True)
    except BundleError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", FILES)
def test_a_file_in_the_place_of_another_is_refused(saved: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(saved, tmp_path / "damaged")
    other = FILES[(FILES.index(name) + 1) % len(FILES)]
    (folder / name).write_bytes((saved / other).read_bytes())
    with pytest.raises(BundleError, match=rf"{name}: changed since it was saved"):
        load_bundle(folder, trusted=True)


def test_the_files_of_two_bundles_do_not_mix(saved: Path, a_bundle: Any, tmp_path: Path) -> None:
    other = save_bundle(a_bundle(trees=3), tmp_path / "other")
    shutil.copy(other / "booster.txt", folder := shutil.copytree(saved, tmp_path / "mixed"))
    with pytest.raises(BundleError, match=r"booster\.txt: changed since it was saved"):
        load_bundle(folder, trusted=True)


JSON = tuple(name for name in FILES if name.endswith(".json"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(JSON), rng=st.randoms(use_true_random=False), value=st.sampled_from(
    [None, True, "text", [], {}, -1, 1e308, 10**400, float("nan"), [[[]]]]
))  # fmt: skip
def test_json_that_somebody_changed_and_signed_is_read_or_refused(
    saved: Path, tmp_path: Path, name: str, rng: random.Random, value: Any
) -> None:
    folder = shutil.copytree(saved, tmp_path / "signed", dirs_exist_ok=True)
    rewrite(folder, name, json.dumps(with_another_value(json.loads((saved / name).read_text()), value, rng)))
    said = what_is_said_of(folder)
    assert said is None or "keepsight train" in said


def with_another_value(tree: Any, value: Any, rng: random.Random) -> Any:
    """Put a value somewhere in a JSON document."""
    if isinstance(tree, dict) and tree and rng.random() < 0.8:
        key = rng.choice(sorted(tree))
        return {**tree, key: with_another_value(tree[key], value, rng)}
    if isinstance(tree, list) and tree and rng.random() < 0.8:
        place = rng.randrange(len(tree))
        return [*tree[:place], with_another_value(tree[place], value, rng), *tree[place + 1 :]]
    return value


ASK = """
import sys, pathlib, numpy
from features.errors import BundleError
from models.bundle import load_bundle
for folder in sys.argv[1:]:
    try:
        bundle = load_bundle(pathlib.Path(folder))
    except BundleError as error:
        assert "keepsight train" in str(error)
        print("refused")
    else:
        rows = numpy.random.default_rng(0).normal(size=(50, bundle.booster.num_feature()))
        bundle.booster.predict(rows, raw_score=True, num_threads=1)
        print("read")
"""


def signed_damages(saved: Path, folder: Path, number: int) -> list[str]:
    """Write bundles whose booster was damaged, and signed again."""
    rng = random.Random(number)
    text = (saved / "booster.txt").read_bytes()
    folders = []
    for place in range(number):
        damaged = shutil.copytree(saved, folder / str(place))
        rewrite(damaged, "booster.txt", DAMAGES[place % 3](text, rng).decode("utf-8", errors="replace"))
        folders.append(str(damaged))
    return folders


@pytest.mark.parametrize("number", [6, pytest.param(90, marks=pytest.mark.slow)])
def test_a_booster_that_was_damaged_and_signed_ends_no_process(saved: Path, tmp_path: Path, number: int) -> None:
    folders = signed_damages(saved, tmp_path, number)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", ASK, *folders], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == number
    assert "refused" in done.stdout


def test_without_the_process_of_its_own_a_damaged_booster_can_end_ours(saved: Path, tmp_path: Path) -> None:
    """The mutant: what the test above looks for is there to be found."""
    ask = ASK.replace("load_bundle(pathlib.Path(folder))", "load_bundle(pathlib.Path(folder), trusted=True)")
    root = Path(__file__).resolve().parents[2]
    folders = signed_damages(saved, tmp_path, 30)
    done = subprocess.run([sys.executable, "-c", ask, *folders], capture_output=True, cwd=root, check=False)
    assert done.returncode != 0


def test_an_installation_leads_to_the_new_bundle_and_keeps_the_one_before(a_bundle: Any, tmp_path: Path) -> None:
    bundles = [a_bundle(trees=number) for number in (1, 2, 3)]
    place = tmp_path / "champion"
    for bundle in bundles:
        install_bundle(bundle, place)
        assert load_bundle(place, trusted=True).digest == bundle.digest
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"champion", *(f".champion-{bundle.digest[:16]}" for bundle in bundles[1:])}


def test_an_installation_takes_the_place_of_a_plain_folder_and_mends_a_damaged_one(
    a_bundle: Any, tmp_path: Path
) -> None:
    first, second = a_bundle(trees=1), a_bundle(trees=2)
    place = save_bundle(first, tmp_path / "champion")
    install_bundle(second, place)
    assert load_bundle(place, trusted=True).digest == second.digest
    (place / "booster.txt").write_text("damaged")
    install_bundle(second, place)
    assert load_bundle(place, trusted=True).digest == second.digest


def test_an_installation_leaves_a_folder_with_something_else_alone(a_bundle: Any, tmp_path: Path) -> None:
    place = tmp_path / "champion"
    place.mkdir()
    (place / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="holds something else than a bundle"):
        install_bundle(a_bundle(trees=1), place)
    assert (place / "notes.txt").read_text() == "mine"


def test_a_reader_that_takes_too_long_is_given_up(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PARSE_SECONDS", 0.001)
    with pytest.raises(BundleError, match=r"booster\.txt: not read after 0\.001 s"):
        load_bundle(saved)


def test_a_reader_that_repeats_bytes_of_the_damage_is_understood(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "import sys; sys.stderr.buffer.write(b'Unknown token \\xed\\xa0'); sys.exit(1)"
    monkeypatch.setattr(reading, "_PARSE", said)
    with pytest.raises(BundleError, match="Unknown token \N{REPLACEMENT CHARACTER}"):
        load_bundle(saved)


def test_the_fuzz_does_damage() -> None:
    rng = random.Random(1)
    content = np.random.default_rng(1).bytes(500)
    assert all(damage(content, rng) != content for damage in DAMAGES)
