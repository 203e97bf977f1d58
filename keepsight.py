"""Keepsight's command line: the sub-commands of the four packages under one name.

Nothing heavy is imported here: `keepsight --help` answers before NumPy would have loaded.
"""

from __future__ import annotations

import importlib
import os

import typer

app = typer.Typer(
    name="keepsight",
    help="Churn prediction for customer-success teams: as known on a date, explained, honest about the unknown.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for package in ("features", "training", "serving"):
    app.add_typer(importlib.import_module(f"{package}.commands").app)
# `catalogue preview` needs models, which features does not know: the group is features', the command models'.
importlib.import_module("features.commands").catalogue_app.add_typer(
    importlib.import_module("models.commands").app
)


def main() -> None:
    """Run the command line."""
    # Before NumPy loads: its thread pools gain nothing on rows this narrow, and lose much on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app()


if __name__ == "__main__":
    main()
