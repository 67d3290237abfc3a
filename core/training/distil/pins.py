"""Sentences that a person pins: what student and teacher say of them as training goes on. ``pins.json`` of a run.

The dashboard and the command line write the file, the worker reads it. Without torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.data.tasks.words import split_words
from core.errors import ConfigError
from core.training.files import write_json

__all__ = ["FILE", "MOST", "MOST_LETTERS", "Pin", "PinFile", "read_pins", "remove_pin", "write_pin"]

FILE = "pins.json"
#: Pins of one run, and letters of one pin: more cannot be looked at, and would slow the training down.
MOST = 12
MOST_LETTERS = 1000


@dataclass(frozen=True)
class Pin:
    """A pinned sentence.

    Parameters
    ----------
    id
        Made of its words, so that one sentence is pinned once.
    text
        The text (of a pair the first one), or the question.
    pair
        The second text of a pair; the question's context.
    tokens
        Where words are answered: its words.
    gold
        What is right, where it was picked among the gate rows: a label, labels, an answer, or what is right of each
        word.
    """

    id: str
    text: str
    pair: str | None = None
    tokens: list[str] | None = None
    gold: Any = None

    def rows(self, kind: str) -> dict[str, list[Any]]:
        """Return the pin as rows of a kind of task in standard columns, without gold."""
        if kind == "question_answering":
            return {"question": [self.text], "context": [self.pair or ""]}
        if self.tokens is not None:
            return {"tokens": [self.tokens]}
        return {"text": [self.text], **({} if self.pair is None else {"text_pair": [self.pair]})}


def read_pins(folder: Path) -> list[Pin]:
    """Return the pins of a run; none where the file is not there or not whole."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [Pin(**one) for one in found["pins"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def write_pin(
    folder: Path, text: str, *, tagging: bool, tokens: Sequence[str] | None = None, pair: str | None = None,
    gold: Any = None, asks: bool = False,
) -> Pin:  # fmt: skip
    """Pin a sentence; one that is pinned already stays as it is.

    Parameters
    ----------
    folder
        The run's.
    text
        The sentence.
    tagging
        Whether words are answered: then the sentence is split, unless its `tokens` are given.
    tokens, pair, gold
        See :class:`Pin`.
    asks
        Whether it is a question: then it needs its context as `pair`.

    Raises
    ------
    ConfigError
        If it is empty, too long, a question without a context, or there are too many.
    """
    text = " ".join(text.split())
    where = "pinned question" if asks else "pinned sentence"
    if asks and not (pair or "").strip():
        raise ConfigError(
            "The question has no context.", where=where, expected="a question and the text that may answer it"
        )
    if not text:
        raise ConfigError("An empty sentence cannot be pinned.", where=where, expected="a sentence")
    if len(text) + len(pair or "") > MOST_LETTERS:
        raise ConfigError(
            f"The sentence has {len(text) + len(pair or ''):,} letters.", where=where,
            expected=f"at most {MOST_LETTERS:,}", advice="Pin a part of it.",
        )  # fmt: skip
    words = None
    if tagging:
        words = list(tokens) if tokens is not None else [word for word, _, _ in split_words(text)]
    digest = hashlib.sha256(json.dumps([text, pair, words], ensure_ascii=False).encode()).hexdigest()[:10]
    pin = Pin(digest, text, pair, words, gold)
    pins = read_pins(folder)
    if any(one.id == pin.id for one in pins):
        return pin
    if len(pins) >= MOST:
        raise ConfigError(
            f"{MOST} sentences are pinned already.", where=where, expected=f"at most {MOST}", advice="Take one away.",
        )  # fmt: skip
    write_json(folder / FILE, {"pins": [asdict(one) for one in [*pins, pin]]})
    return pin


def remove_pin(folder: Path, pin: str) -> None:
    """Take a pin away; what was seen of it stays in the run's folder."""
    pins = read_pins(folder)
    write_json(folder / FILE, {"pins": [asdict(one) for one in pins if one.id != pin]})


class PinFile:
    """The pins of a run as the worker sees them: read again when the file has changed."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._stamp: tuple[int, int] | None = None
        self._pins: list[Pin] = []

    def now(self) -> list[Pin]:
        """Return the pins."""
        try:
            found = (self._folder / FILE).stat()
            stamp = (found.st_mtime_ns, found.st_ino)
        except OSError:
            return []
        if stamp != self._stamp:
            self._stamp, self._pins = stamp, read_pins(self._folder)
        return self._pins
