"""Question answering in SQuAD's JSON: articles with paragraphs, paragraphs with questions. One article in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from typing import Any

from core.data.readers.base import RawRow, Source, shown
from core.data.readers.text import TextFile, open_text
from core.errors import DataError

__all__ = ["COLUMNS", "looks_like_squad", "open_squad"]

#: What a question becomes as a row.
COLUMNS = ("id", "title", "question", "context", "answers", "is_impossible")
_SIGN = re.compile(r'"(?:paragraphs|qas)"\s*:\s*\[')
_SPACE = re.compile(r"\s*")
#: Characters of a file; SQuAD 2.0 has 42 million.
_MOST = 512_000_000


def looks_like_squad(head: str) -> bool:
    """Tell whether a file's head is that of nested questions: one JSON value with paragraphs and their questions."""
    return head.lstrip()[:1] in ("{", "[") and _SIGN.search(head) is not None


def open_squad(file: TextFile) -> Source:
    """Open a file as SQuAD 1.1, SQuAD 2.0 or CMRC 2018 write it; each question is a row.

    Rows are numbered from 1 in the file's order. Lines have no meaning: such files are often one line.

    Raises
    ------
    DataError
        While reading: if it is no JSON of this shape (the line is named), or too large.
    """
    name = shown(file.path.name)
    return Source(name, "squad", file.encoding, list(COLUMNS), lambda: _rows(file, name))


def _rows(file: TextFile, name: str) -> Iterator[RawRow]:
    number = 0
    for place, article in enumerate(_articles(_text(file, name), name), 1):
        for values, problem in _questions(article, place):
            number += 1
            yield RawRow(number, 0, values, problem)


def _text(file: TextFile, name: str) -> str:
    parts: list[str] = []
    size = 0
    with open_text(file) as lines:
        for line in lines:
            parts.append(line)
            size += len(line)
            if size > _MOST:
                raise DataError(
                    "The file is too large for nested JSON.", where=name,
                    expected=f"at most {_MOST // 1_000_000} million characters",
                    advice="Write one question a line (JSON lines) instead.",
                )  # fmt: skip
    return "".join(parts)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _articles(text: str, name: str) -> Iterator[Any]:
    """Yield what the list under ``data`` (or the outermost list) holds, parsed one entry at a time."""
    decoder = json.JSONDecoder()
    at = _skip(text, 0)
    found = False
    try:
        if text[at : at + 1] == "[":
            yield from _items(text, at, decoder)
            return
        if text[at : at + 1] != "{":
            raise json.JSONDecodeError("it is neither an object nor a list", text, at)
        at = _skip(text, at + 1)
        while text[at : at + 1] != "}":
            key, at = decoder.raw_decode(text, at)
            at = _skip(text, at)
            if text[at : at + 1] != ":":
                raise json.JSONDecodeError("a colon is missing", text, at)
            at = _skip(text, at + 1)
            if key == "data" and text[at : at + 1] == "[":
                found = True
                at = yield from _items(text, at, decoder)
            else:
                _, at = decoder.raw_decode(text, at)
            at = _skip(text, at)
            if text[at : at + 1] == ",":
                at = _skip(text, at + 1)
            elif text[at : at + 1] != "}":
                raise json.JSONDecodeError("a comma or a closing brace is missing", text, at)
    except (ValueError, RecursionError) as error:
        told = f"{error.msg}, line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        raise DataError(
            f"The file is not JSON as SQuAD writes it: {told}.", where=name,
            expected='{"data": [{"title": …, "paragraphs": [{"context": …, "qas": [{"question": …, "answers": …}]}]}]}',
            advice="Was the file cut? For one question a line choose the format jsonl.",
        ) from error  # fmt: skip
    if not found:
        raise DataError(
            "The file has no list of articles.", where=name, expected='a list under the key "data"',
            advice="For one question a line choose the format jsonl.",
        )  # fmt: skip


def _items(text: str, at: int, decoder: json.JSONDecoder) -> Generator[Any, None, int]:
    """Yield the entries of the list that begins at a character; return the character behind it."""
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        value, at = decoder.raw_decode(text, at)
        yield value
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            raise json.JSONDecodeError("a comma or a closing bracket is missing", text, at)
    return at + 1


def _questions(article: Any, place: int) -> Iterator[tuple[dict[str, Any] | None, str | None]]:
    """Yield (values, None) of each question of an article, or (None, why) of a part that holds none."""
    if not isinstance(article, dict):
        yield None, f"entry {place} is a {type(article).__name__} instead of an article"
        return
    title = str(article.get("title") or "")
    named = f"article {place}" + (f" ({shown(title, 60)})" if title else "")
    paragraphs = [article] if "qas" in article else article.get("paragraphs")
    if not isinstance(paragraphs, list):
        yield None, f"{named} has no list of paragraphs"
        return
    for number, paragraph in enumerate(paragraphs, 1):
        where = f"{named}, paragraph {number}"
        if not isinstance(paragraph, dict) or not isinstance(paragraph.get("context"), str):
            yield None, f"{where} has no context"
            continue
        asked = paragraph.get("qas")
        if not isinstance(asked, list):
            yield None, f"{where} has no list of questions (qas)"
            continue
        for index, question in enumerate(asked, 1):
            if not isinstance(question, dict):
                yield None, f"{where}, question {index} is a {type(question).__name__} instead of an object"
                continue
            yield (
                {
                    "id": question.get("id"), "title": title, "question": question.get("question"),
                    "context": paragraph["context"], "answers": question.get("answers"),
                    "is_impossible": question.get("is_impossible"),
                },
                None,
            )  # fmt: skip
