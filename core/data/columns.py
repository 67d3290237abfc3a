"""Column mapping: what the plan names, else the usual names, else the first column that fits."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from core.config import Columns, TaskConfig
from core.data.readers.base import Source, UnusableData, shown

__all__ = ["map_columns", "map_text"]

_TEXT = ("text", "sentence", "review", "content", "comment", "tweet", "message", "utterance", "body", "document",
         "headline", "title", "context", "question", "description", "sentence1", "premise", "text_a")  # fmt: skip
_PAIRS = {
    "text": "text_pair",
    "sentence1": "sentence2",
    "premise": "hypothesis",
    "text_a": "text_b",
    "question1": "question2",
}
_LABEL = (
    "label",
    "labels",
    "class",
    "category",
    "target",
    "sentiment",
    "topic",
    "intent",
    "polarity",
    "rating",
    "score",
    "y",
)
_TOKENS = ("tokens", "words", "token", "word", "form", "sentence", "text")
_QUESTION = ("question", "query", "query_text", "question_text")
_CONTEXT = ("context", "passage", "paragraph", "context_text", "document", "article", "text")
_ANSWERS = ("answers", "answer", "answer_text", "gold", "label")
#: What a question may have beside: columns by the usual names only.
_BESIDE = {
    "start": ("answer_start", "start", "answer_starts", "start_position"),
    "id": ("id", "qid", "question_id", "query_id"),
    "impossible": ("is_impossible",),
}
_HEADS = ("heads", "head", "targets", "target", "pointers", "governors", "parents")
_RELATIONS = ("relations", "relation", "deprels", "deprel", "rels", "rel", "deps", "dep", "labels", "label")
_SPANS = ("spans", "entities", "ner", "ner_spans", "nested_entities", "entity_mentions", "mentions", "labels", "label")
_TAGS = ("tags", "ner_tags", "ner", "iob", "bio", "labels", "label", "ner_tag", "entities", "pos_tags", "pos")


_WANTED = {
    "classification": ("text", "label"),
    "tagging": ("tokens", "tags"),
    "question_answering": ("question", "context", "answers"),
    "dependency": ("tokens", "heads", "relations"),
}
_MAY: dict[str, tuple[str, ...]] = {
    "classification": ("text_pair",),
    "tagging": (),
    "question_answering": ("start",),
    "dependency": (),
}


def map_columns(
    source: Source, task: TaskConfig, given: Columns, head: Sequence[dict[str, Any]], *, characters: bool = False
) -> dict[str, str]:
    """Tell which column holds what.

    Parameters
    ----------
    source
        Its columns are chosen from.
    task
        Classification needs text and label (text_pair may be), tagging tokens and tags or spans (text and spans where
        characters are counted), question answering question, context and answers (start, id and impossible may be),
        dependency tokens, heads and, unless it does without, relations.
    given
        Columns that the plan names.
    head
        The first usable rows, to judge columns without a usual name.
    characters
        Whether spans are counted in characters of a text.

    Returns
    -------
    dict
        Column by what it holds: ``text``, ``text_pair``, ``label``; ``tokens``, ``tags`` or ``spans``; ``tokens``,
        ``heads``, ``relations``; or ``question``, ``context``, ``answers``, ``start``, ``id``, ``impossible``.

    Raises
    ------
    UnusableData
        If a named column does not exist, or none fits; the existing ones are named.
    """
    wanted = _WANTED[task.kind]
    if task.kind == "dependency" and not task.relations:
        wanted = wanted[:2]
    if task.gold == "spans":
        wanted = ("text" if characters else "tokens", "spans")
    found: dict[str, str] = {}
    named = given.model_dump()
    for what in (*wanted, *_MAY[task.kind]):
        if named[what]:
            found[what] = _named(named[what], what, source)
    if source.format in ("conll", "conllu"):
        return _conll(source, found, wanted)
    for what in wanted:
        if what not in found:
            found[what] = _guess(what, source, head, set(found.values()))
    if task.kind == "classification" and "text_pair" not in found and not named["text"]:
        lower = {column.lower(): column for column in source.columns}
        pair = lower.get(_PAIRS.get(found["text"].lower(), ""))
        if pair and pair not in found.values():
            found["text_pair"] = pair
    if task.kind == "question_answering":
        found |= _beside(source, found)
    if len(set(found.values())) < len(found):
        named_so = ", ".join(f"{what} = {column!r}" for what, column in found.items())
        raise UnusableData(
            "One column is named for two things.", where=f"{source.name}, {named_so}",
            expected=f"different columns for {' and '.join(found)}",
        )  # fmt: skip
    return found


def _beside(source: Source, found: dict[str, str]) -> dict[str, str]:
    """Return columns that a question may have, by their usual names: none that already holds something else."""
    lower = {column.lower(): column for column in reversed(source.columns)}
    more: dict[str, str] = {}
    for what, names in _BESIDE.items():
        column = next((lower[name] for name in names if name in lower), None)
        if what not in found and column is not None and column not in found.values():
            more[what] = column
    return more


def map_text(source: Source, given: Columns, head: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Tell where a source has its text, for uses that need no label.

    Returns
    -------
    kind, column
        ``text``, or ``tokens`` where the column holds lists of words.

    Raises
    ------
    UnusableData
        If a named column does not exist, or none fits; the existing ones are named.
    """
    for what, name in (("text", given.text), ("tokens", given.tokens)):
        if name:
            column = _named(name, what, source)
            lists = any(isinstance(row.get(column), list) for row in head)
            return ("tokens" if lists else what), column
    if source.format in ("conll", "conllu"):
        if source.format == "conllu":
            return "tokens", "form"
        # Some files number the words in their first column.
        numbered = all(str(cell).isdecimal() for row in head[:20] for cell in row[source.columns[0]])
        return "tokens", source.columns[min(int(numbered), len(source.columns) - 1)]
    lower = {column.lower(): column for column in reversed(source.columns)}
    usual = next((lower[name] for name in (*_TEXT, *_TOKENS) if name in lower), None)
    if usual is not None:
        return ("tokens" if any(isinstance(row.get(usual), list) for row in head) else "text"), usual
    try:
        return "text", _guess("text", source, head, set())
    except UnusableData:
        return "tokens", _guess("tokens", source, head, set())


def _conll(source: Source, found: dict[str, str], wanted: tuple[str, ...]) -> dict[str, str]:
    if source.format == "conllu":
        defaults = {"tokens": "form", "tags": source.details.get("names") or "upos"}
        defaults |= {"heads": "head", "relations": "deprel"}
    else:
        defaults = {"tokens": source.columns[0], "tags": source.columns[-1]}
        for what in ("heads", "relations"):
            if what in wanted and what not in found:
                raise _missing(what, None, source)
    if "spans" in wanted:
        raise UnusableData(
            f"A {source.format} file holds a tag a word, and no spans.", where=source.name,
            expected="JSON lines, Parquet or CSV with words and a list of spans a row",
            advice="Set task.gold to tags for this file.",
        )  # fmt: skip
    if wanted[0] != "tokens":
        raise UnusableData(
            f"A {source.format} file holds a tag a word; it cannot be used for "
            f"{'question answering' if wanted[0] == 'question' else 'classification'}.", where=source.name,
            expected="a table with a question, its context and its answers a row" if wanted[0] == "question"
            else "a table with a text and a label a row",
        )  # fmt: skip
    return {what: found[what] if what in found else defaults[what] for what in wanted}


def _named(name: str, what: str, source: Source) -> str:
    if name in source.columns:
        return name
    same = [column for column in source.columns if column.lower() == name.lower()]
    if source.format == "conll" and name.lstrip("-").isdecimal() and -len(source.columns) <= int(name) < 0:
        return source.columns[int(name)]
    if len(same) == 1:
        return same[0]
    raise _missing(what, name, source)


def _missing(what: str, name: str | None, source: Source) -> UnusableData:
    has = ", ".join(repr(shown(column, 40)) for column in source.columns[:30]) + (
        " …" if len(source.columns) > 30 else ""
    )
    close = difflib.get_close_matches(name or "", source.columns, 1)
    return UnusableData(
        f"There is no column {shown(name)!r} for {what}." if name else f"No column for {what} was found.",
        where=source.name, expected=f"one of the columns {has}",
        advice=f"Did you mean {close[0]!r}?" if close else f"Name it in data.columns.{what}.",
    )  # fmt: skip


_USUAL: dict[str, tuple[str, ...]] = {
    "text": _TEXT,
    "label": _LABEL,
    "tokens": _TOKENS,
    "tags": _TAGS,
    "spans": _SPANS,
    "heads": _HEADS,
    "relations": _RELATIONS,
    "question": _QUESTION,
    "context": _CONTEXT,
    "answers": _ANSWERS,
}


def _whole_numbers(values: list[Any]) -> bool:
    return all(isinstance(one, int) for value in values for one in value)


def _fits_lists(what: str, values: list[Any]) -> bool:
    """Whether lists may hold it, by what stands in them."""
    if what == "heads":
        return _whole_numbers(values)
    if what == "spans":
        return all(isinstance(one, list | dict) for value in values for one in value)
    return what in ("tokens", "tags", "relations")


def _guess(what: str, source: Source, head: Sequence[dict[str, Any]], taken: set[str]) -> str:
    names = _USUAL[what]
    lower = {column.lower(): column for column in reversed(source.columns)}
    for name in names:
        if name in lower and lower[name] not in taken:
            return lower[name]
    free = [column for column in source.columns if column not in taken]
    cells = {column: [row[column] for row in head if row.get(column) is not None] for column in free}
    fitting: list[tuple[float, str]] = []
    for order, column in enumerate(free):
        values = cells[column]
        if not values:
            continue
        distinct = len({str(value) for value in values})
        length = sum(len(str(value)) for value in values) / len(values)
        lists = all(isinstance(value, list) for value in values)
        if what == "text" and all(isinstance(value, str) for value in values) and length >= 8:
            fitting.append((-length, column))
        elif what == "label" and not lists and distinct <= max(2, len(values) // 2) and length <= 40:
            fitting.append((distinct + order / 1000, column))
        elif lists and _fits_lists(what, values):
            fitting.append((order, column))
    if not fitting:
        raise _missing(what, None, source)
    return min(fitting)[1]
