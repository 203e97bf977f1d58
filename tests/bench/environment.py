"""The environment of Featuretools: it needs an older pandas than Keepsight's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = ("pandas==2.2.3", "setuptools<80", "featuretools==1.31.0", "pyarrow")


def featuretools_python(folder: Path) -> Path:
    """Return the Python of an environment with Featuretools; it is made where there is none, or another."""
    note, python = folder / "requirements.txt", folder / "bin" / "python"
    wanted = "\n".join(REQUIREMENTS)
    if note.is_file() and note.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    note.write_text(wanted, encoding="utf-8")  # last: an interrupted install is never taken for a whole one
    return python
