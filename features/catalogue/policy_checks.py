"""Check that the playbook reads what is defined: every entry, threshold, play and opportunity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from features.catalogue.checking import Checker
from features.catalogue.files import FACTORS, PLAYBOOK, SIGNALS
from features.catalogue.schema import (
    STAGES,
    Between,
    Context,
    ContextKind,
    Counts,
    Direction,
    Edges,
    Policy,
    SignalPolicy,
)
from features.errors import near_miss


@dataclass(frozen=True, slots=True)
class PolicyChecker(Checker):
    """Checks the playbook against the definitions."""

    policy: Policy

    def check(self) -> None:
        """Note every entry without its other half, name that names nothing, edge the wrong way round."""
        self._halves()
        self._plays()
        self._thresholds()
        self._levels()
        self._opportunities()

    def _halves(self) -> None:
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

    def _plays(self) -> None:
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

    def _thresholds(self) -> None:
        policy = self.policy
        for name, signal in policy.signals.items():
            if name in self.definitions.signals:
                self._thresholds_of(["signals", name], signal, self.definitions.signals[name].direction)
        for name, factor in policy.factors.items():
            if factor.not_so_healthy_from > factor.healthy_from:
                self.complain(PLAYBOOK, ["factors", name], "not_so_healthy_from must not lie above healthy_from.")

    def _levels(self) -> None:
        policy = self.policy
        c = policy.combination
        if not c.watch < c.at_risk < c.critical:
            self.complain(PLAYBOOK, ["combination"], "watch, at_risk and critical must rise in this order.")
        s = policy.scorecard
        if not s.watch <= s.at_risk <= s.critical:
            self.complain(PLAYBOOK, ["scorecard"], "watch, at_risk and critical must not fall in this order.")
        if policy.bands.unhealthy_below > policy.bands.not_so_healthy_below:
            self.complain(PLAYBOOK, ["bands"], "unhealthy_below must not lie above not_so_healthy_below.")

    def _thresholds_of(self, keys: Sequence[str], signal: SignalPolicy, direction: Direction) -> None:
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

    def _opportunities(self) -> None:
        definitions = self.definitions
        items = {*definitions.signals, *definitions.factors, *definitions.context}
        areas = definitions.areas
        for name, entry in self.policy.opportunities.items():
            keys = ["opportunities", name]
            self.known(PLAYBOOK, [*keys, "of"], "signal, factor or context", entry.of, items)
            if entry.minus is not None:
                self.known(PLAYBOOK, [*keys, "minus"], "signal, factor or context", entry.minus, items)
            self.known(PLAYBOOK, [*keys, "area"], "area", entry.area, areas)
