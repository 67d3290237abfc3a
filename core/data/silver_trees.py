"""Silver trees: sentences of any English source, parsed by spaCy and written as CoNLL-U that says so."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import Columns, DataConfig, TaskConfig
from core.data.columns import map_text
from core.data.language import guess_language
from core.data.readers.base import Source, UnusableData
from core.data.readers.conll import SILVER
from core.data.readers.open import open_source
from core.data.rows import spelled_list
from core.data.tree_rows import MOST_WORDS
from core.errors import DataError, StorageError

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

__all__ = ["Silver", "write_silver_trees"]

_HEAD_ROWS = 200
_BATCH = 64


@dataclass(frozen=True)
class Silver:
    """What was written: the file, sentences and words in it, and the parser's name."""

    file: str
    sentences: int
    words: int
    parser: str


def write_silver_trees(
    source: str, target: Path, *, sentences: int = 2000, text: str | None = None, seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Silver:  # fmt: skip
    """Parse sentences of a source and write their trees as CoNLL-U.

    Parameters
    ----------
    source
        A bundled sample, a file, or ``hub:NAME``; English.
    target
        File to write; its first line names the parser, and the check before training says that the trees are silver.
    sentences
        How many, at most. Rows are drawn at random if the source has more; a row is a text of any number of sentences,
        or the words of one.
    text
        Column with the text or the words; None: found as for other uses.
    seed
        Of the drawing.
    check
        Called between batches; may raise to stop.

    Raises
    ------
    DataError
        If the source cannot be read, has no text, or is not English.
    ModelError
        If there is no parser.
    StorageError
        If the file cannot be written.
    """
    rows = _drawn(source, sentences, text, seed)
    language, why = guess_language(row if isinstance(row, str) else " ".join(row) for row in rows[:_HEAD_ROWS])
    if language != "en":
        raise DataError(
            "The text does not look English, and only English has a parser here.", where=f"{source}: {why}",
            expected="English text", advice="A treebank of another language can be read as CoNLL-U.",
        )  # fmt: skip
    from core.data.english import load_pipeline

    _, parser = load_pipeline()
    written = words = 0
    try:
        with target.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(f"{SILVER} {parser}, sentences of {' '.join(source.split())}\n")
            for tree in islice(_parsed(rows, check), sentences):
                written, words = written + 1, words + len(tree)
                stream.write(_lines(tree, written))
    except OSError as error:
        raise StorageError(f"The trees cannot be written: {error.strerror or error}.", where=str(target)) from error
    return Silver(str(target), written, words, parser)


def _drawn(name: str, most: int, text: str | None, seed: int) -> list[str | list[str]]:
    """Return texts or lists of words of at most so many rows, in their order (reservoir sampling, Vitter 1985)."""
    source = _opened(name)
    head = [row.values for row in islice(source.rows(), _HEAD_ROWS) if row.values is not None]
    if not head:
        raise UnusableData("The source has no usable rows.", where=source.name, expected="rows with a text")
    _, column = map_text(source, Columns(text=text), head)
    draw, kept, seen = random.Random(seed), list[tuple[int, str | list[str]]](), 0
    for row in source.rows():
        content = _content((row.values or {}).get(column))
        if not content:
            continue
        if len(kept) < most:
            kept.append((seen, content))
        elif (place := draw.randrange(seen + 1)) < most:
            kept[place] = (seen, content)
        seen += 1
    if not kept:
        raise UnusableData("No row has a text.", where=f"{source.name}, column {column!r}", expected="rows with a text")
    return [content for _, content in sorted(kept, key=lambda pair: pair[0])]


def _opened(name: str) -> Source:
    from core.data.samples import sample_names

    if name in sample_names():
        from core.data.sample_rows import open_sample

        return open_sample(name)
    return open_source(DataConfig(source=name), TaskConfig(kind="tagging"))


def _content(cell: Any) -> str | list[str]:
    listed = spelled_list(cell)
    if listed is not None:
        return [" ".join(str(word).split()) or "_" for word in listed][:MOST_WORDS]
    # The pipeline takes white space of more than a sign for a word.
    return " ".join(str(cell or "").encode("utf-8", "replace").decode("utf-8").split())[:20_000]


def _parsed(rows: list[str | list[str]], check: Callable[[], None]) -> Iterator[Span]:
    import warnings

    from core.data.english import load_pipeline

    pipeline, _ = load_pipeline()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        documents = pipeline.pipe((_document(pipeline, row) for row in rows), batch_size=_BATCH)
        for number, document in enumerate(documents):
            if number % _BATCH == 0:
                check()
            yield from (one for one in document.sents if 0 < len(one) <= MOST_WORDS)


def _document(pipeline: Any, row: str | list[str]) -> Doc | str:
    if isinstance(row, str):
        return row
    from spacy.tokens import Doc

    return Doc(pipeline.vocab, words=row, sent_starts=[at == 0 for at in range(len(row))])


def _lines(tree: Span, number: int) -> str:
    """Return a sentence as CoNLL-U; relations are written small, the root's head is 0."""
    lines = [f"# sent_id = {number}"]
    for word in tree:
        head = 0 if word.head.i == word.i else word.head.i - tree.start + 1
        relation = word.dep_.lower() or "dep"
        cells = (word.i - tree.start + 1, word.text, word.lemma_ or "_", word.pos_ or "_", word.tag_ or "_", "_", head)
        lines.append("\t".join([*map(str, cells), relation, "_", "_"]))
    return "\n".join(lines) + "\n\n"
