"""A student's folder from a parent and a shape: calibrated on one part of a corpus, measured on another.

Only workers and commands import this module: it loads torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config.graph import CorpusConfig
from core.config.shape import EncoderShape
from core.errors import DataError, StorageError
from core.graph.corpus import read_sentences
from core.models.shaped import count
from core.models.shaped.distance import distance
from core.models.shaped.inherit import inherit
from core.models.shaped.parent import Parent, look, stock_bert
from core.search.lessons import LEAST_TOKENS, Lessons

__all__ = [
    "Calibration", "Parts", "calibrate", "calibrated", "divide", "inherit_folder", "load_parent", "shape_of_parent",
]  # fmt: skip

#: Sub-words that a calibration text is cut at.
LENGTH = 64
#: Sub-words that norms and maps are fitted to, and that students are measured on.
FIT_TOKENS, HELD_TOKENS = 9000, 4000
#: Sub-words that students are trained on, at most.
TRAIN_TOKENS = 200_000


@dataclass
class Calibration:
    """A parent on three parts of a corpus, made once for all candidates.

    Parameters
    ----------
    fit, held_out
        The parent on texts that students are fitted to, and on others.
    tokenizer
        The parent's tokenizer.
    notices
        What a person should know of the corpus.
    train
        Texts that students are trained on, as sub-words with the special ones. None of them is in another part, but
        where the corpus leaves too few, they are those of the fit.
    train_notices
        What a person should know of these.
    """

    fit: Parent
    held_out: Parent
    tokenizer: Any
    notices: list[str]
    train: list[list[int]] = field(default_factory=list)
    train_notices: list[str] = field(default_factory=list)
    _lessons: dict[int, Lessons] = field(default_factory=dict, repr=False)

    def lessons(self, batch_tokens: int) -> Lessons:
        """Return the training texts in batches, with the parent's states; those of the size asked for last are kept.

        Raises
        ------
        DataError
            If there is too little text.
        """
        if batch_tokens not in self._lessons:
            padding = getattr(self.tokenizer, "pad_token_id", None) or 0
            self._lessons = {batch_tokens: Lessons(self.fit.encoder, self.train, batch_tokens, padding=padding)}
        return self._lessons[batch_tokens]


@dataclass(frozen=True)
class Parts:
    """Texts of a corpus in three parts, as sub-words with the special ones; plain data.

    Parameters
    ----------
    fit, held_out, train
        See :class:`Calibration`.
    notices, train_notices
        What a person should know of them.
    """

    fit: list[list[int]]
    held_out: list[list[int]]
    train: list[list[int]]
    notices: list[str]
    train_notices: list[str]


def calibrate(
    source: str,
    corpus: CorpusConfig,
    *,
    seed: int = 0,
    train_tokens: int = TRAIN_TOKENS,
    check: Callable[[], None] = lambda: None,
) -> Calibration:
    """Run a parent over calibration texts.

    Parameters
    ----------
    source
        ``bundled``, a folder, or ``hub:NAME``.
    corpus
        Where the texts come from; repeated sentences are taken once, so that none stands in two parts.
    seed
        Seed of the division.
    train_tokens
        Sub-words that students are trained on, at most.
    check
        Called often; may raise to stop.

    Raises
    ------
    DataError
        If the corpus is too small.
    ModelError
        If the parent is no stock BERT.
    """
    encoder, tokenizer = load_parent(source)
    check()
    return calibrated(encoder, tokenizer, divide(tokenizer, corpus, seed=seed, train_tokens=train_tokens, check=check))


def load_parent(source: str, revision: str | None = None) -> tuple[Any, Any]:
    """Return a parent's encoder in float32, and its tokenizer.

    Raises
    ------
    ModelError
        If it cannot be loaded, or is no stock BERT.
    """
    import torch
    from transformers import AutoModel

    from core.models.loading import load_tokenizer, quiet
    from core.models.shaped.register import register
    from core.models.sources import resolve

    register()
    found = resolve(source, revision)
    tokenizer = load_tokenizer(found)
    with quiet():
        encoder = AutoModel.from_pretrained(
            str(found.folder), trust_remote_code=False, local_files_only=True, use_safetensors=True, dtype=torch.float32
        ).eval()
    stock_bert(encoder)
    return encoder, tokenizer


def divide(
    tokenizer: Any,
    corpus: CorpusConfig,
    *,
    seed: int = 0,
    train_tokens: int = TRAIN_TOKENS,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Parts:
    """Read a corpus and divide its different sentences; see :func:`calibrate`.

    Raises
    ------
    DataError
        If the corpus is too small.
    """
    import numpy as np

    sentences, notices = read_sentences(corpus, check=check, progress=progress)
    texts = list(dict.fromkeys(sentences))
    order = np.random.default_rng([0x1A4E, seed]).permutation(len(texts))
    pieces = tokenizer([texts[at] for at in order], truncation=True, max_length=LENGTH)["input_ids"]
    sizes = [len(ids) for ids in pieces]
    fit = _enough(sizes, FIT_TOKENS)
    if fit >= len(texts):  # a small corpus: two thirds are fitted to
        fit = max(1, 2 * len(texts) // 3)
    held = fit + _enough(sizes[fit:], HELD_TOKENS)
    if held - fit < 2:
        raise DataError(
            f"The corpus has only {len(texts)} different sentences: none is left to measure on.", where=corpus.source,
            expected="a few hundred sentences",
        )  # fmt: skip
    train, said = pieces[held : held + _enough(sizes[held:], train_tokens)], []
    if sum(map(len, train)) < LEAST_TOKENS:
        train = pieces[:fit]
        said = ["The corpus is small: students are trained on the same texts that their weights are fitted to."]
    return Parts(pieces[:fit], pieces[fit:held], train, notices, said)


def calibrated(encoder: Any, tokenizer: Any, parts: Parts, check: Callable[[], None] = lambda: None) -> Calibration:
    """Run a parent over texts that were divided before.

    Raises
    ------
    DataError
        If there are too few sub-words.
    ModelError
        If the parent is no stock BERT.
    """
    import torch

    padding = int(getattr(tokenizer, "pad_token_id", None) or 0)
    seen = []
    for part in (parts.fit, parts.held_out):
        check()
        longest = max(map(len, part))
        ids = torch.tensor([[*row, *[padding] * (longest - len(row))] for row in part])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in part])
        seen.append(look(encoder, {"input_ids": ids, "attention_mask": mask}))
    return Calibration(seen[0], seen[1], tokenizer, list(parts.notices), parts.train, list(parts.train_notices))


def _enough(sizes: Sequence[int], tokens: int) -> int:
    """Return how many texts from the first on have so many sub-words together."""
    total = 0
    for at, size in enumerate(sizes, 1):
        total += size
        if total >= tokens:
            return at
    return len(sizes)


def shape_of_parent(calibration: Calibration, widths: Sequence[int], **others: Any) -> EncoderShape:
    """Return a shape with these widths, and head size, FFN ratio, stream and vocabulary of the parent.

    Raises
    ------
    pydantic.ValidationError
        If widths and others do not fit together.
    """
    config = calibration.fit.encoder.config
    width = int(config.hidden_size)
    given = {
        "head_size": width // int(config.num_attention_heads), "ratio": int(config.intermediate_size) / width,
        "embedding": width, "vocabulary": int(config.vocab_size), "positions": int(config.max_position_embeddings),
        "types": int(config.type_vocab_size), **others,
    }  # fmt: skip
    return EncoderShape.of_widths(widths, **given)


def inherit_folder(
    calibration: Calibration,
    shape: EncoderShape,
    out: str | Path,
    *,
    segments: Sequence[tuple[int, int]] | None = None,
    refit: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """Write a student with inherited weights and say what became of them.

    Parameters
    ----------
    calibration
        The parent on texts.
    shape
        The student's shape.
    out
        Folder to write; new or empty.
    segments, refit, seed
        See :func:`core.models.shaped.inherit.inherit`.

    Returns
    -------
    dict
        ``out``, ``parameters`` and ``body`` of student and parent, ``layers``, ``copied``, ``initialised``,
        ``distance`` (``loss``: predicting the mean scores 2; ``last``, ``layers``), ``projected`` (the same for
        projection alone), ``tokens`` {fit, held_out}, ``seconds``, ``notices``.

    Raises
    ------
    ConfigError
        If the shape does not fit the parent.
    StorageError
        If the folder is not empty or cannot be written.
    """
    from core.models.atomic import new_folder
    from core.models.loading import quiet

    place = Path(out).expanduser().absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise StorageError("The folder is not empty.", where=str(place), expected="a folder that is new or empty")
    started = time.perf_counter()
    student = inherit(calibration.fit, shape, segments=segments, refit=refit, seed=seed)
    seconds = time.perf_counter() - started
    far = distance(student, calibration.held_out)
    projected = distance(
        inherit(calibration.fit, shape, segments=segments, refit=False, seed=seed), calibration.held_out
    )
    try:
        with new_folder(place) as partial, quiet():
            student.model.save_pretrained(partial)
            calibration.tokenizer.save_pretrained(partial)
    except OSError as error:
        raise StorageError(f"The model cannot be written: {error.strerror or error}.", where=str(place)) from error
    parent, cost = calibration.fit.encoder, count(shape)
    return {
        "out": str(place),
        "parameters": {"parent": sum(one.numel() for one in parent.parameters()), "student": cost.total},
        "body": {"parent": sum(one.numel() for one in parent.encoder.parameters()), "student": cost.body},
        **student.as_dict(),
        "distance": far.as_dict(),
        "projected": projected.as_dict(),
        "tokens": {"fit": calibration.fit.tokens, "held_out": calibration.held_out.tokens},
        "seconds": round(seconds, 2),
        "notices": calibration.notices,
    }
