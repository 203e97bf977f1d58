"""`keepsight catalogue` and `keepsight check`, as people run them."""

import json
import resource
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from features.catalogue import load_catalogue
from features.commands import app

CATALOGUE = load_catalogue()
HEAVY = ("numpy", "pandas", "pyarrow", "ibis", "duckdb", "lightgbm", "mlflow", "sklearn")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_show_lists_every_signal_and_factor():
    result = run("catalogue", "show")
    assert result.exit_code == 0
    for name in (*CATALOGUE.definitions.signals, *CATALOGUE.definitions.factors):
        assert f"  {name}  (weight" in result.output
    assert "25 signals, 6 factors" in result.output


def test_show_as_json_has_thresholds_weights_and_plays():
    result = run("catalogue", "show", "--json")
    shown = json.loads(result.output)
    items = {item["id"]: item for item in shown["items"]}
    assert list(items) == [*CATALOGUE.definitions.signals, *CATALOGUE.definitions.factors]
    use = items["licence_utilisation"]
    assert (use["healthy"], use["unhealthy"], use["weight"], use["due_days"]) == ("≥ 0.6", "< 0.3", 1, 14)
    assert shown["segments"]["unhealthy"]["cadence_days"] == 7


def test_show_speaks_chinese():
    assert "许可" in run("catalogue", "show", "--lang", "zh").output


def test_show_lays_an_overlay_over_ours(overlay):
    folder = overlay({"playbook.toml": "[signals.nps_score]\nweight = 2.5\n"})
    assert "nps_score  (weight 2.5)" in run("catalogue", "show", "--overlay", folder).output


def test_check_counts_what_is_there_and_names_the_fingerprints():
    result = run("catalogue", "check")
    assert result.exit_code == 0
    assert "25 signals, 6 factors, 11 context columns, 11 areas" in result.output
    assert CATALOGUE.definitions_fingerprint in result.output
    assert CATALOGUE.policy_fingerprint in result.output


def test_check_prints_every_error_and_fails(overlay):
    folder = overlay({"signals.toml": "[signals.nps_score]\nsorce = 1\n", "playbook.toml": "revision = 'x'\n"})
    result = run("catalogue", "check", "--overlay", folder)
    assert result.exit_code == 1
    assert 'unknown key "sorce". Did you mean "source"?' in result.stderr
    assert "revision: must be a whole number." in result.stderr
    assert "Traceback" not in result.output


def test_sources_and_overlay_together_are_a_usage_error(overlay, tmp_path):
    result = run(
        "catalogue", "check", "--overlay", overlay({"playbook.toml": ""}), "--sources", tmp_path / "s.toml"
    )
    assert result.exit_code == 2
    assert "not both" in result.stderr


def test_document_writes_the_page(tmp_path):
    out = tmp_path / "catalogue.md"
    assert run("catalogue", "document", "--out", out).exit_code == 0
    assert out.read_text("utf-8") == run("catalogue", "document").output


def test_document_says_when_it_cannot_write(tmp_path):
    result = run("catalogue", "document", "--out", tmp_path / "nowhere" / "catalogue.md")
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory" in result.stderr


@pytest.mark.parametrize("command", [["show"], ["check"], ["document"]])
def test_sources_that_are_not_there_are_a_clear_error(command, tmp_path):
    result = run("catalogue", *command, "--sources", tmp_path / "sources.toml")
    assert result.exit_code == 1
    assert "sources.toml" in result.stderr
    assert "Traceback" not in result.output


def modules_after(*arguments):
    """Run a command in a process of its own and return what it has imported."""
    code = (
        "import sys\nfrom features.commands import app\n"
        f"try:\n    app({list(arguments)!r})\nexcept SystemExit:\n    pass\n"
        "print('imported:', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split("imported:")[-1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["catalogue", "show"], ["catalogue", "check"]])
def test_no_heavy_library_is_loaded_for_the_catalogue(arguments):
    loaded = modules_after(*arguments)
    assert "features.commands" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_showing_our_own_catalogue_types_no_entry():
    assert "features.catalogue.schema" not in modules_after("catalogue", "show")
    assert "features.catalogue.schema" in modules_after("catalogue", "check")


def seconds_of(*command):
    """Return the least CPU time of a command over some runs: what it costs, whoever else is at work."""
    costs = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(costs)


def test_showing_the_catalogue_costs_at_most_two_and_a_half_times_its_libraries():
    libraries = seconds_of("-c", "import typer, rich, pydantic")
    shown = seconds_of("-c", "from features.commands import app; app(['catalogue', 'show'])")
    assert shown <= 2.5 * libraries
