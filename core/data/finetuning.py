"""The finetuning set of a plan beside its original set: its rows, what they were made of, the guard, and the fit.

Nothing is refused here: :mod:`core.data.finetuning_findings` says what a person should know of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import Columns, DataConfig, TaskConfig
from core.data.carving import first_of_each
from core.data.derive.rows import HASH_COLUMN, file_of
from core.data.derive.write import read_provenance
from core.data.fit import Shift, length_bins, patterns, shift
from core.data.readers.base import Source, UnusableData, shown
from core.data.readers.open import open_source
from core.data.reading import NAMED
from core.data.table import Table, read_table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["Finetuning", "Known", "finetuning_data", "read_finetuning"]


@dataclass(frozen=True)
class Known:
    """What the guard knows of gate and test, and the original set: rows of a table by the hashes of their texts.

    Parameters
    ----------
    table
        Where the rows lie.
    indices
        Which of them, shape (rows,).
    keys
        Hash of the text of each row of the table, of a question its context; shape (rows of the table,).
    """

    table: Table
    indices: np.ndarray
    keys: np.ndarray


@dataclass
class Finetuning:
    """A finetuning set.

    Parameters
    ----------
    table, indices
        Its rows, and which of them are used, shape (rows,).
    leaks, leaking
        Rows that stand in gate or test, or were made of a row there: {"row", "made_of", "role", "other", "text"}, 20
        at most; and how many there are.
    dropped
        Reason → rows left out by ``drop_duplicates``: ``repeated`` (an earlier row of the set has the text),
        ``original`` (the original set has it and both are learnt from), ``leaking``.
    repeats
        Rows that the original set holds too.
    missing, extra
        Labels that only the original set has; labels that only this one has.
    labels, lengths
        Shifts against the original set; None where nothing can be compared.
    classes, unit
        Names of the labels that were compared; what lengths are counted in.
    record
        What is known of how it was made: ``steps``, ``source``, ``fits``; None if nothing is.
    """

    table: Table
    indices: np.ndarray
    leaks: list[dict[str, Any]] = field(default_factory=list)
    leaking: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    labels: Shift | None = None
    lengths: Shift | None = None
    classes: list[str] = field(default_factory=list)
    unit: str = "characters"
    record: dict[str, Any] | None = None


def finetuning_data(data: DataConfig, task: TaskConfig) -> tuple[DataConfig, Source]:
    """Return a plan's data as if its finetuning set were the source, and that source.

    A set that was derived has the standard columns and is JSON, whatever the original is; one that a person made may
    have the original's columns. So format and encoding are found, and named columns count where the file has them.
    """
    named = data.finetuning_source or ""
    bare = DataConfig(
        source=named, subset=data.subset, revision=data.revision, split=data.split, span_offsets=data.span_offsets
    )
    source = open_source(bare, task)
    given = data.columns.model_dump()
    columns = {what: column for what, column in given.items() if column in source.columns}
    return bare.model_copy(update={"columns": Columns(**columns)}), source


def read_finetuning(data: DataConfig, task: TaskConfig, cache: Path, known: dict[str, Known]) -> Finetuning:
    """Read the finetuning set and hold it against the other rows.

    Parameters
    ----------
    data, task
        As in the plan.
    cache
        The home's cache folder.
    known
        ``original`` (the training rows of the source), ``gate`` and ``test``.

    Raises
    ------
    DataError
        If it cannot be opened; :class:`~core.data.readers.base.UnusableData` if it has no usable row.
    """
    import numpy as np

    own, source = finetuning_data(data, task)
    table = read_table(own, task, cache)
    arrow = table.arrow()
    keys = arrow.column("key").to_numpy()
    groups = arrow.column("group").to_numpy() if "group" in arrow.column_names else keys
    _same_columns(table, known["original"].table)
    found = Finetuning(table, np.arange(len(keys)))
    found.record, origins = _origins(own, source)
    leaking = _guard(found, groups, origins, known)
    original = known["original"]
    in_original = np.isin(keys, original.table.arrow().column("key").to_numpy()[original.indices])
    found.repeats = int(in_original.sum())
    if data.drop_duplicates:
        repeated = first_of_each(keys) != np.arange(len(keys))
        double = in_original & ~repeated & (data.training == "together")
        found.dropped = {
            "leaking": int(leaking.sum()), "repeated": int((repeated & ~leaking).sum()),
            "original": int((double & ~leaking).sum()),
        }  # fmt: skip
        found.indices = np.flatnonzero(~(leaking | repeated | double))
        found.leaks, found.leaking = [], 0
    if len(found.indices):
        _compare(found, original, task)
    return found


def _same_columns(table: Table, original: Table) -> None:
    one, other = set(original.arrow().column_names), set(table.arrow().column_names)
    if one != other:
        raise UnusableData(
            "Only one of the original and the finetuning set has pairs of texts.", where=table.reading.source,
            expected=f"rows with {' and '.join(sorted(one & {'text', 'text_pair'}))}",
            advice="Name the columns, or derive the set anew from rows of the same kind.",
        )  # fmt: skip


def _origins(own: DataConfig, source: Source) -> tuple[dict[str, Any] | None, dict[int, tuple[int | None, list[int]]]]:
    """Return the record of the set, and of each row (by number) the source row and its hashes."""
    path = file_of(own.source)
    record = read_provenance(path) if path is not None and path.is_file() else None
    origins: dict[int, tuple[int | None, list[int]]] = {}
    if record is not None and record["fits"]:
        origins = {at: (row, _numbers(hashes)) for at, (row, hashes) in enumerate(record["rows"], 1)}
    elif HASH_COLUMN in source.columns:
        # An uploaded copy has no record beside it, but its rows know what they were made of.
        for raw in source.rows():
            cells = (raw.values or {}).get(HASH_COLUMN)
            if isinstance(cells, list):
                row = (raw.values or {}).get("source_row")
                origins[raw.number] = (row if isinstance(row, int) else None, _numbers(cells))
    if record is None:
        return None, origins
    short = {name: record.get(name) for name in ("made_by", "source", "steps", "seed", "fits")}
    short["steps"] = [{name: step[name] for name in ("step", "before", "after")} for step in record["steps"]]
    return short, origins


def _numbers(hashes: list[Any]) -> list[int]:
    found = []
    for one in hashes:
        try:
            found.append(int.from_bytes(bytes.fromhex(str(one)), "little"))
        except ValueError:
            continue
    return [number for number in found if number < 1 << 64]


def _guard(
    found: Finetuning, groups: np.ndarray, origins: dict[int, tuple[int | None, list[int]]], known: dict[str, Known]
) -> np.ndarray:
    """Find the rows that stand in gate or test, themselves or by what they were made of. Shape (rows,)."""
    import numpy as np

    arrow = found.table.arrow()
    numbers = arrow.column("row").to_numpy()
    places = [np.flatnonzero(np.isin(numbers, list(origins)))] if origins else []
    leaking = np.zeros(len(groups), dtype=bool)
    for role in ("gate", "test"):
        other = known[role]
        keys = other.keys[other.indices]
        first = dict(zip(keys[::-1].tolist(), other.indices[::-1].tolist(), strict=True))
        hits: dict[int, int] = {int(at): first[int(groups[at])] for at in np.flatnonzero(np.isin(groups, keys))}
        for at in places[0].tolist() if places else ():
            for one in origins[int(numbers[at])][1]:
                if one in first:
                    hits.setdefault(at, first[one])
        for at, there in sorted(hits.items()):
            leaking[at] = True
            if len(found.leaks) < NAMED:
                found.leaks.append(
                    {
                        "row": int(numbers[at]), "made_of": origins.get(int(numbers[at]), (None, []))[0], "role": role,
                        "other": int(other.table.arrow().column("row")[there].as_py()), "text": _text(arrow, at),
                    }
                )  # fmt: skip
    found.leaking = int(leaking.sum())
    return leaking


def _text(arrow: pa.Table, at: int) -> str:
    name = next(name for name in ("context", "text", "tokens") if name in arrow.column_names)
    cell = arrow.column(name)[at].as_py()
    return shown(cell if isinstance(cell, str) else " ".join(cell))


def _compare(found: Finetuning, original: Known, task: TaskConfig) -> None:
    import numpy as np

    names = {one: _names(table, task) for one, table in (("original", original.table), ("finetuning", found.table))}
    rows = {
        "original": _classes(original.table, original.indices, task),
        "finetuning": _classes(found.table, found.indices, task),
    }
    met = {one: {names[one][code] for row in rows[one] for code in row} for one in rows}
    if task.kind != "question_answering" and (task.kind != "dependency" or task.relations):
        found.extra = sorted(met["finetuning"] - met["original"])
        # A treebank's rarest relations need not stand in each part.
        found.missing = sorted(met["original"] - met["finetuning"]) if task.kind != "dependency" else []
    found.classes = sorted(met["original"] | met["finetuning"])
    code = {name: at for at, name in enumerate(found.classes)}
    coded = {
        one: patterns([[code[names[one][label]] for label in row] for row in rows[one]], len(found.classes))
        for one in rows
    }
    found.labels = shift(coded["original"], coded["finetuning"])
    sizes = {
        "original": _sizes(original.table, original.indices), "finetuning": _sizes(found.table, found.indices),
    }  # fmt: skip
    found.unit = "words" if "tokens" in found.table.arrow().column_names else "characters"
    bins = {one: length_bins(sizes["original"], sizes[one]) for one in sizes}
    count = int(max(bins["original"].max(), bins["finetuning"].max())) + 1
    binned = {one: (np.eye(count, dtype=np.int64), np.bincount(bins[one], minlength=count)) for one in bins}
    found.lengths = shift(binned["original"], binned["finetuning"])


def _names(table: Table, task: TaskConfig) -> list[str]:
    """Return the class of each label code: of a tag the type of entity."""
    return [name[2:] if task.kind == "tagging" and name != "O" else name for name in table.reading.labels]


def _classes(table: Table, indices: np.ndarray, task: TaskConfig) -> list[list[int]]:
    """Return the label codes of each row: of tagged sentences those of ``B-`` tags, one an entity."""
    column = table.arrow().column(table.label_column).take(indices)
    cells: list[Any] = column.to_pylist()
    if table.label_column == "label":
        return [[cell] for cell in cells]
    if task.kind != "tagging":
        return cells
    begins = {code for code, name in enumerate(table.reading.labels) if name.startswith("B-")}
    return [[code for code in row if code in begins] for row in cells]


def _sizes(table: Table, indices: np.ndarray) -> np.ndarray:
    """Return the length of each row: words, or characters of all its texts."""
    import pyarrow.compute as pc

    arrow = table.arrow().take(indices)
    if "tokens" in arrow.column_names:
        words: np.ndarray = pc.list_value_length(arrow.column("tokens")).to_numpy()
        return words
    texts = [name for name in ("text", "text_pair", "question", "context") if name in arrow.column_names]
    characters: np.ndarray = sum(pc.utf8_length(arrow.column(name)).to_numpy() for name in texts)
    return characters
