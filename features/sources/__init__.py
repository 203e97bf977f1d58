"""Sources: from a company's files to normalised tables, as they were known."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from features.sources.config import Sources, SourcesConfig, load_sources
    from features.sources.contract import TableContract, table_contracts
    from features.sources.database import Database, open_database
    from features.sources.untimed import Untimed

__all__ = [
    "Database",
    "Sources",
    "SourcesConfig",
    "TableContract",
    "Untimed",
    "load_sources",
    "open_database",
    "table_contracts",
]

_MODULES = {
    "Database": "database",
    "Sources": "config",
    "SourcesConfig": "config",
    "TableContract": "contract",
    "Untimed": "untimed",
    "load_sources": "config",
    "open_database": "database",
    "table_contracts": "contract",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the catalogue types its tables by `sources.contract`, and `sources.config` loads the
    # catalogue; neither needs the other's package to be loaded first.
    if name in _MODULES:
        return getattr(importlib.import_module(f"features.sources.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
