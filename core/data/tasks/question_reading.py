"""Features of a question's windows, and what the windows of one question say together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config import TaskConfig
from core.data.tasks.question_decoding import best_spans, log_shares
from core.data.tasks.question_windows import Cutting, PairFrame

__all__ = ["Found", "features_of", "spans_of"]


def features_of(cutting: Cutting, frame: PairFrame, *, typed: bool, labelled: bool) -> Iterator[dict[str, Any]]:
    """Yield the features of a question in windows; see :meth:`QuestionAnswering.encode`."""
    context = cutting.context
    for begin, end in cutting.spans:
        ids, types, empty, first = frame.joined(cutting.question, context.ids[begin:end])
        feature: dict[str, Any] = {
            "input_ids": ids, "empty": empty, "first": first,
            "starts": context.starts[begin:end], "ends": context.ends[begin:end],
        }  # fmt: skip
        if typed:
            feature["token_type_ids"] = types
        if labelled:
            gold = cutting.gold
            feature["labels"] = [empty, empty]
            if cutting.lost:
                feature["labels"] = [-1, -1]
            elif gold is not None and begin <= gold[0] and gold[1] < end:
                feature["labels"] = [first + gold[0] - begin, first + gold[1] - begin]
        yield feature


def spans_of(
    part: np.ndarray, feature: dict[str, Any], config: TaskConfig, count: int
) -> Iterator[tuple[float, int, int]]:
    """Yield score, first character and the one behind the last of a window's best spans."""
    first, size = feature["first"], len(feature["starts"])
    chosen = part[first : first + size]
    for score, start, end in best_spans(chosen[:, 0], chosen[:, 1], config.longest_answer, count):
        yield score, int(feature["starts"][start]), int(feature["ends"][end])


@dataclass
class Found:
    """What the windows of a row say so far: the best span, the lowest score of "no answer", the loss."""

    best: float = -np.inf
    empty: float = np.inf
    #: Characters of the best span.
    start: int = 0
    end: int = 0
    #: Probability of the best span within its window, and of "no answer" in the window that is least sure of it.
    share: float = 0.0
    silence: float = 1.0
    loss: float = 0.0
    #: Windows that count for the loss, and all.
    learnt: int = 0
    windows: int = 0

    def add(self, part: np.ndarray, feature: dict[str, Any], longest: int) -> None:
        """Take in the logits of a window, shape (length, 2)."""
        first, size, empty = feature["first"], len(feature["starts"]), feature["empty"]
        scores = np.concatenate([part[empty][None], part[first : first + size]]).astype(np.float64)
        shares = log_shares(scores)
        self.windows += 1
        silent = float(scores[0].sum())
        if silent < self.empty:
            self.empty, self.silence = silent, float(np.exp(shares[0].sum()))
        for score, start, end in best_spans(scores[1:, 0], scores[1:, 1], longest):
            if score > self.best:
                self.best, self.share = score, float(np.exp(shares[1 + start, 0] + shares[1 + end, 1]))
                self.start, self.end = int(feature["starts"][start]), int(feature["ends"][end])
        gold = feature.get("labels", (-1, -1))
        if gold[0] >= 0:
            places = [0 if at == empty else at - first + 1 for at in gold]
            self.loss -= float(shares[places[0], 0] + shares[places[1], 1]) / 2
            self.learnt += 1

    def text(self, context: str) -> str:
        """Return the best span without white space at its ends: byte-level pieces may begin with it."""
        return context[self.start : self.end].strip()
