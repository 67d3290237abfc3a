"""Where a student lost what its teacher knows: counted by hand, the furthest apart first, bounded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from core.config import TaskConfig
from core.data.tasks import task_for
from core.models.prediction import ListRows
from core.training.distil import lost as module
from core.training.distil.lost import lost_rows


def logits(*shares: tuple[float, ...]) -> np.ndarray:
    return np.log(np.asarray(shares, dtype=np.float32))


def classification(count: int = 4, **others: Any) -> tuple[Any, ListRows]:
    task = task_for(TaskConfig(kind="classification"), ["no", "yes"])
    rows = {"text": [f"text {at}" for at in range(count)], "label": [1] * count, "row": list(range(1, count + 1))}
    return task, ListRows({**rows, "source": ["a.csv"] * count, **others})


def test_only_what_the_teacher_knows_and_the_student_does_not_is_an_example_the_furthest_apart_first() -> None:
    task, rows = classification()
    teacher = logits((0.4, 0.6), (0.1, 0.9), (0.9, 0.1), (0.2, 0.8))
    student = logits((0.6, 0.4), (0.9, 0.1), (0.1, 0.9), (0.1, 0.9))
    found = lost_rows(task, rows, teacher, student)
    assert (found["rows"], found["answers"], found["of"]) == (2, 2, 4)
    assert [one["row"] for one in found["examples"]] == [2, 1]  # row 3: the teacher is wrong; row 4: both are right
    first = found["examples"][0]
    assert (first["gold"], first["teacher"], first["student"]) == ("yes", "yes", "no")
    assert first["teacher_confidence"] == pytest.approx(0.9, abs=1e-4)
    assert first["student_confidence"] == pytest.approx(0.9, abs=1e-4)
    # Jensen–Shannon of (0.1, 0.9) and (0.9, 0.1) by hand: the middle is (½, ½)
    by_hand = 1 + 0.1 * math.log2(0.1) + 0.9 * math.log2(0.9)
    assert first["divergence"] == pytest.approx(by_hand, abs=1e-4)
    assert (first["text"], first["source"]) == ("text 1", "a.csv")


def test_examples_are_few_and_short_but_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    task, rows = classification(50, text=["x" * 5000] * 50)
    found = lost_rows(task, rows, logits(*[(0.3, 0.7)] * 50), logits(*[(0.7, 0.3)] * 50))
    assert found["rows"] == 50
    assert len(found["examples"]) == 3
    assert all(len(one["text"]) == 1000 and one["text"].endswith("…") for one in found["examples"])


def test_of_several_labels_each_is_an_answer() -> None:
    task = task_for(TaskConfig(kind="classification", multi_label=True), ["a", "b", "c"])
    rows = ListRows({"text": ["one", "two"], "text_pair": ["more", "of it"], "labels": [[0, 1], [2]]})
    teacher = np.asarray([[4.0, 3.0, -4.0], [-4.0, -4.0, 4.0]], dtype=np.float32)
    student = np.asarray([[-4.0, -3.0, -4.0], [-4.0, -4.0, 3.0]], dtype=np.float32)
    found = lost_rows(task, rows, teacher, student)
    assert (found["rows"], found["answers"]) == (1, 2)
    (one,) = found["examples"]
    assert (one["gold"], one["teacher"], one["student"]) == (["a", "b"], ["a", "b"], [])
    assert one["text"] == "one | more"
    assert one["teacher_confidence"] == pytest.approx(1 / (1 + math.exp(-4)), abs=1e-4)


def test_of_a_sentence_the_words_are_shown_and_silent_ones_do_not_count() -> None:
    task = task_for(TaskConfig(kind="tagging"), ["O", "B-PER"])
    rows = ListRows({"tokens": [["x", "y"], ["\u200b", "Anna", "ran"]], "tags": [[0, 0], [1, 1, 0]]})
    right, wrong, silent = (0.1, 0.9), (0.9, 0.1), (math.nan, math.nan)
    teacher = logits(wrong, wrong, silent, right, wrong)
    student = logits(wrong, wrong, silent, wrong, wrong)
    found = lost_rows(task, rows, teacher, student)
    assert (found["rows"], found["answers"], found["of"]) == (1, 1, 2)
    (one,) = found["examples"]
    assert one["text"] == "\u200b Anna ran"
    assert one["words"] == [{"word": "Anna", "gold": "B-PER", "teacher": "B-PER", "student": "O"}]


def test_rows_without_any_are_no_error() -> None:
    task, rows = classification()
    same = logits(*[(0.3, 0.7)] * 4)
    assert lost_rows(task, rows, same, same) == {"rows": 0, "answers": 0, "of": 4, "examples": []}
