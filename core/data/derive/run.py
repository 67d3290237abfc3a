"""A finetuning set from its config: rows are read, a part is taken, the steps are done, and all of it is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.config.derive import DeriveConfig, Form
from core.data.derive.rows import Item, Loss, read_items
from core.data.derive.steps import Outcome, apply_step, take_part
from core.data.reading import NAMED
from core.errors import DataError

__all__ = ["Derived", "derive", "ranges"]


@dataclass
class Derived:
    """A finetuning set.

    Parameters
    ----------
    config
        What was asked for.
    form, items
        What the rows are, and the rows.
    left, left_form
        Rows of the source outside of the chosen part, as they were read; empty without a part.
    source
        What was read; see :func:`core.data.derive.rows.read_items`.
    steps
        One entry for reading, for the part and for each step: ``step``, ``settings``, ``form``, ``before``, ``after``,
        ``dropped`` (reason → ``count``, ``rows``: all their numbers like ``1-3 7``, ``examples``: 20 at most, with line
        and detail)
        and ``notes``.
    """

    config: DeriveConfig
    form: Form
    items: list[Item]
    left: list[Item] = field(default_factory=list)
    left_form: Form = "text"
    source: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)


def derive(config: DeriveConfig) -> Derived:
    """Make a finetuning set; the same source and config give the same rows.

    Raises
    ------
    DataError
        If the source cannot be read, a step does not suit the rows, or no row is left after one; the step is named.
    """
    items, losses, about, form = read_items(config)
    done = Derived(config, form, items, source=about, left_form=form)
    done.steps.append(_entry("read", {}, about["rows"], Outcome(items, form, losses)))
    if config.part is not None:
        outcome = take_part(config.part, items, form, config.seed)
        done.steps.append(_entry("part", config.part.model_dump(exclude_none=True), len(items), outcome))
        taken = {id(item) for item in outcome.items}
        done.left = [item for item in items if id(item) not in taken]
        _refuse_nothing(outcome.items, "the part", done.steps)
        items = outcome.items
    for number, step in enumerate(config.steps, 1):
        try:
            outcome = apply_step(step, items, form, config.seed)
        except DataError as error:
            error.where = error.where or f"steps.{number - 1}.{step.name}, {about['name']}"
            raise
        done.steps.append(_entry(step.name, step.settings.model_dump(exclude_none=True), len(items), outcome))
        _refuse_nothing(outcome.items, f"step {number} ({step.name})", done.steps)
        items, form = outcome.items, outcome.form
    done.items, done.form = items, form
    return done


def _refuse_nothing(items: Sequence[Item], what: str, steps: Sequence[dict[str, Any]]) -> None:
    if items:
        return
    last = steps[-1]
    why = ", ".join(f"{reason}: {entry['count']:,}" for reason, entry in last["dropped"].items())
    raise DataError(
        f"No row is left after {what}: of {last['before']:,} rows none stays ({why}).",
        where=f"{last['step']} with {last['settings'] or 'no settings'}", expected="at least one row",
        advice="Change the step, or take another part of the source.",
    )  # fmt: skip


def _entry(name: str, settings: dict[str, Any], before: int, outcome: Outcome) -> dict[str, Any]:
    return {
        "step": name, "settings": settings, "form": outcome.form, "before": before, "after": len(outcome.items),
        "dropped": _told(outcome.losses), "notes": list(outcome.notes),
    }  # fmt: skip


def _told(losses: Sequence[Loss]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    numbers: dict[str, list[int]] = {}
    for loss in losses:
        entry = found.setdefault(loss.reason, {"count": 0, "rows": "", "examples": []})
        entry["count"] += 1
        numbers.setdefault(loss.reason, []).append(loss.number)
        if loss.detail and len(entry["examples"]) < NAMED:
            entry["examples"].append({"row": loss.number, "line": loss.line, "detail": loss.detail})
    for reason, rows in numbers.items():
        found[reason]["rows"] = ranges(rows)
    return found


def ranges(numbers: Sequence[int]) -> str:
    """Return numbers in a short form: ``1-3 7 9-10``; each once, ascending."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(str(low) if low == high else f"{low}-{high}" for low, high in found)
