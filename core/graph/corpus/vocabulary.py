"""Which tokens are nodes: normalising, filtering, counting and ordering words."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from core.config.graph import CorpusConfig
from core.data.parts import UPOS
from core.errors import ConfigError, DataError
from core.graph.corpus.language import stop_words
from core.graph.corpus.text import wordlike
from core.graph.types import NO_NODE, Sentence

__all__ = ["Vocabulary", "build_vocabulary", "parts_of_speech"]

_LONGEST = 100
_FEW = 1000
# Zero-width space and joiner at the edges, byte-order mark, soft hyphen, marks of direction: invisible in a label.
_INVISIBLE = "\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# Words that differ in their apostrophe only (don't, don’t) are one word.
_SPELT = {**{ord(char): None for char in _INVISIBLE}, ord("’"): "'"}
_CHECK_EVERY = 5000


@dataclass
class Vocabulary:
    """The words that are nodes, most frequent first; see :class:`~core.graph.types.Corpus`."""

    words: list[str]
    counts: np.ndarray
    tags: list[str]
    lemmas: list[str]
    notices: list[str] = field(default_factory=list)


def parts_of_speech(config: CorpusConfig) -> frozenset[str]:
    """Return the parts of speech that are kept, in capitals; empty: all.

    Raises
    ------
    ConfigError
        If one is not a universal part of speech.
    """
    asked = [name.strip().upper() for name in config.parts_of_speech]
    if unknown := [name for name in asked if name not in UPOS]:
        raise ConfigError(
            f"There is no part of speech {unknown[0][:40]!r}.", where="corpus.parts_of_speech",
            expected=f"any of {', '.join(UPOS)}",
        )  # fmt: skip
    return frozenset(asked)


class _Forms:
    """Word of each form that occurs, or why it is none; every form is looked at once."""

    def __init__(self, config: CorpusConfig, stop: frozenset[str]):
        self.config, self.stop = config, stop
        self.of: dict[str, int] = {}
        self.words: list[str] = []
        self._numbers: dict[str, int] = {}
        self.long: set[str] = set()

    def add(self, form: str) -> int:
        word = unicodedata.normalize("NFC", form.translate(_SPELT)).strip()
        if self.config.lowercase:
            word = word.lower()
        if len(word) > _LONGEST:
            self.long.add(form)
        number = NO_NODE
        keep = wordlike(word) if self.config.unit == "word" else bool(word)
        if keep and len(word) <= _LONGEST and word.lower() not in self.stop:
            number = self._numbers.setdefault(word, len(self.words))
            if number == len(self.words):
                self.words.append(word)
        self.of[form] = number
        return number


def build_vocabulary(
    sentences: list[Sentence],
    labels: list[list[str]],
    config: CorpusConfig,
    language: str,
    check: Callable[[], None] = lambda: None,
) -> Vocabulary:
    """Choose the words that are nodes and set the nodes of every sentence.

    Punctuation is never a node where the unit is the word. Words are ordered by frequency, those of equal frequency by
    alphabet.

    Parameters
    ----------
    sentences
        Their `nodes` are set.
    labels
        What each token is called, one list a sentence.
    config
        Filters.
    language
        Whose stop-words are left out, if they are to be.
    check
        Called now and then; raises in order to stop.

    Raises
    ------
    DataError
        If no word is left.
    ConfigError
        If a part of speech does not exist, or the corpus has none.
    """
    notices: list[str] = []
    wanted = parts_of_speech(config)
    if wanted and not any(one.tags and any(one.tags) for one in sentences):
        raise ConfigError(
            "Words cannot be chosen by part of speech: this corpus has none.", where="corpus.parts_of_speech",
            expected="an English corpus, which is tagged, or a CoNLL-U file with UPOS", advice="Leave it empty.",
        )  # fmt: skip
    forms = _Forms(config, _stop(config, language, notices))
    numbers = array("i")
    for index, (sentence, names) in enumerate(zip(sentences, labels, strict=True)):
        if index % _CHECK_EVERY == 0:
            check()
        known = forms.of
        found = [known[name] if name in known else forms.add(name) for name in names]
        if wanted:
            tags = sentence.tags or [""] * len(found)
            found = [one if tag in wanted else NO_NODE for one, tag in zip(found, tags, strict=True)]
        numbers.extend(found)
    flat = np.frombuffer(numbers, dtype=np.int32) if len(numbers) else np.zeros(0, dtype=np.int32)
    counts = np.bincount(flat[flat >= 0], minlength=len(forms.words))
    if forms.long:
        many, are = (f"{len(forms.long):,} words", "are") if len(forms.long) > 1 else ("One word", "is")
        notices.append(f"{many} of more than {_LONGEST} characters {are} left out.")
    place = _places(forms.words, counts, config, len(sentences), notices)
    nodes = np.where(flat >= 0, place[flat], NO_NODE).astype(np.int32) if len(flat) else flat
    ends = np.cumsum([len(names) for names in labels])
    for sentence, part in zip(sentences, np.split(nodes, ends[:-1]), strict=True):
        sentence.nodes = part.copy()
    kept = np.flatnonzero(place >= 0)
    kept = kept[np.argsort(place[kept])]
    words = [forms.words[index] for index in kept.tolist()]
    if len(words) == 1:
        notices.append(f"The corpus has one word only ({words[0]!r}): there is nothing to connect.")
    return Vocabulary(
        words, counts[kept].astype(np.int64),
        _most_frequent([one.tags for one in sentences], nodes, ends, len(words)),
        _most_frequent([one.lemmas for one in sentences], nodes, ends, len(words)), notices,
    )  # fmt: skip


def _stop(config: CorpusConfig, language: str, notices: list[str]) -> frozenset[str]:
    if config.stop_words:
        return frozenset()
    stop = stop_words(language)
    if stop is None:
        notices.append("Stop-words are kept: there is a list for English and for Chinese only.")
    return stop or frozenset()


def _places(
    words: list[str], counts: np.ndarray, config: CorpusConfig, sentences: int, notices: list[str]
) -> np.ndarray:
    """Return the node of each word, NO_NODE where it is left out; int64 of shape (words + 1,), the last for no word."""
    least = config.min_count or (1 if sentences < _FEW else 3)
    occurring = int((counts > 0).sum())
    enough = [int(index) for index in np.flatnonzero(counts >= least)]
    order = sorted(enough, key=lambda index: (-int(counts[index]), words[index]))
    if not order:
        most = int(counts.max(initial=0))
        raise DataError(
            "No word is left." if occurring else "The corpus has no words that could be nodes.",
            where="corpus",
            expected=f"words that occur at least {least} times (the most frequent one occurs {most} times)"
            if occurring
            else "words, numbers or emoji, not only punctuation or filtered ones",
            advice="Lower min_count, keep stop-words, or choose more parts of speech.",
        )
    if least > 1 and len(order) < occurring:
        notices.append(
            f"{occurring - len(order):,} of {occurring:,} words occur less than {least} times and are left out."
        )
    if len(order) > config.max_words:
        notices.append(f"Only the {config.max_words:,} most frequent of {len(order):,} words are kept.")
        order = order[: config.max_words]
    place = np.full(len(words) + 1, NO_NODE, dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


def _most_frequent(values: list[list[str]], nodes: np.ndarray, ends: np.ndarray, words: int) -> list[str]:
    """Return each node's most frequent value (the one that came first of equals), empty where there is none."""
    numbers: dict[str, int] = {"": 0}
    flat = array("i")
    before = 0
    for row, end in zip(values, ends.tolist(), strict=True):
        flat.extend([numbers.setdefault(value, len(numbers)) for value in row] if row else [0] * (end - before))
        before = end
    known = np.frombuffer(flat, dtype=np.int32) if len(flat) else np.zeros(0, dtype=np.int32)
    told = (nodes >= 0) & (known > 0)
    keys, counts = np.unique(nodes[told].astype(np.int64) * len(numbers) + known[told], return_counts=True)
    node, value = np.divmod(keys, len(numbers))
    best = np.zeros(words, dtype=np.int64)
    # The last one written wins: ascending by count, then by first appearance backwards.
    order = np.lexsort((-value, counts))
    best[node[order]] = value[order]
    names = list(numbers)
    return [names[index] for index in best.tolist()]
