"""Ready joint plans on bundled rows: the pair of tasks of the article that this comes from, and what is made of it.

``python -m core.config.joint_demo`` writes them to ``docs/plans``; a test compares.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from core.config.joint import JointPlan

__all__ = ["ReadyJoint", "example", "joint_plans", "names_and_questions", "ready_joint"]

#: Rows of each task, so that a plan ends within minutes.
_ROWS = {"train_rows": 1000, "gate_rows": 200, "test_rows": 400, "drop_duplicates": True}
_QUESTIONS = {
    "name": "questions", "task": {"kind": "question_answering", "no_answer": True},
    "data": {"source": "tweet-questions", **_ROWS},
    "max_length": 160, "head_lr": 1e-3,
}  # fmt: skip
_NAMES = {"name": "names", "task": {"kind": "tagging"}, "data": {"source": "tweets", **_ROWS}}
_REVIEWS = {"name": "reviews", "task": {"kind": "classification"}, "data": {"source": "reviews", **_ROWS}}
_PAIR = (_NAMES, _QUESTIONS)


@dataclass(frozen=True)
class ReadyJoint:
    """A joint plan to begin with.

    Parameters
    ----------
    name
        Name of its file, and in addresses.
    title
        What it is called, for people; also the name of the run.
    about
        What it is for.
    tasks
        Its tasks, as plain data.
    mixing
        What differs from the usual mixing.
    """

    name: str
    title: str
    about: str
    tasks: tuple[dict[str, Any], ...] = _PAIR
    mixing: dict[str, Any] = field(default_factory=dict)

    def plan(self) -> JointPlan:
        """Return the plan."""
        return JointPlan.model_validate(
            {
                "name": self.title.lower(), "tags": ["demo"], "tasks": list(self.tasks), "mixing": self.mixing,
                "training": {"lr": 3e-4, "epochs": 2.0, "eval_every": 25},
            }
        )  # fmt: skip


def _pointing(task: dict[str, Any]) -> dict[str, Any]:
    # Its rate is that of heads in a comparison of strategies.
    return {**task, "task": {**task["task"], "head": "pointer"}, "head_lr": 1e-3}


_READY: tuple[ReadyJoint, ...] = (
    ReadyJoint(
        "names-and-questions", "Names and questions",
        "Names in tweets and questions about the same tweets, with equal weights: the one to begin with, and what the "
        "others are compared with.",
    ),
    ReadyJoint(
        "names-and-questions-weights", "Names and questions, learnt weights",
        "Where one loss is much larger or noisier than the other: the weights of both are learnt along with the model "
        "(Kendall et al. 2018).",
        mixing={"weights": "uncertainty"},
    ),
    ReadyJoint(
        "names-and-questions-pcgrad", "Names and questions, without conflicts",
        "Where the tasks pull the encoder apart: each step takes a batch of both, and what goes against the other task "
        "is taken out of each gradient (PCGrad, Yu et al. 2020).",
        mixing={"pcgrad": True},
    ),
    ReadyJoint(
        "names-and-questions-pointers", "Names and questions, heads that point",
        "To see where answers come from: both heads point to words, and the run's page shows to which, sentence by "
        "sentence.",
        tuple(_pointing(one) for one in _PAIR),
    ),
    ReadyJoint(
        "three-tasks", "Labels, names and questions",
        "Three kinds of tasks on one encoder: whether a review is good, names in tweets, and questions about tweets.",
        (_REVIEWS, *_PAIR),
    ),
)  # fmt: skip


def joint_plans() -> list[ReadyJoint]:
    """Return all ready joint plans, in the order in which they are offered."""
    return list(_READY)


def ready_joint(name: str) -> ReadyJoint | None:
    """Return one, or None if there is none of this name."""
    return next((one for one in _READY if one.name == name), None)


def names_and_questions() -> JointPlan:
    """Return names in tweets and questions about them, learnt together: a few minutes on two cores."""
    return _READY[0].plan()


def example(one: ReadyJoint) -> str:
    """Return a ready plan as a short YAML file that says what it is for."""
    fields = {"kind": "joint", **one.plan().model_dump(mode="json", exclude_defaults=True)}
    told = textwrap.wrap(f"{one.title}. {one.about}", 116)
    body = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120)
    return "".join(f"# {line}\n" for line in told) + body


def main() -> None:
    """Write the plans to ``docs/plans``."""
    for one in _READY:
        file = Path(__file__).parents[2] / "docs" / "plans" / f"{one.name}.yaml"
        file.write_text(example(one), encoding="utf-8")


if __name__ == "__main__":
    main()
