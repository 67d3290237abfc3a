"""The check before training: everything about the data that a person should know before a run starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import DataConfig, TaskConfig
from core.data.assignment import Assignment, assign
from core.data.findings import describe
from core.data.finetuning import finetuning_data
from core.data.pieces import Pieces, count_pieces, load_tokenizer
from core.data.question_findings import tell_windows
from core.data.readers.base import UnusableData, shown
from core.data.readers.open import open_source
from core.data.reading import NAMED
from core.data.report import DataReport, histogram

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["check"]

#: Rows whose sub-words are counted: evenly spaced over larger data.
_TOKENISED = 10_000
#: Questions whose windows are cut at once.
_AT_ONCE = 500


def check(
    data: DataConfig, task: TaskConfig, model_folder: Path | None = None, max_length: int = 128, *, cache: Path
) -> DataReport:
    """Check the data of a plan.

    Parameters
    ----------
    data, task
        As in the plan.
    model_folder
        The encoder's folder, for lengths in sub-words and unknown pieces; without it they are in characters or words.
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
    for role, named in (("train", data.source), ("gate", data.gate_source), ("test", data.test_source)):
        if named:
            # Raises for what cannot be opened at all; what follows can only be unusable.
            open_source(data, task, role)
    if data.finetuning_source:
        finetuning_data(data, task)
    try:
        found = assign(data, task, cache)
    except UnusableData as error:
        report = DataReport(task.kind, max_length)
        report.refuse("unusable", error)
        return report
    report = describe(found, data, task, max_length)
    _tell_texts(report, _learnt(found), task, model_folder)
    return report


def _learnt(found: Assignment) -> pa.Table:
    """Return the rows of the sources that are learnt from: all roles of the original set, and the finetuning set."""
    import pyarrow as pa

    sets = [table.arrow() for table, _ in found.parts("train")]
    return sets[0] if len(sets) == 1 else pa.concat_tables(sets)


def _tell_texts(report: DataReport, arrow: pa.Table, task: TaskConfig, model_folder: Path | None) -> None:
    import numpy as np

    chosen = np.unique(np.linspace(0, arrow.num_rows - 1, min(arrow.num_rows, _TOKENISED)).astype(np.int64))
    part = arrow.take(chosen)
    asks = task.kind == "question_answering"
    if asks:
        texts: list[Any] = list(
            zip(part.column("question").to_pylist(), part.column("context").to_pylist(), strict=True)
        )
    elif task.kind in ("tagging", "dependency"):
        texts = part.column("tokens").to_pylist()
    elif "text_pair" in part.column_names:
        texts = list(zip(part.column("text").to_pylist(), part.column("text_pair").to_pylist(), strict=True))
    else:
        texts = part.column("text").to_pylist()
    _tell_markup(report, texts)
    tokenizer = load_tokenizer(model_folder) if model_folder else None
    if tokenizer is None:
        if model_folder:
            report.add(
                "note",
                "no_tokenizer",
                "The model has no tokenizer.json, so lengths are not in sub-words.",
                str(model_folder),
            )
        unit = "words" if task.kind in ("tagging", "dependency") else "characters"
        _tell_lengths(
            report, np.array([sum(map(len, text)) if isinstance(text, tuple) else len(text) for text in texts]), unit
        )
        return
    pieces = count_pieces(texts, tokenizer)
    lengths = np.array(pieces.lengths)
    _tell_lengths(report, lengths, "sub-words")
    if asks:
        rows = (batch.to_pylist() for batch in part.to_batches(max_chunksize=_AT_ONCE))
        tell_windows(report, rows, task, report.max_length or 0, tokenizer)
        _tell_pieces(report, pieces)
        return
    cut = np.flatnonzero(lengths > (report.max_length or 0))
    report.lengths["cut_rows"] = len(cut)
    report.lengths["cut_share"] = len(cut) / len(lengths)
    rows = part.column("row").to_numpy()[cut[:NAMED]].tolist()
    if len(cut) and task.kind in ("tagging", "dependency"):
        report.add(
            "note",
            "windows",
            f"{report.lengths['cut_share']:.1%} of the sentences are longer than {report.max_length} sub-words.",
            f"row {', '.join(map(str, rows[:5]))}",
            "They are read in overlapping windows; no word is lost."
            if task.kind == "tagging"
            else "They are read in overlapping windows: a head that shares none with its word is not learnt or found.",
        )
    elif len(cut):
        report.add(
            "warning" if report.lengths["cut_share"] > 0.05 else "note",
            "cut",
            f"{report.lengths['cut_share']:.1%} of the texts are cut at {report.max_length} sub-words.",
            f"row {', '.join(map(str, rows[:5]))}",
            f"Half of all texts have up to {int(np.median(lengths))}, 95 % up to "
            f"{int(np.quantile(lengths, 0.95))}; raise max_length if the end of a text matters.",
        )
    _tell_pieces(report, pieces)


def _tell_markup(report: DataReport, texts: list[Any]) -> None:
    import re

    tag = re.compile(r"</?[a-zA-Z][^<>\n]{0,200}>")
    marked = sum(
        bool(tag.search(" ".join(text) if isinstance(text, tuple) else text))
        for text in texts
        if not isinstance(text, list)
    )
    if marked:
        report.add(
            "note",
            "markup",
            f"{marked:,} of {len(texts):,} texts hold HTML tags; they are kept as plain text.",
            "",
            "Strip them first if the model should not see them.",
        )


def _tell_lengths(report: DataReport, lengths: np.ndarray, unit: str) -> None:
    import numpy as np

    report.lengths = {
        "unit": unit,
        "checked": len(lengths),
        "max_length": report.max_length if unit == "sub-words" else None,
        "mean": float(lengths.mean()),
        "median": float(np.median(lengths)),
        "p95": float(np.quantile(lengths, 0.95)),
        "max": int(lengths.max()),
        "cut_rows": None,
        "cut_share": None,
        "histogram": histogram(lengths.tolist()),
    }


def _tell_pieces(report: DataReport, pieces: Pieces) -> None:
    report.pieces = {
        "unknown_share": pieces.unknown_share,
        "examples": pieces.examples,
        "per_character": pieces.per_character,
        "chinese_share": pieces.chinese_share,
    }
    # A Chinese vocabulary holds thousands of single characters; an English one a few hundred, or bytes.
    foreign = pieces.chinese_share > 0.3 and pieces.vocabulary_chinese < 0.05
    examples = f"for example {', '.join(map(shown, pieces.examples))}" if pieces.examples else ""
    if foreign and (pieces.unknown_share > 0.02 or pieces.per_character > 1.2):
        lost = (
            f"{pieces.unknown_share:.0%} of the pieces are unknown to it"
            if pieces.unknown_share > 0.02
            else f"it needs {pieces.per_character:.1f} pieces a character"
        )
        report.add(
            "warning",
            "language",
            f"The text is mostly Chinese, Japanese or Korean, but the encoder's vocabulary is not: {lost}.",
            examples,
            "Use an encoder of that language; this one can hardly learn from the text.",
        )
    elif pieces.unknown_share > 0.01:
        report.add(
            "warning",
            "unknown_pieces",
            f"{pieces.unknown_share:.1%} of the pieces are unknown to the encoder.",
            examples,
            "Use an encoder whose vocabulary fits the language and the signs of the text.",
        )
    elif pieces.per_character > 0.7 and pieces.chinese_share < 0.1 and pieces.total >= 500:
        report.add(
            "warning",
            "language",
            f"The encoder's vocabulary fits the text badly: {pieces.per_character:.1f} pieces a character.",
            examples,
            "Use an encoder of the text's language.",
        )
