"""What a model card says of a model that gives words their heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.data.tasks.base import Task

__all__ = ["HEADS_BASELINE", "arcs_table", "heads_note"]

#: What the scores without a model are of.
HEADS_BASELINE = "Hanging every word on its neighbour (without trees: on the word at the most frequent distance)"


def heads_note(task: Task) -> str:
    """Return what the heads are, and the relations."""
    if task.config.tree:
        text = "Heads are words counted from 1, 0 for the root; they form the tree with the highest score and one root."
    else:
        text = "Heads are words counted from 1, 0 for none; each word points where it likes."
    if not task.config.relations:
        return text
    names = ", ".join(f"`{' '.join(label.split()).replace('`', chr(39))}`" for label in task.labels[:100])
    return f"{text}\n\nRelations: {names}{' …' if len(task.labels) > 100 else ''}"


def arcs_table(
    entries: Sequence[Mapping[str, Any]], number: Callable[[Any], str]
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return heads and rows of the table by relation, distance and length."""
    rows = []
    for entry in entries[:100]:
        low, high = entry.get("interval") or (None, None)
        rows.append(
            (
                entry.get("by"), entry.get("value"), number(entry.get("heads")), f"{number(low)} – {number(high)}",
                number(entry.get("labelled")), entry.get("support"),
            )
        )  # fmt: skip
    return ("By", "Value", "Right head", "95 % interval", "And relation", "Words"), rows
