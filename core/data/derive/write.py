"""The files of a finetuning set: its rows as JSON lines or as SQuAD's JSON, and beside them how they came about."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import core
from core.data.derive.rows import HASH_COLUMN, ROW_COLUMN, Item, file_of
from core.data.derive.run import Derived
from core.data.fetch import sha256_of
from core.errors import ConfigError, DataError, StorageError

__all__ = ["provenance_path", "read_provenance", "write_derived"]

_LINES, _NESTED = (".jsonl", ".ndjson"), (".json",)
_FORMAT = 1


def provenance_path(path: Path) -> Path:
    """Return where the record of a derived file stands: beside it."""
    return path.with_name(f"{path.name}.provenance.json")


def write_derived(done: Derived, out: Path, rest: Path | None = None, *, overwrite: bool = False) -> dict[str, Any]:
    """Write the rows and their record; with `rest` also the source's rows outside of the chosen part.

    Parameters
    ----------
    done
        The finetuning set.
    out
        ``….jsonl`` for one row a line, ``….json`` for questions as SQuAD 2.0 writes them. The record stands beside it.
    rest
        ``….jsonl`` for the rows that were not taken, for example as gate rows.
    overwrite
        Whether files that are there may be replaced.

    Returns
    -------
    dict
        The record, without its list of rows.

    Raises
    ------
    ConfigError
        If a name has another ending, is the source itself, or is taken; if there is no rest.
    StorageError
        If a file cannot be written.
    """
    nested = out.suffix.lower() in _NESTED
    source = file_of(done.config.source)
    _check_names(done, out, rest, source, overwrite=overwrite)
    text = _squad(done) if nested else "".join(_lines(done.items))
    record: dict[str, Any] = {
        "format": _FORMAT,
        "made_by": f"bertloom {core.__version__}",
        "output": {
            "file": out.name, "format": "squad" if nested else "jsonl", "form": done.form, "rows": len(done.items),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        },
        "source": {"given": done.config.source, **done.source}
        | ({"file_sha256": sha256_of(source)} if source is not None else {}),
        "config": done.config.model_dump(mode="json", exclude_defaults=True),
        "seed": done.config.seed,
        "steps": done.steps,
    }  # fmt: skip
    if done.left:
        record["left"] = {"rows": len(done.left), "file": rest.name if rest is not None else None}
    _write(out, text)
    if rest is not None:
        _write(rest, "".join(_lines(done.left)))
    _write(provenance_path(out), _with_rows(record, done.items))
    return record


def read_provenance(path: Path) -> dict[str, Any] | None:
    """Return the record beside a derived file; None if there is none.

    ``rows`` then holds [source row, hashes] of each row of the file, and ``fits`` tells whether the record is that of
    this very file.

    Raises
    ------
    DataError
        If there is a record that cannot be read.
    """
    place = provenance_path(path)
    try:
        text = place.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The record of the derived rows cannot be read: {error}.", where=str(place)) from error
    try:
        record = json.loads(text)
        rows = [line.split() for line in record["rows"]]
        record["rows"] = [(int(row), hashes) for row, *hashes in rows]
        record["fits"] = record["output"]["sha256"] == sha256_of(path)
        record["source"]["name"], record["steps"][0]["before"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError, RecursionError) as error:
        raise DataError(
            "The record of the derived rows is not one that Bertloom wrote.", where=str(place),
            advice="Derive the file again, or remove the record: the file is then read like any other.",
        ) from error  # fmt: skip
    return dict(record)


def _check_names(done: Derived, out: Path, rest: Path | None, source: Path | None, *, overwrite: bool) -> None:
    if out.suffix.lower() not in (*_LINES, *_NESTED):
        raise ConfigError("The file's name tells no format.", where=str(out), expected="a name that ends in .jsonl, or "
                          "in .json for questions as SQuAD writes them")  # fmt: skip
    if out.suffix.lower() in _NESTED and done.form != "question_answering":
        raise ConfigError("Only questions are written as SQuAD's JSON.", where=str(out), expected=f"{out.stem}.jsonl")
    if rest is not None and rest.suffix.lower() not in _LINES:
        raise ConfigError("The rest is written as JSON lines.", where=str(rest), expected="a name that ends in .jsonl")
    if rest is not None and not done.left:
        raise ConfigError(
            "There is no rest: all rows of the source are taken.", where=str(rest), expected="part, like {share: 0.5}"
        )
    files = [out, provenance_path(out), *([rest] if rest is not None else [])]
    for number, file in enumerate(files):
        if source is not None and _same(file, source):
            raise ConfigError("The output would take the place of its own source.", where=str(file))
        if any(_same(file, other) for other in files[:number]):
            raise ConfigError("Two outputs have one name.", where=str(file))
        if file.exists() and not overwrite:
            raise ConfigError(
                "The file is there already.", where=str(file), expected="a new name",
                advice="Give --overwrite to replace it.",
            )  # fmt: skip


def _same(one: Path, other: Path) -> bool:
    return one.expanduser().absolute() == other.expanduser().absolute()


def _line(cells: dict[str, Any]) -> str:
    return json.dumps(cells, ensure_ascii=False) + "\n"


def _lines(items: Sequence[Item]) -> Iterator[str]:
    for item in items:
        yield _line({**item.values, ROW_COLUMN: item.number, HASH_COLUMN: list(item.hashes)})


def _squad(done: Derived) -> str:
    paragraphs: list[dict[str, Any]] = []
    for item in done.items:
        values = item.values
        if not paragraphs or paragraphs[-1]["context"] != values["context"]:
            paragraphs.append({"context": values["context"], "qas": []})
        answers = [
            {"text": text, "answer_start": start}
            for text, start in zip(values["answers"], values["start"], strict=True)
        ]
        paragraphs[-1]["qas"].append(
            {
                "id": values["id"], "question": values["question"], "answers": answers,
                "is_impossible": values["is_impossible"], ROW_COLUMN: item.number, HASH_COLUMN: list(item.hashes),
            }
        )  # fmt: skip
    whole = {"version": "v2.0", "data": [{"title": done.source["name"], "paragraphs": paragraphs}]}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def _with_rows(record: dict[str, Any], items: Sequence[Item]) -> str:
    """Return the record as JSON with one line a row of the file: its source row and its hashes."""
    rows = [" ".join([str(item.number), *item.hashes]) for item in items]
    return json.dumps({**record, "rows": rows}, ensure_ascii=False, indent=1) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        partial = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
            partial.chmod(0o644)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"The file cannot be written: {error.strerror or error}.", where=str(path),
            expected="a folder that is there and may be written to",
        ) from error  # fmt: skip
