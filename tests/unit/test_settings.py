from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PathRefused, StorageError
from core.settings import Home, confine, home, safe_name


def test_home_is_the_folder_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "place"))
    assert home().root == tmp_path / "place"
    assert not home().root.exists(), "asking for the home must not create it"
    home().ensure()
    assert home().runs.is_dir()


def test_home_defaults_to_the_platforms_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BERTLOOM_HOME", raising=False)
    assert home().root.is_absolute()
    assert home().root.name == "bertloom"


def test_a_home_that_is_a_file_is_refused_with_advice(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StorageError, match="BERTLOOM_HOME") as caught:
        Home(file / "below").ensure()
    assert str(file) in caught.value.message()


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "", "a\0b", "link/x"])
def test_paths_that_lead_outside_are_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(PathRefused):
        confine(path, root)


def test_paths_inside_are_resolved(tmp_path: Path) -> None:
    assert confine("a/./b/../c", tmp_path) == (tmp_path / "a" / "c").resolve()
    assert confine(tmp_path / "a", tmp_path) == (tmp_path / "a").resolve()


@given(st.text(max_size=60))
def test_a_confined_path_is_always_below_its_root(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = Path(os.environ.get("TMPDIR", "/tmp")).resolve()
    try:
        found = confine(text, root)
    except PathRefused:
        return
    assert found == root or root in found.parents


@pytest.mark.parametrize("name", ["", "  ", ".hidden", "a/b", "a\\b", "..", "x" * 101, "a\nb", "a\0"])
def test_names_that_cannot_be_files_are_refused(name: str) -> None:
    with pytest.raises(PathRefused):
        safe_name(name)


@pytest.mark.parametrize("name", ["plan", "my plan-2.1", "计划", "naïve_ü"])
def test_names_of_any_script_are_kept(name: str) -> None:
    assert safe_name(f" {name} ") == name
