"""Which bytes are text, in which encoding, and what is said about the others."""

from __future__ import annotations

import bz2
import gzip
import os
from pathlib import Path

import pytest

from core.config import DataConfig
from core.data.readers import open_source, shown
from core.data.readers.text import inspect_file, open_text
from core.errors import DataError
from tests.unit.data.conftest import CLASSIFY

GERMAN = (
    "text,label\n" + "Das Café öffnete früh; die Gäste fühlten sich sehr wohl und blieben länger als üblich.,gut\n" * 30
)
CHINESE = "text,label\n" + "这本书写得很好，我非常喜欢，推荐给大家阅读。内容丰富，语言生动。,好\n" * 30


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        (GERMAN, "utf-8", "utf-8"),
        (GERMAN, "utf-8-sig", "utf-8-sig"),
        (GERMAN, "utf-16", "utf-16"),
        (GERMAN, "utf-16-le", "utf-16-le"),
        (GERMAN, "utf-16-be", "utf-16-be"),
        (GERMAN, "utf-32", "utf-32"),
        (GERMAN, "latin-1", "cp1252"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "utf-8", "utf-8"),
        ("text,label\nplain,one\n", "ascii", "utf-8"),
    ],
)
def test_encoding_is_found_and_text_survives(write, text: str, encoding: str, found: str) -> None:
    file = inspect_file(write("data.csv", text, encoding))
    assert file.encoding == found
    assert file.head.lstrip("\ufeff") == text
    rows = list(open_source(DataConfig(source=str(file.path)), CLASSIFY).rows())
    assert rows[0].values is not None
    assert rows[0].values["text"] == text.split("\n")[1].rpartition(",")[0]


def test_a_guessed_encoding_is_told(write) -> None:
    source = open_source(DataConfig(source=str(write("data.csv", GERMAN, "latin-1"))), CLASSIFY)
    assert [note["code"] for note in source.notes] == ["encoding_guessed"]


def test_the_first_special_character_may_come_after_megabytes_of_ascii(write) -> None:
    text = "text,label\n" + "a plain row,one\n" * 40_000 + "früher Gäste größer,two\n" * 50
    assert inspect_file(write("late.csv", text, "latin-1")).encoding == "cp1252"
    assert inspect_file(write("late8.csv", text, "utf-8")).encoding == "utf-8"


def test_a_character_cut_at_the_end_of_the_head_is_no_error(write) -> None:
    # 262,144 is no multiple of three, so the head ends inside a character.
    file = inspect_file(write("long.csv", "text,label\n" + "字" * 200_000 + ",x\n"))
    assert file.encoding == "utf-8"
    assert "\udce5" not in file.head[:-1]


def test_one_damaged_byte_keeps_utf8_and_names_the_row(write) -> None:
    raw = CHINESE.encode() + b"bad \xff byte,x\n"
    source = open_source(DataConfig(source=str(write("data.csv", raw))), CLASSIFY)
    assert source.encoding == "utf-8"
    assert [row.number for row in source.rows() if row.values and "\udcff" in row.values["text"]] == [31]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "utf-16"])
def test_a_wrong_given_encoding_is_refused(write, encoding: str) -> None:
    with pytest.raises(DataError, match="encoding"):
        inspect_file(write("data.csv", CHINESE, "gb18030"), encoding)


@pytest.mark.parametrize("encoding", ["klingon", "base64", "rot13", "\0", ""])
def test_an_unknown_encoding_is_refused(write, encoding: str) -> None:
    with pytest.raises(DataError, match="no text encoding"):
        inspect_file(write("data.csv", "text,label\na,b\n"), encoding)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04rest of a zip", "Excel"),
        (b"%PDF-1.7 something", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"SQLite format 3\0", "database"),
        (os.urandom(64) + b"\0\1\2\3" * 2000, "binary"),
        (bytes(range(1, 32)) * 50, "binary"),
        (b"", "empty"),
    ],
)
def test_what_is_no_text_is_named(write, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_source(DataConfig(source=str(write("data.csv", content))), CLASSIFY)


def test_a_folder_a_pipe_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, said in ((".", "folder"), ("pipe", "not a plain file"), ("gone.csv", "does not exist")):
        with pytest.raises(DataError, match=said):
            open_source(DataConfig(source=str(tmp_path / name)), CLASSIFY)
    with pytest.raises(DataError, match="device"):
        open_source(DataConfig(source="/dev/zero"), CLASSIFY)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(write) -> None:
    file = write("data.csv", "text,label\na,b\n")
    file.chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        open_source(DataConfig(source=str(file)), CLASSIFY)


def test_an_operating_system_error_is_told(write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("data.csv", "text,label\na,b\n")

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        open_source(DataConfig(source=str(file)), CLASSIFY)


@pytest.mark.parametrize(
    "name", ["a\0b", "x" * 5000, "no\nsuch\x1b[31mfile", "gone\u202efdp.csv", "../../../../nowhere.csv"]
)
def test_hostile_names_are_refused_and_shown_escaped(name: str) -> None:
    with pytest.raises(DataError) as caught:
        open_source(DataConfig(source=name), CLASSIFY)
    assert not {"\0", "\n", "\x1b", "\u202e"} & set(caught.value.message())


def test_a_file_with_a_hostile_name_is_read(write) -> None:
    file = write("<script>alert(1)</script>\n'; drop table.csv".replace("/", "_"), "text,label\na text,b\n")
    source = open_source(DataConfig(source=str(file)), CLASSIFY)
    assert "\n" not in source.name
    assert [row.values for row in source.rows()] == [{"text": "a text", "label": "b"}]


def test_names_of_undecodable_bytes_can_be_shown() -> None:
    shown(os.fsdecode(b"caf\xe9.csv")).encode("utf-8")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_compressed_files_are_read(write, suffix: str, pack) -> None:
    source = open_source(DataConfig(source=str(write("data.csv" + suffix, pack(GERMAN.encode())))), CLASSIFY)
    assert len(list(source.rows())) == 30
    assert source.details["compression"] in ("gzip", "bz2")


def test_a_damaged_compressed_file_is_told(write) -> None:
    whole = gzip.compress(
        b"text,label\n" + b"".join(b"row %d is %x,b\n" % (index, index**7) for index in range(30_000))
    )
    file = write("data.csv.gz", whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        list(open_source(DataConfig(source=str(file)), CLASSIFY).rows())


def test_an_endless_line_stops_with_its_place(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.data.readers.text.MAX_LINE", 1000)
    file = inspect_file(write("data.txt", "a,b\nshort,x\n" + "y" * 5000 + "\n"))
    with pytest.raises(DataError, match="line 3"), open_text(file) as lines:
        list(lines)
