"""What a gate compares: a metric's value with its 95 % interval over the gate rows, and the majority's score."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from core.data.tasks.base import Encoded, Evaluation, Task
from core.data.tasks.pointer_global import GlobalTagging
from core.data.tasks.pointer_tagging import PointerTagging
from core.training.gates import Score

__all__ = ["majority_score", "score_of", "wilson"]

#: 97.5 % point of the normal distribution.
_Z = 1.959963984540054


def wilson(hits: float, rows: int, z: float = _Z) -> tuple[float, float]:
    """Return the score interval of a share.

    Parameters
    ----------
    hits
        Rows that are right.
    rows
        All rows, from 1.
    z
        Point of the normal distribution; the default gives 95 %.

    References
    ----------
    Wilson (1927), Probable Inference, the Law of Succession, and Statistical Inference, JASA 22:209–212.
    """
    share = hits / rows
    middle = share + z * z / (2 * rows)
    spread = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    low, high = (middle - spread) / scale, (middle + spread) / scale
    # At the ends one limit is the share itself, which rounding would miss.
    return (0.0 if hits <= 0 else max(0.0, low)), (1.0 if hits >= rows else min(1.0, high))


def score_of(evaluation: Evaluation, metric: str, rows: int) -> Score:
    """Return a metric of an evaluation with its interval.

    Accuracy is a share of rows, so Wilson's interval holds for it (with several labels: the share of rows that are
    right as a whole). Every other metric has the percentile bootstrap over rows that the evaluation's details hold
    (Efron & Tibshirani 1993, chapter 13); without details there is no interval.
    """
    value = float(evaluation.metrics[metric])
    if not math.isfinite(float(evaluation.metrics.get("loss", 0.0))):
        # Answers drawn from weights that are not numbers can still score well by chance.
        return Score(math.nan, rows=rows)
    if metric == "accuracy":
        low, high = wilson(round(value * rows), rows)
        return Score(value, low, high, rows)
    found = evaluation.details.get("intervals", {}).get(metric)
    return Score(value, rows=rows) if found is None else Score(value, float(found[0]), float(found[1]), rows)


def majority_score(task: Task, metric: str, roles: Any, encoded: Encoded) -> float | None:
    """Return what a method without a model scores on the gate rows; None where that has no meaning.

    Classification: always the most frequent label (set of labels) of the gate rows; its loss is that of answering with
    the labels' shares. Tagging: each word's most frequent training tag; its loss likewise. Questions: the words nearest
    to those of the question (see :mod:`core.data.tasks.question_baseline`); the loss is that of knowing nothing. Heads:
    the neighbour (see :mod:`core.data.tasks.dependency_baseline`); the loss likewise.
    """
    rows = roles.gate
    if metric == "loss" and task.kind == "dependency":
        # every head alike, and every relation
        relations = int(task.model_kwargs()["pointers"]["relations"])
        sizes = [len(feature["places"]) for feature in encoded.features]
        unsure = [np.zeros((words, 1 + words + relations)) for words in sizes]
        return float(task.evaluate(unsure, encoded, rows).metrics[metric])
    if metric == "loss" and task.kind == "question_answering":
        nothing = [np.zeros((length, 2)) for length in encoded.lengths]
        return float(task.evaluate(nothing, encoded, rows).metrics[metric])
    if metric == "loss" and isinstance(task, PointerTagging | GlobalTagging):
        return float(task.evaluate(task.uninformed(encoded), encoded, rows).metrics[metric])
    if metric == "loss":
        counts = np.maximum(np.asarray(task.label_counts(encoded), dtype=np.float64), 0.5)
        if task.config.multi_label:
            shares = np.clip(counts / len(encoded.features), 1e-6, 1 - 1e-6)
            answer = np.log(shares / (1 - shares))
        else:
            answer = np.log(counts / counts.sum())
        return _constant(task, answer, encoded, rows, metric)
    if task.kind in ("tagging", "question_answering", "dependency"):
        found = task.baseline(roles.train, rows).get(metric)
        return None if found is None else float(found)
    if task.config.multi_label:
        sets = Counter(tuple(feature["labels"]) for feature in encoded.features)
        frequent = np.asarray(sets.most_common(1)[0][0], dtype=np.float64)
        return _constant(task, np.where(frequent > 0.5, 30.0, -30.0), encoded, rows, metric)
    return _constant(task, np.asarray(task.label_counts(encoded), dtype=np.float64), encoded, rows, metric)


def _constant(task: Task, answer: np.ndarray, encoded: Encoded, rows: Any, metric: str) -> float:
    logits = [answer if task.kind == "classification" else np.tile(answer, (length, 1)) for length in encoded.lengths]
    return float(task.evaluate(logits, encoded, rows).metrics[metric])
