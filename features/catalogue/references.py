"""Check that the entries of the catalogue fit each other and the tables that they read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from pydantic import BaseModel

from features.catalogue.files import CONTEXT, FACTORS, PLAYBOOK, SIGNALS, Files
from features.catalogue.problems import Problems
from features.catalogue.schema import (
    STAGES,
    Aggregate,
    Between,
    BlocksMeasure,
    CodedMeasure,
    ContactLost,
    Context,
    ContextKind,
    Counts,
    Definitions,
    Direction,
    Edges,
    Filter,
    LatestAtMost,
    Measure,
    MedianDurationMeasure,
    OpenAtMeasure,
    Policy,
    RatioMeasure,
    Rows,
    SignalPolicy,
)
from features.catalogue.tables import KnownTable, known_tables
from features.errors import near_miss

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


def check_references(definitions: Definitions, policy: Policy, files: Files, problems: Problems) -> None:
    """Note every name that names nothing, every entry without its other half, every edge the wrong way round."""
    check = _Check(definitions, policy, files, problems)
    check.ids()
    check.signals()
    check.context()
    check.halves()
    check.plays()
    check.thresholds()
    check.opportunities()


class _Check:
    def __init__(self, definitions: Definitions, policy: Policy, files: Files, problems: Problems) -> None:
        self.definitions = definitions
        self.policy = policy
        self.files = files
        self.problems = problems

    def complain(self, file: str, keys: Sequence[str], problem: str) -> None:
        self.problems.add(f"{self.files.where(file, keys)}: {problem}")

    def known(self, file: str, keys: Sequence[str], what: str, name: str, allowed: Collection[str]) -> bool:
        if name in allowed:
            return True
        self.complain(file, keys, f'unknown {what} "{name}". {near_miss(name, allowed)}')
        return False

    # --- ids ---

    def ids(self) -> None:
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

    # --- definitions ---

    def signals(self) -> None:
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

    def context(self) -> None:
        for name, entry in self.definitions.context.items():
            if entry.of is not None and not entry.of.startswith("accounts."):
                self.known(CONTEXT, [name, "of"], "origin", entry.of, [*DERIVED, "accounts.COLUMN"])
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
        table = _table_of(model) or table
        if isinstance(model, BlocksMeasure):
            if self._table(file, keys, model.table):
                self._filter(file, [*keys, "more"], model.table, model.more)
                self._filter(file, [*keys, "than"], model.table, model.than)
            return
        if table in known_tables():
            for key in ("by", "column"):
                if (column := getattr(model, key, None)) is not None:
                    self._column(file, [*keys, key], table, column)
            for column in getattr(model, "columns", ()):
                self._column(file, [*keys, "columns"], table, column)
            if (only := getattr(model, "filter", None)) is not None:
                self._filter(file, [*keys, "filter"], table, only)
            if isinstance(model, MedianDurationMeasure | OpenAtMeasure) and not known_tables()[table].has_ended:
                ended = [name for name, known in known_tables().items() if known.has_ended]
                self.complain(file, keys, f'table "{table}" has no end of a row. {near_miss(table, ended)}')
        if isinstance(model, LatestAtMost | ContactLost):
            roles = known_tables()["contacts"].columns["role"].one_of
            for role in (*model.roles, *getattr(model, "fallback_roles", ())):
                self.known(file, [*keys, "roles"], "role", role, roles)
        if getattr(model, "stages", None):
            for stage in model.stages:  # type: ignore[attr-defined]
                self.known(file, [*keys, "stages"], "stage", stage, STAGES)
        for key, inner in _inner(model):
            self._references(file, [*keys, *key], inner, table)

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
        if rows.window_days is not None and not known_tables()[rows.table].has_occurred:
            self.complain(file, keys, f'rows of "{rows.table}" have no day on which they happen: no window.')

    def _table(self, file: str, keys: Sequence[str], name: str) -> bool:
        usable = [table for table, known in known_tables().items() if _is_usable(known)]
        known = known_tables().get(name)
        if known is not None and known.labels_only:
            self.complain(file, keys, f'table "{name}" is read by labels only: it tells what is to be predicted.')
            return False
        return self.known(file, keys, "table", name, usable)

    def _column(self, file: str, keys: Sequence[str], table: str, column: str, *, numeric: bool = False) -> bool:
        columns = known_tables()[table].columns
        if not self.known(file, keys, f'column of "{table}"', column, columns):
            return False
        if numeric and columns[column].type not in ("number", "integer"):
            self.complain(file, keys, f'"{table}.{column}" is {columns[column].type}, a number is needed.')
            return False
        return True

    def _filter(self, file: str, keys: Sequence[str], table: str, only: Filter) -> None:
        for column, wanted in only.items():
            at = [*keys, column]
            if not self._column(file, at, table, column):
                continue
            known = known_tables()[table].columns[column]
            if isinstance(wanted, Between):
                if known.type not in ("number", "integer", "date", "time"):
                    self.complain(file, at, f'"{table}.{column}" is {known.type}: list its values.')
                continue
            for value in wanted:
                if not isinstance(value, _VALUES[known.type]) or (
                    isinstance(value, bool) and known.type != "yes_no"
                ):
                    self.complain(file, at, f'"{table}.{column}" is {known.type}, never {_said(value)}.')
                elif known.one_of and value not in known.one_of:
                    self.known(file, at, "value", str(value), known.one_of)

    # --- policy ---

    def halves(self) -> None:
        """Every signal and factor is read somehow, and nothing is read that is not defined."""
        pairs = (
            ("signals", SIGNALS, self.definitions.signals, self.policy.signals),
            ("factors", FACTORS, self.definitions.factors, self.policy.factors),
        )
        for table, file, defined, read in pairs:
            for name in defined:
                if name not in read:
                    keys = [table, name] if file == SIGNALS else [name]
                    self.complain(file, keys, f"no entry [{table}.{name}] in {PLAYBOOK} says how it is read.")
            for name in read:
                if name not in defined:
                    self.complain(
                        PLAYBOOK, [table, name], f"no such {table[:-1]} is defined. {near_miss(name, defined)}"
                    )

    def plays(self) -> None:
        policy = self.policy
        named: list[tuple[list[str], str]] = []
        for name, signal in policy.signals.items():
            named.append((["signals", name, "play"], signal.play))
            if signal.low is not None:
                named.append((["signals", name, "low", "play"], signal.low.play))
        named += [(["factors", name, "play"], factor.play) for name, factor in policy.factors.items()]
        named += [(["opportunities", name, "play"], entry.play) for name, entry in policy.opportunities.items()]
        named += [(["segments", name, "play"], entry.play) for name, entry in policy.segments.items()]
        for keys, play in named:
            self.known(PLAYBOOK, keys, "play", play, policy.plays)
        for band in ("healthy", "not_so_healthy", "unhealthy"):
            if band not in policy.segments:
                self.complain(PLAYBOOK, ["segments"], f'missing key "{band}".')

    def thresholds(self) -> None:
        policy = self.policy
        for name, signal in policy.signals.items():
            if name in self.definitions.signals:
                self._thresholds(["signals", name], signal, self.definitions.signals[name].direction)
        for name, factor in policy.factors.items():
            if factor.not_so_healthy_from > factor.healthy_from:
                self.complain(PLAYBOOK, ["factors", name], "not_so_healthy_from must not lie above healthy_from.")
        c = policy.combination
        if not c.watch < c.at_risk < c.critical:
            self.complain(PLAYBOOK, ["combination"], "watch, at_risk and critical must rise in this order.")
        s = policy.scorecard
        if not s.watch <= s.at_risk <= s.critical:
            self.complain(PLAYBOOK, ["scorecard"], "watch, at_risk and critical must not fall in this order.")
        if policy.bands.unhealthy_below > policy.bands.not_so_healthy_below:
            self.complain(PLAYBOOK, ["bands"], "unhealthy_below must not lie above not_so_healthy_below.")

    def _thresholds(self, keys: Sequence[str], signal: SignalPolicy, direction: Direction) -> None:
        self._edges([*keys, "edges"], signal.edges, direction)
        self._counts([*keys, "counts"], signal.counts, direction)
        if direction is Direction.TWO_SIDED:
            if signal.low is None or signal.edges is None:
                self.complain(PLAYBOOK, keys, 'a two-sided signal has "edges" for its high side and "low".')
            elif signal.low.healthy >= signal.edges.healthy:
                self.complain(
                    PLAYBOOK, [*keys, "low"], "healthy must lie below the healthy edge of the high side."
                )
        elif signal.low is not None:
            self.complain(PLAYBOOK, [*keys, "low"], "only a two-sided signal has a low side.")
        for number, override in enumerate(signal.overrides, start=1):
            at = [*keys, "overrides", f"entry {number}"]
            for stage in override.stages:
                self.known(PLAYBOOK, [*at, "stages"], "stage", stage, STAGES)
            for column, wanted in override.context.items():
                context = self.definitions.context
                if self.known(PLAYBOOK, [*at, "context"], "context column", column, context):
                    self._context_values([*at, "context", column], context[column], wanted)
            if (override.edges is None) != (signal.edges is None):
                kind = "edges" if signal.edges is not None else "counts"
                self.complain(PLAYBOOK, at, f'this signal has "{kind}", so have its overrides.')
            self._edges([*at, "edges"], override.edges, direction)
            self._counts([*at, "counts"], override.counts, direction)

    def _context_values(self, keys: Sequence[str], context: Context, wanted: object) -> None:
        is_range = isinstance(wanted, Between)
        if is_range == (context.kind is ContextKind.CATEGORY):
            needed = "a list of values" if context.kind is ContextKind.CATEGORY else "at_least and at_most"
            self.complain(PLAYBOOK, keys, f"a {context.kind} is matched by {needed}.")
        elif isinstance(wanted, tuple) and context.codebook:
            for value in wanted:
                self.known(PLAYBOOK, keys, "value", str(value), context.codebook)

    def _edges(self, keys: Sequence[str], edges: Edges | None, direction: Direction) -> None:
        if edges is None:
            return
        if direction is Direction.LOWER_IS_WORSE and not edges.healthy > edges.unhealthy:
            self.complain(PLAYBOOK, keys, "lower is worse: healthy must lie above unhealthy.")
        if direction is not Direction.LOWER_IS_WORSE and not edges.healthy < edges.unhealthy:
            self.complain(PLAYBOOK, keys, "higher is worse: healthy must lie below unhealthy.")

    def _counts(self, keys: Sequence[str], counts: Counts | None, direction: Direction) -> None:
        if counts is None:
            return
        if direction is not Direction.HIGHER_IS_WORSE:
            self.complain(PLAYBOOK, keys, 'counts need direction = "higher_is_worse"; give edges.')
        if counts.unhealthy is not None and not counts.not_so_healthy < counts.unhealthy:
            self.complain(PLAYBOOK, keys, "not_so_healthy must lie below unhealthy.")

    def opportunities(self) -> None:
        definitions = self.definitions
        items = {**definitions.signals, **definitions.factors, **definitions.context}
        areas = {entry.area for entry in (*definitions.signals.values(), *definitions.factors.values())}
        for name, entry in self.policy.opportunities.items():
            keys = ["opportunities", name]
            self.known(PLAYBOOK, [*keys, "of"], "signal, factor or context", entry.of, items)
            if entry.minus is not None:
                self.known(PLAYBOOK, [*keys, "minus"], "signal, factor or context", entry.minus, items)
            self.known(PLAYBOOK, [*keys, "area"], "area", entry.area, areas)


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


def _is_usable(table: KnownTable) -> bool:
    return table.has_accounts and not table.labels_only


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
