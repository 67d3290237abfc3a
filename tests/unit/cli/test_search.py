"""``search history``: one JSON object, or a table in which nothing is cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.cli.app import app
from core.config import Plan
from core.runs.control import Control
from core.runs.store import Store
from core.settings import Home
from tests.searching import searched


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    made = Store(Home(tmp_path / "home").ensure())
    yield made
    made.close()


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "60"})


def test_json_is_one_object_with_every_trial_and_the_suggestion(store: Store) -> None:
    run = searched(store)
    result = call("search", "history", run, "--json")
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["id"] == run
    assert len(found["searches"][0]["trials"]) == 12
    assert found["range_tests"][0]["suggestion"]["lr"] > 0
    assert "rates" not in found["range_tests"][0]["groups"][0]


def test_the_table_marks_the_best_and_cuts_nothing(store: Store) -> None:
    run = searched(store)
    result = call("search", "history", run)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    states = [line.split()[1] for line in lines[2:]]
    assert states.count("best") == 1
    assert states[5] == "failed"
    assert "…" not in result.stdout
    assert all(line.split()[-1].startswith("20") for line in lines[2:] if " as " not in line)  # whole ids


def test_a_run_without_a_search_is_told_so(store: Store) -> None:
    run = Control(store).submit(Plan(name="plain"))
    result = call("search", "history", run, "--json")
    assert result.exit_code != 0
    assert "holds no search" in json.loads(result.stdout)["what"]
