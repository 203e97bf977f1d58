"""Benchmarks: ratios measured in one run, contenders in turns, values compared before a ratio is believed."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tests.bench.comparisons import BY_DEFAULT, COMPARISONS, Setting, ValuesDifferError
from tests.bench.figures import Result
from tests.bench.measuring import ContenderFailedError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def run(
    compare: Annotated[
        str, typer.Option(help=f"which comparisons, of {', '.join(COMPARISONS)}; all: every one")
    ] = ",".join(BY_DEFAULT),
    sizes: Annotated[
        str, typer.Option(help="usage events, as 50k, 1M, 10M; Featuretools takes the last")
    ] = "1M,10M",
    repeats: Annotated[int, typer.Option(min=1, help="rounds of each comparison")] = 3,
    slow_repeats: Annotated[int, typer.Option(min=1, help="rounds with Featuretools, and of growth")] = 1,
    home: Annotated[Path, typer.Option(envvar="KEEPSIGHT_HOME", help="where data and results are kept")] = Path(
        ".keepsight"
    ),
) -> None:
    """Measure, print a table, and write bench.json; ends with an error if a contender has other values."""
    chosen = list(COMPARISONS) if compare == "all" else compare.split(",")
    if unknown := [name for name in chosen if name not in COMPARISONS]:
        raise typer.BadParameter(f"no comparison {', '.join(unknown)}; there are {', '.join(COMPARISONS)}")
    if unknown := [size for size in sizes.split(",") if not re.fullmatch(r"[1-9]\d*[kM]", size)]:
        raise typer.BadParameter(f"{', '.join(unknown)}: name numbers of usage events as 50k, 1M or 10M")
    folder = home.resolve() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    setting = Setting(folder, sizes.split(","), repeats, slow_repeats, _say)
    results: list[Result] = []
    try:
        for name in chosen:
            for found in COMPARISONS[name](setting):
                results.append(found)
                _write(home / "bench.json", results)  # so that an interrupted run leaves what it found
    except (ValuesDifferError, ContenderFailedError) as error:
        _say(str(error))
        raise typer.Exit(1) from None
    finally:
        print(table(results))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write(path: Path, results: Sequence[Result]) -> None:
    path.write_text(json.dumps([found.to_json() for found in results], indent=1), encoding="utf-8")


def table(results: Sequence[Result]) -> str:
    """Return the results as a table: the median, its spread, and what is asked."""
    lines = [
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        f"{'':52} {'median':>8} {'lowest':>8} {'highest':>8} {'runs':>4}  {'asked':7} unit",
    ]
    for found in results:
        lines.append(
            f"{found.name:52} {found.ratio:8.2f} {found.low:8.2f} {found.high:8.2f} {found.runs:4}  "
            f"{found.verdict:7} {found.unit}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    app()
