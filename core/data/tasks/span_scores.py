"""Scores of spans that may nest and overlap: exact first word, last word and type. Pure numpy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.data.span_rows import Span, overlaps
from core.data.tasks import scores
from core.data.tasks.base import Rows
from core.data.tasks.pieces import batches

__all__ = [
    "LENGTHS", "NESTING", "OF_TAGS", "SPAN_METRICS", "Span", "SpanCounts", "gold_spans", "known_spans", "length_of",
    "span_rates", "spans_in",
]  # fmt: skip

#: Scores where the rows have spans, the one that picks the checkpoint first.
SPAN_METRICS = ("span_f1", "span_precision", "span_recall")
#: Scores of tags, which say nothing true of spans that overlap.
OF_TAGS = ("strict_f1", "precision", "recall", "token_accuracy", "span_f1")
#: Words of a span, by group.
LENGTHS = ("1", "2", "3", "4–6", "7 or more")
#: Whether a span shares a word with another one of the same sentence: of the gold for gold, of the answers for answers.
NESTING = ("overlaps another", "stands alone")


def spans_in(batch: Mapping[str, Any], index: int, labels: Sequence[str]) -> list[Span]:
    """Return the gold spans of a row of a batch in standard columns, from the left."""
    cells = (batch[name][index] for name in ("firsts", "lasts", "kinds"))
    return [(first, last, labels[kind][2:]) for first, last, kind in zip(*cells, strict=True) if kind >= 0]


def gold_spans(rows: Rows, labels: Sequence[str]) -> list[set[Span]]:
    """Return the gold spans of each row."""
    return [set(spans_in(batch, at, labels)) for batch in batches(rows) for at in range(len(batch["kinds"]))]


def length_of(span: Span) -> int:
    """Return the group of :data:`LENGTHS` that a span belongs to."""
    words = span[1] - span[0] + 1
    return words - 1 if words <= 3 else 3 if words <= 6 else 4


def span_rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return micro precision, recall and F1 of counts that were summed.

    Parameters
    ----------
    sums
        Spans that are right, answered and gold, shape (resamples, 3).
    """
    precision, recall, f1 = scores.f1_parts(*sums.T)
    return {"span_f1": f1, "span_precision": precision, "span_recall": recall}


class SpanCounts:
    """What answers and gold have in common, row by row.

    Parameters
    ----------
    gold, given
        Spans of each row.
    types
        Labels of spans.

    Notes
    -----
    A group has four counts: answers that are right, answers, gold that is found, gold. Type and length are the same
    for an answer and the gold that it equals, so that the first and third are one number. Whether a span overlaps
    another one is asked of the answers among themselves, and of the gold among itself: precision is then the share of
    right ones among overlapping answers, recall the share of found ones among overlapping gold.
    """

    def __init__(self, gold: Sequence[set[Span]], given: Sequence[set[Span]], types: Sequence[str]):
        self.types = list(types)
        self.groups = [
            *(("type", name) for name in self.types), *(("nesting", name) for name in NESTING),
            *(("words", name) for name in LENGTHS),
        ]  # fmt: skip
        pairs = list(zip(gold, given, strict=True))
        #: Right answers, answers and gold of each row, shape (rows, 3).
        self.documents = np.array([(len(one & two), len(two), len(one)) for one, two in pairs], dtype=np.int64)
        self._pairs = pairs

    def _counts(self) -> np.ndarray:
        """Return the counts of each row and group, shape (rows, groups, 4)."""
        place = {name: at for at, name in enumerate(self.types)}
        counts = np.zeros((len(self._pairs), len(self.groups), 4), dtype=np.int64)
        behind = len(self.types)
        for row, (wanted, answered) in enumerate(self._pairs):
            for column, ours, theirs in ((0, answered, wanted), (2, wanted, answered)):
                listed = sorted(ours)
                for span, shares in zip(listed, overlaps(listed)[0], strict=True):
                    at = [place[span[2]], behind + int(not shares), behind + len(NESTING) + length_of(span)]
                    counts[row, at, column + 1] += 1
                    if span in theirs:
                        counts[row, at, column] += 1
        return counts

    @property
    def metrics(self) -> dict[str, float]:
        """Scores of all rows."""
        return {name: float(values[0]) for name, values in span_rates(self.documents.sum(axis=0)[None]).items()}

    def tables(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, list[float]]]:
        """Return scores by type, scores by nesting and length, and the intervals of all, resampled over rows."""
        counts, width = self._counts(), len(self.groups)

        def statistic(sums: np.ndarray) -> dict[str, np.ndarray]:
            parts = sums.reshape(len(sums), width, 4)
            whole = parts[:, : len(self.types)].sum(axis=1)[:, [0, 1, 3]]
            return {**span_rates(whole), "each": _f1(parts)[2]}

        found = np.unique(counts.reshape(len(counts), -1), axis=0, return_counts=True)
        drawn = scores.bootstrap_counts(*found, statistic)
        each = drawn.pop("each")
        precision, recall, f1 = _f1(counts.sum(axis=0)[None])
        support = counts[:, :, 3].sum(axis=0)
        lines = [
            {
                "by": by, "value": value, "precision": float(precision[0, at]), "recall": float(recall[0, at]),
                "f1": float(f1[0, at]), "support": int(support[at]), "interval": scores.interval(each[:, at]),
            }
            for at, (by, value) in enumerate(self.groups)
        ]  # fmt: skip
        types = [{"type": one["value"], **{key: one[key] for key in one if key not in ("by", "value")}}
                 for one in lines[: len(self.types)]]  # fmt: skip
        return types, lines[len(self.types) :], {name: scores.interval(values) for name, values in drawn.items()}


def _f1(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision, recall and their harmonic mean of four counts, shape (…, 4)."""
    right, given, found, gold = (parts[..., at] for at in range(4))
    precision = np.divide(right, given, out=np.zeros(right.shape), where=given > 0)
    recall = np.divide(found, gold, out=np.zeros(right.shape), where=gold > 0)
    both = precision + recall
    return precision, recall, np.divide(2 * precision * recall, both, out=np.zeros(right.shape), where=both > 0)


def known_spans(train_rows: Rows, rows: Rows, labels: Sequence[str]) -> dict[str, float]:
    """Score looking up what was seen in training: words that were an entity there have their most frequent types.

    Each run of words that was ever an entity in training is answered with the set of types that it had most often
    there, no type where it mostly had none; of equally frequent sets the larger one, then the one first by name.

    Parameters
    ----------
    train_rows, rows
        In standard columns, with spans.
    labels
        IOB2 tags in the order of their indices.
    """
    seen: dict[tuple[str, ...], Counter[tuple[str, ...]]] = {}
    sentences: list[tuple[list[str], list[Span]]] = [
        (list(batch["tokens"][at]), spans_in(batch, at, labels))
        for batch in batches(train_rows) for at in range(len(batch["kinds"]))
    ]  # fmt: skip
    for tokens, spans in sentences:
        for first, last, _ in spans:
            seen.setdefault(tuple(tokens[first : last + 1]), Counter())
    longest = _lengths(seen)
    for tokens, spans in sentences:
        kinds: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
        for first, last, kind in spans:
            kinds[first, last].append(kind)
        for first, last in _known(tokens, longest):
            counted = seen.get(tuple(tokens[first : last + 1]))
            if counted is not None:
                counted[tuple(sorted(kinds.get((first, last), ())))] += 1
    usual = {run: min(counted, key=lambda one: (-counted[one], -len(one), one)) for run, counted in seen.items()}
    given = [
        {
            (first, last, kind)
            for first, last in _known(tokens, longest)
            for kind in usual.get(tuple(tokens[first : last + 1]), ())
        }
        for batch in batches(rows) for tokens in batch["tokens"]
    ]  # fmt: skip
    return SpanCounts(gold_spans(rows, labels), given, sorted({label[2:] for label in labels if label != "O"})).metrics


def _lengths(runs: Mapping[tuple[str, ...], Any]) -> dict[str, list[int]]:
    """Return how many words the runs have that begin with a word."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for run in runs:
        found[run[0]].add(len(run))
    return {word: sorted(lengths) for word, lengths in found.items()}


def _known(tokens: Sequence[str], lengths: Mapping[str, Sequence[int]]) -> list[tuple[int, int]]:
    """Return first and last word of each run that may be known by its first word and its length."""
    return [
        (first, first + length - 1)
        for first, word in enumerate(tokens)
        for length in lengths.get(word, ()) if first + length <= len(tokens)
    ]  # fmt: skip
