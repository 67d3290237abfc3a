"""Prediction of texts by a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.data.tasks.base import Encoded, Prediction
from core.data.tasks.heads import cut_logits, head_logits
from core.data.tasks.words import split_words
from core.data.tree_rows import MOST_WORDS
from core.errors import DataError
from core.models.folders import Finished, load_finished

__all__ = ["ListRows", "infer", "predict"]


@dataclass(frozen=True)
class ListRows:
    """Rows in standard columns, held as lists."""

    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        return {name: values[key] for name, values in self.columns.items()}


def predict(
    source: str | Path | Finished,
    texts: Sequence[str | Sequence[str]],
    batch_tokens: int = 4096,
    device: str = "cpu",
) -> list[Prediction]:
    """Predict texts.

    Parameters
    ----------
    source
        A folder that a run trained or exported, or a model that :func:`core.models.load_finished` loaded.
    texts
        Texts; for pairs of texts, lists of two texts; for question answering lists of a question and its context. For
        tagging and dependency a text is split into words by :data:`core.data.tasks.words.WORD_PATTERN`, or is given
        as a list of words; for dependency each text is one sentence.
    batch_tokens
        Sub-words a batch may have, padding included.
    device
        Where to compute, as torch names it.

    Returns
    -------
    list of Prediction
        One a text, in their order.

    Raises
    ------
    ModelError
        If the model cannot be loaded.
    DataError
        If an entry is neither a text nor a list of texts, or a question has no context.
    """
    finished = source if isinstance(source, Finished) else load_finished(source)
    if not texts:
        return []
    if finished.task.kind in ("tagging", "dependency"):
        return _tag(finished, texts, batch_tokens, device)
    if finished.task.kind == "question_answering":
        rows = _questions(texts)
        encoded = finished.task.encode(rows, finished.tokenizer, finished.max_length, labelled=False)
        return finished.task.decode(infer(finished, encoded, batch_tokens, device), encoded, rows)
    pairs = [not isinstance(text, str) for text in texts]
    columns: dict[str, list[Any]] = {"text": list(texts)}
    if any(pairs):
        for index, text in enumerate(texts):
            if isinstance(text, str) or len(text) != 2 or not all(isinstance(part, str) for part in text):
                raise DataError("Texts and pairs of texts are mixed.", where=f"entry {index + 1}", expected="two texts")
        columns = {"text": [text[0] for text in texts], "text_pair": [text[1] for text in texts]}
    rows = ListRows(columns)
    encoded = finished.task.encode(rows, finished.tokenizer, finished.max_length, labelled=False)
    return finished.task.decode(infer(finished, encoded, batch_tokens, device), encoded, rows)


def _questions(texts: Sequence[str | Sequence[str]]) -> ListRows:
    for index, text in enumerate(texts):
        if isinstance(text, str) or len(text) != 2 or not all(isinstance(part, str) for part in text):
            raise DataError(
                "The model answers questions about a context, and this is not a question with its context.",
                where=f"entry {index + 1}", expected="two texts: the question and the context",
            )  # fmt: skip
        if not text[0].strip() or not text[1].strip():
            what = "question" if not text[0].strip() else "context"
            raise DataError(f"The {what} is empty.", where=f"entry {index + 1}", expected="a question and its context")
    return ListRows({"question": [text[0] for text in texts], "context": [text[1] for text in texts]})


def _tag(finished: Finished, texts: Sequence[str | Sequence[str]], batch_tokens: int, device: str) -> list[Prediction]:
    tokens: list[list[str]] = []
    places: list[list[tuple[str, int, int]] | None] = []
    for index, text in enumerate(texts):
        if isinstance(text, str):
            found = split_words(text)
            tokens.append([word for word, _, _ in found])
            places.append(found)
        elif all(isinstance(word, str) for word in text):
            tokens.append(list(text))
            places.append(None)
        else:
            raise DataError("This is neither a text nor a list of words.", where=f"entry {index + 1}")
        if finished.task.kind == "dependency" and len(tokens[-1]) > MOST_WORDS:
            raise DataError(
                f"A sentence has {len(tokens[-1]):,} words.", where=f"entry {index + 1}",
                expected=f"at most {MOST_WORDS}", advice="Give a text sentence by sentence.",
            )  # fmt: skip
    rows = ListRows({"tokens": tokens})
    encoded = finished.task.encode(rows, finished.tokenizer, finished.max_length, labelled=False)
    predictions = finished.task.decode(infer(finished, encoded, batch_tokens, device), encoded, rows)
    for text, found_words, prediction in zip(texts, places, predictions, strict=True):
        if found_words is None:
            continue
        prediction.text = str(text)
        for entity in prediction.entities or []:  # they were counted in the words joined by spaces
            entity["start"] = found_words[entity["first"]][1]
            entity["end"] = found_words[entity["last"]][2]
            entity["text"] = prediction.text[entity["start"] : entity["end"]]
    return predictions


def infer(finished: Finished, encoded: Encoded, batch_tokens: int = 4096, device: str = "cpu") -> list[np.ndarray]:
    """Return the logits of each feature without padding, as float32 arrays.

    Texts of similar length share a batch, so that little is padded.
    """
    import torch

    model = finished.model.to(device).eval()
    order = sorted(range(len(encoded.features)), key=encoded.lengths.__getitem__, reverse=True)
    found: list[np.ndarray] = [np.empty(0, dtype=np.float32)] * len(order)
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, encoded.lengths[order[start]]))
        chosen = order[start : start + size]
        batch = finished.task.collate([encoded.features[index] for index in chosen], finished.tokenizer)
        with torch.inference_mode():
            output = model(**{name: tensor.to(device) for name, tensor in batch.items()})
            logits = head_logits(output).float().cpu().numpy()
        for row, index in enumerate(chosen):
            found[index] = cut_logits(logits[row], encoded.features[index], encoded.lengths[index])
        start += size
    return found
