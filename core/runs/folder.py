"""What lies in a run's folder: reading it, its size, and what is kept when a run has ended."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from core.errors import StorageError

__all__ = [
    "bytes_of", "has_checkpoint", "has_model", "leave_testament", "read_json", "read_log", "read_testament", "remove",
    "retain", "write_text",
]  # fmt: skip

_LOG_TAIL_BYTES = 512 * 1024
#: Colours, cursor movements and other signs that a terminal would act upon.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")


def has_checkpoint(run: Path | str) -> bool:
    """Whether there is something to resume from: a complete checkpoint, runs of a claim or comparison, candidates.

    Temporary names are incomplete ones.
    """
    records = [(name, _is_record) for name in ("arms", "compared", "candidates")]
    for name, complete in (("checkpoints", str.isdigit), *records):
        try:
            with os.scandir(os.path.join(run, name)) as entries:
                if any(complete(entry.name) for entry in entries):
                    return True
        except OSError:
            continue
    return False


def _is_record(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")


def has_model(run: Path | str) -> bool:
    """Whether the best weights lie in the folder."""
    return os.path.isfile(os.path.join(run, "best", "config.json"))


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a JSON object from a file, or ``None`` if there is none yet.

    Raises
    ------
    StorageError
        If the file is there and holds no JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"The file cannot be read: {error}.", where=str(path), expected="a JSON object") from error
    if not isinstance(found, dict):
        raise StorageError("The file holds something else.", where=str(path), expected="a JSON object")
    return found


def read_log(run: Path, tail: int) -> str:
    """Return the last `tail` lines of ``log.txt`` (at most 512 kB), without terminal escapes."""
    try:
        with (run / "log.txt").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    # of a progress bar only its last state is of use: what follows the last carriage return of a line
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    return _ESCAPES.sub("", "\n".join(lines[-max(tail, 0) :] if tail else []))


def leave_testament(run: Path, token: str, status: str, error: Any, metrics: Any) -> None:
    """Write down how a run ended, for the manager to record, because the store could not be written."""
    text = json.dumps({"token": token, "status": status, "error": error, "metrics": metrics}, default=str)
    write_text(run / "ended.json", text)


def read_testament(run: Path, token: str) -> dict[str, Any] | None:
    """Return what the worker with this token left by :func:`leave_testament`, if it did."""
    try:
        found = read_json(run / "ended.json")
    except StorageError:
        return None
    return found if found is not None and found.get("token") == token else None


def bytes_of(path: Path) -> int:
    """Return the bytes of all files below a path; what vanishes meanwhile counts nothing."""
    total = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        total += bytes_of(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
                except OSError:
                    continue
    except NotADirectoryError:
        return path.stat().st_size
    except OSError:
        return 0
    return total


def remove(path: Path) -> int:
    """Remove a file or folder (links themselves, never what they point to); return the bytes freed.

    Raises
    ------
    StorageError
        If something of it could not be removed.
    """
    if not path.exists() and not path.is_symlink():
        return 0
    size = 0 if path.is_symlink() else bytes_of(path)
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise StorageError(f"Something could not be deleted: {error}.", where=str(path)) from error
    return size


def retain(run: Path, keep: str) -> int:
    """Drop what a finished run need not keep; return the bytes freed.

    Parameters
    ----------
    run
        The run's folder.
    keep
        ``all``; ``best``: without resume checkpoints; ``metrics``: without weights too.
    """
    freed = 0
    if keep in ("best", "metrics"):
        freed += remove(run / "checkpoints")
    if keep == "metrics":
        freed += remove(run / "best")
    return freed


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there complete or not at all.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(
            f"The file cannot be written: {error.strerror or error}.", where=str(path),
            advice="Free some space or mend the permissions.",
        ) from error  # fmt: skip
