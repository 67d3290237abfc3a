"""Columns of a dictionary's entries where pointers are looked at: all of a few, of many those with a share. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from core.data.tasks.base import Task

__all__ = ["SHOWN", "Columns", "Entered", "entered_columns", "entry_place", "named_entries"]

#: So many entries have a column each, whatever their share.
SHOWN = 12
#: Of more entries those with at least this share of a word's pointer.
_LEAST = 0.02


@dataclass(frozen=True)
class Entered:
    """What the entries of a dictionary are called, and which of them are to be shown (None: by their shares)."""

    names: list[str] = field(default_factory=list)
    keep: list[int] | None = None


@dataclass(frozen=True)
class Columns:
    """Which entries have a column.

    Parameters
    ----------
    numbers
        The entries in the order of their columns.
    names
        What the columns are called; with others that share one, that one last.
    left
        How many entries share the last column.
    total
        How many entries there are.
    """

    numbers: list[int]
    names: list[str]
    left: int
    total: int

    def gathered(self, shares: np.ndarray) -> np.ndarray:
        """Return shares of shape (words, 1 + words + entries) with the columns of entries that are shown."""
        words = shares.shape[1] - self.total
        named = shares[:, words:]
        parts = [shares[:, :words], named[:, self.numbers]]
        if self.left:
            others = np.setdiff1d(np.arange(self.total), self.numbers)
            parts.append(named[:, others].sum(axis=1, keepdims=True))
        return np.concatenate(parts, axis=1)

    def place(self, entry: int, words: int) -> int:
        """Return the column of an entry behind the slot and the words."""
        return entry_place(self.numbers, entry, words)


def entry_place(numbers: Sequence[int], entry: int, words: int) -> int:
    """Return the column of an entry, or that of all which have none of their own; the empty slot has column 0."""
    return 1 + words + (list(numbers).index(entry) if entry in numbers else len(numbers))


def named_entries(task: Task, keep: Sequence[int] | None = None) -> Entered:
    """Return what a task's entries are called: ‹text›, with the type where several have one text.

    Parameters
    ----------
    task
        The task; without a dictionary there are no entries.
    keep
        Which of many are shown. None: by their shares.
    """
    dictionary = getattr(task, "dictionary", None)
    entries = [] if dictionary is None else dictionary.entries
    often = Counter(entry.text for entry in entries)
    names = [f"‹{one.text}›" if often[one.text] == 1 else f"‹{one.text} · {one.kind}›" for one in entries]
    return Entered(names, None if keep is None else sorted(set(keep)))


def entered_columns(entered: Entered, shares: np.ndarray, pointed: Sequence[int]) -> Columns:
    """Choose the entries that have a column.

    Parameters
    ----------
    entered
        The entries.
    shares
        Shape (words, 1 + words + entries).
    pointed
        Entries that words point to.
    """
    total = len(entered.names)
    if total <= SHOWN:
        numbers = list(range(total))
    elif entered.keep is not None:
        numbers = list(entered.keep)
    else:
        highest = shares[:, shares.shape[1] - total :].max(axis=0, initial=0.0)
        chosen = [int(at) for at in np.argsort(-highest, kind="stable")[:SHOWN] if highest[at] >= _LEAST]
        numbers = sorted({*chosen, *pointed})
    left = total - len(numbers)
    names = [entered.names[at] for at in numbers]
    return Columns(numbers, [*names, *([f"‹{left} others›"] if left else [])], left, total)
