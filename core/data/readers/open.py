"""From the plan's words (a sample, a file, hub:NAME) to an opened source."""

from __future__ import annotations

import hashlib
from pathlib import Path

from core.config import Columns, DataConfig, TaskConfig
from core.data.readers.base import Source, shown
from core.data.readers.conll import looks_like_conll, looks_like_conllu, open_conll, open_conllu
from core.data.readers.jsonl import open_jsonl
from core.data.readers.parquet import open_parquet
from core.data.readers.squad import looks_like_squad, open_squad
from core.data.readers.tables import fitting, open_table
from core.data.readers.text import TextFile, broken, inspect_file, regular_file
from core.errors import DataError

__all__ = ["detect_format", "open_source"]

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".conllu": "conllu",
    ".conll": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".bioes": "conll",
}
_COMPRESSED = {".gz", ".bz2", ".xz"}
_MORE = {
    "tagging": ", CoNLL or CoNLL-U", "dependency": " with lists, CoNLL or CoNLL-U",
    "question_answering": ", or JSON as SQuAD writes it",
}  # fmt: skip
#: Files up to this size are told apart by their whole content, larger ones by size, time and both ends.
_HASHED = 64_000_000
_END = 1 << 20


def open_source(data: DataConfig, task: TaskConfig, role: str = "train") -> Source:
    """Open the source of one role.

    Parameters
    ----------
    data
        Names the source, its format, encoding and columns.
    task
        Samples are refused for a task that they have no labels for.
    role
        train (``data.source``), gate (``data.gate_source``) or test (``data.test_source``).

    Raises
    ------
    DataError
        If it cannot be opened as a table of the task's kind.
    HubError
        If it is a hub data set that cannot be reached.
    """
    named = {"train": data.source, "gate": data.gate_source, "test": data.test_source}[role]
    if not named:
        raise DataError(f"The plan names no source for {role}.")
    # Imported here because `python -m core.data.samples` must find its module not yet imported by the package.
    from core.data.samples import sample_names

    if named in sample_names():
        return _open_sample(named, task)
    hub = named.startswith("hub:")
    if hub or (role != "train" and data.source.startswith("hub:") and "/" not in named and "." not in named):
        from core.data.readers.hub import open_hub

        # A hub source's other roles are usually splits of the same data set.
        name = (named if hub else data.source).removeprefix("hub:")
        return open_hub(name, data.subset, data.split if hub else named, data.revision)
    if "\0" in named or len(named) > 4096:
        raise DataError("The file name is not usable.", where=shown(named), expected="a path without NUL characters")
    return _open_file(regular_file(Path(named).expanduser()), data, task)


def _open_sample(name: str, task: TaskConfig) -> Source:
    from core.data.sample_rows import open_sample
    from core.data.samples import sample, samples

    info = sample(name)
    if task.kind not in info.tasks or task.multi_label:
        kind = "multi-label classification" if task.multi_label else task.kind
        fitting_names = [one.name for one in samples() if task.kind in one.tasks and not task.multi_label]
        has = f"it has labels for {info.tasks[0]}" if info.tasks else "it is plain text without labels"
        raise DataError(
            f"The sample {name!r} cannot be used for {kind}: {has}.",
            where="data.source",
            expected=f"a file, or a sample with labels: {', '.join(fitting_names)}"
            if fitting_names
            else "a CoNLL-U file, or a table with heads"
            if task.kind == "dependency"
            else "a file with several labels a row",
            advice="`bertloom data trees` writes silver trees of an English source."
            if task.kind == "dependency"
            else None,
        )
    return open_sample(name)


def _open_file(path: Path, data: DataConfig, task: TaskConfig) -> Source:
    name = shown(path.name)
    with broken(name):
        key = _content_key(path)
        with path.open("rb") as stream:
            parquet = stream.read(4) == b"PAR1"
    if parquet or data.format == "parquet":
        if data.format not in ("auto", "parquet"):
            raise DataError("This is a Parquet file.", where=name, expected=f"{data.format}, as the plan says")
        source = open_parquet(path)
    else:
        file = inspect_file(path, data.encoding)
        form = data.format if data.format != "auto" else detect_format(file, task)
        source = _open_text(file, form, data.columns)
        source.details |= {"compression": file.compression} if file.compression else {}
        if file.guessed:
            source.notes.append(
                {
                    "level": "warning",
                    "code": "encoding_guessed",
                    "where": name,
                    "message": f"The encoding was guessed from the bytes: {file.encoding}.",
                    "advice": "Look at the preview; name the encoding if characters look wrong.",
                }
            )
    source.key = f"{key} {source.format} {source.encoding} {sorted(source.details.items())}"
    return source


def _open_text(file: TextFile, form: str, columns: Columns) -> Source:
    if form == "jsonl":
        return open_jsonl(file)
    if form == "conll":
        return open_conll(file)
    if form == "conllu":
        return open_conllu(file)
    if form == "squad":
        return open_squad(file)
    source = open_table(file, form)
    given = [column for column in columns.model_dump().values() if column]
    if given and all(column.isdecimal() and column not in source.columns for column in given):
        # Columns given by number: the table has no header.
        return open_table(file, form, numbered=True)
    return source


def detect_format(file: TextFile, task: TaskConfig) -> str:
    """Tell the format of a text file by its name, and by its first lines where the name says nothing.

    Raises
    ------
    DataError
        If it looks like no table.
    """
    if looks_like_squad(file.head):
        if task.kind != "question_answering":
            raise DataError(
                "The file holds questions about contexts, nested as SQuAD writes them.", where=shown(file.path.name),
                expected=f"a table for {task.kind}", advice="Set task.kind to question_answering.",
            )  # fmt: skip
        return "squad"
    suffixes = [suffix.lower() for suffix in file.path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    last = suffixes[-1] if suffixes else ""
    if last in _SUFFIXES and _SUFFIXES[last] != "parquet":
        return "conllu" if _SUFFIXES[last] == "conll" and looks_like_conllu(file.head) else _SUFFIXES[last]
    if file.head.lstrip()[:1] == "{":
        return "jsonl"
    if looks_like_conllu(file.head):
        return "conllu"
    if looks_like_conll(file.head):
        return "conll"
    if fitting(file.head):
        first = file.head.split("\n", 1)[0]
        return "tsv" if "\t" in first and first.count("\t") >= first.count(",") else "csv"
    raise DataError(
        "This is not a table: no format fits its first lines.",
        where=shown(file.path.name),
        expected="CSV, TSV, JSON lines, Parquet" + _MORE.get(task.kind, ""),
        advice="Choose the format if it is one of these.",
    )


def _content_key(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    size = path.stat().st_size
    with path.open("rb") as stream:
        if size <= _HASHED:
            while block := stream.read(_END):
                digest.update(block)
            return f"{size} {digest.hexdigest()}"
        digest.update(stream.read(_END))
        stream.seek(-_END, 2)
        digest.update(stream.read(_END))
    return f"{size} {path.stat().st_mtime_ns} {path.absolute()} {digest.hexdigest()}"
