"""Evidence: the rows quoted beside a sign are those that its measure looks back on."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from features.evidence import MOST_ROWS, account_evidence
from features.sources import load_sources, open_database

AS_OF = dt.datetime(2025, 7, 1)
ACCOUNTS = "account_id,customer_since\nbirch,2023-01-01\n"
SOURCES = """company = "Evidence Inc"
[tables.accounts]
path = "accounts.csv"
[tables.community]
path = "community.csv"
"""


def quoted(folder: Path, *days_ago: int) -> list[dt.datetime]:
    """When the posts were written that are quoted for angry posts; one angry post was written on each day."""
    posts = [f"p{n},birch,post,-0.8,{AS_OF - dt.timedelta(days=n):%Y-%m-%dT12:00:00}" for n in days_ago]
    (folder / "accounts.csv").write_text(ACCOUNTS)
    (folder / "community.csv").write_text(
        "\n".join(["activity_id,account_id,kind,sentiment,occurred_at", *posts]) + "\n"
    )
    (folder / "sources.toml").write_text(SOURCES)
    sources = load_sources(folder / "sources.toml")
    with open_database(sources) as database:
        found = account_evidence(database, sources.catalogue, "birch", AS_OF, ["angry_posts", "nps_score"])
    assert "nps_score" not in found  # its table is not connected
    return [row.occurred_at for row in found["angry_posts"]]


def test_the_newest_rows_come_first_and_no_more_than_three(tmp_path: Path) -> None:
    moments = quoted(tmp_path, 40, 10, 20, 30)
    assert len(moments) == MOST_ROWS
    assert moments == sorted(moments, reverse=True)
    assert moments[0] == AS_OF - dt.timedelta(days=10) + dt.timedelta(hours=12)


@pytest.mark.parametrize(("days_ago", "rows"), [(90, 1), (91, 0)])
def test_rows_older_than_the_measures_blocks_are_not_quoted(tmp_path: Path, days_ago: int, rows: int) -> None:
    assert len(quoted(tmp_path, days_ago)) == rows
