"""Dependency: the head of each word by a pointer over the words of its sentence, and its relation to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import TaskConfig
from core.data.tasks.base import Encoded, Evaluation, Prediction, Rows
from core.data.tasks.dependency_baseline import Neighbours
from core.data.tasks.dependency_decoding import best_heads, best_tree, is_tree
from core.data.tasks.dependency_details import dependency_details
from core.data.tasks.dependency_reading import NOT_SEEN, Sentence, read_sentences, sentence_features
from core.data.tasks.dependency_scores import Answer, count_of, counted_words, metrics_of, rates, universal
from core.data.tasks.pieces import batches, frame_of, pad
from core.data.tree_rows import POINTS
from core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import torch

__all__ = ["Dependency"]


class Dependency:
    """A pointer from each word to its head, the empty slot being the root (or none); see :mod:`core.models.pointer`.

    Parameters
    ----------
    config
        ``tree``, ``relations``, ``score_punctuation``, ``stride`` and ``pointer`` count here.
    labels
        Relations in the order of their indices; without relations ``none`` and ``word``.

    Raises
    ------
    DataError
        If there is no relation, one is named twice, or the labels are others without relations.

    Notes
    -----
    The loss of a word is the cross-entropy of its head and, with relations, that of its relation given what the pointer
    reads times ``pointer.type_weight`` (Dozat & Manning 2017 add both, weighed alike). A word's first sub-word stands
    for it. Trees are decoded by :func:`core.data.tasks.dependency_decoding.best_tree`.
    """

    kind = "dependency"
    auto_class = "AutoModelForDependency"

    def __init__(self, config: TaskConfig, labels: Sequence[str]) -> None:
        self.config = config
        self.labels = [str(label) for label in labels]
        if not config.relations and self.labels != POINTS:
            raise DataError(
                "These are not what words are counted by where relations are not learnt.",
                where=f"labels: {', '.join(self.labels)}"[:200], expected=", ".join(POINTS),
            )  # fmt: skip
        twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if not self.labels or twice:
            raise DataError(
                f"Relations are named twice: {', '.join(twice)}." if twice else "There is no relation.",
                expected="each relation once", advice="Look at the column with the relations: is it the right one?",
            )  # fmt: skip
        self.metric_names = metrics_of(config)
        self.primary_metric = self.metric_names[0]
        self._kinds = universal(self.labels)

    @property
    def _relations(self) -> int:
        return len(self.labels) if self.config.relations else 0

    def model_kwargs(self) -> dict[str, Any]:
        """Return the head's arguments: label names as in stock configs, and what kind of pointers there are."""
        own = self.config.pointer
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: index for index, label in enumerate(self.labels)},
            "pointers": {
                "kind": "dependency",
                "relations": self._relations,
                "itself": not self.config.tree,
                "size": own.size,
                "reach": own.reach if own.relative else None,
                "memory": own.memory,
            },
        }

    def encode(self, rows: Rows, tokenizer: Any, max_length: int, *, labelled: bool = True) -> Encoded:
        """Tokenise ``tokens`` into one feature a window; see :func:`~.dependency_reading.sentence_features`.

        Raises
        ------
        ConfigError
            If `max_length` leaves no room beside the special pieces.
        """
        frame = frame_of(tokenizer)
        capacity = max_length - frame.size
        if capacity < 1:
            raise ConfigError(
                f"A window of {max_length} sub-words has no room for words.", where="model.max_length",
                expected=f"at least {frame.size + 1}",
            )  # fmt: skip
        found = Encoded([], [], [])
        stride = min(self.config.stride, capacity - 1)
        sentence_features(rows, tokenizer, frame, capacity, stride, labelled=labelled, found=found)
        return found

    def collate(
        self, features: Sequence[dict[str, Any]], tokenizer: Any, *, pad_to: int | None = None
    ) -> dict[str, torch.Tensor]:
        """Pad features.

        ``words`` is int64 of shape (batch, words), the position of each word's first sub-word, -1 where there is no
        word; ``labels`` is int64 of shape (batch, words, 2): head and relation, -100 where nothing is learnt.
        """
        import torch

        batch = pad(features, tokenizer, pad_to)
        width = max((len(feature["places"]) for feature in features), default=0)
        words = np.full((len(features), width), -1, dtype=np.int64)
        for row, feature in enumerate(features):
            words[row, : len(feature["places"])] = feature["places"]
        batch["words"] = torch.from_numpy(words)
        if features and "labels" in features[0]:
            labels = np.full((len(features), width, 2), NOT_SEEN, dtype=np.int64)
            for row, feature in enumerate(features):
                labels[row, : len(feature["labels"])] = feature["labels"]
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
            Shape (batch, words, 1 + words + relations).
        labels
            As :meth:`collate` gives them.
        label_smoothing
            Share of the gold that is spread evenly over the heads that could be, and over the relations.
        class_weights
            Weight of a word by its relation; without relations by whether it points to none or to a word.
        """
        from torch.nn import functional

        counted = labels[..., 0] != NOT_SEEN
        chosen, gold = logits[counted].float(), labels[counted]
        size = chosen.shape[-1] - self._relations
        pointers = functional.log_softmax(chosen[:, :size], dim=-1)
        each = -pointers.gather(1, gold[:, :1]).squeeze(1)
        if label_smoothing:
            # Heads that cannot be have the lowest number there is, and no part in the smoothing.
            open_ = chosen[:, :size] > -1e4
            spread = -pointers.masked_fill(~open_, 0.0).sum(dim=1) / open_.sum(dim=1)
            each = (1.0 - label_smoothing) * each + label_smoothing * spread
        kinds = gold[:, 1] if self._relations else (gold[:, 0] > 0).long()
        if self._relations:
            each = each + self.config.pointer.type_weight * functional.cross_entropy(
                chosen[:, size:], gold[:, 1], reduction="none", ignore_index=NOT_SEEN, label_smoothing=label_smoothing
            )
        weights = each.new_ones(len(each))
        if class_weights is not None:
            weights = class_weights.to(each.device, each.dtype)[kinds.clamp(min=0)]
        return (each * weights).sum(), weights.sum()

    def label_counts(self, encoded: Encoded) -> list[int]:
        """Count the relations that are learnt; without relations the words that point to none, and to a word."""
        counts = np.zeros(len(self.labels), dtype=np.int64)
        for feature in encoded.features:
            gold = np.asarray(feature["labels"])
            kinds = gold[:, 1] if self._relations else (gold[:, 0] > 0)[gold[:, 0] != NOT_SEEN].astype(np.int64)
            counts += np.bincount(kinds[kinds >= 0], minlength=len(self.labels))
        return counts.tolist()

    def calibrate(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> None:
        """Choose nothing: what is answered follows from the logits alone."""

    def _heads(self, sentence: Sentence) -> np.ndarray:
        return best_tree(sentence.scores) if self.config.tree else _pointers(sentence)

    def decode(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> list[Prediction]:
        """Return the head of each word, its relation and the head's probability."""
        sentences = [list(tokens) for batch in batches(rows) for tokens in batch["tokens"]]
        found = []
        read = read_sentences(logits, encoded, [len(tokens) for tokens in sentences], self._relations)
        for tokens, sentence in zip(sentences, read, strict=True):
            heads = self._heads(sentence)
            shares = sentence.shares()[np.arange(len(tokens)), heads]
            named = [self.labels[at] for at in sentence.relations.argmax(axis=1)] if self._relations else None
            found.append(
                Prediction(
                    " ".join(tokens), named if named is not None else heads.tolist(),
                    [float(share) for share in shares], tokens, heads=heads.tolist(), relations=named,
                )
            )  # fmt: skip
        return found

    def baseline(self, train_rows: Rows, rows: Rows) -> dict[str, float]:
        """Score heads without a model; see :class:`~core.data.tasks.dependency_baseline.Neighbours`."""
        if not len(rows):
            return {}
        usual = Neighbours(_gold(train_rows), tree=self.config.tree)
        counts = []
        for words, gold, relations in _gold(rows):
            heads = usual.heads(len(words))
            named = usual.relations(words) if self._relations else np.zeros(0, dtype=np.int64)
            counts.append(count_of(self._answer(words, gold, relations, heads, heads, named), self._kinds))
        scored = rates(np.sum(counts, axis=0), self.config)
        # Neighbours are no pointers that a model gave: nothing to compare with pointers before decoding.
        left_out = ("pointer_accuracy", "tree_share") if self.config.tree else ()
        return {name: float(value) for name, value in scored.items() if name not in left_out}

    def _answer(
        self, words: Sequence[str], gold: Sequence[int], relations: Sequence[int], heads: np.ndarray,
        pointers: np.ndarray, named: np.ndarray, sentence: Sentence | None = None,
    ) -> Answer:  # fmt: skip
        heads_gold, relations_gold = np.asarray(gold, dtype=np.int64), np.asarray(relations, dtype=np.int64)
        losses, shares = np.full(len(words), np.nan), np.ones(len(words))
        if sentence is not None:
            losses = sentence.losses(heads_gold, relations_gold if self._relations else None)
            shares = sentence.shares()[np.arange(len(words)), heads]
        return Answer(
            heads_gold, heads, pointers, relations_gold, named, counted_words(words, self.config), is_tree(pointers),
            losses, shares,
        )  # fmt: skip

    def evaluate(self, logits: Sequence[Any], encoded: Encoded, rows: Rows, *, details: bool = False) -> Evaluation:
        """Score logits against the gold; ``loss`` is the mean loss of a word, without weights and smoothing."""
        if not len(rows):
            return Evaluation({}, {"n": 0})
        gold = list(_gold(rows))
        answers = []
        for (words, heads, relations), sentence in zip(
            gold, read_sentences(logits, encoded, [len(one[0]) for one in gold], self._relations), strict=True
        ):
            named = sentence.relations.argmax(axis=1) if self._relations else np.zeros(0, dtype=np.int64)
            answers.append(
                self._answer(words, heads, relations, self._heads(sentence), _pointers(sentence), named, sentence)
            )
        counts = np.stack([count_of(answer, self._kinds) for answer in answers])
        metrics = {name: float(value) for name, value in rates(counts.sum(axis=0), self.config).items()}
        losses = np.concatenate([answer.losses for answer in answers])
        metrics["loss"] = float(np.nansum(losses) / max(1, np.isfinite(losses).sum()))
        if not details:
            return Evaluation(metrics)
        told = dependency_details(answers, counts, self._kinds, self.labels, rows, self.config)
        told |= {"lost": encoded.lost, "empty_words": encoded.empty_words, "windows": len(encoded.features)}
        return Evaluation(metrics, told)


def _pointers(sentence: Sentence) -> np.ndarray:
    """Return the best head of each word by itself; 0 for a word of which the tokenizer leaves nothing."""
    return np.where(sentence.answered, best_heads(sentence.scores), 0)


def _gold(rows: Rows) -> Iterator[tuple[list[str], list[int], list[int]]]:
    for batch in batches(rows):
        yield from zip(batch["tokens"], batch["heads"], batch["relations"], strict=True)
