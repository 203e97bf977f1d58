"""The truth: each account's chance of giving notice or churning within the horizon, given its latent state.

Only evaluation may read what is made here: no feature, no label and no model.
"""

from __future__ import annotations

import numpy as np

from training.simulation.days import Floats, Ints
from training.simulation.history import History
from training.simulation.latent import State, advance, log_hazard
from training.simulation.parameters import Parameters
from training.simulation.passing import MONTH_DAYS
from training.simulation.terms import day_weights


def true_probabilities(
    rng: np.random.Generator, history: History, parameters: Parameters
) -> tuple[Ints, Ints, Floats]:
    """Return account (its place), month and chance, for accounts at risk at the start of each month.

    From the latent state at the start of the month, the state is run forward `parameters.runs` times. Within
    a run the chance is known exactly, 1 - exp(-accumulated hazard), and the runs are averaged: that has less
    noise than counting in how many of them the account leaves.
    """
    accounts, months, chances = [], [], []
    for m in range(len(history.period)):
        who = np.flatnonzero(history.at_risk[:, m])
        accounts.append(who)
        months.append(np.full(len(who), m))
        chances.append(_chances(rng, history, m, who, parameters))
    return np.concatenate(accounts), np.concatenate(months), np.concatenate(chances)


def _chances(rng: np.random.Generator, history: History, m: int, who: Ints, parameters: Parameters) -> Floats:
    if not len(who):
        return np.empty(0)
    first, month = int(history.period.starts[m]), int(history.period.months[m])
    weights, closed = _pieces(history, m, who, first, parameters)
    some = history.who.of(who)
    start = history.states[m]
    state = State(start.x[:, who, None], start.champion[who, None], start.jump[who, None])
    risen = closed + weights[:, :1] * np.exp(log_hazard(state, some, parameters.hazard).astype(np.float64))
    # From one state to `runs` states: the first step draws them, the next ones move each on its own.
    state = state.repeated(parameters.runs)
    total = np.repeat(risen, parameters.runs, axis=1).astype(np.float32)
    for piece in range(1, weights.shape[1]):
        state = advance(rng, state, some, month + piece - 1, parameters.motion)
        eta = log_hazard(state, some, parameters.hazard)
        total += weights[:, piece : piece + 1].astype(np.float32) * np.exp(eta)
    return np.asarray(-np.expm1(-total.astype(np.float64)).mean(axis=1))


def _pieces(history: History, m: int, who: Ints, first: int, parameters: Parameters) -> tuple[Floats, Floats]:
    """Return the weight of each month's part of the horizon (in months), and the involuntary hazard in all."""
    days = np.arange(first, first + parameters.horizon_days)
    notice, lapse, open_to = day_weights(history.terms[m].of(who), days, parameters.season)
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    edges = np.flatnonzero(np.diff(month, prepend=month[0] - 1))
    weights = np.add.reduceat(notice + lapse, edges, axis=1) / MONTH_DAYS
    closed = open_to.sum(axis=1, keepdims=True) * parameters.hazard.involuntary_a_month / MONTH_DAYS
    return weights, closed
