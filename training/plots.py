"""Plots of a run: whether it means what it says, and whether it finds those who leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.contest import Contest
from training.evaluation import reliability

SHOWN = ("scorecard", "ridge", "booster", "blend")


def draw_plots(contest: Contest, folder: Path) -> list[Path]:
    """Draw ``reliability.png`` and ``lift.png`` into `folder`; return their paths."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    paths = []
    for name, draw in (("reliability", _reliability), ("lift", _lift)):
        figure = Figure(figsize=(6, 5), layout="constrained")
        FigureCanvasAgg(figure)
        draw(contest, figure.add_subplot())
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=100, metadata={"Software": None})
    return paths


def _reliability(contest: Contest, axes: object) -> None:
    churned, most = contest.block.churned, 0.0
    for name in SHOWN:
        points = reliability(churned, contest.probabilities[name])
        said, happened = [p[0] for p in points], [p[1] for p in points]
        most = max(most, *said, *happened)
        axes.plot(said, happened, marker="o", label=name)  # type: ignore[attr-defined]
    axes.plot([0, most], [0, most], color="grey", linestyle=":")  # type: ignore[attr-defined]
    _words(axes, "Reliability on the final block", "said", "happened")


def _lift(contest: Contest, axes: object) -> None:
    churned = contest.block.churned
    share = np.arange(1, len(churned) + 1) / len(churned)
    for name in SHOWN:
        order = np.argsort(-contest.probabilities[name], kind="stable")
        found = np.cumsum(churned[order]) / max(churned.sum(), 1)
        axes.plot(share, found, label=name)  # type: ignore[attr-defined]
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")  # type: ignore[attr-defined]
    _words(axes, "Churned snapshots found", "share of the book looked at", "share of churn found")


def _words(axes: object, title: str, across: str, up: str) -> None:
    axes.set(title=title, xlabel=across, ylabel=up)  # type: ignore[attr-defined]
    axes.legend()  # type: ignore[attr-defined]
