"""What reading and dividing the data showed, as a report: sources, labels, roles, duplicates."""

from __future__ import annotations

from collections import Counter
from typing import Any

from core.config import DataConfig, TaskConfig
from core.data.assignment import ROLES, Assignment, leak_rows, unknown_labels
from core.data.carving import first_of_each
from core.data.finetuning_findings import tell_finetuning
from core.data.gazetteer import tell_dictionary
from core.data.question_findings import REASONS, tell_answers, tell_unanswered
from core.data.readers.base import shown
from core.data.reading import NAMED
from core.data.report import DataReport
from core.data.span_findings import REASONS as SPAN_REASONS
from core.data.span_findings import tell_spans
from core.data.table import Table
from core.data.tree_findings import REASONS as TREE_REASONS
from core.data.tree_findings import tell_pointers, tell_skipped, tell_trees

__all__ = ["describe"]

_REASONS = {
    "empty": "an empty cell",
    "no_label": "no label",
    "several_labels": "several labels in a cell",
    "too_long": "a cell that is too long",
    "label_too_long": "a label that is too long to be one",
    "malformed": "rows that cannot be read",
    "not_text": "something else than text",
    "encoding": "bytes that are not of the file's encoding",
    "length": "words and tags (or heads) that differ in number",
    "bad_tag": "a tag that is not of the scheme",
    **REASONS,
    **TREE_REASONS,
    **SPAN_REASONS,
}


def describe(found: Assignment, data: DataConfig, task: TaskConfig, max_length: int | None = None) -> DataReport:
    """Return the report of an assignment: everything but what needs the texts themselves.

    Parameters
    ----------
    found
        Tables and the rows of each role.
    data, task
        As in the plan.
    max_length
        Sub-words a text may have, if known.
    """
    report = DataReport(task.kind, max_length)
    _tell_sources(report, found, task)
    _tell_labels(report, found, task)
    _tell_roles(report, found, data)
    tell_finetuning(report, found.finetuning, data, task, len(found.indices["train"]))
    if found.finetuning is not None and data.training != "original":
        tell_spans(report, found.finetuning.table.reading, task, _named)
    _tell_duplicates(report, found.tables["train"], data)
    tell_dictionary(report, found, task)
    return report


def _named(rows: list[dict[str, Any]], count: int) -> str:
    parts = []
    for row in rows:
        line = f" (line {row['line']})" if row["line"] else ""
        column = f", column {shown(row['column'])!r}, word {row['word']}" if "column" in row else ""
        parts.append(f"row {row['row']}{line}{column}: {row['detail']}")
    return "; ".join(parts[:5]) + (f"; and {count - 5} more" if count > 5 else "")


def _reading(table: Table) -> dict[str, Any]:
    """Return the short form of what was read, for reports."""
    reading = table.reading
    return {
        "source": reading.source,
        "format": reading.format,
        "encoding": reading.encoding,
        "mapping": reading.mapping,
        "details": reading.details,
        "read": reading.read,
        "kept": reading.kept,
        "dropped": reading.dropped,
        "illegal": reading.illegal,
    }


def _tell_sources(report: DataReport, found: Assignment, task: TaskConfig) -> None:
    for role, table in found.tables.items():
        reading = table.reading
        report.sources[role] = _reading(table) | {"columns": reading.columns}
        for note in reading.notes:
            report.add(note["level"], note["code"], note["message"], note.get("where", ""), note.get("advice", ""))
        lost = reading.read - reading.kept
        for reason, entry in reading.dropped.items():
            count = entry["count"]
            share = count / reading.read
            report.add(
                "error" if reason == "encoding" and share > 0.1 else "warning",
                f"dropped_{reason}",
                f"{count:,} of {reading.read:,} rows left out: {_REASONS.get(reason, reason)}.",
                f"{reading.source}, {_named(entry['rows'], count)}",
                "Name the encoding that the file was saved in." if reason == "encoding" else "",
            )
        if lost > 0.5 * reading.read:
            report.add(
                "error",
                "mostly_dropped",
                f"Only {reading.kept:,} of {reading.read:,} rows can be used.",
                reading.source,
                "Check the format, the delimiter and the column mapping in the preview.",
            )
        if task.kind == "question_answering":
            tell_answers(report, reading, _named, no_answer=task.no_answer)
        tell_spans(report, reading, task, _named)
        tell_skipped(report, reading, _named)
        tell_trees(report, reading, task)
        if illegal := reading.illegal["count"]:
            report.add(
                "warning",
                "illegal_tags",
                f"{illegal:,} tags are illegal in their place; they are read as the CoNLL scorer does.",
                f"{reading.source}, {_named(reading.illegal['rows'], illegal)}",
                "Mend them at the source if there are many.",
            )


def _tell_labels(report: DataReport, found: Assignment, task: TaskConfig) -> None:
    reading = found.tables["train"].reading
    totals: dict[str, int] = {}
    for name, count in zip(reading.labels, reading.counts, strict=True):
        # Each B of IOB2 is one entity.
        if task.kind != "tagging" or name.startswith("B-"):
            totals[name[2:] if task.kind == "tagging" else name] = count
    by_role = {role: _role_counts(found, role, task) for role in ROLES}
    whole = sum(totals.values())
    names = [name[2:] for name in found.labels if name.startswith("B-")] if task.kind == "tagging" else found.labels
    report.labels = [
        {
            "label": name,
            "count": totals.get(name, 0),
            "share": totals.get(name, 0) / max(1, whole),
            "roles": {role: by_role[role].get(name, 0) for role in ROLES},
        }
        for name in names
    ]
    if task.kind == "question_answering":
        tell_unanswered(report, ROLES, task)
        return
    if task.kind == "dependency" and not task.relations:
        tell_pointers(report)
        return
    where = reading.source
    what = {"tagging": "entity type", "dependency": "relation"}.get(task.kind, "label")
    if not names:
        report.add("error", "no_label", f"There is no {what}.", where, "Check which column holds it.")
    elif len(names) == 1 and task.kind == "classification" and not task.multi_label:
        report.add(
            "error",
            "one_class",
            f"There is only one class: {shown(names[0])!r}.",
            where,
            "A classifier needs at least two; check which column holds the label.",
        )
    once = [name for name in names if totals.get(name, 0) == 1]
    if once:
        report.add(
            "warning",
            "rare_labels",
            f"{len(once)} {what}{'s occur' if len(once) > 1 else ' occurs'} only once.",
            ", ".join(shown(name, 40) for name in once[:NAMED]),
            "They can be learnt but not measured; join or remove them.",
        )
    if task.kind == "classification" and len(names) > 20 and len(names) > 0.2 * reading.kept:
        report.add(
            "warning",
            "many_labels",
            f"There are {len(names):,} different labels in {reading.kept:,} rows.",
            where,
            "Numbers or names as labels? Check which column holds the label.",
        )
    if len(names) > 1 and whole and max(totals.values()) / whole > 0.9:
        top = max(totals, key=totals.__getitem__)
        report.add(
            "warning",
            "imbalance",
            f"{totals[top] / whole:.0%} of all {what}s are {shown(top, 40)!r}.",
            where,
            "Judge by macro F1 or MCC rather than accuracy; class_weights: balanced may help.",
        )
    unseen = [name for name in names if by_role["train"].get(name, 0) == 0]
    if unseen and len(names) > 1:
        report.add(
            "warning",
            "unseen_labels",
            f"{len(unseen)} {what}s have no row left in train.",
            ", ".join(shown(name, 40) for name in unseen[:NAMED]),
            "Use more training rows.",
        )
    named = "relation" if task.kind == "dependency" else "label"
    for entry in unknown_labels(found):
        # A treebank's rarest relations need not stand in each part: such a word is never right, and that is all.
        report.add(
            "warning" if task.kind == "dependency" else "error",
            "unknown_label",
            f"The {entry['role']} rows have a {named} that the training rows lack: "
            f"{entry['label']!r} ({entry['count']:,} times).",
            f"{entry['source']}, row {entry['row']}",
            f"Mend the {named}, or add training rows that have it.",
        )


def _role_counts(found: Assignment, role: str, task: TaskConfig) -> dict[str, int]:
    import numpy as np

    total: Counter[str] = Counter()
    for table, rows in found.parts(role):
        names = table.reading.labels
        # take() copies the label column of the role's rows only.
        column = table.arrow().column(table.label_column).take(rows)
        counts = np.zeros(len(names), dtype=np.int64)
        for chunk in column.chunks:
            flat = chunk if table.label_column == "label" else chunk.flatten()
            counts += np.bincount(flat.to_numpy(zero_copy_only=False), minlength=len(names))
        total.update(dict(zip(names, counts.tolist(), strict=True)))
    if task.kind == "tagging":
        return {name[2:]: count for name, count in total.items() if name.startswith("B-")}
    return dict(total)


def _tell_roles(report: DataReport, found: Assignment, data: DataConfig) -> None:
    for role in ROLES:
        parts = found.parts(role)
        rows = sum(len(indices) for _, indices in parts)
        source = " and ".join(table.reading.source for table, _ in parts)
        report.roles[role] = {
            "rows": rows,
            "source": source,
            "carved": role in found.carved,
            "dropped_duplicates": found.dropped.get(role, 0),
        }
    if report.roles["train"]["rows"] == 0:
        report.add("error", "no_train_rows", "No row is left to train on.", "", "Lower gate_share and test_share.")
    for role, use in (
        ("gate", "no best checkpoint is picked and nothing stops early"),
        ("test", "there is no final score"),
    ):
        rows = report.roles[role]["rows"]
        if rows == 0:
            report.add(
                "warning",
                f"no_{role}",
                f"There are no {role} rows: {use}.",
                "",
                f"Set data.{role}_share or give a source.",
            )
        elif rows < 50:
            report.add("note", f"small_{role}", f"Rows in {role}: only {rows}; its scores will jump about.")
    if found.leaking:
        report.add(
            "error",
            "leak",
            f"{found.leaking:,} {'contexts' if report.task == 'question_answering' else 'texts'} stand in two roles.",
            leak_rows(found),
            "Remove them, or set data.drop_duplicates (the first stays: train before gate before test).",
        )


def _tell_duplicates(report: DataReport, table: Table, data: DataConfig) -> None:
    import numpy as np

    arrow = table.arrow()
    keys = arrow.column("key").to_numpy()
    rows = arrow.column("row").to_numpy()
    first = first_of_each(keys)
    again = np.flatnonzero(first != np.arange(len(keys)))
    torn = np.array([], dtype=np.int64)
    if "label" in arrow.column_names:
        label = arrow.column("label").to_numpy()
        torn = again[label[again] != label[first[again]]]
    pairs = [[int(rows[at]), int(rows[first[at]])] for at in again[:NAMED]]
    conflicts = [[int(rows[at]), int(rows[first[at]])] for at in torn[:NAMED]]
    report.duplicates = {
        "count": len(again),
        "rows": pairs,
        "conflicts": len(torn),
        "conflict_rows": conflicts,
    }

    def listed(entries: list[list[int]]) -> str:
        return "; ".join(f"row {row} = row {before}" for row, before in entries[:5]) + (
            " …" if len(entries) > 5 else ""
        )

    repeated = "question and context" if "question" in arrow.column_names else "text"
    if len(again):
        report.add(
            "warning",
            "duplicates",
            f"{len(again):,} rows repeat the {repeated} of an earlier row.",
            listed(pairs),
            "They are dropped (drop_duplicates is on)."
            if data.drop_duplicates
            else "Carving keeps equal texts in one role; data.drop_duplicates leaves them out.",
        )
    if len(torn):
        report.add(
            "warning",
            "conflicts",
            f"{len(torn):,} of them have another label than the first.",
            listed(conflicts),
            "One of the two labels is wrong, or the text alone does not decide.",
        )
