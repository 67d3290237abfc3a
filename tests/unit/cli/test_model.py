"""``bertloom model``: what a person types and what a script reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli.app import app
from tests.tiny import tiny_encoder

RUN = CliRunner()


def test_new_writes_the_widths_and_says_what_they_cost(tmp_path: Path) -> None:
    donor = tiny_encoder(tmp_path / "donor")
    done = RUN.invoke(
        app,
        ["model", "new", "--layers", "16,24", "--mode", "stepped", "--head-size", "8", "--tokenizer", str(donor),
         "--out", str(tmp_path / "new"), "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert isinstance(found["parameters"], int)
    assert [(one["width"], one["heads"], one["intermediate"]) for one in found["layers"]] == [(16, 2, 64), (24, 3, 96)]
    assert found["flops"] > 0
    again = RUN.invoke(app, ["model", "describe", str(tmp_path / "new"), "--json"])
    assert json.loads(again.stdout)["parameters"] == found["parameters"]


def test_a_width_that_is_no_number_is_named(tmp_path: Path) -> None:
    done = RUN.invoke(app, ["model", "new", "--layers", "16,wide", "--out", str(tmp_path / "new"), "--json"])
    assert done.exit_code == 2
    assert "'16,wide' is not a list of widths" in json.loads(done.stdout)["message"]
    assert not (tmp_path / "new").exists()


def test_a_readout_in_a_stepped_encoder_is_refused(tmp_path: Path) -> None:
    arguments = ["model", "new", "--layers", "16", "--mode", "stepped", "--readout", "--out", str(tmp_path / "new")]
    done = RUN.invoke(app, [*arguments, "--json"])
    assert done.exit_code == 2
    assert "readout belongs to mode bus" in json.loads(done.stdout)["message"]


def test_layers_for_a_student_are_named_as_a_plan_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    folder = tiny_encoder(tmp_path / "encoder", layers=3)
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "text,label\n" + "\n".join(f"the film number {number} was fine,{number % 2}" for number in range(40))
    )
    asked = ["model", "layers", str(folder), "--keep", "2", "--data", str(rows)]
    found = json.loads(RUN.invoke(app, [*asked, "--json"]).stdout)
    assert found["keep"][-1] == 3
    told = RUN.invoke(app, asked).stdout
    assert f"model.keep_layers=[{found['keep'][0]},3]" in told
    plan = RUN.invoke(app, ["plan", "new", "--set", told.split("'")[1], "--json"])
    assert json.loads(plan.stdout)["model"]["keep_layers"] == found["keep"]
    many = RUN.invoke(app, [*asked[:4], "9", "--json"])
    assert many.exit_code == 2
    assert "there are 3" in json.loads(many.stdout)["message"]
