"""Rows while a finetuning set is made: read from a source, each with the hashes of the row that it comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.config import DataConfig, TaskConfig
from core.config.derive import DeriveConfig, Form
from core.data.columns import map_text
from core.data.question_rows import UNANSWERED
from core.data.readers.base import RawRow, Source, shown
from core.data.readers.open import open_source
from core.data.reading import row_key
from core.data.rows import Dropped, Normaliser, StandardRow
from core.data.table import prepare
from core.data.tasks.words import spans
from core.errors import DataError

__all__ = [
    "HASH_COLUMN", "ROW_COLUMN", "Item", "Loss", "file_of", "hash_of", "joined", "kinds_of", "label_of", "open_form",
    "read_items", "text_of",
]  # fmt: skip

#: The column in which a derived row keeps the hashes of its source row.
HASH_COLUMN, ROW_COLUMN = "source_hash", "source_row"
#: All rows are in memory while a set is made.
MOST_ROWS = 2_000_000
_HEAD = 200
_FORMS: dict[str, Form] = {
    "classification": "classification", "tagging": "tagging", "question_answering": "question_answering",
}  # fmt: skip
_TAG_COLUMNS = {"tags", "ner_tags", "ner", "ner_tag", "iob", "bio", "entities", "pos_tags"}
_LABEL_COLUMNS = {"label", "labels", "class", "category", "target", "sentiment", "topic", "intent", "polarity"}


@dataclass(frozen=True)
class Item:
    """One row.

    Parameters
    ----------
    number, line
        Where it stands in the source, from 1; of made rows: the row that they were made of.
    hashes
        Hashes of the source row's text in every form in which other data may hold it (16 hexadecimal digits each).
    values
        Cells by standard column: ``text``, ``text_pair``, ``label`` or ``labels``; ``tokens``, ``tags``; or those of
        questions (:data:`core.data.derived.COLUMNS`).
    raw
        The row as the source has it.
    """

    number: int
    line: int
    hashes: tuple[str, ...]
    values: dict[str, Any]
    raw: Mapping[str, Any]

    def having(self, **values: Any) -> Item:
        """Return the row with some cells changed; a cell that becomes None is taken out."""
        cells = {**self.values, **values}
        return replace(self, values={name: cell for name, cell in cells.items() if cell is not None})


@dataclass(frozen=True)
class Loss:
    """A row that a step left out, and why: `reason` in a word or two, `detail` for this row."""

    number: int
    line: int
    reason: str
    detail: str = ""


def hash_of(content: str) -> str:
    """Return the hash of a text as the leakage guard knows it, in 16 hexadecimal digits."""
    return row_key(content).hex()


def joined(words: Sequence[str]) -> str:
    """Return words as a text: without spaces where most characters are Chinese or Japanese."""
    whole = "".join(words)
    eastern = sum("\u3040" <= char <= "\u9fff" for char in whole)
    return ("" if eastern * 2 > len(whole) else " ").join(words)


def text_of(item: Item) -> str:
    """Return the text of a row: its words joined, of a question its context."""
    if "context" in item.values:
        return str(item.values["context"])
    return str(item.values["text"]) if "text" in item.values else joined(item.values["tokens"])


def kinds_of(item: Item) -> list[str]:
    """Return the types of the entities of a tagged sentence, each once, in the order of their places."""
    return list(dict.fromkeys(kind for kind, _, _ in spans(item.values["tags"])))


def label_of(item: Item) -> list[str]:
    """Return the labels of a row: one, several, the types of its entities, or whether a question has an answer."""
    if "question" in item.values:
        return [UNANSWERED if item.values["is_impossible"] else "answer"]
    if "label" in item.values:
        return [str(item.values["label"])]
    if "labels" in item.values:
        return list(item.values["labels"])
    return kinds_of(item) if "tags" in item.values else []


def open_form(config: DeriveConfig) -> tuple[Source, Form, TaskConfig]:
    """Open the source and tell what its rows are.

    Raises
    ------
    DataError
        If it cannot be opened, or has no such rows.
    """
    from core.data.samples import sample, sample_names

    data = DataConfig(
        source=config.source, subset=config.subset, revision=config.revision, split=config.split,
        format=config.format, encoding=config.encoding, columns=config.columns,
    )  # fmt: skip
    form = config.form
    if config.source in sample_names():
        from core.data.sample_rows import open_sample

        kinds = sample(config.source).tasks
        if form is None:
            form = "text" if not kinds else _form(kinds[0])
        source = open_sample(config.source) if form == "text" else open_source(data, _task(form, config))
        return source, form, _task(form, config)
    # Questions are the one kind for which every format may be opened.
    source = open_source(data, TaskConfig(kind="question_answering") if form is None else _task(form, config))
    form = form or _guessed(source, config)
    return source, form, _task(form, config)


def _form(kind: str) -> Form:
    if kind not in _FORMS:
        raise DataError(f"Rows for {kind} cannot be derived from.", expected="texts, labels, tags or questions")
    return _FORMS[kind]


def _task(form: Form, config: DeriveConfig) -> TaskConfig:
    if form == "tagging":
        return TaskConfig(kind="tagging")
    if form == "question_answering":
        # A question without an answer stays a question.
        return TaskConfig(kind="question_answering", no_answer=True)
    return TaskConfig(multi_label=config.multi_label)


def _guessed(source: Source, config: DeriveConfig) -> Form:
    if source.format in ("conll", "conllu"):
        return "tagging"
    lower = {column.lower() for column in source.columns}
    if source.format == "squad" or config.columns.question or {"question", "context"} <= lower:
        return "question_answering"
    if "spans" in lower and not config.columns.tags and not lower & _LABEL_COLUMNS:
        raise DataError(
            "Rows with spans cannot be derived from as what they are.", where=f"{source.name}, column 'spans'",
            expected="tags, labels, questions or texts",
            advice="Set form to text to derive from the words alone, or give rows with a tag a word.",
        )  # fmt: skip
    if config.columns.tags or (lower & _TAG_COLUMNS and lower & {"tokens", "words", "token", "word"}):
        return "tagging"
    return "classification" if config.columns.label or lower & _LABEL_COLUMNS else "text"


def read_items(config: DeriveConfig) -> tuple[list[Item], list[Loss], dict[str, Any], Form]:
    """Read the usable rows of the source.

    Returns
    -------
    items, losses, about, form
        Rows in the source's order; those that cannot be used; what was read: ``name``, ``format``, ``encoding``,
        ``mapping``, ``rows`` and ``rows_sha256`` (of every row's number and cells, also of unusable ones); what the
        rows are.

    Raises
    ------
    DataError
        If the source cannot be read, has no usable row, or more than two million.
    """
    source, form, task = open_form(config)
    digest = hashlib.sha256()
    read = _texts(source, config) if form == "text" else _standard(source, config, task)
    items: list[Item] = []
    losses: list[Loss] = []
    mapping, found = read
    for raw, row in found:
        digest.update(json.dumps([raw.number, raw.values], ensure_ascii=True, sort_keys=True, default=str).encode())
        if isinstance(row, Dropped):
            losses.append(Loss(raw.number, raw.line, row.reason, row.detail))
            continue
        values = _values(row, form, task)
        items.append(Item(raw.number, raw.line, _hashes(values, raw.values or {}), values, raw.values or {}))
        if len(items) > MOST_ROWS:
            raise DataError(
                "The source has too many rows for a finetuning set.", where=source.name,
                expected=f"at most {MOST_ROWS:,} rows", advice="Cut the file first, or give a sample of it.",
            )  # fmt: skip
    if not items:
        first = f", row {losses[0].number}: {losses[0].detail}" if losses else ""
        raise DataError(
            f"None of the {len(losses)} rows can be used.", where=f"{source.name}{first}",
            expected=f"rows of the form {form}", advice="Name the columns, or the form of the rows.",
        )  # fmt: skip
    about = {
        "name": source.name, "format": source.format, "encoding": source.encoding, "mapping": mapping,
        "rows": len(items) + len(losses), "rows_sha256": digest.hexdigest(),
    }  # fmt: skip
    return items, losses, about, form


_Read = Iterator[tuple[RawRow, StandardRow | Dropped]]


def _standard(source: Source, config: DeriveConfig, task: TaskConfig) -> tuple[dict[str, str], _Read]:
    data = DataConfig(source=config.source, columns=config.columns)
    normaliser, _ = prepare(source, data, task)
    return normaliser.mapping, _rows(source, normaliser)


def _rows(source: Source, normaliser: Normaliser) -> _Read:
    for raw in source.rows():
        try:
            yield raw, normaliser(raw)
        except Dropped as error:
            yield raw, error


def _texts(source: Source, config: DeriveConfig) -> tuple[dict[str, str], _Read]:
    head = [raw.values for _, raw in zip(range(_HEAD), source.rows(), strict=False) if raw.values is not None]
    if not head:
        raise DataError("The file has no usable rows.", where=source.name, expected="a table with a text a row")
    kind, column = map_text(source, config.columns, head)

    def rows() -> _Read:
        for raw in source.rows():
            cell = (raw.values or {}).get(column)
            text = joined([str(word) for word in cell]) if isinstance(cell, list) else str(cell or "")
            if raw.values is None:
                yield raw, Dropped("malformed", raw.problem or "it cannot be read")
            elif not text.strip():
                yield raw, Dropped("empty", f"column {shown(column)!r} is empty")
            else:
                yield raw, StandardRow(text=text)

    return {kind: column}, rows()


def _values(row: StandardRow, form: Form, task: TaskConfig) -> dict[str, Any]:
    if form == "tagging":
        return {"tokens": list(row.tokens), "tags": list(row.labels)}
    if form == "question_answering":
        placed = [(text, start) for text, start in row.answers if start >= 0]
        return {
            "id": row.name, "question": row.text, "context": row.text_pair or "",
            "answers": [text for text, _ in placed], "start": [start for _, start in placed],
            "is_impossible": not placed,
        }  # fmt: skip
    values: dict[str, Any] = {"text": row.text}
    if row.text_pair is not None:
        values["text_pair"] = row.text_pair
    if form == "classification":
        values |= {"labels": list(row.labels)} if task.multi_label else {"label": row.labels[0]}
    return values


def _hashes(values: Mapping[str, Any], raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the guard may know a row by: its text, its words, its pair, its context, and what it came from."""
    if "tokens" in values:
        words = values["tokens"]
        contents = ["\x1f".join(words), " ".join(words), "".join(words)]
    elif "context" in values:
        contents = [values["context"]]
    else:
        pair = values.get("text_pair")
        contents = [values["text"], *([f"{values['text']}\x1e{pair}"] if pair is not None else [])]
    before = raw.get(HASH_COLUMN)
    known = [str(one) for one in before] if isinstance(before, list) else []
    return tuple(dict.fromkeys([*(hash_of(content) for content in contents), *known]))


def file_of(source: str) -> Path | None:
    """Return the file that a source names; None for samples and the hub."""
    from core.data.samples import sample_names

    return None if source in sample_names() or source.startswith("hub:") else Path(source).expanduser()
