"""Parts of speech of the words of a role: gold where the file has them, silver from a tagger, else the reason why not.

A tagger runs in a process of its own: it imports nothing into the asking one, and draws none of its random numbers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import core
from core.config import DataConfig, TaskConfig
from core.data.language import UNKNOWN, guess_language
from core.data.readers.open import open_source
from core.data.rows import spelled_list
from core.data.samples import sample, sample_names
from core.data.tasks.base import Rows
from core.errors import BertloomError

__all__ = ["MOST_WORDS", "SECONDS", "UPOS", "Parts", "parts_of"]

#: Universal parts of speech (universaldependencies.org/u/pos).
UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM",
    "VERB", "X",
)  # fmt: skip
#: Words that are tagged at most, and seconds that it may take beside loading the tagger.
MOST_WORDS = 20_000
SECONDS = 10.0
#: Seconds in which a tagger must be loaded.
_LOADING = 30.0
_COLUMN = "upos"
_TELLING_ROWS = 400
_NAMES = {"zh": "Chinese"}
_CODES = {name: code for code, name in enumerate(UPOS)}


@dataclass(frozen=True)
class Parts:
    """Parts of speech of words.

    Parameters
    ----------
    codes
        Index into :data:`UPOS` of each word of the rows, in order; -1 where none is known. int8 of shape (words,).
    origin
        ``gold`` (the file's own), ``silver`` (a tagger made them), or empty where there are none.
    source
        What they come from; without any, why there are none, as a sentence.
    """

    codes: np.ndarray
    origin: str
    source: str

    @property
    def known(self) -> int:
        """Number of words with a part of speech."""
        return int((self.codes >= 0).sum())


def parts_of(
    rows: Rows, data: DataConfig, task: TaskConfig, report: Mapping[str, Any], *, role: str = "gate",
    most: int = MOST_WORDS, seconds: float = SECONDS,
) -> Parts:  # fmt: skip
    """Find the parts of speech of a role's words.

    Parameters
    ----------
    rows
        Of the role, in standard columns, with ``tokens``, ``row`` and ``source``.
    data, task
        As in the plan.
    report
        ``Roles.report``.
    role
        train, gate or test.
    most, seconds
        Words that a tagger is given, and how long it may work on them: whole rows, drawn the same way each time.

    Returns
    -------
    Parts
        Without any where tags of the task are parts of speech themselves, or no tagger knows the language.
    """
    columns = rows[:]
    sentences: list[list[str]] = [list(words) for words in columns["tokens"]]
    about = report["sources"][role if role in report["sources"] else "train"]
    named = {name.lower(): name for name in about["columns"]}
    if about["mapping"].get("tags", "").lower() == _COLUMN:
        return _none(sentences, "The gold labels are parts of speech themselves.")
    if _COLUMN in named and about["format"] != "hub":  # a hub data set may need a network
        found = _gold(sentences, columns, data, task, role if role in report["sources"] else "train", named[_COLUMN])
        if found.known:
            return found
    place = data.gate_source if role == "gate" and data.gate_source else data.source
    if place in sample_names():
        language = sample(place).language
    else:
        language, _ = guess_language(" ".join(words) for words in sentences[:_TELLING_ROWS])
    if language != "en":
        who = (
            "The language of the rows was not recognised" if language == UNKNOWN else f"The rows are {_NAMES[language]}"
        )
        return _none(sentences, f"{who}, and only English has a tagger here. A CoNLL-U file brings its own.")
    if seconds <= 0:
        return _none(sentences, "The stage's budget of seconds leaves no time for a tagger.")
    return _silver(sentences, most, seconds)


def _none(sentences: Sequence[Sequence[str]], reason: str) -> Parts:
    return Parts(np.full(sum(map(len, sentences)), -1, dtype=np.int8), "", reason)


def _gold(
    sentences: list[list[str]], columns: Mapping[str, Any], data: DataConfig, task: TaskConfig, role: str, column: str
) -> Parts:
    """Read the column of parts of speech again from the source: rows keep only what the task needs."""
    bounds = _bounds(sentences)
    codes = np.full(bounds[-1], -1, dtype=np.int8)
    try:
        source = open_source(data, task, role)
        wanted = {
            int(row): at for at, (row, name) in enumerate(zip(columns["row"], columns["source"], strict=True))
            if name == source.name
        }  # fmt: skip
        for raw in source.rows():
            at = wanted.get(raw.number)
            if at is None or raw.values is None:
                continue
            parts = spelled_list(raw.values.get(column))
            if parts is not None and len(parts) == len(sentences[at]):
                codes[bounds[at] : bounds[at + 1]] = [_CODES.get(str(one).upper(), -1) for one in parts]
    except BertloomError as error:
        return _none(sentences, f"The file cannot be read again: {error.what}")
    return Parts(codes, "gold", f"column {column} of {data.gate_source if role == 'gate' else data.source}")


def _silver(sentences: list[list[str]], most: int, seconds: float) -> Parts:
    bounds = _bounds(sentences)
    sizes = np.diff(bounds)
    # Not NumPy's shared generator: a run's random numbers are its own.
    order = np.random.default_rng(0).permutation(len(sentences))
    order = order[np.cumsum(sizes[order]) <= most]
    question = json.dumps({"sentences": [sentences[at] for at in order], "seconds": seconds})
    try:
        # Not its memory either: a pipeline takes some 200 MB.
        done = subprocess.run(
            [sys.executable, "-P", "-m", "core.data.parts_process"], input=question.encode(), capture_output=True,
            timeout=seconds + _LOADING, env=_environment(), check=False,
        )  # fmt: skip
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return _none(sentences, "The tagger's process died or took too long.")
    if "error" in answer:
        return _none(sentences, f"The tagger cannot be loaded: {answer['error']}")
    codes = np.full(bounds[-1], -1, dtype=np.int8)
    for at, parts in zip(order, answer["parts"], strict=False):
        codes[bounds[at] : bounds[at + 1]] = [_CODES.get(one, -1) for one in parts]
    if not (codes >= 0).any():
        return _none(sentences, "The tagger did not finish a sentence in time.")
    return Parts(codes, "silver", str(answer["tagger"]))


def _bounds(sentences: Sequence[Sequence[str]]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(words) for words in sentences])]).astype(np.int64)


def _environment() -> dict[str, str]:
    package = str(Path(next(iter(core.__path__))).parent)
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    # One thread: small matrices, and the training's own cores.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "OMP_NUM_THREADS": "1"}
