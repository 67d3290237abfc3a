"""Sentences of words as sentences of sub-words or of characters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import regex  # type: ignore[import-untyped]

from core.errors import ConfigError, ModelError
from core.graph.corpus.text import sentence_of
from core.graph.types import Sentence

__all__ = ["as_characters", "as_subwords"]

_CHARACTER = regex.compile(r"(?![\s\p{C}\p{Z}])\X")
_BATCH = 256


def as_characters(sentences: list[Sentence]) -> tuple[list[Sentence], list[list[str]]]:
    """Return sentences whose tokens are visible characters (grapheme clusters), and the tokens as labels."""
    found = []
    for sentence in sentences:
        spans = [match.span() for match in _CHARACTER.finditer(sentence.text)]
        found.append(_pieces(sentence, spans, [sentence.text[low:high] for low, high in spans]))
    return found, [one.tokens for one in found]


def as_subwords(
    sentences: list[Sentence], tokenizer: Any, check: Callable[[], None] = lambda: None
) -> tuple[list[Sentence], list[list[str]]]:
    """Return sentences whose tokens are an encoder's sub-words, and their labels.

    Parameters
    ----------
    sentences
        Sentences of words; their texts are cut anew, as the encoder cuts a text.
    tokenizer
        A fast tokenizer of transformers.
    check
        Called between batches.

    Returns
    -------
    sentences, labels
        Tokens are pieces of the tokenizer's vocabulary, their spans parts of the text. A label is the piece itself
        where the vocabulary is WordPiece; otherwise, and for unknown text, the part of the text, with ``##`` before
        it inside a word. It is empty for a piece without a part of its own (one of several bytes of an emoji).

    Raises
    ------
    ConfigError, ModelError
        If there is no tokenizer, or it cannot tell where its sub-words stand.
    """
    if tokenizer is None:
        raise ConfigError(
            "Sub-words are those of an encoder, and none was chosen.",
            where="corpus.unit",
            expected="unit word or character, or a model",
        )
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            "The tokenizer cannot tell where its sub-words stand in the text.",
            where="corpus.unit",
            expected="an encoder with a fast tokenizer (tokenizer.json)",
            advice="Choose the unit word or character.",
        )
    wordpiece = type(tokenizer.backend_tokenizer.model).__name__ == "WordPiece"
    found: list[Sentence] = []
    labels: list[list[str]] = []
    for start in range(0, len(sentences), _BATCH):
        check()
        batch = sentences[start : start + _BATCH]
        # Whoever writes "[SEP]" in a text means these five characters.
        encoded = tokenizer(
            [one.text for one in batch],
            add_special_tokens=False,
            split_special_tokens=True,
            return_attention_mask=False,
            verbose=False,
        )
        for sentence, encoding in zip(batch, encoded.encodings, strict=True):
            spans, names = _subwords(sentence.text, encoding, wordpiece, tokenizer.unk_token)
            found.append(_pieces(sentence, spans, encoding.tokens))
            labels.append(names)
    return found, labels


def _subwords(
    text: str, encoding: Any, wordpiece: bool, unknown: str | None
) -> tuple[list[tuple[int, int]], list[str]]:
    spans: list[tuple[int, int]] = []
    labels: list[str] = []
    before, until = None, 0
    for (start, end), word, token in zip(encoding.offsets, encoding.word_ids, encoding.tokens, strict=True):
        # Byte-level vocabularies count the space before a word to it.
        while start < end and text[start].isspace():
            start += 1
        spans.append((start, end))
        if start >= end or start < until:
            labels.append("")
        elif wordpiece and token != unknown:
            labels.append(token)
        else:
            labels.append(f"##{text[start:end]}" if word is not None and word == before else text[start:end])
        if start < end:
            before, until = word, max(until, end)
    return spans, labels


def _pieces(sentence: Sentence, spans: list[tuple[int, int]], tokens: list[str]) -> Sentence:
    """Return a sentence cut at other places; a piece has the part of speech of the word that it begins in."""
    tags: list[str] = []
    if sentence.tags and sentence.spans is not None and spans:
        at = np.searchsorted(sentence.spans[:, 0], [low for low, _ in spans], side="right") - 1
        tags = [sentence.tags[max(0, int(index))] for index in at]
    return sentence_of(sentence.text, tokens, spans, sentence.row, tags=tags)
