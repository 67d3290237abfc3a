"""What the check says about spans: sentences left out, spans given twice, how many overlap, which head can learn it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.config import TaskConfig
from core.data.report import DataReport
from core.data.span_rows import MOST_SPANS, expected

if TYPE_CHECKING:
    from core.data.reading import Reading

__all__ = ["REASONS", "tell_spans"]

#: Why sentences with spans are left out.
REASONS = {
    "no_spans": "an empty cell of spans",
    "bad_spans": "a cell that is no list of spans",
    "bad_span": "a span that cannot be read",
    "no_span_label": "a span without a label",
    "span_order": "a span that ends before it begins",
    "span_outside": "a span outside the sentence",
    "cut_span": "a span that cuts a word",
    "many_spans": f"more than {MOST_SPANS:,} spans",
}


def tell_spans(
    report: DataReport, reading: Reading, task: TaskConfig, named: Callable[[list[dict[str, Any]], int], str]
) -> None:
    """Add findings about the spans of a source.

    Parameters
    ----------
    report
        Where to add: an error where spans overlap, the head cannot learn that, and the plan does not say what to do.
    reading
        What happened while the source was read.
    task
        As in the plan.
    named
        Puts rows into words.
    """
    if task.gold != "spans":
        return
    if any(reason in reading.dropped for reason in REASONS):
        report.add(
            "note", "span_shape", "Rows with spans that cannot be used were left out.", reading.source,
            f"A cell of spans is {expected(str(reading.details.get('offsets', 'words')))}.",
        )  # fmt: skip
    repeated = reading.answers.get("repeated_span")
    if repeated is not None:
        count = repeated["count"]
        report.add(
            "warning", "repeated_spans", f"{count:,} spans stand twice in their row with one label; each counts once.",
            f"{reading.source}, {named(repeated['rows'], count)}", "",
        )  # fmt: skip
    _tell_overlaps(report, reading, task, named)


def _tell_overlaps(
    report: DataReport, reading: Reading, task: TaskConfig, named: Callable[[list[dict[str, Any]], int], str]
) -> None:
    total, inside, share = (reading.spans.get(name, 0) for name in ("all", "inside", "share"))
    if not total:
        return
    rows = reading.overlapping["count"]
    where = f"{reading.source}, {named(reading.overlapping['rows'], rows)}" if rows else reading.source
    if not rows:
        told = "No two spans share a word: every head can learn them."
    else:
        told = f"{inside / total:.0%} of the entities lie inside another one, {share / total:.0%} share words with one."
    if not rows or task.stretches:
        report.add("note", "nested_spans", told, where, "")
    elif task.nested == "outermost":
        report.add(
            "warning", "nested_spans", told, where,
            "This head learns the longest of those that overlap and never finds the others, which count as missed; "
            "task.head pointer with task.pointer.kind global learns all.",
        )  # fmt: skip
    else:
        head = "a pointer of words (task.pointer.kind words)" if task.head == "pointer" else "linear"
        report.add(
            "error", "nested_spans",
            f"{rows:,} rows have spans that share words, and a head that is {head} gives a word one entity at most.",
            where,
            "Use task.head pointer with task.pointer.kind global, which finds all of them; or set task.nested to "
            "outermost: the longest are learnt, and all count in the scores.",
        )  # fmt: skip
