"""The company's ``sources.toml``: which of its files or queries is which table.

::

    company = "Acme"
    yearly_churn = 0.12            # what the company says of itself; optional
    observed_until = 2025-06-30    # where the history ends; default: the newest recorded_at or event
    never_changing = ["accounts.industry"]

    [connection]
    engine = "postgresql"          # or "spark"; default: an embedded DuckDB
    url_env = "CRM_DATABASE_URL"   # the variable that holds postgresql://user:password@host/database

    [catalogue]
    overlay = "overlay/"
    off = ["negative_reviews"]

    [tables.usage]
    path = "usage/*.parquet"       # or: query = "select ... from read_csv('x.csv', all_varchar = true)"
    columns = { user_id = "uid" }  # column of the contract = column of the file, where the names differ
    begins = 2023-01-01            # the feed's first day; default: that of its first row
    never_rewritten = true         # rows without `recorded_at` are as they were first written

    [tables.trainings]             # a table of the company's own: its contract stands in overlay/tables.toml
    path = "trainings.csv"

    [context.company_size]         # a further column of `accounts`, for the model
    of = "accounts.size"
    kind = "number"

Relative paths, those inside queries too, are read from the folder of ``sources.toml``.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from features.catalogue.files import CONTEXT, TABLES
from features.catalogue.loading import Catalogue, load_catalogue
from features.catalogue.problems import Problems, parse
from features.catalogue.schema import Context, ContextKind
from features.errors import SourcesError, near_miss
from features.sources.contract import (
    RECORDED_AT,
    ColumnContract,
    ColumnType,
    Identifier,
    TableContract,
    table_contracts,
)

_TYPE_OF_CONTEXT = {
    ContextKind.NUMBER: ColumnType.NUMBER,
    ContextKind.CATEGORY: ColumnType.TEXT,
    ContextKind.YES_NO: ColumnType.YES_NO,
}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_ASKED_BY_ENGINE = {
    "duckdb": frozenset[str](),
    "postgresql": frozenset({"url", "url_env"}),
    "spark": frozenset({"master", "config", "folder"}),
}


LEAST_MEMORY = 100_000_000
_AMOUNT = r"(\d+(?:\.\d+)?) ?([KMGT])(i?)B"


def _bytes_of(amount: str) -> int:
    said = re.fullmatch(_AMOUNT, amount)
    assert said is not None  # it was read by this pattern
    return int(float(said[1]) * (1024 if said[3] else 1000) ** ("KMGT".index(said[2]) + 1))


class Connection(_Strict):
    """Where queries run and the tables lie: an embedded DuckDB, PostgreSQL or Spark.

    Attributes
    ----------
    engine
        Files (``path``) are read whichever it is.
    url, url_env
        PostgreSQL: ``postgresql://user@host:5432/database``, or the environment variable that holds it:
        passwords do not belong into files.
    master, config, folder
        Spark: where it runs, further settings, and the folder (that all its machines see) for working tables.
    memory_limit
        What the embedded DuckDB, which reads every row, may hold in memory before it writes to its temporary
        folder: ``"700MB"``, ``"8GB"``. The vectors of a company are computed in parts that take about as much.
    """

    engine: Literal["duckdb", "postgresql", "spark"] = "duckdb"
    url: str | None = None
    url_env: str | None = None
    master: str = "local[*]"
    config: Mapping[str, str] = {}
    folder: str | None = None
    memory_limit: str = "2GB"

    @property
    def memory_limit_bytes(self) -> int:
        """``memory_limit`` in bytes.

        >>> Connection(memory_limit="512 MiB").memory_limit_bytes
        536870912
        """
        return _bytes_of(self.memory_limit)

    @field_validator("memory_limit")
    @classmethod
    def _enough_memory(cls, said: str) -> str:
        if re.fullmatch(_AMOUNT, said) is None:
            raise ValueError(f'"{said}" is no amount of memory: write "700MB", "2GB" or "1.5GiB"')
        if _bytes_of(said) < LEAST_MEMORY:
            raise ValueError(f'"{said}" is too little for the tables of a company: allow "100MB" at least')
        return said

    @model_validator(mode="after")
    def _only_what_the_engine_asks(self) -> Connection:
        asked = _ASKED_BY_ENGINE[self.engine]
        for name in sorted(self.model_fields_set - asked - {"engine", "memory_limit"}):
            others = [engine for engine, keys in _ASKED_BY_ENGINE.items() if name in keys]
            raise ValueError(f'{name} is for engine = "{others[0]}", and the engine is "{self.engine}"')
        if self.engine == "postgresql" and (self.url is None) == (self.url_env is None):
            both = "both are given" if self.url is not None else "neither is given"
            raise ValueError(f"PostgreSQL has either a url or a url_env, and {both}")
        return self


class CatalogueChoice(_Strict):
    """The company's changes to the catalogue: a folder laid over ours, and ids switched off."""

    overlay: str | None = None
    off: tuple[str, ...] = ()


class LabelChoice(_Strict):
    """How labels are read; None leaves it to the training recipe."""

    involuntary_counts: bool | None = None


class TableSource(_Strict):
    """Where one table comes from: a path (CSV or Parquet, ``*`` allowed) or an SQL query."""

    path: str | None = None
    query: str | None = None
    columns: Mapping[str, str] = {}
    begins: dt.date | None = None
    never_rewritten: bool = False

    @model_validator(mode="after")
    def _path_or_query(self) -> TableSource:
        if (self.path is None) == (self.query is None):
            both = "both are given" if self.path is not None else "neither is given"
            raise ValueError(f"a table has either a path or a query, and {both}")
        return self


class SourcesConfig(_Strict):
    """All that ``sources.toml`` says."""

    company: str
    yearly_churn: Annotated[float, Field(gt=0, lt=1)] | None = None
    observed_until: dt.datetime | dt.date | None = None
    connection: Connection = Connection()
    catalogue: CatalogueChoice = CatalogueChoice()
    tables: Mapping[str, TableSource]
    context: Mapping[Identifier, Context] = {}
    never_changing: tuple[str, ...] = ()
    labels: LabelChoice = LabelChoice()


@dataclass(frozen=True)
class Sources:
    """A company's sources: what ``sources.toml`` says, where it lies, and the catalogue in force."""

    path: Path
    config: SourcesConfig
    catalogue: Catalogue

    @property
    def folder(self) -> Path:
        """The folder that relative paths are read from."""
        return self.path.parent

    @property
    def yearly_churn(self) -> float | None:
        """What the company says of its own yearly churn, if anything."""
        return self.config.yearly_churn

    @property
    def contracts(self) -> Mapping[str, TableContract]:
        """Every table's contract, connected or not: ours, then the company's own of the catalogue in force.

        That of ``accounts`` has the company's context columns.
        """
        contracts = self.catalogue.definitions.contracts
        ours = contracts["accounts"]
        context = context_columns(self.catalogue.definitions.context)
        accounts = ours.model_copy(update={"columns": {**ours.columns, **context}})
        return {**contracts, "accounts": accounts}

    @property
    def tables(self) -> Mapping[str, TableSource]:
        """The connected tables that the catalogue in force knows.

        All of ``sources.toml``; but where a preview connects a table of the overlay that is proposed, that one is
        left out under the catalogue of today.
        """
        known = self.catalogue.definitions.contracts
        return {name: source for name, source in self.config.tables.items() if name in known}

    def with_catalogue(self, catalogue: Catalogue) -> Sources:
        """Return the same sources under another catalogue, as a preview needs them."""
        return replace(self, catalogue=catalogue)


def context_columns(context: Mapping[str, Context]) -> dict[str, ColumnContract]:
    """Return the columns of ``accounts`` beyond the contract that context reads, typed by its kind."""
    ours = table_contracts()["accounts"].columns
    return {
        column: ColumnContract(type=_TYPE_OF_CONTEXT[entry.kind])
        for entry in context.values()
        for column in [_account_column(entry)]
        if column is not None and column not in ours
    }


def _account_column(context: Context) -> str | None:
    table, _, column = (context.of or "").partition(".")
    return column if table == "accounts" and column else None


def load_sources(path: Path) -> Sources:
    """Read a company's ``sources.toml`` and load the catalogue that it asks for.

    No data file is opened: ``keepsight check`` and :func:`~features.sources.open_database` do that.

    Parameters
    ----------
    path
        The file, or the folder that holds a ``sources.toml``.

    Raises
    ------
    SourcesError
        No such file, broken TOML, an unknown key, table or column, a table with both path and query; every
        problem is named, one a line.
    CatalogueError
        The overlay, ``off`` or a context entry is not as allowed.

    Examples
    --------
    >>> load_sources(Path("nowhere/sources.toml"))
    Traceback (most recent call last):
    ...
    features.errors.SourcesError: nowhere/sources.toml: no such file. ...
    """
    path, config = read_config(path)
    return Sources(path, config, company_catalogue(path, config))


def load_proposed(path: Path, overlay: Path) -> tuple[Sources, Sources]:
    """Load a company's sources twice: as they are, and as if `overlay` stood in ``sources.toml``.

    A table of the proposed overlay may be connected already; as they are, the sources leave it out.

    Parameters
    ----------
    path
        The file, or the folder that holds a ``sources.toml``.
    overlay
        The folder that is to take the place of the overlay in force; what is switched off and the context columns
        of ``sources.toml`` stay.

    Raises
    ------
    SourcesError
        As :func:`load_sources`.
    CatalogueError
        Either catalogue is not as allowed.
    """
    path, config = read_config(path, overlay)
    return (
        Sources(path, config, company_catalogue(path, config)),
        Sources(path, config, company_catalogue(path, config, overlay)),
    )


def company_catalogue(path: Path, config: SourcesConfig, overlay: Path | None = None) -> Catalogue:
    """Load the catalogue with the company's overlay, what it switched off, and its context columns.

    `overlay` takes the place of the one that ``sources.toml`` names.

    Raises
    ------
    CatalogueError
        The overlay, ``off`` or a context entry is not as allowed.
    """
    if overlay is None and config.catalogue.overlay is not None:
        overlay = path.parent / config.catalogue.overlay
    return load_catalogue(
        overlay=overlay,
        off=config.catalogue.off,
        context=config.context,
    )


def read_config(path: Path, proposed: Path | None = None) -> tuple[Path, SourcesConfig]:
    """Read ``sources.toml`` alone, without the catalogue.

    What the overlay in force or one that is `proposed` adds, tables and columns of accounts, may be named.

    Raises
    ------
    SourcesError
        As :func:`load_sources`.
    """
    path = path / "sources.toml" if path.is_dir() else path
    raw = _read_toml(path)
    problems = Problems()
    config = parse(SourcesConfig, raw, lambda keys: _place(path, keys), problems)
    for problem in _wrong_names(raw, path, [*_overlay_in_force(raw, path), *([proposed] if proposed else [])]):
        problems.add(problem)
    if problems.found or config is None:
        raise SourcesError("\n".join(problems.found))
    return path, config


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SourcesError(
            f"{path}: no such file. Give the path of the company's sources.toml; `keepsight demo-data OUT` "
            "writes one to begin with."
        ) from None
    except OSError as error:
        raise SourcesError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise SourcesError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}).") from None
    except tomllib.TOMLDecodeError as error:
        raise SourcesError(f"{path}: is not TOML: {error}.") from None


def _place(path: Path, keys: Sequence[str]) -> str:
    """Name a place as people look for it: ``sources.toml, [tables.usage], columns``."""
    depth = 2 if keys and keys[0] in ("tables", "context") else 1
    section = f"[{'.'.join(keys[:depth])}]"
    in_section = keys and (len(keys) > 1 or keys[0] in ("connection", "catalogue", "labels"))
    head = [path.name, section] if in_section else [path.name, *keys[:1]]
    return ", ".join([*head, *keys[depth:]])


def _wrong_names(raw: Mapping[str, Any], path: Path, overlays: Sequence[Path]) -> Iterator[str]:
    """Yield what names a table or column that no contract knows."""
    tables = raw.get("tables")
    context = _own_account_columns(raw.get("context"))
    ours = {name: list(contract.columns) for name, contract in table_contracts().items()}
    own = [_said(overlay / TABLES) for overlay in overlays]
    known = {name: columns for said in own for name, columns in _own_tables(said).items()} | ours
    context += [column for overlay in overlays for column in _own_account_columns(_said(overlay / CONTEXT))]
    if not isinstance(tables, Mapping):
        return
    for table, source in tables.items():
        if table not in known and None in own:
            continue  # it may be one of those that cannot be read
        if table not in known:
            yield (
                f'{path.name}, [tables]: unknown table "{table}". {near_miss(table, known)} Shape it into one of '
                f"these with a query, or write its contract into {TABLES} of the overlay."
            )
            continue
        allowed = [*known[table], RECORDED_AT, *(context if table == "accounts" else ())]
        columns = source.get("columns", {}) if isinstance(source, Mapping) else {}
        for column in columns if isinstance(columns, Mapping) else ():
            if column not in allowed:
                yield (
                    f'{path.name}, [tables.{table}], columns: unknown column "{column}". '
                    f"{near_miss(column, allowed)}"
                )
    if "accounts" not in tables:
        yield f"{path.name}, [tables]: `accounts` is missing. It is the one table that is always needed."
    yield from _wrong_never_changing(raw.get("never_changing"), path, context)


def _wrong_never_changing(names: Any, path: Path, context: Sequence[str]) -> Iterator[str]:
    columns = [c for c in table_contracts()["accounts"].columns if c != "account_id"]
    allowed = [f"accounts.{column}" for column in [*columns, *context]]
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str) and name not in allowed:
            yield f'{path.name}, never_changing: unknown column "{name}". {near_miss(name, allowed)}'


def _overlay_in_force(raw: Mapping[str, Any], path: Path) -> list[Path]:
    choice = raw.get("catalogue")
    overlay = choice.get("overlay") if isinstance(choice, Mapping) else None
    return [path.parent / overlay] if isinstance(overlay, str) else []


def _said(path: Path) -> Mapping[str, Any] | None:
    """Return what a file of an overlay says, None where it cannot be read: what is wrong, the catalogue says."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {} if path.parent.is_dir() else None
    except (OSError, ValueError):
        return None


def _own_tables(said: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Name the columns of each table of a ``tables.toml``, as far as it is a table at all."""
    contracts = {name: table for name, table in (said or {}).items() if isinstance(table, Mapping)}
    columns = {name: table.get("columns") for name, table in contracts.items()}
    return {name: list(found) if isinstance(found, Mapping) else [] for name, found in columns.items()}


def _own_account_columns(context: Any) -> list[str]:
    entries = context.values() if isinstance(context, Mapping) else ()
    named = [str(entry.get("of", "")) for entry in entries if isinstance(entry, Mapping)]
    return [name.removeprefix("accounts.") for name in named if name.startswith("accounts.")]
