"""What a head that points says of single rows, as plain data to be looked at: shares, what the memory is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.config import TaskConfig
from core.data.tasks.base import Encoded, Prediction, Rows, Task
from core.data.tasks.pointer_decoding import NOWHERE, pointers_of
from core.data.tasks.question_decoding import best_spans
from core.data.tasks.scores import softmax
from core.data.tasks.words import spans, split_words

__all__ = ["Memory", "gold_of", "memory_shares", "pointer_views", "points"]

#: Of a feature: size of each target's value, shape (1 + words,), and of what is read at each step, shape (queries,).
Memory = tuple[np.ndarray, np.ndarray]
#: What an empty slot means.
_SLOTS = {"tagging": "no entity", "question_answering": "no answer"}


def points(config: TaskConfig) -> bool:
    """Whether a task's head points, or scores stretches of words."""
    return config.kind == "dependency" or config.head == "pointer"


def memory_shares(shares: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return how much each target adds to what is read: ‖A_i v_i‖ as a share of their sum over i.

    Parameters
    ----------
    shares
        A, shape (queries, targets).
    sizes
        ‖v_i‖, shape (targets,).

    Returns
    -------
    numpy.ndarray
        Of the shape of `shares`; rows sum to 1 unless nothing is read.

    References
    ----------
    Kobayashi et al. (2020), Attention is not only a weight: analyzing transformers with vector norms, section 3.
    """
    each = shares * sizes
    total = each.sum(axis=-1, keepdims=True)
    found: np.ndarray = np.divide(each, total, out=np.zeros_like(each), where=total > 0)
    return found


def pointer_views(
    task: Task, logits: Sequence[Any], encoded: Encoded, rows: Rows, memories: Sequence[Memory | None]
) -> list[dict[str, Any]]:
    """Return what the head says of each row.

    Parameters
    ----------
    task
        One whose head points, see :func:`points`.
    logits, encoded
        Of each feature, without padding, and the features; those of a row stand side by side.
    rows
        In standard columns; gold is not needed.
    memories
        Of each feature, what the head read; None where it has no memory.

    Returns
    -------
    list of dict
        ``kind`` (``words``, ``heads``, ``question`` or ``stretches``), ``text``, ``rows`` and ``columns`` (names),
        ``slot`` (what the empty slot before the columns means; None without one), ``shares`` (by row: the slot, then
        the columns), ``pointed`` (by row the column that the answer points to, 0 for the slot, words from 1),
        ``names`` (by row: type or relation, or ""), ``memory`` (of the shape of shares, see :func:`memory_shares`; of a
        question of the start alone; None without one), ``read`` (‖m‖ by row), ``spans`` (stretches and answers:
        {"first", "last", "name", "share"}), ``contains`` {type: probability} of a sentence label, or None. Questions
        whose context has several windows: ``part`` of ``parts``, the window with the best answer.

        Of stretches a row is a first word and a column a last one, and a share is the highest probability of a type.
    """
    read = {"question_answering": _question, "dependency": _heads}.get(task.kind, _words)
    if task.config.stretches:
        read = _stretches
    predictions = task.decode(logits, encoded, rows)
    at, found = 0, []
    for row, prediction in enumerate(predictions):
        first = at
        while at < len(encoded.owner) and encoded.owner[at] == row:
            at += 1
        parts = [np.asarray(one, dtype=np.float64) for one in logits[first:at]]
        found.append(read(task, parts, encoded.features[first:at], memories[first:at], prediction))
    return found


def _empty(kind: str, prediction: Prediction, rows: list[str], columns: list[str], slot: str | None) -> dict[str, Any]:
    return {
        "kind": kind, "text": prediction.text, "rows": rows, "columns": columns, "slot": slot,
        "names": [""] * len(rows), "pointed": [0] * len(rows), "memory": None, "read": None, "spans": None,
        "contains": None,
    }  # fmt: skip


def _matrix(
    parts: Sequence[np.ndarray], features: Sequence[Mapping[str, Any]], memories: Sequence[Memory | None], words: int
) -> tuple[np.ndarray, np.ndarray | None, list[float] | None]:
    """Return shares, the memory's shares and sizes of all words, each from the window that answers for it."""
    shares = np.zeros((words, 1 + words))
    shares[:, 0] = 1.0  # a word of which the tokeniser leaves nothing points nowhere
    memory, read = np.zeros_like(shares), np.zeros(words)
    for part, feature, own in zip(parts, features, memories, strict=True):
        seen, mine = feature["words"], np.flatnonzero(feature["own"])
        places = np.ix_(seen[mine], np.concatenate([[0], 1 + seen]))
        shares[seen[mine], 0] = 0.0
        shares[places] = softmax(part[mine, : 1 + len(seen)])
        if own is not None:
            memory[places] = memory_shares(shares[places], own[0][: 1 + len(seen)])
            read[seen[mine]] = own[1][mine]
    known = bool(memories) and all(one is not None for one in memories)
    return shares, memory if known else None, read.tolist() if known else None


def _words(
    task: Task, parts: Sequence[np.ndarray], features: Sequence[Mapping[str, Any]], memories: Sequence[Memory | None],
    prediction: Prediction,
) -> dict[str, Any]:  # fmt: skip
    words = list(prediction.words or [])
    shares, memory, read = _matrix(parts, features, memories, len(words))
    found = _empty("words", prediction, words, words, _SLOTS["tagging"])
    for kind, first, last in spans(prediction.label):
        found["names"][first : last + 1] = [kind] * (last + 1 - first)
    found["pointed"] = [0 if one is None else 1 + one for one in prediction.pointers or []]
    found["contains"] = prediction.contains
    return {**found, "shares": shares.tolist(), "memory": _listed(memory), "read": read}


def _heads(
    task: Task, parts: Sequence[np.ndarray], features: Sequence[Mapping[str, Any]], memories: Sequence[Memory | None],
    prediction: Prediction,
) -> dict[str, Any]:  # fmt: skip
    words = list(prediction.words or [])
    shares, memory, read = _matrix(parts, features, memories, len(words))
    found = _empty("heads", prediction, words, words, "root" if task.config.tree else "none")
    found |= {"pointed": list(prediction.heads or []), "names": list(prediction.relations or found["names"])}
    return {**found, "shares": shares.tolist(), "memory": _listed(memory), "read": read}


def _listed(values: np.ndarray | None) -> list[list[float]] | None:
    return None if values is None else values.tolist()


def _question(
    task: Task, parts: Sequence[np.ndarray], features: Sequence[Mapping[str, Any]], memories: Sequence[Memory | None],
    prediction: Prediction,
) -> dict[str, Any]:  # fmt: skip
    """Return start and end over the words of the window that has the best answer."""
    context = prediction.context or ""
    bounds = split_words(context)
    best, at, span = -np.inf, 0, (0, 0)
    for number, (part, feature) in enumerate(zip(parts, features, strict=True)):
        chosen = part[feature["first"] : feature["first"] + len(feature["starts"])]
        for score, start, end in best_spans(chosen[:, 0], chosen[:, 1], task.config.longest_answer):
            if score > best:
                best, at, span = score, number, (start, end)
    found = _empty("question", prediction, ["start", "end"], [], _SLOTS["question_answering"])
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
        "columns": names, "shares": shares.tolist(), "memory": _listed(memory), "part": at + 1, "parts": len(parts),
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


def _stretches(
    task: Task, parts: Sequence[np.ndarray], features: Sequence[Mapping[str, Any]], memories: Sequence[Memory | None],
    prediction: Prediction,
) -> dict[str, Any]:  # fmt: skip
    words = list(prediction.words or [])
    found = _empty("stretches", prediction, words, words, None)
    shares = np.zeros((len(words), len(words)))
    for part, feature in zip(parts, features, strict=True):
        seen, mine = feature["words"], np.flatnonzero(feature["own"])
        scores = part.reshape(len(seen), len(seen), -1).max(axis=2)
        whole = np.where(np.triu(np.ones(scores.shape, dtype=bool)), np.clip(scores, -700.0, 700.0), -700.0)
        shares[np.ix_(seen[mine], seen)] = 1.0 / (1.0 + np.exp(-whole[mine]))
    found["spans"] = [
        {"first": one["first"], "last": one["last"], "name": one["type"], "share": one["score"]}
        for one in prediction.spans or []
    ]
    return {**found, "shares": shares.tolist()}


def gold_of(task: Task, row: Mapping[str, Any], view: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is right for a row, in the form of its view.

    Parameters
    ----------
    task
        The task.
    row
        In standard columns, with gold.
    view
        Of :func:`pointer_views`.

    Returns
    -------
    dict
        ``pointed`` (None where the gold stands outside of what is shown), ``names``, ``spans``, ``contains`` (types).
    """
    none: dict[str, Any] = {"pointed": None, "names": [""] * len(view["rows"]), "spans": None, "contains": None}
    if view["kind"] == "heads":
        names = [task.labels[at] if at >= 0 else "?" for at in row["relations"]] if task.config.relations else None
        return {**none, "pointed": [int(one) for one in row["heads"]], "names": names or none["names"]}
    if view["kind"] == "question":
        return {**none, **_gold_answer(row, view)}
    tags = [task.labels[at] for at in row["tags"]]
    stretches: list[dict[str, Any]] = [
        {"first": first, "last": last, "name": kind} for kind, first, last in spans(tags)
    ]
    if view["kind"] == "stretches":
        return {**none, "spans": stretches}
    for one in stretches:
        none["names"][one["first"] : one["last"] + 1] = [one["name"]] * (one["last"] + 1 - one["first"])
    pointed = [0 if one == NOWHERE else 1 + int(one) for one in pointers_of(tags)]
    contains = sorted({one["name"] for one in stretches}) if view["contains"] is not None else None
    return {**none, "pointed": pointed, "contains": contains}


def _gold_answer(row: Mapping[str, Any], view: Mapping[str, Any]) -> dict[str, Any]:
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
