"""A text that one task is judged on is found among the rows that another trains on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from core.config.joint import JointPlan
from core.errors import DataError, ModelError
from core.training import MemoryContext
from core.training.joint.leaks import TaskRows, find_leaks, without_leaks
from core.training.joint.material import load_joint
from core.training.joint.tied import check_labels, check_tokenizers


@dataclass
class Roles:
    train: Dataset
    gate: Dataset
    test: Dataset
    fingerprint: str = "f"


def texts(*found: str, start: int = 1, column: str = "text") -> Dataset:
    cells = [one.split() for one in found] if column == "tokens" else list(found)
    return Dataset.from_dict({"row": list(range(start, start + len(found))), column: cells})


def two(*, drop: bool = False) -> list[TaskRows]:
    mood = Roles(texts("so good", "too bad", "don't go"), texts("a film"), texts("in berlin , today", start=20))
    names = Roles(
        texts("anna ran", "in berlin, today", "a film", column="tokens"),
        texts("paul", "do n't go", column="tokens"), texts("new york", column="tokens"),
    )  # fmt: skip
    return [TaskRows("mood", 0, mood, drop), TaskRows("names", 1, names, drop)]


def test_rows_of_other_tasks_are_found_whatever_the_spaces() -> None:
    found = {(one.task, one.role, one.row, one.other, one.other_role, one.other_row) for one in find_leaks(two())}
    assert found == {
        (0, "train", 3, 1, "gate", 2),
        (1, "train", 2, 0, "test", 20),
        (1, "train", 3, 0, "gate", 1),
    }


def test_they_are_refused_by_name() -> None:
    with pytest.raises(DataError) as error:
        without_leaks(two())
    assert "names train row 2 = mood test row 20" in str(error.value.where)
    assert "3 texts" in error.value.what
    assert "tasks.0.data.drop_duplicates and tasks.1.data.drop_duplicates" in str(error.value.advice)


def test_they_are_dropped_where_that_is_wanted_and_never_from_test() -> None:
    tasks = two(drop=True)
    roles, notices = without_leaks(tasks)
    assert roles[0].train["text"] == ["so good", "too bad"]
    assert [" ".join(words) for words in roles[1].train["tokens"]] == ["anna ran"]
    assert [len(one.test) for one in roles] == [1, 1]
    assert roles[0].fingerprint != "f"
    assert "names: 2 rows of train left out, whose text is in mood gate, mood test." in notices
    assert len(tasks[1].roles.train) == 3  # what other runs share stays as it was


def test_gate_rows_that_another_task_is_tested_on_are_found() -> None:
    one = Roles(texts("a"), texts("b", "c"), texts("d"))
    other = Roles(texts("e"), texts("f"), texts("c"))
    (leak,) = find_leaks([TaskRows("x", 0, one, False), TaskRows("y", 1, other, False)])
    assert (leak.role, leak.row, leak.other_role) == ("gate", 2, "test")


def test_a_run_refuses_a_context_that_is_another_tasks_test(
    joint: Callable[..., JointPlan], tmp_path: Path, fresh: Callable[..., MemoryContext]
) -> None:
    rows: list[dict[str, Any]] = [
        {"question": "where", "context": f"anna lives in berlin {n}", "answers": ["berlin"]} for n in range(30)
    ]
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [{"tokens": row["context"].split(), "tags": ["B-PER", "O", "O", "B-LOC", "O"]} for row in rows[:20]]
    (tmp_path / "tags.jsonl").write_text("".join(json.dumps(row) + "\n" for row in words))

    def plan(**data: Any) -> JointPlan:
        tasks = {
            "names": {"data": {"source": str(tmp_path / "tags.jsonl"), "split_seed": 1, **data}},
            "where": {"data": {"source": str(tmp_path / "asked.jsonl"), "split_seed": 2, **data}},
        }
        return joint("names", "where", tasks=tasks)

    context = fresh()
    with pytest.raises(DataError, match="what another is judged on") as error:
        load_joint(plan(), context.cache)
    assert "where train row" in str(error.value.where)
    found = load_joint(plan(drop_duplicates=True), context.cache, event=context.event)
    assert [event["kind"] for event in context.events] == ["warning"] * len(context.events) != []
    judged = {
        "".join(one["context"].split()) for role in ("gate", "test") for one in getattr(found.parts[1].roles, role)
    }
    trained = {"".join(one["tokens"]) for one in found.parts[0].roles.train}
    assert judged
    assert trained
    assert not judged & trained


def test_labels_that_are_spelt_differently_and_one_task_twice_are_refused() -> None:
    with pytest.raises(DataError, match="clash") as error:
        check_labels([("a", "tagging", ["O", "B-PER"], "1"), ("b", "tagging", ["O", "B-per", "B-ORG"], "2")])
    assert "B-PER and B-per" in str(error.value.where)
    with pytest.raises(DataError, match="are one"):
        check_labels([("a", "tagging", ["O"], "1"), ("b", "tagging", ["O"], "1")])
    check_labels([("a", "tagging", ["O", "B-PER"], "1"), ("b", "classification", ["per"], "2")])
    check_labels([("a", "tagging", ["O", "B-PER"], "1"), ("b", "tagging", ["O", "B-PER", "B-ORG"], "2")])


def test_tokenisers_with_other_pieces_are_refused() -> None:
    class Pieces:
        def __init__(self, *names: str):
            self.names = names

        def get_vocab(self) -> dict[str, int]:
            return {name: at for at, name in enumerate(self.names)}

    check_tokenizers({"a": Pieces("x", "y"), "b": Pieces("x", "y")})
    with pytest.raises(ModelError, match="a and c have other pieces"):
        check_tokenizers({"a": Pieces("x", "y"), "b": Pieces("x", "y"), "c": Pieces("y", "x")})
