"""The command line in one process: usage, exit statuses, and JSON that is one object and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.cli.app import app
from core.cli.output import plain_json
from core.cli.predict import read_texts
from core.config import Plan, plan_from_yaml
from core.errors import DataError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def one_object(result: Result) -> dict[str, Any]:
    assert result.stdout.count("\n") == 1, result.stdout
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


def test_plan_new_on_a_sample_gives_2000_rows_and_one_epoch() -> None:
    result = call("plan", "new", "--data", "reviews")
    assert result.exit_code == 0
    plan = plan_from_yaml(result.stdout)
    assert (plan.data.train_rows, plan.stages[0].epochs, plan.task.kind) == (2000, 1.0, "classification")


def test_plan_new_takes_the_samples_own_task() -> None:
    assert plan_from_yaml(call("plan", "new", "--data", "tweets").stdout).task.kind == "tagging"


def test_plan_new_on_a_file_reads_all_of_it() -> None:
    assert plan_from_yaml(call("plan", "new", "--data", "my/file.csv").stdout).data.train_rows is None


def test_plan_new_on_a_sample_without_labels_names_those_that_have_some() -> None:
    result = call("plan", "new", "--data", "headlines", "--json")
    assert result.exit_code == 2
    assert {"reviews", "tweets"} <= set(one_object(result)["expected"].split(", "))


def test_plan_new_with_a_wrong_task_is_a_usage_error_with_json() -> None:
    result = call("plan", "new", "--task", "translation", "--json")
    assert result.exit_code == 2
    assert "task.kind" in one_object(result)["message"]


def test_run_with_a_missing_plan_is_a_usage_error() -> None:
    result = call("run", "no-such.yaml", "--json")
    assert result.exit_code == 2
    assert one_object(result)["error"] == "ConfigError"


def test_run_with_an_invalid_plan_names_the_key(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("stages:\n- lr: fast\n")
    result = call("run", str(file))
    assert result.exit_code == 2
    assert "stages.0.lr (line 2)" in result.stderr.replace("\n", " ")
    assert result.stdout == ""


def test_an_unknown_run_is_a_usage_error() -> None:
    for command in (["show"], ["pause"], ["cancel"], ["delete"], ["metrics", "--format", "json"]):
        result = call(*command, "nope", *([] if "metrics" in command else ["--json"]))
        assert result.exit_code == 2, command
        assert one_object(result)["error"] == "RunNotFound"


def test_runs_of_an_empty_home_is_an_empty_list() -> None:
    assert one_object(call("runs", "--json")) == {"runs": []}
    assert "No runs yet" in call("runs").stdout
    assert "No run fits" in call("runs", "--tag", "none").stdout


def test_runs_with_an_unknown_status_names_the_known_ones() -> None:
    result = call("runs", "--status", "broken", "--json")
    assert result.exit_code == 2
    assert "queued" in one_object(result)["expected"]


def test_predict_without_text_is_a_usage_error() -> None:
    result = call("predict", "x", "--json")
    assert result.exit_code == 2
    assert "--file" in one_object(result)["expected"]


def test_version() -> None:
    assert call("--version").stdout.startswith("bertloom ")


def test_samples_lists_the_bundled_names() -> None:
    names = {item["name"] for item in one_object(call("samples", "--json"))["samples"]}
    assert names >= {"reviews", "plots", "headlines", "tweets", "zh-reviews", "zh-news"}


def test_not_a_number_becomes_null() -> None:
    assert plain_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": (1,)}) == {
        "a": None,
        "b": [None, 1.5],
        "c": [1],
    }


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.txt", "one\n\ntwo words\r\n", ["one", "two words"]),
        ("a.csv", 'id,text\n1,"a, b"\n2,c\n', ["a, b", "c"]),
        ("a.tsv", "text\tid\na b\t1\n", ["a b"]),
        ("a.jsonl", '{"text": "x"}\n\n{"text": "ü"}\n', ["x", "ü"]),
        ("bom.txt", "\ufeffhello\n", ["hello"]),
    ],
)
def test_texts_are_read_from_files(tmp_path: Path, name: str, content: str, texts: list[str]) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert read_texts(tmp_path / name) == texts


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'a,b,y\n"one, two",three,1\nfour,,2\n'),
        ("a.tsv", "b\ta\nthree\tone, two\n\tfour\n"),
        ("a.jsonl", '{"a": "one, two", "b": "three"}\n{"b": "", "a": "four"}\n'),
    ],
)
def test_pairs_are_read_from_files(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_texts(tmp_path / name, "a", "b") == [["one, two", "three"], ["four", ""]]
    with pytest.raises(DataError, match="'c'"):
        read_texts(tmp_path / name, "a", "c")


def test_pairs_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    result = call("predict", "x", "--text", "a", "--text", "b", "--text-pair", "c", "--json")
    assert result.exit_code == 2
    assert "2 of --text and 1 of --text-pair" in one_object(result)["message"]
    (tmp_path / "a.txt").write_text("one\n")
    with pytest.raises(DataError, match="no columns"):
        read_texts(tmp_path / "a.txt", "text", "other")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"id\n1\n", "no column 'text'"),
        ("a.jsonl", b'{"text": "x"}\n{"no": 1}\n', "line 2"),
        ("a.jsonl", b'{"text": \n', "line 1"),
        ("a.txt", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_files_that_cannot_be_read_say_where(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"\S") as caught:
        read_texts(tmp_path / name)
    assert message in caught.value.message()


def test_the_default_plan_prints_as_json() -> None:
    assert Plan.model_validate(one_object(call("plan", "new", "--json"))).name == "reviews classification"


def test_names_and_texts_are_printed_as_they_are() -> None:
    name = "my :heart: [bold]plan[/bold]"
    assert plan_from_yaml(call("plan", "new", "--name", name).stdout).name == name
    assert "[red]:heart:" in call("show", "[red]:heart:").stderr
