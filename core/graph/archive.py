"""The archive that a graph's file is: members are read only where they are as large as they must be."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from core.errors import DataError

__all__ = ["MEMBERS", "SUFFIX", "Reader", "damaged", "foreign"]

#: Ending of the name of a graph's file.
SUFFIX = ".graph"
#: Members that it has at most.
MEMBERS = 4096
_NPY_HEADER = 1024
_ADVICE = "Build the graph again, or copy the file anew."


class Reader:
    """An opened archive whose members are read only where they are as large as they must be."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, stamp: tuple[int, int]) -> None:
        self.path = path
        self.stamp = stamp
        self._archive = archive
        members = archive.infolist()
        # members that share bytes, or are packed, could be larger than the file: neither is ever written
        if len(members) > MEMBERS or any(one.compress_type != zipfile.ZIP_STORED for one in members):
            foreign(path)
        if sum(one.file_size for one in members) > stamp[0] or any(
            one.compress_size != one.file_size for one in members
        ):
            damaged(path, "parts that are larger than the whole")

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[Reader]:
        """Open an archive, and tell whatever goes wrong with it as a DataError."""
        try:
            with path.open("rb") as stream:
                state = os.fstat(stream.fileno())
                with zipfile.ZipFile(stream) as archive:
                    yield cls(path, archive, (state.st_size, state.st_mtime_ns))
        except FileNotFoundError as error:
            raise DataError(
                "There is no such graph file.", where=str(path), advice="`bertloom graph build` writes one."
            ) from error
        except OSError as error:
            raise DataError(f"The graph's file cannot be read: {error.strerror or error}.", where=str(path)) from error
        except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, OverflowError, struct.error) as error:
            raise DataError(
                f"The graph's file is cut, damaged, or something else: {str(error)[:200]}.",
                where=str(path),
                expected=f"a {SUFFIX} file of `bertloom graph build`",
                advice=_ADVICE,
            ) from error

    def json(self, name: str, kind: type) -> Any:
        """Return a part that is JSON of a kind (dict or list)."""
        try:
            value = json.loads(self._bytes(name).decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError) as error:
            damaged(self.path, f"a part {name} that is not JSON", error)
        if not isinstance(value, kind):
            damaged(self.path, f"a part {name} that holds something else")
        return value

    def array(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """Return an array (a copy of its own) of exactly this type; None in `shape` takes any size."""
        stream = BytesIO(self._bytes(name))
        found = self._header(name, stream, dtype, shape)
        return np.frombuffer(stream.getbuffer()[stream.tell() :], dtype=dtype).reshape(found).copy()

    def check(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> None:
        """Check type, shape and size of an array without reading it."""
        member = self._member(name)
        with self._archive.open(member) as stream:
            head = BytesIO(stream.read(_NPY_HEADER))
        self._header(name, head, dtype, shape, size=member.file_size)

    def _header(
        self, name: str, stream: BytesIO, dtype: str, shape: tuple[int | None, ...], size: int | None = None
    ) -> tuple[int, ...]:
        try:
            version = np.lib.format.read_magic(stream)
            if version != (1, 0):
                raise ValueError("unknown version")
            found, fortran, kind = np.lib.format.read_array_header_1_0(stream, max_header_size=_NPY_HEADER)
        except Exception as error:  # numpy reads the header as Python source: whatever it holds, it is no array
            damaged(self.path, f"a part {name} that is not an array", error)
        fits = len(found) == len(shape) and all(
            want is None or want == have for want, have in zip(shape, found, strict=True)
        )
        data = int(np.prod([int(one) for one in found], dtype=object)) * np.dtype(dtype).itemsize
        whole = len(stream.getbuffer()) if size is None else size
        if (fortran and data > 0) or kind != np.dtype(dtype) or not fits or data != whole - stream.tell():
            damaged(self.path, f"an array {name} of another type or shape than it must have")
        return tuple(int(one) for one in found)

    def _member(self, name: str) -> zipfile.ZipInfo:
        try:
            return self._archive.getinfo(name)
        except KeyError as error:
            if name == "graph.json":
                foreign(self.path)
            damaged(self.path, f"no part {name}", error)

    def _bytes(self, name: str) -> bytes:
        return self._archive.read(self._member(name))


def damaged(path: Path, what: str, cause: BaseException | None = None) -> NoReturn:
    """Say that a graph's file is damaged, and how."""
    raise DataError(
        f"The graph's file is damaged: it has {what}.", where=str(path), expected="a file that Bertloom wrote",
        advice=_ADVICE,
    ) from cause  # fmt: skip


def foreign(path: Path) -> NoReturn:
    """Say that a file is no word graph at all."""
    raise DataError(
        "The file is not a word graph.",
        where=str(path),
        expected=f"a {SUFFIX} file of `bertloom graph build`",
        advice="A corpus or a model is read by `bertloom graph build --corpus … --model …`.",
    )
