"""The company's ``sources.toml``: which of its files or queries is which table.

::

    company = "Acme"
    yearly_churn = 0.12            # what the company says of itself; optional
    observed_until = 2025-06-30    # where the history ends; default: the newest recorded_at
    never_changing = ["accounts.industry"]

    [catalogue]
    overlay = "overlay/"
    off = ["negative_reviews"]

    [tables.usage]
    path = "usage/*.parquet"       # or: query = "select ... from read_csv('x.csv', all_varchar = true)"
    columns = { user_id = "uid" }  # column of the contract = column of the file, where the names differ
    begins = 2023-01-01            # the feed's first day; default: that of its first row
    never_rewritten = true         # rows without `recorded_at` are as they were first written

    [context.company_size]         # a further column of `accounts`, for the model
    of = "accounts.size"
    kind = "number"

Relative paths, those inside queries too, are read from the folder of ``sources.toml``.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.catalogue.loading import Catalogue, load_catalogue
from features.catalogue.problems import Problems, parse
from features.catalogue.schema import Context, ContextKind, Identifier
from features.errors import SourcesError, near_miss
from features.sources.contract import (
    RECORDED_AT,
    ColumnContract,
    ColumnType,
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


class Connection(_Strict):
    """Where the tables are: an embedded DuckDB over files."""

    engine: Literal["duckdb"] = "duckdb"


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

    def contract(self, table: str) -> TableContract:
        """Return a table's contract; that of ``accounts`` with the company's context columns.

        Raises
        ------
        KeyError
            No such table in the contract.
        """
        ours = table_contracts()[table]
        if table != "accounts":
            return ours
        context = context_columns(self.catalogue.definitions.context)
        return ours.model_copy(update={"columns": {**ours.columns, **context}})

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


def company_catalogue(path: Path, config: SourcesConfig) -> Catalogue:
    """Load the catalogue with the company's overlay, what it switched off, and its context columns.

    Raises
    ------
    CatalogueError
        The overlay, ``off`` or a context entry is not as allowed.
    """
    overlay = config.catalogue.overlay
    return load_catalogue(
        overlay=None if overlay is None else path.parent / overlay,
        off=config.catalogue.off,
        context=config.context,
    )


def read_config(path: Path) -> tuple[Path, SourcesConfig]:
    """Read ``sources.toml`` alone, without the catalogue.

    Raises
    ------
    SourcesError
        As :func:`load_sources`.
    """
    path = path / "sources.toml" if path.is_dir() else path
    raw = _read_toml(path)
    problems = Problems()
    config = parse(SourcesConfig, raw, lambda keys: _place(path, keys), problems)
    for problem in _wrong_names(raw, path):
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


def _wrong_names(raw: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Yield what names a table or column that no contract knows."""
    contracts, tables = table_contracts(), raw.get("tables")
    context = [*_own_account_columns(raw.get("context")), *_overlay_account_columns(raw, path)]
    if not isinstance(tables, Mapping):
        return
    for table, source in tables.items():
        if table not in contracts:
            yield (
                f'{path.name}, [tables]: unknown table "{table}". {near_miss(table, contracts)} '
                "A table beyond these cannot be read yet: shape it into one of them with a query."
            )
            continue
        allowed = [*contracts[table].columns, RECORDED_AT, *(context if table == "accounts" else ())]
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


def _overlay_account_columns(raw: Mapping[str, Any], path: Path) -> list[str]:
    """Name the columns that the overlay's own context reads; what is wrong there, the catalogue says."""
    choice = raw.get("catalogue")
    overlay = choice.get("overlay") if isinstance(choice, Mapping) else None
    if not isinstance(overlay, str):
        return []
    try:
        text = (path.parent / overlay / "context.toml").read_text(encoding="utf-8-sig")
        return _own_account_columns(tomllib.loads(text))
    except (OSError, ValueError):
        return []


def _own_account_columns(context: Any) -> list[str]:
    entries = context.values() if isinstance(context, Mapping) else ()
    named = [str(entry.get("of", "")) for entry in entries if isinstance(entry, Mapping)]
    return [name.removeprefix("accounts.") for name in named if name.startswith("accounts.")]
