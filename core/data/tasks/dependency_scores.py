"""Scores of heads: attachment as in the CoNLL 2018 shared task, and pointers as they were before decoding."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.config import TaskConfig
from core.data.tasks.scores import bootstrap_counts, interval

__all__ = ["COUNTED", "Answer", "count_of", "counted_words", "metrics_of", "rates", "resampled", "universal"]

#: What a sentence adds up to, in the order of the columns.
COUNTED = ("words", "heads", "labelled", "pointers", "tree", "sentences", "null_hits", "null_given", "null_gold")


@dataclass
class Answer:
    """Gold and answer of one sentence; arrays of shape (words,), heads from 1 and 0 for the root or none.

    Parameters
    ----------
    gold, heads, pointers
        Gold heads, decoded ones, and the best of each word by itself.
    gold_relations, relations
        Indices into the label list, -1 for a gold relation that the model does not know; empty without relations.
    counted
        Which words count.
    tree
        Whether the pointers form a tree with one root already.
    losses
        Loss of each word, NaN where it was not learnt.
    shares
        Probability of each word's decoded head.
    """

    gold: np.ndarray
    heads: np.ndarray
    pointers: np.ndarray
    gold_relations: np.ndarray
    relations: np.ndarray
    counted: np.ndarray
    tree: bool
    losses: np.ndarray
    shares: np.ndarray


def universal(labels: Sequence[str]) -> np.ndarray:
    """Return for each relation a number that it shares with its subtypes: ``nmod:poss`` counts as ``nmod``.

    Attachment with labels is scored so in the CoNLL 2018 shared task (Zeman et al. 2018, section 5).
    """
    names = [label.split(":", 1)[0] for label in labels]
    order = {name: index for index, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], dtype=np.int64)


def counted_words(tokens: Sequence[str], config: TaskConfig) -> np.ndarray:
    """Return which words count: all, or all that are not punctuation alone (Unicode category P); shape (words,)."""
    if config.score_punctuation:
        return np.ones(len(tokens), dtype=bool)
    return np.array([not all(unicodedata.category(char)[0] == "P" for char in token) for token in tokens], dtype=bool)


def right_words(answer: Answer, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which words have the right head, and which of them the right relation too (subtypes aside)."""
    heads = answer.heads == answer.gold
    if not len(answer.relations):
        return heads, heads
    known = answer.gold_relations >= 0
    same = known & (kinds[answer.relations] == kinds[np.where(known, answer.gold_relations, 0)])
    return heads, heads & same


def count_of(answer: Answer, kinds: np.ndarray) -> np.ndarray:
    """Return what a sentence adds to the scores, int64 of shape (columns of :data:`COUNTED`,)."""
    heads, labelled = right_words(answer, kinds)
    here = answer.counted
    none = answer.gold[here] == 0
    given = answer.heads[here] == 0
    return np.array(
        [
            here.sum(), heads[here].sum(), labelled[here].sum(), (answer.pointers == answer.gold)[here].sum(),
            answer.tree, 1, (none & given).sum(), given.sum(), none.sum(),
        ],
        dtype=np.int64,
    )  # fmt: skip


def rates(counts: np.ndarray, config: TaskConfig) -> dict[str, np.ndarray]:
    """Return the scores of summed counts.

    Parameters
    ----------
    counts
        Shape (…, columns of :data:`COUNTED`).
    config
        ``tree`` and ``relations`` decide which scores there are.

    Returns
    -------
    dict
        Arrays of shape (…): with trees ``las`` (where relations are learnt), ``uas``, ``pointer_accuracy`` and
        ``tree_share``; else ``labelled_accuracy``, ``pointer_accuracy``, ``null_precision`` and ``null_recall``.
    """
    part = {name: counts[..., index].astype(np.float64) for index, name in enumerate(COUNTED)}

    def share(top: str, bottom: str) -> np.ndarray:
        found: np.ndarray = np.divide(part[top], part[bottom], out=np.zeros_like(part[top]), where=part[bottom] > 0)
        return found

    pointers = share("pointers", "words")
    if config.tree:
        found = {"las": share("labelled", "words")} if config.relations else {}
        return found | {
            "uas": share("heads", "words"), "pointer_accuracy": pointers, "tree_share": share("tree", "sentences"),
        }  # fmt: skip
    found = {"labelled_accuracy": share("labelled", "words")} if config.relations else {}
    return found | {
        "pointer_accuracy": pointers, "null_precision": share("null_hits", "null_given"),
        "null_recall": share("null_hits", "null_gold"),
    }  # fmt: skip


def metrics_of(config: TaskConfig) -> tuple[str, ...]:
    """Return the names of the scores, the one that picks the best checkpoint first, ``loss`` last."""
    return (*rates(np.zeros(len(COUNTED)), config), "loss")


def resampled(counts: np.ndarray, config: TaskConfig) -> dict[str, list[float]]:
    """Return the 95 % interval of each score, sentences drawn again; counts of shape (sentences, columns)."""
    drawn = bootstrap_counts(*np.unique(counts, axis=0, return_counts=True), lambda sums: rates(sums, config))
    return {name: interval(values) for name, values in drawn.items()}
