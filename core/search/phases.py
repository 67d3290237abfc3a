"""The phases of measuring a parent's layers, as they are told and shown; light, for run and page alike."""

from __future__ import annotations

__all__ = ["PHASES", "place_of", "words_of"]

#: Beginning of what a part of the measuring calls itself, and the phase that it belongs to, in order.
PHASES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("rows", "corpus"), "reading the corpus"),
    (("encoder", "likeness"), "likeness of layers"),
    (("vectors",), "word vectors"),
    (("graphs",), "word graphs of fewer directions"),
    (("probe",), "structural probes"),
)


def words_of(part: str) -> str:
    """Return the phase that a part belongs to; one that is not known stands for itself."""
    return next((words for begins, words in PHASES if part.startswith(begins)), part)


def place_of(words: str) -> int | None:
    """Return the number of a phase, from 0, by its words; None for any other words."""
    return next((at for at, (_, known) in enumerate(PHASES) if known == words), None)
