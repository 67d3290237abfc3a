"""Data sets of the Hugging Face hub by name, streamed; the only reader that touches the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from core.data.network import reach_hub
from core.data.readers.base import RawRow, Source, shown
from core.errors import DataError, HubError

__all__ = ["open_hub"]


def open_hub(name: str, subset: str | None, split: str, revision: str | None) -> Source:
    """Open one split of a hub data set. No code of the data set is run (:mod:`datasets` 5 has no loading scripts).

    Raises
    ------
    HubError
        If the hub cannot be reached or has no such data set.
    DataError
        If the split or subset does not exist.
    """
    for variable in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(variable, "1")
    where = f"hub:{shown(name)}" + (f", subset {shown(subset)}" if subset else "") + f", split {shown(split)}"
    data = _load(name, subset, split, revision, where)
    columns = list(data.column_names or [])
    if not columns:
        first = next(iter(data), None)
        columns = list(first) if first else []
    names = {}
    for column, feature in (data.features or {}).items():
        inner = getattr(feature, "feature", feature)
        if isinstance(inner, dict):  # spans, whose labels may be numbers
            inner = inner.get("label", inner.get("type"))
        if getattr(inner, "names", None):
            names[column] = [str(entry) for entry in inner.names]
    resolved = getattr(getattr(data, "info", None), "download_checksums", None)
    key = f"{where} {revision} {sorted(resolved) if resolved else ''}"
    return Source(where, "hub", "", columns, lambda: _rows(data, where), class_names=names, key=key)


def _load(name: str, subset: str | None, split: str, revision: str | None, where: str) -> Any:
    _reach(where)
    try:
        from datasets import load_dataset

        return load_dataset(name, subset, split=split, revision=revision, streaming=True)
    except ValueError as error:
        raise DataError(f"The hub data set cannot be opened: {shown(error, 400)}.", where=where) from error
    except Exception as error:  # Each layer below (HTTP, hub, files, datasets) has errors of its own.
        raise _unreachable(error, where) from error


def _reach(where: str) -> None:
    try:
        reach_hub()
    except OSError as error:
        raise _unreachable(error, where) from error


def _unreachable(error: Exception, where: str) -> HubError:
    return HubError(
        f"The hub data set cannot be read: {type(error).__name__}: {shown(error, 300)}.",
        where=where,
        expected="a network, and a data set of this name on the hub",
        advice="Without a network use a file or a bundled sample. HF_HUB_OFFLINE must not be set for hub sources.",
    )


def _rows(data: Any, where: str) -> Iterator[RawRow]:
    number = 0
    try:
        for number, record in enumerate(data, 1):
            yield RawRow(number, 0, record)
    except Exception as error:
        raise _unreachable(error, f"{where}, after row {number}") from error
