"""A gazetteer: a file of known entities and their types, read for words that point to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import TaskConfig
from core.config.pointer import LONGEST_ENTRY, MOST_ENTRIES
from core.data.fetch import sha256_of
from core.data.readers.base import RawRow, shown
from core.data.readers.jsonl import open_jsonl
from core.data.readers.tables import open_table
from core.data.readers.text import broken, inspect_file, regular_file
from core.data.tasks.pointer_dictionary import dictionary_of, key_of
from core.data.tasks.words import spans, split_words
from core.errors import DataError

if TYPE_CHECKING:
    from core.data.assignment import Assignment
    from core.data.report import DataReport

__all__ = ["Gazetteer", "gazetteer_facts", "gazetteer_of", "tell_dictionary"]

_COLUMNS = ("entry", "type")
_NAMED = 5
_FIRST = 50


@dataclass(frozen=True)
class Gazetteer:
    """Entries with their types, and where each was read.

    Parameters
    ----------
    entries
        Pairs of entry and type.
    places
        Of each, for messages.
    source
        Name of the file, or of the plan's own list.
    digest
        SHA-256 of the file; empty for entries that stand in the plan.
    """

    entries: list[tuple[str, str]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    source: str = ""
    digest: str = ""


def gazetteer_of(task: TaskConfig) -> Gazetteer | None:
    """Read the gazetteer that a task names; None where it names none.

    Parameters
    ----------
    task
        The task.

    Raises
    ------
    DataError
        If the file cannot be read, has other columns than ``entry`` and ``type``, or rows that cannot be used: an
        empty or too long cell, an entry that stands there twice with one type, or more than 500 of them.
    """
    pointer = task.pointer
    if not task.entered or pointer.dictionary != "gazetteer":
        return None
    if pointer.gazetteer is None:
        listed = [(str(text).strip(), str(kind).strip()) for text, kind in pointer.entries or ()]
        numbered = [f"entry {number}" for number in range(1, len(listed) + 1)]
        return _checked(Gazetteer(listed, numbered, "task.pointer.entries"), [])
    if "\0" in pointer.gazetteer:
        raise DataError("The file name is not usable.", where="task.pointer.gazetteer", expected="a path")
    path = regular_file(Path(pointer.gazetteer).expanduser())
    name = shown(path.name)
    with broken(name):
        file = inspect_file(path, "auto")
    form = _form(path, file.head)
    source = open_jsonl(file) if form == "jsonl" else open_table(file, form)
    missing = [column for column in _COLUMNS if column not in source.columns]
    if missing:
        raise DataError(
            f"The gazetteer has no column {' and '.join(missing)}.", where=f"{name}, line 1",
            expected="the columns entry and type", advice="Name them in the first line (JSON lines: in each object).",
        )  # fmt: skip
    entries: list[tuple[str, str]] = []
    places: list[str] = []
    wrong: list[str] = []
    for row in source.rows():
        if len(entries) + len(wrong) >= MOST_ENTRIES + 1:
            break
        pair, problem = _pair(row)
        if pair is None:
            wrong.append(f"line {row.line}: {problem}")
        else:
            entries.append(pair)
            places.append(f"line {row.line}")
    return _checked(Gazetteer(entries, places, name, sha256_of(path)), wrong)


def _form(path: Path, head: str) -> str:
    names = [suffix.lower() for suffix in path.suffixes]
    if any(name in (".jsonl", ".ndjson", ".json") for name in names) or head.lstrip()[:1] == "{":
        return "jsonl"
    first = head.split("\n", 1)[0]
    return "tsv" if any(name in (".tsv", ".tab") for name in names) or first.count("\t") > first.count(",") else "csv"


def _pair(row: RawRow) -> tuple[tuple[str, str] | None, str]:
    if row.values is None:
        return None, row.problem or "it cannot be read"
    found = []
    for column in _COLUMNS:
        cell = row.values.get(column)
        if not isinstance(cell, str) or not cell.strip():
            return None, f"{column} is empty" if cell in (None, "") or isinstance(cell, str) else f"{column} is no text"
        found.append(" ".join(cell.split()))
    return (found[0], found[1]), ""


def _checked(found: Gazetteer, wrong: list[str]) -> Gazetteer:
    """Return the gazetteer; raise DataError with its places where an entry cannot be used."""
    if len(found.entries) + len(wrong) > MOST_ENTRIES:
        raise DataError(
            f"The gazetteer has more than {MOST_ENTRIES} entries; the encoder reads each of them in every step.",
            where=found.source, expected=f"at most {MOST_ENTRIES}",
            advice="Keep those that stand in the texts most often.",
        )  # fmt: skip
    seen: dict[tuple[str, str], str] = {}
    for (text, kind), place in zip(found.entries, found.places, strict=True):
        if not text or not kind:
            wrong.append(f"{place}: {'entry' if not text else 'type'} is empty")
        elif len(text) > LONGEST_ENTRY:
            wrong.append(f"{place}: {shown(text, 30)} has {len(text)} characters, more than {LONGEST_ENTRY}")
        elif not split_words(text):
            wrong.append(f"{place}: {shown(text, 30)!r} holds no word")
        else:
            first = seen.setdefault((key_of(text), kind), place)
            if first != place:
                wrong.append(f"{place}: {shown(text, 30)} ({shown(kind, 30)}) stands in {first} already")
    if wrong:
        raise DataError(
            f"{len(wrong):,} {'entries' if len(wrong) > 1 else 'entry'} of the gazetteer cannot be used.",
            where=f"{found.source}, {_listed(wrong)}",
            expected="an entry and its type a row, each pair once (without case and white space)",
            advice="Mend or remove these rows.",
        )  # fmt: skip
    if not found.entries:
        raise DataError("The gazetteer has no entries.", where=found.source, expected="an entry and its type a row")
    return found


def _listed(places: Sequence[str]) -> str:
    return "; ".join(places[:_NAMED]) + (f"; and {len(places) - _NAMED} more" if len(places) > _NAMED else "")


def gazetteer_facts(task: TaskConfig) -> dict[str, Any]:
    """Read the gazetteer that a task names, for a look at it.

    Returns
    -------
    dict
        ``source`` (name of the file), ``entries`` (how many), ``types`` {type: entries, most first} and ``first`` (up
        to 50 pairs of entry and type). Zero entries where the task names none.

    Raises
    ------
    DataError
        As :func:`gazetteer_of`.
    """
    found = gazetteer_of(task) or Gazetteer()
    types = Counter(kind for _, kind in found.entries)
    return {
        "source": found.source, "entries": len(found.entries), "types": dict(types.most_common()),
        "first": [list(pair) for pair in found.entries[:_FIRST]],
    }  # fmt: skip


def tell_dictionary(report: DataReport, found: Assignment, task: TaskConfig) -> None:
    """Tell which entries a dictionary has, and how many of the training rows' entities they say; or why it has none."""
    if not task.entered:
        return
    types = sorted({name[2:] for name in found.labels if name.startswith("B-")})
    try:
        gazetteer = gazetteer_of(task)
        if gazetteer is not None:
            pointer = task.pointer.model_copy(update={"entries": gazetteer.entries, "gazetteer": None})
            task = task.model_copy(update={"pointer": pointer})
        dictionary = dictionary_of(task, types)
    except DataError as error:
        report.refuse("dictionary", error)
        return
    assert dictionary is not None
    listed = task.pointer.entries or []
    places = gazetteer.places if gazetteer is not None else [f"entry {at}" for at in range(1, len(listed) + 1)]
    source = gazetteer.source if gazetteer is not None else "task.pointer.entries"
    unknown = [
        f"{place}: {shown(text, 30)} has the type {shown(kind, 30)}"
        for (text, kind), place in zip(listed, places, strict=True) if kind not in types
    ]  # fmt: skip
    if unknown:
        report.add(
            "error", "dictionary", f"{len(unknown):,} entries of the dictionary have a type that the rows lack.",
            f"{source}, {_listed(unknown)}",
            f"Expected: one of {', '.join(shown(name, 40) for name in types[:20])}. Mend or remove these entries.",
        )  # fmt: skip
        return
    entities, covered = _covered(found, dictionary.find)
    report.dictionary = {
        "kind": task.pointer.dictionary, "source": gazetteer.source if gazetteer is not None else None,
        "sha256": gazetteer.digest or None if gazetteer is not None else None, "entries": len(dictionary),
        "entities": entities, "covered": covered,
    }  # fmt: skip
    if gazetteer is None:
        names = ", ".join(f"{one.text} ({one.kind})" for one in dictionary.entries[:20])
        report.add("note", "dictionary", f"The dictionary has {len(dictionary)} entries, one a type: {names}.")
        return
    share = f"{covered / entities:.1%}" if entities else "0 %"
    report.add(
        "note" if covered else "warning", "dictionary",
        f"The gazetteer has {len(dictionary)} entries; {covered:,} of the {entities:,} entities in the training rows "
        f"stand in it ({share}).", source,
        "" if covered else "No pointer to an entry is learnt: use entries that the rows hold.",
    )  # fmt: skip


def _covered(found: Assignment, find: Any) -> tuple[int, int]:
    """Return how many entities the training rows have, and how many of them an entry says."""
    entities = covered = 0
    for table, rows in found.parts("train"):
        names = table.reading.labels
        part = table.arrow().select(["tokens", "tags"]).take(rows)  # of spans that nest the outermost ones are learnt
        for batch in part.to_batches(max_chunksize=1000):
            for tokens, tags in zip(batch["tokens"].to_pylist(), batch["tags"].to_pylist(), strict=True):
                for kind, first, last in spans([names[tag] for tag in tags]):
                    entities += 1
                    covered += find(tokens[first : last + 1], kind) is not None
    return entities, covered
