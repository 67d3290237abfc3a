"""Test rows that one strategy answers and another one does not, with what each of them says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from core.config.comparison import Comparison, ComparisonTask
from core.data.tasks.base import Rows
from core.data.tasks.span_scores import spans_in
from core.data.tasks.words import spans, split_words
from core.studies.comparing.records import ChildRun, TaskResult, documents_of
from core.studies.comparing.verdicts import results_by

__all__ = ["disagreements", "row_lengths", "scores_by_document"]

#: Rows that are told of each pair of strategies, in each direction.
_MOST = 6
_SHOWN_CHARACTERS = 600
_SHOWN_WORDS = 120

#: (strategy, task, texts) → one answer a text, or None where no weights are kept.
Predict = Callable[[str, str, Sequence[Any]], "Sequence[Any] | None"]


def scores_by_document(results: Mapping[int, TaskResult | None]) -> np.ndarray | None:
    """Return the score of each test row, mean over seeds: 0 (wrong in every run) to 1; None where it is not known.

    Of strict F1 a row's own F1 is taken; a row without entities, in which none is seen, counts 1.
    """
    known = [documents_of(one) for one in results.values() if one is not None]
    found = [one for one in known if one is not None]
    if not found or len(found) < len(known) or len({one.shape for one in found}) > 1:
        return None
    stacked = np.stack(found)
    if stacked.shape[2] == 1:
        return np.asarray(stacked[..., 0].mean(axis=0))
    hits, spans = stacked[..., 0], stacked[..., 1] + stacked[..., 2]
    each = np.where(spans > 0, 2 * hits / np.maximum(spans, 1), 1.0)
    return np.asarray(each.mean(axis=0))


def disagreements(
    config: Comparison, children: Sequence[ChildRun], rows: Mapping[str, tuple[Rows, Sequence[str]]], predict: Predict
) -> list[dict[str, Any]]:
    """Return the test rows on which two strategies differ most, over all seeds.

    Parameters
    ----------
    config, children
        The comparison and its records.
    rows
        Task → (test rows in standard columns, labels).
    predict
        Answers texts by a strategy's kept weights.

    Returns
    -------
    list of dict
        ``task``, ``a``, ``b``, ``row`` (number in its source), ``source``, ``text``, ``gold``, ``scores`` {strategy:
        share of right answers over seeds, or the mean F1}, ``answers`` {strategy: what its kept run says}; of heads
        also ``words``, and gold and answers are {"heads", "relations"}.
    """
    found = results_by(config, children)
    told = []
    for task in config.tasks:
        if task.name not in rows:
            continue
        here, labels = rows[task.name]
        scores = {one.name: scores_by_document(found[one.name, task.name]) for one in config.strategies}
        known = {name: each for name, each in scores.items() if each is not None and len(each) == len(here)}
        chosen: list[tuple[str, str, int]] = []
        for a, b in combinations(known, 2):
            apart = known[a] - known[b]
            order = np.argsort(-apart, kind="stable")
            chosen += [(a, b, int(at)) for at in order[:_MOST] if apart[at] > 0]
            chosen += [(a, b, int(at)) for at in order[::-1][:_MOST] if apart[at] < 0]
        places = sorted({at for _, _, at in chosen})
        shown = {at: _shown(task, here[at], labels) for at in places}
        inputs = [shown[at]["input"] for at in places]
        answers = {name: predict(name, task.name, inputs) if inputs else None for name in known}
        for a, b, at in chosen:
            place = places.index(at)
            told.append(
                {
                    "task": task.name, "a": a, "b": b,
                    **{key: value for key, value in shown[at].items() if key != "input"},
                    "scores": {name: round(float(each[at]), 4) for name, each in known.items()},
                    "answers": {name: given[place] for name, given in answers.items() if given is not None},
                }
            )  # fmt: skip
    return told


def _shown(task: ComparisonTask, row: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return a row as it is told, and under ``input`` what a model is asked."""
    told: dict[str, Any] = {"row": row.get("row"), "source": row.get("source")}
    if task.task.kind == "tagging":
        tokens = list(row["tokens"])
        gold = _gold_entities(row, labels)
        return {**told, "text": " ".join(tokens[:_SHOWN_WORDS]), "gold": gold, "input": tokens}
    if task.task.kind == "dependency":
        tokens = list(row["tokens"])
        relations = [labels[at] if at >= 0 else "?" for at in row["relations"]] if task.task.relations else None
        heads = {"heads": list(row["heads"]), "relations": relations, "tree": task.task.tree}
        words = tokens[:_SHOWN_WORDS]
        return {**told, "text": " ".join(words), "words": words, "gold": heads, "input": tokens}
    if task.task.kind == "question_answering":
        asked = [row["question"], row["context"]]
        return {
            **told, "text": _cut(row["question"]), "context": _cut(row["context"]),
            "gold": list(row["answers"]) or ["(no answer)"], "input": asked,
        }  # fmt: skip
    pair = row.get("text_pair")
    text = row["text"] if pair is None else f"{row['text']} | {pair}"
    gold = [labels[label] for label in row["labels"]] if task.task.multi_label else labels[row["label"]]
    return {**told, "text": _cut(text), "gold": gold, "input": row["text"] if pair is None else [row["text"], pair]}


def _gold_entities(row: Mapping[str, Any], labels: Sequence[str]) -> list[dict[str, str]]:
    """Return a row's entities: its spans where it has some, else those of its tags."""
    tokens = list(row["tokens"])
    if "kinds" not in row:
        return entities_of(tokens, [labels[tag] for tag in row["tags"]])
    found = spans_in({name: [row[name]] for name in ("firsts", "lasts", "kinds")}, 0, labels)
    return [{"type": kind, "text": " ".join(tokens[first : last + 1])} for first, last, kind in found]


def entities_of(tokens: Sequence[str], tags: Sequence[str]) -> list[dict[str, str]]:
    """Return the entities that IOB2 tags spell, as {"type", "text"}."""
    return [{"type": kind, "text": " ".join(tokens[first : last + 1])} for kind, first, last in spans(tags)]


def _cut(text: str) -> str:
    return text[:_SHOWN_CHARACTERS] + ("…" if len(text) > _SHOWN_CHARACTERS else "")


def row_lengths(task: ComparisonTask, rows: Rows) -> list[int]:
    """Return the words (in Chinese: characters) of each row: of its text, or of a question's context."""
    if task.task.kind in ("tagging", "dependency"):
        return [len(tokens) for tokens in rows["tokens"]]
    column = "context" if task.task.kind == "question_answering" else "text"
    return [len(split_words(text)) for text in rows[column]]
