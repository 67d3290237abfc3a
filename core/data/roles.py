"""Roles: train, gate and test, given or carved, and the guard against texts that stand in two of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import DataConfig, TaskConfig
from core.data.carving import carve, first_of_each, rarest, sample_rows
from core.data.readers.base import shown
from core.data.table import NAMED, Table, read_table, recoded
from core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset

__all__ = ["ROLES", "Assignment", "Roles", "assign", "label_list", "load_roles", "unknown_labels"]

ROLES = ("train", "gate", "test")


@dataclass
class Roles:
    """The rows of a plan in the standard columns (docs/architecture.md).

    Parameters
    ----------
    train, gate, test
        Memory-mapped rows. ``gate`` or ``test`` has no rows when its share is 0 and no source is given.
    labels
        Label names; for tagging IOB2 tags, ``O`` first.
    report
        JSON-ready: ``roles`` {role: {"rows", "source", "counts"}}, ``carved``, ``dropped_duplicates``, ``reading``.
    fingerprint
        Changes when any role's rows or the labels change.
    """

    train: Dataset
    gate: Dataset
    test: Dataset
    labels: list[str]
    report: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""


@dataclass
class Assignment:
    """Which rows of which table make a role; arrays are of shape (rows,)."""

    tables: dict[str, Table]
    indices: dict[str, np.ndarray]
    keys: dict[str, np.ndarray]
    labels: list[str]
    carved: list[str]
    #: Rows that a repeated text cost, by role.
    dropped: dict[str, int]
    #: Texts that stand in two roles: {"text", "roles": {role: row}}, at most 20, and how many there are.
    leaks: list[dict[str, Any]]
    leaking: int


def load_roles(data: DataConfig, task: TaskConfig, *, cache: Path) -> Roles:
    """Read, divide and check the rows of a plan.

    Parameters
    ----------
    data, task
        As in the plan.
    cache
        The home's cache folder.

    Returns
    -------
    Roles
        The same on every machine for the same data, plan and seed.

    Raises
    ------
    DataError
        If the data cannot be read, has one class only, gate or test hold a label that train lacks, or a text stands
        in two given roles (unless ``drop_duplicates``).
    HubError
        If a hub source cannot be reached.
    """
    from datasets import Dataset

    found = assign(data, task, cache)
    classes = [label for label in found.labels if label != "O"] if task.kind == "tagging" else found.labels
    if len(classes) < (2 if task.kind == "classification" and not task.multi_label else 1):
        raise DataError(
            f"There is only one class: {shown(classes[0])!r}." if classes else "There is no label but O." if task.kind == "tagging" else "There is no label.",
            where=found.tables["train"].reading.source, expected="at least two labels" if not task.multi_label else "at least one label",
            advice="Check which column holds the label.",
        )  # fmt: skip
    if unknown := unknown_labels(found):
        first = unknown[0]
        raise DataError(
            f"The {first['role']} rows have a label that the training rows lack: {first['label']!r}"
            + (f", and {len(unknown) - 1} more." if len(unknown) > 1 else "."),
            where=f"{first['source']}, row {first['row']}", expected="labels of the training rows: " + _listing(found.labels),
            advice="Mend the label, or add training rows that have it.",
        )  # fmt: skip
    if found.leaking:
        raise DataError(
            f"{found.leaking} text{'s stand' if found.leaking > 1 else ' stands'} in two roles.", where=leak_rows(found),
            expected="no text in two of train, gate and test",
            advice="Remove them, or set data.drop_duplicates (the first stays: train before gate before test).",
        )  # fmt: skip
    if len(found.indices["train"]) == 0:
        raise DataError("No row is left to train on.", where=found.tables["train"].reading.source)
    digest = hashlib.sha256(repr((found.labels, task.kind, task.multi_label)).encode())
    sets, told = {}, {}
    for role in ROLES:
        table = found.tables.get(role, found.tables["train"])
        rows = found.indices[role]
        part = Dataset.from_file(str(recoded(table, found.labels))).select(rows)
        digest.update(found.keys[role][rows].tobytes())
        digest.update(_flat(part, found.labels).tobytes())
        sets[role] = part
        told[role] = {
            "rows": len(rows), "source": table.reading.source, "counts": counts(part, found.labels),
        }  # fmt: skip
    report = {
        "labels": found.labels, "roles": told, "carved": found.carved, "dropped_duplicates": found.dropped,
        "reading": {role: reading_dict(table) for role, table in found.tables.items()},
    }  # fmt: skip
    return Roles(sets["train"], sets["gate"], sets["test"], found.labels, report, digest.hexdigest()[:32])


def reading_dict(table: Table) -> dict[str, Any]:
    """Return the short form of what was read, for reports."""
    reading = table.reading
    return {
        "source": reading.source, "format": reading.format, "encoding": reading.encoding, "mapping": reading.mapping,
        "details": reading.details, "read": reading.read, "kept": reading.kept, "dropped": reading.dropped, "illegal": reading.illegal,
    }  # fmt: skip


def _listing(labels: Sequence[str]) -> str:
    return ", ".join(shown(label, 40) for label in labels[:20]) + (" …" if len(labels) > 20 else "")


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
    strata = {role: _strata(table, task) for role, table in tables.items()}
    indices = {role: np.arange(len(keys[role])) for role in tables}
    dropped: dict[str, int] = dict.fromkeys(tables, 0)
    if data.drop_duplicates:
        seen = np.array([], dtype=np.uint64)
        for role in tables:
            fresh = (first_of_each(keys[role]) == np.arange(len(keys[role]))) & ~np.isin(keys[role], seen)
            dropped[role] = int((~fresh).sum())
            indices[role] = np.flatnonzero(fresh)
            seen = np.concatenate([seen, keys[role][fresh]])
    shares = {role: getattr(data, f"{role}_share") for role in ("test", "gate") if role not in tables}
    carved = [role for role, share in shares.items() if share > 0]
    rows = indices["train"]
    for role, part in carve(strata["train"][rows], keys["train"][rows], shares, data.split_seed).items():
        indices[role] = rows[part]
    for role in shares:
        keys[role], strata[role] = keys["train"], strata["train"]
    leaks, leaking = _leaks(tables, indices, keys)
    for role, limit in (("train", data.train_rows), ("gate", data.gate_rows), ("test", data.test_rows)):
        if limit is not None:
            rows = indices[role]
            indices[role] = rows[sample_rows(strata[role][rows], keys[role][rows], limit, data.split_seed)]
    return Assignment(
        tables, {role: indices[role] for role in ROLES}, keys, label_list(tables["train"].reading.labels, task.kind),
        sorted(carved), dropped, leaks, leaking,
    )  # fmt: skip


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

    places: dict[int, dict[str, int]] = {}
    for one, other in (("train", "gate"), ("train", "test"), ("gate", "test")):
        if one in indices and other in indices:
            common = np.intersect1d(keys[one][indices[one]], keys[other][indices[other]])
            for key in common.tolist():
                for role in (one, other):
                    if role not in places.setdefault(key, {}):
                        at = (
                            indices[role][np.flatnonzero(keys[role][indices[role]] == key)[0]]
                            if len(places) <= NAMED
                            else -1
                        )
                        places[key][role] = int(at)
    leaks = []
    for roles in list(places.values())[:NAMED]:
        named, text = {}, ""
        for role in ROLES:
            if role in roles:
                table = tables.get(role, tables["train"]).arrow()
                named[role] = table.column("row")[roles[role]].as_py()
                cell = table.column("text" if "text" in table.column_names else "tokens")[roles[role]].as_py()
                text = cell if isinstance(cell, str) else " ".join(cell)
        leaks.append({"text": shown(text), "roles": named})
    return leaks, len(places)


def unknown_labels(found: Assignment) -> list[dict[str, Any]]:
    """Return labels of given gate or test rows that train lacks: {"role", "label", "count", "source", "row"} of the first row."""
    import numpy as np

    out = []
    known = set(found.labels)
    for role in ("gate", "test"):
        table = found.tables.get(role)
        for code, label in enumerate(table.reading.labels) if table else ():
            if label in known or table is None:
                continue
            arrow = table.arrow()
            column = arrow.column(table.label_column).combine_chunks()
            if table.label_column == "label":
                rows = np.flatnonzero(column.to_numpy(zero_copy_only=False) == code)
            else:
                flat = np.flatnonzero(column.flatten().to_numpy(zero_copy_only=False) == code)
                rows = np.searchsorted(column.offsets.to_numpy(zero_copy_only=False), flat, side="right") - 1
            out.append({
                "role": role, "label": shown(label), "count": table.reading.counts[code], "source": table.reading.source,
                "row": arrow.column("row")[int(rows[0])].as_py(),
            })  # fmt: skip
    return out


def _flat(part: Dataset, labels: Sequence[str]) -> np.ndarray:
    """Return all label indices of a role one after another."""
    import numpy as np

    name = next(name for name in ("label", "labels", "tags") if name in part.column_names)
    pieces = []
    for batch in part.with_format("arrow").iter(10_000):
        column = batch.column(name).combine_chunks()
        pieces.append((column if name == "label" else column.flatten()).to_numpy(zero_copy_only=False))
    return np.concatenate(pieces).astype(np.int64) if pieces else np.array([], dtype=np.int64)


def counts(part: Dataset, labels: Sequence[str]) -> dict[str, int]:
    """Count how often each label occurs in a role (for tagging: how many words carry each tag)."""
    import numpy as np

    flat = _flat(part, labels)
    return dict(zip(labels, np.bincount(flat[flat >= 0], minlength=len(labels)).tolist(), strict=True))
