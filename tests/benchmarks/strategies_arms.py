"""What the experiment on strategies compares: configs of comparisons like those that a person writes."""

from __future__ import annotations

from typing import Any

from core.config.comparison import Comparison, Strategy
from core.config.comparison_file import preset

__all__ = ["ABLATED", "RULES", "SEEDS", "WAYS", "comparison", "judged"]

SEEDS = 5
#: Both rules of equal budgets: optimiser steps, or examples of each task.
RULES = ("steps", "examples")
#: Sharing × head.
WAYS = ("single", "joint", "pointer")
#: The pointer head without one of its parts, each task by itself, under the rule of equal steps.
ABLATED = {"pointer, no memory": {"memory": False}, "pointer, no distances": {"relative": False}}
#: More rows than usual are tested on: verdicts need documents.
_SHARES = {"gate_share": 0.1, "test_share": 0.25, "drop_duplicates": True}


def comparison(rule: str) -> Comparison:
    """Return all that is trained under a rule.

    Parameters
    ----------
    rule
        One of :data:`RULES`.
    """
    strategies = [preset(name) for name in WAYS]
    if rule == "steps":
        strategies += [
            Strategy.model_validate({"name": name, "head": "pointer", "task": {"pointer": changes}})
            for name, changes in ABLATED.items()
        ]
    tasks: list[dict[str, Any]] = [
        {"name": "names", "task": {"kind": "tagging"}, "data": {"source": "tweets", "train_rows": 1000, **_SHARES}},
        {"name": "questions", "task": {"kind": "question_answering"},
         "data": {"source": "tweet-questions", "train_rows": 1000, **_SHARES}},
    ]  # fmt: skip
    return Comparison.model_validate(
        {
            "name": f"names and questions, equal {rule}", "strategies": [one.model_dump() for one in strategies],
            "tasks": tasks, "seeds": SEEDS, "margin": 0.01,
            "budget": {"rule": rule, "steps": 400, "examples": 6400},
            "stage": {
                "lr": 3e-4, "head_lr": 1e-3, "batch_size": 16, "eval_every": 100, "schedule": {"warmup": 0.1},
                "guards": {"explode_factor": None},
            },
            # One precision for all: a timing must not decide which wins. bf16 takes a little over half of fp32's time.
            "runtime": {"keep": "metrics", "threads": 1, "precision": "bf16"},
        }
    )  # fmt: skip


def judged(rule: str, part: str) -> Comparison:
    """Return what is judged as one family of comparisons.

    Parameters
    ----------
    rule
        One of :data:`RULES`.
    part
        ``ways`` (sharing × head), or ``pointer`` (the pointer head and what it is without one of its parts).
    """
    whole = comparison(rule)
    names = WAYS if part == "ways" else ("pointer", *ABLATED)
    return whole.model_copy(update={"strategies": [one for one in whole.strategies if one.name in names]})
