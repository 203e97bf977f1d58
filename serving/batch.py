"""Several questions at once: each gets its own answer, or its own problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from features.errors import KeepsightError
from serving.desk import Desk
from serving.problems import RequestProblem, invalid, problem, problem_of
from serving.schemas import Question


def answer_batch(items: Sequence[Any], desk: Desk, lang: str) -> list[dict[str, Any]]:
    """Answer each item, in the order asked."""
    questions = [_question(item) for item in items]
    return [
        {"index": index, "answer": None, "problem": None, **_result(question, desk, lang)}
        for index, question in enumerate(questions)
    ]


def _question(item: Any) -> Question | dict[str, Any]:
    """Return the question, or the problem of one that is not as described."""
    try:
        return Question.model_validate(item)
    except ValidationError as error:
        return invalid(error.errors(include_url=False, include_context=False, include_input=False))


def _result(question: Question | dict[str, Any], desk: Desk, lang: str) -> dict[str, Any]:
    if not isinstance(question, Question):
        return {"problem": question}
    try:
        return {"answer": desk.answer_question(question, lang)}
    except KeepsightError as error:
        return {"problem": problem_of(error)}
    except RequestProblem as error:
        return {"problem": problem(error.kind, str(error.detail))}
