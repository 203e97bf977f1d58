"""The house keeps its own rules: start-up stays light, nothing happens on import, no address is named."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("numpy", "pandas", "ibis", "lightgbm", "duckdb", "mlflow", "sklearn", "fastapi")


def _seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - start


def _command(*arguments: str) -> str:
    return (
        "import sys, contextlib, io; import keepsight\n"
        f"sys.argv = ['keepsight', *{list(arguments)!r}]\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): keepsight.main()\n"
    )


@pytest.mark.parametrize(
    "arguments", [("--help",), ("catalogue", "show"), ("train", "--help"), ("serve", "--help")]
)
def test_help_and_the_catalogue_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    seen = f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", _command(*arguments) + seen], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [("--help",), ("catalogue", "show")])
def test_help_and_the_catalogue_answer_within_two_and_a_half_bare_imports(arguments: tuple[str, ...]) -> None:
    # Alternated, and of each the least disturbed: other tests run beside this one, on as many cores as there are.
    floor, ours = [], []
    for _ in range(7):
        floor.append(_seconds("import typer, rich, pydantic"))
        ours.append(_seconds(_command(*arguments)))
    assert min(ours) <= 2.5 * min(floor)


@pytest.mark.parametrize("package", ["features", "models", "training", "serving", "keepsight"])
def test_importing_a_package_makes_no_file_and_loads_no_mlflow(package: str, tmp_path: Path) -> None:
    code = f"import sys; import {package}; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
    assert list(tmp_path.iterdir()) == []


def test_no_file_names_a_package_index_or_carries_download_addresses() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = listed.stdout.split()
    assert not [name for name in files if Path(name).name in {"uv.lock", "poetry.lock", "package-lock.json"}]
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert re.search(r"--(extra-)?index-url", lock) is None


def test_the_lock_holds_every_dependency_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9][a-z0-9-]*)==", lock, flags=re.MULTILINE)
    project = (ROOT / "pyproject.toml").read_text()
    asked = re.findall(r'^    "([a-z0-9-]+)[\[<>=]', project, flags=re.MULTILINE)
    assert set(asked) <= set(pinned)
    assert lock.count("--hash=sha256:") >= len(pinned)
