"""Training and promotion in processes that are killed: at a random moment, or just before the n-th step.

``python -m tests.training.crashing`` imports everything once, reads a trial (JSON) a line, forks a process for it,
and answers with how that ended. A step is what others can see: a commit of the database, a file or folder renamed,
linked or removed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.bundle import load_bundle
from tests.training.fabricated import a_company
from training import tracking as module
from training.dataset import Snapshots
from training.gates import EXTRAPOLATED
from training.recipe import Recipe, load_recipe
from training.run import Proof, train
from training.tracking import Tracking

COMPANY = "Made"
STEPS = ("os.rename", "os.symlink", "os.remove", "os.rmdir")


def a_recipe(seed: int) -> Recipe:
    """Few trees, few draws, gates that a small company passes."""
    recipe = load_recipe()
    changes: dict[str, dict[str, Any]] = {
        "booster": {"max_rounds": 20, "learning_rate": 0.2},
        "folds": {"origins": 2},
        "evaluation": {"bootstrap_repeats": 50},
        "grid": {"final_months": 3},
        "gates": {
            "churned_accounts_trained": 5,
            "churned_accounts_final": 3,
            "tolerance_log_loss": 0.2,
            "calibration_ratio": 5.0,
        },
    }
    parts = {name: getattr(recipe, name).model_copy(update=change) for name, change in changes.items()}
    return recipe.model_copy(update={"seed": seed, **parts})


def a_proof(seed: int) -> Proof:
    """A model that passes its gates; another bundle for each seed."""
    made = a_company(accounts=250, months=14, effect=1.6, level=-5.0)
    nowhere = np.full(len(made.vectors), "NaT", dtype="datetime64[s]")
    snapshots = Snapshots(made.vectors, made.churned, nowhere, left_out=(), company=COMPANY)

    def rebuild(accounts: Any, date: np.datetime64) -> Any:
        there = (made.vectors.as_of == date) & np.isin(made.vectors.account_ids.astype(str), list(accounts))
        return made.vectors.take(np.flatnonzero(there))

    return train(snapshots, made.catalogue, a_recipe(seed), rebuild=rebuild)


# --- what a trial does, and what is wrong with it in a mutant ---


def train_and_promote(home: Path, seed: int) -> None:
    """What `keepsight train --promote` does."""
    proof = a_proof(seed)
    tracking = Tracking(home)
    with tracking.turn():
        tracking.promote(tracking.record(proof).version)


def promote_newest(home: Path, _: int) -> None:
    """What `keepsight promote` does."""
    tracking = Tracking(home)
    newest = tracking.newest(COMPANY)
    assert newest is not None
    tracking.promote(newest.version)


def roll_back(home: Path, _: int) -> None:
    """What `keepsight rollback` does."""
    Tracking(home).rollback()


def two_trainers(home: Path, seed: int) -> None:
    """Two `keepsight train --promote` at the same time."""
    children = []
    for place in range(2):
        child = os.fork()
        if child == 0:
            try:
                train_and_promote(home, seed + place)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]


WORK: dict[str, Callable[[Path, int], None]] = {
    "train": train_and_promote,
    "promote": promote_newest,
    "rollback": roll_back,
    "two trainers": two_trainers,
}


def alias_before_the_bundle() -> None:
    """Move the alias, then look whether there is a bundle that can be read."""
    move = Tracking._move

    def rash(self: Tracking, registry: Any, version: Any, line: tuple[int, ...]) -> None:
        registry.client.set_registered_model_alias(module.MODEL, module.CHAMPION, version.version)
        move(self, registry, version, line)

    Tracking._move = rash  # type: ignore[method-assign]


def gates_not_asked() -> None:
    """Promote whatever the gates say."""
    module.refusals = lambda gates: []


def copy_replaced_in_two_steps() -> None:
    """Remove the champion's copy, then write the new one."""

    def install(bundle: Any, place: Path) -> Path:
        for path in (place.resolve(), place):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        return module.save_bundle(bundle, place)

    module.install_bundle = install


def no_note_before_the_move() -> None:
    """Write the line of champions at once, before the alias is moved."""

    class Rash(module.Line):
        def moving_to(self, becomes: tuple[int, ...]) -> module.Line:
            return module.Line(becomes)

    module.Line = Rash


MUTANTS: dict[str, Callable[[], None]] = {
    "alias_before_the_bundle": alias_before_the_bundle,
    "gates_not_asked": gates_not_asked,
    "copy_replaced_in_two_steps": copy_replaced_in_two_steps,
    "no_note_before_the_move": no_note_before_the_move,
}


@dataclass(frozen=True)
class Trial:
    """What a process is to do, and when it is killed; with neither, it ends by itself."""

    home: str
    work: str
    seed: int = 0
    before_step: int | None = None
    after_seconds: float | None = None
    mutant: str | None = None


@dataclass(frozen=True)
class Ended:
    """How the process ended: killed, or with an exit code; how many steps and seconds it took."""

    killed: bool
    code: int
    steps: int
    seconds: float


# --- the process that forks ---


def serve_trials() -> None:
    """Answer each line on standard input, until it ends."""
    _import_all()
    for line in sys.stdin:
        print(json.dumps(_run(Trial(**json.loads(line))).__dict__), flush=True)


def _import_all() -> None:
    """Import what a trial will import: seconds, once."""
    import sklearn.linear_model  # noqa: F401


def _run(trial: Trial) -> Ended:
    reading, writing = os.pipe()
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(trial, writing)
    os.close(writing)
    killer = None
    if trial.after_seconds is not None:
        killer = threading.Timer(trial.after_seconds, os.kill, (child, signal.SIGKILL))
        killer.start()
    with os.fdopen(reading, "rb") as steps:
        counted = len(steps.read())  # until the child has ended
    if killer is not None:
        killer.cancel()
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - begun
    return Ended(os.WIFSIGNALED(status), os.waitstatus_to_exitcode(status), counted, seconds)


def _work(trial: Trial, writing: int) -> None:
    """Be the forked process; does not return."""
    taken = 0

    def step(*_: Any) -> None:
        nonlocal taken
        taken += 1
        if taken == trial.before_step:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(writing, b".")

    try:
        if trial.mutant is not None:
            MUTANTS[trial.mutant]()
        _hear(trial.home, step)
        WORK[trial.work](Path(trial.home), trial.seed)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _hear(home: str, step: Callable[..., None]) -> None:
    """Call `step` before each commit of something written, and each change of names that outlives a command."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    wrote: set[int] = set()

    def executed(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            wrote.add(id(connection))

    def committed(connection: Any) -> None:
        if id(connection) in wrote:
            wrote.discard(id(connection))
            step()

    def audited(name: str, arguments: tuple[Any, ...]) -> None:
        if name in STEPS and any(home in str(one) and "/running" not in str(one) for one in arguments):
            step()

    event.listen(Engine, "before_cursor_execute", executed)
    event.listen(Engine, "commit", committed)
    sys.addaudithook(audited)


class Trials:
    """The process that forks, as a test asks it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, trial: Trial) -> Ended:
        """Run a trial."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(trial.__dict__) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


@contextmanager
def trials() -> Iterator[Trials]:
    """Start the process that forks; end it afterwards."""
    command = [sys.executable, "-m", "tests.training.crashing"]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env=environment
    ) as process:
        yield Trials(process)
        assert process.stdin is not None
        process.stdin.close()


# --- what must hold whenever a process was killed, asked of the database itself ---


@dataclass(frozen=True)
class State:
    """What a home holds.

    Attributes
    ----------
    champion
        The version with the alias; None: none has it.
    verdicts
        Of each version, those of its gates.
    digests
        Of each version, that of the bundle it was registered with.
    bundles
        Of each version, where its bundle lies.
    running
        How many runs seem to be under way.
    line
        The tag with the versions that were champion.
    """

    champion: int | None
    verdicts: dict[int, set[str]]
    digests: dict[int, str]
    bundles: dict[int, Path]
    running: int
    line: str | None

    @classmethod
    def of(cls, home: Path) -> State:
        """Read it, without MLflow."""
        with closing(sqlite3.connect(home / "mlflow.db")) as store:
            aliases = dict(store.execute("SELECT alias, version FROM registered_model_aliases"))
            tags = store.execute("SELECT version, key, value FROM model_version_tags").fetchall()
            places = store.execute(
                "SELECT version, artifact_uri FROM model_versions JOIN runs ON run_uuid = run_id"
            ).fetchall()
            (running,) = store.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone()
            line = store.execute("SELECT value FROM registered_model_tags WHERE key = ?", [module.HISTORY])
            (said,) = line.fetchone() or (None,)
        verdicts: dict[int, set[str]] = {version: set() for version, _ in places}
        for version, key, value in tags:
            # Of a file nobody knows other horizons: G10 cannot judge them, and stands in nobody's way.
            if key.startswith(module.GATE_TAG) and key != f"{module.GATE_TAG}{EXTRAPOLATED}":
                verdicts[version].add(json.loads(value)["verdict"])
        return cls(
            aliases.get("champion"),
            verdicts,
            {version: value for version, key, value in tags if key == "bundle_digest"},
            {version: Path(uri.removeprefix("file://")) / "bundle" for version, uri in places},
            running,
            said,
        )


def refuse_unless_it_serves_what_it_may(home: Path) -> None:
    """At every moment: alias and copy lead to whole models whose gates all passed."""
    state = State.of(home)
    assert state.champion is not None, "there was a champion, and now there is none"
    assert state.verdicts[state.champion] == {"pass"}, "the alias is on a version that its gates refuse"
    bundle = load_bundle(state.bundles[state.champion], trusted=True)
    assert bundle.digest == state.digests[state.champion], "the alias is on a version with another bundle"
    served = load_bundle(home / "champion", trusted=True).digest
    allowed = {digest for version, digest in state.digests.items() if state.verdicts[version] == {"pass"}}
    assert served in allowed, "what is served was never let through"


def refuse_unless_the_next_command_puts_all_in_order(home: Path) -> None:
    """After the next command: copy and line follow the alias, and nothing is left of the dead."""
    before = State.of(home)
    newest = Tracking(home).newest(COMPANY)
    state = State.of(home)
    refuse_unless_it_serves_what_it_may(home)
    assert state.champion == before.champion, "putting things in order must not choose another champion"
    assert state.line is not None
    assert json.loads(state.line)[-1] == state.champion, "the line of champions ends with another"
    assert load_bundle(home / "champion", trusted=True).digest == state.digests[state.champion]
    assert newest is not None
    assert newest.version == max(state.verdicts)
    assert state.running == 0, "a run of a dead process seems to be under way"
    names = {path.name for path in home.iterdir() if not path.name.startswith(".champion-")}
    # SQLite leaves a journal that nothing was written to, and takes it for its next one.
    left = names - {"mlflow.db", "mlflow.db-journal", "mlruns", "champion", "training.lock", module.REPORTS}
    assert not left | {path.name for path in (home / module.REPORTS).glob(".*")}, "files of the dead are left"


if __name__ == "__main__":
    serve_trials()
