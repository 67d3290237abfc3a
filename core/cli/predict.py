"""``bertloom predict``: labels for new texts by a finished run or a model folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.output import JsonOption, answer, errors
from core.errors import ConfigError, DataError

__all__ = ["read_texts", "register"]

_CHUNK = 512
_MAX_TEXT = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("predict")(predict)


def predict(
    source: Annotated[str, typer.Argument(metavar="ID|DIR", help="A run or a model folder.")],
    text: Annotated[list[str] | None, typer.Option(help="A text. May be repeated.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="A file: .txt has one text a line; .csv, .tsv and .jsonl have a column named text."),
    ] = None,
    column: Annotated[str, typer.Option(help="Column of the file with the text.")] = "text",
    text_pair: Annotated[
        list[str] | None,
        typer.Option(help="The second text of a pair, for models of pairs; one for each --text, in their order."),
    ] = None,
    pair_column: Annotated[
        str | None, typer.Option(help="Column of the file with the second text, for models of pairs.")
    ] = None,
    question: Annotated[
        list[str] | None, typer.Option(help="A question, for models that answer questions. May be repeated.")
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(help="The text that answers: one for all questions, or one for each --question, in their order."),
    ] = None,
    question_column: Annotated[str, typer.Option(help="Column of the file with the question.")] = "question",
    context_column: Annotated[
        str | None, typer.Option(help="Column of the file with the context, for models that answer questions.")
    ] = None,
    as_json: bool = JsonOption,
) -> None:
    """Predict labels for texts, or answers to questions."""
    from core.api import Studio

    with errors(as_json):
        if text_pair and len(text_pair) != len(text or []):
            raise ConfigError(
                f"There are {len(text or [])} of --text and {len(text_pair)} of --text-pair.",
                expected="a --text-pair for each --text",
            )
        texts: list[Any] = [list(pair) for pair in zip(text or [], text_pair, strict=True)] if text_pair else text or []
        texts = [*texts, *_asked(question or [], context or [])]
        if file and context_column is not None:
            texts += read_texts(file, question_column, context_column)
        elif file:
            texts += read_texts(file, column, pair_column)
        _check_texts(texts)
        if not texts:
            raise ConfigError(
                "There is no text to predict.", expected='--text "…", --question "…" --context "…", or --file FILE'
            )
        studio = Studio(watch=False)
        try:
            predictions: list[dict[str, Any]] = []
            for start in range(0, len(texts), _CHUNK):
                predictions += studio.predict(source, texts[start : start + _CHUNK])
        finally:
            studio.close()
        lines = [f"{_label(item)}\t{item['text']}" for item in predictions]
        found = [{key: value for key, value in item.items() if value is not None} for item in predictions]
        answer({"predictions": found}, as_json=as_json, text="\n".join(lines))


def _asked(questions: list[str], contexts: list[str]) -> list[list[str]]:
    """Return questions with their contexts; one context serves all questions."""
    if not questions and not contexts:
        return []
    if len(contexts) == 1:
        contexts = contexts * len(questions)
    if len(contexts) != len(questions) or not questions:
        raise ConfigError(
            f"There are {len(questions)} of --question and {len(contexts)} of --context.",
            expected="one --context for all questions, or one for each",
        )
    return [list(pair) for pair in zip(questions, contexts, strict=True)]


def _check_texts(texts: list[Any]) -> None:
    """Refuse what no tokenizer can read; the text (or pair) is named by its number."""
    numbered = enumerate(([text] if isinstance(text, str) else text for text in texts), 1)
    for number, text in ((number, part) for number, parts in numbered for part in parts):
        if len(text) > _MAX_TEXT:
            raise DataError(
                f"The text has {len(text):,} characters.", where=f"text {number}",
                expected=f"at most {_MAX_TEXT:,}", advice="Split it into sentences or paragraphs.",
            )  # fmt: skip
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise DataError(
                "The text holds bytes that are not UTF-8, or half a character.", where=f"text {number}",
                advice="Convert it to UTF-8.",
            )  # fmt: skip


def _label(item: dict[str, Any]) -> str:
    if item.get("answers") is not None:
        return f"{item['label'] or 'no answer'} {item['scores']:.3f}"
    if item.get("heads") is not None:
        return _arcs(item)
    if item.get("words"):
        return " ".join(f"{word}/{tag}" for word, tag in zip(item["words"], item["label"], strict=True))
    if isinstance(item["label"], list):
        return ", ".join(item["label"]) or "–"
    score = item["scores"].get(item["label"]) if isinstance(item["scores"], dict) else None
    return f"{item['label']} {score:.3f}" if score is not None else str(item["label"])


def _arcs(item: dict[str, Any]) -> str:
    """Return ``cat/nsubj→sat``: each word with its relation and what it hangs on, · being the root (or none)."""
    words, heads = item["words"], item["heads"]
    named = [f"/{relation}" for relation in item["relations"]] if item.get("relations") else [""] * len(words)
    return " ".join(
        f"{word}{relation}→{words[head - 1] if head else '·'}"
        for word, relation, head in zip(words, named, heads, strict=True)
    )


def read_texts(file: Path, column: str = "text", pair_column: str | None = None) -> list[Any]:
    """Read the texts of a file.

    Parameters
    ----------
    file
        ``.txt`` (one text a line), ``.csv``, ``.tsv`` or ``.jsonl`` (UTF-8).
    column
        Column (or key) that holds the text in the last three.
    pair_column
        Column (or key) with the second text; then each entry is a list of two texts.

    Raises
    ------
    DataError
        If the file cannot be read, a line is not valid, or the column is missing; the line is named.
    """
    try:
        if pair_column is None:
            return [text for (text,) in _read(file, (column,))]
        return [list(texts) for texts in _read(file, (column, pair_column))]
    except FileNotFoundError as error:
        raise DataError("The file does not exist.", where=str(file)) from error
    except UnicodeDecodeError as error:
        raise DataError(
            "The file is not UTF-8 text.", where=f"{file}, byte {error.start}", advice="Convert it to UTF-8."
        ) from error
    except (OSError, csv.Error) as error:
        raise DataError(f"The file cannot be read: {error}.", where=str(file)) from error


def _read(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    suffix = file.suffix.lower()
    with file.open(encoding="utf-8-sig", newline="") as stream:
        if suffix in (".csv", ".tsv"):
            csv.field_size_limit(_MAX_TEXT)
            reader = csv.DictReader(stream, delimiter="\t" if suffix == ".tsv" else ",")
            for column in columns:
                if column not in (reader.fieldnames or []):
                    raise DataError(
                        f"There is no column {column!r}.",
                        where=str(file),
                        expected=f"one of {list(reader.fieldnames or [])}",
                    )
            for row in reader:
                yield tuple(row[column] or "" for column in columns)
        elif suffix in (".jsonl", ".ndjson"):
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield tuple(_json_text(line, column, f"{file}, line {number}") for column in columns)
        elif len(columns) > 1:
            raise DataError(
                "A text file has no columns, so it holds no pairs.", where=str(file), expected=".csv, .tsv or .jsonl"
            )
        else:
            for line in stream:
                if line.strip():
                    yield (line.rstrip("\r\n"),)


def _json_text(line: str, column: str, where: str) -> str:
    try:
        value = json.loads(line)[column]
    except json.JSONDecodeError as error:
        raise DataError(f"This line is not valid JSON: {error.msg}.", where=where) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        raise DataError(f"This line cannot be read: {error}.", where=where) from error
    except (KeyError, TypeError) as error:
        raise DataError(
            f"This line has no key {column!r}.", where=where, expected='an object such as {"text": "…"}'
        ) from error
    return str(value)
