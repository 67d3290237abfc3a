"""A dictionary that words of a sentence can point to: names of types, or a gazetteer of known entities. Pure.

An entry is what its text says, compared without case and white space: tokenisers of data and gazetteers differ in where
they put spaces, not in letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from core.config import TaskConfig
from core.errors import DataError

__all__ = ["Dictionary", "Entry", "dictionary_of", "key_of", "plain_name"]

_BORDER = re.compile(r"(?<=[a-z])(?=[A-Z])|[_\W]+")


@dataclass(frozen=True)
class Entry:
    """What an entry says, and of which type of entity it is."""

    text: str
    kind: str


class Dictionary:
    """Entries in the order of their columns, and which of them says an entity.

    Parameters
    ----------
    entries
        Each text and type once, by :func:`key_of`.
    by_type
        Whether an entity is said by its type's entry, whatever its words are; else by the entry with its words.
    """

    def __init__(self, entries: Sequence[Entry], *, by_type: bool):
        self.entries = list(entries)
        self._by_type = by_type
        self._places: dict[tuple[str, str], int] = {}
        for place, entry in enumerate(self.entries):
            self._places.setdefault(("" if by_type else key_of(entry.text), entry.kind), place)

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, words: Sequence[str] | None, kind: str) -> int | None:
        """Return the entry that says an entity, or None where there is none.

        Parameters
        ----------
        words
            The entity's; None where nobody knows them, and then only a type's own entry is found.
        kind
            Its type.
        """
        if self._by_type:
            return self._places.get(("", kind))
        return None if words is None else self._places.get((key_of("".join(words)), kind))


def dictionary_of(config: TaskConfig, types: Sequence[str]) -> Dictionary | None:
    """Return the dictionary of a task; None where words point to words alone.

    Parameters
    ----------
    config
        The task. Of a gazetteer that was not read yet there are no entries.
    types
        Types of entities in the order of the head's outputs.

    Raises
    ------
    DataError
        If two types are called alike, or an entry calls no type or one that has a name already.
    """
    if not config.entered:
        return None
    listed = [Entry(text, kind) for text, kind in config.pointer.entries or ()]
    if config.pointer.dictionary == "gazetteer":
        return Dictionary(listed, by_type=False)
    given: dict[str, str] = {}
    for entry in listed:
        if entry.kind in given:
            raise DataError(
                f"The type {entry.kind} has two names: {given[entry.kind]} and {entry.text}.",
                where="task.pointer.entries", expected="one name a type",
            )  # fmt: skip
        given[entry.kind] = entry.text
    entries = [Entry(given.get(kind) or plain_name(kind), kind) for kind in types]
    named: dict[str, str] = {}
    for entry in entries:
        other = named.setdefault(key_of(entry.text), entry.kind)
        if other != entry.kind:
            raise DataError(
                f"The types {other} and {entry.kind} are both called {entry.text!r}: no pointer could tell them apart.",
                where="task.pointer.dictionary", expected="another name for each type",
                advice=f"Name them in task.pointer.entries, like [[{entry.text}, {entry.kind}]].",
            )  # fmt: skip
    return Dictionary(entries, by_type=True)


def plain_name(kind: str) -> str:
    """Return a type's name as words in lower case.

    Examples
    --------
    >>> plain_name("creative-work"), plain_name("CreativeWork"), plain_name("PER")
    ('creative work', 'creative work', 'per')
    """
    return " ".join(_BORDER.sub(" ", kind).split()).lower() or kind


def key_of(text: str) -> str:
    """Return what a text is compared by: without case and white space, each character in one form (NFC).

    Examples
    --------
    >>> key_of("New  York") == key_of("new york") == key_of("NEWYORK")
    True
    """
    return unicodedata.normalize("NFC", "".join(text.split()).casefold())
