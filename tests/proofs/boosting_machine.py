"""InterpretML's explainable boosting machine, run by the Python of its own environment.

``python boosting_machine.py QUESTION.npz ANSWER.npz``: fits it as it comes on each fold's training rows, and
writes what it says of the others, in their order.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main(question: Path, answer: Path) -> None:
    from interpret.glassbox import ExplainableBoostingClassifier  # of the environment that runs this

    asked = np.load(question, allow_pickle=False)
    values, churned, nominal = asked["values"], asked["churned"], asked["nominal"]
    told = {}
    for fold in range(int(asked["folds"])):
        train, validate = asked[f"train_{fold}"], asked[f"validate_{fold}"]
        known = np.flatnonzero(~np.isnan(values[train]).all(axis=0))  # it refuses columns that nobody has
        types = ["nominal" if nominal[place] else "continuous" for place in known]
        machine = ExplainableBoostingClassifier(feature_types=types, random_state=0, n_jobs=1)
        machine.fit(values[train][:, known], churned[train])
        told[f"fold_{fold}"] = machine.predict_proba(values[validate][:, known])[:, 1]
    np.savez(answer, **told)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
