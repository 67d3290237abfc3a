"""Chinese by jieba: sentences cut at their full stops, words by dictionary and statistics; no trees."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from core.graph.corpus.text import Text, joined, sentence_of
from core.graph.types import Sentence

__all__ = ["Chinese", "load_segmenter"]

_SENTENCE = re.compile(r"[^。！？!?]*(?:[。！？!?]+[”’」』）)\"']*|$)")


@lru_cache(maxsize=1)
def load_segmenter() -> tuple[Any, str]:
    """Return jieba's segmenter and its name, loaded once a process.

    jieba keeps its dictionary as a marshal file in the temporary folder, where anybody may put one, and loads what it
    finds there. Here the dictionary is built from its text instead: nothing is unmarshalled, nothing is written.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba  # type: ignore[import-untyped]
    jieba.setLogLevel(logging.ERROR)
    segmenter = jieba.Tokenizer()
    segmenter.FREQ, segmenter.total = segmenter.gen_pfdict(segmenter.get_dict_file())
    segmenter.initialized = True
    return segmenter, f"jieba {jieba.__version__}"


class Chinese:
    """Cuts Chinese texts into sentences and words."""

    notice = "The text was segmented into words by {parser}; there are no trees, lemmas or parts of speech."

    def __init__(self) -> None:
        self.segmenter, self.parser = load_segmenter()
        self.notice = self.notice.format(parser=self.parser)

    def sentences(self, texts: Iterable[Text]) -> Iterator[list[Sentence]]:
        """Yield the sentences of each text; words that are given stay as they are."""
        for text in texts:
            if isinstance(text.content, str):
                yield [one for part in _SENTENCE.findall(text.content) if (one := self._cut(part, text.row))]
            else:
                words = text.content if isinstance(text.content, list) else text.content.words
                whole, spans = joined(words, "")
                yield [sentence_of(whole, list(words), spans, text.row)]

    def _cut(self, part: str, row: int) -> Sentence | None:
        part = part.strip()
        tokens, spans, at = [], [], 0
        for word in self.segmenter.cut(part):
            if not word.isspace():
                tokens.append(word)
                spans.append((at, at + len(word)))
            at += len(word)
        return sentence_of(part, tokens, spans, row) if tokens else None
