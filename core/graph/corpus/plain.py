"""Any other language: sentences by their punctuation, words by white space and punctuation, in any script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import regex  # type: ignore[import-untyped]

from core.graph.corpus.text import Text, joined, sentence_of
from core.graph.types import Sentence

__all__ = ["Plain", "words"]

# Letters with their marks (vowel signs, Arabic harakat), digits, joiners inside a word (Persian, Indic scripts), and
# apostrophes and hyphens between them, points between digits. Else one visible character, which may be several code
# points (an emoji with its skin colour). Marks of direction and other invisible characters are no words.
_TOKEN = regex.compile(
    r"[\p{L}\p{N}][\p{L}\p{N}\p{M}\u200c\u200d_]*"
    r"(?:(?:['’\-‐·׳״]|(?<=\p{Nd})[.,](?=\p{Nd}))[\p{L}\p{N}][\p{L}\p{N}\p{M}\u200c\u200d_]*)*"
    r"|(?![\s\p{C}\p{Z}])\X"
)
# A sentence ends at a full stop of its script, with the quotes that close after it; a Latin one only before white
# space that no small letter follows, and not after a single letter ("J. Smith").
_END = regex.compile(r"(?:(?<!\b\p{L})[.!?…؟۔।॥]+[\"'”“’»)\]]*(?=\s+(?!\p{Ll})|$)|[。！？]+[”’」』）]*)")


def words(text: str) -> list[tuple[int, int]]:
    """Return start and end of each word and each sign of punctuation in a text."""
    return [match.span() for match in _TOKEN.finditer(text)]


class Plain:
    """Cuts texts of any language into sentences and words."""

    parser = "white space and punctuation"
    notice = (
        "The text was segmented at white space and punctuation; there are no trees, lemmas or parts of speech. A "
        "language that is written without spaces is better read as characters (unit)."
    )

    def sentences(self, texts: Iterable[Text]) -> Iterator[list[Sentence]]:
        """Yield the sentences of each text; words that are given stay as they are."""
        for text in texts:
            if isinstance(text.content, str):
                yield [one for part in self._parts(text.content) if (one := self._cut(part, text.row))]
            else:
                given = text.content if isinstance(text.content, list) else text.content.words
                whole, spans = joined(given, " ")
                yield [sentence_of(whole, list(given), spans, text.row)]

    def _parts(self, text: str) -> Iterator[str]:
        at = 0
        for match in _END.finditer(text):
            yield text[at : match.end()].strip()
            at = match.end()
        yield text[at:].strip()

    def _cut(self, part: str, row: int) -> Sentence | None:
        spans = words(part)
        return sentence_of(part, [part[low:high] for low, high in spans], spans, row) if spans else None
