"""Classification of texts or pairs of texts: one label a text, or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import TaskConfig
from core.data.tasks import scores
from core.data.tasks.base import Encoded, Evaluation, Prediction, Rows
from core.data.tasks.pieces import batches, pad, piece_texts
from core.errors import DataError

if TYPE_CHECKING:
    import torch

__all__ = ["Classification"]

_WORST = 50
_SHOWN_CHARACTERS = 1000
_LARGEST_MATRIX = 200


class Classification:
    """One label a text (softmax), or any number of labels (a sigmoid each).

    Parameters
    ----------
    config
        ``multi_label`` and ``threshold`` count here.
    labels
        Label names in the order of their indices.

    Raises
    ------
    DataError
        With fewer than two labels (multi-label: none), or with a label named twice.
    """

    kind = "classification"
    auto_class = "AutoModelForSequenceClassification"

    def __init__(self, config: TaskConfig, labels: Sequence[str]) -> None:
        self.config = config
        self.labels = [str(label) for label in labels]
        if len(set(self.labels)) != len(self.labels):
            twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
            raise DataError(f"A label is named twice: {', '.join(twice[:5])}.", expected="different label names")
        if len(self.labels) < (1 if config.multi_label else 2):
            raise DataError(
                f"There is nothing to tell apart: the data has {len(self.labels)} label(s).",
                where=f"labels: {', '.join(self.labels) or 'none'}",
                expected="at least one label" if config.multi_label else "at least two labels",
                advice="Look at the label column: is it the right one, and was the file cut?",
            )
        self.primary_metric = "micro_f1" if config.multi_label else "accuracy"
        scored = ("accuracy", "micro_f1", "macro_f1") if config.multi_label else ("accuracy", "macro_f1", "mcc")
        self.metric_names: tuple[str, ...] = (*scored, "loss")

    def model_kwargs(self) -> dict[str, Any]:
        """Return the head's arguments as stock transformers configs name them."""
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: index for index, label in enumerate(self.labels)},
            "problem_type": "multi_label_classification" if self.config.multi_label else "single_label_classification",
        }

    def encode(self, rows: Rows, tokenizer: Any, max_length: int, *, labelled: bool = True) -> Encoded:
        """Tokenise ``text`` (and ``text_pair``, where rows have it); one feature a row, cut at `max_length`."""
        features: list[dict[str, Any]] = []
        cut = 0
        for batch in batches(rows):
            gold = self._gold(batch) if labelled else None
            pairs = batch.get("text_pair")
            for index, (ids, types, over) in enumerate(piece_texts(tokenizer, batch["text"], pairs, max_length)):
                feature: dict[str, Any] = {"input_ids": ids}
                if types is not None:
                    feature["token_type_ids"] = types
                if gold is not None:
                    feature["labels"] = gold[index]
                features.append(feature)
                cut += over
        lengths = [len(feature["input_ids"]) for feature in features]
        return Encoded(features, lengths, list(range(len(features))), cut)

    def _gold(self, batch: dict[str, list[Any]]) -> list[Any]:
        """Return each row's label index, or with several labels its list of 0.0 and 1.0 in the order of labels."""
        if not self.config.multi_label:
            return [int(label) for label in batch["label"]]
        rows = [set(indices) for indices in batch["labels"]]
        return [[1.0 if label in indices else 0.0 for label in range(len(self.labels))] for indices in rows]

    def collate(
        self, features: Sequence[dict[str, Any]], tokenizer: Any, *, pad_to: int | None = None
    ) -> dict[str, torch.Tensor]:
        """Pad features; ``labels`` has shape (batch,), or with several labels (batch, labels) in float."""
        import torch

        batch = pad(features, tokenizer, pad_to)
        if features and "labels" in features[0]:
            kind = torch.float32 if self.config.multi_label else torch.int64
            batch["labels"] = torch.tensor([feature["labels"] for feature in features], dtype=kind)
        return batch

    def loss(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (sum of the weighted losses, sum of the weights); their quotient is torch's mean.

        One label: cross-entropy as ``torch.nn.CrossEntropyLoss`` defines it, the weights being those of the gold
        labels. Several: binary cross-entropy over all labels, smoothed towards one half; a class weight counts for its
        label's column.
        """
        import torch
        from torch.nn import functional

        logits = logits.float()
        weights = None if class_weights is None else class_weights.to(logits.device, torch.float32)
        if self.config.multi_label:
            target = labels.float() * (1.0 - label_smoothing) + label_smoothing / 2.0
            total = functional.binary_cross_entropy_with_logits(logits, target, weight=weights, reduction="sum")
            each = logits.new_ones(logits.shape[-1]) if weights is None else weights
            return total, each.sum() * logits.shape[0]
        total = functional.cross_entropy(
            logits, labels, weight=weights, label_smoothing=label_smoothing, reduction="sum"
        )
        norm = logits.new_tensor(float(labels.numel())) if weights is None else weights[labels].sum()
        return total, norm

    def label_counts(self, encoded: Encoded) -> list[int]:
        """Count the gold labels; with several labels, the rows that have each."""
        if not encoded.features:
            return [0] * len(self.labels)
        gold = np.asarray([feature["labels"] for feature in encoded.features])
        if self.config.multi_label:
            return [int(count) for count in gold.sum(axis=0)]
        return np.bincount(gold, minlength=len(self.labels)).tolist()

    def _probabilities(self, logits: Sequence[Any]) -> np.ndarray:
        stacked = np.stack([np.asarray(row, dtype=np.float64) for row in logits])
        if self.config.multi_label:
            return 0.5 * (1.0 + np.tanh(0.5 * stacked))  # the sigmoid, without overflow
        return scores.softmax(stacked)

    def decode(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> list[Prediction]:
        """Return the most probable label of each row, or with several labels those that reach the threshold."""
        if not len(rows):
            return []
        found: list[Prediction] = []
        probabilities = self._probabilities(logits)
        start = 0
        for batch in batches(rows):
            for text, row in zip(_shown(batch), probabilities[start : start + len(batch["text"])], strict=True):
                shares = {label: float(share) for label, share in zip(self.labels, row, strict=True)}
                found.append(Prediction(text=text, label=self._names(row), scores=shares))
            start += len(batch["text"])
        return found

    def _names(self, probabilities: np.ndarray) -> Any:
        if self.config.multi_label:
            return [self.labels[index] for index in np.flatnonzero(probabilities >= self.config.threshold)]
        return self.labels[int(probabilities.argmax())]

    def calibrate(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> None:
        """Choose nothing: what is answered follows from the logits alone."""

    def baseline(self, train_rows: Rows, rows: Rows) -> dict[str, float]:
        """Return nothing: the share of the most frequent label is among the details of :meth:`evaluate`."""
        return {}

    def evaluate(self, logits: Sequence[Any], encoded: Encoded, rows: Rows, *, details: bool = False) -> Evaluation:
        """Score logits against the gold.

        One label: accuracy, macro F1 and Matthews' correlation. Several: accuracy of the whole set, micro and macro
        F1. ``loss`` is the mean loss without weights and smoothing.
        """
        if not encoded.features:
            return Evaluation({}, {"n": 0})
        stacked = np.stack([np.asarray(row, dtype=np.float64) for row in logits])
        probabilities = self._probabilities(logits)
        gold = np.asarray([feature["labels"] for feature in encoded.features])
        if self.config.multi_label:
            truth = gold > 0.5
            answer = probabilities >= self.config.threshold
            losses = (np.logaddexp(0.0, stacked) - stacked * truth).mean(axis=1)
        else:
            index = np.arange(len(gold))
            truth = _one_hot(gold, len(self.labels))
            answer = _one_hot(probabilities.argmax(axis=1), len(self.labels))
            highest = stacked.max(axis=1, keepdims=True)
            losses = np.log(np.exp(stacked - highest).sum(axis=1)) + highest[:, 0] - stacked[index, gold]
        groups, sizes = _group(truth, answer)
        metrics = {name: float(value[0]) for name, value in self._scores(sizes[None] @ groups).items()}
        metrics["loss"] = float(losses.mean())
        if not details:
            return Evaluation(metrics)
        return Evaluation(metrics, self._details(truth, answer, (groups, sizes), losses, probabilities, rows))

    def _scores(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return the metrics of summed counts, shape (samples, 3 · labels + 2)."""
        hits, predicted, gold = _split(sums, len(self.labels))
        if not self.config.multi_label:
            return scores.matrix_scores(hits, predicted, gold)
        exact, rows = sums[:, -2], sums[:, -1]
        return {
            "accuracy": exact / np.maximum(rows, 1),
            "micro_f1": scores.micro_f1(hits, predicted, gold),
            "macro_f1": scores.f1_parts(hits, predicted, gold)[2].mean(axis=-1),
        }

    def _details(
        self,
        truth: np.ndarray,
        answer: np.ndarray,
        counts: tuple[np.ndarray, np.ndarray],
        losses: np.ndarray,
        probabilities: np.ndarray,
        rows: Rows,
    ) -> dict[str, Any]:
        size = len(self.labels)

        def statistic(sums: np.ndarray) -> dict[str, np.ndarray]:
            return {**self._scores(sums), "each": scores.f1_parts(*_split(sums, size))[2]}

        drawn = scores.bootstrap_counts(*counts, statistic)
        each = drawn.pop("each")
        intervals = {name: scores.interval(values) for name, values in drawn.items()}
        intervals["loss"] = scores.interval(scores.bootstrap_mean(losses))
        hits, predicted, gold = _split(counts[1][None] @ counts[0], size)
        precision, recall, f1 = (part[0] for part in scores.f1_parts(hits, predicted, gold))
        per_label = [
            {
                "label": label,
                "precision": float(precision[index]),
                "recall": float(recall[index]),
                "f1": float(f1[index]),
                "support": int(gold[0, index]),
                "interval": scores.interval(each[:, index]),
            }
            for index, label in enumerate(self.labels)
        ]
        found: dict[str, Any] = {"n": len(truth), "intervals": intervals, "per_label": per_label}
        if self.config.multi_label:
            sets, sizes = np.unique(truth, axis=0, return_counts=True)
            found["majority"] = float(sizes.max() / len(truth))
            found["majority_label"] = [self.labels[index] for index in np.flatnonzero(sets[sizes.argmax()])]
        else:
            found["majority"] = float(gold.max() / len(truth))
            found["majority_label"] = self.labels[int(gold.argmax())]
            if size <= _LARGEST_MATRIX:
                matrix = truth.T.astype(np.int64) @ answer.astype(np.int64)
                found["confusion"] = {"labels": self.labels, "matrix": matrix.tolist()}
        found["worst"] = self._worst(truth, losses, probabilities, rows)
        # One bit a row, so that runs can be compared document by document.
        found["documents"] = {"score": "mean", "bits": np.packbits((truth == answer).all(axis=1)).tobytes().hex()}
        return found

    def _worst(
        self, truth: np.ndarray, losses: np.ndarray, probabilities: np.ndarray, rows: Rows
    ) -> list[dict[str, Any]]:
        found = []
        for index in np.argsort(-losses, kind="stable")[:_WORST]:
            row = rows[int(index)]
            text = _shown({name: [row[name]] for name in ("text", "text_pair") if row.get(name) is not None})[0]
            shares = probabilities[index]
            gold = [self.labels[label] for label in np.flatnonzero(truth[index])]
            if self.config.multi_label:  # how sure the model was of its least sure answer
                confidence = float(np.where(shares >= self.config.threshold, shares, 1 - shares).min())
            else:
                confidence = float(shares.max())
            found.append(
                {
                    "row": row.get("row", int(index) + 1),
                    "source": row.get("source"),
                    "text": text[:_SHOWN_CHARACTERS] + ("…" if len(text) > _SHOWN_CHARACTERS else ""),
                    "gold": gold if self.config.multi_label else gold[0],
                    "predicted": self._names(shares),
                    "loss": float(losses[index]),
                    "confidence": confidence,
                }
            )
        return found


def _shown(batch: dict[str, list[Any]]) -> list[str]:
    """Return the texts as they are shown: those of a pair with a bar between them."""
    if batch.get("text_pair") is None:
        return batch["text"]
    return [f"{text} | {other}" for text, other in zip(batch["text"], batch["text_pair"], strict=True)]


def _one_hot(indices: np.ndarray, size: int) -> np.ndarray:
    return np.arange(size) == indices[:, None]


def _group(truth: np.ndarray, answer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group rows of equal gold and answer.

    Returns
    -------
    groups : int64 array, shape (groups, 3 · labels + 2)
        What a row of each group adds: hits, predictions and gold of each label, whether all is right, one row.
    sizes : int64 array, shape (groups,)
        Rows of each group.
    """
    _, first, sizes = np.unique(
        np.packbits(np.hstack([truth, answer]), axis=1), axis=0, return_index=True, return_counts=True
    )
    truth, answer = truth[first], answer[first]
    exact = (truth == answer).all(axis=1)
    ones = np.ones(len(first), dtype=bool)
    return np.column_stack([truth & answer, answer, truth, exact, ones]).astype(np.int64), sizes.astype(np.int64)


def _split(sums: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return sums[:, :size], sums[:, size : 2 * size], sums[:, 2 * size : 3 * size]
