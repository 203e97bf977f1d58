"""How a fit did on the later months of each rolling origin inside the rows that it learnt from.

Calibration and kappa were chosen on these months, all pooled; the scorecards and boosters had not seen them. The
final block alone is judged by what has seen none of it; origins show whether months differ.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from features.vectors import Floats
from models.numbers import sigmoid
from training.evaluation import auc, row_log_loss
from training.folds import churned_accounts


@dataclass(frozen=True, slots=True)
class Origin:
    """One origin: what learnt, what judged, and mean log loss by contestant.

    `first` and `last` are dates of the months that judged; folds by account have all months. `auc` is the blend's;
    None of one class.
    """

    first: str
    last: str
    learnt_from: int
    snapshots: int
    churned_accounts: int
    log_loss: dict[str, float]
    auc: float | None

    def to_dict(self) -> dict[str, object]:
        """Return the figures by name."""
        return asdict(self)


def origin(
    as_of: npt.NDArray[np.datetime64],
    accounts: npt.NDArray[np.object_],
    churned: Floats,
    base_rate: float,
    learnt_from: int,
    log_odds: dict[str, Floats],
) -> Origin:
    """Judge one origin.

    Parameters
    ----------
    as_of, accounts, churned
        Shape (n,): of the rows that judge.
    base_rate
        Share of the rows learnt from that churned.
    learnt_from
        Churned accounts among them.
    log_odds
        By contestant, shape (n,) each; ``blend`` is one of them.
    """
    said = {"base_rate": np.full(len(churned), base_rate)}
    said |= {name: sigmoid(values) for name, values in log_odds.items()}
    return Origin(
        first=_day(as_of.min()),
        last=_day(as_of.max()),
        learnt_from=learnt_from,
        snapshots=len(churned),
        churned_accounts=churned_accounts(accounts, churned),
        log_loss={name: float(row_log_loss(churned, probability).mean()) for name, probability in said.items()},
        auc=auc(churned, said["blend"]),
    )


def _day(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[D]"))
