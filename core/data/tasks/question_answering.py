"""Question answering: the stretch of a context that answers a question, by a start and an end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import TaskConfig
from core.data.tasks.answer_scores import score_answer
from core.data.tasks.base import Encoded, Evaluation, Prediction, Rows
from core.data.tasks.pieces import backend_of, batches, pad
from core.data.tasks.question_baseline import nearest_words, usual_length
from core.data.tasks.question_decoding import choose_threshold, says_nothing
from core.data.tasks.question_details import Outcome, details_of
from core.data.tasks.question_reading import Found, features_of, spans_of
from core.data.tasks.question_windows import Windows
from core.data.tasks.scores import softmax
from core.data.tasks.tagging import IGNORED
from core.errors import DataError

if TYPE_CHECKING:
    import torch

__all__ = ["HEAD", "QuestionAnswering"]

#: What the head's two outputs are called.
HEAD = ["start", "end"]


class QuestionAnswering:
    """A start and an end over the pieces of a context; ``[CLS]`` stands for "no answer in this window".

    Parameters
    ----------
    config
        ``no_answer`` and ``no_answer_threshold``, ``stride``, ``longest_question``, ``longest_answer``,
        ``best_answers`` and ``answer_language`` count here.
    labels
        ``start`` and ``end``.

    Raises
    ------
    DataError
        If the labels are others.

    Notes
    -----
    Start and end are each a distribution over the context's pieces and ``[CLS]``; the question's pieces have no part in
    it. The loss is the mean of both cross-entropies (Devlin et al. 2019, sections 4.2 and 4.3). Windows that do not
    hold the answer whole point to ``[CLS]``, unless no window holds it: nothing is learnt from such a question.
    """

    kind = "question_answering"
    auto_class = "AutoModelForQuestionAnswering"
    primary_metric = "f1"
    metric_names: tuple[str, ...] = ("f1", "em", "loss")

    def __init__(self, config: TaskConfig, labels: Sequence[str]) -> None:
        if list(labels) != HEAD:
            raise DataError(
                "These are not the outputs of a head for question answering.",
                where=f"labels: {', '.join(labels)}"[:200], expected="start, end",
            )  # fmt: skip
        self.config = config
        self.labels = list(HEAD)
        self._given = config.no_answer_threshold is not None

    def model_kwargs(self) -> dict[str, Any]:
        """Return the head's arguments as stock transformers configs name them."""
        return {"num_labels": 2, "id2label": dict(enumerate(HEAD)), "label2id": {"start": 0, "end": 1}}

    def encode(self, rows: Rows, tokenizer: Any, max_length: int, *, labelled: bool = True) -> Encoded:
        """Tokenise ``question`` and ``context`` into one feature a window.

        A feature has ``empty`` (the position that stands for no answer), ``first`` (the context's first position),
        ``starts`` and ``ends`` (characters of the context's pieces), and with `labelled` the gold under ``labels``:
        positions of start and end, -1 where nothing is to be learnt.

        Raises
        ------
        ConfigError
            If `max_length` leaves no room beside the special pieces.
        ModelError
            If the tokenizer puts no special piece around a pair of texts.
        """
        typed = "token_type_ids" in tokenizer.model_input_names
        found = Encoded([], [], [])
        with backend_of(tokenizer) as backend:
            windows = Windows(
                backend, max_length, self.config.stride, self.config.longest_question, tokenizer.cls_token_id
            )
            row = 0
            for batch in batches(rows):
                listed = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
                for cutting in windows.read(listed):
                    found.cut += cutting.question_cut
                    found.lost += labelled and cutting.lost
                    for feature in features_of(cutting, windows.frame, typed=typed, labelled=labelled):
                        found.features.append(feature)
                        found.lengths.append(len(feature["input_ids"]))
                        found.owner.append(row)
                    row += 1
        return found

    def collate(
        self, features: Sequence[dict[str, Any]], tokenizer: Any, *, pad_to: int | None = None
    ) -> dict[str, torch.Tensor]:
        """Pad features; ``labels`` is int64 of shape (batch, length, 2).

        1 where an answer starts (ends), 0 where it could, -100 where it cannot: the question, special pieces but
        ``[CLS]``, padding, and windows from which nothing is to be learnt.
        """
        import torch

        batch = pad(features, tokenizer, pad_to)
        if features and "labels" in features[0]:
            labels = np.full((*batch["input_ids"].shape, 2), IGNORED, dtype=np.int64)
            for row, feature in enumerate(features):
                start, end = feature["labels"]
                if start < 0:
                    continue
                first = feature["first"]
                labels[row, feature["empty"]] = 0
                labels[row, first : first + len(feature["starts"])] = 0
                labels[row, start, 0] = labels[row, end, 1] = 1
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
        """Return (sum of the weighted losses, sum of the weights) over the starts and ends of windows.

        Parameters
        ----------
        logits
            Shape (batch, length, 2).
        labels
            As :meth:`collate` gives them.
        label_smoothing
            Share of the gold that is spread evenly over the positions that could be right.
        class_weights
            Weight of the start's and of the end's loss, shape (2,).
        """
        import torch
        from torch.nn import functional

        counted = (labels != IGNORED).any(dim=1)[:, 0]
        allowed = labels[counted] != IGNORED
        shares = functional.log_softmax(logits[counted].float().masked_fill(~allowed, float("-inf")), dim=1)
        shares = shares.masked_fill(~allowed, 0.0)
        each = -(shares * (labels[counted] == 1)).sum(dim=1)
        if label_smoothing:
            each = (1.0 - label_smoothing) * each - label_smoothing * shares.sum(dim=1) / allowed.sum(dim=1)
        weights = torch.ones(2, device=logits.device) if class_weights is None else class_weights.to(logits.device)
        return (each * weights).sum(), weights.float().sum() * counted.sum()

    def label_counts(self, encoded: Encoded) -> list[int]:
        """Count the windows that are learnt from: each has a start and an end."""
        count = sum(feature["labels"][0] >= 0 for feature in encoded.features)
        return [count, count]

    def calibrate(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> None:
        """Choose the threshold of "no answer" with the highest F1 on these rows, unless the plan names one."""
        if not self.config.no_answer or self._given or not len(rows):
            return
        found = self._read(logits, encoded, rows)
        contexts = [context for batch in batches(rows) for context in batch["context"]]
        gold = [answers for batch in batches(rows) for answers in batch["answers"]]
        scored = [
            (self._score(one.text(context), answers)[1], self._score("", answers)[1])
            for one, context, answers in zip(found, contexts, gold, strict=True)
        ]
        answered, silent = (np.array(values) for values in zip(*scored, strict=True))
        threshold = choose_threshold(np.array([one.empty - one.best for one in found]), answered, silent)
        self.config = self.config.model_copy(update={"no_answer_threshold": threshold})

    def _score(self, answer: str, gold: Sequence[str]) -> tuple[float, float]:
        return score_answer(answer, gold, self.config.answer_language, no_answer=self.config.no_answer)

    def _read(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> list[Found]:
        """Return what the windows of each row say together."""
        found = [Found() for _ in range(len(rows))]
        for part, feature, owner in zip(logits, encoded.features, encoded.owner, strict=True):
            found[owner].add(np.asarray(part), feature, self.config.longest_answer)
        return found

    def _silent(self, found: Sequence[Found]) -> np.ndarray:
        """Return for each row whether "no answer" is said; also where a context has no piece at all."""
        empty, best = (np.array([getattr(one, name) for one in found]) for name in ("empty", "best"))
        nothing: np.ndarray = ~np.isfinite(best)
        if self.config.no_answer:
            nothing = nothing | says_nothing(empty, best, self.config.no_answer_threshold)
        return nothing

    def decode(self, logits: Sequence[Any], encoded: Encoded, rows: Rows) -> list[Prediction]:
        """Return the best answers of each row over all of its windows, and the one that is given."""
        listed: list[dict[tuple[int, int], float]] = [{} for _ in range(len(rows))]
        for part, feature, owner in zip(logits, encoded.features, encoded.owner, strict=True):
            for score, start, end in spans_of(np.asarray(part), feature, self.config, self.config.best_answers):
                listed[owner][start, end] = max(score, listed[owner].get((start, end), -np.inf))
        found = self._read(logits, encoded, rows)
        silent = self._silent(found) if found else np.zeros(0, dtype=bool)
        predictions: list[Prediction] = []
        for batch in batches(rows):
            for question, context in zip(batch["question"], batch["context"], strict=True):
                at = len(predictions)
                answers = self._listed(listed[at], found[at].empty, context)
                chosen = next(
                    (one for one in answers if (one["start"] is None) == bool(silent[at])),
                    {"text": "", "score": 0.0},
                )
                predictions.append(
                    Prediction(question, chosen["text"], chosen["score"], answers=answers, context=context)
                )
        return predictions

    def _listed(self, spans: dict[tuple[int, int], float], empty: float, context: str) -> list[dict[str, Any]]:
        """Return the best answers with their shares: a softmax over the scores of those that are listed."""
        best = sorted(spans, key=lambda place: (-spans[place], place))[: self.config.best_answers]
        entries: list[tuple[float, dict[str, Any]]] = [
            (spans[start, end], {"text": context[start:end], "start": start, "end": end}) for start, end in best
        ]
        if self.config.no_answer:
            entries.append((empty, {"text": "", "start": None, "end": None}))
            entries.sort(key=lambda entry: -entry[0])
        if not entries:
            return []
        shares = softmax(np.array([score for score, _ in entries]))
        return [{**entry, "score": float(share)} for (_, entry), share in zip(entries, shares, strict=True)]

    def baseline(self, train_rows: Rows, rows: Rows) -> dict[str, float]:
        """Score answers without a model: the stretch of usual length nearest to the question's words.

        With questions that may have no answer, always saying so is the baseline where that is right more often in
        training.
        """
        gold = [list(answers) for batch in batches(train_rows) for answers in batch["answers"]]
        length = usual_length(answers[0] for answers in gold if answers)
        always = self.config.no_answer and 2 * sum(not answers for answers in gold) > len(gold)
        scored = [
            self._score("" if always else nearest_words(question, context, length), answers)
            for batch in batches(rows)
            for question, context, answers in zip(batch["question"], batch["context"], batch["answers"], strict=True)
        ]
        if not scored:
            return {}
        em, f1 = np.mean(scored, axis=0)
        return {"f1": float(f1), "em": float(em)}

    def evaluate(self, logits: Sequence[Any], encoded: Encoded, rows: Rows, *, details: bool = False) -> Evaluation:
        """Score logits against the gold: F1 and exact match, each the best over a question's gold answers.

        ``loss`` is the mean loss of a window, without weights and smoothing.
        """
        if not len(rows):
            return Evaluation({}, {"n": 0})
        found = self._read(logits, encoded, rows)
        silent = self._silent(found)
        outcomes: list[Outcome] = []
        for batch in batches(rows):
            for context, gold in zip(batch["context"], batch["answers"], strict=True):
                one = found[len(outcomes)]
                answer = "" if silent[len(outcomes)] else one.text(context)
                em, f1 = self._score(answer, gold)
                share = one.share if answer else one.silence
                outcomes.append(Outcome(answer, em, f1, one.loss, one.learnt, one.windows, share))
        learnt = sum(one.learnt for one in outcomes)
        metrics = {
            "f1": float(np.mean([one.f1 for one in outcomes])),
            "em": float(np.mean([one.em for one in outcomes])),
            "loss": sum(one.loss for one in outcomes) / max(1, learnt),
        }
        if not details:
            return Evaluation(metrics)
        told = details_of(outcomes, rows, self.config)
        told |= {"lost": encoded.lost, "cut_questions": encoded.cut, "windows": len(encoded.features)}
        return Evaluation(metrics, told)
