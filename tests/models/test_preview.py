"""`keepsight catalogue preview`: who changes band under an overlay, today and over the past months."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

import keepsight
import models.preview
from features.catalogue import load_catalogue
from features.errors import ReadingError, UnknownAccountError
from features.sources.config import load_proposed
from features.vectors import feature_contract
from models.bundle import Bundle, save_bundle
from models.preview import Preview, preview
from tests.features.catalogue.test_own_tables import OVERLAY
from tests.files import write_files

NOW = dt.datetime(2026, 1, 1)
TODAY = dt.datetime(2025, 7, 1)
SOURCES = """company = "Acme"
observed_until = 2025-06-30

[tables.accounts]
path = "accounts.csv"
never_rewritten = true

[tables.contracts]
path = "contracts.csv"
never_rewritten = true

[tables.surveys]
path = "surveys.csv"
begins = 2024-01-01
"""
OWN_TABLE = '[tables.trainings]\npath = "trainings.csv"\nbegins = 2024-01-01\n'
ACCOUNTS = "account_id,name,csm\nA,Alder Works,kim\nB,Birch Lines,lee\nC,Cedar Care,kim\nD,Delta Stores,lee\n"
CONTRACTS = """contract_id,account_id,start_date,end_date,arr
1,A,2024-01-01,2026-12-31,9000
2,B,2024-01-01,2026-12-31,12000
3,C,2025-05-15,2026-12-31,500
4,D,2024-01-01,2025-02-28,700
"""
SURVEYS = """survey_id,account_id,respondent_id,nps,occurred_at
1,A,p,9,2025-03-10
2,B,q,8,2025-05-20
3,C,r,10,2025-06-20
"""
TRAININGS = "training_id,account_id,held_at,hours\n1,A,2025-06-02,5\n2,B,2025-06-02,0.5\n"
STRICTER = {"playbook.toml": "[signals.nps_score]\nedges = { healthy = 9.8, unhealthy = 9.2 }\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sources of four accounts; an overlay with stricter thresholds, one with a table and a signal of its own."""
    tables = {"accounts": ACCOUNTS, "contracts": CONTRACTS, "surveys": SURVEYS, "trainings": TRAININGS}
    write_files(tmp_path, {"sources.toml": SOURCES, **{f"{name}.csv": text for name, text in tables.items()}})
    write_files(tmp_path / "stricter", STRICTER)
    write_files(tmp_path / "trainings", OVERLAY)
    write_files(tmp_path / "same", {"playbook.toml": ""})
    return tmp_path


@pytest.fixture
def with_trainings(folder: Path) -> Path:
    """The same, and the table of the overlay that is proposed is connected already."""
    return write_files(folder, {"sources.toml": f"{SOURCES}\n{OWN_TABLE}"})


def seen(folder: Path, overlay: str, bundle: Bundle | None = None, **options: Any) -> Preview:
    now, proposed = load_proposed(folder, folder / overlay)
    asked = {"as_of": None, "clock": NOW, "months": 3, **options}
    return preview(now, proposed, bundle, **asked)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(keepsight.app, ["catalogue", "preview", *map(str, arguments)])


def test_who_changes_band_is_named_with_owner_value_and_the_signs_that_make_it(folder: Path) -> None:
    found = seen(folder, "stricter")
    assert (found.company, found.as_of, found.accounts, found.model) == ("Acme", TODAY, 3, None)
    b, a = found.changes
    assert (b.account_id, b.name, b.csm, b.arr) == ("B", "Birch Lines", "lee", 12000.0)
    assert a.account_id == "A"
    (sign,) = a.signs
    assert (sign.id, sign.before, sign.after) == ("nps_score", None, "unhealthy")
    assert [(s.before, s.after) for s in b.signs] == [("not_so_healthy", "unhealthy")]


def test_bands_are_counted_before_and_after(folder: Path) -> None:
    found = seen(folder, "stricter")
    assert (
        sum(before for before, _ in found.bands.values()) == sum(after for _, after in found.bands.values()) == 3
    )
    moved = {band: after - before for band, (before, after) in found.bands.items() if after != before}
    assert sum(moved.values()) == 0
    assert moved["healthy"] < 0


def test_the_past_is_seen_as_it_was_known_then(folder: Path) -> None:
    march, april, may, june = seen(folder, "stricter", months=4).months
    assert [month.as_of.month for month in (march, april, may, june)] == [3, 4, 5, 6]
    # D's contract ended in February, within the grace of a late renewal in March; C began in May.
    assert [month.accounts for month in (march, april, may, june)] == [3, 2, 2, 3]
    assert (march.changes, april.worse, may.worse) == (0, 1, 1)


def test_a_playbook_alone_computes_vectors_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = counted(monkeypatch)
    assert not seen(folder, "stricter").retrain
    assert len(computed) == 1


def test_a_changed_definition_computes_them_for_both_and_asks_for_training(
    with_trainings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = counted(monkeypatch)
    found = seen(with_trainings, "trainings")
    assert found.retrain
    assert len(set(computed)) == 2
    assert {change.account_id: [sign.id for sign in change.signs] for change in found.changes} == {
        "B": ["training_hours"],
        "C": ["training_hours"],
    }


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the definitions of each computation of vectors."""
    computed: list[str] = []
    original = models.preview.build_vectors

    def noted(database: Any, catalogue: Any, *rest: Any) -> Any:
        computed.append(catalogue.definitions_fingerprint)
        return original(database, catalogue, *rest)

    monkeypatch.setattr(models.preview, "build_vectors", noted)
    return computed


def test_an_overlay_that_changes_nothing_changes_nobody(folder: Path) -> None:
    found = seen(folder, "same")
    assert (found.changes, found.retrain) == ((), False)
    assert [month.changes for month in found.months] == [0, 0, 0]


def test_only_today_may_be_asked_for(folder: Path) -> None:
    assert seen(folder, "stricter", months=0).months == ()


def test_progress_reaches_its_end_once(with_trainings: Path) -> None:
    steps: list[tuple[int, int]] = []
    seen(with_trainings, "trainings", progress=lambda done, total: steps.append((done, total)))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1][0] == steps[-1][1]


def test_nobody_in_force_is_a_clear_error(folder: Path) -> None:
    with pytest.raises(UnknownAccountError, match="No account of Acme has a contract in force on 2023-01-01"):
        seen(folder, "stricter", as_of=dt.datetime(2023, 1, 1))


def test_the_future_cannot_be_asked_about(folder: Path) -> None:
    with pytest.raises(ReadingError, match="lies in the future"):
        seen(folder, "stricter", as_of=NOW + dt.timedelta(days=1))


# --- with a model ------------------------------------------------------------------------------------------


@pytest.fixture
def fitting(bundle: Bundle) -> Bundle:
    return replace(bundle, contract=feature_contract(load_catalogue(), _codebooks(bundle)))


def _codebooks(bundle: Bundle) -> dict[str, tuple[str, ...]]:
    return {column.name: column.codebook for column in bundle.contract.columns if column.codebook}


def test_a_model_answers_as_long_as_definitions_stay(folder: Path, fitting: Bundle) -> None:
    assert seen(folder, "stricter", fitting).model == fitting.version
    assert seen(folder, "trainings", fitting).model is None


# --- the command -------------------------------------------------------------------------------------------

GOLDEN = """\
Acme, as known on 2025-07-01 00:00: 2 of 3 accounts in force would change band.
Definitions change: models must be trained anew (`keepsight train`). Until then the scorecard answers, \
as it does here for both sides.
Answered by the scorecard.

  band            now  proposed
  healthy           3         1
  not so healthy    0         2
  unhealthy         0         0
  withheld          0         0

Who changes band today
  account  name         csm  yearly value  band                      because of
  B        Birch Lines  lee        12,000  healthy → not so healthy  + hours of training (unhealthy)
  C        Cedar Care   kim           500  healthy → not so healthy  + hours of training (unhealthy)

Who would have changed band, by month
  as known on  accounts  change  worse  better  withheld
  2025-05-01          2       2      1       0         1
  2025-06-01          3       3      2       0         1
"""


def test_the_command_prints_lines_that_people_can_keep(with_trainings: Path) -> None:
    result = run("--sources", with_trainings, "--overlay", with_trainings / "trainings", "--months", 2)
    assert result.exit_code == 0
    assert result.stdout == GOLDEN


def test_the_command_prints_json(folder: Path) -> None:
    result = run("--sources", folder, "--overlay", folder / "stricter", "--months", 1, "--json")
    found = json.loads(result.stdout)
    assert (found["company"], found["as_of"], found["retrain"]) == ("Acme", "2025-07-01T00:00:00", False)
    assert found["policy"]["now"] != found["policy"]["proposed"]
    assert found["changes"][0]["account_id"] == "B"
    assert found["changes"][0]["signs"] == [
        {"id": "nps_score", "before": "not_so_healthy", "after": "unhealthy"},
    ]
    assert [band["band"] for band in found["bands"]] == ["healthy", "not_so_healthy", "unhealthy", None]
    assert found["months"] == [
        {"as_of": "2025-06-01T00:00:00", "accounts": 3, "worse": 2, "better": 0, "withheld": 0}
    ]


def test_the_command_takes_a_models_folder(folder: Path, fitting: Bundle, tmp_path: Path) -> None:
    saved = save_bundle(fitting, tmp_path / "bundle")
    asked = ("--sources", folder, "--months", 0, "--bundle", saved)
    assert f"Answered by model {fitting.version}." in run(*asked, "--overlay", folder / "stricter").stdout
    assert "Answered by the scorecard." in run(*asked, "--overlay", folder / "trainings").stdout
    missing = run(*asked[:-1], tmp_path / "nowhere", "--overlay", folder / "stricter")
    assert (missing.exit_code, "no bundle here" in missing.stderr) == (1, True)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"playbook.toml": "[signals.nps_score]\nwieght = 1\n"}, 'Did you mean "weight"?'),
        ({"tables.toml": "[trainings]\nkind = 'event'\n"}, 'table "trainings": missing key "columns".'),
    ],
)
def test_a_broken_overlay_is_the_catalogues_error(folder: Path, files: dict[str, str], said: str) -> None:
    overlay = write_files(folder / "broken", files)
    result = run("--sources", folder, "--overlay", overlay)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_an_overlay_that_is_not_there_is_a_clear_error(folder: Path) -> None:
    result = run("--sources", folder, "--overlay", folder / "nowhere")
    assert (result.exit_code, "no such folder" in result.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [(), ("--overlay", "x"), ("--months", "-1"), ("--as-of", "yesterday")])
def test_wrong_use_exits_with_2(folder: Path, arguments: tuple[str, ...]) -> None:
    given = arguments if "--overlay" in arguments else ("--sources", str(folder), *arguments)
    assert run(*given).exit_code == 2
