"""Strategies with a head that points, and tasks whose words have heads."""

from __future__ import annotations

from typing import Any

from core.render.comparison_report import answer_words
from core.studies.comparing.disagreements import disagreements
from core.studies.comparing.plans import jobs_of, plan_of
from core.studies.comparing.pointing import pointing_strategies
from core.studies.comparing.records import ChildRun, TaskResult
from tests.unit.comparing.made import comparison


def test_tasks_that_can_point_have_the_strategys_head() -> None:
    config = comparison(
        strategies=[{"name": "a"}, {"name": "b", "head": "pointer", "task": {"pointer": {"memory": False}}}],
        tasks=[{"name": "words", "task": {"kind": "tagging"}, "data": {"source": "tweets"}}, {"name": "texts"}],
    )
    plans: list[Any] = [plan_of(config, job) for job in jobs_of(config)[:4]]
    assert [plan.task.head for plan in plans] == ["linear", "linear", "pointer", "linear"]
    assert not plans[2].task.pointer.memory
    assert plans[0].task.pointer.memory


def test_strategies_that_point_are_those_with_tasks_that_can() -> None:
    config = comparison(
        strategies=[{"name": "a"}, {"name": "b", "head": "pointer"}],
        tasks=[
            {"name": "words", "task": {"kind": "tagging"}, "data": {"source": "tweets"}}, {"name": "texts"},
            {"name": "trees", "task": {"kind": "dependency"}, "data": {"source": "trees"}},
        ],
    )  # fmt: skip
    assert pointing_strategies(config) == {"a": ["trees"], "b": ["words", "trees"]}
    assert pointing_strategies(comparison()) == {}


def test_disagreements_on_heads_keep_words_and_relations() -> None:
    config = comparison(
        tasks=[{"name": "trees", "task": {"kind": "dependency"}, "data": {"source": "trees"}}], seeds=1
    )  # fmt: skip

    def result(*hits: int) -> TaskResult:
        counts = [[hit, 2, 2] for hit in hits]
        return TaskResult(
            "las", sum(hits) / (2 * len(hits)), documents={"score": "f1", "counts": counts, "n": len(hits)}
        )

    children = [
        ChildRun("0", "slow", 0, {"trees": result(2, 1)}), ChildRun("1", "fast", 0, {"trees": result(2, 2)}),
    ]  # fmt: skip
    rows: Any = [
        {"row": 1, "source": "x", "tokens": ["the", "dog"], "heads": [2, 0], "relations": [0, 1]},
        {"row": 2, "source": "x", "tokens": ["a", "cat"], "heads": [2, 0], "relations": [0, -1]},
    ]
    said = {
        "slow": {"heads": [0, 1], "relations": ["det", "root"]},
        "fast": {"heads": [2, 0], "relations": ["det", "?"]},
    }
    (one,) = disagreements(
        config, children, {"trees": (rows, ["det", "root"])}, lambda name, task, texts: [said[name] for _ in texts]
    )
    assert (one["words"], one["text"], one["row"]) == (["a", "cat"], "a cat", 2)
    assert one["gold"] == {"heads": [2, 0], "relations": ["det", "?"], "tree": True}
    assert answer_words(one["gold"], one["words"]) == "a → cat (det), cat → root (?)"
    told = {name: answer_words(answer, one["words"], one["gold"]) for name, answer in one["answers"].items()}
    assert told == {"slow": "2 wrong: a → root (det), cat → a (root)", "fast": "all right"}
