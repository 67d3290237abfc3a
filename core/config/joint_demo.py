"""The ready joint plan: the pair of tasks of the article that this comes from, on bundled rows.

``python -m core.config.joint_demo`` writes it to ``docs/plans``.
"""

from __future__ import annotations

from pathlib import Path

from core.config.files import plan_to_yaml
from core.config.joint import JointPlan

__all__ = ["names_and_questions"]


def names_and_questions() -> JointPlan:
    """Return names in tweets and questions about them, learnt together: a few minutes on two cores."""
    rows = {"train_rows": 1000, "gate_rows": 200, "test_rows": 400, "drop_duplicates": True}
    return JointPlan.model_validate(
        {
            "name": "names and questions",
            "tags": ["demo"],
            "tasks": [
                {"name": "names", "task": {"kind": "tagging"}, "data": {"source": "tweets", **rows}},
                {
                    "name": "questions", "task": {"kind": "question_answering"},
                    "data": {"source": "tweet-questions", **rows}, "max_length": 160, "head_lr": 1e-3,
                },
            ],
            "training": {"lr": 3e-4, "epochs": 2.0, "eval_every": 25},
        }
    )  # fmt: skip


def main() -> None:
    """Write the plan to ``docs/plans``."""
    file = Path(__file__).parents[2] / "docs" / "plans" / "names-and-questions.yaml"
    file.write_text(plan_to_yaml(names_and_questions()), encoding="utf-8")


if __name__ == "__main__":
    main()
