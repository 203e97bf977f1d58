"""``keepsight check``: what is wrong with a company's tables and catalogue, for people or as JSON."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from features import clock
from features.errors import CatalogueError, SourcesError
from features.sources.problems import Problem, Severity, kinds

if TYPE_CHECKING:
    from features.sources.check import Report

_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def run_check(sources: Path, as_json: bool) -> int:
    """Check a company's tables, print every problem, and return the exit code.

    Parameters
    ----------
    sources
        The company's ``sources.toml``, or its folder.
    as_json
        Print JSON instead of a table.

    Returns
    -------
    int
        1 if any problem is an error, else 0.
    """
    report = report_on(sources, clock.now())
    if as_json:
        print(json.dumps(as_dict(report), indent=2, ensure_ascii=False))
    else:
        _print(report)
    return 1 if report.count(Severity.ERROR) else 0


def report_on(path: Path, now: dt.datetime) -> Report:
    """Check all that can be checked: with a broken catalogue the tables still are, under ours."""
    from features.catalogue import load_catalogue
    from features.sources.check import Report, check_report, in_order
    from features.sources.config import Sources, company_catalogue, read_config

    try:
        path, config = read_config(path)
    except SourcesError as error:
        return Report(tuple(kinds()["S902"].found(None, line) for line in str(error).splitlines()), (), None)
    try:
        return check_report(Sources(path, config, company_catalogue(path, config)), now)
    except CatalogueError as error:
        broken = [kinds()["S901"].found(None, line) for line in str(error).splitlines()]
        sources = Sources(path, config, load_catalogue())
        report = check_report(sources, now)
        problems = in_order([*broken, *report.problems], list(sources.contracts))
        return Report(tuple(problems), report.tables, report.observed_until)


def as_dict(report: Report) -> dict[str, Any]:
    """Return a report as JSON has it."""
    return {
        "errors": report.count(Severity.ERROR),
        "warnings": report.count(Severity.WARNING),
        "notes": report.count(Severity.NOTE),
        "observed_until": report.observed_until and report.observed_until.isoformat(),
        "tables": [
            {
                "table": table.table,
                "rows": table.rows,
                "kept": table.kept,
                "first": table.first and table.first.isoformat(),
                "last": table.last and table.last.isoformat(),
            }
            for table in report.tables
        ],
        "problems": [
            {
                "severity": problem.severity.value,
                "code": problem.code,
                "table": problem.table,
                "sentence": problem.sentence,
                "rows": problem.rows,
                "sample": list(problem.sample),
                "remedy": problem.remedy,
            }
            for problem in report.problems
        ],
    }


def _print(report: Report) -> None:
    console = Console()
    if report.tables:
        console.print(_tables(report))
    if report.problems:
        console.print(_problems(report.problems))
    counts = [(report.count(severity), severity.value) for severity in Severity]
    summary = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
    console.print(f"{summary}.", style="bold" if counts[0][0] else "")


def _tables(report: Report) -> Table:
    table = Table("table", "rows", "kept", "first day", "last day", box=None, header_style="bold")
    for one in report.tables:
        days = [str(day) if day is not None else "" for day in (one.first, one.last)]
        kept = Text(f"{one.kept:,}", style="" if one.kept == one.rows else "yellow")
        table.add_row(one.table, f"{one.rows:,}", kept, *days)
    for column in table.columns[1:3]:
        column.justify = "right"
    return table


def _problems(problems: tuple[Problem, ...]) -> Table:
    table = Table("", "table", "problem", box=None, header_style="bold", pad_edge=False)
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for problem, following in zip(problems, [*problems[1:], None], strict=True):
        style = _STYLE[problem.severity]
        words = Text(problem.sentence)
        if problem.sample:
            words.append(f"\nfor instance {', '.join(problem.sample)}", style="italic")
        if following is None or following.remedy != problem.remedy:  # once for all that it helps
            words.append(f"\n{problem.remedy}", style="dim")
        head = Text(f"{problem.severity.value} {problem.code}", style=style)
        table.add_row(head, problem.table or "", words)
    return table
