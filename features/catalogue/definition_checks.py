"""Check that definitions fit each other and the tables that they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from features.catalogue.checking import Checker
from features.catalogue.files import CONTEXT, FACTORS, SIGNALS
from features.catalogue.schema import (
    STAGES,
    Aggregate,
    Between,
    BlocksMeasure,
    CodedMeasure,
    ContactLost,
    ContextKind,
    Direction,
    Filter,
    LatestAtMost,
    LowSide,
    Measure,
    MedianDurationMeasure,
    OnboardingAdoptionMeasure,
    OpenAtMeasure,
    RatioMeasure,
    Rows,
    TrendMeasure,
    UtilisationMeasure,
)
from features.catalogue.table_checks import WORKING_COLUMNS
from features.errors import near_miss
from features.sources.contract import ColumnType, TableContract

# What a context column can be derived from, beside a column of the accounts table.
DERIVED = (
    "days_to_notice_deadline",
    "days_to_renewal",
    "tenure_days",
    "stage",
    "licences",
    "arr",
    "plan",
    "contract_length_days",
)
# Columns of the vector that belong to the vector itself.
_RESERVED = ("coverage", "under_notice", "combination")


@dataclass(frozen=True, slots=True)
class DefinitionChecker(Checker):
    """Checks signals, factors and context."""

    def check(self) -> None:
        """Note every name that names nothing, and every measure that its table cannot give."""
        self._ids()
        self._signals()
        self._context()

    def _ids(self) -> None:
        """One name, one column of the vector."""
        taken = dict.fromkeys(_RESERVED, "a column of every vector")
        for name in self.definitions.signals:
            self._take(SIGNALS, ["signals", name], name, "a signal", taken)
        for name in self.definitions.factors:
            self._take(FACTORS, [name], name, "a factor", taken)
            self._take(FACTORS, [name], f"{name}_age_days", f'the age of factor "{name}"', taken)
        for name in self.definitions.context:
            self._take(CONTEXT, [name], name, "a context column", taken)

    def _take(self, file: str, keys: Sequence[str], name: str, what: str, taken: dict[str, str]) -> None:
        if name in taken:
            self.complain(file, keys, f'"{name}" is taken already by {taken[name]}; ids are unique.')
        taken[name] = what

    def _signals(self) -> None:
        definitions = self.definitions
        for name, signal in definitions.signals.items():
            keys = ["signals", name]
            for factor in signal.indicates:
                self.known(SIGNALS, [*keys, "indicates"], "factor", factor, definitions.factors)
            for stage in signal.applies.stages:
                self.known(SIGNALS, [*keys, "applies", "stages"], "stage", stage, STAGES)
            if signal.applies.unless is not None:
                other = signal.applies.unless.signal
                at = [*keys, "applies", "unless", "signal"]
                if self.known(SIGNALS, at, "signal", other, definitions.signals) and other == name:
                    self.complain(SIGNALS, at, "a signal cannot depend on itself.")
            self._two_sided(keys, signal.direction, signal.measure)
            self._measure(SIGNALS, [*keys, "measure"], signal.measure)
            if signal.evidence is not None:
                self._rows(SIGNALS, [*keys, "evidence"], signal.evidence)

    def _two_sided(self, keys: Sequence[str], direction: Direction, measure: Measure) -> None:
        comfortable = measure.comfortable if isinstance(measure, RatioMeasure) else None
        low_side = measure.low_side if isinstance(measure, RatioMeasure) else None
        at = [*keys, "measure"]
        if direction is not Direction.TWO_SIDED:
            if comfortable is not None or low_side is not None:
                self.complain(
                    SIGNALS, at, 'only a signal with direction = "two_sided" has a comfortable range or low side.'
                )
            return
        if comfortable is None:
            self.complain(SIGNALS, at, 'a two-sided signal is a "ratio" with a comfortable range.')
        elif comfortable.at_least is None or comfortable.at_most is None:
            self.complain(SIGNALS, [*at, "comfortable"], "a comfortable range has both at_least and at_most.")
        elif comfortable.at_least >= comfortable.at_most:
            self.complain(SIGNALS, [*at, "comfortable"], "at_least must lie below at_most.")

    def _context(self) -> None:
        for name, entry in self.definitions.context.items():
            if entry.of is not None and not entry.of.startswith("accounts."):
                self.known(CONTEXT, [name, "of"], "origin", entry.of, [*DERIVED, "accounts.COLUMN"])
            column = (entry.of or "").removeprefix("accounts.")
            if column != entry.of and (column in WORKING_COLUMNS or column.startswith("_")):
                self.complain(
                    CONTEXT,
                    [name, "of"],
                    f'Keepsight uses the name "{column}" itself. Choose another one; in sources.toml, '
                    f'[tables.accounts] columns = {{ my_{column.lstrip("_")} = "{column}" }}.',
                )
            if entry.measure is not None:
                self._measure(CONTEXT, [name, "measure"], entry.measure)
            if entry.codebook and entry.kind is not ContextKind.CATEGORY:
                self.complain(CONTEXT, [name, "codebook"], 'only kind = "category" has a codebook.')
            if len(set(entry.codebook)) < len(entry.codebook):
                self.complain(CONTEXT, [name, "codebook"], "a value stands twice.")

    # --- tables, columns and filters of measures ---

    def _measure(self, file: str, keys: Sequence[str], measure: Measure) -> None:
        if isinstance(measure, CodedMeasure):
            codes = [code.code for code in measure.codes]
            if codes != sorted(set(codes)):
                self.complain(file, [*keys, "codes"], "codes rise from entry to entry, each given once.")
        self._references(file, keys, measure, None)

    def _references(self, file: str, keys: Sequence[str], model: BaseModel, table: str | None) -> None:
        """Check one table of a measure, then the tables inside it; `table` is the one its rows come from."""
        if isinstance(model, Rows):
            self._rows(file, keys, model)
            return
        if isinstance(model, BlocksMeasure):
            self._blocks(file, keys, model)
            return
        table = _table_of(model) or table
        if table is not None and table in self.definitions.contracts:
            self._columns(file, keys, model, table)
        self._moments(file, keys, model)
        if isinstance(model, LatestAtMost | ContactLost):
            roles = self.definitions.contracts["contacts"].columns["role"].one_of
            for role in (*model.roles, *getattr(model, "fallback_roles", ())):
                self.known(file, [*keys, "roles"], "role", role, roles)
        if isinstance(model, LowSide):
            for stage in model.stages:
                self.known(file, [*keys, "stages"], "stage", stage, STAGES)
        for key, inner in _inner(model):
            self._references(file, [*keys, *key], inner, table)

    def _blocks(self, file: str, keys: Sequence[str], measure: BlocksMeasure) -> None:
        if self._table(file, keys, measure.table):
            self._happens(file, keys, measure.table, "no blocks of days")
            self._filter(file, [*keys, "more"], measure.table, measure.more)
            self._filter(file, [*keys, "than"], measure.table, measure.than)

    def _columns(self, file: str, keys: Sequence[str], model: BaseModel, table: str) -> None:
        """Check the columns that a measure, condition or bonus names beside its rows."""
        for key in ("by", "column"):
            if (column := getattr(model, key, None)) is not None:
                self._column(file, [*keys, key], table, column)
        for column in getattr(model, "columns", ()):
            self._column(file, [*keys, "columns"], table, column)
        if (only := getattr(model, "filter", None)) is not None:
            self._filter(file, [*keys, "filter"], table, only)
        contracts = self.definitions.contracts
        if isinstance(model, MedianDurationMeasure | OpenAtMeasure) and contracts[table].ended is None:
            ended = [name for name, contract in contracts.items() if contract.ended]
            self.complain(file, keys, f'rows of "{table}" never end. {near_miss(table, ended)}')

    def _moments(self, file: str, keys: Sequence[str], model: BaseModel) -> None:
        """Check that rows happen some day, where it is asked when, and name people, where it is asked who."""
        asked = [getattr(model, "rows", None)]
        if isinstance(model, TrendMeasure):
            asked += [model.of, model.fallback]
        if isinstance(model, UtilisationMeasure | OnboardingAdoptionMeasure):
            asked.append(model.people)
            if model.people.table in self.definitions.contracts:
                self._column(file, [*keys, "people"], model.people.table, "user_id")
        for rows in asked:
            if isinstance(rows, Rows) and rows.table in self.definitions.contracts:
                self._happens(file, keys, rows.table, "the measure asks when")

    def _happens(self, file: str, keys: Sequence[str], table: str, wanted: str) -> None:
        if self.definitions.contracts[table].occurred is None:
            self.complain(file, keys, f'rows of "{table}" have no day on which they happen: {wanted}.')

    def _rows(self, file: str, keys: Sequence[str], rows: Rows) -> None:
        if not self._table(file, keys, rows.table):
            return
        for number, only in enumerate(rows.any_of, start=1):
            self._filter(file, [*keys, "any_of", f"entry {number}"], rows.table, only)
        if not isinstance(rows, Aggregate):
            return
        for column in rows.columns:
            if column == "day" and rows.of == "distinct":
                continue
            numeric = rows.of in ("sum", "mean")
            self._column(file, [*keys, "columns"], rows.table, column, numeric=numeric)
        if rows.by_known_since is not None:
            self._column(file, [*keys, "by_known_since", "column"], rows.table, rows.by_known_since.column)
        windowed = rows.window_days is not None or rows.until_days_ago or rows.by_known_since is not None
        if windowed or "day" in rows.columns:
            self._happens(file, keys, rows.table, "no window")

    def _table(self, file: str, keys: Sequence[str], name: str) -> bool:
        contracts = self.definitions.contracts
        usable = [table for table, contract in contracts.items() if _is_usable(contract)]
        if name in contracts and contracts[name].labels_only:
            self.complain(file, keys, f'table "{name}" is read by labels only: it tells what is to be predicted.')
            return False
        return self.known(file, keys, "table", name, usable)

    def _column(self, file: str, keys: Sequence[str], table: str, column: str, *, numeric: bool = False) -> bool:
        columns = self.definitions.contracts[table].columns
        if not self.known(file, keys, f'column of "{table}"', column, columns):
            return False
        if numeric and columns[column].type not in _NUMERIC:
            self.complain(file, keys, f'"{table}.{column}" is {columns[column].type}, a number is needed.')
            return False
        return True

    def _filter(self, file: str, keys: Sequence[str], table: str, only: Filter) -> None:
        for column, wanted in only.items():
            at = [*keys, column]
            if not self._column(file, at, table, column):
                continue
            known = self.definitions.contracts[table].columns[column]
            if isinstance(wanted, Between):
                if known.type not in _NUMERIC:
                    self.complain(file, at, f'"{table}.{column}" is {known.type}: list its values.')
                continue
            for value in wanted:
                if not isinstance(value, _VALUES[known.type]) or (
                    isinstance(value, bool) and known.type != "yes_no"
                ):
                    self.complain(file, at, f'"{table}.{column}" is {known.type}, never {_said(value)}.')
                elif known.one_of and value not in known.one_of:
                    self.known(file, at, "value", str(value), known.one_of)


_NUMERIC = (ColumnType.NUMBER, ColumnType.INTEGER)
_VALUES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "yes_no": (bool,),
    "integer": (int,),
    "number": (int,),
    "date": (str,),
    "time": (str,),
}


def _said(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _is_usable(table: TableContract) -> bool:
    return table.by_account and not table.labels_only


def _table_of(model: BaseModel) -> str | None:
    """Return the table that the columns of a measure belong to."""
    for key in ("rows", "aggregate"):
        rows = getattr(model, key, None)
        if isinstance(rows, Rows):
            return rows.table
    return None


def _inner(model: BaseModel) -> Iterator[tuple[list[str], BaseModel]]:
    """Yield the tables inside a table, with the keys that lead there."""
    for key in type(model).model_fields:
        value = getattr(model, key)
        if isinstance(value, BaseModel):
            yield [key], value
        elif isinstance(value, tuple):
            for number, item in enumerate(value, start=1):
                if isinstance(item, BaseModel):
                    yield [key, f"entry {number}"], item
