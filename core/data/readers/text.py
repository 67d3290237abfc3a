"""Opening text files: what kind of bytes they are, their encoding, and their lines, never more than one in memory."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TextIO, cast

from core.data.readers.base import MAX_LINE, shown
from core.errors import DataError

__all__ = ["TextFile", "broken", "inspect_file", "open_text", "regular_file"]

_HEAD = 1 << 18
#: How far to look for the first byte that is not ASCII, which alone tells the encoding.
_SCAN = 1 << 32
_SCAN_COMPRESSED = 1 << 26

_MAGIC = (
    (b"PK\x03\x04", "a zip archive or an Excel/Word file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
    (b"ARROW1", "an Arrow file"),
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OPENERS: dict[bytes, tuple[str, Any]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bz2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
_LEGACY = ["gb18030", "cp1252", "big5", "shift_jis", "euc_kr", "cp1251", "cp1250", "koi8_r", "cp1253", "cp1256"]


@dataclass(frozen=True)
class TextFile:
    """What was found out about a text file.

    Parameters
    ----------
    path
        The file.
    encoding
        Name of the codec.
    guessed
        True when the encoding was inferred from statistics (neither a mark, nor valid UTF-8, nor given).
    compression
        gzip, bz2, xz or empty.
    head
        The first characters (up to 256 kB), cut after the last whole line where there is one.
    whole
        Whether the head is the whole file.
    """

    path: Path
    encoding: str
    guessed: bool
    compression: str
    head: str
    whole: bool


def regular_file(path: Path) -> Path:
    """Return `path` if it is a file that can be read and is not empty, else raise :class:`~core.errors.DataError`."""
    name = shown(path, 300)
    try:
        mode = path.stat()
        if stat.S_ISDIR(mode.st_mode):
            raise DataError(
                "The data source is a folder.", where=name, expected="one file: CSV, TSV, JSON lines, Parquet or CoNLL"
            )
        if not stat.S_ISREG(mode.st_mode):
            raise DataError(
                "The data source is not a plain file (a device, pipe or socket).", where=name, expected="a plain file"
            )
        if mode.st_size == 0:
            raise DataError("The file is empty.", where=name, expected="a table with a text and a label a row")
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise DataError(
            "The file does not exist.", where=name,
            expected="a file path, hub:NAME, or a sample (reviews, plots, headlines, tweets, zh-reviews, zh-news)",
        ) from error  # fmt: skip
    except (OSError, ValueError) as error:
        raise DataError(f"The file cannot be read: {getattr(error, 'strerror', None) or error}.", where=name) from error
    return path


def inspect_file(path: Path, encoding: str = "auto") -> TextFile:
    """Find a text file's encoding and read its head.

    Raises
    ------
    DataError
        If it is not text, or the encoding is unknown or does not fit.
    """
    name = shown(path, 300)
    with broken(name), path.open("rb") as raw:
        start = raw.read(16)
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            raise DataError(
                f"This is {kind}, not a table of text.", where=name,
                expected="CSV, TSV, JSON lines, Parquet, CoNLL or CoNLL-U",
                advice="Save it as CSV (UTF-8) first.",
            )  # fmt: skip
    compression = next((label for magic, (label, _) in _OPENERS.items() if start.startswith(magic)), "")
    with broken(name), _open_bytes(path) as stream:
        head = stream.read(_HEAD)
        whole = len(head) < _HEAD
        if not head:
            raise DataError("The file is empty.", where=name, expected="a table with a text and a label a row")
        # The table may start with a thousand ASCII rows: the rows that tell come later.
        telling, read = head, len(head)
        limit = _SCAN_COMPRESSED if compression else _SCAN
        while telling.isascii() and read < limit and not head.startswith(tuple(bom for bom, _ in _BOMS)):
            telling = stream.read(_HEAD)
            read += len(telling)
            if not telling:
                break
    codec, guessed = (_given(encoding, name), False) if encoding != "auto" else _detect(head, telling or head, name)
    decoded = _decode_head(head, codec, whole, name)
    return TextFile(path, codec, guessed, compression, decoded, whole)


def _given(encoding: str, name: str) -> str:
    try:
        info = codecs.lookup(encoding)
        if not getattr(info, "_is_text_encoding", True):
            raise LookupError(encoding)
    except (LookupError, ValueError) as error:
        raise DataError(
            f"There is no text encoding {shown(encoding)!r}.",
            where=name,
            expected="auto, or a name like utf-8, gb18030, cp1252",
        ) from error
    return "utf-8-sig" if info.name == "utf-8" else info.name


def _detect(head: bytes, telling: bytes, name: str) -> tuple[str, bool]:
    for bom, codec in _BOMS:
        if head.startswith(bom):
            return codec, False
    if b"\0" in head:
        # UTF-16 without a mark: every other byte of ordinary text is then NUL.
        for codec, zeros in (("utf-16-le", head[1:4000:2]), ("utf-16-be", head[0:4000:2])):
            if zeros.count(0) > 0.4 * max(1, len(zeros)) and _readable(head[:4000], codec):
                return codec, True
        raise _binary(name)
    controls = sum(head.count(byte) for byte in (*range(1, 9), *range(14, 27), *range(28, 32), 127))
    if controls > 0.02 * len(head):
        raise _binary(name)
    if _utf8(telling):
        return "utf-8", False
    from charset_normalizer import from_bytes

    # Only lines with such bytes tell anything; the first may start in the middle of a character.
    lines = [line for line in telling.split(b"\n")[0 if telling is head else 1 :] if not line.isascii()]
    sample = b"\n".join(lines)[:60_000] or telling
    # Accented letters stand alone between plain ones; Chinese, Japanese, Korean and Cyrillic ones stand together.
    high = len(re.findall(rb"[\x80-\xff]", sample))
    alone = len(re.findall(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])", sample))
    codecs_to_try = [codec for codec in _LEGACY if codec in ("cp1252", "cp1250")] if alone > 0.9 * high else _LEGACY
    best = from_bytes(sample, cp_isolation=codecs_to_try, threshold=0.3, preemptive_behaviour=False).best()
    if best is None:
        # Damaged UTF-8 is told from another encoding by its many well-formed characters.
        text = sample.decode("utf-8", "replace")
        if text.count("\ufffd") * 4 < sum(char > "\x7f" for char in text):
            return "utf-8", True
        return "cp1252", True
    # Alphabets of one family often agree on every character that occurs: then the most common one is meant.
    if best.encoding.startswith("cp125") and _same(sample, best.encoding, "cp1252"):
        return "cp1252", True
    return best.encoding, True


def _same(sample: bytes, one: str, other: str) -> bool:
    try:
        return sample.decode(one) == sample.decode(other)
    except UnicodeError:
        return False


def _readable(sample: bytes, codec: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(codec)("strict").decode(sample)
    except UnicodeError:
        return False
    return sum(char.isprintable() or char.isspace() for char in text) > 0.95 * len(text)


def _utf8(sample: bytes) -> bool:
    """Whether bytes are UTF-8, apart from characters cut at either end; one damaged byte in many is forgiven."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    start = 0
    while start < min(3, len(sample)) and sample[start] & 0xC0 == 0x80:
        start += 1
    text = decoder.decode(sample[start:])
    bad = sum("\udc80" <= char <= "\udcff" for char in text)
    good = sum(char > "\x7f" for char in text) - bad
    return bad == 0 or good >= 20 * bad


def _binary(name: str) -> DataError:
    return DataError(
        "This is a binary file, not text.", where=name, expected="CSV, TSV, JSON lines, Parquet, CoNLL or CoNLL-U",
        advice="Save the table as CSV (UTF-8) first.",
    )  # fmt: skip


def _decode_head(head: bytes, codec: str, whole: bool, name: str) -> str:
    try:
        text = codecs.getincrementaldecoder(codec)(_errors(codec)).decode(head, final=whole)
    except UnicodeError as error:
        raise _wrong(codec, name, str(error)) from error
    bad = sum("\udc80" <= char <= "\udcff" for char in text)
    if bad > 0.05 * len(text):
        raise _wrong(codec, name, f"{bad} of the first {len(text)} characters cannot be read")
    if not whole and "\n" in text:
        text = text[: text.rindex("\n") + 1]
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _wrong(codec: str, name: str, why: str) -> DataError:
    return DataError(
        f"The file is not text in the encoding {codec}: {why}.", where=name,
        advice="Set the encoding to auto, or name the one that it was saved in.",
    )  # fmt: skip


def _errors(codec: str) -> str:
    # Bytes that do not fit become lone surrogates, so that their rows can be named; UTF-16 and UTF-32 cannot do it.
    return "strict" if codec.startswith(("utf-16", "utf-32")) else "surrogateescape"


def _open_bytes(path: Path) -> IO[bytes]:
    with path.open("rb") as raw:
        start = raw.read(8)
    for magic, (_, opener) in _OPENERS.items():
        if start.startswith(magic):
            return cast("IO[bytes]", opener(path, "rb"))
    return path.open("rb")


@contextmanager
def broken(name: str) -> Iterator[None]:
    """Turn failures of the operating system, of unpacking and of decoding into :class:`~core.errors.DataError`."""
    try:
        yield
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise DataError(
            f"The compressed file is damaged: {error}.", where=name, advice="Download or copy it again."
        ) from error
    except UnicodeError as error:
        raise DataError(
            f"The file is not text in the encoding that was named or found: {error}.", where=name,
            advice="Name the encoding that it was saved in.",
        ) from error  # fmt: skip
    except OSError as error:
        raise DataError(f"The file cannot be read: {error.strerror or error}.", where=name) from error


@contextmanager
def open_text(file: TextFile, *, newline: str | None = None) -> Iterator[Iterator[str]]:
    """Open a file's lines, each at most :data:`~core.data.readers.base.MAX_LINE` characters long.

    Parameters
    ----------
    file
        What :func:`inspect_file` returned.
    newline
        As in :func:`open`; ``""`` for the csv module.

    Raises
    ------
    DataError
        While reading, for a line that is too long, damaged compression, or an encoding that does not fit.
    """
    name = shown(file.path, 300)
    with broken(name), _open_bytes(file.path) as raw:
        stream = io.TextIOWrapper(raw, encoding=file.encoding, errors=_errors(file.encoding), newline=newline)
        yield _lines(stream, name)


def _lines(stream: TextIO, name: str) -> Iterator[str]:
    number = 0
    with broken(name):
        while line := stream.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
                raise DataError(
                    "A line is too long to be a row of a table.", where=f"{name}, line {number}",
                    expected=f"lines of at most {MAX_LINE // 1_000_000} million characters",
                )  # fmt: skip
            yield line
