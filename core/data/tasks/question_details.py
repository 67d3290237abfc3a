"""Tables about answers: intervals, by question word and length of the answer, the worst ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config import TaskConfig
from core.data.tasks import scores
from core.data.tasks.answer_scores import answer_tokens
from core.data.tasks.base import Rows
from core.data.tasks.pieces import batches

__all__ = ["Outcome", "details_of", "question_word"]

_WORST = 50
#: Characters of the context that are shown on either side of the gold.
_AROUND = 160
_SHOWN_QUESTION = 400
_ENGLISH = ("who", "whose", "whom", "what", "which", "when", "where", "why", "how many", "how much", "how")
_ASKING = re.compile(rf"\b(?:{'|'.join(_ENGLISH)})\b")
#: Longer ones first: 为什么 holds 什么.
_CHINESE = ("为什么", "什么时候", "怎么", "如何", "什么", "多少", "多久", "哪", "谁", "何", "几")
_JOINED = {"whose": "who", "whom": "who", "how much": "how many"}


@dataclass(frozen=True)
class Outcome:
    """What came of one question: the answer given, its scores, the loss over `learnt` windows, its probability."""

    answer: str
    em: float
    f1: float
    loss: float
    learnt: int
    windows: int
    share: float


def question_word(question: str, language: str = "en") -> str:
    """Return the word by which a question asks: the first of a list that occurs; ``other`` where none does."""
    if language == "zh":
        found = [(question.find(word), word) for word in _CHINESE if word in question]
        return min(found, key=lambda pair: (pair[0], -len(pair[1])))[1] if found else "other"
    match = _ASKING.search(question.lower())
    return _JOINED.get(match.group(), match.group()) if match else "other"


def _length(answers: Sequence[str], language: str) -> str:
    if not answers:
        return "no answer"
    size = min(len(answer_tokens(answer, language)) for answer in answers)
    bounds = ((1, "1"), (3, "2–3"), (6, "4–6"))
    unit = "character" if language == "zh" else "word"
    return f"{next((words for most, words in bounds if size <= most), '7 or more')} {unit}{'s' * (size > 1)}"


def details_of(outcomes: Sequence[Outcome], rows: Rows, config: TaskConfig) -> dict[str, Any]:
    """Return the details of an evaluation.

    Returns
    -------
    dict
        ``n``, ``intervals`` (95 %, bootstrap over questions), ``breakdown`` [{"by", "value", "em", "f1", "support",
        "interval" (of F1)}], ``worst`` (50 wrong answers: lowest F1, of equals the highest loss), ``documents``, and
        with questions that may have no answer ``threshold``.
    """
    f1, em, loss, learnt = (
        np.array([getattr(one, name) for one in outcomes], dtype=np.float64) for name in ("f1", "em", "loss", "learnt")
    )
    intervals = {name: scores.interval(scores.bootstrap_mean(values)) for name, values in (("f1", f1), ("em", em))}
    if learnt.any():
        intervals["loss"] = scores.interval(scores.bootstrap_mean(loss[learnt > 0], learnt[learnt > 0]))
    found: dict[str, Any] = {
        "n": len(outcomes), "intervals": intervals, "breakdown": _breakdown(f1, em, outcomes, rows, config),
        "worst": _worst(f1, loss / np.maximum(learnt, 1), outcomes, rows),
        # Exact match as one bit a row, and F1: so that runs can be compared document by document.
        "documents": {
            "score": "mean", "bits": np.packbits(em > 0.5).tobytes().hex(), "f1": [round(float(one), 6) for one in f1],
        },
    }  # fmt: skip
    if config.no_answer:
        found["threshold"] = config.no_answer_threshold or 0.0
    return found


def _breakdown(
    f1: np.ndarray, em: np.ndarray, outcomes: Sequence[Outcome], rows: Rows, config: TaskConfig
) -> list[dict[str, Any]]:
    language = config.answer_language
    values: dict[str, list[str]] = {"question word": [], "answer length": []}
    for batch in batches(rows):
        values["question word"] += [question_word(question, language) for question in batch["question"]]
        values["answer length"] += [_length(answers, language) for answers in batch["answers"]]
    values["windows"] = ["one window" if one.windows == 1 else "several windows" for one in outcomes]
    if config.no_answer:
        values["answer"] = ["no answer" if one == "no answer" else "has an answer" for one in values["answer length"]]
    found = []
    for by, listed in values.items():
        names = np.array(listed)
        groups = sorted(set(listed), key=_order(listed, by))
        for name in groups if len(groups) > 1 or by in ("question word", "answer length") else ():
            here = names == name
            found.append(
                {
                    "by": by, "value": name, "em": float(em[here].mean()), "f1": float(f1[here].mean()),
                    "support": int(here.sum()), "interval": scores.interval(scores.bootstrap_mean(f1[here])),
                }
            )  # fmt: skip
    return found


def _order(listed: list[str], by: str) -> Callable[[str], Any]:
    """Lengths in their own order, everything else by how often it occurs."""
    if by == "answer length":
        return lambda name: (name != "no answer", name)
    return lambda name: (name == "other", -listed.count(name), name)


def _worst(f1: np.ndarray, loss: np.ndarray, outcomes: Sequence[Outcome], rows: Rows) -> list[dict[str, Any]]:
    found = []
    for index in (int(place) for place in np.lexsort((-loss, f1))[:_WORST]):
        one = outcomes[index]
        if one.f1 >= 1.0:
            break
        row = rows[index]
        context, answers = row["context"], list(row["answers"])
        start = max(0, (row["starts"][0] if answers else 0) - _AROUND)
        end = (row["starts"][0] + len(answers[0]) if answers else 0) + _AROUND
        found.append(
            {
                "row": row.get("row", index + 1),
                "source": row.get("source"),
                "id": row.get("id"),
                "text": row["question"][:_SHOWN_QUESTION],
                "context": f"{'…' if start else ''}{context[start:end]}{'…' if end < len(context) else ''}",
                "gold": " / ".join(answers) if answers else "no answer",
                "predicted": one.answer or "no answer",
                "f1": one.f1,
                "em": one.em,
                "loss": float(loss[index]),
                "confidence": one.share,
            }
        )
    return found
