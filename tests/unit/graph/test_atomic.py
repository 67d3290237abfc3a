"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ExportError, StorageError
from core.graph.atomic import whole_file


def test_what_was_written_takes_the_place_of_what_stood_there(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")
    with whole_file(target, "The file", advice="") as stream:
        stream.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_whatever_ends_the_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")

    def half() -> None:
        with whole_file(target, "The file", advice="") as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [StorageError, ExportError])
def test_what_the_system_refuses_is_told_by_name_place_and_advice(tmp_path: Path, error: type[Exception]) -> None:
    target = tmp_path / "no" / "a.txt"
    with (
        pytest.raises(error, match=r"The page could not be written: No such file.*Choose another folder"),
        whole_file(target, "The page", advice="Choose another folder.", error=error),  # type: ignore[arg-type]
    ):
        pass
