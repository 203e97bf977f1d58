"""Turn raw TOML tables into typed models, and what pydantic refuses into sentences for people.

``signals.toml, signal "days_since_last_use": unknown key "sorce". Did you mean "source"? Allowed: …``
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, Tag, ValidationError

from features.catalogue.findings import Problems
from features.errors import near_miss

Model = TypeVar("Model", bound=BaseModel)
Where = Callable[[Sequence[str]], str]  # a path of keys -> the place, as people name it

__all__ = ["Problems", "Where", "parse"]


def parse(model: type[Model], raw: Mapping[str, Any], where: Where, problems: Problems) -> Model | None:
    """Return `raw` as `model`, or None with every reason noted in `problems`.

    TOML's types are taken as they are: a number in quotes is not a number.

    Parameters
    ----------
    model
        What the file may say.
    raw
        What it says.
    where
        Names the place of a path of keys, for instance ``signals.toml, signal "usage_trend", measure``.
    problems
        Takes what is wrong, a sentence each.
    """
    try:
        # By way of JSON, where strict mode still reads lists as tuples and text as enum members.
        return model.model_validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        for problem in _sentences(model, raw, error, where):
            problems.add(problem)
        return None


_TYPES = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list in square brackets",
    "mapping_type": "a table of entries",
    "dict_type": "a table of entries",
    "model_type": "a table of entries",
    "finite_number": "a finite number",
}


def _sentences(
    model: type[BaseModel], raw: Mapping[str, Any], error: ValidationError, where: Where
) -> Iterator[str]:
    """Say what is wrong, in the order found; what alternatives ask of one place is joined."""
    wanted: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False):
        location, context = detail["loc"], detail.get("ctx", {})
        keys = _as_written(raw, location)
        if detail["type"] in _TYPES:
            wanted.setdefault(where(keys), []).append(_TYPES[detail["type"]])
            continue
        match detail["type"]:
            case "extra_forbidden":
                allowed = _keys(_type_at(model, location[:-1]))
                yield f'{where(keys[:-1])}: unknown key "{keys[-1]}". {near_miss(keys[-1], allowed)}'
            case "missing":
                yield f'{where(keys[:-1])}: missing key "{keys[-1]}".'
            case "union_tag_not_found":
                key, allowed = context["discriminator"].strip("'"), _tags(_type_at(model, location))
                yield f'{where(keys)}: missing key "{key}". {near_miss("", allowed)}'
            case "union_tag_invalid":
                key, allowed = context["discriminator"].strip("'"), _tags(_type_at(model, location))
                yield f'{where(keys)}: unknown {key} "{context["tag"]}". {near_miss(context["tag"], allowed)}'
            case "enum" | "literal_error":
                given = detail["input"]
                allowed = [name for name in context["expected"].split("'") if name.isidentifier()]
                if location[-1] == "[key]":
                    yield f'{where(keys[:-1])}: unknown key "{keys[-1]}". {near_miss(keys[-1], allowed)}'
                else:
                    yield f'{where(keys)}: "{given}" is not allowed. {near_miss(str(given), allowed)}'
            case "string_pattern_mismatch":
                yield (
                    f'{where(keys)}: "{detail["input"]}" is no name here: lower-case letters, digits and '
                    "underscores, a letter first."
                )
            case "value_error":
                yield f"{where(keys)}: {context['error']}."
            case _:
                yield f"{where(keys)}: {detail['msg'][0].lower()}{detail['msg'][1:]}."
    for at, types_wanted in wanted.items():
        yield f"{at}: must be {' or '.join(dict.fromkeys(types_wanted))}."


def _as_written(raw: Any, location: Sequence[str | int]) -> list[str]:
    """Leave out of pydantic's location the names of alternatives, which nobody wrote in the file."""
    keys: list[str] = []
    tag_was_named = False
    for position, step in enumerate(location):
        last = position == len(location) - 1
        if isinstance(raw, Mapping):
            if not tag_was_named and step in (raw.get("kind"), raw.get("when")):
                tag_was_named = True
            elif step in raw or (last and step != "[key]" and step not in ("values", "range")):
                keys.append(str(step))
                raw, tag_was_named = raw.get(step), False
        elif isinstance(raw, list) and isinstance(step, int):
            keys.append(f"entry {step + 1}")
            raw, tag_was_named = raw[step], False
    return keys


def _type_at(kind: Any, location: Sequence[str | int]) -> Any:
    """Return the type that stands at `location` inside the type `kind`."""
    arguments = [a for a in typing.get_args(kind) if a not in (types.NoneType, Ellipsis)]
    is_union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    if typing.get_origin(kind) is typing.Annotated or (is_union and len(arguments) == 1):
        return _type_at(arguments[0], location)
    if not location:
        return kind
    step, rest = location[0], location[1:]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(step))
        return _type_at(field.annotation, rest) if field else None
    if is_union:
        chosen = [member for member in arguments if step in _own_tags(member)]
        return _type_at(chosen[0], rest) if chosen else None
    return _type_at(arguments[-1], rest) if arguments else None  # the values of a table, the items of a list


def _own_tags(member: Any) -> list[str]:
    if typing.get_origin(member) is typing.Annotated:
        return [note.tag for note in member.__metadata__ if isinstance(note, Tag)]
    if not (isinstance(member, type) and issubclass(member, BaseModel)):
        return []
    fields = member.model_fields
    field = fields.get("kind") or fields.get("when")
    return list(typing.get_args(field.annotation)) if field else []


def _tags(kind: Any) -> list[str]:
    members = typing.get_args(kind)
    return [tag for member in members for tag in _own_tags(member)]


def _keys(kind: Any) -> list[str]:
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []
