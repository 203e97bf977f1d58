"""What all command lines share: options, and that a refusal is a clear message, never a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer

from features.errors import KeepsightError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

FAILED = 1
_INTERRUPTED = "Query interrupted"  # what DuckDB makes of Ctrl-C
SOURCES_VARIABLE = "KEEPSIGHT_SOURCES"
AS_OF_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
PARQUET_SUFFIXES = ("", ".parquet", ".pq")

SourcesOption = Annotated[
    Path, typer.Option("--sources", help="The company's sources.toml.", envvar=SOURCES_VARIABLE)
]


def parquet_file(path: Path) -> Path:
    """Return the path of a Parquet file to write, as the callback of an option.

    Raises
    ------
    typer.BadParameter
        Its name says that it is something else.

    Examples
    --------
    >>> parquet_file(Path("scores.parquet")).name
    'scores.parquet'
    >>> try:
    ...     parquet_file(Path("scores.csv"))
    ... except typer.BadParameter as error:
    ...     print(error)
    scores.csv: what is written is Parquet. Name it scores.parquet.
    """
    if path.suffix.lower() not in PARQUET_SUFFIXES:
        raise typer.BadParameter(f"{path}: what is written is Parquet. Name it {path.with_suffix('.parquet')}.")
    return path


def reported(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Print a :class:`KeepsightError` of `command`, or a file that cannot be used, on standard error; exit with 1.

    Stands under ``@app.command()``: ``@app.command() @reported def show(…)``.

    Examples
    --------
    >>> from features.errors import NoModelError
    >>> @reported
    ... def promote() -> None:
    ...     raise NoModelError("There is no model yet: run `keepsight train`.")
    >>> try:
    ...     promote()
    ... except typer.Exit as leaving:
    ...     print("exit code", leaving.exit_code)
    exit code 1
    """

    @functools.wraps(command)
    def guarded(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except KeepsightError as error:
            typer.secho(str(error), fg=typer.colors.RED, err=True)
            raise typer.Exit(FAILED) from error
        except OSError as error:
            if error.filename is None:  # not about a file: a fault of ours
                raise
            place = error.filename if error.filename2 is None else error.filename2
            told = f"{place}: cannot be read or written ({error.strerror}). Name another file or folder."
            typer.secho(told, fg=typer.colors.RED, err=True)
            raise typer.Exit(FAILED) from error
        except RuntimeError as error:
            if str(error) != _INTERRUPTED:
                raise
            raise KeyboardInterrupt from None

    return guarded


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how far long work has come; what is given is called with (done, total)."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
