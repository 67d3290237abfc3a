"""Tables about heads: by relation, length of the sentence and distance; sentences with wrong heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.config import TaskConfig
from core.data.tasks.base import Rows
from core.data.tasks.dependency_scores import Answer, resampled, right_words
from core.data.tasks.scores import bootstrap_counts, interval

__all__ = ["dependency_details"]

_WORST = 50
#: Words of a wrong sentence that are shown.
_SHOWN_WORDS = 80
_MOST_ROWS = 60
_LENGTHS = ((5, "1–5"), (10, "6–10"), (20, "11–20"), (40, "21–40"))
_DISTANCES = ((0, "itself"), (1, "1"), (2, "2"), (4, "3–4"), (9, "5–9"))


def dependency_details(
    answers: Sequence[Answer], counts: np.ndarray, kinds: np.ndarray, labels: Sequence[str], rows: Rows,
    config: TaskConfig,
) -> dict[str, Any]:  # fmt: skip
    """Return the details of an evaluation.

    Parameters
    ----------
    answers
        Of each sentence.
    counts
        What each sentence adds to the scores, shape (sentences, columns).
    kinds
        Universal relation of each relation.
    labels
        Relations.
    rows
        In standard columns.
    config
        The task's settings.

    Returns
    -------
    dict
        ``n``, ``words`` (that count), ``intervals`` (95 %, bootstrap over sentences), ``arcs`` [{"by", "value",
        "heads", "labelled", "support", "interval" (of heads)}], ``worst`` (50 sentences with wrong heads: highest
        mean loss) and ``documents``.
    """
    intervals = resampled(counts, config)
    losses = np.array([np.nansum(one.losses) for one in answers])
    learnt = np.array([np.isfinite(one.losses).sum() for one in answers], dtype=np.float64)
    if learnt.any():
        from core.data.tasks.scores import bootstrap_mean

        intervals["loss"] = interval(bootstrap_mean(losses[learnt > 0], learnt[learnt > 0]))
    # Words with the right head (and relation), twice the words: so that runs are compared sentence by sentence, as F1.
    hits = counts[:, 2 if config.relations else 1]
    return {
        "n": len(answers), "words": int(counts[:, 0].sum()), "intervals": intervals,
        "arcs": _tables(answers, kinds, labels, config),
        "worst": _worst(answers, kinds, losses / np.maximum(learnt, 1), labels, rows),
        "documents": {"score": "f1", "counts": np.column_stack([hits, counts[:, 0], counts[:, 0]]).tolist()},
    }  # fmt: skip


def _tables(
    answers: Sequence[Answer], kinds: np.ndarray, labels: Sequence[str], config: TaskConfig
) -> list[dict[str, Any]]:
    sizes = [len(one.gold) for one in answers]
    sentence = np.repeat(np.arange(len(answers)), sizes)
    judged = [right_words(one, kinds) for one in answers]
    heads, labelled = (np.concatenate([pair[at] for pair in judged]) for at in (0, 1))
    gold = np.concatenate([one.gold for one in answers])
    counted = np.concatenate([one.counted for one in answers])
    number = np.concatenate([np.arange(1, size + 1) for size in sizes])
    columns: dict[str, np.ndarray] = {}
    if config.relations:
        names = np.array([*labels, "unknown in training"], dtype=object)
        columns["relation"] = names[np.concatenate([one.gold_relations for one in answers])]
    nothing = "root" if config.tree else "none"
    distance = np.array([_named(abs(int(step)), _DISTANCES, "10 or more") for step in gold - number], dtype=object)
    columns["distance to the head"] = np.where(gold == 0, nothing, distance)
    if not config.relations:
        columns["direction"] = np.where(gold == 0, nothing, np.where(gold > number, "right", "left"))
    columns["length of the sentence"] = np.array([_named(size, _LENGTHS, "41 or more") for size in sizes])[sentence]
    found = []
    for by, values in columns.items():
        values = values.astype(str)
        for value in _order(by, values[counted], nothing):
            here = counted & (values == value)
            sums = np.zeros((len(answers), 2), dtype=np.int64)
            np.add.at(sums, sentence[here], np.column_stack([heads[here], np.ones(here.sum(), dtype=np.int64)]))
            drawn = bootstrap_counts(
                *np.unique(sums, axis=0, return_counts=True),
                lambda total: {"heads": total[:, 0] / np.maximum(total[:, 1], 1)},
            )["heads"]
            found.append(
                {
                    "by": by, "value": value, "heads": float(heads[here].mean()),
                    "labelled": float(labelled[here].mean()) if config.relations else None,
                    "support": int(here.sum()), "interval": interval(drawn),
                }
            )  # fmt: skip
    return found


def _named(size: int, bounds: tuple[tuple[int, str], ...], rest: str) -> str:
    return next((name for most, name in bounds if size <= most), rest)


def _order(by: str, values: np.ndarray, nothing: str) -> list[str]:
    """Return the values in the order of a table: relations by how often they occur, lengths by length."""
    names, counts = np.unique(values, return_counts=True)
    if by == "relation":
        frequent = sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
        return [name for name, _ in frequent[:_MOST_ROWS]]
    bounds = {"distance to the head": _DISTANCES, "length of the sentence": _LENGTHS}.get(by, ())
    known = [nothing, *(name for _, name in bounds), "10 or more", "41 or more", "left", "right"]
    return sorted(names.tolist(), key=known.index)


def _worst(
    answers: Sequence[Answer], kinds: np.ndarray, means: np.ndarray, labels: Sequence[str], rows: Rows
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index in (int(place) for place in np.argsort(-means, kind="stable")):
        one = answers[index]
        heads, labelled = right_words(one, kinds)
        if labelled.all():
            continue
        row = rows[index]
        tokens = list(row["tokens"])
        entry: dict[str, Any] = {
            "row": row.get("row", index + 1), "source": row.get("source"),
            "text": " ".join(tokens[:_SHOWN_WORDS]) + (" …" if len(tokens) > _SHOWN_WORDS else ""),
            "words": tokens[:_SHOWN_WORDS], "gold": one.gold[:_SHOWN_WORDS].tolist(),
            "predicted": one.heads[:_SHOWN_WORDS].tolist(), "wrong_heads": int((~heads).sum()),
            "wrong_relations": int((heads & ~labelled).sum()), "loss": float(means[index]),
            "confidence": float(one.shares.min()) if len(one.shares) else 1.0,
        }  # fmt: skip
        if len(one.relations):
            names = [*labels, "?"]
            entry["gold_relations"] = [names[at] for at in one.gold_relations[:_SHOWN_WORDS]]
            entry["predicted_relations"] = [names[at] for at in one.relations[:_SHOWN_WORDS]]
        found.append(entry)
        if len(found) == _WORST:
            break
    return found
