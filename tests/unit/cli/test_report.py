"""The report of a training run: its scores as they are, heads that point if there are any, and no way out of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.api import Studio
from core.cli.app import app
from core.config import Comparison, plan_from_yaml
from core.config.joint_demo import names_and_questions
from core.render.report_block import Block
from core.render.run_report import run_blocks
from core.runs.records import RunRecord, Status
from core.settings import Home
from tests.e2e.fake_run import FakeRun
from tests.unit.comparing.made import comparison
from tests.unit.render.test_pointer_report import write_looks


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRun]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    with FakeRun(Home(tmp_path / "home"), name="<b>mine</b> http://a.b", total=300) as run:
        run.advance(300)
        yield run


def told(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["report", *arguments])


@pytest.mark.parametrize("points", [True, False])
def test_a_run_is_one_page_with_pointers_where_heads_point(fake: FakeRun, tmp_path: Path, points: bool) -> None:
    fake.finish()
    if points:
        write_looks(fake.home.run(fake.id), ["one http://c.d", "two", "three"])
    page, text = tmp_path / "report.html", tmp_path / "report.md"
    result = told(fake.id, "--html", str(page), "--markdown", str(text), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output) == {"id": fake.id, "files": [str(page), str(text)]}
    html, markdown = page.read_text(encoding="utf-8"), text.read_text(encoding="utf-8")
    assert "http" not in html.lower()
    assert not re.search(r"<(link|script|img|iframe|b)\b|url\(", html)
    for cell in ("78.8 %", "73.6 % to 83.6 %", "79.2 %", "0.563", "torch"):  # accuracy with interval and gate, mcc
        assert f"<td>{cell}</td>" in html
    assert f"bertloom report {fake.id}" in html
    assert html.count("<svg") == 1 + 2 * points  # the curve of the best gate score
    assert ("Where heads point" in html) is points
    assert ("Where heads point" in markdown) is points
    plan = re.search(r"\*\*plan.yaml\*\*\n\n```\n(.*?)```", markdown, re.DOTALL)
    assert plan is not None
    assert plan_from_yaml(plan[1]).name == fake.store.runs.get(fake.id).name


def test_what_has_no_report_says_so(fake: FakeRun, tmp_path: Path) -> None:
    result = told(fake.id, "--html", str(tmp_path / "x.html"))
    assert result.exit_code != 0
    assert "no results yet" in result.output
    fake.finish()
    assert "--html FILE" in told(fake.id).output
    missing = told(fake.id, "--html", str(tmp_path / "no" / "x.html"))
    assert "cannot be written" in missing.output
    with Studio(fake.home, watch=False) as studio:
        other = studio.comparisons.submit(comparison())
        assert isinstance(studio.runs.config(other), Comparison)
    refused = told(other, "--html", str(tmp_path / "x.html"))
    assert "bertloom compare report" in " ".join(refused.output.split())


def test_a_joint_run_has_a_row_for_each_score_of_each_task() -> None:
    run = RunRecord(
        "1", "joint", "both", Status.FINISHED, names_and_questions().model_dump(mode="json"), (), 0.0, 0.0, 9.0, 9.0,
        None, "process", None, None,
    )  # fmt: skip
    results = {
        "metrics": {"test/combined": 0.5, "test/names/strict_f1": 0.25, "test/names/loss": 1.5,
                    "test/questions/f1": 0.75, "gate/names/strict_f1": 0.5},
        "details": {"test": {"names": {"n": 400, "intervals": {"strict_f1": [0.125, 0.375]}}, "questions": {"n": 4}}},
    }  # fmt: skip
    found = run_blocks(run, results, "plan", curve={"name": "gate/combined", "steps": [1], "values": [0.5]})
    (table,) = [one for one in found if one.kind == "table"]
    assert table.rows[1:] == (
        ("names", "strict_f1", "25.0 %", "12.5 % to 37.5 %", "50.0 %", "400"),
        ("names", "loss", "1.5", "", "", "400"), ("questions", "f1", "75.0 %", "", "", "4"),
    )  # fmt: skip
    assert not [one for one in found if one.kind == "figure"]  # one point is no curve
    assert Block("heading", "Environment") not in found
