"""Environments of their own, for contenders that cannot live in Keepsight's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FEATURETOOLS = ("pandas==2.2.3", "setuptools<80", "featuretools==1.31.0", "pyarrow")  # needs an older pandas


def featuretools_python(folder: Path) -> Path:
    """Return the Python of an environment with Featuretools."""
    return python_with(FEATURETOOLS, folder)


def python_with(requirements: Sequence[str], folder: Path) -> Path:
    """Return the Python of an environment with these packages; it is made where there is none, or another."""
    note, python = folder / "requirements.txt", folder / "bin" / "python"
    wanted = "\n".join(requirements)
    if note.is_file() and note.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
    note.write_text(wanted, encoding="utf-8")  # last: an interrupted install is never taken for a whole one
    return python
