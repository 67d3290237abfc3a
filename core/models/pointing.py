"""Where the head of a trained model points in texts, and what its memory is made of there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.data.tasks.base import Encoded
from core.data.tasks.heads import cut_logits, head_logits
from core.data.tasks.pointer_view import Memory, pointer_views, points
from core.data.tasks.words import split_words
from core.errors import DataError, ModelError
from core.models.folders import Finished, load_finished
from core.models.prediction import ListRows

__all__ = ["MOST_WORDS", "point", "taken"]

#: Words of a sentence that can be looked at: a matrix of more could not be read.
MOST_WORDS = 150


def point(source: str | Path | Finished, texts: Sequence[str | Sequence[str]]) -> list[dict[str, Any]]:
    """Return where the head points in texts.

    Parameters
    ----------
    source
        A folder that a run trained or exported, or a loaded model, with a head that points.
    texts
        Sentences (split into words as for a prediction), or lists of words; for questions lists of question and
        context.

    Returns
    -------
    list of dict
        One a text, see :func:`core.data.tasks.pointer_view.pointer_views`.

    Raises
    ------
    ModelError
        If the head does not point.
    DataError
        If a text is empty, too long, or no question has its context.
    """
    finished = source if isinstance(source, Finished) else load_finished(source)
    task = finished.task
    if not points(task.config):
        raise ModelError(
            "The head of this model does not point to words.", where=str(finished.folder or "model"),
            expected="a model of dependency, or one with task.head pointer",
        )  # fmt: skip
    if not texts:
        return []
    rows = ListRows(_columns(task.kind, texts))
    encoded = task.encode(rows, finished.tokenizer, finished.max_length, labelled=False)
    logits, memories = _passed(finished, encoded)
    return pointer_views(task, logits, encoded, rows, memories)


def _columns(kind: str, texts: Sequence[str | Sequence[str]]) -> dict[str, list[Any]]:
    if kind == "question_answering":
        for index, text in enumerate(texts):
            if isinstance(text, str) or len(text) != 2 or not all(part.strip() for part in text):
                raise DataError(
                    "This is no question with its context.", where=f"entry {index + 1}", expected="two texts"
                )
        return {"question": [text[0] for text in texts], "context": [text[1] for text in texts]}
    tokens = [[one[0] for one in split_words(text)] if isinstance(text, str) else list(text) for text in texts]
    for index, words in enumerate(tokens):
        if not words or len(words) > MOST_WORDS:
            raise DataError(
                f"The sentence has {len(words):,} words." if words else "There is no word.",
                where=f"entry {index + 1}", expected=f"1 to {MOST_WORDS} words", advice="Give a part of it.",
            )  # fmt: skip
    return {"tokens": tokens}


def _passed(finished: Finished, encoded: Encoded) -> tuple[list[Any], list[Memory | None]]:
    """Run the model on one feature after the other."""
    import torch

    from core.models.pointer.reading import reading

    model = finished.model.eval()
    logits: list[Any] = []
    memories: list[Memory | None] = []
    for feature, length in zip(encoded.features, encoded.lengths, strict=True):
        batch = finished.task.collate([feature], finished.tokenizer)
        with torch.inference_mode(), reading(model) as noted:
            values = head_logits(model(**batch)).float().numpy()
        logits.append(cut_logits(values[0], feature, length))
        memories += taken(noted, 1)
    return logits, memories


def taken(noted: Sequence[tuple[Any, Any]], count: int) -> list[Memory | None]:
    """Return what :func:`core.models.pointer.reading.reading` noted of one forward pass, for each of its features."""
    if not noted:
        return [None] * count
    sizes, read = (one.cpu().numpy().astype("float64") for one in noted[-1])
    return [(sizes[at], read[at]) for at in range(count)]
