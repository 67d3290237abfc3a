"""``bertloom data derive``: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli.data import app
from tests.unit.derive.conftest import TAGGED, labelled


def call(*arguments: str):
    return CliRunner().invoke(app, ["derive", *arguments])


def test_single_steps_need_no_file(lines, tmp_path) -> None:
    out, rest = tmp_path / "out.jsonl", tmp_path / "rest.jsonl"
    done = call(
        lines(labelled(40)), "--share", "0.5", "--rest", str(rest), "--step", "filter: {labels: [good]}",
        "--step", "sample: {rows: 4}", "--out", str(out), "--seed", "2", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [(step["step"], step["before"], step["after"]) for step in told["steps"]] == [
        ("read", 40, 40), ("part", 40, 20), ("filter", 20, 10), ("sample", 10, 4),
    ]  # fmt: skip
    assert (told["output"]["rows"], told["left"]["rows"], told["seed"]) == (4, 20, 2)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    left = [json.loads(line)["source_row"] for line in rest.read_text().splitlines()]
    assert {row["label"] for row in rows} == {"good"}
    assert not {row["source_row"] for row in rows} & set(left)
    assert Path(told["record"]).is_file()


def test_people_see_each_step_and_why_rows_went(lines, tmp_path) -> None:
    steps = tmp_path / "steps.yaml"
    steps.write_text(f"source: {lines(TAGGED)}\nsteps:\n  - entity_questions\n  - relabel: {{mapping: {{a: b}}}}\n")
    done = call("--steps", str(steps), "--out", str(tmp_path / "q.json"))
    assert done.exit_code == 1  # questions have no labels
    assert "relabel cannot follow here" in " ".join(done.output.split())
    steps.write_text(f"source: {lines(TAGGED)}\nsteps:\n  - entity_questions\n")
    done = call("--steps", str(steps), "--out", str(tmp_path / "q.json"))
    assert done.exit_code == 0, done.output
    assert "no name: 1" in done.output
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--step", "sampel: {rows: 3}"), "there is no step 'sampel'"),
        (("--step", "sample: {rwos: 3}"), "unknown key"),
        (("--steps", "nowhere.yaml"), "does not exist"),
        (("--step", "sample: [", "--out", "x.jsonl"), "not valid YAML"),
        ((), "There is no file to write"),
    ],
)
def test_what_is_wrong_is_bad_usage(lines, arguments: tuple[str, ...], said: str) -> None:
    done = call(lines(labelled(4)), *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
