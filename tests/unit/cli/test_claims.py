"""``claim …`` and ``findings``: one JSON object, exit statuses, and words for people."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.api import Studio
from core.cli.app import app
from core.config import Plan
from core.settings import Home
from core.studies.run import run
from core.training.context import MemoryContext
from tests.e2e.fake_run import FakeRun
from tests.unit.studies.made import Trainer, config


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})


def one_object(result: Result) -> dict[str, Any]:
    assert result.stdout.count("\n") == 1, result.stdout
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


@pytest.fixture
def tested(home: Home) -> str:
    """A claim that was tested, by a training that is a formula."""

    def learns(plan: Plan) -> tuple[float, float]:
        return 0.8 - 0.05 * abs(math.log10(plan.stages[0].lr / 5e-5)), 10.0

    with Studio(home, watch=False) as studio:
        of = config("raise-to-1e-3", parts=["full"])
        run_id = studio.claims.submit(of)
        run(of, MemoryContext(studio.home.run(run_id), studio.home.cache), trainer=Trainer(learns))
    return run_id


def test_the_shelf_is_listed_with_its_sentences() -> None:
    found = one_object(call("claim", "list", "--json"))["claims"]
    assert {one["name"] for one in found} >= {"lower-is-faster", "batch-memory", "rate-table"}
    assert all(one["sentence"] and one["tested"] and one["last"] is None for one in found)
    assert "not tested yet" in call("claim", "list").stdout


def test_an_unknown_claim_is_a_usage_error_that_names_the_others() -> None:
    result = call("claim", "run", "magic", "--json")
    assert result.exit_code == 2
    assert "lower-is-faster" in one_object(result)["expected"]


@pytest.mark.parametrize(("option", "value"), [("--seeds", "0"), ("--steps", "3"), ("--part", "all")])
def test_values_that_make_no_sense_are_usage_errors(option: str, value: str) -> None:
    assert call("claim", "run", "lower-is-faster", option, value).exit_code == 2


def test_a_key_that_does_not_exist_is_named() -> None:
    result = call("claim", "run", "lower-is-faster", "--set", "stage.lr=1", "--json")
    assert result.exit_code == 2
    assert "stage" in one_object(result)["message"]


def test_a_dry_run_says_how_long_it_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Plan] = []

    def estimate(self: Studio, plan: Plan) -> dict[str, Any]:
        asked.append(plan)
        return {"seconds_low": 2.0, "seconds_high": 4.0, "memory_mb": 800.0}

    monkeypatch.setattr(Studio, "estimate", estimate)
    found = one_object(call("claim", "run", "raise-to-1e-3", "--dry", "--json"))
    assert found["runs"] == 30
    assert (found["seconds_low"], found["seconds_high"]) == (60.0, 420.0)
    assert [plan.stages[0].freeze_encoder for plan in asked] == [True, False]
    call("claim", "run", "batch-memory", "--dry", "--part", "full", "--json")
    assert asked[-1].stages[0].batch_size == 128  # the one that takes longest


def test_a_tested_claim_is_shown_with_its_verdict_and_every_run(tested: str) -> None:
    found = one_object(call("claim", "show", tested, "--json"))
    assert found["verdicts"][0]["verdict"] == "does not hold"
    assert len(found["runs"]) == 15
    assert found["verdicts"][0]["comparisons"][0]["interval"]
    text = call("claim", "show", tested).stdout
    assert "does not hold" in text
    assert "scores lower" in text


def test_a_run_that_tests_nothing_is_no_claim(home: Home) -> None:
    with Studio(home, watch=False) as studio:
        run_id = studio.runs.submit(Plan(name="plain"))
    assert call("claim", "show", run_id, "--json").exit_code == 1


def test_findings_of_a_run_are_one_object(home: Home) -> None:
    with FakeRun(home) as fake:
        fake.advance(320)
        found = one_object(call("findings", fake.id, "--json"))
    assert found["id"] == fake.id
    assert isinstance(found["findings"], list)


def test_a_remedy_is_printed_as_a_plan(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.runs.desk import RunDesk
    from core.runs.findings import findings
    from tests.unit.findings.made import healthy

    monkeypatch.setattr(RunDesk, "findings", lambda self, run_id: findings(healthy(norm=lambda step: 8.0)))
    with Studio(home, watch=False) as studio:
        run_id = studio.runs.submit(healthy().plan)
    assert "clip_norm: 1" in call("findings", run_id, "--remedy", "clipped:1").stdout
    wrong = call("findings", run_id, "--remedy", "magic", "--json")
    assert wrong.exit_code == 2
    assert one_object(wrong)["expected"] == "clipped:1"
    assert "clipped:1  Clip at" in call("findings", run_id).stdout
