"""From a raw row to a standard one: strings, label names and IOB2 tags, or the reason why the row is dropped."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from core.config import TaskConfig
from core.data.readers.base import MAX_CELL, RawRow, shown
from core.data.tags import TagScheme, to_iob2

__all__ = ["Dropped", "Normaliser", "StandardRow", "label_separator", "spelled_list"]

_MAX_LABEL = 200
_SEPARATORS = "|;,"


class Dropped(Exception):
    """A row that cannot be used.

    Parameters
    ----------
    reason
        One of a few words under which dropped rows are counted: ``empty``, ``no_label``, ``too_long`` …
    detail
        What a person is told about this row.
    """

    def __init__(self, reason: str, detail: str):
        self.reason = reason
        self.detail = detail
        super().__init__(detail)


@dataclass
class StandardRow:
    """A usable row; `labels` are names: one, several (multi-label), or one a word (IOB2).

    Of a question `text` is the question, `text_pair` its context and `name` its id.
    """

    text: str = ""
    text_pair: str | None = None
    tokens: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    #: (position from 0, what is wrong) of tags that were mended.
    illegal: list[tuple[int, str]] = field(default_factory=list)
    name: str = ""
    #: Gold answers of a question with their first characters in the context; -1 where one has no place there.
    answers: list[tuple[str, int]] = field(default_factory=list)
    #: (what kind of trouble, what is wrong) of answers that do not stand where the data says.
    mended: list[tuple[str, str]] = field(default_factory=list)
    #: First word, last word, label of entities that may overlap; the labels are then tags of the outermost ones.
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    #: Heads of the words, counted from 1; 0 for the root, or for none.
    heads: list[int] = field(default_factory=list)

    def content(self) -> str:
        """Return what makes two rows duplicates: the text (and pair), or the words."""
        if self.tokens:
            return "\x1f".join(self.tokens)
        return self.text if self.text_pair is None else f"{self.text}\x1e{self.text_pair}"


def label_separator(cells: Sequence[Any]) -> str:
    """Return the sign that separates several labels in one cell: the first of ``| ; ,`` that occurs in any cell."""
    joined = " ".join(cell for cell in cells if isinstance(cell, str))
    return next((sign for sign in _SEPARATORS if sign in joined), "|")


@dataclass(frozen=True)
class Normaliser:
    """Turns raw rows into standard ones.

    Parameters
    ----------
    task
        The task.
    mapping
        Column by what it holds.
    class_names
        Names of columns whose labels are numbers.
    scheme
        Tagging: how the tags are written.
    separator
        Multi-label: sign between several labels in one cell.
    offsets
        Tagging with spans: what their start and end count.
    """

    task: TaskConfig
    mapping: dict[str, str]
    class_names: dict[str, list[str]] = field(default_factory=dict)
    scheme: TagScheme = field(default_factory=lambda: TagScheme("IOB2"))
    separator: str = "|"
    offsets: Literal["words", "words_inclusive", "characters"] = "words"

    def __call__(self, raw: RawRow) -> StandardRow:
        """Return the standard row.

        Raises
        ------
        Dropped
            If the row cannot be used.
        """
        if raw.values is None:
            raise Dropped("malformed", raw.problem or "it cannot be read")
        if self.task.gold == "spans":
            return self._spans(raw.values)
        if self.task.kind == "tagging":
            return self._tagging(raw.values)
        if self.task.kind == "question_answering":
            from core.data.question_rows import standard_question

            return standard_question(raw, self.mapping, self._text, no_answer=self.task.no_answer)
        if self.task.kind == "dependency":
            from core.data.tree_rows import standard_tree

            return standard_tree(raw, self.mapping, self._words, self._list, self.task)
        row = StandardRow(text=self._text(raw.values, "text"))
        if "text_pair" in self.mapping:
            row.text_pair = self._text(raw.values, "text_pair")
        cell = raw.values.get(self.mapping["label"])
        row.labels = self._several(cell) if self.task.multi_label else [self._one(cell)]
        return row

    def _text(self, values: dict[str, Any], what: str) -> str:
        column = self.mapping[what]
        cell = values.get(column)
        if cell is None:
            raise Dropped("empty", f"column {shown(column)!r} is empty")
        if not isinstance(cell, str):
            if isinstance(cell, (list, dict, bytes)):
                raise Dropped("not_text", f"column {shown(column)!r} holds a {type(cell).__name__}, not text")
            cell = str(cell)
        if not cell.strip():
            raise Dropped("empty", f"column {shown(column)!r} is empty")
        if len(cell) > MAX_CELL:
            raise Dropped(
                "too_long", f"column {shown(column)!r} has {len(cell):,} characters; {MAX_CELL:,} is the most"
            )
        _whole(cell, column)
        return cell

    def _name(self, cell: Any, column: str) -> str:
        """Return a label's name; numbers are looked up where the source tells names."""
        names = self.class_names.get(column)
        if isinstance(cell, bool):
            name = "true" if cell else "false"
        elif isinstance(cell, int) and names:
            if not 0 <= cell < len(names):
                raise Dropped("no_label", f"column {shown(column)!r} has the number {cell}, which has no name")
            name = names[cell]
        elif isinstance(cell, float):
            if cell != cell:
                raise Dropped("no_label", f"column {shown(column)!r} is empty")
            name = str(int(cell)) if cell.is_integer() else repr(cell)
        elif isinstance(cell, (str, int)):
            name = str(cell).strip()
        else:
            raise Dropped("no_label", f"column {shown(column)!r} holds a {type(cell).__name__}, not a label")
        if len(name) > _MAX_LABEL:
            raise Dropped("label_too_long", f"the label has {len(name):,} characters; {_MAX_LABEL} is the most")
        _whole(name, column)
        return name

    def _one(self, cell: Any) -> str:
        column = self.mapping["label"]
        if isinstance(cell, list):
            if len(cell) != 1:
                raise Dropped(
                    "several_labels", f"column {shown(column)!r} holds {len(cell)} labels; the task is single-label"
                )
            cell = cell[0]
        name = "" if cell is None else self._name(cell, column)
        if not name:
            raise Dropped("no_label", f"column {shown(column)!r} is empty")
        return name

    def _several(self, cell: Any) -> list[str]:
        column = self.mapping["label"]
        if cell is None:
            return []
        parsed = spelled_list(cell)
        if parsed is None:
            parsed = cell.split(self.separator) if isinstance(cell, str) else [cell]
        names = [self._name(entry, column) for entry in parsed]
        return sorted({name for name in names if name})

    def _spans(self, values: dict[str, Any]) -> StandardRow:
        from core.data.span_rows import standard_spans

        names = self.class_names.get(self.mapping["spans"], [])
        return standard_spans(
            values, self.mapping, self.offsets, names, lambda: self._words(values), lambda: self._text(values, "text")
        )

    def _tagging(self, values: dict[str, Any]) -> StandardRow:
        tokens = self._list(values, "tokens")
        tags = self._list(values, "tags")
        if any(isinstance(tag, list | dict) for tag in tags[:1]):
            column = shown(self.mapping["tags"])
            raise Dropped(
                "bad_tag", f"column {column!r} holds spans, not a tag a word; they are read with task.gold spans"
            )
        if len(tokens) != len(tags):
            raise Dropped("length", f"it has {len(tokens)} words but {len(tags)} tags")
        words = self._words(values)
        column = self.mapping["tags"]
        numbers = [tag for tag in tags if isinstance(tag, int)]
        if numbers and column not in self.class_names:
            raise Dropped("bad_tag", f"column {shown(column)!r} holds numbers and the source does not tell their names")
        names = [self._name("" if tag is None else tag, column) for tag in tags]
        try:
            converted, illegal = to_iob2(names, self.scheme)
        except ValueError as error:
            raise Dropped("bad_tag", str(error)) from error
        return StandardRow(tokens=words, labels=converted, illegal=illegal)

    def _words(self, values: dict[str, Any]) -> list[str]:
        """Return the words of a sentence."""
        tokens = self._list(values, "tokens")
        if not tokens:
            raise Dropped("empty", "it has no words")
        words = []
        for index, token in enumerate(tokens, 1):
            word = token if isinstance(token, str) else str(token)
            if token is None or not word.strip():
                raise Dropped("empty", f"word {index} is empty")
            _whole(word, self.mapping["tokens"])
            words.append(word)
        if sum(map(len, words)) > MAX_CELL:
            raise Dropped("too_long", f"its words have more than {MAX_CELL:,} characters")
        return words

    def _list(self, values: dict[str, Any], what: str) -> list[Any]:
        column = self.mapping[what]
        cell = values.get(column)
        if cell is None:
            raise Dropped("empty", f"column {shown(column)!r} is empty")
        if isinstance(cell, str):
            if len(cell) > MAX_CELL:
                raise Dropped(
                    "too_long", f"column {shown(column)!r} has {len(cell):,} characters; {MAX_CELL:,} is the most"
                )
            listed = spelled_list(cell)
            return cell.split() if listed is None else listed
        if not isinstance(cell, list):
            raise Dropped("not_text", f"column {shown(column)!r} holds a {type(cell).__name__}, not a list")
        return cell


def spelled_list(cell: Any) -> list[Any] | None:
    """Return a list that a cell holds or spells (JSON or Python); None if it is no list."""
    if isinstance(cell, list):
        return cell
    if not isinstance(cell, str) or not (cell.lstrip().startswith("[") and cell.rstrip().endswith("]")):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(cell.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, list):
            return value
    return None


def _whole(text: str, column: str) -> None:
    # Readers turn bytes that do not fit the encoding into lone surrogates, which no tokeniser takes.
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Dropped(
                "encoding",
                f"column {shown(column)!r} has bytes that are not of the file's encoding, "
                f"at character {error.start + 1}",
            ) from error
