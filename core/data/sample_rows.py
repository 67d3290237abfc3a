"""The rows of the bundled samples, cleaned: no empty texts, no repeated texts, no text with two labels."""

from __future__ import annotations

import bz2
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.data.derived import COLUMNS, cloze_questions, entity_questions
from core.data.fetch import STAMP, sha256_of
from core.data.readers.base import RawRow, Source
from core.data.readers.conll import open_conll
from core.data.readers.text import inspect_file
from core.data.samples import sample
from core.errors import DataError

__all__ = ["open_sample", "read_sample"]

#: Two-character surnames; any other surname is one character.
_SURNAMES = frozenset(
    [
        "欧阳",
        "诸葛",
        "司马",
        "上官",
        "南宫",
        "东方",
        "皇甫",
        "公孙",
        "令狐",
        "慕容",
        "夏侯",
        "尉迟",
        "司徒",
        "端木",
        "长孙",
        "宇文",
        "轩辕",
        "独孤",
    ]
)
_TYPES = {"ns": "LOC", "nt": "ORG"}
#: Raise it when a cleaning rule changes, so that cached rows are read again.
_VERSION = "1"


def open_sample(name: str) -> Source:
    """Open a bundled sample.

    Columns are ``text`` and ``label`` (classification), ``tokens`` and ``tags`` in IOB2 (tagging), those of derived
    questions (:data:`core.data.derived.COLUMNS`), or ``text`` alone with ``film`` or ``date``.

    Raises
    ------
    DataError
        If there is none of this name or it is not downloaded.
    """
    info = sample(name)
    stamp = info.path.parent / STAMP
    key = f"sample {name} {_VERSION} {sha256_of(stamp) if stamp.is_file() else info.path.stat().st_mtime_ns}"
    columns, rows = _READERS[name]
    return Source(f"sample {name}", "sample", "utf-8", list(columns), lambda: rows(info.path), key=key)


def read_sample(name: str) -> Iterator[dict[str, Any]]:
    """Yield the cleaned rows of a sample as dictionaries, also of those without labels."""
    for row in open_sample(name).rows():
        if row.values is not None:
            yield row.values


def _clean(rows: Iterator[tuple[int, int, str, str]]) -> Iterator[RawRow]:
    """Keep the first of equal texts; drop empty ones and those that carry two labels."""
    first: dict[str, tuple[int, int, str]] = {}
    torn: set[str] = set()
    for number, line, text, label in rows:
        text = text.strip()
        if not text:
            continue
        if text in first:
            if first[text][2] != label:
                torn.add(text)
        else:
            first[text] = (number, line, label)
    for text, (number, line, label) in first.items():
        if text not in torn:
            yield RawRow(number, line, {"text": text, "label": label})


def _table(path: Path) -> Iterator[tuple[int, int, dict[str, str]]]:
    with bz2.open(path, "rb") as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        line = 2
        for number, record in enumerate(reader, 1):
            yield number, line, record
            line = reader.line_num + 1


def _reviews(path: Path) -> Iterator[RawRow]:
    yield from _clean(
        (number, line, record["text"], record["category"])
        for number, line, record in _table(path)
        if record["category"] in ("fresh", "rotten")
    )


def _plots(path: Path) -> Iterator[RawRow]:
    seen: set[str] = set()
    for number, line, record in _table(path):
        text = record["text"].strip()
        if record["category"] == "plot" and text and text not in seen:
            seen.add(text)
            yield RawRow(number, line, {"text": text, "film": record["movie_name"]})


def _headlines(path: Path) -> Iterator[RawRow]:
    seen: set[str] = set()
    for number, line, record in _table(path):
        text = " ".join(record["Text"].split())
        if text and text not in seen:
            seen.add(text)
            yield RawRow(number, line, {"text": text, "date": record["Date"]})


def _tweets(path: Path) -> Iterator[RawRow]:
    seen: set[tuple[str, ...]] = set()
    for row in open_conll(inspect_file(path, "utf-8")).rows():
        if row.values is None:
            raise DataError(f"The sample tweets is damaged: {row.problem}.", where=f"{path.name}, line {row.line}")
        words = tuple(row.values["1"])
        if words not in seen:
            seen.add(words)
            yield RawRow(row.number, row.line, {"tokens": row.values["1"], "tags": row.values["2"]})


def _zh_reviews(path: Path) -> Iterator[RawRow]:
    def lines() -> Iterator[tuple[int, int, str, str]]:
        number = 0
        for label in ("pos", "neg"):
            with path.with_name(f"{label}.txt").open(encoding="utf-8") as stream:
                for line, text in enumerate(stream, 1):
                    number += 1
                    yield number, line, text, label

    yield from _clean(lines())


def _zh_news(path: Path) -> Iterator[RawRow]:
    seen: set[tuple[str, ...]] = set()
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            pairs = [word.rpartition("/")[::2] for word in line.split()]
            words = tuple(word for word, _ in pairs)
            if words and words not in seen:
                seen.add(words)
                yield RawRow(number, number, {"tokens": list(words), "tags": names_from_marks(pairs)})


def names_from_marks(pairs: list[tuple[str, str]]) -> list[str]:
    """Derive IOB2 tags from (word, part-of-speech mark) pairs: nr → PER, ns → LOC, nt → ORG.

    A surname (one character, or a known double one) and the nr word after it are one person. Several people may stand
    in a row without anything between them, so no more than two words are joined.
    """
    tags: list[str] = []
    while len(tags) < len(pairs):
        index = len(tags)
        word, mark = pairs[index]
        if mark == "nr":
            follows = index + 1 < len(pairs) and pairs[index + 1][1] == "nr"
            tags += ["B-PER", "I-PER"] if follows and (len(word) == 1 or word in _SURNAMES) else ["B-PER"]
        else:
            tags.append(f"B-{_TYPES[mark]}" if mark in _TYPES else "O")
    return tags


def _tagged(rows: Iterator[RawRow]) -> Iterator[tuple[int, list[str], list[str]]]:
    for row in rows:
        if row.values is not None:
            yield row.number, row.values["tokens"], row.values["tags"]


def _tweet_questions(path: Path) -> Iterator[RawRow]:
    yield from entity_questions(_tagged(_tweets(path)), "en", joint=" ")


def _tweet_persons(path: Path) -> Iterator[RawRow]:
    for row in _tweets(path):
        if row.values is not None:
            named = any(tag == "B-person" for tag in row.values["tags"])
            more = {"text": " ".join(row.values["tokens"]), "label": "person" if named else "none"}
            yield row._replace(values={**row.values, **more})


def _zh_news_questions(path: Path) -> Iterator[RawRow]:
    yield from entity_questions(_tagged(_zh_news(path)), "zh", joint="")


def _plot_cloze(path: Path) -> Iterator[RawRow]:
    yield from cloze_questions((row.number, row.values["text"]) for row in _plots(path) if row.values is not None)


_READERS: dict[str, tuple[tuple[str, ...], Callable[[Path], Iterator[RawRow]]]] = {
    "reviews": (("text", "label"), _reviews),
    "plots": (("text", "film"), _plots),
    "headlines": (("text", "date"), _headlines),
    "tweets": (("tokens", "tags"), _tweets),
    "zh-reviews": (("text", "label"), _zh_reviews),
    "zh-news": (("tokens", "tags"), _zh_news),
    "tweet-persons": (("tokens", "tags", "text", "label"), _tweet_persons),
    "tweet-questions": (COLUMNS, _tweet_questions),
    "plot-cloze": (COLUMNS, _plot_cloze),
    "zh-news-questions": (COLUMNS, _zh_news_questions),
}
