"""``bertloom model``: what a person types and what a script reads."""

from __future__ import annotations

import json
from pathlib import Path

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
