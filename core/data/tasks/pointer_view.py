"""What a head that points says of single rows, as plain data to be looked at: shares, what the memory is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from core.config import TaskConfig
from core.data.tasks.base import Encoded, Prediction, Rows, Task
from core.data.tasks.pointer_decoding import ENTRY
from core.data.tasks.pointer_entries import SHOWN, Entered, entered_columns, entry_place, named_entries
from core.data.tasks.pointer_shown import SLOTS, Memory, empty_view, listed, memory_shares
from core.data.tasks.pointer_shown_answers import gold_answer, question_view
from core.data.tasks.pointer_tagging import PointerTagging
from core.data.tasks.scores import softmax
from core.data.tasks.words import spans

__all__ = ["Memory", "gold_of", "memory_shares", "pointer_views", "points", "watched_entries"]


def points(config: TaskConfig) -> bool:
    """Whether a task's head points, or scores stretches of words."""
    return config.kind == "dependency" or config.head == "pointer"


def pointer_views(
    task: Task, logits: Sequence[Any], encoded: Encoded, rows: Rows, memories: Sequence[Memory | None],
    keep: Sequence[Sequence[int]] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
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
    keep
        Of each row, which entries of a large dictionary have a column of their own. None: those with a share worth
        seeing.

    Returns
    -------
    list of dict
        ``kind`` (``words``, ``heads``, ``question`` or ``stretches``), ``text``, ``rows`` and ``columns`` (names),
        ``slot`` (what the empty slot before the columns means; None without one), ``shares`` (by row: the slot, then
        the columns), ``pointed`` (by row the column that the answer points to, 0 for the slot, words from 1),
        ``names`` (by row: type or relation, or ""), ``memory`` (of the shape of shares, see :func:`memory_shares`; of a
        question of the start alone; None without one), ``read`` (‖m‖ by row), ``spans`` (stretches and answers:
        {"first", "last", "name", "share"}), ``contains`` {type: probability} of a sentence label, or None. With a
        dictionary ``entries`` {"numbers" (of those that have columns, behind the words), "left" (how many others are
        added up in one more column)}, else None. Questions
        whose context has several windows: ``part`` of ``parts``, the window with the best answer.

        Of stretches a row is a first word and a column a last one, and a share is the highest probability of a type.
    """
    reads: dict[str, Callable[..., dict[str, Any]]] = {"question_answering": question_view, "dependency": _heads}
    read = _stretches if task.config.stretches else reads.get(task.kind)
    predictions = task.decode(logits, encoded, rows)
    at, found = 0, []
    for row, prediction in enumerate(predictions):
        first = at
        while at < len(encoded.owner) and encoded.owner[at] == row:
            at += 1
        parts = [np.asarray(one, dtype=np.float64) for one in logits[first:at]]
        if read is None:
            entered = named_entries(task, None if keep is None else keep[row])
            found.append(_words(task, parts, encoded.features[first:at], memories[first:at], prediction, entered))
        else:
            found.append(read(task, parts, encoded.features[first:at], memories[first:at], prediction))
    return found


def _matrix(
    parts: Sequence[np.ndarray], features: Sequence[Mapping[str, Any]], memories: Sequence[Memory | None], words: int,
    entries: int = 0,
) -> tuple[np.ndarray, np.ndarray | None, list[float] | None]:  # fmt: skip
    """Return shares, the memory's shares and sizes of all words, each from the window that answers for it.

    Columns are those of the empty slot, of the words and of a dictionary's entries.
    """
    behind = 1 + words + np.arange(entries)
    shares = np.zeros((words, 1 + words + entries))
    shares[:, 0] = 1.0  # a word of which the tokeniser leaves nothing points nowhere
    memory, read = np.zeros_like(shares), np.zeros(words)
    for part, feature, own in zip(parts, features, memories, strict=True):
        seen, mine = feature["words"], np.flatnonzero(feature["own"])
        places = np.ix_(seen[mine], np.concatenate([[0], 1 + seen, behind]))
        shares[seen[mine], 0] = 0.0
        shares[places] = softmax(part[mine, : 1 + len(seen) + entries])
        if own is not None:
            sizes = np.concatenate([own[0][: 1 + len(seen)], own[0][len(own[0]) - entries :]])  # padding lies between
            memory[places] = memory_shares(shares[places], sizes)
            read[seen[mine]] = own[1][mine]
    known = bool(memories) and all(one is not None for one in memories)
    return shares, memory if known else None, read.tolist() if known else None


def _words(
    task: Task, parts: Sequence[np.ndarray], features: Sequence[Mapping[str, Any]], memories: Sequence[Memory | None],
    prediction: Prediction, entered: Entered,
) -> dict[str, Any]:  # fmt: skip
    words = list(prediction.words or [])
    shares, memory, read = _matrix(parts, features, memories, len(words), len(entered.names))
    pointers = prediction.pointers or []
    columns = entered_columns(entered, shares, [one["number"] for one in pointers if isinstance(one, dict)])
    found = empty_view("words", prediction, words, [*words, *columns.names], SLOTS["tagging"])
    if entered.names:
        found["entries"] = {"numbers": columns.numbers, "left": columns.left}
    shares, memory = columns.gathered(shares), None if memory is None else columns.gathered(memory)
    for kind, first, last in spans(prediction.label):
        found["names"][first : last + 1] = [kind] * (last + 1 - first)
    found["pointed"] = [
        0 if one is None else columns.place(one["number"], len(words)) if isinstance(one, dict) else 1 + one
        for one in pointers
    ]
    found["contains"] = prediction.contains
    return {**found, "shares": shares.tolist(), "memory": listed(memory), "read": read}


def _heads(
    task: Task, parts: Sequence[np.ndarray], features: Sequence[Mapping[str, Any]], memories: Sequence[Memory | None],
    prediction: Prediction,
) -> dict[str, Any]:  # fmt: skip
    words = list(prediction.words or [])
    shares, memory, read = _matrix(parts, features, memories, len(words))
    found = empty_view("heads", prediction, words, words, "root" if task.config.tree else "none")
    found |= {"pointed": list(prediction.heads or []), "names": list(prediction.relations or found["names"])}
    return {**found, "shares": shares.tolist(), "memory": listed(memory), "read": read}


def _stretches(
    task: Task, parts: Sequence[np.ndarray], features: Sequence[Mapping[str, Any]], memories: Sequence[Memory | None],
    prediction: Prediction,
) -> dict[str, Any]:  # fmt: skip
    words = list(prediction.words or [])
    found = empty_view("stretches", prediction, words, words, None)
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


def watched_entries(task: Task, row: Mapping[str, Any]) -> list[int]:
    """Return which entries of a large dictionary are worth following in a row while its head learns.

    Those that its gold points to; then, as long as there is room, those that share a word with it: they are what a
    pointer confuses. None where there is no dictionary.
    """
    if not isinstance(task, PointerTagging) or task.dictionary is None:
        return []
    targets = task.pointers([task.labels[at] for at in row["tags"]], row["tokens"])
    gold = [int(entry) for entry in ENTRY - targets[targets <= ENTRY]]
    words = {str(word).casefold() for word in row["tokens"]}
    near = [at for at, one in enumerate(task.dictionary.entries) if words & set(one.text.casefold().split())]
    return list(dict.fromkeys([*gold, *near]))[: max(SHOWN, len(set(gold)))]


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
        return {**none, **gold_answer(row, view)}
    tags = [task.labels[at] for at in row["tags"]]
    stretches: list[dict[str, Any]] = [
        {"first": first, "last": last, "name": kind} for kind, first, last in spans(tags)
    ]
    if view["kind"] == "stretches" and "kinds" in row:  # they may lie inside each other
        told = zip(row["firsts"], row["lasts"], row["kinds"], strict=True)
        named = ((first, last, task.labels[kind][2:]) for first, last, kind in told if kind >= 0)
        return {**none, "spans": [{"first": first, "last": last, "name": name} for first, last, name in named]}
    if view["kind"] == "stretches":
        return {**none, "spans": stretches}
    for one in stretches:
        none["names"][one["first"] : one["last"] + 1] = [one["name"]] * (one["last"] + 1 - one["first"])
    assert isinstance(task, PointerTagging)
    pointed = []
    for target in task.pointers(tags, row.get("tokens")).tolist():
        entry = ENTRY - target if target <= ENTRY else None
        known = (view.get("entries") or {}).get("numbers", [])
        pointed.append(1 + target if entry is None else entry_place(known, entry, len(view["rows"])))
    contains = sorted({one["name"] for one in stretches}) if view["contains"] is not None else None
    return {**none, "pointed": pointed, "contains": contains}
