"""From tables to snapshots with labels: dates, what is left out, and what only shows today."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import TrainingError
from features.sources import load_sources, open_database
from features.vectors import UNDER_NOTICE
from tests.training.fabricated import Made
from training.dataset import (
    from_file,
    gather,
    known_at,
    label_rule,
    refuse_other_labels,
    to_file,
    training_dates,
)
from training.definition import KINDS, Labelling
from training.recipe import load_recipe
from training.simulation import simulate

RECIPE = load_recipe()
DATES = [dt.datetime(2025, 1, 1), dt.datetime(2025, 2, 1)]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    simulate(folder, 120, 18, 5)
    return folder


def changed(made: Path, folder: Path, old: str, new: str) -> Path:
    """Return the company's sources with one passage replaced; its files stay where they are."""
    text = (made / "sources.toml").read_text()
    assert old in text
    path = folder / "sources.toml"
    path.write_text(text.replace(old, new).replace('path = "', f'path = "{made}/'))
    return path


def test_dates_begin_after_the_first_month_and_end_with_the_last_whole_window(made: Path) -> None:
    sources = load_sources(made / "sources.toml")
    with open_database(sources) as database:
        dates = training_dates(database, label_rule(sources, RECIPE), RECIPE)
    assert (dates[0], dates[-1]) == (dt.datetime(2024, 2, 1), dt.datetime(2025, 4, 1))


def test_where_contracts_alone_tell_who_left_the_last_dates_wait_for_the_grace(made: Path, tmp_path: Path) -> None:
    sources = load_sources(changed(made, tmp_path, '[tables.outcomes]\npath = "outcomes.parquet"\n', ""))
    with open_database(sources) as database:
        dates = training_dates(database, label_rule(sources, RECIPE), RECIPE)
    assert dates[-1] == dt.datetime(2025, 3, 1)


def test_who_is_known_to_be_under_notice_has_no_label(made: Path) -> None:
    sources = load_sources(made / "sources.toml")
    with open_database(sources) as database:
        found = gather(database, DATES, label_rule(sources, RECIPE))
    noticed = found.vectors.column(UNDER_NOTICE) == 1
    assert np.isnan(found.churned[noticed]).all()
    assert (~np.isnan(found.churned)).sum() > 100
    assert found.left_out == ()


def test_a_table_that_shows_only_today_never_reaches_a_training_vector(made: Path, tmp_path: Path) -> None:
    query = f"query = \"SELECT * EXCLUDE (recorded_at) FROM read_parquet('{made}/contacts.parquet')\""
    sources = load_sources(changed(made, tmp_path, 'path = "contacts.parquet"', query))
    with open_database(sources) as database:
        assert "contacts" in database.tables
        found = gather(database, DATES, label_rule(sources, RECIPE))
    place = found.vectors.contract.position["champion_change"]
    assert np.isnan(found.vectors.values[:, place]).all()
    assert set(found.vectors.unknown[:, place]) == {"c"}
    assert [item.table for item in found.left_out or ()] == ["contacts"]


def test_a_column_that_shows_only_today_never_reaches_a_training_vector(made: Path, tmp_path: Path) -> None:
    query = f"query = \"SELECT * EXCLUDE (recorded_at) FROM read_parquet('{made}/accounts.parquet')\""
    path = changed(made, tmp_path, 'path = "accounts.parquet"', query)
    path.write_text(path.read_text().replace('"accounts.industry", ', ""))
    sources = load_sources(path)
    with open_database(sources) as database:
        found = gather(database, DATES, label_rule(sources, RECIPE))
    assert np.isnan(found.vectors.column("industry")).all()
    assert not np.isnan(found.vectors.column("region")).all()
    assert "industry" in {item.column for item in found.left_out or ()}


def test_given_labels_bring_their_own_dates(made: Path, tmp_path: Path) -> None:
    accounts = pq.read_table(made / "accounts.parquet")["account_id"].to_pylist()[:50]
    rows = [
        {"account_id": name, "as_of": DATES[0].date(), "churned": number % 5 == 0}
        for number, name in enumerate(accounts)
    ]
    pq.write_table(pa.Table.from_pylist(rows), made / "labels.parquet")
    added = '[tables.feeds]\npath = "feeds.parquet"'
    sources = load_sources(
        changed(
            made, tmp_path, added, f'{added}\n[tables.labels]\npath = "labels.parquet"\nnever_rewritten = true'
        )
    )
    with open_database(sources) as database:
        rule = label_rule(sources, RECIPE)
        assert training_dates(database, rule, RECIPE) == DATES[:1]
        found = gather(database, DATES[:1], rule)
    labelled = ~np.isnan(found.churned)
    assert set(found.vectors.account_ids[labelled]) <= set(accounts)
    assert labelled.any()


def test_a_history_shorter_than_the_window_is_refused_with_what_would_settle_it(made: Path) -> None:
    sources = load_sources(made / "sources.toml")
    with (
        open_database(sources, truncated_at=dt.datetime(2024, 3, 15)) as database,
        pytest.raises(TrainingError, match=r"Deliver a longer history|nothing to learn from"),
    ):
        training_dates(database, label_rule(sources, RECIPE), RECIPE)


def test_the_recipe_has_the_last_word_on_involuntary_churn(made: Path, tmp_path: Path) -> None:
    sources = load_sources(
        changed(made, tmp_path, "[connection]", "[labels]\ninvoluntary_counts = false\n\n[connection]")
    )
    assert label_rule(sources, RECIPE).involuntary_counts is False
    counting = RECIPE.model_copy(update={"labels": RECIPE.labels.model_copy(update={"involuntary_counts": True})})
    assert label_rule(sources, counting).involuntary_counts is True


def test_a_file_gives_back_what_is_gathered_in_the_same_order(made: Path, tmp_path: Path) -> None:
    sources = load_sources(made / "sources.toml")
    with open_database(sources) as database:
        rule = label_rule(sources, RECIPE)
        written = to_file(tmp_path / "s.parquet", database, DATES, rule, pairs_a_part=50)
        found = gather(database, DATES, rule)
    assert from_file(tmp_path / "s.parquet").digest == found.digest
    assert written.labelled == (~np.isnan(found.churned)).sum()
    read = from_file(tmp_path / "s.parquet")
    assert read.labelled == found.labelled == Labelling(rule, "outcomes", database.observed_until)
    assert read.kind is not None
    assert read.kind.tolist() == (found.kind if found.kind is not None else np.zeros(0)).tolist()
    assert read.accounts_by_kind() == found.accounts_by_kind() != {}
    assert read.accounts_by_kind(churned=False).keys() <= {"contraction"}


def test_labels_of_a_file_that_were_judged_later_are_refused_for_an_earlier_date(
    made: Path, tmp_path: Path
) -> None:
    sources, march = load_sources(made / "sources.toml"), dt.datetime(2025, 3, 1)
    for name, until in (("late", None), ("then", march)):
        with open_database(sources, truncated_at=until) as database:
            to_file(tmp_path / f"{name}.parquet", database, DATES[:1], label_rule(sources, RECIPE))
    with pytest.raises(TrainingError, match=r"judged by what was known on 2025-0.* --as-of 2025-03-01"):
        known_at(from_file(tmp_path / "late.parquet"), march, RECIPE)
    assert len(known_at(from_file(tmp_path / "then.parquet"), march, RECIPE).churned) > 0


def test_snapshots_labelled_by_another_definition_are_refused_with_what_differs(made: Path) -> None:
    sources = load_sources(made / "sources.toml")
    with open_database(sources) as database:
        found = gather(database, DATES[:1], replace(label_rule(sources, RECIPE), horizon_days=30))
    with pytest.raises(TrainingError, match=r"another definition .*: horizon_days is 30 there and 90 here"):
        refuse_other_labels(found, RECIPE, sources.catalogue)
    asked = RECIPE.model_copy(update={"labels": RECIPE.labels.model_copy(update={"horizon_days": 30})})
    refuse_other_labels(found, asked, sources.catalogue)


def test_training_on_contraction_has_its_own_labels(made: Path) -> None:
    sources = load_sources(made / "sources.toml")
    rule = replace(label_rule(sources, RECIPE), kinds=("contraction",))
    with open_database(sources) as database:
        assert training_dates(database, rule, RECIPE)
        found = gather(database, DATES, rule)
    assert set(found.accounts_by_kind()) == {"contraction"}
    assert set(found.accounts_by_kind(churned=False)) <= {"cancellation", "non_renewal", "lapse"}


def test_a_file_as_of_a_date_loses_later_snapshots_and_windows_that_were_open(
    company: Made, tmp_path: Path
) -> None:
    plain = company.written(tmp_path / "s.parquet")  # it does not say until when its labels were judged
    found = known_at(from_file(plain), dt.datetime(2024, 1, 1), RECIPE)
    labelled = ~np.isnan(found.churned)
    assert found.vectors.as_of.max() == np.datetime64("2024-01-01")
    assert found.vectors.as_of[labelled].max() == np.datetime64("2023-10-01")


def test_the_default_recipe_is_read_back_from_what_it_writes(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.to_toml())
    assert load_recipe(tmp_path / "recipe.toml") == RECIPE


def test_the_kinds_that_count_are_kept_in_one_order(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[labels]\nkinds = ["contraction", "lapse", "lapse"]\n')
    assert load_recipe(tmp_path / "recipe.toml").labels.kinds == ("lapse", "contraction")


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (
            '["cancelation"]',
            r'labels\.kinds: unknown kind "cancelation"\. Did you mean "cancellation"\? Allowed: ',
        ),
        ("[]", r"labels\.kinds: Tuple should have at least 1 item"),
    ],
)
def test_a_kind_that_there_is_not_is_named_with_the_near_miss(kinds: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(f"[labels]\nkinds = {kinds}\n")
    with pytest.raises(TrainingError, match=said):
        load_recipe(tmp_path / "recipe.toml")


def test_a_recipe_with_a_remark_is_read_back(tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"labels": RECIPE.labels.model_copy(update={"kinds": KINDS})})
    (tmp_path / "recipe.toml").write_text(recipe.to_toml(remark="What counts.\nAnd what not."))
    assert load_recipe(tmp_path / "recipe.toml") == recipe
    assert (tmp_path / "recipe.toml").read_text().startswith("# What counts.\n# And what not.\n")
