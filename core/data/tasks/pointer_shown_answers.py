"""A question as its two pointers see it: start and end over the words of a window. Pure numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.data.tasks.base import Prediction, Task
from core.data.tasks.pointer_shown import SLOTS, Memory, empty_view, listed, memory_shares
from core.data.tasks.question_decoding import best_spans
from core.data.tasks.scores import softmax
from core.data.tasks.words import split_words

__all__ = ["gold_answer", "question_view"]


def question_view(
    task: Task, parts: Sequence[np.ndarray], features: Sequence[Mapping[str, Any]], memories: Sequence[Memory | None],
    prediction: Prediction,
) -> dict[str, Any]:  # fmt: skip
    """Return start and end over the words of the window with the best answer; see :mod:`.pointer_view`."""
    context = prediction.context or ""
    bounds = split_words(context)
    best, at, span = -np.inf, 0, (0, 0)
    for number, (part, feature) in enumerate(zip(parts, features, strict=True)):
        chosen = part[feature["first"] : feature["first"] + len(feature["starts"])]
        for score, start, end in best_spans(chosen[:, 0], chosen[:, 1], task.config.longest_answer):
            if score > best:
                best, at, span = score, number, (start, end)
    found = empty_view("question", prediction, ["start", "end"], [], SLOTS["question_answering"])
    if not np.isfinite(best):
        return {**found, "shares": [[1.0], [1.0]], "part": 1, "parts": len(parts), "spans": []}
    feature, part = features[at], parts[at]
    first, size = feature["first"], len(feature["starts"])
    # A piece belongs to the word in which its last character stands: byte-level pieces may begin with a space.
    word = np.searchsorted([one[1] for one in bounds], np.asarray(feature["ends"]) - 1, side="right") - 1
    word = np.maximum(word, 0)
    low, high = int(word.min()), int(word.max())
    pieces = softmax(part[[feature["empty"], *range(first, first + size)]].T)
    column = 1 + word - low
    shares = _gathered(pieces, column, high - low + 1)
    memory, own = None, memories[at]
    if own is not None:
        sizes = own[0][[0, *range(1 + first, 1 + first + size)]]
        memory = _gathered(memory_shares(pieces[:1], sizes), column, high - low + 1)
    names = [context[start:end] for _, start, end in bounds[low : high + 1]]
    found |= {
        "columns": names, "shares": shares.tolist(), "memory": listed(memory), "part": at + 1, "parts": len(parts),
        "read": None if own is None else [float(own[1][0])], "offset": low,
    }  # fmt: skip
    ends = [int(column[place]) for place in span]
    share = float(pieces[0, 1 + span[0]] * pieces[1, 1 + span[1]])
    found["pointed"] = ends if prediction.label else [0, 0]
    found["spans"] = [{"first": ends[0] - 1, "last": ends[1] - 1, "name": "answer", "share": share}]
    if not prediction.label:
        found["spans"] = []
    return found


def _gathered(pieces: np.ndarray, column: np.ndarray, words: int) -> np.ndarray:
    """Add up the shares of the sub-words of each word; the empty slot stays the first one."""
    found = np.zeros((len(pieces), 1 + words))
    found[:, 0] = pieces[:, 0]
    for row, values in enumerate(pieces[:, 1:]):
        found[row, 1:] = np.bincount(column - 1, weights=values, minlength=words)
    return found


def gold_answer(row: Mapping[str, Any], view: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is right for a question: ``pointed`` and ``spans``; see :mod:`.pointer_view`."""
    placed = [(text, start) for text, start in zip(row["answers"], row["starts"], strict=True) if start >= 0]
    if not placed:
        return {"pointed": [0, 0] if not row["answers"] else None, "spans": []}
    text, start = placed[0]
    inside = [
        at for at, (_, begin, end) in enumerate(split_words(row["context"]))
        if begin < start + len(text) and end > start
    ]  # fmt: skip
    ends = [at - view.get("offset", 0) for at in (inside[0], inside[-1])] if inside else []
    if not ends or not all(0 <= at < len(view["columns"]) for at in ends):
        return {"pointed": None, "spans": []}
    return {
        "pointed": [1 + at for at in ends], "spans": [{"first": ends[0], "last": ends[1], "name": "answer"}],
    }  # fmt: skip
