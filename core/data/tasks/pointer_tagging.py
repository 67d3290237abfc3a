"""Tagging by pointers: each word points to the first word of its entity, and names the entity's type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import TaskConfig
from core.data.tasks import scores
from core.data.tasks.base import Encoded
from core.data.tasks.pieces import pad
from core.data.tasks.pointer_decoding import ENTRY, NOWHERE, pointers_of
from core.data.tasks.pointer_dictionary import dictionary_of
from core.data.tasks.pointer_reading import (
    PointerAnswers,
    Settings,
    entry_shares,
    pointer_counts,
    read_pointers,
    sentence_counts,
)
from core.data.tasks.tagging import IGNORED, Tagging, WordWindow
from core.data.tasks.tagging_answers import Answers

if TYPE_CHECKING:
    import torch

__all__ = ["PointerTagging"]

#: Scores below are marks of what cannot be pointed to, in whatever precision.
_LEAST = -1e30


class PointerTagging(Tagging):
    """A pointer and a type for each word; the answers are IOB2 tags, scored as those of any other head.

    Parameters
    ----------
    config
        ``stride`` and ``pointer`` count here.
    labels
        IOB2 tags in the order of their indices, ``O`` first.

    Notes
    -----
    The loss of a word is the cross-entropy of what it points to (words in no entity: the empty slot), and for words of
    entities μ times that of the type given o_t = [h_t; m_t]; see :class:`core.models.pointer.heads.WordPointer`. With a
    weight λ each word also carries λ times its sentence's loss: the mean binary cross-entropy of the types that the
    window shows. Words stand for themselves by their first sub-words. A word whose entity begins outside its window is
    not learnt. With a dictionary the first word of an entity points to the entry that says it, where there is one; see
    :mod:`core.data.tasks.pointer_dictionary`.
    """

    auto_class = "AutoModelForPointers"
    metric_names: tuple[str, ...] = (
        "strict_f1", "precision", "recall", "token_accuracy", "pointer_accuracy", "null_precision", "null_recall",
        "loss",
    )  # fmt: skip

    def __init__(self, config: TaskConfig, labels: Sequence[str]) -> None:
        super().__init__(config, labels)
        self.dictionary = dictionary_of(config, self.types)
        self._entries = 0 if self.dictionary is None else len(self.dictionary)
        self._sentences = len(self.types) if config.pointer.sentence_weight else 0
        if self._entries:
            self.metric_names = (*self.metric_names[:-1], "entry_precision", "entry_recall", "loss")
        if self._sentences:
            self.metric_names = (*self.metric_names[:-1], "sentence_accuracy", "frame_accuracy", "loss")

    @property
    def _settings(self) -> Settings:
        own, numbers = self.config.pointer, {name: index for index, name in enumerate(self.types)}
        entries = [] if self.dictionary is None else self.dictionary.entries
        return Settings(
            self.labels, self.types, own.type_weight, own.sentence_weight,
            [numbers.get(entry.kind, -1) for entry in entries],
        )  # fmt: skip

    def pointers(self, tags: Sequence[str], tokens: Sequence[str] | None = None) -> np.ndarray:
        """Return what each word of a sentence points to by its gold tags; see :func:`.pointer_decoding.pointers_of`.

        Parameters
        ----------
        tags
            IOB2 tags.
        tokens
            The words; a gazetteer needs them.
        """
        known = self.dictionary
        if known is None:
            return pointers_of(tags)

        def find(kind: str, first: int, last: int) -> int | None:
            return known.find(None if tokens is None else tokens[first : last + 1], kind)

        return pointers_of(tags, find)

    def model_kwargs(self) -> dict[str, Any]:
        """Return label names as in stock configs, and what kind of head there is."""
        wanted = self.config.pointer
        head = {
            "points": "words", "size": wanted.size, "memory": wanted.memory,
            "reach": wanted.reach if wanted.relative else None, "types": len(self.types),
            "sentence": bool(self._sentences),
        }  # fmt: skip
        if self.dictionary is not None:
            head["dictionary"] = [[entry.text, entry.kind] for entry in self.dictionary.entries]
        return {**super().model_kwargs(), "pointers": head}

    def _feature(self, window: WordWindow, found: Encoded) -> dict[str, Any]:
        """Return a feature with ``places`` of all words that the window shows, ``words`` (which), and ``own``.

        Gold has a row for each of these words: target (0: the empty slot, then from 1 among them, then the entries of
        the dictionary), type and tag, all :data:`~core.data.tasks.tagging.IGNORED` where nothing is learnt; with λ then
        0 or 1 for each type, whether any of the words has it. With a dictionary there are also ``entries`` (how many)
        and ``gold`` (targets of its own words within the row).
        """
        feature: dict[str, Any] = {
            "input_ids": window.pieces, "places": window.places, "words": window.words, "own": window.own,
        }  # fmt: skip
        if self.dictionary is not None:
            feature["entries"] = self._entries
        if window.tags is not None:
            tags = [self.labels[index] for index in window.tags]
            targets = self.pointers(tags, window.tokens)[window.words]
            inside = targets != NOWHERE
            columns = np.searchsorted(window.words, targets)
            shown = ~inside | (window.words[np.minimum(columns, len(window.words) - 1)] == targets)
            if self.dictionary is not None:
                named = targets <= ENTRY
                columns[named] = len(window.words) + ENTRY - targets[named]
                shown |= named
                feature["gold"] = targets[window.own]
            labels = np.full((len(window.words), 3 + self._sentences), IGNORED, dtype=np.int64)
            learnt = window.own & shown
            labels[learnt, 0] = np.where(inside, columns + 1, 0)[learnt]
            labels[learnt, 2] = window.tags[window.words][learnt]
            numbers = {name: index for index, name in enumerate(self.types)}
            for at in np.flatnonzero(learnt & inside):
                labels[at, 1] = numbers[tags[window.words[at]][2:]]
            if self._sentences:
                has = {tags[word][2:] for word in window.words[inside]}
                labels[:, 3:] = [int(name in has) for name in self.types]
            feature["labels"] = labels
            found.lost += int((window.own & ~shown).sum())
        return feature

    def _read(self, logits: Sequence[Any], encoded: Encoded, words: list[int]) -> Answers:
        return read_pointers(logits, encoded, words, self._settings)

    def collate(
        self, features: Sequence[dict[str, Any]], tokenizer: Any, *, pad_to: int | None = None
    ) -> dict[str, torch.Tensor]:
        """Pad features.

        ``words`` is int64 of shape (batch, words), the position of each word's first sub-word, -1 where there is no
        word; ``labels`` is int64 of shape (batch, words, 3): target, type and tag, -100 where nothing is learnt; with
        λ each type more.
        """
        import torch

        batch = pad(features, tokenizer, pad_to)
        width = max((len(feature["places"]) for feature in features), default=0)
        words = np.full((len(features), width), -1, dtype=np.int64)
        for row, feature in enumerate(features):
            words[row, : len(feature["places"])] = feature["places"]
        batch["words"] = torch.from_numpy(words)
        if features and "labels" in features[0]:
            labels = np.full((len(features), width, 3 + self._sentences), IGNORED, dtype=np.int64)
            for row, feature in enumerate(features):
                own = len(feature["labels"])
                labels[row, :own] = feature["labels"]
                if self._entries:  # their columns stand behind the batch's words
                    targets = labels[row, :own, 0]
                    targets[targets > own] += width - own
            batch["labels"] = torch.from_numpy(labels)
        return batch

    def loss(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (sum of the weighted losses, sum of the weights) over words.

        Parameters
        ----------
        logits
            Shape (batch, words, 1 + words + entries + types), with λ as many more as there are types.
        labels
            As :meth:`collate` gives them.
        label_smoothing
            Share of the gold that is spread evenly over what can be pointed to, and over the types.
        class_weights
            Weight of a word by its tag, shape (labels,).
        """
        from torch.nn import functional

        counted = labels[..., 0] != IGNORED
        chosen, gold = logits[counted].float(), labels[counted]
        end = chosen.shape[-1] - self._sentences
        size = end - len(self.types)
        shares = functional.log_softmax(chosen[:, :size], dim=-1)
        each = -shares.gather(1, gold[:, :1]).squeeze(1)
        if label_smoothing:
            possible = chosen[:, :size] > _LEAST
            spread = -shares.masked_fill(~possible, 0.0).sum(dim=1) / possible.sum(dim=1)
            each = (1.0 - label_smoothing) * each + label_smoothing * spread
        named = functional.cross_entropy(
            chosen[:, size:end], gold[:, 1], reduction="none", ignore_index=IGNORED, label_smoothing=label_smoothing
        )
        each = each + self.config.pointer.type_weight * named
        if self._sentences:
            wanted = gold[:, 3:].float() * (1.0 - label_smoothing) + label_smoothing / 2
            told = functional.binary_cross_entropy_with_logits(chosen[:, end:], wanted, reduction="none").mean(dim=1)
            each = each + self.config.pointer.sentence_weight * told
        weights = each.new_ones(len(each))
        if class_weights is not None:
            weights = class_weights.to(each.device, each.dtype)[gold[:, 2]]
        return (each * weights).sum(), weights.sum()

    def label_counts(self, encoded: Encoded) -> list[int]:
        """Count the gold tags of words that are learnt."""
        counts = np.zeros(len(self.labels), dtype=np.int64)
        for feature in encoded.features:
            tags = np.asarray(feature["labels"])[:, 2]
            counts += np.bincount(tags[tags != IGNORED], minlength=len(self.labels))
        return counts.tolist()

    def uninformed(self, encoded: Encoded) -> list[np.ndarray]:
        """Return logits of what the gold's frequencies alone say: the empty slot, any of the words, entries, types."""
        counts = np.maximum(np.asarray(self.label_counts(encoded), dtype=np.float64), 0.5)
        inside = counts[1:].sum() / counts.sum()
        types = np.array(
            [sum(counts[at] for at, label in enumerate(self.labels) if label[2:] == name) for name in self.types]
        )
        told = np.zeros(0)
        if self._sentences:
            shares = np.mean([np.asarray(feature["labels"])[0, 3:] for feature in encoded.features], axis=0)
            shares = np.clip(shares, 1e-6, 1 - 1e-6)
            told = np.log(shares / (1 - shares))
        named = entry_shares(encoded, self._entries) * inside
        found = []
        for feature in encoded.features:
            words = len(feature["places"])
            each = np.full(words, (inside - named.sum()) / words)
            pointers = np.log(np.concatenate([[1.0 - inside], each, named]))
            found.append(np.tile(np.concatenate([pointers, np.log(types / types.sum()), told]), (words, 1)))
        return found

    def _more(self, answers: Answers, gold: list[np.ndarray], *, details: bool) -> tuple[dict[str, float], Any]:
        assert isinstance(answers, PointerAnswers)
        counts = pointer_counts(answers, np.concatenate(gold))
        rates = _entry_rates if self._entries else _rates
        metrics = {name: float(values[0]) for name, values in rates(counts.sum(axis=0)[None]).items()}
        told = np.zeros((0, 3), dtype=np.int64)
        if self._sentences:
            told = sentence_counts(answers, np.concatenate(gold))
            metrics |= {name: float(values[0]) for name, values in _sentences(told.sum(axis=0)[None]).items()}
        if not details:
            return metrics, {}
        drawn = scores.bootstrap_counts(*np.unique(counts, axis=0, return_counts=True), rates)
        if self._sentences:
            drawn |= scores.bootstrap_counts(*np.unique(told, axis=0, return_counts=True), _sentences)
        return metrics, {name: scores.interval(values) for name, values in drawn.items()}

    def _shown(self, answers: Answers, row: int) -> dict[str, Any]:
        assert isinstance(answers, PointerAnswers)
        targets = answers.targets[answers.part(row)]
        found: dict[str, Any] = {"pointers": [self._told(int(target)) for target in targets]}
        if self._sentences:
            shares = answers.contains[row].tolist()
            found["contains"] = dict(zip(self.types, shares, strict=True))
        return found

    def _told(self, target: int) -> int | dict[str, Any] | None:
        """Return what a word points to as plain data: None for the empty slot, a word, or an entry."""
        if target > ENTRY or self.dictionary is None:
            return None if target == NOWHERE else target
        entry = self.dictionary.entries[ENTRY - target]
        return {"entry": entry.text, "type": entry.kind, "number": ENTRY - target}


def _rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return scores of counts as :func:`~.pointer_reading.pointer_counts` gives them, summed; shape (resamples, 8)."""
    right, words, hits, predicted, gold = sums.T[:5]
    precision, recall, _ = scores.f1_parts(hits, predicted, gold)
    return {"pointer_accuracy": right / np.maximum(words, 1), "null_precision": precision, "null_recall": recall}


def _entry_rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return the same, and how well entries of the dictionary are pointed to."""
    precision, recall, _ = scores.f1_parts(*sums.T[5:])
    return {**_rates(sums), "entry_precision": precision, "entry_recall": recall}


def _sentences(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return scores of counts as :func:`~.pointer_reading.sentence_counts` gives them, summed; shape (resamples, 3)."""
    told, both, rows = sums.T
    return {"sentence_accuracy": told / np.maximum(rows, 1), "frame_accuracy": both / np.maximum(rows, 1)}
