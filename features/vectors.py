"""Vectors: what a model may see of an account, with the contract that names every column.

A vector holds float64 values in catalogue order, NaN for unknown: the signals, the factors, each factor's age,
the context, and two columns about the vector itself (``coverage``, ``under_notice``). No severities: thresholds
are policy, vectors are meaning. Nothing is fitted between table and vector.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from features.catalogue.schema import CodedMeasure, ContextKind, Direction, RatioMeasure
from features.errors import ContractMismatchError
from features.readings import KNOWN_LETTER, Unknown, UnknownReason

if TYPE_CHECKING:
    from features.catalogue import Catalogue

Floats = npt.NDArray[np.float64]

COVERAGE = "coverage"
UNDER_NOTICE = "under_notice"


class Role(StrEnum):
    """What a column of the vector is."""

    SIGNAL = "signal"
    FACTOR = "factor"
    FACTOR_AGE = "factor_age"
    CONTEXT = "context"
    META = "meta"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the vector.

    `direction` is that of signals and factors (None for context). `comfortable` is the range of a two-sided
    signal. `codebook` gives a category's values in code order. `in_model = False`: no model reads it.
    """

    name: str
    role: Role
    kind: str  # number, code, category, yes_no
    area: str
    direction: Direction | None = None
    comfortable: tuple[float, float] | None = None
    codebook: tuple[str, ...] = ()
    in_model: bool = True


@dataclass(frozen=True)
class FeatureContract:
    """The vector's columns, in order, and the fingerprint of the definitions that fill them.

    It travels with every model; a vector of another contract is refused.

    Examples
    --------
    >>> ours = FeatureContract((Column("usage_trend", Role.SIGNAL, "number", "usage"),), "0123456789abcdef")
    >>> FeatureContract.from_json(ours.to_json()) == ours
    True
    >>> other = FeatureContract((), "ffffffffffffffff")
    >>> ours.refuse_unless_equal(other)
    Traceback (most recent call last):
    ...
    features.errors.ContractMismatchError: The model and the vectors do not fit each other: ...
    """

    columns: tuple[Column, ...]
    definitions: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Where each column stands."""
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def places(self) -> Mapping[Role, Sequence[tuple[int, str]]]:
        """Where the columns of each role stand, and their names."""
        return {role: [(n, c.name) for n, c in enumerate(self.columns) if c.role is role] for role in Role}

    @cached_property
    def items(self) -> tuple[Column, ...]:
        """Signals, then factors: what the scorecard judges."""
        return tuple(c for c in self.columns if c.role in (Role.SIGNAL, Role.FACTOR))

    @cached_property
    def item_positions(self) -> npt.NDArray[np.intp]:
        """Where the items stand in the vector."""
        return np.array([self.position[c.name] for c in self.items], dtype=np.intp)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over names, order, types, codebooks and definitions."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the contract as canonical JSON."""
        return json.dumps(
            {"columns": [asdict(column) for column in self.columns], "definitions": self.definitions},
            sort_keys=True,
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str) -> FeatureContract:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        ValueError, KeyError, TypeError
            It is not JSON, or not that of a contract; who reads a file says which file that was.
        """
        raw = json.loads(text)
        return cls(tuple(_column(column) for column in raw["columns"]), raw["definitions"])

    def refuse_unless_equal(self, other: FeatureContract) -> None:
        """Raise, with a readable difference, unless `other` (the vectors') is this one (the model's).

        Raises
        ------
        ContractMismatchError
            Names, order, types, codebooks or the definitions' fingerprint differ.
        """
        if self.fingerprint == other.fingerprint:
            return
        difference = "\n".join(
            line
            for line in difflib.unified_diff(
                [_describe(c) for c in self.columns],
                [_describe(c) for c in other.columns],
                "the model",
                "the vectors",
                lineterm="",
                n=0,
            )
            if not line.startswith("@@")
        )
        raise ContractMismatchError(
            "The model and the vectors do not fit each other: "
            f"definitions {self.definitions} (model) and {other.definitions} (vectors).\n"
            + (difference or "All columns are named alike; what they mean has changed.")
            + "\nRetrain (`keepsight train`), or go back to the definitions that the model was trained with."
        )


def _column(raw: dict[str, Any]) -> Column:
    comfortable = raw["comfortable"]
    return Column(
        **{
            **raw,
            "role": Role(raw["role"]),
            "direction": Direction(raw["direction"]) if raw["direction"] else None,
            "comfortable": (comfortable[0], comfortable[1]) if comfortable else None,
            "codebook": tuple(raw["codebook"]),
        }
    )


def _describe(column: Column) -> str:
    codebook = f" {list(column.codebook)}" if column.codebook else ""
    return f"{column.name} ({column.role}, {column.kind}){codebook}"


def feature_contract(catalogue: Catalogue, codebooks: Mapping[str, Sequence[str]]) -> FeatureContract:
    """Return the contract of a catalogue's vectors.

    Parameters
    ----------
    catalogue
        Definitions in force.
    codebooks
        For each category without a declared codebook, its values in code order, as recorded from what was
        known when the model was trained. A category without either has an empty codebook: always unknown.
    """
    definitions = catalogue.definitions
    columns: list[Column] = []
    for name, signal in definitions.signals.items():
        measure = signal.measure
        comfortable = None
        if isinstance(measure, RatioMeasure) and measure.comfortable is not None:
            low, high = measure.comfortable.at_least, measure.comfortable.at_most
            assert low is not None  # both edges are asked for when the catalogue is loaded
            assert high is not None
            comfortable = (low, high)
        kind = "code" if isinstance(measure, CodedMeasure) else "number"
        columns.append(Column(name, Role.SIGNAL, kind, signal.area, signal.direction, comfortable))
    for name, factor in definitions.factors.items():
        columns.append(Column(name, Role.FACTOR, "code", factor.area, Direction.LOWER_IS_WORSE))
    for name, factor in definitions.factors.items():
        columns.append(Column(age_column(name), Role.FACTOR_AGE, "number", factor.area))
    for name, context in definitions.context.items():
        codebook: tuple[str, ...] = ()
        if context.kind is ContextKind.CATEGORY:
            codebook = context.codebook or tuple(codebooks.get(name, ()))
        columns.append(
            Column(
                name,
                Role.CONTEXT,
                context.kind.value,
                "context",
                codebook=codebook,
                in_model=context.in_model,
            )
        )
    columns.append(Column(COVERAGE, Role.META, "number", "meta", in_model=False))
    columns.append(Column(UNDER_NOTICE, Role.META, "yes_no", "meta", in_model=False))
    return FeatureContract(tuple(columns), catalogue.definitions_fingerprint)


def age_column(factor_id: str) -> str:
    """Name the column that holds the age, in whole days, of a factor's assessment.

    >>> age_column("product_fit")
    'product_fit_age_days'
    """
    return f"{factor_id}_age_days"


@dataclass(frozen=True)
class Vectors:
    """Vectors of n accounts (rows may repeat an account at several `as_of`).

    Attributes
    ----------
    contract
        What the k columns are.
    account_ids
        Shape (n,), text.
    as_of
        Shape (n,), datetime64[s], UTC.
    values
        Shape (n, k), float64; NaN is unknown.
    unknown
        Shape (n, k), one letter each: ``.`` where the value is known, else that of :class:`UnknownReason`.

    Examples
    --------
    >>> score = Column("nps_score", Role.SIGNAL, "number", "nps")
    >>> plan = Column("plan", Role.CONTEXT, "category", "context", codebook=("basic", "pro"))
    >>> contract, dates = FeatureContract((score, plan), "0123456789abcdef"), np.array(["2025-07-01"] * 2, "M8[s]")
    >>> values, unknown = np.array([[9.0, 1.0], [np.nan, 0.0]]), np.array([[".", "."], ["d", "."]])
    >>> two = Vectors(contract, np.array(["acme", "bolt"], dtype=object), dates, values, unknown)
    >>> two.column("nps_score"), two.category("plan").tolist()
    (array([ 9., nan]), ['pro', 'basic'])
    >>> two.reading(0, "nps_score"), str(two.reading(1, "nps_score").reason)
    (9.0, 'not_delivered')
    >>> two.take(two.column("plan") == 0).account_ids.tolist()
    ['bolt']
    >>> two.column("plann")
    Traceback (most recent call last):
    ...
    KeyError: 'plann'
    """

    contract: FeatureContract
    account_ids: npt.NDArray[np.object_]
    as_of: npt.NDArray[np.datetime64]
    values: Floats
    unknown: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.account_ids)

    def __iter__(self) -> Iterator[Vectors]:
        return (self.take([row]) for row in range(len(self)))

    def take(self, rows: Sequence[int] | npt.NDArray[Any] | slice) -> Vectors:
        """Return the chosen rows, in the order asked for (positions, a mask or a slice); of none, no row.

        Raises
        ------
        IndexError
            A position beyond the rows, or a mask of another length.
        """
        chosen: Any = rows if isinstance(rows, slice) else np.asarray(rows)
        return Vectors(
            self.contract,
            self.account_ids[chosen],
            self.as_of[chosen],
            self.values[chosen],
            self.unknown[chosen],
        )

    def column(self, name: str) -> Floats:
        """Return one column's values, shape (n,), NaN unknown: no copy, so not to be written to.

        Raises
        ------
        KeyError
            The contract has no such column; a company's catalogue may leave context out.
        """
        return self.values[:, self.contract.position[name]]

    def category(self, name: str) -> npt.NDArray[np.object_]:
        """Return a category's values as text, shape (n,), None where unknown.

        Raises
        ------
        KeyError
            The contract has no such column.
        """
        codebook = self.contract.columns[self.contract.position[name]].codebook
        return np.array(
            [codebook[int(code)] if code == code else None for code in self.column(name)], dtype=object
        )

    def reading(self, row: int, name: str) -> float | Unknown:
        """Return one value, or why it is unknown: never NaN.

        Raises
        ------
        KeyError
            The contract has no such column.
        """
        place = self.contract.position[name]
        letter = str(self.unknown[row, place])
        if letter == KNOWN_LETTER:
            return float(self.values[row, place])
        return Unknown(UnknownReason.of_letter(letter))

    def digest(self, row: int) -> str:
        """Return sixteen hex digits over one vector's values, bit for bit, and reasons; not over id and date."""
        text = self.values[row].tobytes() + "".join(self.unknown[row]).encode()
        return hashlib.sha256(text).hexdigest()[:16]


def coverage(contract: FeatureContract, unknown: npt.NDArray[np.str_] | npt.NDArray[np.uint8]) -> Floats:
    """Return the share of items known, of those that apply and whose feeds are connected.

    By count, since weights are policy; the answer's coverage is weighted by the policy in force.

    Parameters
    ----------
    contract
        What the columns are.
    unknown
        Shape (n, k), letters, as text or as bytes.

    Returns
    -------
    Floats
        Shape (n,), 0 to 1; NaN where nothing applies or nothing is connected.
    """
    letters: npt.NDArray[Any] = unknown.T[contract.item_positions]
    if letters.dtype.kind == "U":
        letters = np.ascontiguousarray(letters).view(np.uint32)  # compared 10 times faster

    def count(items: npt.NDArray[np.bool_]) -> Floats:
        counted: Floats = np.add.reduce(items, axis=0, dtype=np.int16).astype(np.float64)
        return counted

    out = [ord(reason.letter) for reason in (UnknownReason.NOT_APPLICABLE, UnknownReason.NOT_CONNECTED)]
    known, total = count(letters == ord(KNOWN_LETTER)), count((letters != out[0]) & (letters != out[1]))
    return np.where(total > 0, known / np.maximum(total, 1), np.nan)
