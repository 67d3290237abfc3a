"""Parquet, a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.data.readers.base import RawRow, Source, shown
from core.errors import DataError

__all__ = ["open_parquet"]

_BATCH = 256


def open_parquet(path: Path) -> Source:
    """Open a Parquet file; label names that :mod:`datasets` stored in its metadata are used.

    Raises
    ------
    DataError
        If it is not a Parquet file or is damaged.
    """
    name = shown(path.name)
    with _file(path) as file:
        schema = file.schema_arrow
        rows = file.metadata.num_rows
    if rows == 0:
        raise DataError("The table has no rows.", where=name, expected="a table with a text and a label a row")
    return Source(
        name,
        "parquet",
        "",
        list(schema.names),
        lambda: _rows(path),
        {"rows": rows},
        class_names=_class_names(schema.metadata or {}),
    )


def _file(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"The Parquet file cannot be read: {shown(error, 300)}.",
            where=shown(path.name),
            advice="Download or write it again.",
        ) from error


def _rows(path: Path) -> Iterator[RawRow]:
    import pyarrow as pa

    number = 0
    with _file(path) as file:
        try:
            for batch in file.iter_batches(batch_size=_BATCH):
                for record in batch.to_pylist():
                    number += 1
                    yield RawRow(number, 0, record)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"The Parquet file is damaged: {shown(error, 300)}.", where=f"{shown(path.name)}, after row {number}"
            ) from error


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    found: dict[str, list[str]] = {}
    for column, feature in features.items() if isinstance(features, dict) else ():
        inner = feature
        while isinstance(inner, dict) and "names" not in inner and isinstance(inner.get("feature"), dict):
            inner = inner["feature"]
        if isinstance(inner, list) and len(inner) == 1:
            inner = inner[0]
        names = inner.get("names") if isinstance(inner, dict) else None
        if isinstance(inner, dict) and names is None:  # spans, whose labels are numbers
            label = inner.get("label", inner.get("type"))
            names = label.get("names") if isinstance(label, dict) else None
        if isinstance(names, list):
            found[column] = [str(entry) for entry in names]
    return found
