"""Sources: from a company's files to normalised tables, as they were known."""

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
