"""Folders that are either complete or not there: temporary name, fsync of files and folder, rename."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import StorageError

__all__ = [
    "FREE_FLOOR",
    "atomic_folder",
    "free_bytes",
    "manifest_ok",
    "remove",
    "sync_tree",
    "write_json",
    "write_manifest",
]

#: Bytes that stay free on the disk whatever is written: the store and the system need them.
FREE_FLOOR = 256 * 1024 * 1024
MANIFEST = "manifest.json"
_PARTIAL = ".partial-"


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk that holds `folder` (or its nearest existing parent)."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def sync(path: Path) -> None:
    """Force a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Force every file of a folder, and the folder, to the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)


def remove(folder: Path) -> None:
    """Delete a folder so that a crash in the middle never leaves something that looks complete."""
    if not folder.exists():
        return
    doomed = folder.with_name(f"{_PARTIAL}{uuid.uuid4().hex[:8]}")
    try:
        os.rename(folder, doomed)
    except OSError:
        doomed = folder
    shutil.rmtree(doomed, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Remove what interrupted writes left in `parent`."""
    if parent.is_dir():
        for path in parent.iterdir():
            if path.name.startswith(_PARTIAL):
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def atomic_folder(target: Path, *, need: int = 0) -> Iterator[Path]:
    """Give a temporary folder to write into; on success it takes the place of `target`.

    Parameters
    ----------
    target
        The final folder. What stood there is removed only when the new folder is complete.
    need
        Bytes that will be written; refused when the disk would fall below :data:`FREE_FLOOR`.

    Raises
    ------
    StorageError
        If the disk is too full or cannot be written; nothing is left behind and `target` is as it was.
    """
    if need and free_bytes(target) < need + FREE_FLOOR:
        raise StorageError(
            f"The disk is nearly full: {need / 1e6:.0f} MB are needed, {free_bytes(target) / 1e6:.0f} MB are free.",
            where=str(target),
            expected=f"{FREE_FLOOR / 1e6:.0f} MB left over",
            advice="Free some space, for example by 'Free space' in the dashboard.",
        )
    partial = target.with_name(f"{_PARTIAL}{uuid.uuid4().hex[:8]}")
    try:
        partial.mkdir(parents=True)
        yield partial
        sync_tree(partial)
        if target.exists():
            old = target.with_name(f"{target.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            os.rename(target, old)
            os.rename(partial, target)
            sync(target.parent)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(partial, target)
            sync(target.parent)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if _is_disk_error(error):
            raise StorageError(
                f"The folder could not be written: {error}.",
                where=str(target),
                advice="Free some space or mend its permissions.",
            ) from error
        raise


def _is_disk_error(error: BaseException) -> bool:
    # safetensors wraps the operating system's error into its own class
    return isinstance(error, OSError) or (
        type(error).__name__ == "SafetensorError" and "os error" in str(error).lower()
    )


def recover(target: Path) -> None:
    """Undo a replacement that was interrupted between its two renames."""
    old = target.with_name(f"{target.name}.old")
    if old.exists():
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, target)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically. Numbers that are not finite become null: JSON has none."""
    partial = path.with_name(f"{_PARTIAL}{uuid.uuid4().hex[:8]}")
    try:
        partial.write_text(json.dumps(_finite(value), ensure_ascii=False, indent=1, allow_nan=False), encoding="utf-8")
        sync(partial)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(
            f"{path.name} could not be written: {error}.", where=str(path), advice="Free some space."
        ) from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str):  # numpy and torch scalars
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _checksum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            total = zlib.crc32(block, total)
    return total


def write_manifest(folder: Path) -> None:
    """Write size and checksum of every file of a folder into its manifest."""
    entries = {path.name: [path.stat().st_size, _checksum(path)] for path in sorted(folder.iterdir()) if path.is_file()}
    (folder / MANIFEST).write_text(json.dumps(entries), encoding="utf-8")


def manifest_ok(folder: Path) -> bool:
    """Return whether every file of the manifest is there with its size and checksum."""
    try:
        entries = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return bool(entries) and all(
            (folder / name).stat().st_size == size and _checksum(folder / name) == checksum
            for name, (size, checksum) in entries.items()
        )
    except (OSError, ValueError, TypeError):
        return False
