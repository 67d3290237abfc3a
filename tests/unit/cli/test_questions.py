"""Question answering on the command line: plans, the check of a file, questions and contexts of a prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.api import Studio
from core.cli.predict import read_texts
from core.config import plan_from_yaml
from core.config.templates import templates
from tests.unit.cli.test_commands import call, one_object


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Answer every question by the first word of its context, or not at all."""
    found: list[Any] = []

    def predict(self: Studio, source: str, texts: list[list[str]]) -> list[dict[str, Any]]:
        found.extend(texts)
        words = [context.split()[0] if question != "why" else "" for question, context in texts]
        return [
            {"text": question, "label": word, "scores": 0.75, "answers": [], "context": context}
            for (question, context), word in zip(texts, words, strict=True)
        ]

    monkeypatch.setattr(Studio, "predict", predict)
    return found


def test_a_plan_for_derived_questions_has_their_settings() -> None:
    plan = plan_from_yaml(call("plan", "new", "--data", "zh-news-questions").stdout)
    assert (plan.task.kind, plan.task.no_answer, plan.task.answer_language) == ("question_answering", True, "zh")
    staged = call("plan", "new", "--data", "plot-cloze", "--template", templates()[0].name).stdout
    assert plan_from_yaml(staged).task.no_answer is False
    compared = call("compare", "new", "--strategies", "single,pointer", "--tasks", "zh-news-questions").stdout
    assert yaml.safe_load(compared)["tasks"][0]["task"] == {
        "kind": "question_answering", "no_answer": True, "answer_language": "zh",
    }  # fmt: skip
    own = plan_from_yaml(call("plan", "new", "--data", "squad.json", "--task", "question_answering").stdout)
    assert (own.data.source, own.stages[0].epochs, own.stages[0].head_lr) == ("squad.json", 2.0, 1e-3)


def test_a_plan_with_a_teacher_is_written() -> None:
    result = call("plan", "new", "--data", "plot-cloze", "--set", "stages.0.kind=distil",
                  "--set", 'stages.0.distil={"teachers": [{"source": "x"}]}', "--json")  # fmt: skip
    assert result.exit_code == 0
    plan = one_object(result)
    assert (plan["task"]["kind"], plan["stages"][0]["kind"]) == ("question_answering", "distil")


def test_one_context_serves_all_questions(asked: list[Any]) -> None:
    result = call("predict", "x", "--question", "who", "--question", "why", "--context", "Anna ran.")
    told = [line.split() for line in result.stdout.splitlines()]
    assert told == [["Anna", "0.750", "who"], ["no", "answer", "0.750", "why"]]
    assert asked == [["who", "Anna ran."], ["why", "Anna ran."]]
    asked.clear()
    call("predict", "x", "--question", "a", "--context", "one", "--question", "b", "--context", "two")
    assert asked == [["a", "one"], ["b", "two"]]


@pytest.mark.parametrize(
    "options",
    [
        ["--question", "a"], ["--context", "a"],
        ["--question", "a", "--question", "b", "--question", "c", "--context", "a", "--context", "b"],
    ],
)  # fmt: skip
def test_questions_without_their_context_are_refused(options: list[str], asked: list[Any]) -> None:
    result = call("predict", "x", *options, "--json")
    assert result.exit_code == 2
    assert "of --question" in one_object(result)["message"]
    assert asked == []


def test_questions_are_read_from_files(tmp_path: Path, asked: list[Any]) -> None:
    file = tmp_path / "a.csv"
    file.write_text('q,passage\nwho,"Anna, and Paul"\n', encoding="utf-8")
    result = call(
        "predict", "x", "--file", str(file), "--question-column", "q", "--context-column", "passage", "--json"
    )
    assert [one["label"] for one in one_object(result)["predictions"]] == ["Anna,"]
    assert read_texts(file, "q", "passage") == asked


def test_a_nested_file_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.data import check

    seen: list[Any] = []

    def checked(self: Any, data: Any, task: Any, model: Any) -> dict[str, Any]:
        seen.append(task)
        return check(data, task, cache=tmp_path).as_dict()

    monkeypatch.setattr("core.api.DataDesk.check", checked)
    qas = [{"id": "q1", "question": "who", "answers": [{"text": "Anna", "answer_start": 3}]},
           {"id": "q2", "question": "why", "answers": [], "is_impossible": True}]  # fmt: skip
    file = tmp_path / "dev.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Anna ran.", "qas": qas}]}]}), encoding="utf-8")
    result = call("data", "check", str(file), "--task", "question_answering", "--no-answer", "--json")
    report = one_object(result)
    assert (result.exit_code, report["rows"]["kept"]) == (0, 2)
    assert "at 3 stands 'a ra', not 'Anna'" in json.dumps(report["findings"])
    assert seen[0].no_answer
    assert call("data", "check", "tweet-questions", "--json").exit_code in (0, 2)  # 2: the samples are not there
    assert seen[-1].kind == "question_answering"
