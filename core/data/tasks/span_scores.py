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
#: Whether a span shares a word with another one of the same sentence, see :class:`SpanCounts`.
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
    A group has three counts: right answers, answers, gold. Type and length are the same for an answer and the gold
    that it equals. Whether a span overlaps another one is asked of the gold among itself; a right answer is in the
    group of its gold, and a wrong one overlaps if it shares a word with another answer.
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
        """Return the counts of each row and group, shape (rows, groups, 3)."""
        place = {name: at for at, name in enumerate(self.types)}
        counts = np.zeros((len(self._pairs), len(self.groups), 3), dtype=np.int64)
        behind = len(self.types)
        for row, (wanted, answered) in enumerate(self._pairs):
            told, said = (dict(zip(one, overlaps(one)[0], strict=True)) for one in (sorted(wanted), sorted(answered)))
            for span in wanted | answered:
                shares = told.get(span, said.get(span, False))
                at = [place[span[2]], behind + int(not shares), behind + len(NESTING) + length_of(span)]
                counts[row, at] += [span in wanted and span in answered, span in answered, span in wanted]
        return counts

    @property
    def metrics(self) -> dict[str, float]:
        """Scores of all rows."""
        return {name: float(values[0]) for name, values in span_rates(self.documents.sum(axis=0)[None]).items()}

    def tables(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, list[float]]]:
        """Return scores by type, scores by nesting and length, and the intervals of all, resampled over rows.

        Groups of nesting and length in which there is neither gold nor an answer have no scores, and are left out.
        """
        counts, width = self._counts(), len(self.groups)

        def statistic(sums: np.ndarray) -> dict[str, np.ndarray]:
            parts = sums.reshape(len(sums), width, 3)
            whole = parts[:, : len(self.types)].sum(axis=1)
            return {**span_rates(whole), "each": scores.f1_parts(*np.moveaxis(parts, 2, 0))[2]}

        found = np.unique(counts.reshape(len(counts), -1), axis=0, return_counts=True)
        drawn = scores.bootstrap_counts(*found, statistic)
        each = drawn.pop("each")
        right, given, support = counts.sum(axis=0).T
        precision, recall, f1 = scores.f1_parts(right, given, support)
        lines = [
            {
                "by": by, "value": value, "precision": float(precision[at]), "recall": float(recall[at]),
                "f1": float(f1[at]), "support": int(support[at]), "interval": scores.interval(each[:, at]),
            }
            for at, (by, value) in enumerate(self.groups)
        ]  # fmt: skip
        types = [{"type": one["value"], **{key: one[key] for key in one if key not in ("by", "value")}}
                 for one in lines[: len(self.types)]]  # fmt: skip
        groups = [line for at, line in enumerate(lines) if at >= len(self.types) and given[at] + support[at]]
        return types, groups, {name: scores.interval(values) for name, values in drawn.items()}


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
