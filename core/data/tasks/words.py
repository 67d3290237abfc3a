"""Words of a raw text, by one documented rule, and the entities that IOB2 tags spell."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["WORD_PATTERN", "spans", "split_words"]

# Han with its extension A and compatibility forms, Hiragana and Katakana: scripts without spaces between words.
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Marks that belong to the letter before them but that Python's \w leaves out (Latin, Hebrew, Arabic, Indic, Thai).
_MARKS = r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0dff\u0e31-\u0e4e"
_LETTER = rf"(?:[^\W{_CJK}]|[{_MARKS}])"

#: The rule, in the order in which it is tried: a web address; one CJK character; a word of letters and digits, which
#: may begin with ``@`` or ``#`` and hold inner hyphens, apostrophes, ampersands, and points or commas before a digit;
#: any other single character that is not white space.
WORD_PATTERN = rf"https?://\S+|[{_CJK}]|[@#]?{_LETTER}+(?:[-'\u2019&]{_LETTER}+|[.,]\d+)*|\S"
_WORD = re.compile(WORD_PATTERN)


def split_words(text: str) -> list[tuple[str, int, int]]:
    """Split a text into words by :data:`WORD_PATTERN`.

    Returns
    -------
    list of (str, int, int)
        Word, first character, character behind its last.

    Examples
    --------
    >>> [word for word, _, _ in split_words("Anna's flat, 3.5 km off 北京.")]
    ["Anna's", 'flat', ',', '3.5', 'km', 'off', '北', '京', '.']
    """
    return [(match.group(), match.start(), match.end()) for match in _WORD.finditer(text)]


def spans(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return the entities that IOB2 tags spell strictly: (type, first word, last word).

    An entity begins with ``B-X`` and goes on with ``I-X`` of the same type. An ``I-X`` that continues nothing is no
    entity, as in seqeval's strict mode.
    """
    found: list[tuple[str, int, int]] = []
    kind, first = "", 0
    for index, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            found.append((kind, first, index - 1))
            kind = ""
        if tag.startswith("B-"):
            kind, first = tag[2:], index
    return found
