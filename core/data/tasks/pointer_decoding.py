"""Tags as pointers and back: each word of an entity points to its first word, all others to the empty slot.

With a dictionary the first word points to the entry that says the entity, where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.data.tasks.words import spans

__all__ = ["ENTRY", "NOWHERE", "pointed_entities", "pointers_of"]

#: What a word points to that is in no entity.
NOWHERE = -1
#: What a word points to that points to the first entry of a dictionary; entry e is ``ENTRY - e``.
ENTRY = -2


def pointers_of(tags: Sequence[str], find: Callable[[str, int, int], int | None] | None = None) -> np.ndarray:
    """Return for each word the first word of its entity, or :data:`NOWHERE`.

    Parameters
    ----------
    tags
        IOB2 tags. Entities are those of strict scoring: an ``I-X`` that continues nothing is in none.
    find
        Gives the entry of a dictionary that says an entity (type, first word, last word), or None; the first word then
        points to it (see :data:`ENTRY`).

    Examples
    --------
    >>> pointers_of(["O", "B-PER", "I-PER", "B-PER", "I-LOC"]).tolist()
    [-1, 1, 1, 3, -1]
    """
    found = np.full(len(tags), NOWHERE, dtype=np.int64)
    for kind, first, last in spans(tags):
        found[first : last + 1] = first
        entry = find(kind, first, last) if find is not None else None
        if entry is not None:
            found[first] = ENTRY - entry
    return found


def pointed_entities(pointers: np.ndarray) -> list[tuple[int, int]]:
    """Return first and last word of each entity that pointers spell.

    An entity begins with a word that points to itself or to an entry of a dictionary, and is the longest run from there
    of words that point to it. Other words that point anywhere are in no entity, so that entities never overlap.

    Parameters
    ----------
    pointers
        What each word points to, :data:`NOWHERE` for the empty slot, :data:`ENTRY` and below for entries; shape
        (words,).

    Examples
    --------
    >>> pointed_entities(np.array([-1, 1, 1, 3, 1, 4, 7, 7]))
    [(1, 2), (3, 3), (7, 7)]
    >>> pointed_entities(np.array([-2, 0, -3, -1]))
    [(0, 1), (2, 2)]
    """
    found = []
    for first in np.flatnonzero((pointers == np.arange(len(pointers))) | (pointers <= ENTRY)).tolist():
        last = first
        while last + 1 < len(pointers) and pointers[last + 1] == first:
            last += 1
        found.append((first, last))
    return found
