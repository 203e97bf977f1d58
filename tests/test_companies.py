"""Companies whose data others made, taken in by ``sources.toml`` alone, through the real commands."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.sources import load_sources, open_database
from keepsight import app

COMPANIES = Path(__file__).parent.parent / "notebooks" / "companies"
DATA = COMPANIES.parent.parent.parent / "shared" / "data"


def sources_of(company: str) -> Path:
    """The company's sources.toml; skips where the data, which lie outside the repository, are not there."""
    if not (DATA / company).is_dir():
        pytest.skip(f"no data set {DATA / company}")
    return COMPANIES / company / "sources.toml"


def keepsight(*arguments: object, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, f"{arguments}: {result.output}\n{result.exception!r}"
    return result.stdout


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEEPSIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # nobody's own tracking server
    return tmp_path / "home"


def trained(company: str) -> dict[str, Any]:
    """Train with --promote, whatever comes of it."""
    sources = sources_of(company)
    result = CliRunner().invoke(app, ["train", "--sources", str(sources), "--promote", "--json"])
    assert result.exit_code in (0, 1), result.output
    run: dict[str, Any] = json.loads(result.stdout)
    assert run["promoted"] == (result.exit_code == 0)
    return run


def model_of(run: dict[str, Any], home: Path) -> tuple[str, Path]:
    """The option that names the run's own model, promoted or not."""
    return "--bundle", home / "mlruns" / run["run_id"] / "artifacts" / "bundle"


def verdicts(run: dict[str, Any]) -> dict[str, str]:
    return {gate["code"]: gate["verdict"] for gate in run["gates"]}


def assert_scored_and_explained(company: str, as_of: str, folder: Path, *model: object) -> None:
    """Every account in force has its row, and an explanation's parts add up to the probability."""
    out = folder / "scores.parquet"
    asked = ("--sources", sources_of(company), "--as-of", as_of, *model)
    keepsight("score", *asked, "--out", out)
    scores = pq.read_table(out)
    assert (scores["model_probability"].null_count == 0) == bool(model)
    probability = scores["churn_probability"]
    assert scores.num_rows > 300
    assert 0 < pc.min(probability).as_py() <= pc.max(probability).as_py() < 1
    riskiest = scores["account_id"][pc.index(probability, pc.max(probability)).as_py()].as_py()
    answer = json.loads(keepsight("explain", riskiest, *asked, "--json"))
    assert answer["churn_probability"] == pytest.approx(pc.max(probability).as_py(), abs=1e-9)
    log_odds = answer["base_log_odds"] + math.fsum(part["log_odds"] for part in answer["contributions"])
    assert log_odds == pytest.approx(
        math.log(answer["churn_probability"] / (1 - answer["churn_probability"])), abs=1e-9
    )


# --- tables ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("company", "warnings"),
    [
        ("saasguard", {"S311"}),  # tickets have a day, no hour
        ("ravenstack", {"S311"}),
        ("fightchurn_crm6", set()),
        ("ibm_telco", set()),
        ("mlc_churn", set()),
        ("uci_online_retail", set()),
    ],
)
def test_the_tables_keep_their_contract_and_show_their_past(company: str, warnings: set[str]) -> None:
    report = json.loads(keepsight("check", "--sources", sources_of(company), "--json"))
    assert report["errors"] == 0
    assert {p["code"] for p in report["problems"] if p["severity"] == "warning"} == warnings
    assert all(table["kept"] == table["rows"] for table in report["tables"])


@pytest.mark.parametrize("company", ["saasguard", "ravenstack"])
def test_no_contract_tells_of_its_end_before_it_has_ended(company: str) -> None:
    sources = load_sources(sources_of(company))
    contracts_alone = {name: sources.config.tables[name] for name in ("accounts", "contracts")}
    sources = replace(sources, config=sources.config.model_copy(update={"tables": contracts_alone}))
    with open_database(sources) as database:
        contracts = database.tables["contracts"]
        ended = contracts.filter(contracts.end_date.notnull())
        early = ended.filter(ended.known_from <= ended.end_date.cast("timestamp"))
        assert ended.count().execute() > 400
        assert early.count().execute() == 0


def test_usage_dated_before_its_subscription_is_not_known_before_it_began() -> None:
    with open_database(load_sources(sources_of("ravenstack"))) as database:
        usage = database.tables["usage"]
        late = usage.filter(usage.known_from > usage.occurred_at)
        assert usage.count().execute() == 25_000
        assert late.count().execute() == pytest.approx(0.77 * 25_000, rel=0.01)


def test_renewals_are_known_from_the_day_they_begin_with_their_end_announced() -> None:
    sources = load_sources(sources_of("fightchurn_crm6"))
    contracts_alone = {name: sources.config.tables[name] for name in ("accounts", "contracts")}
    sources = replace(sources, config=sources.config.model_copy(update={"tables": contracts_alone}))
    with open_database(sources) as database:
        contracts = database.tables["contracts"]
        begins = contracts.start_date.cast("timestamp")
        assert contracts.filter(contracts.known_from != begins).count().execute() == 0
        assert contracts.filter(contracts.end_date.isnull()).count().execute() == 0
        assert sources.catalogue.definitions.lapse_grace_days == 1


# --- what shows only today's state ----------------------------------------------------------------------------

UNDATED = """
company = "SaaSGuard with what must not be read"
observed_until = 2026-03-13
[tables.accounts]
query = '''
SELECT customer_id AS account_id, industry, mrr, compliance_gap_score, vendor_risk_flags
FROM read_csv('{data}/customers.csv') JOIN read_csv('{data}/risk_signals.csv') AS risk USING (customer_id)
'''
[tables.contracts]
query = '''
SELECT customer_id AS contract_id, customer_id AS account_id, signup_date AS start_date,
       CAST(signup_date AS TIMESTAMP) AS recorded_at
FROM read_csv('{data}/customers.csv')
'''
[tables.outcomes]
query = '''
SELECT customer_id AS account_id, 'cancellation' AS kind, churn_date AS churned_at
FROM read_csv('{data}/customers.csv') WHERE churn_date IS NOT NULL
'''
"""


def test_columns_drawn_from_the_outcome_are_reported_and_never_reach_a_training_vector(tmp_path: Path) -> None:
    sources_of("saasguard")  # the data are there
    undated = ("mrr", "compliance_gap_score", "vendor_risk_flags")
    context = "".join(f'[context.{column}]\nof = "accounts.{column}"\nkind = "number"\n' for column in undated)
    sources, out = tmp_path / "sources.toml", tmp_path / "snapshots.parquet"
    sources.write_text(UNDATED.format(data=DATA / "saasguard") + context, encoding="utf-8")

    report = json.loads(keepsight("check", "--sources", sources, "--json"))
    refused = [p["sentence"] for p in report["problems"] if p["code"] == "S303"]
    assert len(refused) == 4
    for column in ("industry", *undated):
        assert any(f"accounts.{column}" in sentence for sentence in refused)

    keepsight("snapshot", "--sources", sources, "--from", "2024-01-01", "--to", "2024-02-01", "--out", out)
    snapshots = pq.read_table(out)
    assert pc.sum(snapshots["churned"].cast("int8")).as_py() > 50
    assert pc.mean(snapshots["tenure_days"]).as_py() > 0
    for column in ("industry", *undated):
        assert pc.all(pc.is_nan(snapshots[column])).as_py(), column


# --- from tables to an explained prediction -------------------------------------------------------------------


def test_where_nothing_is_to_be_learnt_the_run_says_so_and_does_not_promote(home: Path, tmp_path: Path) -> None:
    run = trained("ravenstack")
    blend, base = run["contest"]["blend"], run["contest"]["base_rate"]
    assert 0.45 <= blend["auc"] <= 0.60
    assert blend["log_loss"] >= base["log_loss"]
    assert run["verdict"].startswith("Nothing was learnt")
    assert not run["promoted"]
    assert verdicts(run)["G02"] == "fail"
    assert verdicts(run)["G09"] == "pass"
    assert not (home / "champion").exists()
    assert_scored_and_explained("ravenstack", "2024-10-01", tmp_path)


@pytest.mark.slow
def test_saasguard_is_told_without_the_undated_tables(home: Path, tmp_path: Path) -> None:
    run = trained("saasguard")
    assert run["contest"]["blend"]["auc"] >= 0.97
    assert verdicts(run)["G02"] == verdicts(run)["G08"] == verdicts(run)["G09"] == "pass"
    assert_scored_and_explained("saasguard", "2025-12-01", tmp_path, *model_of(run, home))


@pytest.mark.slow
def test_fightchurn_sees_the_renewals_and_no_more(home: Path, tmp_path: Path) -> None:
    run = trained("fightchurn_crm6")
    assert [run["final_dates"][place][:10] for place in (0, -1)] == ["2023-05-01", "2023-10-01"]
    assert 0.62 <= run["contest"]["blend"]["auc"] <= 0.72
    assert verdicts(run)["G02"] == verdicts(run)["G08"] == verdicts(run)["G09"] == "pass"
    assert_scored_and_explained("fightchurn_crm6", "2023-10-01", tmp_path, *model_of(run, home))
