"""What the check says about heads: sentences left out, what CoNLL-U has beside words, heads that point nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.config import TaskConfig
from core.data.report import DataReport
from core.data.tree_rows import MOST_WORDS, POINTS

if TYPE_CHECKING:
    from core.data.reading import Reading

__all__ = ["REASONS", "tell_pointers", "tell_skipped", "tell_trees"]

#: Why sentences with heads are left out.
REASONS = {
    "bad_head": "a head that is no number, or no word of the sentence",
    "no_tree": "no heads at all",
    "no_root": "no word is the root",
    "two_roots": "more than one root",
    "circle": "heads that go in a circle",
    "no_relation": "a word without a relation",
    "numbering": "words that are not numbered 1, 2, 3 …",
    "many_words": f"more than {MOST_WORDS:,} words",
}
_NO_TREES = ("no_root", "two_roots", "circle")
_SKIPPED = {
    "ranges": "{count:,} ranges of words (1-2) were passed over: what has heads are the words in them.",
    "empty_nodes": "{count:,} empty nodes (1.1) were passed over: they stand for words that are not in the text.",
}


def tell_skipped(report: DataReport, reading: Reading, named: Callable[[list[dict[str, Any]], int], str]) -> None:
    """Add how many ranges and empty nodes were passed over, and where the first of them stand.

    Parameters
    ----------
    report
        Where to add.
    reading
        What happened while a source was read.
    named
        Puts rows into words.
    """
    for what, entry in reading.skipped.items():
        where = f"{reading.source}, {named(entry['rows'], len(entry['rows']))}"
        report.add("note", what, _SKIPPED[what].format(count=entry["count"]), where, "")


def tell_trees(report: DataReport, reading: Reading, task: TaskConfig) -> None:
    """Add what to do where heads are no trees."""
    lost = sum(reading.dropped.get(reason, {}).get("count", 0) for reason in _NO_TREES)
    if lost and task.tree:
        report.add(
            "note", "no_trees", f"{lost:,} sentences have heads that are no tree with one root.", reading.source,
            "Mend them at the source; or, if heads are not meant to be trees, switch task.tree off.",
        )  # fmt: skip


def tell_pointers(report: DataReport) -> None:
    """Add findings about heads without relations: nothing to point to."""
    by_label = {entry["label"]: entry["count"] for entry in report.labels}
    if not by_label.get(POINTS[1]):
        report.add(
            "error", "nothing_points", "No word points to another word: every head is 0.", "data.columns.heads",
            "Check which column holds the heads; words are counted from 1.",
        )  # fmt: skip
    elif not by_label.get(POINTS[0]):
        report.add(
            "note", "all_point", "Every word points to a word: pointing to none cannot be learnt or scored.",
            "data.columns.heads", "",
        )  # fmt: skip
