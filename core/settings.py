"""Settings of this machine and the home folder in which everything is kept."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import platformdirs

from core.errors import PathRefused, StorageError

__all__ = ["Home", "confine", "environment_share", "home", "safe_name"]


@dataclass(frozen=True)
class Home:
    """The home folder: SQLite store, runs, caches, exports, presets.

    Parameters
    ----------
    root
        Absolute path of the folder. It is created by :meth:`ensure`, not before.
    """

    root: Path

    @cached_property
    def store(self) -> Path:
        """SQLite database with runs, metrics and events."""
        return self.root / "bertloom.sqlite"

    @cached_property
    def runs(self) -> Path:
        """One folder a run."""
        return self.root / "runs"

    @cached_property
    def cache(self) -> Path:
        """Activations and other things that can be computed again."""
        return self.root / "cache"

    @cached_property
    def exports(self) -> Path:
        """Model folders that the dashboard exported."""
        return self.root / "exports"

    @cached_property
    def presets(self) -> Path:
        """Plans that were saved by name."""
        return self.root / "presets"

    @cached_property
    def uploads(self) -> Path:
        """Data files that were uploaded in the dashboard."""
        return self.root / "uploads"

    @cached_property
    def logs(self) -> Path:
        """Logs of helper processes and of the dashboard."""
        return self.root / "logs"

    def run(self, run_id: str) -> Path:
        """Return the folder of one run; `run_id` may not lead outside :attr:`runs`."""
        return confine(self.runs / run_id, self.runs)

    def ensure(self) -> Home:
        """Create the folders that are missing.

        Returns
        -------
        Home
            Itself.

        Raises
        ------
        StorageError
            If the folder cannot be created or written.
        """
        try:
            for folder in (self.root, self.runs, self.cache, self.exports, self.presets, self.uploads, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".writable-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise StorageError(
                f"The home folder cannot be written: {error.strerror or error}.",
                where=str(self.root),
                expected="a folder that this user may write to",
                advice="Set BERTLOOM_HOME to such a folder, or mend its permissions or free some space.",
            ) from error
        return self


def home() -> Home:
    """Return the home folder named by ``BERTLOOM_HOME``, else the platform's usual place for user data."""
    named = os.environ.get("BERTLOOM_HOME")
    root = Path(named).expanduser() if named else Path(platformdirs.user_data_dir("bertloom", appauthor=False))
    return Home(root.absolute())


def environment_share() -> Path:
    """Return the data folder of this Python environment, where ``make samples`` unpacks the sample packages."""
    named = os.environ.get("BERTLOOM_SAMPLES")
    return Path(named).absolute() if named else Path(sys.prefix) / "share" / "bertloom"


def confine(path: str | Path, root: str | Path) -> Path:
    """Resolve `path` and refuse it if it leads outside `root`.

    Parameters
    ----------
    path
        A path from a user; a relative one is taken below `root`. Links are followed before the check.
    root
        The folder that it must stay in.

    Returns
    -------
    Path
        The resolved path.

    Raises
    ------
    PathRefused
        If the path is empty, holds a NUL character, or leads outside.
    """
    text = os.fspath(path)
    base = Path(root).resolve()
    if not text or "\0" in text:
        raise PathRefused("The path is empty or holds a NUL character.", expected=f"a path below {base}")
    resolved = (base / text).resolve()
    if resolved != base and base not in resolved.parents:
        raise PathRefused(
            f"The path {text!r} leads outside its folder.", where=text, expected=f"a path below {base}",
            advice="Use a plain name without '..' or links that point elsewhere.",
        )  # fmt: skip
    return resolved


def safe_name(name: str, *, what: str = "name") -> str:
    """Return `name` if it can be a file name, else raise :class:`~core.errors.PathRefused`.

    Letters, digits, spaces, ``.``, ``_`` and ``-`` of any script are allowed; at most 100 characters; no leading dot.
    """
    cleaned = name.strip()
    allowed = all(char.isalnum() or char in " ._-" for char in cleaned)
    if not cleaned or not allowed or cleaned.startswith(".") or len(cleaned) > 100:
        raise PathRefused(
            f"The {what} {name[:120]!r} cannot be used as a file name.",
            expected="1 to 100 letters, digits, spaces, '.', '_' or '-', not starting with a dot",
        )
    return cleaned
