"""Tagging by stretches: every stretch of words is scored for every type, so that entities may lie inside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.tasks import scores
from core.data.tasks.base import Encoded
from core.data.tasks.pieces import pad
from core.data.tasks.pointer_spans import SpanAnswers, dense, read_spans, span_counts, window_loss
from core.data.tasks.tagging import IGNORED, Tagging, WordWindow
from core.data.tasks.tagging_answers import Answers
from core.data.tasks.words import spans

if TYPE_CHECKING:
    import torch

__all__ = ["GlobalTagging"]

#: Constant scores that are tried for what frequencies alone say.
_TRIED = np.linspace(-15.0, 3.0, 73)


class GlobalTagging(Tagging):
    """Entities as stretches with a score above 0, of any type; the answers are IOB2 tags of those that do not overlap.

    Parameters
    ----------
    config
        ``stride`` and ``pointer`` count here.
    labels
        IOB2 tags in the order of their indices, ``O`` first.

    Notes
    -----
    Gold are the entities that tags spell, or the spans of the rows (``gold``), which may nest and overlap. The loss of
    a window is the mean over types of :func:`core.data.tasks.pointer_spans.window_loss`; a window answers
    for the stretches that begin with words of its own. An entity that no window shows whole is not learnt. Scores: see
    :class:`core.models.pointer.spans.SpanPointer`.
    """

    auto_class = "AutoModelForPointers"
    metric_names: tuple[str, ...] = ("strict_f1", "precision", "recall", "token_accuracy", "span_f1", "loss")

    def model_kwargs(self) -> dict[str, Any]:
        """Return label names as in stock configs, and what kind of head there is."""
        wanted = self.config.pointer
        head = {"points": "spans", "size": wanted.size, "relative": wanted.relative, "types": len(self.types)}
        return {**super().model_kwargs(), "pointers": head}

    def _feature(self, window: WordWindow, found: Encoded) -> dict[str, Any]:
        """Return a feature with ``places``, ``words``, ``own`` and ``spans`` (how many types).

        Gold is a list of [first, last, type] among the words that the window shows; ``tags`` holds those of its own.
        """
        feature: dict[str, Any] = {
            "input_ids": window.pieces, "places": window.places, "words": window.words, "own": window.own,
            "spans": len(self.types),
        }  # fmt: skip
        if window.tags is not None:
            named = spans([self.labels[index] for index in window.tags])
            entities = [(first, last, kind) for kind, first, last in named] if window.spans is None else window.spans
            at = {int(word): place for place, word in enumerate(window.words)}
            gold = []
            for first, last, kind in entities:
                if first in at and window.own[at[first]]:
                    if last in at:
                        gold.append([at[first], at[last], self.types.index(kind)])
                    else:
                        found.lost += 1
            feature["labels"] = gold
            feature["tags"] = window.tags[window.words[window.own]]
            if window.spans is not None:
                here = [kind for first, _, kind in entities if first in at and window.own[at[first]]]
                feature["begins"] = [self.labels.index(f"B-{kind}") for kind in here]
        return feature

    def _read(self, logits: Sequence[Any], encoded: Encoded, words: list[int]) -> Answers:
        return read_spans(logits, encoded, words, self.labels, self.types)

    def collate(
        self, features: Sequence[dict[str, Any]], tokenizer: Any, *, pad_to: int | None = None
    ) -> dict[str, torch.Tensor]:
        """Pad features.

        ``words`` is int64 of shape (batch, words), the position of each word's first sub-word, -1 where there is no
        word; ``labels`` is int8 of shape (batch, words, words · types): 1 for an entity, 0 for none, -100 where nothing
        is learnt.
        """
        import torch

        batch = pad(features, tokenizer, pad_to)
        width = max((len(feature["places"]) for feature in features), default=0)
        words = np.full((len(features), width), -1, dtype=np.int64)
        for row, feature in enumerate(features):
            words[row, : len(feature["places"])] = feature["places"]
        batch["words"] = torch.from_numpy(words)
        if features and "labels" in features[0]:
            labels = np.full((len(features), width, width, len(self.types)), IGNORED, dtype=np.int8)
            for row, feature in enumerate(features):
                own = len(feature["places"])
                labels[row, :own, :own] = dense(feature, IGNORED)
            batch["labels"] = torch.from_numpy(labels.reshape(len(features), width, -1))
        return batch

    def loss(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (sum of the weighted losses, sum of the weights) over windows and types.

        Parameters
        ----------
        logits
            Shape (batch, words, words · types).
        labels
            As :meth:`collate` gives them.
        label_smoothing
            Must be 0: a plan with another value is refused.
        class_weights
            Weight of a type by its tag ``B-TYPE``, shape (labels,).
        """
        import torch

        types = len(self.types)
        chosen = logits.float().reshape(len(logits), -1, types)
        gold = labels.reshape(len(labels), -1, types)
        zero = chosen.new_zeros(len(chosen), 1, types)
        lowest = torch.finfo(torch.float32).min
        none = torch.where(gold == 0, chosen, chosen.new_tensor(lowest))
        some = torch.where(gold == 1, -chosen, chosen.new_tensor(lowest))
        each = torch.cat([zero, none], dim=1).logsumexp(dim=1) + torch.cat([zero, some], dim=1).logsumexp(dim=1)
        weights = each.new_ones(types)
        if class_weights is not None:
            places = [self.labels.index(f"B-{name}") if f"B-{name}" in self.labels else 0 for name in self.types]
            weights = class_weights.to(each.device, each.dtype)[places]
        return (each * weights).sum(), weights.sum() * len(each)

    def label_counts(self, encoded: Encoded) -> list[int]:
        """Count the gold tags of words; where the rows have spans, ``B-TYPE`` are all spans of a type."""
        counts = np.zeros(len(self.labels), dtype=np.int64)
        begins = np.array([label.startswith("B-") for label in self.labels])
        for feature in encoded.features:
            found = np.bincount(feature["tags"], minlength=len(self.labels))
            if "begins" in feature:
                told = np.bincount(np.asarray(feature["begins"], dtype=np.int64), minlength=len(self.labels))
                found = np.where(begins, told, found)
            counts += found
        return counts.tolist()

    def uninformed(self, encoded: Encoded) -> list[np.ndarray]:
        """Return logits of what the gold's frequencies alone say: for each type the best of one score for all."""
        losses = np.zeros((len(_TRIED), len(self.types)))
        for feature in encoded.features:
            gold = dense(feature)
            losses += [window_loss(np.full(gold.shape, score), gold) for score in _TRIED]
        best = _TRIED[losses.argmin(axis=0)]
        found = []
        for feature in encoded.features:
            words = len(feature["words"])
            part = np.where(np.triu(np.ones((words, words), dtype=bool))[..., None], best, -np.inf)
            found.append(part.reshape(words, -1))
        return found

    def _more(self, answers: Answers, gold: list[np.ndarray], *, details: bool) -> tuple[dict[str, float], Any]:
        assert isinstance(answers, SpanAnswers)
        if self.config.gold == "spans":  # they are the scores themselves
            return {}, {}
        counts = span_counts(answers, [[self.labels[index] for index in tags] for tags in gold])
        metrics = {"span_f1": float(_f1(counts.sum(axis=0)[None])["span_f1"][0])}
        if not details:
            return metrics, {}
        drawn = scores.bootstrap_counts(*np.unique(counts, axis=0, return_counts=True), _f1)
        return metrics, {"span_f1": scores.interval(drawn["span_f1"])}

    def _shown(self, answers: Answers, row: int) -> dict[str, Any]:
        assert isinstance(answers, SpanAnswers)
        found = answers.found[row]
        shares = 1.0 / (1.0 + np.exp([-one.score for one in found]))
        return {
            "spans": [
                {"type": one.kind, "first": one.first, "last": one.last, "score": float(share)}
                for one, share in zip(found, shares, strict=True)
            ]
        }


def _f1(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return F1 of counts as :func:`~.pointer_spans.span_counts` gives them, summed; shape (resamples, 3)."""
    return {"span_f1": scores.f1_parts(*sums.T)[2]}
