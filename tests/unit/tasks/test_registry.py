from __future__ import annotations

import subprocess
import sys

import pytest

from core.config import TaskConfig
from core.data.tasks import REGISTRY, task_for
from core.errors import ConfigError, DataError

GOOD = {
    "classification": ["a", "b"], "tagging": ["O", "B-X", "I-X"], "question_answering": ["start", "end"],
    "dependency": ["det", "root"],
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(REGISTRY))
def test_every_registered_task_is_made_and_names_its_scores(kind: str) -> None:
    task = task_for(TaskConfig.model_validate({"kind": kind}), GOOD[kind])
    assert task.kind == kind
    assert task.primary_metric in task.metric_names
    assert "loss" in task.metric_names
    assert task.model_kwargs()["id2label"] == dict(enumerate(GOOD[kind]))


def test_every_kind_that_a_plan_may_name_is_registered() -> None:
    kinds = TaskConfig.model_json_schema()["properties"]["kind"]["enum"]
    assert set(kinds) == set(REGISTRY)


def test_an_unknown_kind_is_refused() -> None:
    config = TaskConfig.model_construct(kind="weather")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="classification, tagging"):
        task_for(config, ["a", "b"])


def test_naming_the_tasks_imports_nothing_heavy() -> None:
    code = (
        "import sys, core.data.tasks as tasks; from core.config import TaskConfig\n"
        "before = [name for name in ('numpy', 'torch', 'datasets', 'seqeval') if name in sys.modules]\n"
        "tasks.task_for(TaskConfig(), ['a', 'b'])\n"
        "after = [name for name in ('torch', 'transformers', 'datasets', 'seqeval') if name in sys.modules]\n"
        "print(before, after)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


@pytest.mark.parametrize(
    ("settings", "labels", "message"),
    [
        ({}, ["one"], "1 label"),
        ({}, [], "0 label"),
        ({}, ["a", "b", "a"], "named twice: a"),
        ({"multi_label": True}, [], "0 label"),
        ({"kind": "tagging"}, ["O"], "every word is O"),
        ({"kind": "tagging"}, ["B-X", "O"], "not an IOB2 list"),
        ({"kind": "tagging"}, ["O", "X"], "not an IOB2 list"),
        ({"kind": "tagging"}, ["O", "B-"], "not an IOB2 list"),
        ({"kind": "tagging"}, ["O", "S-X"], "S-X"),
        ({"kind": "tagging"}, ["O", "B-X", "B-X"], "not an IOB2 list"),
        ({"kind": "tagging"}, [], "not an IOB2 list"),
    ],
)
def test_labels_that_do_not_fit_are_refused(settings: dict[str, object], labels: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        task_for(TaskConfig.model_validate(settings), labels)


def test_one_label_of_several_is_enough() -> None:
    assert task_for(TaskConfig(multi_label=True), ["only"]).primary_metric == "micro_f1"
