"""Features of sentences with heads, and what the windows of a sentence say together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.data.tasks.base import Encoded, Rows
from core.data.tasks.pieces import Frame, batches, piece_words
from core.data.tasks.windows import plan_windows, window_of

__all__ = ["NOT_SEEN", "Sentence", "read_sentences", "sentence_features"]

#: Gold of a word that is not learnt here: another window answers for it, or its head stands in no window with it.
NOT_SEEN = -100


@dataclass
class Sentence:
    """What a model says about the words of one sentence.

    Parameters
    ----------
    scores
        Of each word for the root (or none) and every word as its head, shape (words, 1 + words); -inf where the model
        did not see both.
    relations
        Scores of each word's relations, shape (words, relations).
    answered
        Whether anything is left of the word as sub-words, shape (words,).
    """

    scores: np.ndarray
    relations: np.ndarray
    answered: np.ndarray

    def shares(self) -> np.ndarray:
        """Return the probability of every head of every word; shape (words, 1 + words)."""
        return np.exp(_log_shares(self.scores))

    def losses(self, heads: np.ndarray, relations: np.ndarray | None) -> np.ndarray:
        """Return the loss of each word, of its head and its relation together; NaN where it is not learnt.

        Parameters
        ----------
        heads
            Gold heads from 1, 0 for the root (or none); shape (words,).
        relations
            Gold relations, -1 where it is none that the model knows; shape (words,). None: they are not learnt.
        """
        places = np.arange(len(heads))
        found: np.ndarray = -_log_shares(self.scores)[places, heads]
        if relations is not None:
            known = relations >= 0
            found[known] -= _log_shares(self.relations)[places[known], relations[known]]
        found[~self.answered | ~np.isfinite(found)] = np.nan
        return found


def _log_shares(scores: np.ndarray) -> np.ndarray:
    if not scores.size:
        return scores.astype(np.float64)
    top = scores.max(axis=1, keepdims=True)
    shifted = scores - np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    found: np.ndarray = shifted - np.where(np.isfinite(total), total, 0.0)
    return found


def sentence_features(
    rows: Rows, tokenizer: Any, frame: Frame, capacity: int, stride: int, *, labelled: bool, found: Encoded
) -> None:
    """Add one feature a window to `found`.

    A feature has ``places`` (position of each visible word's first sub-word), ``words`` (which words these are),
    ``own`` (whether this window answers for it), and with `labelled` the gold under ``labels``: head (from 1 among the
    visible words, 0 for the root or none) and relation of each visible word, :data:`NOT_SEEN` where nothing is learnt.

    Parameters
    ----------
    rows
        In standard columns.
    tokenizer, frame
        Cut words into sub-words; special pieces around them.
    capacity, stride
        Sub-words of a window beside the special pieces, and how many neighbours share.
    labelled
        Whether the rows have gold.
    found
        Where to add; ``lost`` counts words whose head stands in no window with them.
    """
    before, behind = list(frame.before), list(frame.behind)
    row = 0
    for batch in batches(rows):
        for index, (ids, owners) in enumerate(piece_words(tokenizer, batch["tokens"])):
            words, firsts = np.unique(owners, return_index=True)
            found.empty_words += len(batch["tokens"][index]) - len(words)
            gold = None
            if labelled:
                gold = np.array([batch["heads"][index], batch["relations"][index]], dtype=np.int64).T
            windows = plan_windows(len(ids), capacity, stride)
            answering = window_of(firsts, windows) if len(windows) > 1 else np.zeros(len(words), dtype=np.int64)
            for number, (start, end) in enumerate(windows):
                if not (answering == number).any():
                    continue
                seen = (firsts >= start) & (firsts < end)
                feature: dict[str, Any] = {
                    "input_ids": before + ids[start:end] + behind,
                    "places": (firsts[seen] - start + len(before)).astype(np.int32),
                    "words": words[seen].astype(np.int32),
                    "own": answering[seen] == number,
                }
                if gold is not None:
                    labels, lost = _labels(gold, feature["words"], feature["own"])
                    feature["labels"] = labels
                    found.lost += lost
                found.features.append(feature)
                found.lengths.append(len(feature["input_ids"]))
                found.owner.append(row)
            row += 1


def _labels(gold: np.ndarray, words: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, int]:
    """Return heads among the visible words with relations, shape (visible, 2), and how many heads cannot be seen."""
    slots = np.full(len(gold) + 1, NOT_SEEN)
    slots[0] = 0
    slots[1 + words] = 1 + np.arange(len(words))
    labels = np.full((len(words), 2), NOT_SEEN, dtype=np.int64)
    heads = slots[gold[words, 0]]
    relations = gold[words, 1]
    learnt = own & (heads != NOT_SEEN)
    labels[learnt, 0] = heads[learnt]
    known = learnt & (relations >= 0)
    labels[known, 1] = relations[known]
    return labels, int((own & (heads == NOT_SEEN)).sum())


def read_sentences(logits: Sequence[Any], encoded: Encoded, sizes: Sequence[int], relations: int) -> Iterator[Sentence]:
    """Yield what the windows of each row say together.

    Parameters
    ----------
    logits
        Of each feature, shape (at least visible words, 1 + words of the batch + relations): padding is on the right of
        the words.
    encoded
        The features.
    sizes
        Words of each row.
    relations
        How many relations there are; 0 where they are not learnt.
    """
    at = 0
    for row, words in enumerate(sizes):
        scores = np.full((words, 1 + words), -np.inf)
        named = np.zeros((words, relations))
        answered = np.zeros(words, dtype=bool)
        while at < len(encoded.owner) and encoded.owner[at] == row:
            feature, part = encoded.features[at], np.asarray(logits[at], dtype=np.float64)
            seen, own = feature["words"], np.flatnonzero(feature["own"])
            columns = np.concatenate([[0], 1 + seen])
            scores[np.ix_(seen[own], columns)] = part[own, : 1 + len(seen)]
            named[seen[own]] = part[own, part.shape[1] - relations :]
            answered[seen[own]] = True
            at += 1
        scores[scores < _LEAST] = -np.inf
        yield Sentence(scores, named, answered)


#: Scores below are marks of what cannot be, in whatever precision.
_LEAST = -1e4
