"""``bertloom doctor``: what this environment has, what it lacks, and what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from core.errors import BertloomError
from core.settings import home

__all__ = ["Check", "examine"]

_MIN_FREE_GB = 2.0


@dataclass(frozen=True)
class Check:
    """One finding.

    Parameters
    ----------
    name
        What was looked at.
    ok
        Whether it is as it should be.
    found
        What was found.
    advice
        What to do; empty when nothing is to be done.
    """

    name: str
    ok: bool
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the finding for JSON."""
        return asdict(self)


def examine() -> list[Check]:
    """Look at everything that Bertloom needs. No check raises: one that breaks is a finding of its own."""
    groups: list[tuple[str, Callable[[], list[Check]]]] = [
        ("python", _python),
        ("packages", _packages),
        ("samples", _samples),
        ("device", _device),
        ("home", _home),
        ("store", _store),
        ("port", _port),
    ]
    found: list[Check] = []
    for name, look in groups:
        try:
            found += look()
        except Exception as error:
            found.append(
                Check(name, False, f"{type(error).__name__}: {error}", "Report this: the check itself failed.")
            )
    return found


def _python() -> list[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return [Check("python", ok, version, "" if ok else "Install Python 3.11 or newer and run `make clean env`.")]


def _packages() -> list[Check]:
    from packaging.requirements import Requirement

    try:
        wanted = metadata.requires("bertloom") or []
    except metadata.PackageNotFoundError:
        return [
            Check(
                "packages",
                False,
                "bertloom is not installed",
                "Run `make env` (or `pip install -e .`) in the repository.",
            )
        ]
    checks = []
    for text in wanted:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            checks.append(Check(requirement.name, False, "not installed", "Run `make env`."))
            continue
        ok = requirement.specifier.contains(version, prereleases=True)
        advice = "" if ok else f"Bertloom needs {requirement.name}{requirement.specifier}: run `make clean env`."
        checks.append(Check(requirement.name, ok, version, advice))
    return checks


def _samples() -> list[Check]:
    from core.data.samples import verify

    return [Check(item["name"], item["ok"], item["found"], item["advice"] or "") for item in verify()]


def _device() -> list[Check]:
    import torch

    cores = os.cpu_count() or 1
    if torch.cuda.is_available():
        device = f"cuda: {torch.cuda.get_device_name(0)}"
    elif torch.backends.mps.is_available():
        device = "mps (Apple)"
    else:
        device = "cpu (no GPU found; everything works, larger encoders take long)"
    threads = torch.get_num_threads()
    advice = "" if threads <= cores else f"OMP_NUM_THREADS is above the {cores} cores: unset it."
    return [
        Check("device", True, device),
        Check("threads", not advice, f"{threads} torch threads, {cores} cores", advice),
    ]


def _home() -> list[Check]:
    place = home()
    try:
        place.ensure()
    except BertloomError as error:
        return [Check("home", False, str(place.root), error.message())]
    free = shutil.disk_usage(place.root).free / 1e9
    ok = free >= _MIN_FREE_GB
    advice = (
        "" if ok else f"Free some space: runs need at least {_MIN_FREE_GB:.0f} GB. The Runs page shows what is large."
    )
    return [Check("home", True, str(place.root)), Check("free disk", ok, f"{free:.1f} GB", advice)]


def _store() -> list[Check]:
    version = sqlite3.sqlite_version
    ok = sqlite3.sqlite_version_info >= (3, 35)
    checks = [Check("sqlite", ok, version, "" if ok else "Use a Python whose SQLite is 3.35 or newer.")]
    file = home().store
    if file.exists():
        # as_uri() quotes what would end the path: a home may be called "a#b" or "50%"
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            (result,) = connection.execute("pragma quick_check(1)").fetchone()
        good = result == "ok"
        advice = "" if good else f"The store is damaged. Copy {file} elsewhere, then try `sqlite3 copy .recover`."
        checks.append(Check("store", good, str(result), advice))
    return checks


def _port() -> list[Check]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8501))
        except OSError:
            return [
                Check(
                    "port",
                    True,
                    "8501 is taken",
                    "The dashboard is open, or another program has it: `bertloom ui` takes the next free port.",
                )
            ]
    return [Check("port", True, "8501 is free")]
