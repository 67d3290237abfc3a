"""What was seen of a model while it learnt: lines of JSON in the run's folder that are only ever added to.

A line is written at once and whole: a worker that is killed leaves at most one broken line, at the end, which readers
pass over and the next worker cuts off. Each file has a name of its own in its first line, so that a reader who comes
back notices that another file, cut at an earlier step, has taken its place. Without torch.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.training.files import sync

__all__ = ["FILE", "Diary", "read_diary"]

#: What is seen of a student; see :mod:`core.training.distil.monitor`.
FILE = "watched.jsonl"
#: Bytes that a reader is given at most at once.
_MOST_BYTES = 4_000_000


class Diary:
    """The lines of one run.

    Parameters
    ----------
    path
        The file; made with the first line.
    keep
        Which of the lines that are there stay: those of steps that the run takes again do not.
    """

    def __init__(self, path: Path, keep: Callable[[Mapping[str, Any]], bool]):
        self._path = path
        #: Newest step by kind and pin.
        self._last: dict[tuple[str, Any], int] = {}
        self._begun = False
        self._cut(keep)

    def has(self, kind: str, pin: Any = None) -> bool:
        """Whether there is a line of a kind, of a pin."""
        return (kind, pin) in self._last

    def write(self, kind: str, step: int, pin: Any = None, **values: Any) -> bool:
        """Add a line; one of a step that was written before is left out.

        Parameters
        ----------
        kind
            What it tells.
        step
            The run's step after which it was seen.
        pin
            The pin that it is about.
        values
            Plain data.

        Returns
        -------
        bool
            Whether it was written.

        Raises
        ------
        OSError
            If the disk takes nothing more; the file is as it was.
        """
        if self._last.get((kind, pin), -1) >= step:
            return False
        entry = {"kind": kind, "step": step, **({} if pin is None else {"pin": pin}), **values}
        lines = [] if self._begun else [{"kind": "file", "name": uuid.uuid4().hex[:12]}]
        self._add("".join(_line(one) for one in [*lines, entry]))
        self._begun = True
        self._last[kind, pin] = step
        return True

    def _add(self, text: str) -> None:
        content = text.encode("utf-8")
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            before = os.fstat(handle).st_size
            try:
                written = os.write(handle, content)
                if written != len(content):
                    raise OSError("the disk took only a part of a line")
            except OSError:
                os.ftruncate(handle, before)
                raise
        finally:
            os.close(handle)

    def _cut(self, keep: Callable[[Mapping[str, Any]], bool]) -> None:
        """Leave out what is not kept, and a broken end; the file stays the same one where nothing is left out."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        whole, _, broken = content.rpartition(b"\n")
        entries = [one for one in map(_parsed, whole.split(b"\n")) if one is not None]
        kept = [one for one in entries if one["kind"] != "file" and keep(one)]
        for one in kept:
            self._last[one["kind"], one.get("pin")] = int(one["step"])
        self._begun = bool(kept)
        if not broken and len(kept) == len(entries) - 1:
            return
        if not kept:
            self._path.unlink()
            return
        partial = self._path.with_name(f".partial-{uuid.uuid4().hex[:8]}")
        named = [{"kind": "file", "name": uuid.uuid4().hex[:12]}, *kept]
        partial.write_text("".join(map(_line, named)), encoding="utf-8")
        sync(partial)
        os.replace(partial, self._path)


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
        return found if isinstance(found, dict) and "kind" in found else None
    except ValueError:
        return None


def read_diary(path: Path, after: int = 0, name: str = "") -> dict[str, Any]:
    """Return the lines behind a place in the file.

    Parameters
    ----------
    path
        The file.
    after, name
        ``cursor`` and ``name`` of the last answer; from the start without them, and where the file is another one now.

    Returns
    -------
    dict
        ``name`` of the file, ``cursor``, ``replace`` (what was read before is void), ``more`` (there is more to read),
        ``entries``.
    """
    try:
        with path.open("rb") as file:
            head = _parsed(file.readline())
            now = "" if head is None else str(head.get("name", ""))
            size = file.seek(0, os.SEEK_END)
            start = after if name == now and 0 < after <= size else 0
            file.seek(start)
            content = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return {"name": "", "cursor": 0, "replace": bool(name), "more": False, "entries": []}
    whole, end, _ = content.rpartition(b"\n")
    entries = [one for one in map(_parsed, whole.split(b"\n")) if one is not None and one["kind"] != "file"]
    cursor = start + len(whole) + len(end)
    return {
        "name": now, "cursor": cursor, "replace": start == 0, "more": len(content) == _MOST_BYTES and bool(end),
        "entries": entries,
    }  # fmt: skip
