"""Pictures of a report: whether it means what it says, whether it finds those who leave, and what told of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from training.register import RegisterRow, Verdict
from training.resampling import Interval

if TYPE_CHECKING:
    from training.report import FinalBlock, Report

# Told apart without colour too. The colours are Okabe and Ito's, which the colour-blind can tell apart.
STYLES = (("#0072B2", "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "^", "-."), ("#000000", "D", "-"))
MARKS = {Verdict.KEEP: ("#0072B2", "o"), Verdict.WATCH: ("#6B6B6B", "s"), Verdict.DROP: ("#D55E00", "X")}
GREY = "#6B6B6B"


def draw_plots(report: Report) -> dict[str, bytes]:
    """Draw what the report has figures for; return each picture by name, as PNG.

    ``register`` always; ``contest``, ``reliability``, ``lift`` and ``bands`` where months were set apart to judge
    by; ``lead_time`` where moments of notice or churn are known. The same report gives the same bytes.
    """
    return {name: _drawn(draw) for name, draw in plots_of(report).items()}


def plots_of(report: Report) -> Mapping[str, Callable[[Any], None]]:
    """Return by name what draws each picture that the report has figures for, on a matplotlib figure."""
    found: dict[str, Callable[[Any], None]] = {}
    if report.final is not None:
        final = report.final
        found["contest"] = lambda figure: _contest(final, figure)
        found["reliability"] = lambda figure: _reliability(final, figure)
        found["lift"] = lambda figure: _lift(final, figure)
        found["bands"] = lambda figure: _bands(final, figure)
    if report.register.stays:
        found["lead_time"] = lambda figure: _lead_time(report, figure)
    if _with_lift(report):
        found["register"] = lambda figure: _register(report, figure)
    return found


def _drawn(draw: Callable[[Any], None]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 4.5), dpi=100, layout="constrained")
    draw(figure)
    picture = io.BytesIO()
    # Not by `savefig`, which draws everything twice.
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    return picture.getvalue()


def _contest(final: FinalBlock, figure: Any) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    names = list(final.scores)[::-1]
    losses = [(final.scores[name].log_loss, final.scores[name].log_loss_interval) for name in names]
    areas = [(final.scores[name].auc, final.scores[name].auc_interval) for name in names]
    _bars(left, losses)
    _bars(right, areas)
    left.set(yticks=range(len(names)), yticklabels=names, xlabel="log loss (lower is better)")
    right.set(xlabel="AUC (higher is better)")
    figure.suptitle("The contest on the final block")


def _reliability(final: FinalBlock, figure: Any) -> None:
    axes, most = figure.subplots(), 0.0
    for (name, groups), (colour, mark, line) in zip(final.reliability.items(), STYLES, strict=True):
        said, happened = [group.said for group in groups], [group.happened for group in groups]
        most = max(most, *said, *happened)
        style = {"color": colour, "marker": mark, "linestyle": line, "label": name}
        if name == "blend":
            error = _error(happened, [group.interval for group in groups])
            axes.errorbar(said, happened, yerr=error, capsize=3, **style)
        else:
            axes.plot(said, happened, alpha=0.7, **style)
    axes.plot([0, most], [0, most], color=GREY, linestyle=":")
    axes.set(title="Reliability on the final block", xlabel="probability said", ylabel="share that churned")
    axes.legend()


def _lift(final: FinalBlock, figure: Any) -> None:
    axes = figure.subplots()
    share = np.arange(1, final.snapshots + 1) / final.snapshots
    for (name, found), (colour, _, line) in zip(final.order_found.items(), STYLES, strict=True):
        axes.plot(share, found, color=colour, linestyle=line, label=name)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
    axes.axvline(final.capacity_share, color=GREY, linewidth=1)
    axes.set(
        title="Churned snapshots found, the highest probability first",
        xlabel="share of the snapshots looked at (line: what the team can work)",
        ylabel="share of churn found",
    )
    axes.legend()


def _bands(final: FinalBlock, figure: Any) -> None:
    axes = figure.subplots()
    seen = [(band.band.replace("_", " "), band.churned, band.interval) for band in final.bands if band.snapshots]
    heights = [churned or 0.0 for _, churned, _ in seen]
    colours = [STYLES[0][0]] * len(seen)
    axes.bar([name for name, *_ in seen], heights, color=colours, width=0.6)
    error = _error(heights, [interval for *_, interval in seen])
    axes.errorbar(range(len(seen)), heights, yerr=error, fmt="none", ecolor="black", capsize=5)
    axes.axhline(final.churned, color=GREY, linestyle=":", label="all")
    axes.set(title="Churn per band on the final block", ylabel="share of snapshots that churned")
    axes.legend()


def _lead_time(report: Report, figure: Any) -> None:
    axes = figure.subplots()
    firsts = list(report.register.firsts.items())[::-1]
    _bars(axes, [(lead.median_days, lead.interval) for _, lead in firsts])
    axes.set(
        title="From the first sign to notice or churn, median",
        yticks=range(len(firsts)),
        yticklabels=[name for name, _ in firsts],
        xlabel="days",
    )
    axes.set_xlim(left=0)


def _register(report: Report, figure: Any) -> None:
    rows = _with_lift(report)
    figure.set_size_inches(7.5, 1.5 + 0.25 * len(rows))
    axes = figure.subplots()
    for verdict, (colour, mark) in MARKS.items():
        places = [place for place, row in enumerate(rows) if row.verdict is verdict]
        if not places:
            continue
        lifts = [rows[place].lift or 0.0 for place in places]
        error = _error(lifts, [rows[place].interval for place in places])
        axes.errorbar(lifts, places, xerr=error, fmt=mark, color=colour, capsize=3, label=str(verdict))
    axes.axvline(1.0, color=GREY, linestyle=":")
    axes.set(
        title="Lift of each sign",
        yticks=range(len(rows)),
        yticklabels=[report.names[row.id] for row in rows],
        xlabel="churn where it fired, over the base rate",
    )
    axes.legend()


def _with_lift(report: Report) -> list[RegisterRow]:
    rows = [row for row in report.register.rows if row.lift is not None and row.interval is not None]
    return sorted(rows, key=lambda row: (row.lift or 0.0, row.id))


def _bars(axes: Any, values: Sequence[tuple[float | None, Interval | None]]) -> None:
    """Draw points with their intervals, one below the other; what is None has none."""
    places = [place for place, (value, _) in enumerate(values) if value is not None]
    points = [value for value, _ in values if value is not None]
    error = _error(points, [values[place][1] for place in places])
    axes.errorbar(points, places, xerr=error, fmt="o", color=STYLES[0][0], capsize=3)
    axes.grid(axis="x", color="#DDDDDD")


def _error(values: Sequence[float], intervals: Sequence[Interval | None]) -> Any:
    """Return distances to both edges, shape (2, n), as matplotlib asks; none where there is no interval."""
    pairs = [(v, v) if interval is None else interval for v, interval in zip(values, intervals, strict=True)]
    low, high = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return np.maximum(np.array([values - low, high - values]), 0.0)
