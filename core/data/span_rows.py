"""From a raw row to a sentence with spans, which may nest and overlap, or the reason why it is dropped."""

from __future__ import annotations

import ast
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from core.data.readers.base import MAX_CELL, shown
from core.data.rows import Dropped, StandardRow
from core.data.tasks.words import split_words

__all__ = [
    "MOST_SPANS", "Offsets", "Span", "expected", "first_overlap", "outermost", "overlaps", "standard_spans", "tags_of",
]  # fmt: skip

#: First word, last word (from 0, both within the span), label.
Span = tuple[int, int, str]
#: What start and end count: words with the end behind the span, words with the end inside, characters of a text.
Offsets = Literal["words", "words_inclusive", "characters"]
#: Spans of a row: more are no sentence, and each is held against all others.
MOST_SPANS = 1000
_KEYS = ("start", "end", "first", "last", "label", "type")
#: Keys that annotation tools and predictions write beside them; a text is held against the words.
_BESIDE = ("text", "score", "id", "token_start", "token_end")
_LONGEST_LABEL = 200
_UNITS = {
    "words": "numbers of words from 0, the end behind the span",
    "words_inclusive": "numbers of words from 0, the end being the span's last word",
    "characters": "characters of the text from 0, the end behind the span",
}


def standard_spans(
    values: Mapping[str, Any], mapping: Mapping[str, str], offsets: Offsets, names: Sequence[str],
    words: Callable[[], list[str]], text: Callable[[], str],
) -> StandardRow:  # fmt: skip
    """Return a sentence with spans as a standard row; its labels are the tags of the :func:`outermost` ones.

    Parameters
    ----------
    values
        The row.
    mapping
        Column by what it holds.
    offsets
        What start and end count.
    names
        Names of labels that are numbers; empty where the source tells none.
    words, text
        Read the words, or the text that is split into words where characters are counted.

    Raises
    ------
    Dropped
        If the cell cannot be read, or a span has no label, does not lie within the sentence, or cuts a word.
    """
    column = mapping["spans"]
    starts: dict[int, int] | None = None
    ends: dict[int, int] = {}
    whole = 0
    if offsets == "characters":
        written = text()
        found = split_words(written)
        tokens, whole = [word for word, _, _ in found], len(written)
        starts = {start: at for at, (_, start, _) in enumerate(found)}
        ends = {end: at for at, (_, _, end) in enumerate(found)}
    else:
        tokens = words()
    spans: dict[Span, None] = {}
    row = StandardRow(tokens=tokens)
    for number, entry in enumerate(_entries(values.get(column), column), 1):
        where = f"span {number} of column {shown(column)!r}"
        start, end, label, inclusive = _parts(entry, where, names, offsets)
        if starts is None:
            first, last = _within(start, end, len(tokens), where, inclusive=inclusive)
        else:
            first, last = _at_words(start, end, starts, ends, whole, where)
        span = (first, last, label)
        said = entry.get("text") if isinstance(entry, dict) else None
        if isinstance(said, str) and "".join(said.split()) != "".join("".join(tokens[first : last + 1]).split()):
            stands = shown(" ".join(tokens[first : last + 1]), 60)
            raise Dropped("bad_span", f"{where} says {shown(said, 60)!r}, and {stands!r} stands at its place")
        if span in spans:
            row.mended.append(("repeated_span", f"{where} repeats {_quoted(span, tokens)}"))
        spans[span] = None
    row.spans = sorted(spans)
    row.labels = tags_of(outermost(row.spans), len(tokens))
    return row


def _entries(cell: Any, column: str) -> list[Any]:
    """Return the spans of a cell as they are written."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        raise Dropped("no_spans", f"column {shown(column)!r} is empty; a sentence without entities has []")
    if isinstance(cell, str):
        if len(cell) > MAX_CELL:
            raise Dropped(
                "too_long", f"column {shown(column)!r} has {len(cell):,} characters; {MAX_CELL:,} is the most"
            )
        cell = _spelled(cell, column)
    if isinstance(cell, dict) and cell and all(isinstance(one, list) for one in cell.values()):
        # `datasets` keeps a sequence of dictionaries as a dictionary of lists.
        if len({len(one) for one in cell.values()}) > 1:
            raise Dropped("bad_spans", f"column {shown(column)!r} holds lists of different lengths")
        cell = [dict(zip(cell, each, strict=True)) for each in zip(*cell.values(), strict=True)]
    if not isinstance(cell, list):
        raise Dropped("bad_spans", f"column {shown(column)!r} holds a {type(cell).__name__}, not a list of spans")
    if len(cell) > MOST_SPANS:
        raise Dropped("many_spans", f"column {shown(column)!r} has {len(cell):,} spans; {MOST_SPANS:,} is the most")
    return cell


def _spelled(cell: str, column: str) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        try:
            return ast.literal_eval(cell.strip())  # as pandas writes lists into CSV
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            said = (
                f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else "too deep"
            )
            raise Dropped("bad_spans", f"column {shown(column)!r} is not JSON ({said}): {shown(cell, 80)}") from error


def _parts(entry: Any, where: str, names: Sequence[str], offsets: Offsets) -> tuple[int, int, str, bool]:
    """Return start, end and label as they are written, and whether the end is the last word."""
    inclusive = offsets == "words_inclusive"
    if isinstance(entry, list | tuple):
        if entry and all(isinstance(one, list | tuple) for one in entry):
            raise Dropped(
                "bad_span", f"{where} is a list of lists, as in files with whole documents; a row is one sentence, and "
                "its words count from 0",
            )  # fmt: skip
        if len(entry) != 3:
            raise Dropped("bad_span", f"{where} has {len(entry)} parts instead of [start, end, label]")
        start, end, label = entry
    elif isinstance(entry, dict):
        strange = [str(key) for key in entry if key not in (*_KEYS, *_BESIDE)]
        if strange:
            raise Dropped("bad_span", f"{where} has the key {shown(strange[0], 40)!r}; known are start, end and label")
        inclusive = "first" in entry or "last" in entry  # as a prediction lists them
        if inclusive and ("start" in entry or "end" in entry or offsets == "characters"):
            raise Dropped("bad_span", f"{where} has first or last, which are numbers of words, beside other places")
        keys = ("first", "last") if inclusive else ("start", "end")
        inclusive = inclusive or offsets == "words_inclusive"
        missing = next((key for key in keys if key not in entry), None)
        if missing is not None:
            raise Dropped("bad_span", f"{where} has no {missing}: {shown(entry, 80)}")
        start, end = (entry[key] for key in keys)
        label = entry.get("label", entry.get("type"))
    else:
        raise Dropped("bad_span", f"{where} is a {type(entry).__name__}: {shown(entry, 80)}")
    return _number(start, "start", where), _number(end, "end", where), _label(label, where, names), inclusive


def _number(value: Any, what: str, where: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Dropped("bad_span", f"the {what} of {where} is {shown(value, 40)!r}, which is no number from 0")
    if value < 0:
        raise Dropped("span_outside", f"{where} has the {what} {value}, which lies before the sentence")
    return value


def _label(label: Any, where: str, names: Sequence[str]) -> str:
    if isinstance(label, int) and not isinstance(label, bool):
        if not 0 <= label < len(names):
            raise Dropped(
                "bad_span", f"the label of {where} is the number {label}, and the source does not tell its name"
            )
        label = names[label]
    name = label.strip() if isinstance(label, str) else ""
    if label is not None and not isinstance(label, str):
        raise Dropped("bad_span", f"the label of {where} is a {type(label).__name__}: {shown(label, 40)}")
    if not name:
        raise Dropped("no_span_label", f"{where} has no label")
    if len(name) > _LONGEST_LABEL:
        raise Dropped(
            "label_too_long", f"the label of {where} has {len(name):,} characters; {_LONGEST_LABEL} is the most"
        )
    return name


def _within(start: int, end: int, words: int, where: str, *, inclusive: bool) -> tuple[int, int]:
    last = end if inclusive else end - 1
    if last < start:
        hint = "" if inclusive else "; if ends name the last word itself, set data.span_offsets to words_inclusive"
        raise Dropped("span_order", f"{where} begins at {start} and ends at {end}: no word lies in it{hint}")
    if last >= words:
        hint = "; if they count characters, set data.span_offsets to characters" if end > 2 * words else ""
        raise Dropped("span_outside", f"{where} ends at {end}, and the sentence has {words} words{hint}")
    return start, last


def _at_words(
    start: int, end: int, starts: Mapping[int, int], ends: Mapping[int, int], characters: int, where: str
) -> tuple[int, int]:
    if end <= start:
        raise Dropped("span_order", f"{where} begins at {start} and ends at {end}: no character lies in it")
    if end > characters:
        raise Dropped("span_outside", f"{where} ends at {end}, and the text has {characters} characters")
    for place, known, what in ((start, starts, "begin"), (end, ends, "end")):
        if place not in known:
            raise Dropped("cut_span", f"{where} does not {what} where a word {what}s: character {place}")
    return starts[start], ends[end]


def outermost(spans: Sequence[Span]) -> list[Span]:
    """Return spans that do not overlap, from the left: of those that do the one with most words stays, ties the first.

    Parameters
    ----------
    spans
        First word, last word, label.

    Examples
    --------
    >>> outermost([(0, 2, "ORG"), (2, 2, "LOC"), (2, 3, "PER"), (4, 4, "LOC")])
    [(0, 2, 'ORG'), (4, 4, 'LOC')]
    """
    taken: set[int] = set()
    kept: list[Span] = []
    for first, last, label in sorted(spans, key=lambda one: (one[0] - one[1], one)):
        inside = range(first, last + 1)
        if taken.isdisjoint(inside):
            taken.update(inside)
            kept.append((first, last, label))
    return sorted(kept)


def tags_of(spans: Sequence[Span], words: int) -> list[str]:
    """Return the IOB2 tags of spans that do not overlap."""
    tags = ["O"] * words
    for first, last, label in spans:
        tags[first : last + 1] = [f"B-{label}", *[f"I-{label}"] * (last - first)]
    return tags


def overlaps(spans: Sequence[Span]) -> tuple[list[bool], list[bool]]:
    """Tell of each span whether it shares a word with another one, and whether it lies inside a longer one.

    Parameters
    ----------
    spans
        First word, last word, label; no two are equal.

    Returns
    -------
    shares, inside
        In the order of `spans`. Two labels of the same words share them; neither is inside the other.
    """
    firsts, lasts = sorted(first for first, _, _ in spans), sorted(last for _, last, _ in spans)
    # Those that end before it, and those that begin behind it, share none.
    shares = [
        bisect_left(lasts, first) + len(spans) - bisect_right(firsts, last) < len(spans) - 1 for first, last, _ in spans
    ]
    inside = [False] * len(spans)
    reached = reached_before = -1
    place: tuple[int, int] | None = None
    for at in sorted(range(len(spans)), key=lambda at: (spans[at][0], -spans[at][1])):
        first, last, _ = spans[at]
        if (first, last) != place:
            place, reached_before = (first, last), reached
        inside[at] = reached_before >= last
        reached = max(reached, last)
    return shares, inside


def _quoted(span: Span, tokens: Sequence[str]) -> str:
    return f"{shown(' '.join(tokens[span[0] : span[1] + 1]), 60)!r} ({shown(span[2], 40)})"


def expected(offsets: str) -> str:
    """Return in words what a cell of spans looks like."""
    return f'[{{"start": 0, "end": 2, "label": "ORG"}}, …] or [[0, 2, "ORG"], …], with {_UNITS[offsets]}'


def first_overlap(spans: Sequence[Span], tokens: Sequence[str]) -> str | None:
    """Return the first two spans that share a word, in words; None where none do."""
    for at, one in enumerate(spans):
        for other in spans[at + 1 :]:
            if other[0] > one[1]:
                break
            return f"{_quoted(one, tokens)} and {_quoted(other, tokens)} share words"
    return None
