"""What a task is. A new task is one module with a class of this shape and one line in the registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from core.config import TaskConfig

if TYPE_CHECKING:
    import torch

__all__ = ["Encoded", "Evaluation", "Prediction", "Rows", "Task"]


class Rows(Protocol):
    """What a task asks of rows in standard columns: a ``datasets.Dataset`` has it."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any) -> Any:
        """Return a dictionary of columns (lists) for a slice, or of values for an index."""
        ...


@dataclass
class Encoded:
    """A tokenised role.

    Parameters
    ----------
    features
        One dictionary a window: ``input_ids`` (list of int), with pairs of texts ``token_type_ids`` where the model
        reads them, the gold under ``labels`` (absent when predicting), and what decoding needs. There is no
        ``attention_mask``: a feature has no padding, and :meth:`Task.collate` makes the mask.
    lengths
        Sub-words of each feature.
    owner
        Index of the row that each feature belongs to (several windows may belong to one row), non-decreasing.
    cut
        Number of rows that were cut at the maximum length (always 0 for tagging: windows lose nothing).
    empty_words
        Tagging: number of words of which the tokeniser leaves nothing (they are answered with ``O``).
    lost
        Question answering: number of answers that no window holds whole; `cut` counts the questions that are cut.
        Dependency: number of words whose head stands in no window with them.
    """

    features: list[dict[str, Any]]
    lengths: list[int]
    owner: list[int]
    cut: int = 0
    empty_words: int = 0
    lost: int = 0


@dataclass
class Prediction:
    """One row's prediction, ready for JSON.

    Parameters
    ----------
    text
        The row's text; of a question the question itself.
    label
        Classification: the label (multi-label: list of labels). Tagging: list of IOB2 tags, one a word. Questions: the
        answer, empty for "no answer". Dependency: relations, or heads where there are none.
    scores
        Classification: probability by label. Tagging: list of the probability of each word's tag. Questions: the
        answer's probability among those that are listed. Dependency: probability of each word's head.
    words
        Tagging, dependency: the words.
    entities
        Tagging: the entities that the tags spell, {"type", "text", "start", "end" (characters of ``text``),
        "first", "last" (words), "score" (mean probability of their tags)}.
    answers
        Questions: the best answers, {"text", "start", "end" (characters of the context; None for no answer), "score"}.
    context
        Questions: the context.
    heads
        Dependency: head of each word, counted from 1; 0 for the root, or for none.
    relations
        Dependency: relation of each word to its head; None where they are not learnt.
    pointers
        Tagging by pointers: which word each word points to, counted from 0; None for the empty slot, and for an entry
        of a dictionary {"entry" (its text), "type", "number" (from 0)}.
    contains
        Tagging by pointers with a sentence label: probability by type that the sentence contains such an entity.
    spans
        Tagging by stretches: all that were found, {"type", "first", "last" (words), "score"}; they may overlap.
    """

    text: str
    label: Any
    scores: Any
    words: list[str] | None = None
    entities: list[dict[str, Any]] | None = None
    answers: list[dict[str, Any]] | None = None
    context: str | None = None
    heads: list[int] | None = None
    relations: list[str] | None = None
    pointers: list[int | dict[str, Any] | None] | None = None
    contains: dict[str, float] | None = None
    spans: list[dict[str, Any]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the prediction for JSON; words, entities, heads, answers and context only where the task has them."""
        found: dict[str, Any] = {"text": self.text, "label": self.label, "scores": self.scores}
        if self.heads is not None:
            found.update(words=self.words, heads=self.heads, relations=self.relations)
        elif self.words is not None:
            found.update(words=self.words, entities=self.entities)
        if self.answers is not None:
            found.update(answers=self.answers, context=self.context)
        if self.pointers is not None:
            found.update(pointers=self.pointers)
        if self.contains is not None:
            found.update(contains=self.contains)
        if self.spans is not None:
            found.update(spans=self.spans)
        return found


@dataclass
class Evaluation:
    """Scores of one role.

    Parameters
    ----------
    metrics
        Flat numbers, e.g. ``accuracy``, ``macro_f1``, ``mcc``, ``loss``; ``strict_f1`` for tagging.
    details
        JSON-ready: ``intervals`` {metric: [low, high]} (95 %, bootstrap over rows, seeded), ``confusion``
        {"labels", "matrix" (gold × predicted)}, ``per_label`` [{"label", "precision", "recall", "f1", "support",
        "interval"}] or ``entities`` [{"type", "precision", "recall", "f1", "support", "interval"}] or ``breakdown``
        [{"by", "value", "em", "f1", "support", "interval"}] of questions or ``arcs`` [{"by", "value", "heads",
        "labelled", "support", "interval"}] of heads, ``worst``
        [{"row", "source", "text", "gold", "predicted", "loss", "confidence"}] (the 50 with the highest loss),
        ``majority`` (accuracy of always answering the most frequent label, where that has a meaning) with
        ``majority_label``, ``n``. Whoever has the training rows of a tagging run may add ``baseline``, the scores of
        :func:`core.data.tasks.tagging_scores.most_frequent_tagger`.
    """

    metrics: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict)


class Task(Protocol):
    """Format, collation, head, loss, decoding and metrics of one kind of task."""

    kind: str
    config: TaskConfig
    #: Label names in the order of their indices.
    labels: list[str]
    #: Name of the transformers class that gives the head, e.g. ``AutoModelForSequenceClassification``.
    auto_class: str
    #: Metric that picks the best checkpoint unless the stage names another; larger is better.
    primary_metric: str
    #: Names of all metrics that :meth:`evaluate` returns, with ``loss``; all but ``loss`` are better when larger.
    metric_names: tuple[str, ...]

    def __init__(self, config: TaskConfig, labels: Sequence[str]) -> None: ...

    def model_kwargs(self) -> dict[str, Any]:
        """Return keyword arguments for the model's config (``num_labels``, ``id2label``, ``problem_type`` …)."""
        ...

    def encode(self, rows: Rows, tokenizer: Any, max_length: int, *, labelled: bool = True) -> Encoded:
        """Tokenise rows (standard columns, see docs/architecture.md) into features."""
        ...

    def collate(
        self, features: Sequence[dict[str, Any]], tokenizer: Any, *, pad_to: int | None = None
    ) -> dict[str, torch.Tensor]:
        """Pad features into tensors: ``input_ids``, ``attention_mask`` of shape (batch, length), ``labels``."""
        ...

    def loss(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (sum of the weighted losses, sum of the weights), so that micro-batches add up exactly."""
        ...

    def label_counts(self, encoded: Encoded) -> list[int]:
        """Count the gold labels, in the order of ``labels``, for balanced class weights."""
        ...

    def decode(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> list[Prediction]:
        """Turn logits (one numpy array a feature, without padding) into one prediction a row."""
        ...

    def calibrate(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> None:
        """Choose, on gate rows, what is decided after training and kept with the model in ``config``; often nothing."""
        ...

    def baseline(self, train_rows: Rows, rows: Rows) -> dict[str, float]:
        """Score, by metric, what a method without a model reaches on labelled rows; empty if there is none."""
        ...

    def evaluate(self, logits: Sequence[Any], encoded: Encoded, rows: Rows, *, details: bool = False) -> Evaluation:
        """Score logits against the gold; `details` adds intervals, tables and the worst predictions."""
        ...
