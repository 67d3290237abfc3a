"""A source's usable rows as a memory-mapped Arrow file in the cache, read once and written batch by batch.

Label names become numbers in the order in which they appear; :func:`recoded` rewrites them in the order of a label
list. So no more than a batch is ever in memory, whatever the size of the source.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import DataConfig, TaskConfig
from core.data.columns import map_columns
from core.data.readers.base import RawRow, Source, UnusableData, shown
from core.data.readers.open import open_source
from core.data.rows import Dropped, Normaliser, StandardRow, label_separator
from core.data.tags import SCHEMES, TagScheme, detect_scheme
from core.errors import StorageError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NAMED", "Reading", "Table", "prepare", "read_table", "recoded"]

#: Rows that a report names for one kind of trouble.
NAMED = 20
_VERSION = "3"
_HEAD_ROWS = 500
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
    notes
        Findings about the source as a whole.
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
    notes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    """A source's usable rows.

    Parameters
    ----------
    path
        Arrow file with the columns ``row``, ``line``, ``source``, ``key`` (64-bit hash of the text) and ``text``,
        ``text_pair``, ``label`` or ``labels``, or ``tokens`` and ``tags``; labels as indices into ``reading.labels``.
    reading
        What happened while it was read.
    """

    path: Path
    reading: Reading

    @property
    def label_column(self) -> str:
        """Name of the column with label indices."""
        return next(name for name in ("label", "labels", "tags") if name in self.arrow().column_names)

    def arrow(self) -> pa.Table:
        """Return the rows, memory-mapped."""
        import pyarrow as pa

        with pa.memory_map(str(self.path)) as stream:
            return pa.ipc.open_stream(stream).read_all()


def prepare(source: Source, data: DataConfig, task: TaskConfig) -> tuple[Normaliser, list[RawRow]]:
    """Look at the head of a source and decide how its rows are read.

    Returns
    -------
    normaliser, head
        How rows are read, and the first 500 of them.

    Raises
    ------
    UnusableData
        If a column is missing or there are no rows.
    """
    head = list(islice(source.rows(), _HEAD_ROWS))
    usable = [row.values for row in head if row.values is not None]
    if not usable:
        problem = next((f"row {row.number}: {row.problem}" for row in head if row.problem), None)
        raise UnusableData(
            "The file has no usable rows." if problem else "The file has no rows.", where=source.name + (f", {problem}" if problem else ""),
            expected="a table with a text and a label a row",
        )  # fmt: skip
    mapping = map_columns(source, task, data.columns, usable)
    if task.kind == "classification":
        cells = [row.get(mapping["label"]) for row in usable]
        return Normaliser(task, mapping, source.class_names, separator=label_separator(cells)), head
    if data.scheme == "auto":
        # Number-coded tags have names; strings stand for themselves.
        probe = Normaliser(task, mapping, source.class_names, TagScheme("each"))
        scheme = detect_scheme(_raw_tags(probe, usable))
    else:
        sign = detect_scheme(_raw_tags(Normaliser(task, mapping, source.class_names, TagScheme("each")), usable)).sign
        scheme = TagScheme("IOB2" if data.scheme == "BIO" else data.scheme, sign)
    return Normaliser(task, mapping, source.class_names, scheme), head


def _raw_tags(probe: Normaliser, rows: list[dict[str, Any]]) -> Iterator[list[str]]:
    for values in rows:
        try:
            # "each" writes B- before every tag that is not O.
            yield [tag.removeprefix("B-") if tag != "O" else tag for tag in probe(RawRow(0, 0, values)).labels]
        except Dropped:
            continue


def read_table(data: DataConfig, task: TaskConfig, cache: Path, role: str = "train") -> Table:
    """Read the source of a role into the cache, or find it there.

    Parameters
    ----------
    data, task
        As in the plan.
    cache
        The home's cache folder; tables are kept below ``data/``.
    role
        train, gate or test.

    Raises
    ------
    DataError
        If the source cannot be opened; :class:`~core.data.readers.base.UnusableData` if it has no usable row.
    StorageError
        If the cache cannot be written.
    """
    source = open_source(data, task, role)
    normaliser, _ = prepare(source, data, task)
    parts = (
        _VERSION, source.name, source.key, task.kind, task.multi_label, sorted(normaliser.mapping.items()), asdict(normaliser.scheme),
        normaliser.separator, data.scheme,
    )  # fmt: skip
    folder = cache / "data" / hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:24]
    path, told = folder / "rows.arrow", folder / "reading.json"
    # A hub data set may change under its name, unless a commit is named.
    if source.format != "hub" or data.revision:
        found = _cached(path, told)
        if found is not None:
            return found
    reading = Reading(
        source.name, source.format, source.encoding, source.columns, normaliser.mapping,
        source.details | ({"scheme": SCHEMES[normaliser.scheme.name]} if task.kind == "tagging" else {})
        | ({"label_separator": normaliser.separator} if task.multi_label else {}),
        notes=list(source.notes),
    )  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _replacing(path) as partial:
            _write(source, normaliser, reading, task, partial)
        with _replacing(told) as partial:
            partial.write_text(json.dumps(asdict(reading), ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"The rows cannot be kept in the cache: {error.strerror or error}.", where=str(folder),
            expected="space for about the size of the data", advice="Free some space, or set BERTLOOM_HOME to another disk.",
        ) from error  # fmt: skip
    if reading.kept == 0:
        first = next((entry["rows"][0] for entry in reading.dropped.values()), None)
        raise UnusableData(
            f"None of the {reading.read} rows can be used.", where=f"{reading.source}" + (f", row {first['row']}: {first['detail']}" if first else ""),
            expected="rows with a text and a label", advice="Check the column mapping in the preview.",
        )  # fmt: skip
    return Table(path, reading)


def _cached(path: Path, told: Path) -> Table | None:
    try:
        reading = Reading(**json.loads(told.read_text(encoding="utf-8")))
        table = Table(path, reading)
        return table if reading.kept and table.arrow().num_rows == reading.kept else None
    except (OSError, ValueError, TypeError):  # pyarrow's errors are ValueErrors
        return None


class _replacing:
    """A temporary name beside `path` that replaces it when all went well."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> Path:
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}-", dir=self.path.parent)
        os.close(handle)
        self.partial = Path(name)
        return self.partial

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            os.replace(self.partial, self.path)
        else:
            self.partial.unlink(missing_ok=True)


def _schema(task: TaskConfig, paired: bool) -> pa.Schema:
    import pyarrow as pa

    fields = [("row", pa.int64()), ("line", pa.int64()), ("source", pa.string()), ("key", pa.uint64())]
    if task.kind == "tagging":
        return pa.schema([*fields, ("tokens", pa.list_(pa.string())), ("tags", pa.list_(pa.int64()))])
    fields += [("text", pa.string()), *([("text_pair", pa.string())] if paired else [])]
    return pa.schema([*fields, ("labels", pa.list_(pa.int64())) if task.multi_label else ("label", pa.int64())])


def _write(source: Source, normaliser: Normaliser, reading: Reading, task: TaskConfig, path: Path) -> None:
    import pyarrow as pa

    schema = _schema(task, "text_pair" in normaliser.mapping)
    codes: dict[str, int] = {}
    counts: Counter[str] = Counter()
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    size = 0
    with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_stream(stream, schema) as writer:

        def flush() -> None:
            writer.write_batch(
                pa.record_batch([pa.array(columns[name], schema.field(name).type) for name in schema.names], schema)
            )
            for cells in columns.values():
                cells.clear()

        for raw in source.rows():
            reading.read += 1
            try:
                row = normaliser(raw)
            except Dropped as error:
                _note(reading.dropped.setdefault(error.reason, {"count": 0, "rows": []}), raw, detail=error.detail)
                continue
            reading.kept += 1
            for position, detail in row.illegal:
                _note(reading.illegal, raw, column=normaliser.mapping["tags"], word=position + 1, detail=detail)
            for label in row.labels:
                codes.setdefault(label, len(codes))
            counts.update(row.labels)
            size += _append(columns, raw, row, [codes[label] for label in row.labels], source.name)
            if size >= _BATCH_CHARACTERS or len(columns["row"]) >= _BATCH_ROWS:
                flush()
                size = 0
        if columns["row"]:
            flush()
    reading.labels = list(codes)
    reading.counts = [counts[label] for label in codes]


def _append(columns: dict[str, list[Any]], raw: RawRow, row: StandardRow, labels: list[int], source: str) -> int:
    content = row.content()
    columns["row"].append(raw.number)
    columns["line"].append(raw.line)
    columns["source"].append(source)
    columns["key"].append(int.from_bytes(hashlib.blake2b(content.strip().encode(), digest_size=8).digest(), "little"))
    for name, value in (
        ("text", row.text),
        ("text_pair", row.text_pair),
        ("tokens", row.tokens),
        ("tags", labels),
        ("labels", labels),
    ):
        if name in columns:
            columns[name].append(value)
    if "label" in columns:
        columns["label"].append(labels[0])
    return len(content)


def _note(entry: dict[str, Any], raw: RawRow, **more: Any) -> None:
    entry["count"] += 1
    if len(entry["rows"]) < NAMED:
        told = {key: shown(value, 300) if isinstance(value, str) else value for key, value in more.items()}
        entry["rows"].append({"row": raw.number, "line": raw.line} | told)


def recoded(table: Table, labels: list[str]) -> Path:
    """Return an Arrow file with the standard columns whose label indices point into `labels`; labels not in it become -1.

    It lies beside the table and is written batch by batch unless it is there already.
    """
    import numpy as np
    import pyarrow as pa

    position = {label: index for index, label in enumerate(labels)}
    codes = np.array([position.get(label, -1) for label in table.reading.labels] or [-1], dtype=np.int64)
    name = hashlib.sha256(json.dumps(codes.tolist()).encode()).hexdigest()[:16]
    path = table.path.with_name(f"coded-{name}.arrow")
    if path.exists():
        return path
    try:
        with pa.memory_map(str(table.path)) as raw, _replacing(path) as partial:
            reader = pa.ipc.open_stream(raw)
            kept = [field for field in reader.schema if field.name not in ("key", "line")]
            with pa.OSFile(str(partial), "wb") as stream, pa.ipc.new_stream(stream, pa.schema(kept)) as writer:
                for batch in reader:
                    writer.write_batch(
                        pa.record_batch(
                            [_recode(batch.column(field.name), field.name, codes) for field in kept], pa.schema(kept)
                        )
                    )
    except OSError as error:
        raise StorageError(
            f"The rows cannot be kept in the cache: {error.strerror or error}.", where=str(path.parent),
            advice="Free some space, or set BERTLOOM_HOME to another disk.",
        ) from error  # fmt: skip
    return path


def _recode(column: pa.Array, name: str, codes: Any) -> pa.Array:
    import pyarrow as pa

    if name == "label":
        return pa.array(codes[column.to_numpy(zero_copy_only=False)])
    if name in ("labels", "tags"):
        flat = column.flatten()
        return pa.ListArray.from_arrays(column.offsets, pa.array(codes[flat.to_numpy(zero_copy_only=False)]))
    return column
