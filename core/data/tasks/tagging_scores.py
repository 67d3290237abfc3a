"""Scores of tagged sentences, tables of them, and the tagger that needs no model."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.data.tasks import scores
from core.data.tasks.base import Rows
from core.data.tasks.pieces import batches
from core.data.tasks.words import spans

__all__ = ["entity_scores", "most_frequent_tagger", "tag_tables"]


def entity_scores(gold: list[list[str]], predicted: list[list[str]]) -> dict[str, float]:
    """Return ``precision``, ``recall`` and ``strict_f1`` over entities by seqeval, and ``token_accuracy``.

    Only ``mode="strict"`` with the scheme given counts an entity as right when type and both ends are; seqeval's
    default mode also accepts tags that IOB2 does not allow.
    """
    from seqeval.metrics.v1 import precision_recall_fscore_support  # what mode="strict" calls
    from seqeval.scheme import IOB2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an undefined score is 0 here, and no surprise early in training
        precision, recall, f1, _ = precision_recall_fscore_support(
            gold, predicted, average="micro", scheme=IOB2, zero_division=0
        )
    words = sum(len(tags) for tags in gold)
    pairs = zip(gold, predicted, strict=True)
    right = sum(wanted == given for truth, answer in pairs for wanted, given in zip(truth, answer, strict=True))
    return {
        "strict_f1": float(f1),
        "precision": float(precision),
        "recall": float(recall),
        "token_accuracy": right / max(1, words),
    }


def most_frequent_tagger(train_rows: Rows, test_rows: Rows, labels: Sequence[str]) -> dict[str, float]:
    """Score the tagger that gives each word its most frequent training tag, and ``O`` to words it has not seen.

    Parameters
    ----------
    train_rows, test_rows
        Rows with ``tokens`` and ``tags``. Of equally frequent tags the one with the lower index is taken.
    labels
        IOB2 tags in the order of their indices.
    """
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for batch in batches(train_rows):
        for tokens, tags in zip(batch["tokens"], batch["tags"], strict=True):
            for token, tag in zip(tokens, tags, strict=True):
                counts[token][tag] += 1
    answer = {token: min(found, key=lambda tag: (-found[tag], tag)) for token, found in counts.items()}
    gold, predicted = [], []
    for batch in batches(test_rows):
        gold += [[labels[tag] for tag in tags] for tags in batch["tags"]]
        predicted += [[labels[answer.get(token, 0)] for token in tokens] for tokens in batch["tokens"]]
    return entity_scores(gold, predicted)


def tag_tables(
    types: Sequence[str], gold: list[list[str]], predicted: list[list[str]], right: np.ndarray, words: np.ndarray
) -> dict[str, Any]:
    """Return a table by type of entity, and intervals of all scores, resampled over sentences.

    Parameters
    ----------
    types
        All types of entities.
    gold, predicted
        IOB2 tags of each sentence.
    right, words
        Words with the right tag, and words, of each sentence, shape (sentences,).
    """
    size = len(types)
    counts = np.zeros((len(gold), 3 * size + 2), dtype=np.int64)
    place = {kind: index for index, kind in enumerate(types)}
    for row, (wanted, given) in enumerate(zip(gold, predicted, strict=True)):
        truth, answer = set(spans(wanted)), set(spans(given))
        for offset, entities in ((0, truth & answer), (size, answer), (2 * size, truth)):
            for kind, _, _ in entities:
                counts[row, offset + place[kind]] += 1
    counts[:, -2], counts[:, -1] = right, words

    def statistic(sums: np.ndarray) -> dict[str, np.ndarray]:
        hits, answered, wanted = (sums[:, index * size : (index + 1) * size] for index in range(3))
        precision, recall, f1 = scores.f1_parts(hits.sum(1), answered.sum(1), wanted.sum(1))
        each = scores.f1_parts(hits, answered, wanted)[2]
        accuracy = sums[:, -2] / np.maximum(sums[:, -1], 1)
        return {"strict_f1": f1, "precision": precision, "recall": recall, "token_accuracy": accuracy, "each": each}

    drawn = scores.bootstrap_counts(*np.unique(counts, axis=0, return_counts=True), statistic)
    each = drawn.pop("each")
    total = counts.sum(axis=0)
    precision, recall, f1 = scores.f1_parts(total[:size], total[size : 2 * size], total[2 * size : 3 * size])
    table = [
        {
            "type": kind,
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "support": int(total[2 * size + index]),
            "interval": scores.interval(each[:, index]),
        }
        for index, kind in enumerate(types)
    ]
    intervals = {name: scores.interval(values) for name, values in drawn.items()}
    # Found, predicted and gold entities of each row, so that runs can be compared document by document.
    parts = np.column_stack([counts[:, at * size : (at + 1) * size].sum(axis=1) for at in range(3)])
    return {
        "n": len(gold), "words": int(words.sum()), "intervals": intervals, "entities": table,
        "documents": {"score": "f1", "counts": parts.tolist()},
    }  # fmt: skip
