"""Evaluation of taggers whose gold are spans: of any head, so that all of them can be compared on one file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.tasks import scores
from core.data.tasks.base import Encoded, Evaluation, Rows
from core.data.tasks.pieces import batches
from core.data.tasks.pointer_spans import SpanAnswers
from core.data.tasks.span_scores import Span, SpanCounts, gold_spans
from core.data.tasks.tagging_answers import Answers
from core.data.tasks.words import spans

if TYPE_CHECKING:
    from core.data.tasks.tagging import Tagging

__all__ = ["evaluate_spans", "given_spans"]

_WORST = 50
_SHOWN_WORDS = 300


def given_spans(answers: Answers, labels: Sequence[str]) -> list[set[Span]]:
    """Return the spans of each row that a head answers: those above zero, or those that its tags spell strictly."""
    if isinstance(answers, SpanAnswers):
        return [{(one.first, one.last, one.kind) for one in row} for row in answers.found]
    rows = range(len(answers.bounds) - 1)
    tags = [[labels[index] for index in answers.tags[answers.part(row)]] for row in rows]
    return [{(first, last, kind) for kind, first, last in spans(row)} for row in tags]


def evaluate_spans(
    task: Tagging, logits: Sequence[Any], encoded: Encoded, rows: Rows, *, details: bool = False
) -> Evaluation:
    """Score answers against gold spans.

    Parameters
    ----------
    task
        A tagger with ``gold`` spans.
    logits, encoded, rows
        As in :meth:`core.data.tasks.base.Task.evaluate`.
    details
        Whether to add tables: ``entities`` by type, ``stretches`` by nesting and by length
        ([{"by", "value", "precision", "recall", "f1", "support", "interval"}]), ``worst`` with gold and answers in
        words.

    Returns
    -------
    Evaluation
        ``span_f1``, ``span_precision`` and ``span_recall``: micro, exact first word, last word and type. The loss is
        the head's own; a head whose entities cannot overlap has that of the outermost spans.
    """
    tags = [np.asarray(one, dtype=np.int64) for batch in batches(rows) for one in batch["tags"]]
    answers = task._read(logits, encoded, [len(one) for one in tags])
    gold, given = gold_spans(rows, task.labels), given_spans(answers, task.labels)
    losses, counted = answers.losses(np.concatenate(tags))
    found = SpanCounts(gold, given, task.types)
    further, intervals = task._more(answers, tags, details=details)
    metrics = {**found.metrics, **further, "loss": float(losses.sum() / max(1, counted.sum()))}
    if not details:
        return Evaluation(metrics)
    types, groups, spread = found.tables()
    bounds = answers.bounds
    summed, weighed = (
        np.add.reduceat(np.append(values.astype(np.float64), 0.0), bounds[:-1]) * (np.diff(bounds) > 0)
        for values in (losses, counted)
    )
    if (weighed > 0).any():
        drawn = scores.bootstrap_mean(summed[weighed > 0], weighed[weighed > 0])
        spread["loss"] = scores.interval(drawn)
    told: dict[str, Any] = {
        "n": len(gold), "words": int(np.diff(bounds).sum()), "intervals": {**spread, **intervals}, "entities": types,
        "stretches": groups, "documents": {"score": "f1", "counts": found.documents.tolist()},
        "worst": _worst(task, gold, given, summed / np.maximum(weighed, 1), answers, rows),
        "empty_words": encoded.empty_words,
    }  # fmt: skip
    return Evaluation(metrics, told)


def _worst(
    task: Tagging, gold: list[set[Span]], given: list[set[Span]], means: np.ndarray, answers: Answers, rows: Rows
) -> list[dict[str, Any]]:
    found = []
    for index in (int(place) for place in np.argsort(-means, kind="stable")[:_WORST]):
        row = rows[index]
        tokens = list(row["tokens"])
        shares = answers.shares[answers.part(index)]
        found.append(
            {
                "row": row.get("row", index + 1), "source": row.get("source"),
                "text": " ".join(tokens[:_SHOWN_WORDS]), "words": tokens[:_SHOWN_WORDS],
                "gold": _named(gold[index], tokens), "predicted": _named(given[index], tokens),
                "loss": float(means[index]), "confidence": float(shares.min()) if len(shares) else 1.0,
                **task._shown(answers, index),
            }
        )  # fmt: skip
    return found


def _named(spans: set[Span], tokens: list[str]) -> str:
    return "; ".join(f"{kind} {' '.join(tokens[first : last + 1])}" for first, last, kind in sorted(spans)) or "none"
