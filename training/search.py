"""The search: other boosters than the recipe's, tried on its folds before the final block, within bounds.

What is tried is judged by the blend's log loss on the later months of all folds, pooled: the whole recipe's, and
never the final block's. The recipe's own booster comes first, and another is taken only where it is better by more
than chance over accounts and by more than the luck of the best of many. One that looks worse than half of the
others after a fold is given up.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.fitting import Agreed, FittedFold, Material, Prepared, agree
from training.folds import Positions, churned_accounts
from training.recipe import TRAINING, BoosterRecipe, Recipe, SearchRecipe

if TYPE_CHECKING:
    import optuna

Progress = Callable[[int, int], None]

OFF = SearchRecipe(trials=0, seconds=0)
# Tried second: where outcomes are many and plain, the recipe's caution costs most (`mlc_churn`: 0.23 for 0.15).
BOLD = {
    "num_leaves": 16,
    "max_depth": 6,
    "learning_rate": 0.07,
    "min_data_in_leaf": 10,
    "lambda_l2": 1.0,
    "feature_fraction": 0.9,
    "bagging_fraction": 0.9,
    "scorecard_share": 0.0,
}
TRIED = tuple(BOLD)  # the booster's parameters that are searched
# The best of many is partly luck: of eight on `ibm_telco` one looked better by up to 0.4 % of the loss, 3 standard
# errors, and was worse by 0.001 on other rows; what was really better was so by 1 % and more.
LEAST_GAIN = 0.005
# Standard errors over accounts, not over folds: those share the months that they learn from, and agree by that.
ERRORS_BEYOND = 2.0
STARTUP_TRIALS = 6  # the two that are given, and those drawn at random
TRIALS_BEFORE_PRUNING = 4  # trials that show what a fold's loss is like


@dataclass(frozen=True, slots=True)
class Trial:
    """One booster that was tried.

    Attributes
    ----------
    number
        In the order of trying; 0 is the recipe's own, 1 the bold one.
    booster
        Its parameters.
    log_loss
        Of the blend, on the later months of the folds that it saw.
    gain, gain_error
        How much lower that is than the loss of the recipe's own booster on the same months, and the standard error
        over accounts.
    rounds
        Trees that were best for them.
    finished
        False where it was given up, with fewer folds seen than there are.
    """

    number: int
    booster: BoosterRecipe
    log_loss: float
    gain: float
    gain_error: float
    rounds: int
    finished: bool

    @property
    def clearly_better(self) -> bool:
        """Whether it is better than the recipe's own by more than chance, and by a share of the loss."""
        own = self.log_loss + self.gain
        return self.finished and self.gain > max(ERRORS_BEYOND * self.gain_error, LEAST_GAIN * own)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes
    ----------
    recipe
        With the best booster, if it is better than the recipe's own beyond chance, else with that; and the search
        off: training by it alone gives the same bundle.
    trials
        Best first; those that were given up last.
    asked
        How many trials were asked for: more than were made where time was over or there is no fold to judge by.
    """

    recipe: Recipe
    trials: tuple[Trial, ...]
    asked: int

    @property
    def own(self) -> Trial | None:
        """The trial of the recipe's own booster."""
        return next((trial for trial in self.trials if trial.number == 0), None)

    @property
    def sentence(self) -> str:
        """Say what came of it."""
        if self.own is None:
            return "No booster was tried: there are no months to judge one by."
        best, own = self.trials[0], self.own
        made = f"{len(self.trials)} of {self.asked} boosters tried before the final block"
        if len(self.trials) < self.asked:
            made += " (time was over: another machine may get further)"
        if best.number == 0:
            return f"{made}: the recipe's own is the best, log loss {own.log_loss:.4f}."
        figures = f"log loss {best.log_loss:.4f}, {own.log_loss:.4f} by the recipe's own"
        return f"{made}: {figures}." if best.clearly_better else f"{made}, none beyond chance: {figures}."

    def to_dict(self) -> dict[str, object]:
        """Return trials and sentence as plain values, for JSON and reports."""
        trials = [{**asdict(trial), "booster": trial.booster.model_dump()} for trial in self.trials]
        return {"sentence": self.sentence, "asked": self.asked, "trials": trials}


def search(
    material: Material,
    rows: Positions,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Try boosters on the folds inside some rows.

    The same data, recipe and number of trials give the same answer, also where a run was interrupted and started
    again: it goes on with the trials that are left. Where ``seconds`` ends it, it is the machine that decides how
    many there are.

    Parameters
    ----------
    material
        Its recipe says how many trials, for how long, and which booster comes first.
    rows
        Positions of the rows before the final block.
    folder
        Where trials are kept, a file for each dataset and recipe; None: nowhere. Who comes while another process
        searches the same waits, and uses what it found.
    progress
        Called with (trials made, trials asked for).
    clock
        Seconds, for the limit.

    Raises
    ------
    OSError
        The folder cannot be written to.
    """
    asked = material.recipe.search
    folds = material.folds(rows)
    if not len(folds) or not asked.trials:
        return Found(material.recipe.model_copy(update={"search": OFF}), (), asked.trials)
    ends = clock() + asked.seconds if asked.seconds else float("inf")
    with _kept(folder, _name(material, rows)) as storage:
        trying = _Trying(material, rows, storage)
        while trying.made < asked.trials and (trying.made == 0 or clock() < ends):
            trying.one_more()
            if progress is not None:
                progress(trying.made, asked.trials)
        return _found(material.recipe, trying.trials[: asked.trials])


def _found(recipe: Recipe, trials: Sequence[Trial]) -> Found:
    ranked = tuple(sorted(trials, key=lambda trial: (not trial.finished, trial.log_loss, trial.number)))
    best = ranked[0].booster if ranked[0].clearly_better else recipe.booster
    chosen = recipe.model_copy(update={"booster": best, "search": OFF})
    return Found(chosen, ranked, recipe.search.trials)


def _name(material: Material, rows: Positions) -> str:
    """Name the study: twenty hex digits over all that a trial's loss depends on."""
    import lightgbm
    import optuna

    vectors, recipe = material.vectors, material.recipe.model_copy(update={"search": OFF})
    parts = (
        f"training {TRAINING}, {lightgbm.__version__}, {optuna.__version__}".encode(),
        recipe.to_toml().encode(),
        vectors.contract.fingerprint.encode(),
        material.prior.to_json().encode(),
        "\n".join(vectors.account_ids[rows]).encode(),
        vectors.as_of[rows].astype("datetime64[s]").tobytes(),
        vectors.values[rows].tobytes(),
        vectors.unknown[rows].tobytes(),
        material.churned[rows].tobytes(),
    )
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()[:20]


@contextlib.contextmanager
def _kept(folder: Path | None, name: str) -> Iterator[Any]:
    """Yield Optuna's storage, which nobody else writes to meanwhile."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if folder is None:
        yield optuna.storages.InMemoryStorage()
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel frees it, however the process ends
        _set_aside_if_damaged((folder / name).with_suffix(".db"))
        # SQLite, not a journal file: a line that a killed process leaves half written would end every later run.
        storage = optuna.storages.RDBStorage(f"sqlite:///{(folder / name).resolve()}.db")
        try:
            yield storage
        finally:
            storage.engine.dispose()


def _set_aside_if_damaged(trials: Path) -> None:
    """Rename a file that is no database any more: its trials are made again."""
    if not trials.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(trials)) as database:
            sound = database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    except sqlite3.DatabaseError:
        sound = False
    if not sound:
        trials.replace(trials.with_suffix(".damaged"))


class _Trying:
    """A study, and the folds that its trials share."""

    def __init__(self, material: Material, rows: Positions, storage: Any) -> None:
        import optuna
        from optuna.trial import TrialState

        self.material, self.rows, self.recipe = material, rows, material.recipe
        churned, accounts = material.churned[rows], material.vectors.account_ids[rows]
        self.events = churned_accounts(accounts, churned)
        self.weight = self.events / churned.sum()
        self.study = optuna.create_study(
            storage=storage,
            study_name="boosters",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING),
        )
        for left in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(left.number, state=TrialState.FAIL)  # its process was ended
        self.trials = [_trial(place, done, self.recipe.booster) for place, done in enumerate(self._done())]

    @cached_property
    def folds(self) -> list[Prepared]:
        """What all trials share; not asked for where all were made before."""
        return [Prepared(self.material, fold) for fold in self.material.folds(self.rows)]

    @property
    def made(self) -> int:
        """How many trials are there."""
        return len(self.trials)

    def _done(self) -> list[optuna.trial.FrozenTrial]:
        from optuna.trial import TrialState

        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    def one_more(self) -> None:
        """Make the next trial: two that are given, then those that the sampler draws."""
        given = [self.recipe.booster, self.recipe.booster.model_copy(update=BOLD)]
        if self.made < len(given):
            self._given(given[self.made])
        else:
            self._drawn()
        self.trials.append(_trial(self.made, self._done()[-1], self.recipe.booster))

    def _given(self, booster: BoosterRecipe) -> None:
        import optuna

        losses, agreed = self._losses(booster, lambda _step, _loss: False)
        if not self.made:
            self._own = agreed
        space = _space()
        # A recipe may lie outside the space: the sampler is told of the nearest point in it.
        near = {name: min(max(getattr(booster, name), within.low), within.high) for name, within in space.items()}
        self.study.add_trial(
            optuna.trial.create_trial(
                value=losses[-1],
                params=near,
                distributions=space,
                intermediate_values=dict(enumerate(losses)),
                user_attrs=self._attributes(booster, agreed),
            )
        )

    def _drawn(self) -> None:
        import optuna

        # A seed for each trial: a run that goes on draws what an uninterrupted one had drawn.
        seed = int(np.random.SeedSequence([self.recipe.seed, self.made]).generate_state(1)[0])
        self.study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP_TRIALS, constant_liar=False, seed=seed
        )
        trial = self.study.ask(_space())
        booster = self.recipe.booster.model_copy(update=_readable(trial.params))

        def hopeless(step: int, loss: float) -> bool:
            trial.report(loss, step)
            return trial.should_prune()

        losses, agreed = self._losses(booster, hopeless)
        for name, value in self._attributes(booster, agreed).items():
            trial.set_user_attr(name, value)
        if len(losses) < len(self.folds):
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self.study.tell(trial, losses[-1])

    @cached_property
    def _own(self) -> Agreed:
        """The recipe's own booster on the folds: fitted again where its trial was made before this process."""
        return self._losses(self.recipe.booster, lambda _step, _loss: False)[1]

    def _attributes(self, booster: BoosterRecipe, agreed: Agreed) -> dict[str, Any]:
        tried = {name: getattr(booster, name) for name in TRIED}
        gain, error = gain_over(self._own, agreed)
        return {"booster": tried, "rounds": agreed.rounds, "gain": gain, "gain_error": error}

    def _losses(
        self, booster: BoosterRecipe, hopeless: Callable[[int, float], bool]
    ) -> tuple[list[float], Agreed]:
        """Return the pooled loss after each fold, up to the one after which it is hopeless."""
        fitted: list[FittedFold] = []
        losses: list[float] = []
        for step, fold in enumerate(self.folds):
            fitted.append(fold.fitted(booster, self.recipe.seed))
            agreed = agree(fitted, self.recipe, self.events, self.weight)
            losses.append(agreed.log_loss)
            if hopeless(step, agreed.log_loss) and step + 1 < len(self.folds):
                break
        return losses, agreed


def _space() -> dict[str, Any]:
    """Return the bounds: those of the booster's recipe, and beyond which nothing was ever gained."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "num_leaves": IntDistribution(2, 16),
        "max_depth": IntDistribution(1, 6),
        "learning_rate": FloatDistribution(0.02, 0.2, log=True),
        "min_data_in_leaf": IntDistribution(5, 200, log=True),
        "lambda_l2": FloatDistribution(0.1, 300.0, log=True),
        "feature_fraction": FloatDistribution(0.2, 1.0),
        "bagging_fraction": FloatDistribution(0.5, 1.0),
        "scorecard_share": FloatDistribution(0.0, 1.0),
    }


def _readable(drawn: dict[str, Any]) -> dict[str, Any]:
    """Return numbers of three digits: they are written into a recipe for people.

    >>> _readable({"num_leaves": 7, "lambda_l2": 12.3456})
    {'num_leaves': 7, 'lambda_l2': 12.3}
    """
    return {name: value if isinstance(value, int) else float(f"{value:.3g}") for name, value in drawn.items()}


def gain_over(own: Agreed, other: Agreed) -> tuple[float, float]:
    """Return how much lower the other's mean log loss is on the folds that both saw, and its error over accounts.

    An account's rows go together: one churn fills up to three, and later folds meet the same accounts again.
    """
    seen = len(other.unseen)
    gains = np.concatenate(own.row_losses[:seen]) - np.concatenate(other.row_losses)
    _, account = np.unique(np.concatenate([fold.accounts for fold in other.unseen]), return_inverse=True)
    of_accounts = np.bincount(account, weights=gains - gains.mean())
    return float(gains.mean()), float(np.sqrt((of_accounts**2).sum()) / len(gains))


def _trial(number: int, done: optuna.trial.FrozenTrial, own: BoosterRecipe) -> Trial:
    from optuna.trial import TrialState

    losses = done.intermediate_values
    return Trial(
        number=number,
        booster=own.model_copy(update=done.user_attrs["booster"]),
        log_loss=losses[max(losses)],
        gain=done.user_attrs["gain"],
        gain_error=done.user_attrs["gain_error"],
        rounds=done.user_attrs["rounds"],
        finished=done.state is TrialState.COMPLETE,
    )
