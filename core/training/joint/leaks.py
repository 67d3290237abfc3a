"""The leakage guard across tasks: a text that one task is judged on must not be trained on by another.

Texts are compared without their white space, so that the words of a tagging row and the same sentence as a context or
as a text to classify are one text. Within one task :mod:`core.data.assignment` looks.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.data.assignment import ROLES
from core.data.reading import NAMED
from core.errors import DataError

__all__ = ["Leak", "TaskRows", "find_leaks", "text_keys", "without_leaks"]

_COLUMNS = ("text", "text_pair", "context", "tokens")
_BATCH = 1000
#: A role gives its row away to the roles behind it: what is tested stays as it is.
_RANK = {role: rank for rank, role in enumerate(ROLES)}


@dataclass(frozen=True)
class TaskRows:
    """Rows of one task: its name, its number in a part of the plan, its roles, and whether repeated texts may go."""

    name: str
    index: int
    roles: Any
    drop: bool
    part: str = "tasks"


@dataclass(frozen=True)
class Leak:
    """A text that two tasks have in different roles: the row that would have to go, and the one that stays."""

    task: int
    role: str
    position: int
    row: int
    other: int
    other_role: str
    other_row: int


def text_keys(rows: Any) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (number of the row in its source, hashes of its texts) of every row, in order."""
    names = None
    for at in range(0, len(rows), _BATCH):
        batch = rows[at : at + _BATCH]
        if names is None:
            names = [name for name in _COLUMNS if name in batch]
        cells = [batch[name] for name in names]
        for number, *texts in zip(batch["row"], *cells, strict=True):
            yield number, [_hash(text) for text in texts if text]


def _hash(text: str | list[str]) -> bytes:
    joined = text if isinstance(text, str) else "".join(text)
    return hashlib.blake2b("".join(joined.split()).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def find_leaks(tasks: Sequence[TaskRows]) -> list[Leak]:
    """Return every row of a task whose text another task has in a role behind it (train, gate, test).

    A row is named once for each pair of roles and other task, whatever the number of equal texts there.
    """
    places: dict[tuple[int, str], dict[bytes, int]] = {}
    listed: dict[tuple[int, str], list[tuple[int, list[bytes]]]] = {}
    for at, task in enumerate(tasks):
        for role in ROLES:
            rows = getattr(task.roles, role)
            found = list(text_keys(rows)) if rows is not None and len(rows) else []
            listed[at, role] = found
            first: dict[bytes, int] = {}
            for number, keys in found:
                for key in keys:
                    first.setdefault(key, number)
            places[at, role] = first
    leaks: list[Leak] = []
    for (at, role), found in listed.items():
        judged = [
            (other, behind, places[other, behind])
            for other in range(len(tasks)) if other != at
            for behind in ROLES if _RANK[behind] > _RANK[role] and places[other, behind]
        ]  # fmt: skip
        for position, (number, keys) in enumerate(found) if judged else ():
            for other, behind, known in judged:
                hit = next((known[key] for key in keys if key in known), None)
                if hit is not None:
                    leaks.append(Leak(at, role, position, number, other, behind, hit))
    return leaks


def without_leaks(tasks: Sequence[TaskRows]) -> tuple[list[Any], list[str]]:
    """Return the roles of each task without the rows that leak, and what was dropped, in sentences (*name: …*).

    Raises
    ------
    DataError
        If rows leak in a task that does not drop repeated texts; the rows are named.
    """
    leaks = find_leaks(tasks)
    refused = [leak for leak in leaks if not tasks[leak.task].drop]
    if refused:
        raise _refusal(tasks, refused)
    dropped: dict[tuple[int, str], set[int]] = {}
    for leak in leaks:
        dropped.setdefault((leak.task, leak.role), set()).add(leak.position)
    roles, notices = [task.roles for task in tasks], []
    for (at, role), positions in dropped.items():
        rows = getattr(roles[at], role)
        kept = [position for position in range(len(rows)) if position not in positions]
        digest = hashlib.sha256(f"{roles[at].fingerprint}|{role}|{sorted(positions)}".encode()).hexdigest()[:32]
        roles[at] = dataclasses.replace(roles[at], **{role: rows.select(kept), "fingerprint": digest})
        others = sorted(
            {f"{tasks[one.other].name} {one.other_role}" for one in leaks if (one.task, one.role) == (at, role)}
        )
        count = f"{len(positions)} row" + ("s" if len(positions) > 1 else "")
        notices.append(f"{tasks[at].name}: {count} of {role} left out, whose text is in {', '.join(others)}.")
    return roles, notices


def _refusal(tasks: Sequence[TaskRows], leaks: Sequence[Leak]) -> DataError:
    count = len({(leak.task, leak.role, leak.position) for leak in leaks})
    names = [task.name for task in tasks]
    named = [
        f"{names[one.task]} {one.role} row {one.row} = {names[one.other]} {one.other_role} row {one.other_row}"
        for one in leaks[:NAMED]
    ]
    switches = sorted({f"{tasks[one.task].part}.{tasks[one.task].index}.data.drop_duplicates" for one in leaks})
    first = leaks[0]
    doing = "trains on" if first.role == "train" else "chooses its weights by"
    judged = "tested" if first.other_role == "test" else "judged"
    return DataError(
        f"{count} text{'s' if count > 1 else ''} of one task {'are' if count > 1 else 'is'} what another is judged on: "
        f"{names[first.task]} {doing} what {names[first.other]} is {judged} on.",
        where="; ".join(named) + (" …" if len(leaks) > NAMED else ""),
        expected="texts that stand in one role only, over all tasks",
        advice=f"Divide the tasks' rows alike, or set {' and '.join(switches)} to true: those rows are dropped then.",
    )
