"""Load the catalogue: read the files, type them, switch off, check that all entries fit, all errors at once."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from features.catalogue import fingerprints
from features.catalogue.definition_checks import DefinitionChecker
from features.catalogue.files import CONTEXT, FACTORS, PLAYBOOK, SIGNALS, TABLES, Files, read_files
from features.catalogue.policy_checks import PolicyChecker
from features.catalogue.problems import Problems, parse
from features.catalogue.schema import Context, Definitions, Policy
from features.catalogue.speech import load_wording
from features.catalogue.switching import check_off, definitions_without, policy_without
from features.catalogue.table_checks import TableChecker
from features.catalogue.wording import Wording


@dataclass(frozen=True)
class Catalogue:
    """Everything that Keepsight knows how to see, how it reads it, and how it says it.

    Attributes
    ----------
    definitions
        What readings mean; a change needs retraining.
    policy
        How readings are read: thresholds, weights, actions.
    wording
        How it is said, by language (``en``, ``zh``).
    revision
        Number of the catalogue's revision.

    Examples
    --------
    >>> catalogue = load_catalogue()
    >>> catalogue.areas[0], catalogue.areas[-1]
    ('licences', 'relationship')
    >>> catalogue.area_of("usage_trend"), catalogue.area_of("product_fit"), catalogue.area_of("tenure_days")
    ('usage', 'relationship', 'context')
    """

    definitions: Definitions
    policy: Policy
    wording: Mapping[str, Wording]
    revision: int

    @cached_property
    def definitions_fingerprint(self) -> str:
        """Sixteen hex digits over the definitions."""
        return fingerprints.definitions_fingerprint(self.definitions)

    @cached_property
    def policy_fingerprint(self) -> str:
        """Sixteen hex digits over the policy."""
        return fingerprints.policy_fingerprint(self.policy)

    @cached_property
    def areas(self) -> tuple[str, ...]:
        """Areas of signals and factors in catalogue order, ``relationship`` last."""
        return self.definitions.areas

    def area_of(self, item_id: str) -> str:
        """Return the area of a signal or factor; ``context`` for a context column.

        Raises
        ------
        KeyError
            No such entry.
        """
        definitions = self.definitions
        if item_id in definitions.signals:
            return definitions.signals[item_id].area
        if item_id in definitions.factors:
            return definitions.factors[item_id].area
        if item_id in definitions.context:
            return "context"
        raise KeyError(item_id)


def load_catalogue(
    overlay: Path | None = None, off: Sequence[str] = (), context: Mapping[str, Context] | None = None
) -> Catalogue:
    """Return the catalogue that is in force for a company.

    Parameters
    ----------
    overlay
        Folder with any of our file names (``signals.toml``, ``playbook.toml``, ``wording/en.toml``, …). Its
        entries are merged into ours key by key; a list replaces ours; new entries are added at the end. Its
        ``tables.toml`` holds the contracts of the company's own tables.
    off
        Ids of signals and factors to switch off everywhere.
    context
        Further context columns, as named in ``sources.toml``.

    Raises
    ------
    CatalogueError
        Everything that is wrong, one problem a line: file, entry, what is allowed and the near miss.

    Examples
    --------
    >>> len(load_catalogue().definitions.signals)
    25
    >>> load_catalogue(off=["usage_tend"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    features.errors.CatalogueError: [catalogue] off: no signal or factor "usage_tend". Did you mean ...
    """
    if overlay is None and not off and not context:
        return _default()
    return _load(overlay, tuple(off), context or {})


@functools.cache
def _default() -> Catalogue:
    return _load(None, (), {})


def _load(overlay: Path | None, off: Sequence[str], context: Mapping[str, Context]) -> Catalogue:
    problems = Problems()
    files = read_files(overlay, problems)
    problems.stop_if_any()
    definitions = _definitions(files, problems)
    policy = parse(Policy, files.tables[PLAYBOOK], functools.partial(files.where, PLAYBOOK), problems)
    if definitions is not None:
        check_off(off, definitions, problems)
    problems.stop_if_any()
    assert definitions is not None  # else there was a problem
    assert policy is not None
    definitions = definitions_without(definitions, off)
    definitions = definitions.model_copy(update={"context": {**definitions.context, **context}})
    policy = policy_without(policy, off)
    TableChecker(definitions, files, problems).check()
    DefinitionChecker(definitions, files, problems).check()
    PolicyChecker(definitions, files, problems, policy).check()
    wording = load_wording(files, definitions, policy, off, problems)
    problems.stop_if_any()
    return Catalogue(definitions, policy, wording, policy.revision)


def _definitions(files: Files, problems: Problems) -> Definitions | None:
    """Read the files of definitions as one."""
    tables = files.tables
    own_file = {"factors": FACTORS, "context": CONTEXT, "tables": TABLES}
    for stray in own_file.keys() & tables[SIGNALS].keys():
        problems.add(f'{files.where(SIGNALS, [stray])}: "{stray}" has a file of its own, {stray}.toml.')
    raw = {**tables[SIGNALS], **{name: tables[file] for name, file in own_file.items()}}

    def where(keys: Sequence[str]) -> str:
        file = own_file.get(keys[0]) if keys else None
        return files.where(file, keys[1:]) if file else files.where(SIGNALS, keys)

    return parse(Definitions, raw, where, problems)
