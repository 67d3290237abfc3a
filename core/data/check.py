"""The check before training: everything about the data that a person should know before a run starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import DataConfig, TaskConfig
from core.data.carving import first_of_each
from core.data.pieces import Pieces, count_pieces, load_tokenizer
from core.data.readers.base import UnusableData, shown
from core.data.readers.open import open_source
from core.data.report import DataReport, histogram
from core.data.roles import ROLES, Assignment, assign, leak_rows, reading_dict, unknown_labels
from core.data.table import NAMED, Table

if TYPE_CHECKING:
    import numpy as np

__all__ = ["check"]

#: Rows whose sub-words are counted: evenly spaced over larger data.
_TOKENISED = 20_000
_REASONS = {
    "empty": "have an empty cell",
    "no_label": "have no label",
    "several_labels": "have several labels",
    "too_long": "have a cell that is too long",
    "label_too_long": "have a label that is too long to be one",
    "malformed": "cannot be read",
    "not_text": "hold something else than text",
    "encoding": "have bytes that are not of the file's encoding",
    "length": "have not one tag a word",
    "bad_tag": "have a tag that is not of the scheme",
}


def check(
    data: DataConfig, task: TaskConfig, model_folder: Path | None = None, max_length: int = 128, *, cache: Path
) -> DataReport:
    """Check the data of a plan.

    Parameters
    ----------
    data, task
        As in the plan.
    model_folder
        The encoder's folder, for lengths in sub-words and unknown pieces; without it lengths are in characters or words.
    max_length
        Sub-words a text may have.
    cache
        The home's cache folder; the rows that were read stay there for the run.

    Returns
    -------
    DataReport
        Its ``ok`` tells whether a run may start.

    Raises
    ------
    DataError
        If a source cannot be read as a table at all.
    HubError
        If a hub source cannot be reached.
    """
    report = DataReport(task.kind, max_length)
    for role, named in (("train", data.source), ("gate", data.gate_source), ("test", data.test_source)):
        if named:
            # Raises for what cannot be opened at all; what follows can only be unusable.
            open_source(data, task, role)
    try:
        found = assign(data, task, cache)
    except UnusableData as error:
        report.add("error", "unusable", error.what, error.where or "", _advice(error))
        return report
    _tell_sources(report, found)
    _tell_labels(report, found, task)
    _tell_roles(report, found, data)
    _tell_duplicates(report, found.tables["train"], data)
    _tell_texts(report, found.tables["train"], task, model_folder)
    return report


def _advice(error: UnusableData) -> str:
    return " ".join(part for part in (f"Expected: {error.expected}." if error.expected else "", error.advice or "") if part)


def _named(rows: list[dict[str, Any]], count: int) -> str:
    parts = []
    for row in rows:
        line = f" (line {row['line']})" if row["line"] else ""
        column = f", column {shown(row['column'])!r}, word {row['word']}" if "column" in row else ""
        parts.append(f"row {row['row']}{line}{column}: {row['detail']}")
    return "; ".join(parts[:5]) + (f"; and {count - 5} more" if count > 5 else "")


def _tell_sources(report: DataReport, found: Assignment) -> None:
    for role, table in found.tables.items():
        reading = table.reading
        report.sources[role] = reading_dict(table) | {"columns": reading.columns}
        for note in reading.notes:
            report.add(note["level"], note["code"], note["message"], note.get("where", ""), note.get("advice", ""))
        lost = reading.read - reading.kept
        for reason, entry in reading.dropped.items():
            count = entry["count"]
            share = count / reading.read
            report.add(
                "error" if reason == "encoding" and share > 0.1 else "warning", f"dropped_{reason}",
                f"{count:,} of {reading.read:,} rows {_REASONS.get(reason, 'cannot be used')} and are left out.",
                f"{reading.source}, {_named(entry['rows'], count)}",
                "Name the encoding that the file was saved in." if reason == "encoding" else "",
            )  # fmt: skip
        if lost > 0.5 * reading.read:
            report.add(
                "error", "mostly_dropped", f"Only {reading.kept:,} of {reading.read:,} rows can be used.", reading.source,
                "Check the format, the delimiter and the column mapping in the preview.",
            )  # fmt: skip
        if illegal := reading.illegal["count"]:
            report.add(
                "warning", "illegal_tags", f"{illegal:,} tags are illegal in their place; they are read as the CoNLL scorer does.",
                f"{reading.source}, {_named(reading.illegal['rows'], illegal)}", "Mend them at the source if there are many.",
            )  # fmt: skip


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
            "label": name, "count": totals.get(name, 0), "share": totals.get(name, 0) / max(1, whole),
            "roles": {role: by_role[role].get(name, 0) for role in ROLES},
        }
        for name in names
    ]  # fmt: skip
    where = reading.source
    what = "entity type" if task.kind == "tagging" else "label"
    if not names:
        report.add("error", "no_label", f"There is no {what}.", where, "Check which column holds it.")
    elif len(names) == 1 and task.kind == "classification" and not task.multi_label:
        report.add(
            "error", "one_class", f"There is only one class: {shown(names[0])!r}.", where,
            "A classifier needs at least two; check which column holds the label.",
        )  # fmt: skip
    once = [name for name in names if totals.get(name, 0) == 1]
    if once:
        report.add(
            "warning", "rare_labels", f"{len(once)} {what}{'s occur' if len(once) > 1 else ' occurs'} only once.",
            ", ".join(shown(name, 40) for name in once[:NAMED]), "They can be learnt but not measured; join or remove them.",
        )  # fmt: skip
    if task.kind == "classification" and len(names) > 20 and len(names) > 0.2 * reading.kept:
        report.add(
            "warning", "many_labels", f"There are {len(names):,} different labels in {reading.kept:,} rows.", where,
            "Numbers or names as labels? Check which column holds the label.",
        )  # fmt: skip
    if len(names) > 1 and whole and max(totals.values()) / whole > 0.9:
        top = max(totals, key=totals.__getitem__)
        report.add(
            "warning", "imbalance", f"{totals[top] / whole:.0%} of all {what}s are {shown(top, 40)!r}.", where,
            "Judge by macro F1 or MCC rather than accuracy; class_weights: balanced may help.",
        )  # fmt: skip
    unseen = [name for name in names if by_role["train"].get(name, 0) == 0]
    if unseen and len(names) > 1:
        report.add(
            "warning", "unseen_labels", f"{len(unseen)} {what}s have no row left in train.",
            ", ".join(shown(name, 40) for name in unseen[:NAMED]), "Use more training rows.",
        )  # fmt: skip
    for entry in unknown_labels(found):
        report.add(
            "error", "unknown_label",
            f"The {entry['role']} rows have a label that the training rows lack: {entry['label']!r} ({entry['count']:,} times).",
            f"{entry['source']}, row {entry['row']}", "Mend the label, or add training rows that have it.",
        )  # fmt: skip


def _role_counts(found: Assignment, role: str, task: TaskConfig) -> dict[str, int]:
    import numpy as np

    table = found.tables.get(role, found.tables["train"])
    names = table.reading.labels
    # take() copies the label column of the role's rows only.
    column = table.arrow().column(table.label_column).take(found.indices[role])
    counts = np.zeros(len(names), dtype=np.int64)
    for chunk in column.chunks:
        flat = chunk if table.label_column == "label" else chunk.flatten()
        counts += np.bincount(flat.to_numpy(zero_copy_only=False), minlength=len(names))
    if task.kind == "tagging":
        return {name[2:]: int(count) for name, count in zip(names, counts, strict=True) if name.startswith("B-")}
    return dict(zip(names, counts.tolist(), strict=True))


def _tell_roles(report: DataReport, found: Assignment, data: DataConfig) -> None:
    for role in ROLES:
        rows = len(found.indices[role])
        source = found.tables.get(role, found.tables["train"]).reading.source
        report.roles[role] = {
            "rows": rows, "source": source, "carved": role in found.carved, "dropped_duplicates": found.dropped.get(role, 0),
        }  # fmt: skip
    if report.roles["train"]["rows"] == 0:
        report.add("error", "no_train_rows", "No row is left to train on.", "", "Lower gate_share and test_share.")
    for role, use in (("gate", "no best checkpoint is picked and nothing stops early"), ("test", "there is no final score")):
        rows = report.roles[role]["rows"]
        if rows == 0:
            report.add("warning", f"no_{role}", f"There are no {role} rows: {use}.", "", f"Set data.{role}_share or give a source.")
        elif rows < 50:
            report.add("note", f"small_{role}", f"There are only {rows} {role} rows: its scores will jump about.")
    if found.leaking:
        report.add(
            "error", "leak", f"{found.leaking:,} texts stand in two roles.", leak_rows(found),
            "Remove them, or set data.drop_duplicates (the first stays: train before gate before test).",
        )  # fmt: skip


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
        "count": len(again), "rows": pairs, "conflicts": len(torn), "conflict_rows": conflicts,
    }  # fmt: skip

    def listed(entries: list[list[int]]) -> str:
        return "; ".join(f"row {row} = row {before}" for row, before in entries[:5]) + (" …" if len(entries) > 5 else "")

    if len(again):
        report.add(
            "warning", "duplicates", f"{len(again):,} rows repeat the text of an earlier row.", listed(pairs),
            "They are dropped (drop_duplicates is on)." if data.drop_duplicates
            else "Carving keeps equal texts in one role; data.drop_duplicates leaves them out.",
        )  # fmt: skip
    if len(torn):
        report.add(
            "warning", "conflicts", f"{len(torn):,} of them have another label than the first.", listed(conflicts),
            "One of the two labels is wrong, or the text alone does not decide.",
        )  # fmt: skip


def _tell_texts(report: DataReport, table: Table, task: TaskConfig, model_folder: Path | None) -> None:
    import numpy as np

    arrow = table.arrow()
    chosen = np.unique(np.linspace(0, arrow.num_rows - 1, min(arrow.num_rows, _TOKENISED)).astype(np.int64))
    part = arrow.take(chosen)
    if task.kind == "tagging":
        texts: list[Any] = part.column("tokens").to_pylist()
    elif "text_pair" in part.column_names:
        texts = list(zip(part.column("text").to_pylist(), part.column("text_pair").to_pylist(), strict=True))
    else:
        texts = part.column("text").to_pylist()
    _tell_markup(report, texts)
    tokenizer = load_tokenizer(model_folder) if model_folder else None
    if tokenizer is None:
        if model_folder:
            report.add("note", "no_tokenizer", "The model has no tokenizer.json, so lengths are not in sub-words.", str(model_folder))
        unit = "words" if task.kind == "tagging" else "characters"
        _tell_lengths(report, np.array([sum(map(len, text)) if isinstance(text, tuple) else len(text) for text in texts]), unit)
        return
    pieces = count_pieces(texts, tokenizer)
    lengths = np.array(pieces.lengths)
    _tell_lengths(report, lengths, "sub-words")
    cut = np.flatnonzero(lengths > report.max_length)
    report.lengths["cut_rows"] = len(cut)
    report.lengths["cut_share"] = len(cut) / len(lengths)
    rows = part.column("row").to_numpy()[cut[:NAMED]].tolist()
    if len(cut) and task.kind == "tagging":
        report.add(
            "note", "windows", f"{report.lengths['cut_share']:.1%} of the sentences are longer than {report.max_length} sub-words.",
            f"row {', '.join(map(str, rows[:5]))}", "They are read in overlapping windows; no word is lost.",
        )  # fmt: skip
    elif len(cut):
        report.add(
            "warning" if report.lengths["cut_share"] > 0.05 else "note", "cut",
            f"{report.lengths['cut_share']:.1%} of the texts are cut at {report.max_length} sub-words.",
            f"row {', '.join(map(str, rows[:5]))}", f"Half of all texts have up to {int(np.median(lengths))}, 95 % up to "
            f"{int(np.quantile(lengths, 0.95))}; raise max_length if the end of a text matters.",
        )  # fmt: skip
    _tell_pieces(report, pieces)


def _tell_markup(report: DataReport, texts: list[Any]) -> None:
    import re

    tag = re.compile(r"</?[a-zA-Z][^<>\n]{0,200}>")
    marked = sum(bool(tag.search(text[0] if isinstance(text, tuple) else text)) for text in texts if not isinstance(text, list))
    if marked:
        report.add(
            "note", "markup", f"{marked / len(texts):.1%} of the texts hold HTML tags; they are kept as plain text.", "",
            "Strip them first if the model should not see them.",
        )  # fmt: skip


def _tell_lengths(report: DataReport, lengths: np.ndarray, unit: str) -> None:
    import numpy as np

    report.lengths = {
        "unit": unit, "checked": len(lengths), "mean": float(lengths.mean()), "median": float(np.median(lengths)),
        "p95": float(np.quantile(lengths, 0.95)), "max": int(lengths.max()), "cut_rows": None, "cut_share": None,
        "histogram": histogram(lengths.tolist()),
    }  # fmt: skip


def _tell_pieces(report: DataReport, pieces: Pieces) -> None:
    report.pieces = {
        "unknown_share": pieces.unknown_share, "examples": pieces.examples, "per_character": pieces.per_character,
        "chinese_share": pieces.chinese_share,
    }  # fmt: skip
    # A Chinese vocabulary holds thousands of single characters; an English one a few hundred, or bytes.
    foreign = pieces.chinese_share > 0.3 and pieces.vocabulary_chinese < 0.05
    examples = f"for example {', '.join(map(shown, pieces.examples))}" if pieces.examples else ""
    if foreign and (pieces.unknown_share > 0.02 or pieces.per_character > 1.2):
        lost = (
            f"{pieces.unknown_share:.0%} of the pieces are unknown to it" if pieces.unknown_share > 0.02
            else f"it needs {pieces.per_character:.1f} pieces a character"
        )  # fmt: skip
        report.add(
            "warning", "language", f"The text is mostly Chinese, Japanese or Korean, but the encoder's vocabulary is not: {lost}.",
            examples, "Use an encoder of that language; this one can hardly learn from the text.",
        )  # fmt: skip
    elif pieces.unknown_share > 0.01:
        report.add(
            "warning", "unknown_pieces", f"{pieces.unknown_share:.1%} of the pieces are unknown to the encoder.", examples,
            "Use an encoder whose vocabulary fits the language and the signs of the text.",
        )  # fmt: skip
    elif pieces.per_character > 0.7 and pieces.chinese_share < 0.1:
        report.add(
            "warning", "language", f"The encoder's vocabulary fits the text badly: {pieces.per_character:.1f} pieces a character.",
            examples, "Use an encoder of the text's language.",
        )  # fmt: skip
