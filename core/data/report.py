"""The data report: what the check before training found, ready for pages, the command line and the run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from core.errors import BertloomError

__all__ = ["DataReport", "Finding", "histogram"]

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing to know before training.

    Parameters
    ----------
    level
        error: the data cannot be used so; warning: look at it; note: good to know.
    code
        A word for programs, such as ``one_class``.
    message, where, advice
        What, which rows and columns, and what to do; plain text.
    """

    level: Level
    code: str
    message: str
    where: str = ""
    advice: str = ""


@dataclass
class DataReport:
    """What the check found; every part is JSON-ready.

    Parameters
    ----------
    task, max_length
        What it was checked for.
    sources
        Role → source, format, encoding, columns, mapping, details, read, kept, dropped (reason → count and rows),
        illegal.
    roles
        Role → {"rows", "source", "carved"}.
    labels
        [{"label", "count", "share", "roles": {role: count}}]: rows a label (tagging: entities a type). In the
        dictionary also as ``balance`` {role: {label: count}}.
    duplicates
        {"count", "rows": [[row, row of its first occurrence]], "conflicts", "conflict_rows"} of the training source.
    lengths
        {"unit", "checked", "max_length", "mean", "median", "p95", "max", "cut_rows", "cut_share",
        "histogram": {"edges", "counts"}}.
    sets
        With a finetuning set: {"training", "finetuning": {"rows", "read", "source", "dropped", "record"}, "original":
        {"rows", "source"}}.
    fit
        How it fits the original set: {"labels", "lengths": {"divergence", "low", "high", "level", "original",
        "finetuning", "rows"} or None, "missing", "extra", "classes", "unit", "warn", "refuse"}.
    dictionary
        What words can point to beside words: {"kind" (labels or gazetteer), "source", "sha256" (of its file),
        "entries", "entities" (of the training rows), "covered" (those that an entry says)}; empty without one.
    pieces
        {"unknown_share", "examples", "per_character", "chinese_share"}; empty without a model.
    findings
        Errors first.
    """

    task: str
    max_length: int | None
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: list[dict[str, Any]] = field(default_factory=list)
    duplicates: dict[str, Any] = field(default_factory=dict)
    lengths: dict[str, Any] = field(default_factory=dict)
    pieces: dict[str, Any] = field(default_factory=dict)
    sets: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    dictionary: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether a run may start with this data."""
        return not any(finding.level == "error" for finding in self.findings)

    def add(self, level: Level, code: str, message: str, where: str = "", advice: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(level, code, message, where, advice))

    def refuse(self, code: str, error: BertloomError) -> None:
        """Add what an error says, as an error."""
        expected = f"Expected: {error.expected}." if error.expected else ""
        self.add("error", code, error.what, error.where or "", " ".join(filter(None, (expected, error.advice))))

    def as_dict(self) -> dict[str, Any]:
        """Return the whole report with ``ok`` and ``rows`` {"read", "kept", "dropped"} in front."""
        order = {"error": 0, "warning": 1, "note": 2}
        body = asdict(self)
        body["findings"] = [asdict(finding) for finding in sorted(self.findings, key=lambda one: order[one.level])]
        read = sum(source["read"] for source in self.sources.values())
        kept = sum(source["kept"] for source in self.sources.values())
        balance = {role: {entry["label"]: entry["roles"][role] for entry in self.labels} for role in self.roles}
        return {"ok": self.ok, "rows": {"read": read, "kept": kept, "dropped": read - kept}, "balance": balance} | body


def histogram(values: Sequence[int], bins: int = 30) -> dict[str, list[int]]:
    """Return a histogram with whole-number edges.

    Returns
    -------
    dict
        ``edges`` (at most bins + 1 of them, ascending) and ``counts``; a bar holds lengths from its edge to the next.
    """
    import numpy as np

    if not len(values):
        return {"edges": [], "counts": []}
    array = np.asarray(values)
    # The longest hundredth shares the last bar, so that one giant text does not flatten all others.
    low, high = int(array.min()), int(np.quantile(array, 0.99)) + 1
    width = max(1, -(-(high - low) // bins))
    edges = list(range(low, high, width))
    edges.append(max(edges[-1] + width, int(array.max()) + 1))
    counts, _ = np.histogram(array, bins=edges)
    return {"edges": edges, "counts": counts.tolist()}
