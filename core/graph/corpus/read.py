"""From a config to a corpus: open, draw, cut into sentences, choose the words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from core.config.graph import CorpusConfig
from core.data.language import guess_language
from core.errors import DataError
from core.graph.corpus.draw import Drawn, draw
from core.graph.corpus.plain import Plain
from core.graph.corpus.sources import Opened, open_corpus
from core.graph.corpus.text import Text, Tree, sentence_of, wordlike
from core.graph.corpus.units import as_characters, as_subwords
from core.graph.corpus.vocabulary import build_vocabulary, parts_of_speech
from core.graph.types import Corpus, Sentence

__all__ = ["read_corpus", "read_sentences"]

_TELLING = 200
_TELLING_CHARACTERS = 2000
_EVERY = 64


class _Segmenter(Protocol):
    """Cuts texts of a language into sentences of words."""

    parser: str

    @property
    def notice(self) -> str: ...

    def sentences(self, texts: Iterable[Text]) -> Iterator[list[Sentence]]: ...


class _Gold:
    """Sentences with their gold trees, as they are."""

    parser = "CoNLL-U"
    notice = ""

    def sentences(self, texts: Iterable[Text]) -> Iterator[list[Sentence]]:
        for text in texts:
            tree = text.content
            assert isinstance(tree, Tree)
            heads = None if tree.heads is None else np.array(tree.heads, dtype=np.int32)
            yield [
                sentence_of(
                    tree.text, tree.words, tree.spans, text.row, heads=heads,
                    relations=None if heads is None else tree.relations,
                    tags=tree.tags if any(tree.tags) else [], lemmas=tree.lemmas if any(tree.lemmas) else [],
                )
            ]  # fmt: skip


@dataclass
class _Cut:
    """What cutting gave: the sentences, of how many texts, and how many sentences those texts held."""

    sentences: list[Sentence] = field(default_factory=list)
    texts: int = 0
    held: int = 0


def read_corpus(
    config: CorpusConfig,
    *,
    tokenizer: Any = None,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    looking: Callable[[int, int], None] = lambda done, total: None,
) -> Corpus:
    """Read a corpus: its sentences, and the words that are nodes.

    The source is streamed to its end, and at most ``max_sentences`` of its texts are kept, drawn evenly; only as many
    of these are cut (and parsed) as it takes. So no more than that is in memory, whatever the size of the source.

    Parameters
    ----------
    config
        Source, language, unit and filters.
    tokenizer
        A fast tokenizer of transformers, for the unit ``subword``.
    check
        Called at least every 64 sentences that are parsed and every 1,000 rows that are read; raises in order to stop.
    progress
        Called with texts that were cut, and about how many there will be.
    looking
        Called before that, while a source of more than 1,000 rows is streamed: with the line or row that was reached,
        and about how many there are (0: not known).

    Returns
    -------
    Corpus
        Sentences in the order of the source. Its notices say what was drawn, assumed, silver or left out.

    Raises
    ------
    DataError
        If the source cannot be read, is corrupt CoNLL-U, or has no word that is left.
    ConfigError
        If a setting does not fit the corpus.
    HubError, ModelError
        If the hub, or the English pipeline, is not there.
    """
    parts_of_speech(config)
    opened = open_corpus(config)

    def told(line: int, lines: int) -> None:
        check()
        looking(line, lines)

    drawn = draw(opened.texts(told), config.max_sentences, config.seed, check=check)
    if not drawn.texts:
        raise DataError(
            "The corpus has no words.",
            where=opened.name,
            expected="sentences with words, numbers or emoji, not only punctuation",
            advice=" ".join(opened.notices) or None,
        )
    notices = list(opened.notices)
    language = _language(config, opened, drawn, notices)
    segmenter = _segmenter(opened, drawn, language, notices)
    cut = _cut(segmenter, drawn.texts, config.max_sentences, check, progress)
    if not cut.sentences:
        raise DataError(
            "The corpus has no words.", where=opened.name, expected="words, numbers or emoji, not only punctuation"
        )
    total, sampled, drawing = _total(opened, drawn, cut)
    sentences, labels, trees = _units(config, cut.sentences, segmenter, tokenizer, check, notices)
    vocabulary = build_vocabulary(sentences, labels, config, language, check)
    return Corpus(
        sentences, vocabulary.words, vocabulary.counts, vocabulary.tags, vocabulary.lemmas, language, config.unit,
        trees, segmenter.parser, [*drawing, *notices, *vocabulary.notices], total, sampled,
    )  # fmt: skip


def read_sentences(
    config: CorpusConfig,
    *,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[str], list[str]]:
    """Read only the sentences of a corpus, without a parser: for those who need texts and no words.

    Sentences are cut at their punctuation in every language; those that come with trees or as words stay as they are.

    Parameters
    ----------
    config
        Source and number of sentences; words are neither counted nor filtered.
    check, progress
        See :func:`read_corpus`.

    Returns
    -------
    list of str
        The sentences in the order of the source.
    list of str
        What was drawn.

    Raises
    ------
    DataError
        If the source cannot be read, or has no words.
    """
    opened = open_corpus(config)
    drawn = draw(opened.texts(lambda line, lines: check()), config.max_sentences, config.seed, check=check)
    segmenter: _Segmenter = _Gold() if opened.kind == "trees" else Plain()
    cut = _cut(segmenter, drawn.texts, config.max_sentences, check, progress)
    if not cut.sentences:
        raise DataError(
            "The corpus has no words.", where=opened.name, expected="words, numbers or emoji, not only punctuation"
        )
    _, _, drawing = _total(opened, drawn, cut)
    return [one.text or " ".join(one.tokens) for one in cut.sentences], [*drawing, *opened.notices]


def _language(config: CorpusConfig, opened: Opened, drawn: Drawn, notices: list[str]) -> str:
    if config.language != "auto":
        return config.language
    if opened.language:
        return opened.language
    language, reason = guess_language(text.start(_TELLING_CHARACTERS) for text in drawn.texts[:_TELLING])
    name = {"en": "English", "zh": "Chinese"}.get(language)
    assumed = f"The language was taken for {name}" if name else "The language is not known"
    notices.append(f"{assumed}: {reason}. Set the language if that is wrong.")
    return language


def _segmenter(opened: Opened, drawn: Drawn, language: str, notices: list[str]) -> _Segmenter:
    segmenter: _Segmenter
    if opened.kind == "trees":
        bare = sum(isinstance(text.content, Tree) and text.content.heads is None for text in drawn.texts)
        if bare < len(drawn.texts):
            if bare:
                notices.append(f"{bare:,} of the sentences drawn have no tree (their heads are _).")
            return _Gold()
        notices.append("The CoNLL-U file has no trees (all heads are _).")
    if language == "en":
        from core.graph.corpus.english import English

        segmenter = English()
    elif language == "zh":
        from core.graph.corpus.chinese import Chinese

        segmenter = Chinese()
    else:
        segmenter = Plain()
    if opened.kind != "text" and language != "en":
        segmenter.parser = "words as they stand in the source"
        notices.append("The words are those of the source; there are no trees, lemmas or parts of speech.")
    elif language != "en":
        notices.append(segmenter.notice)
    return segmenter


def _cut(
    segmenter: _Segmenter,
    texts: list[Text],
    most: int,
    check: Callable[[], None],
    progress: Callable[[int, int], None],
) -> _Cut:
    """Cut texts into sentences until there are enough; sentences without any word do not count."""
    cut = _Cut()
    found: list[tuple[int, int, int, Sentence]] = []
    progress(0, len(texts))
    for text, sentences in zip(texts, segmenter.sentences(_checked(texts, check)), strict=False):
        usable = [one for one in sentences if any(map(wordlike, one.tokens))]
        cut.texts += 1
        cut.held += len(usable)
        found.extend((text.row, text.piece, index, one) for index, one in enumerate(usable))
        if cut.texts % _EVERY == 0:
            expected = min(len(texts), math.ceil(most * cut.texts / max(1, cut.held)))
            progress(min(cut.texts, expected), expected)
        if len(found) >= most:
            break
    check()
    progress(cut.texts, cut.texts)
    # Texts come in random order, so what is cut off here falls on a random text.
    cut.sentences = [entry[3] for entry in sorted(found[:most], key=lambda entry: entry[:3])]
    return cut


def _checked(texts: list[Text], check: Callable[[], None]) -> Iterator[Text]:
    for index, text in enumerate(texts):
        if index % _EVERY == 0:
            check()
        yield text


def _total(opened: Opened, drawn: Drawn, cut: _Cut) -> tuple[int, bool, list[str]]:
    """Return how many sentences there are, whether some of them were drawn, and the notice that says so."""
    used = len(cut.sentences)
    whole = drawn.complete and cut.texts == len(drawn.texts) and not opened.stopped
    if whole and cut.held == used:
        return used, False, []
    total = max(used, round(drawn.seen * cut.held / cut.texts))
    about = "at least " if opened.stopped else "" if whole or opened.kind != "text" else "about "
    texts = f" (in {opened.rows:,} texts)" if opened.kind == "text" and opened.rows != total else ""
    if used == total and not opened.stopped:
        return total, True, [f"{used:,} sentences, drawn evenly{texts}."]
    evenly = "drawn evenly" + (" from the rows that were looked at" if opened.stopped else "")
    return total, True, [f"{used:,} of {about}{total:,} sentences{texts}, {evenly}."]


def _units(
    config: CorpusConfig,
    sentences: list[Sentence],
    segmenter: _Segmenter,
    tokenizer: Any,
    check: Callable[[], None],
    notices: list[str],
) -> tuple[list[Sentence], list[list[str]], Any]:
    """Return the sentences in the unit that was asked for, the tokens' labels, and what kind of trees there are."""
    if any(one.heads is not None for one in sentences):
        trees = "gold" if isinstance(segmenter, _Gold) else "silver"
    else:
        trees = "none"
    if config.unit == "word":
        if trees == "silver":
            notices.append(segmenter.notice)
        return sentences, [one.tokens for one in sentences], trees
    if trees != "none":
        unit = {"subword": "sub-words", "character": "characters"}[config.unit]
        notices.append(f"Trees are left out: they hold between words, and the nodes are {unit}.")
    if config.unit == "character":
        return *as_characters(sentences), "none"
    return *as_subwords(sentences, tokenizer, check), "none"
