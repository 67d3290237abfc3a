"""Files that appear whole or not at all: temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core.errors import BertloomError, StorageError

__all__ = ["whole_file"]


@contextlib.contextmanager
def whole_file(
    target: Path, what: str, *, advice: str, error: type[BertloomError] = StorageError
) -> Iterator[BinaryIO]:
    """Give a stream to write into; what was written takes the place of `target` once the block has ended well.

    Parameters
    ----------
    target
        The final file. What stood there before stays until then.
    what
        What messages call it: ``The graph``.
    advice
        What a person may do if it cannot be written.
    error
        Class of the error that says so.

    Raises
    ------
    BertloomError
        `error`, if the operating system refuses; nothing is left behind.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, target)
    except OSError as refused:
        raise error(
            f"{what} could not be written: {refused.strerror or refused}.", where=str(target), advice=advice
        ) from refused
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
