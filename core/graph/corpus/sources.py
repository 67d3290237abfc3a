"""From what a config names to a stream of texts: samples, tables, hub data sets, plain text, CoNLL-U."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from core.config.graph import CorpusConfig
from core.config.plan import DataConfig, TaskConfig
from core.data.columns import map_text
from core.data.readers.base import MAX_CELL, RawRow, Source, UnusableData, shown
from core.data.readers.conll import looks_like_conll, looks_like_conllu
from core.data.readers.open import detect_format, open_source
from core.data.readers.text import TextFile, broken, inspect_file, open_text, regular_file
from core.data.rows import spelled_list
from core.errors import DataError
from core.graph.corpus.text import Text, printable, tidy
from core.graph.corpus.trees import read_trees

__all__ = ["Opened", "open_corpus"]

#: Rows that are looked at of a hub data set, which comes over a network. Files are read to their end.
HUB_ROWS = 200_000
#: How often reading says how far it is, in rows.
_TELL_EVERY = 1000
#: Longer rows are read in pieces of about this many characters.
PIECE = 1_500
_HEAD_ROWS = 500
#: Reasons for leaving rows out that are told one by one.
_REASONS = 5
_PLAIN = {".txt", ".text", ".md"}
_COMPRESSED = {".gz", ".bz2", ".xz"}
# Not after short words: "Mr." and "No." end no sentence.
_ENDS = re.compile(r"(?:(?<=\w{3})\.|[!?…])[\"'”’»)]*\s|[。！？][”’」』）]*|\n")
# Where one may cut without cutting a word: white space, Chinese, Japanese and Korean characters.
_BREAK = re.compile(r"[\s\u3000-\u9fff\uac00-\ud7af]")
_WORD = 50
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")


@dataclass
class Opened:
    """An opened corpus.

    Parameters
    ----------
    name
        What messages call it.
    kind
        text, tokens or trees: what its texts hold.
    language
        ISO code if the source is known to be in it, else empty.
    notices
        What a person should know; more come while it is read.
    """

    name: str
    kind: str
    language: str
    notices: list[str]
    _rows: Callable[[], Iterator[tuple[int, list[Text] | str]]]
    _most: int | None = None
    _lines: Callable[[], float | None] = lambda: None
    #: Rows read, and whether reading stopped before the end.
    rows: int = 0
    stopped: bool = False
    #: Reason → how many rows were left out for it, and the first of them.
    _left_out: dict[str, tuple[int, int]] = field(default_factory=dict)

    def texts(self, told: Callable[[int, int], None] = lambda done, total: None) -> Iterator[Text]:
        """Yield all texts once; afterwards :attr:`rows`, :attr:`stopped` and :attr:`notices` are complete.

        Parameters
        ----------
        told
            Called every 1,000 rows with the line or row that was reached and about how many there are (0: not known);
            may raise to stop.
        """
        lines: int | None = None
        for line, content in self._rows():
            if self.rows == self._most:
                self.stopped = True
                break
            self.rows += 1
            if self.rows % _TELL_EVERY == 0:
                if lines is None:
                    lines = self._most or round(self._lines() or 0)
                told(line or self.rows, max(line, lines) if lines else 0)
            if isinstance(content, str):
                self._leave_out(content)
            else:
                # What has no word is no sentence: left out here, the count of sentences is right before they are cut.
                yield from (text for text in content if text.has_words())
        if self.stopped:
            self.notices.append(
                f"Only the first {self.rows:,} rows were looked at: the data set comes over a network, and is longer."
            )
        for reason, (many, first) in self._left_out.items():
            rows = "1 row was" if many == 1 else f"{many:,} rows were"
            self.notices.append(f"{rows} left out: {reason} (first: row {first:,}).")

    def _leave_out(self, reason: str) -> None:
        if reason not in self._left_out and len(self._left_out) >= _REASONS:
            reason = "other problems"
        many, first = self._left_out.get(reason, (0, self.rows))
        self._left_out[reason] = many + 1, first


def open_corpus(config: CorpusConfig) -> Opened:
    """Open what a config names.

    Raises
    ------
    DataError
        If there is no such sample or file, or it holds no text.
    HubError
        If a hub data set cannot be reached.
    """
    from core.data.sample_rows import open_sample
    from core.data.samples import sample, sample_names

    if config.source in sample_names():
        return _table(open_sample(config.source), config, language=sample(config.source).language)
    if config.source.startswith("hub:"):
        from core.data.readers.hub import open_hub

        name = config.source.removeprefix("hub:")
        return _table(open_hub(name, config.subset, config.split, config.revision), config, most=HUB_ROWS)
    if "\0" in config.source or len(config.source) > 4096:
        raise DataError(
            "The file name is not usable.", where=shown(config.source), expected="a path without NUL characters"
        )
    path = Path(config.source).expanduser()
    if path.is_file() and path.stat().st_size == 0:
        raise DataError("The file is empty.", where=shown(path.name), expected="sentences")
    regular_file(path)
    with broken(shown(path.name)), path.open("rb") as stream:
        parquet = stream.read(4) == b"PAR1"
    if parquet:
        return _table(_open_table(config, path), config)
    file = inspect_file(path, config.encoding)
    notices = [f"The encoding was guessed from the bytes: {file.encoding}."] if file.guessed else []
    form = _form(file, config)
    if form == "conllu":
        opened = Opened(shown(path.name), "trees", "", notices, lambda: ((at, [one]) for at, one in read_trees(file)))
    elif form == "plain":
        opened = _plain(file, notices)
    else:
        opened = _table(_open_table(config, path), config)
    opened._lines = lambda: _line_count(file)
    return opened


def _open_table(config: CorpusConfig, path: Path) -> Source:
    data = DataConfig(source=str(path), encoding=config.encoding, columns=config.columns)
    return open_source(data, TaskConfig(kind="tagging"))


def _form(file: TextFile, config: CorpusConfig) -> str:
    """Return conllu, plain or table."""
    suffixes = [suffix.lower() for suffix in file.path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    last = suffixes[-1] if suffixes else ""
    if last == ".conllu" or looks_like_conllu(file.head):
        return "conllu"
    if config.columns.text or config.columns.tokens or looks_like_conll(file.head):
        return "table"
    if last in _PLAIN:
        # A JSON object in the first line makes it JSON lines, whatever its name; commas in prose make no table.
        return "table" if re.match(r'\s*\{\s*"[^"\n]*"\s*:', file.head) else "plain"
    try:
        detect_format(file, TaskConfig(kind="tagging"))
    except DataError:
        return "plain"
    return "table"


def _table(source: Source, config: CorpusConfig, *, most: int | None = None, language: str = "") -> Opened:
    head = list(islice(source.rows(), _HEAD_ROWS))
    usable = [row.values for row in head if row.values is not None]
    if not usable:
        problem = next((f", row {row.number}: {row.problem}" for row in head if row.problem), "")
        raise UnusableData("The source has no usable rows.", where=source.name + problem, expected="rows with a text")
    kind, column = map_text(source, config.columns, usable)
    notices = [str(note["message"]) for note in source.notes]
    if source.format != "sample" and not (config.columns.text or config.columns.tokens):
        notices.append(f"The {kind} are read from the column {shown(column, 60)!r}.")
    content = _words if kind == "tokens" else _pieces

    def rows() -> Iterator[tuple[int, list[Text] | str]]:
        for row in source.rows():
            yield row.line, content(row, column)

    return Opened(source.name, kind, language, notices, rows, most)


def _pieces(row: RawRow, column: str) -> list[Text] | str:
    """Return a row's text in pieces, or why it is left out."""
    if row.values is None:
        return row.problem or "it cannot be read"
    cell = row.values.get(column)
    if cell is None:
        return "it is empty"
    if isinstance(cell, list | dict | bytes):
        return f"it holds a {type(cell).__name__}, not text"
    text = str(cell)
    if problem := _unusable(text):
        return problem
    return [Text(row.number, index, piece) for index, piece in enumerate(pieces(text))]


def _words(row: RawRow, column: str) -> list[Text] | str:
    """Return a row's words, or why it is left out."""
    if row.values is None:
        return row.problem or "it cannot be read"
    cell = row.values.get(column)
    if cell is None:
        return "it is empty"
    words = cell
    if isinstance(cell, str):
        parsed = spelled_list(cell) if len(cell) <= MAX_CELL else None
        words = cell.split() if parsed is None else parsed
    if not isinstance(words, list):
        return f"it holds a {type(cell).__name__}, not a list of words"
    tokens = [tidy(str(word)) for word in words if word is not None]
    if problem := _unusable(" ".join(tokens)):
        return problem
    return [Text(row.number, 0, [token for token in tokens if token])]


def _unusable(text: str) -> str | None:
    if not text.strip():
        return "it is empty"
    if len(text) > MAX_CELL:
        return f"it has more than {MAX_CELL:,} characters"
    if not printable(text):
        return "it has bytes that are not of the file's encoding"
    return None


def pieces(text: str, size: int = PIECE) -> Iterator[str]:
    """Cut a text at blank lines, and what is longer than `size` where sentences end, else at white space."""
    for paragraph in _BLANK_LINE.split(text):
        at = 0
        while len(paragraph) - at > size:
            window = paragraph[at : at + size]
            end = max((match.end() for match in _ENDS.finditer(window)), default=0) or window.rfind(" ") + 1
            if not end:
                # A word of this length stays whole, up to a point: its pieces would look like words.
                found = _BREAK.search(paragraph, at + size, at + _WORD * size)
                end = (found.start() if found else min(len(paragraph), at + _WORD * size)) - at
            if piece := tidy(paragraph[at : at + end]):
                yield piece
            at += end
        if piece := tidy(paragraph[at:]):
            yield piece


def _plain(file: TextFile, notices: list[str]) -> Opened:
    wrapped = hard_wrapped(file.head)
    if wrapped:
        notices.append("The text is wrapped by hand: blank lines were taken for the ends of paragraphs.")

    def rows() -> Iterator[tuple[int, list[Text] | str]]:
        with open_text(file) as lines:
            paragraphs = _paragraphs(lines) if wrapped else ((at, line) for at, line in enumerate(lines, 1))
            number = 0
            for at, text in paragraphs:
                if text.strip():
                    number += 1
                    yield at, _pieces(RawRow(number, at, {"text": text}), "text")

    return Opened(shown(file.path.name), "text", "", notices, rows)


def hard_wrapped(head: str) -> bool:
    """Whether lines are broken inside sentences: blocks of several lines, most of which end within a sentence."""
    blocks = [block.split("\n") for block in re.split(r"\n[ \t]*\n", head.strip("\n")) if block.strip()]
    inner = [line.rstrip() for block in blocks for line in block[:-1]]
    ended = sum(line.endswith((".", "!", "?", "…", ":", "。", "！", "？", '"', "”")) for line in inner)
    return len(blocks) > 1 and len(inner) >= 2 * len(blocks) and ended < 0.4 * len(inner)


def _paragraphs(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    start = size = 0
    held: list[str] = []
    for at, line in enumerate(lines, 1):
        # A paragraph without an end would take the whole file into memory.
        if (not line.strip() or size > 20 * PIECE) and held:
            yield start, "".join(held)
            held, size = [], 0
        if line.strip():
            start = start if held else at
            held.append(line)
            size += len(line)
    if held:
        yield start, "".join(held)


def _line_count(file: TextFile) -> float | None:
    """Estimate a file's lines from its first bytes; None where its size tells nothing."""
    if file.compression:
        return None
    with broken(shown(file.path.name)), file.path.open("rb") as stream:
        head = stream.read(1 << 24)
    return head.count(b"\n") * file.path.stat().st_size / max(1, len(head))
