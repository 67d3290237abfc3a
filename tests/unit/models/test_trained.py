"""Trained models as teachers see them: from folders alone, and what makes two tasks different."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.config import TaskConfig
from core.errors import ModelError
from core.models.info import describe
from core.models.trained import describe_trained, task_difference, vocabulary_digest
from tests.tiny import FAMILIES, tiny_encoder

TAGGING, TEXTS = TaskConfig(kind="tagging"), TaskConfig()


def _finished(folder: Path, labels: list[str], **task: object) -> Path:
    """Let an encoder's folder say that it was trained: what a head is made of is not looked at."""
    side = {
        "format": 1, "task": TaskConfig.model_validate(task).model_dump(), "labels": labels, "max_length": 48,
        "plan": None, "metrics": {},
    }  # fmt: skip
    (folder / "bertloom.json").write_text(json.dumps(side))
    return folder


def test_a_trained_folder_says_its_task_labels_and_vocabulary(tmp_path: Path) -> None:
    folder = _finished(tiny_encoder(tmp_path / "one", layers=3), ["b", "a"])
    found = describe_trained(str(folder))
    assert (found["task"]["kind"], found["labels"], found["reads"], found["layers"]) == (
        "classification", ["b", "a"], 48, 3
    )  # fmt: skip
    assert len(found["layer_parameters"]) == 3
    assert sum(found["layer_parameters"]) < found["parameters"]
    assert found["vocabulary"] == vocabulary_digest(folder)


def test_a_runs_folder_stands_for_the_model_that_it_made(tmp_path: Path) -> None:
    _finished(tiny_encoder(tmp_path / "run" / "best"), ["a", "b"])
    assert describe_trained(str(tmp_path / "run"))["folder"] == str(tmp_path / "run" / "best")


def test_an_encoder_without_a_head_cannot_teach(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no trained head"):
        describe_trained(str(tiny_encoder(tmp_path / "bare")))
    with pytest.raises(ModelError, match="bundled encoder has no trained head"):
        describe_trained("bundled")


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_counted_from_the_headers_alone(tmp_path: Path, family: str) -> None:
    from transformers import AutoModel

    from core.models.shaped.register import register

    register()
    folder = tiny_encoder(tmp_path / family, family, layers=2)
    model = AutoModel.from_pretrained(str(folder))
    lists = [module for module in model.modules() if type(module).__name__ == "ModuleList" and len(module) == 2]
    wanted = [[sum(one.numel() for one in layer.parameters()) for layer in layers] for layers in lists]
    assert describe(str(folder)).layer_parameters in wanted


def test_vocabularies_are_told_apart_by_their_pieces(tmp_path: Path) -> None:
    one, other = tiny_encoder(tmp_path / "one"), tiny_encoder(tmp_path / "other", seed=1)
    assert vocabulary_digest(one) == vocabulary_digest(other)
    assert vocabulary_digest(tiny_encoder(tmp_path / "roberta", "roberta")) != vocabulary_digest(one)
    file = other / "tokenizer.json"
    data = json.loads(file.read_text())
    data["added_tokens"].append({**data["added_tokens"][-1], "content": "[NEW]", "id": 9999})
    file.write_text(json.dumps(data))
    assert vocabulary_digest(other) != vocabulary_digest(one)
    file.write_text("{")
    assert vocabulary_digest(other) is None


@pytest.mark.parametrize(
    ("other", "labels", "task", "wanted", "words"),
    [
        (TEXTS, ["a", "b"], TEXTS, ["b", "a"], None),
        (TEXTS, ["a", "b"], TEXTS, None, None),
        (TAGGING, ["O", "B-x"], TEXTS, None, "trained for tagging, the student learns classification"),
        (TaskConfig(multi_label=True), ["a", "b"], TEXTS, ["a", "b"], "classification with several labels, the"),
        (TEXTS, ["a", "b"], TEXTS, ["a", "c"], "only in the data: c; only the teacher's: b"),
        (TEXTS, ["a"], TEXTS, [*"abcdefghijkl"], "only in the data: b, c, d, e, f, g, h, i …)"),
    ],
)
def test_a_difference_of_tasks_is_named(
    other: TaskConfig, labels: list[str], task: TaskConfig, wanted: list[str] | None, words: str | None
) -> None:
    found = task_difference(other, labels, task, wanted)
    assert found is None if words is None else words in str(found)
