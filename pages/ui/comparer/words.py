"""Words of the comparer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pages.ui.format import plain
from pages.ui.theme import BadgeColour

__all__ = ["BUDGETS", "STRATEGIES", "TASKS", "badge", "budget_words"]

#: Ready strategies, as :func:`core.config.comparison_file.presets` names them.
STRATEGIES: dict[str, str] = {
    "single": "A model for each task",
    "joint": "One encoder for all tasks",
    "pointer": "A model for each task, heads that point",
    "joint-pointer": "One encoder, heads that point",
    "single-frozen": "Heads only, encoder frozen",
    "joint-frozen": "Heads only, learnt together",
    "pointer-frozen": "Heads that point only, encoder frozen",
    "joint-pointer-frozen": "Heads that point only, learnt together",
}
TASKS: dict[str, str] = {
    "classification": "Labels of texts", "tagging": "Entities", "question_answering": "Answers in a text",
    "dependency": "Heads of words",
}  # fmt: skip
BUDGETS: dict[str, str] = {"steps": "Optimiser steps", "examples": "Examples of each task"}
_LOOKS: dict[str, tuple[str, BadgeColour]] = {
    "a": (":material/check_circle:", "green"),
    "b": (":material/check_circle:", "green"),
    "equivalent": (":material/drag_handle:", "blue"),
    "not distinguishable": (":material/help:", "gray"),
    "no verdict": (":material/hourglass_empty:", "gray"),
}


def badge(verdict: str) -> str:
    """Return a verdict as a badge in markdown."""
    icon, colour = _LOOKS.get(verdict, _LOOKS["no verdict"])
    return f":{colour}-badge[{icon} {'better' if verdict in ('a', 'b') else plain(verdict, 40)}]"


def budget_words(config: Mapping[str, Any]) -> str:
    """Return what every strategy may spend."""
    budget = config["budget"]
    if budget["rule"] == "steps":
        return f"Every strategy makes the same number of optimiser steps ({budget['steps']:,} a task)."
    return f"Every strategy sees the same number of examples of each task ({budget['examples']:,})."
