"""``search run`` and ``search front``: one JSON object, presets beneath the file, and exit statuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.cli.app import app
from core.cli.search_structure import config_of
from core.config import Plan
from core.config.structure import StructureConfig
from core.errors import ConfigError
from core.runs.store import Store
from core.settings import Home
from tests.structured import searched
from tests.tiny import tiny_encoder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home").ensure()


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def one_object(result: Result) -> dict[str, Any]:
    assert result.stdout.count("\n") == 1, result.stdout
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


@pytest.fixture
def run_id(home: Home) -> str:
    store = Store(home)
    try:
        return searched(store)
    finally:
        store.close()


def test_the_front_is_one_object_with_shapes_volume_and_budget(run_id: str) -> None:
    found = one_object(call("search", "front", run_id, "--json"))
    assert found["id"] == run_id
    assert {"front", "hypervolume", "candidates", "budget"} <= found.keys()
    assert 0 < found["hypervolume"] < 1
    assert found["candidates"] == 12
    for one in found["front"]:
        assert len(one["widths"]) == len(one["units"]) == one["depth"]
        assert abs(one["parameters"] - found["budget"]["parameters"]) <= 0.03 * found["budget"]["parameters"]


def test_the_front_is_a_table_for_people(run_id: str) -> None:
    result = call("search", "front", run_id)
    assert result.exit_code == 0
    assert "12 candidates ranked" in result.stdout
    assert "hypervolume" in result.stdout


def test_a_run_of_another_kind_has_no_front(home: Home) -> None:
    from core.api import Studio

    with Studio(home, watch=False) as studio:
        plain = studio.runs.submit(Plan(name="plain"))
    result = call("search", "front", plain, "--json")
    assert result.exit_code == 1
    assert "no structure search" in one_object(result)["message"]
    assert call("search", "front", "nothing", "--json").exit_code == 2


def test_a_file_is_laid_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("name: mine\nhalving: {enter: 5}\nmode: stepped\n")
    found = config_of(file, "quick", ["budget.share=0.3"])
    assert (found.name, found.halving.enter, found.mode, found.budget.share) == ("mine", 5, "stepped", 0.3)
    assert found.halving.rungs == StructureConfig.quick().halving.rungs
    assert config_of(None, "thorough", []) == StructureConfig.thorough()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: structure\nbudget:\n  parameters: none\n", r"budget.parameters \(line 3\)"),
        ("kind: graph\n", "kind 'graph'"),
        ("magic: 1\n", "magic"),
    ],
)
def test_what_a_file_says_wrong_is_named(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        config_of(file, "quick", [])


def test_bad_searches_are_usage_errors_with_what_would_do(tmp_path: Path) -> None:
    parent = tiny_encoder(tmp_path / "parent", hidden=32, layers=3, heads=4)
    file = tmp_path / "search.yaml"
    file.write_text(f"model: {{source: {parent}}}\n")
    result = call("search", "run", str(file), "--set", "budget.parameters=7", "--json")
    assert result.exit_code == 2
    assert "nearest budget that can be met" in one_object(result)["advice"]
    deep = call("search", "run", str(file), "--set", "depths=[9]", "--json")
    assert deep.exit_code == 2
    assert "parent has only 3" in one_object(deep)["message"]
    assert call("search", "run", str(file), "--preset", "magic", "--json").exit_code == 2
    other = tiny_encoder(tmp_path / "distilbert", "distilbert")
    family = call("search", "run", "--set", f"model.source={other}", "--json")
    assert family.exit_code == 1
    assert "plain BERT" in one_object(family)["expected"]
