"""Which rows make which role: duplicates dropped, leaks found. Refuses nothing; :mod:`core.data.roles` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import DataConfig, TaskConfig
from core.data.carving import carve, first_of_each, rarest, sample_rows
from core.data.finetuning import Finetuning, Known, read_finetuning
from core.data.readers.base import shown
from core.data.reading import NAMED
from core.data.table import Table, read_table
from core.data.tree_rows import POINTS

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ROLES", "Assignment", "assign", "label_list", "leak_rows", "unknown_labels"]

ROLES = ("train", "gate", "test")


@dataclass
class Assignment:
    """Which rows of which table make a role; arrays are of shape (rows,)."""

    tables: dict[str, Table]
    indices: dict[str, np.ndarray]
    #: Hash of what must not stand in two roles: the text, of a question its context.
    keys: dict[str, np.ndarray]
    labels: list[str]
    carved: list[str]
    #: Rows that a repeated text cost, by role.
    dropped: dict[str, int]
    #: Texts that stand in two roles: {"text", "roles": {role: row}}, at most 20, and how many there are.
    leaks: list[dict[str, Any]]
    leaking: int
    finetuning: Finetuning | None = None
    #: original, finetuning or together.
    training: str = "original"

    def parts(self, role: str) -> list[tuple[Table, np.ndarray]]:
        """Return the tables that make a role, with its rows in each: two where both sets are learnt from."""
        own = (self.tables.get(role, self.tables["train"]), self.indices[role])
        if role != "train" or self.finetuning is None or self.training == "original":
            return [own]
        more = (self.finetuning.table, self.finetuning.indices)
        return [more] if self.training == "finetuning" else [own, more]


def leak_rows(found: Assignment) -> str:
    """Name the rows of texts that stand in two roles."""
    parts = [" = ".join(f"{role} row {row}" for role, row in leak["roles"].items()) for leak in found.leaks]
    return "; ".join(parts) + (" …" if found.leaking > len(parts) else "")


def label_list(names: Sequence[str], kind: str) -> list[str]:
    """Return label names in their final order.

    Classification: numbers by value, else by name. Tagging: ``O``, then B and I of each type; without I where no
    tag has it (one tag a word).
    """
    if kind == "tagging":
        types = sorted({name[2:] for name in names if name != "O"})
        prefixes = "BI" if any(name.startswith("I-") for name in names) else "B"
        return ["O", *(f"{prefix}-{name}" for name in types for prefix in prefixes)]
    try:
        return sorted(names, key=lambda name: (float(name), name))
    except ValueError:
        return sorted(names)


def assign(data: DataConfig, task: TaskConfig, cache: Path) -> Assignment:
    """Read the sources and decide which rows make which role; finds leaks and duplicates but refuses nothing."""
    import numpy as np

    tables = {"train": read_table(data, task, cache)}
    for role, named in (("gate", data.gate_source), ("test", data.test_source)):
        if named:
            tables[role] = read_table(data, task, cache, role)
    keys = {role: table.arrow().column("key").to_numpy() for role, table in tables.items()}
    # Questions about one context stay together: a model that has learnt the context has seen the test.
    groups = {
        role: table.arrow().column("group").to_numpy() if "group" in table.arrow().column_names else keys[role]
        for role, table in tables.items()
    }
    strata = {role: _strata(table, task) for role, table in tables.items()}
    indices = {role: np.arange(len(keys[role])) for role in tables}
    dropped: dict[str, int] = dict.fromkeys(tables, 0)
    if data.drop_duplicates:
        seen = np.array([], dtype=np.uint64)
        for role in tables:
            fresh = (first_of_each(keys[role]) == np.arange(len(keys[role]))) & ~np.isin(groups[role], seen)
            dropped[role] = int((~fresh).sum())
            indices[role] = np.flatnonzero(fresh)
            seen = np.concatenate([seen, groups[role][fresh]])
    shares = {role: getattr(data, f"{role}_share") for role in ("test", "gate") if role not in tables}
    carved = [role for role, share in shares.items() if share > 0]
    rows = indices["train"]
    for role, part in carve(strata["train"][rows], groups["train"][rows], shares, data.split_seed).items():
        indices[role] = rows[part]
    for role in shares:
        keys[role], strata[role], groups[role] = keys["train"], strata["train"], groups["train"]
    leaks, leaking = _leaks(tables, indices, groups)
    finetuning = None
    if data.finetuning_source:
        known = {
            name: Known(tables.get(role, tables["train"]), indices[role], groups[role])
            for name, role in (("original", "train"), ("gate", "gate"), ("test", "test"))
        }
        finetuning = read_finetuning(data, task, cache, known)
    for role, limit in (("train", data.train_rows), ("gate", data.gate_rows), ("test", data.test_rows)):
        if limit is not None:
            rows = indices[role]
            indices[role] = rows[sample_rows(strata[role][rows], keys[role][rows], limit, data.split_seed)]
    return Assignment(
        tables,
        {role: indices[role] for role in ROLES},
        groups,
        list(POINTS)
        if task.kind == "dependency" and not task.relations
        else label_list(tables["train"].reading.labels, task.kind),
        sorted(carved),
        dropped,
        leaks,
        leaking,
        finetuning,
        data.training,
    )


def _strata(table: Table, task: TaskConfig) -> np.ndarray:
    """Return what each row is stratified by: its label, or the rarest of its labels or entity types."""
    import numpy as np

    column = table.arrow().column(table.label_column).combine_chunks()
    names = table.reading.labels
    if table.label_column == "label":
        # By the label's name, not by its number, which depends on the order of the rows.
        order = np.argsort(np.argsort(np.array(names, dtype=object), kind="stable"), kind="stable")
        return order[column.to_numpy(zero_copy_only=False)]
    kinds = [None if name == "O" else name[2:] for name in names] if task.kind == "tagging" else list(names)
    classes = sorted({kind for kind in kinds if kind is not None})
    code = np.array([-1 if kind is None else classes.index(kind) for kind in kinds] or [-1], dtype=np.int64)
    flat = code[column.flatten().to_numpy(zero_copy_only=False)]
    frequency = np.bincount(flat[flat >= 0], minlength=len(classes))
    return rarest(flat, np.diff(column.offsets.to_numpy(zero_copy_only=False)), frequency)


def _leaks(
    tables: dict[str, Table], indices: dict[str, np.ndarray], keys: dict[str, np.ndarray]
) -> tuple[list[dict[str, Any]], int]:
    import numpy as np

    places: dict[int, list[str]] = {}
    for one, other in (("train", "gate"), ("train", "test"), ("gate", "test")):
        if one in indices and other in indices:
            common = np.intersect1d(keys[one][indices[one]], keys[other][indices[other]])
            for key in common.tolist():
                found = places.setdefault(key, [])
                found += [role for role in (one, other) if role not in found]
    leaks = []
    for key, roles in list(places.items())[:NAMED]:
        named, text = {}, ""
        for role in ROLES:
            if role in roles:
                at = int(indices[role][np.flatnonzero(keys[role][indices[role]] == key)[0]])
                table = tables.get(role, tables["train"]).arrow()
                named[role] = table.column("row")[at].as_py()
                names = ("context", "text", "tokens")
                cell = table.column(next(name for name in names if name in table.column_names))[at].as_py()
                text = cell if isinstance(cell, str) else " ".join(cell)
        leaks.append({"text": shown(text), "roles": named})
    return leaks, len(places)


def unknown_labels(found: Assignment) -> list[dict[str, Any]]:
    """Return labels of given gate or test rows that train lacks: role, label, count, source and first row."""
    import numpy as np

    out = []
    known = set(found.labels)
    for role in ("gate", "test"):
        table = found.tables.get(role)
        for code, label in enumerate(table.reading.labels) if table else ():
            if label in known or table is None:
                continue
            if table.label_column == "kinds" and not label.startswith("B-"):
                continue  # its spans are counted by their first tag
            arrow = table.arrow()
            column = arrow.column(table.label_column).combine_chunks()
            if table.label_column == "label":
                rows = np.flatnonzero(column.to_numpy(zero_copy_only=False) == code)
            else:
                flat = np.flatnonzero(column.flatten().to_numpy(zero_copy_only=False) == code)
                rows = np.searchsorted(column.offsets.to_numpy(zero_copy_only=False), flat, side="right") - 1
            out.append(
                {
                    "role": role,
                    "label": shown(label),
                    "count": table.reading.counts[code],
                    "source": table.reading.source,
                    "row": arrow.column("row")[int(rows[0])].as_py(),
                }
            )
    return out
