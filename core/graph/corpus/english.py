"""English by spaCy: sentences, words, lemmas, parts of speech and silver trees."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from core.data.english import load_pipeline
from core.graph.corpus.text import Text, joined, sentence_of
from core.graph.types import Sentence

if TYPE_CHECKING:
    from spacy.tokens import Doc

__all__ = ["English"]

# Small texts: a batch of 64 keeps the parser busy, and a Cancel waits for no more than that.
_BATCH = 64
#: Sentences that are given as words are one sentence each up to this length.
_LONGEST = 2_000


class English:
    """Cuts English texts into sentences and parses them."""

    def __init__(self) -> None:
        self.pipeline, self.parser = load_pipeline()
        self._strings: dict[int, str] = {}

    @property
    def notice(self) -> str:
        """What a person should know about the trees, which a parser made."""
        return (
            f"The trees are silver: a parser made them ({self.parser}, ClearNLP labels), as well as lemmas and parts "
            "of speech."
        )

    def sentences(self, texts: Iterable[Text]) -> Iterator[list[Sentence]]:
        """Yield the sentences of each text; words that are given stay one sentence."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            documents = self.pipeline.pipe(
                ((self._document(text), text) for text in texts), as_tuples=True, batch_size=_BATCH
            )
            for document, text in documents:
                yield list(self._cut(document, text))

    def _document(self, text: Text) -> Doc | str:
        if isinstance(text.content, str):
            return text.content
        from spacy.tokens import Doc

        words = text.content if isinstance(text.content, list) else text.content.words
        if len(words) > _LONGEST:
            return Doc(self.pipeline.vocab, words=words)
        starts: list[bool | int | None] = [index == 0 for index in range(len(words))]
        return Doc(self.pipeline.vocab, words=words, sent_starts=starts)

    def _cut(self, document: Doc, text: Text) -> Iterator[Sentence]:
        whole = document.text
        spans = np.array([(token.idx, token.idx + len(token)) for token in document], dtype=np.int32).reshape(-1, 2)
        if not isinstance(text.content, str):
            words = text.content if isinstance(text.content, list) else text.content.words
            whole, spans = joined(words, " ")
        columns = document.to_array(["HEAD", "DEP", "POS", "LEMMA"]).astype(np.uint64)
        heads = columns[:, 0].astype(np.int64)
        names = [[self._string(int(key)) for key in columns[:, column]] for column in (1, 2, 3)]
        tokens = [token.text for token in document]
        starts = [sentence.start for sentence in document.sents] or [0]
        for low, high in zip(starts, [*starts[1:], len(tokens)], strict=True):
            if low == high:
                continue
            begin, end = int(spans[low, 0]), int(spans[high - 1, 1])
            own = heads[low:high]
            at = np.where(own == 0, -1, np.arange(high - low) + own).astype(np.int32)
            relations, tags, lemmas = (column[low:high] for column in names)
            yield sentence_of(
                whole[begin:end], tokens[low:high], spans[low:high] - begin, text.row,
                heads=at, relations=relations, tags=tags, lemmas=lemmas,
            )  # fmt: skip

    def _string(self, key: int) -> str:
        found = self._strings.get(key)
        if found is None:
            found = self._strings[key] = self.pipeline.vocab.strings[key] if key else ""
        return found
