"""Tagging: an IOB2 tag for each word, from the word's first sub-word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import TaskConfig
from core.data.tasks import scores
from core.data.tasks.base import Encoded, Evaluation, Prediction, Rows
from core.data.tasks.pieces import batches, frame_of, pad, piece_words
from core.data.tasks.span_scores import OF_TAGS, SPAN_METRICS, Span, known_spans, spans_in
from core.data.tasks.tagging_answers import Answers, entities_of, read_answers
from core.data.tasks.tagging_scores import entity_scores, most_frequent_tagger, tag_tables
from core.data.tasks.windows import plan_windows, window_of
from core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import torch

__all__ = ["IGNORED", "Tagging", "WordWindow"]

#: Gold of a position that is not a word's first sub-word; torch's cross-entropy passes over it.
IGNORED = -100
_WORST = 50
_SHOWN_WORDS = 300


@dataclass(frozen=True)
class WordWindow:
    """What one window shows of a sentence.

    Parameters
    ----------
    pieces
        Its sub-words with the special pieces.
    places
        Position of the first sub-word of each word that it shows, shape (words,).
    words
        Which words these are.
    own
        Whether it answers for them.
    tags
        Gold tags of the whole sentence, or None.
    spans
        Gold spans of the whole sentence where the rows have spans: first word, last word, type.
    tokens
        All words of the sentence, where they are known.
    """

    pieces: list[int]
    places: np.ndarray
    words: np.ndarray
    own: np.ndarray
    tags: np.ndarray | None
    spans: list[Span] | None = None
    tokens: Sequence[str] | None = None


class Tagging:
    """A tag a word; its first sub-word answers, in the window in which it has most context.

    Parameters
    ----------
    config
        ``stride`` counts here.
    labels
        IOB2 tags in the order of their indices, ``O`` first.

    Raises
    ------
    DataError
        If ``O`` is not first, a tag is not IOB2 or named twice, or there is no entity tag.
    """

    kind = "tagging"
    auto_class = "AutoModelForTokenClassification"
    primary_metric = "strict_f1"
    metric_names: tuple[str, ...] = ("strict_f1", "precision", "recall", "token_accuracy", "loss")

    def __init__(self, config: TaskConfig, labels: Sequence[str]) -> None:
        self.config = config
        self.labels = [str(label) for label in labels]
        wrong = [tag for tag in self.labels if tag != "O" and not (tag[:2] in ("B-", "I-") and len(tag) > 2)]
        if wrong or len(set(self.labels)) != len(self.labels) or self.labels[:1] != ["O"]:
            raise DataError(
                "The tags are not an IOB2 list.",
                where=f"tags: {', '.join(wrong or self.labels)[:200]}",
                expected="O first, then each of B-TYPE and I-TYPE once",
            )
        if len(self.labels) < 2:
            raise DataError(
                "There is nothing to tag: every word is O.",
                expected="tags such as B-PER and I-PER",
                advice="Look at the tag column: is it the right one?",
            )
        self.types = sorted({tag[2:] for tag in self.labels[1:]})
        if config.gold == "spans":
            self.primary_metric = SPAN_METRICS[0]
            self.metric_names = (*SPAN_METRICS, *(name for name in self.metric_names if name not in OF_TAGS))

    def model_kwargs(self) -> dict[str, Any]:
        """Return the head's arguments as stock transformers configs name them."""
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: index for index, label in enumerate(self.labels)},
        }

    def encode(self, rows: Rows, tokenizer: Any, max_length: int, *, labelled: bool = True) -> Encoded:
        """Tokenise ``tokens`` into one feature a window.

        A feature has ``positions`` (of the first sub-words that it answers for) and ``words`` (their words), and with
        `labelled` the gold under ``labels``: -100 everywhere but there. Each word of which the tokeniser leaves
        anything is answered for exactly once; a window that answers for no word is left out.

        Raises
        ------
        ConfigError
            If `max_length` leaves no room beside the special pieces.
        """
        frame = frame_of(tokenizer)
        capacity = max_length - frame.size
        if capacity < 1:
            raise ConfigError(
                f"A window of {max_length} sub-words has no room for words.",
                where="model.max_length",
                expected=f"at least {frame.size + 1}",
            )
        stride = min(self.config.stride, capacity - 1)
        before, behind = list(frame.before), list(frame.behind)
        found = Encoded([], [], [])
        row = 0
        for batch in batches(rows):
            for index, (ids, owners) in enumerate(piece_words(tokenizer, batch["tokens"])):
                words, firsts = np.unique(owners, return_index=True)
                found.empty_words += len(batch["tokens"][index]) - len(words)
                gold = np.asarray(batch["tags"][index], dtype=np.int64) if labelled else None
                told = spans_in(batch, index, self.labels) if labelled and self.config.gold == "spans" else None
                windows = plan_windows(len(ids), capacity, stride)
                answering = window_of(firsts, windows) if len(windows) > 1 else np.zeros(len(words), dtype=np.int64)
                for number, (start, end) in enumerate(windows):
                    own = answering == number
                    if not own.any():
                        continue
                    seen = (firsts >= start) & (firsts < end)
                    places = (firsts[seen] - start + len(before)).astype(np.int32)
                    pieces = before + ids[start:end] + behind
                    words_seen, tokens = words[seen].astype(np.int32), batch["tokens"][index]
                    window = WordWindow(pieces, places, words_seen, own[seen], gold, told, tokens)
                    found.features.append(self._feature(window, found))
                    found.lengths.append(len(pieces))
                    found.owner.append(row)
                row += 1
        return found

    def _feature(self, window: WordWindow, found: Encoded) -> dict[str, Any]:
        """Return the feature of a window; what it cannot learn is counted in `found`."""
        positions, words = window.places[window.own], window.words[window.own]
        feature: dict[str, Any] = {"input_ids": window.pieces, "positions": positions, "words": words}
        if window.tags is not None:
            labels = np.full(len(window.pieces), IGNORED)
            labels[positions] = window.tags[words]
            feature["labels"] = labels.tolist()
        return feature

    def _read(self, logits: Sequence[Any], encoded: Encoded, words: list[int]) -> Answers:
        """Return what the windows say of all words."""
        return read_answers(logits, encoded, words, len(self.labels))

    def _more(self, answers: Answers, gold: list[np.ndarray], *, details: bool) -> tuple[dict[str, float], Any]:
        """Return scores beside those of entities, and their intervals where `details` are asked for."""
        return {}, {}

    def _shown(self, answers: Answers, row: int) -> dict[str, Any]:
        """Return what is shown of a row beside its tags."""
        return {}

    def collate(
        self, features: Sequence[dict[str, Any]], tokenizer: Any, *, pad_to: int | None = None
    ) -> dict[str, torch.Tensor]:
        """Pad features; ``labels`` is int64 of shape (batch, length), -100 where no word answers."""
        import torch

        batch = pad(features, tokenizer, pad_to)
        if features and "labels" in features[0]:
            labels = np.full(tuple(batch["input_ids"].shape), IGNORED, dtype=np.int64)
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
        """Return (sum of the weighted losses, sum of the weights) over words; see ``torch.nn.CrossEntropyLoss``.

        Parameters
        ----------
        logits
            Shape (batch, length, labels).
        labels
            Shape (batch, length), -100 where no word answers.
        """
        import torch
        from torch.nn import functional

        labels = labels.reshape(-1)
        counted = labels != IGNORED
        gold = labels[counted]
        chosen = logits.reshape(-1, logits.shape[-1])[counted].float()
        weights = None if class_weights is None else class_weights.to(logits.device, torch.float32)
        total = functional.cross_entropy(chosen, gold, weight=weights, label_smoothing=label_smoothing, reduction="sum")
        return total, counted.sum().to(torch.float32) if weights is None else weights[gold].sum()

    def label_counts(self, encoded: Encoded) -> list[int]:
        """Count the gold tags of words."""
        counts = np.zeros(len(self.labels), dtype=np.int64)
        for feature in encoded.features:
            gold = np.asarray(feature["labels"])
            counts += np.bincount(gold[gold != IGNORED], minlength=len(self.labels))
        return counts.tolist()

    def decode(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> list[Prediction]:
        """Return the most probable tag of each word, and the entities that the tags spell strictly."""
        sentences = [list(tokens) for batch in batches(rows) for tokens in batch["tokens"]]
        answers = self._read(logits, encoded, [len(tokens) for tokens in sentences])
        found = []
        for row, tokens in enumerate(sentences):
            part = answers.part(row)
            tags = [self.labels[index] for index in answers.tags[part]]
            shares = [float(share) for share in answers.shares[part]]
            entities = entities_of(tokens, tags, shares)
            found.append(Prediction(" ".join(tokens), tags, shares, tokens, entities, **self._shown(answers, row)))
        return found

    def calibrate(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> None:
        """Choose nothing: what is answered follows from the logits alone."""

    def baseline(self, train_rows: Rows, rows: Rows) -> dict[str, float]:
        """Return the scores of :func:`most_frequent_tagger`; with spans of the entities seen in training."""
        if self.config.gold == "spans":
            return known_spans(train_rows, rows, self.labels)
        return most_frequent_tagger(train_rows, rows, self.labels)

    def evaluate(self, logits: Sequence[Any], encoded: Encoded, rows: Rows, *, details: bool = False) -> Evaluation:
        """Score logits against the gold: strict entity precision, recall, F1; token accuracy; mean loss of a word.

        Where the rows have spans, see :func:`core.data.tasks.span_evaluation.evaluate_spans`.
        """
        if not len(rows):
            return Evaluation({}, {"n": 0})
        if self.config.gold == "spans":
            from core.data.tasks.span_evaluation import evaluate_spans

            return evaluate_spans(self, logits, encoded, rows, details=details)
        gold_ids = [np.asarray(tags, dtype=np.int64) for batch in batches(rows) for tags in batch["tags"]]
        answers = self._read(logits, encoded, [len(tags) for tags in gold_ids])
        flat = np.concatenate(gold_ids)
        losses, counted = answers.losses(flat)
        gold = [[self.labels[index] for index in tags] for tags in gold_ids]
        predicted = [[self.labels[index] for index in answers.tags[answers.part(row)]] for row in range(len(gold))]
        metrics = entity_scores(gold, predicted)
        further, intervals = self._more(answers, gold_ids, details=details)
        metrics |= further
        metrics["loss"] = float(losses.sum() / max(1, counted.sum()))
        if not details:
            return Evaluation(metrics)
        bounds = answers.bounds
        right = answers.tags == flat
        sums = {
            name: np.add.reduceat(np.append(values.astype(np.float64), 0.0), bounds[:-1]) * (np.diff(bounds) > 0)
            for name, values in (("loss", losses), ("words", counted), ("right", right))
        }
        found = tag_tables(self.types, gold, predicted, sums["right"], np.diff(bounds))
        found["intervals"] |= intervals
        worded = sums["words"] > 0
        if worded.any():
            drawn = scores.bootstrap_mean(sums["loss"][worded], sums["words"][worded])
            found["intervals"]["loss"] = scores.interval(drawn)
        means = sums["loss"] / np.maximum(sums["words"], 1)
        found["worst"] = self._worst(gold, predicted, means, answers, rows)
        found["empty_words"] = encoded.empty_words
        return Evaluation(metrics, found)

    def _worst(
        self, gold: list[list[str]], predicted: list[list[str]], means: np.ndarray, answers: Answers, rows: Rows
    ) -> list[dict[str, Any]]:
        found = []
        for index in (int(place) for place in np.argsort(-means, kind="stable")[:_WORST]):
            row = rows[index]
            tokens = list(row["tokens"])[:_SHOWN_WORDS]
            shares = answers.shares[answers.part(index)]
            found.append(
                {
                    "row": row.get("row", index + 1),
                    "source": row.get("source"),
                    "text": " ".join(tokens),
                    "words": tokens,
                    "gold": gold[index][:_SHOWN_WORDS],
                    "predicted": predicted[index][:_SHOWN_WORDS],
                    "loss": float(means[index]),
                    "confidence": float(shares.min()) if len(shares) else 1.0,
                    **self._shown(answers, index),
                }
            )
        return found
