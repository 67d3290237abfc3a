"""CoNLL-U with its trees: syntactic words, heads and relations; whatever is corrupt is named by its line.

The reader of :mod:`core.data.readers.conll` serves tagging, which must go on after a bad sentence. Trees are looked at
more closely: a head that does not exist, or heads in a circle, would silently become wrong edges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.data.readers.base import MAX_CELL, shown
from core.data.readers.text import TextFile, open_text
from core.errors import DataError
from core.graph.corpus.text import Text, Tree, printable, tidy

__all__ = ["read_trees"]

_WORD = re.compile(r"[1-9]\d*")
_RANGE = re.compile(r"([1-9]\d*)-([1-9]\d*)")
_EMPTY = re.compile(r"\d+\.[1-9]\d*")
_TEXT = re.compile(r"#\s*text\s*=\s*(.*)")
_MAX_WORDS = 10_000


def read_trees(file: TextFile) -> Iterator[tuple[int, Text]]:
    """Yield the line on which each sentence starts, and the sentence.

    Ranges (``1-2``) and empty nodes (``1.1``) are no words. The words of a range that spell its surface form share it
    out; otherwise each has the whole form as its span. A sentence whose heads are all ``_`` has no tree.

    Raises
    ------
    DataError
        For a line that is not CoNLL-U, a head out of range, a second root or a circle, with file and line.
    """
    name = shown(file.path.name)
    number = 0
    with open_text(file) as lines:
        sentence = _Sentence(name)
        for at, line in enumerate(lines, 1):
            line = line.rstrip("\r\n")
            if line.strip():
                sentence.take(at, line)
            elif sentence.words:
                number += 1
                yield sentence.start, Text(number, 0, sentence.tree())
                sentence = _Sentence(name)
            else:
                sentence.end(at)
                sentence = _Sentence(name)
        if sentence.words:
            yield sentence.start, Text(number + 1, 0, sentence.tree())
        else:
            sentence.end(0)


class _Sentence:
    """The lines of one sentence."""

    def __init__(self, name: str):
        self.name = name
        self.start = self.size = 0
        self.text = ""
        self.words: list[list[str]] = []
        self.lines: list[int] = []
        #: First and last word of each surface form, and the form: one of a word that stands in no range.
        self.surfaces: list[tuple[int, int, str, bool]] = []
        self.until = 0

    def take(self, at: int, line: str) -> None:
        """Take a line that is not blank."""
        if not printable(line):
            raise self._wrong(at, "it has bytes that are not of the file's encoding", "text in one encoding")
        if line.startswith("#"):
            if found := _TEXT.match(line):
                self.text = tidy(found[1])
            return
        cells = line.split("\t")
        if len(cells) != 10:
            raise self._wrong(at, f"it has {len(cells)} columns", "ten columns, separated by tabs")
        self.start = self.start or at
        self.size += len(line)
        spaced = "SpaceAfter=No" not in cells[9].split("|")
        if span := _RANGE.fullmatch(cells[0]):
            first, last = int(span[1]), int(span[2])
            if first != len(self.words) + 1 or last < first or first <= self.until:
                raise self._wrong(at, f"the range {shown(cells[0])} does not start at the next word", "ranges in order")
            self.surfaces.append((first, last, tidy(cells[1]), spaced))
            self.until = last
        elif _EMPTY.fullmatch(cells[0]):
            return
        elif not _WORD.fullmatch(cells[0]):
            raise self._wrong(at, f"its first column is {shown(cells[0], 40)!r}", "a number, a range or an empty node")
        elif len(cells[0]) > 9 or int(cells[0]) != len(self.words) + 1:
            raise self._wrong(
                at, f"it is word {shown(cells[0], 40)} after word {len(self.words)}", f"word {len(self.words) + 1}"
            )
        else:
            if not (form := tidy(cells[1])):
                raise self._wrong(at, "its form is empty", "a word in the second column")
            if len(self.words) >= _MAX_WORDS or self.size > MAX_CELL:
                raise self._wrong(at, f"the sentence has more than {_MAX_WORDS:,} words", "a blank line after each")
            if len(self.words) + 1 > self.until:
                self.surfaces.append((len(self.words) + 1, len(self.words) + 1, form, spaced))
            self.words.append([form, *(cell.strip() for cell in cells[2:8])])
            self.lines.append(at)

    def end(self, at: int) -> None:
        """Refuse a sentence of ranges without words."""
        if self.surfaces:
            raise self._wrong(at or self.start, "the sentence has a range but no words", "a line for each word")

    def tree(self) -> Tree:
        """Return the sentence, once its heads are seen to be a tree."""
        if self.until > len(self.words):
            raise self._wrong(self.lines[-1], f"word {self.until} of a range is missing", "a line for each word")
        heads = self._heads()
        text, spans = self._text()
        forms = [word[0] for word in self.words]
        lemmas = ["" if word[1] == "_" and word[0] != "_" else word[1] for word in self.words]
        tags = ["" if word[2] == "_" else word[2] for word in self.words]
        relations = [word[6] for word in self.words] if heads is not None else []
        return Tree(text, forms, spans, heads, relations, tags, lemmas)

    def _heads(self) -> list[int] | None:
        if all(word[5] == "_" for word in self.words):
            return None
        heads: list[int] = []
        roots: list[int] = []
        for index, (word, at) in enumerate(zip(self.words, self.lines, strict=True)):
            cell = word[5]
            if not (cell.isascii() and cell.isdecimal()) or len(cell) > 9 or int(cell) > len(self.words):
                raise self._wrong(
                    at, f"its head is {shown(cell, 40)!r}", f"0 (the root) or a word from 1 to {len(self.words)}"
                )
            if int(cell) == index + 1:
                raise self._wrong(at, "it is its own head", "another word, or 0 for the root")
            heads.append(int(cell) - 1)
            if heads[-1] < 0:
                roots.append(index)
        if len(roots) > 1:
            raise self._wrong(
                self.lines[roots[1]], f"it is a second root, after word {roots[0] + 1}", "one word with head 0"
            )
        self._refuse_circles(heads)
        return heads

    def _refuse_circles(self, heads: list[int]) -> None:
        settled = [False] * len(heads)
        for index in range(len(heads)):
            way: dict[int, None] = {}
            at = index
            while at >= 0 and not settled[at]:
                if at in way:
                    circle = list(way)[list(way).index(at) :]
                    words = " → ".join(str(word + 1) for word in [*circle[:8], circle[0]])
                    raise self._wrong(self.lines[min(circle)], f"the heads go in a circle ({words})", "a tree")
                way[at] = None
                at = heads[at]
            for passed in way:
                settled[passed] = True

    def _text(self) -> tuple[str, list[tuple[int, int]]]:
        """Return the text and each word's span: the file's own text where the words stand in it, else one built."""
        places: list[tuple[int, int]] = []
        at = 0
        for _, _, form, _ in self.surfaces:
            start = self.text.find(form, at) if self.text else -1
            # Only white space may lie between words.
            if start < 0 or self.text[at:start].strip():
                break
            at = start + len(form)
            places.append((start, at))
        text = self.text
        if len(places) < len(self.surfaces):
            text, places = "", []
            for _, _, form, spaced in self.surfaces:
                places.append((len(text), len(text) + len(form)))
                text += form + " " * spaced
            text = text.rstrip()
        spans: list[tuple[int, int]] = []
        for (first, last, form, _), (start, end) in zip(self.surfaces, places, strict=True):
            forms = [word[0] for word in self.words[first - 1 : last]]
            if "".join(forms) == form:
                for one in forms:
                    spans.append((start, start + len(one)))
                    start += len(one)
            else:
                spans.extend([(start, end)] * len(forms))
        return text, spans

    def _wrong(self, at: int, what: str, expected: str) -> DataError:
        return DataError(
            f"The CoNLL-U file is corrupt: {what}.",
            where=f"{self.name}, line {at}",
            expected=expected,
            advice="Mend or remove that sentence.",
        )
