"""Folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["new_folder", "remove_new_folder"]


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside `target`, and put it in its place when the block has ended well.

    Every file is on the disk before the name changes. Where `target` exists, the old folder is set aside first and
    removed afterwards; if the block fails, nothing of the new one stays and the old one is untouched.

    Raises
    ------
    OSError
        If the disk is full or the place cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    partial = target.with_name(f".{target.name}.{mark}.partial")
    partial.mkdir()
    try:
        yield partial
        for root, _, names in os.walk(partial):
            for name in names:
                _sync(Path(root) / name)
            _sync(Path(root))
        _swap(partial, target, target.with_name(f".{target.name}.{mark}.old"))
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _sync(target.parent)


def remove_new_folder(target: Path) -> None:
    """Remove a folder that :func:`new_folder` was writing for somebody who no longer wants it, half or whole."""
    for left in (target, *target.parent.glob(f".{glob.escape(target.name)}.*.partial")):
        shutil.rmtree(left, ignore_errors=True)


def _swap(partial: Path, target: Path, aside: Path) -> None:
    if target.exists():
        target.rename(aside)
    try:
        partial.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    # Some file systems do not sync folders; the names are then as safe as that file system makes them.
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
            os.fsync(handle)
    finally:
        os.close(handle)
