"""Reading a source once: usable rows go to an Arrow file batch by batch, and what happened on the way is told."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import TaskConfig
from core.data.readers.base import RawRow, Source, shown
from core.data.rows import Dropped, Normaliser, StandardRow
from core.data.span_rows import first_overlap, overlaps

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NAMED", "Reading", "row_key", "write_rows"]

#: Rows that a report names for one kind of trouble.
NAMED = 20
_BATCH_ROWS = 2000
_BATCH_CHARACTERS = 8_000_000


@dataclass
class Reading:
    """What happened while a source was read; JSON-ready.

    Parameters
    ----------
    source, format, encoding, columns, mapping, details
        What was opened and how it was understood.
    read, kept
        Rows of the source, and of them the usable ones.
    dropped
        Reason → {"count", "rows": [{"row", "line", "detail"}]}, 20 rows at most.
    labels
        Label names in the order of their appearance; for tagging IOB2 tags.
    counts
        How often each label occurs.
    illegal
        {"count", "rows": [{"row", "line", "column", "word", "detail"}]}: tag steps that were mended.
    answers
        Questions: kind of trouble → {"count", "rows"}, as `dropped`: answers that do not stand where the data says.
        With spans ``repeated_span``: spans that a row has twice.
    spans
        With spans: ``all`` of them, those that lie ``inside`` a longer one, those that ``share`` a word with another.
    overlapping
        {"count", "rows"}, as `dropped`: rows with spans that share a word.
    skipped
        CoNLL-U: ``ranges`` and ``empty_nodes`` → {"count", "rows"}, as `dropped`: lines of sentences that are no words.
    notes
        Findings about the source as a whole.
    digest
        Hash of all usable rows: their numbers, texts and labels.
    """

    source: str
    format: str
    encoding: str
    columns: list[str]
    mapping: dict[str, str]
    details: dict[str, Any]
    read: int = 0
    kept: int = 0
    dropped: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    illegal: dict[str, Any] = field(default_factory=lambda: {"count": 0, "rows": []})
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    spans: dict[str, int] = field(default_factory=dict)
    overlapping: dict[str, Any] = field(default_factory=lambda: {"count": 0, "rows": []})
    skipped: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    digest: str = ""


def _schema(task: TaskConfig, paired: bool) -> pa.Schema:
    import pyarrow as pa

    fields = [("row", pa.int64()), ("line", pa.int64()), ("source", pa.string()), ("key", pa.uint64())]
    if task.kind == "tagging":
        lists = ("tags", "firsts", "lasts", "kinds") if task.gold == "spans" else ("tags",)
        return pa.schema(
            [*fields, ("tokens", pa.list_(pa.string())), *((name, pa.list_(pa.int64())) for name in lists)]
        )
    if task.kind == "dependency":
        arcs = [(name, pa.list_(pa.int64())) for name in ("heads", "relations")]
        return pa.schema([*fields, ("tokens", pa.list_(pa.string())), *arcs])
    if task.kind == "question_answering":
        fields += [("group", pa.uint64()), ("id", pa.string()), ("question", pa.string()), ("context", pa.string())]
        fields += [("answers", pa.list_(pa.string())), ("starts", pa.list_(pa.int64())), ("label", pa.int64())]
        return pa.schema(fields)
    fields += [("text", pa.string()), *([("text_pair", pa.string())] if paired else [])]
    return pa.schema([*fields, ("labels", pa.list_(pa.int64())) if task.multi_label else ("label", pa.int64())])


def write_rows(source: Source, normaliser: Normaliser, reading: Reading, task: TaskConfig, path: Path) -> None:
    """Write the usable rows of a source to an Arrow file and fill in what happened.

    Labels are written as numbers in the order in which they appear. No more than a batch (2,000 rows or 8 million
    characters) is in memory.

    Raises
    ------
    DataError
        If the source cannot be read further.
    OSError
        If the file cannot be written.
    """
    import pyarrow as pa

    paired = "text_pair" in normaliser.mapping
    schema = _schema(task, paired)
    codes: dict[str, int] = {}
    counts: Counter[str] = Counter()
    digest = hashlib.blake2b(digest_size=16)
    batch: list[tuple[Any, ...]] = []
    size = 0
    with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_stream(stream, schema) as writer:

        def flush() -> None:
            arrays = [pa.array(cells, kind) for cells, kind in zip(zip(*batch, strict=True), schema.types, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema))
            batch.clear()

        for raw in source.rows():
            reading.read += 1
            try:
                row = normaliser(raw)
            except Dropped as error:
                _note(reading.dropped.setdefault(error.reason, {"count": 0, "rows": []}), raw, detail=error.detail)
                continue
            for position, detail in row.illegal:
                _note(reading.illegal, raw, column=normaliser.mapping["tags"], word=position + 1, detail=detail)
            for kind, detail in row.mended:
                _note(reading.answers.setdefault(kind, {"count": 0, "rows": []}), raw, detail=detail)
            if task.kind == "dependency":
                _note_skipped(reading, raw)
            if task.gold == "spans":
                spans = _spans(row, raw, reading, codes, counts)
            else:
                counts.update(row.labels)
            labels = [codes.setdefault(label, len(codes)) for label in row.labels]
            content = row.content()
            key = row_key(content)
            digest.update(repr((raw.number, key, row.labels, *row.answers, *row.heads, *row.spans)).encode())
            if row.heads:
                cells: tuple[Any, ...] = (row.tokens, row.heads, labels)
            elif task.gold == "spans":
                cells = (row.tokens, labels, *spans)
            elif row.tokens:
                cells = (row.tokens, labels)
            elif task.kind == "question_answering":
                texts, starts = [text for text, _ in row.answers], [start for _, start in row.answers]
                group = int.from_bytes(row_key(row.text_pair or ""), "little")
                cells = (group, row.name, row.text, row.text_pair, texts, starts, labels[0])
            else:
                cells = (row.text, *((row.text_pair,) if paired else ()), labels if task.multi_label else labels[0])
            batch.append((raw.number, raw.line, source.name, int.from_bytes(key, "little"), *cells))
            reading.kept += 1
            size += len(content)
            if size >= _BATCH_CHARACTERS or len(batch) >= _BATCH_ROWS:
                flush()
                size = 0
        if batch:
            flush()
    reading.labels = list(codes)
    reading.counts = [counts[label] for label in codes]
    reading.digest = digest.hexdigest()


def _spans(
    row: StandardRow, raw: RawRow, reading: Reading, codes: dict[str, int], counts: Counter[str]
) -> tuple[list[int], list[int], list[int]]:
    """Return first words, last words and kinds of a row's spans; types are counted by spans, nested ones too."""
    kinds = []
    for _, _, label in row.spans:
        codes.setdefault("O", len(codes))
        kinds.append(codes.setdefault(f"B-{label}", len(codes)))
        codes.setdefault(f"I-{label}", len(codes))
    counts.update(f"B-{label}" for _, _, label in row.spans)
    counts.update(tag for tag in row.labels if not tag.startswith("B-"))
    shares, inside = overlaps(row.spans)
    for name, number in (("all", len(shares)), ("inside", sum(inside)), ("share", sum(shares))):
        reading.spans[name] = reading.spans.get(name, 0) + number
    said = first_overlap(row.spans, row.tokens)
    if said is not None:
        _note(reading.overlapping, raw, detail=said)
    return [first for first, _, _ in row.spans], [last for _, last, _ in row.spans], kinds


def _note_skipped(reading: Reading, raw: RawRow) -> None:
    for what, count in zip(("ranges", "empty_nodes"), raw.skipped, strict=True):
        if count:
            entry = reading.skipped.setdefault(what, {"count": 0, "rows": []})
            _note(entry, raw, detail=f"{count} of them")
            entry["count"] += count - 1


def row_key(content: str) -> bytes:
    """Return the 64-bit hash by which equal texts are known: of a text, of words joined by a unit separator."""
    return hashlib.blake2b(content.strip().encode(), digest_size=8).digest()


def _note(entry: dict[str, Any], raw: RawRow, **more: Any) -> None:
    entry["count"] += 1
    if len(entry["rows"]) < NAMED:
        told = {key: shown(value, 300) if isinstance(value, str) else value for key, value in more.items()}
        entry["rows"].append({"row": raw.number, "line": raw.line} | told)
