"""A source's usable rows as a memory-mapped Arrow file in the cache, read once and written batch by batch.

Label names become numbers in the order in which they appear; :func:`recoded` rewrites them in the order of a label
list. So no more than a batch is ever in memory, whatever the size of the source.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import DataConfig, TaskConfig
from core.data.columns import map_columns
from core.data.readers.base import RawRow, Source, UnusableData
from core.data.readers.open import open_source
from core.data.reading import Reading, write_rows
from core.data.rows import Dropped, Normaliser, label_separator
from core.data.span_rows import expected
from core.data.tags import SCHEMES, TagScheme, detect_scheme
from core.errors import StorageError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Table", "prepare", "read_table", "recoded", "told_of"]

_VERSION = "4"
#: What a row holds.
_ROWS = {
    "question_answering": "a question, its context and its answers",
    "dependency": "the words of a sentence and their heads",
    "spans": "the words of a sentence and a list of its spans",
}
#: Columns with label indices; where there are spans, the tags do not count.
_LABELLED = ("label", "labels", "kinds", "tags", "relations")
_HEAD_ROWS = 500
_HEAD_CHARACTERS = 50_000_000


@dataclass(frozen=True)
class Table:
    """A source's usable rows.

    Parameters
    ----------
    path
        Arrow file with the columns ``row``, ``line``, ``source``, ``key`` (64-bit hash of the text) and ``text``,
        ``text_pair``, ``label`` or ``labels``, or ``tokens`` and ``tags``; labels as indices into ``reading.labels``.
        With spans also ``firsts``, ``lasts`` (words from 0) and ``kinds`` (indices of ``B-LABEL``); tags are those of
        the outermost spans.
        Of questions: ``group`` (hash of the context), ``id``, ``question``, ``context``, ``answers``, ``starts`` and
        ``label`` (whether there is an answer). With heads: ``tokens``, ``heads`` and ``relations``.
    reading
        What happened while it was read.
    """

    path: Path
    reading: Reading

    @property
    def label_column(self) -> str:
        """Name of the column with label indices."""
        return next(name for name in _LABELLED if name in self.arrow().column_names)

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
        How rows are read, and the first 500 of them (fewer where they are huge).

    Raises
    ------
    UnusableData
        If a column is missing or there are no rows.
    """
    head = _head(source)
    usable = [row.values for row in head if row.values is not None]
    if not usable:
        problem = next((f"row {row.number}: {row.problem}" for row in head if row.problem), None)
        raise UnusableData(
            "The file has no usable rows." if problem else "The file has no rows.",
            where=source.name + (f", {problem}" if problem else ""),
            expected=f"a table with {_row_words(task)} a row",
        )
    mapping = map_columns(source, task, data.columns, usable, characters=data.span_offsets == "characters")
    if task.gold == "spans":
        return Normaliser(task, mapping, source.class_names, offsets=data.span_offsets), head
    if task.kind in ("question_answering", "dependency"):
        return Normaliser(task, mapping, source.class_names), head
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


def _row_words(task: TaskConfig) -> str:
    """Return what a row holds."""
    return _ROWS.get("spans" if task.gold == "spans" else task.kind, "a text and a label")


def _head(source: Source) -> list[RawRow]:
    """Return the first rows: fewer than usual where they are huge, so that memory stays bounded."""
    head: list[RawRow] = []
    room = _HEAD_CHARACTERS
    for raw in islice(source.rows(), _HEAD_ROWS):
        head.append(raw)
        room -= sum(len(cell) for cell in (raw.values or {}).values() if isinstance(cell, str | bytes | list))
        if room <= 0:
            break
    return head


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
        _VERSION,
        source.name,
        source.key,
        task.kind,
        task.multi_label,
        sorted(normaliser.mapping.items()),
        asdict(normaliser.scheme),
        normaliser.separator,
        data.scheme,
        *([task.no_answer] if task.kind == "question_answering" else []),
        *([task.tree, task.relations] if task.kind == "dependency" else []),
        *([task.gold, normaliser.offsets] if task.gold == "spans" else []),
    )
    folder = cache / "data" / hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:24]
    path, told = folder / "rows.arrow", folder / "reading.json"
    # A hub data set may change under its name, unless a commit is named.
    if source.format != "hub" or data.revision:
        found = _cached(path, told)
        if found is not None:
            return found
    reading = Reading(
        source.name,
        source.format,
        source.encoding,
        source.columns,
        normaliser.mapping,
        source.details | told_of(normaliser) | ({"label_separator": normaliser.separator} if task.multi_label else {}),
        notes=list(source.notes),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _replacing(path) as partial:
            write_rows(source, normaliser, reading, task, partial)
        with _replacing(told) as partial:
            partial.write_text(json.dumps(asdict(reading), ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"The rows cannot be kept in the cache: {error.strerror or error}.",
            where=str(folder),
            expected="space for about the size of the data",
            advice="Free some space, or set BERTLOOM_HOME to another disk.",
        ) from error
    if reading.kept == 0:
        first = next((entry["rows"][0] for entry in reading.dropped.values()), None)
        raise UnusableData(
            f"None of the {reading.read} rows can be used.",
            where=f"{reading.source}" + (f", row {first['row']}: {first['detail']}" if first else ""),
            expected=f"rows with {_row_words(task)}"
            + (f": {expected(normaliser.offsets)}" if task.gold == "spans" else ""),
            advice="Check the column mapping in the preview.",
        )
    return Table(path, reading)


def told_of(normaliser: Normaliser) -> dict[str, str]:
    """Return what is told of how tags or spans are written: ``scheme``, or ``offsets``."""
    if normaliser.task.gold == "spans":
        return {"offsets": normaliser.offsets}
    return {"scheme": SCHEMES[normaliser.scheme.name]} if normaliser.task.kind == "tagging" else {}


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


def recoded(table: Table, labels: list[str]) -> Path:
    """Return an Arrow file with the standard columns whose label indices point into `labels`; others become -1.

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
            kept = [field for field in reader.schema if field.name not in ("key", "line", "group")]
            with pa.OSFile(str(partial), "wb") as stream, pa.ipc.new_stream(stream, pa.schema(kept)) as writer:
                for batch in reader:
                    writer.write_batch(
                        pa.record_batch(
                            [_recode(batch.column(field.name), field.name, codes) for field in kept], pa.schema(kept)
                        )
                    )
    except OSError as error:
        raise StorageError(
            f"The rows cannot be kept in the cache: {error.strerror or error}.",
            where=str(path.parent),
            advice="Free some space, or set BERTLOOM_HOME to another disk.",
        ) from error
    return path


def _recode(column: pa.Array, name: str, codes: Any) -> pa.Array:
    import pyarrow as pa

    if name == "label":
        return pa.array(codes[column.to_numpy(zero_copy_only=False)])
    if name in _LABELLED:
        flat = column.flatten()
        return pa.ListArray.from_arrays(column.offsets, pa.array(codes[flat.to_numpy(zero_copy_only=False)]))
    return column
