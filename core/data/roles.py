"""Roles: train, gate and test, given or carved, and the guard against texts that stand in two of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import DataConfig, TaskConfig
from core.data.assignment import ROLES, assign
from core.data.findings import describe
from core.data.gazetteer import gazetteer_of
from core.data.readers.base import shown
from core.data.report import DataReport
from core.data.table import recoded
from core.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Roles", "load_roles"]


@dataclass
class Roles:
    """The rows of a plan in the standard columns (docs/architecture.md).

    Parameters
    ----------
    train, gate, test
        Memory-mapped rows. ``gate`` or ``test`` has no rows when its share is 0 and no source is given.
    labels
        Label names; for tagging IOB2 tags, ``O`` first; for question answering ``start`` and ``end``.
    report
        The data report without lengths and pieces (:class:`~core.data.report.DataReport` as a dictionary), with
        ``label_list`` and ``fingerprint``.
    fingerprint
        Changes when any role's rows, the labels or the entries of a gazetteer change.
    entries
        Of the gazetteer that the task names: pairs of entry and type.
    """

    train: Dataset
    gate: Dataset
    test: Dataset
    labels: list[str]
    report: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    entries: list[tuple[str, str]] = field(default_factory=list)


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
    from datasets import Dataset, concatenate_datasets

    found = assign(data, task, cache)
    report = describe(found, data, task)
    _refuse(report, found.labels)
    # A question's row is labelled by whether it has an answer; what a model answers with are start and end.
    labels = ["start", "end"] if task.kind == "question_answering" else found.labels
    digest = hashlib.sha256(repr((found.labels, task.kind, task.multi_label)).encode())
    gazetteer = gazetteer_of(task)
    entries = gazetteer.entries if gazetteer is not None else []
    if entries:
        digest.update(repr(entries).encode())
    parts = {}
    for role in ROLES:
        sets = []
        for table, rows in found.parts(role):
            sets.append(Dataset.from_file(str(recoded(table, found.labels))).select(rows))
            digest.update(table.reading.digest.encode() + rows.tobytes())
        parts[role] = sets[0] if len(sets) == 1 else concatenate_datasets(sets)
    fingerprint = digest.hexdigest()[:32]
    told = report.as_dict() | {"label_list": labels, "fingerprint": fingerprint}
    return Roles(parts["train"], parts["gate"], parts["test"], labels, told, fingerprint, entries)


def _refuse(report: DataReport, labels: list[str]) -> None:
    """Raise the first error of a report; what the check calls unusable never trains."""
    error = next((finding for finding in report.findings if finding.level == "error"), None)
    if error is not None:
        expected = None
        if error.code == "unknown_label":
            known = ", ".join(shown(label, 40) for label in labels[:20])
            expected = f"labels of the training rows: {known}" + (" …" if len(labels) > 20 else "")
        raise DataError(error.message, where=error.where or None, expected=expected, advice=error.advice or None)
