"""Reading a table of scores (CSV, TSV, JSON lines, Parquet), every row of it or none: what is wrong is named by row."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.config import DataConfig, TaskConfig
from core.data.readers import RawRow, Source, open_source, shown
from core.errors import ConfigError, DataError
from core.runs.compare.results import Scores

__all__ = ["COLUMNS", "ScoreTable", "read_scores"]

#: What a table must say, and what it may.
COLUMNS = ("strategy", "seed", "document", "score")
_OPTIONAL = ("task",)
_EXPECTED = "CSV, TSV, JSON lines or Parquet with the columns strategy, seed, document, score and, if several, task"
#: Rows that a message names.
_NAMED = 5
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class ScoreTable:
    """A table of scores as it was read.

    Parameters
    ----------
    source
        Name of the file.
    rows
        Number of rows.
    columns
        What → the column that holds it.
    scores
        One a task.
    lowest, highest
        The range of the scores.
    """

    source: str
    rows: int
    columns: dict[str, str]
    scores: tuple[Scores, ...]
    lowest: float
    highest: float


def read_scores(
    path: Path, *, columns: Mapping[str, str] | None = None, seeds: frozenset[str] | None = None
) -> ScoreTable:
    """Read a table of (strategy, seed, document, score), optionally with a task.

    Seeds and documents are names: any text or whole number. Scores are numbers, or true and false for right and wrong.

    Parameters
    ----------
    path
        The file; compressed ones are unpacked while they are read.
    columns
        What (``strategy`` …) → the name of its column, where it has another one.
    seeds
        Only rows of these seeds.

    Raises
    ------
    DataError
        If it is no such table, a row lacks a name or a number, or a score stands there twice; rows and fields are
        named.
    ConfigError
        If `columns` names something else.
    """
    unknown = sorted(set(columns or {}) - {*COLUMNS, *_OPTIONAL})
    if unknown:
        raise ConfigError(
            f"A table of scores has no {shown(unknown[0])!r}.", where="--column",
            expected=f"one of {', '.join((*COLUMNS, *_OPTIONAL))}, as in --column score=f1",
        )  # fmt: skip
    source = _open(path)
    mapping = _mapping(source, columns or {})
    return _Reader(source, mapping, seeds).read()


def _open(path: Path) -> Source:
    if not path.expanduser().exists():
        raise DataError("The file does not exist.", where=shown(path, 300), expected=_EXPECTED)
    try:
        # An absolute path is never taken for a sample or a name on a hub.
        return open_source(DataConfig(source=str(path.expanduser().absolute())), TaskConfig())
    except DataError as error:
        raise DataError(error.what, where=error.where, expected=_EXPECTED, advice=error.advice) from error


def _mapping(source: Source, given: Mapping[str, str]) -> dict[str, str]:
    """Return what → its column: as named, else the column of that name, whatever its case."""
    found = {}
    folded = {column.strip().casefold(): column for column in reversed(source.columns)}
    for what in (*COLUMNS, *_OPTIONAL):
        wanted = given.get(what, what)
        column = wanted if wanted in source.columns else folded.get(wanted.strip().casefold())
        if column is not None:
            found[what] = column
        elif what in given:
            raise DataError(
                f"There is no column {shown(wanted)!r} for the {what}.", where=source.name,
                expected=f"one of the columns that were found: {_names(source.columns)}",
            )  # fmt: skip
    missing = [what for what in COLUMNS if what not in found]
    if missing:
        raise DataError(
            f"The table has no column {', '.join(missing)}.", where=source.name,
            expected=f"columns {', '.join(COLUMNS)} and, if there are several tasks, task; found were "
            f"{_names(source.columns)}",
            advice=f"Name the column if it is called otherwise: --column {missing[0]}=NAME.",
        )  # fmt: skip
    return found


def _names(columns: list[str]) -> str:
    names = ", ".join(shown(column, 40) for column in columns[:20])
    return names + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")


@dataclass
class _Problems:
    """Rows that cannot be used: all are counted, some are named."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, raw: RawRow, what: str) -> None:
        self.count += 1
        if len(self.named) < _NAMED:
            line = f" (line {raw.line})" if raw.line else ""
            self.named.append(f"row {raw.number}{line}: {what}")

    def where(self, source: str) -> str:
        more = f"; and {self.count - len(self.named)} more" if self.count > len(self.named) else ""
        return f"{source}, {'; '.join(self.named)}{more}"


class _Reader:
    """Reads names as codes, so that a million rows take some tens of megabytes."""

    def __init__(self, source: Source, mapping: dict[str, str], seeds: frozenset[str] | None) -> None:
        self.source, self.mapping, self.seeds = source, mapping, seeds
        self.codes: dict[str, dict[str, int]] = {what: {} for what in ("task", "strategy", "seed", "document")}
        self.columns = {what: array("q") for what in (*self.codes, "row")}
        self.scores = array("d")
        self.problems = _Problems()

    def read(self) -> ScoreTable:
        number = 0
        for raw in self.source.rows():
            number += 1
            self._row(raw)
        if self.problems.count:
            raise DataError(
                f"{self.problems.count} of {number} rows cannot be used, so nothing is compared.",
                where=self.problems.where(self.source.name),
                expected="a name for strategy, seed and document and a number for the score in every row",
                advice="Correct these rows, or leave out what was not measured: what is missing is told and counted.",
            )
        if not self.scores:
            told = "no row of these seeds" if number and self.seeds is not None else "no rows"
            known = f" Seeds that were found: {_names(list(self.codes['seed']))}." if number else ""
            raise DataError(f"The table has {told}.{known}", where=self.source.name, expected=_EXPECTED)
        self._refuse_doubles()
        scores = np.frombuffer(self.scores)
        found = tuple(self._task(name, code) for name, code in self.codes["task"].items())
        kept = tuple(one for one in found if one is not None)
        return ScoreTable(self.source.name, number, self.mapping, kept, float(scores.min()), float(scores.max()))

    def _row(self, raw: RawRow) -> None:
        if raw.values is None:
            self.problems.add(raw, raw.problem or "it cannot be read")
            return
        names = {}
        for what in self.codes:
            column = self.mapping.get(what)
            name = "" if column is None else _name(raw.values.get(column))
            if column is not None and not name:
                self.problems.add(raw, f"column {shown(column, 40)!r} is empty")
                return
            names[what] = name
        column = self.mapping["score"]
        score = _number(raw.values.get(column))
        if score is None:
            self.problems.add(raw, f"column {shown(column, 40)!r} holds {_told(raw.values.get(column))}, no number")
            return
        codes = {what: self.codes[what].setdefault(name, len(self.codes[what])) for what, name in names.items()}
        if self.seeds is not None and names["seed"] not in self.seeds:
            return
        for what, code in codes.items():
            self.columns[what].append(code)
        self.columns["row"].append(raw.number)
        self.scores.append(score)

    def _array(self, what: str) -> np.ndarray:
        return np.frombuffer(self.columns[what], dtype=np.int64)

    def _refuse_doubles(self) -> None:
        """Refuse a table in which one document has two scores of one run."""
        parts = [self._array(what) for what in self.codes]
        order = np.lexsort(parts[::-1])
        same = np.all([part[order][1:] == part[order][:-1] for part in parts], axis=0)
        places = np.flatnonzero(same)
        if not len(places):
            return
        rows = self._array("row")
        names = {what: list(codes) for what, codes in self.codes.items()}
        told = []
        for place in places[:_NAMED]:
            first, second = order[place], order[place + 1]
            key = ", ".join(
                f"{what} {shown(names[what][self._array(what)[second]], 40)}"
                for what in ("strategy", "seed", "document", "task")
                if what in self.mapping
            )
            told.append(f"rows {rows[first]} and {rows[second]}: {key}")
        more = f"; and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
        raise DataError(
            f"{len(places)} {'scores stand' if len(places) > 1 else 'score stands'} in the table twice.",
            where=f"{self.source.name}, {'; '.join(told)}{more}",
            expected="one score of a document for each strategy and seed",
            advice="If these are scores of several tasks, name them in a column task.",
        )

    def _task(self, name: str, code: int) -> Scores | None:
        mine = self._array("task") == code
        if not mine.any():
            return None
        strategy, seed, document = (self._array(what)[mine] for what in ("strategy", "seed", "document"))
        key = strategy * len(self.codes["seed"]) + seed
        _, first, run = np.unique(key, return_index=True, return_inverse=True)
        by_row = np.argsort(first)  # runs in the order of their first rows
        place = np.empty_like(by_row)
        place[by_row] = np.arange(len(by_row))
        documents, column = np.unique(document, return_inverse=True)
        values = np.full((len(first), len(documents)), np.nan)
        values[place[run], column] = np.frombuffer(self.scores)[mine]
        named = {what: list(codes) for what, codes in self.codes.items()}
        runs = tuple((named["strategy"][strategy[at]], named["seed"][seed[at]]) for at in first[by_row])
        told = tuple(named["document"][at] for at in documents)
        return Scores(name if "task" in self.mapping else None, runs, told, values)


def _name(cell: Any) -> str:
    """Return a name; whole numbers are written without a point, however a table spells them."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _number(cell: Any) -> float | None:
    if isinstance(cell, str):
        text = cell.strip()
        if text.casefold() in _TRUTH:
            return _TRUTH[text.casefold()]
        try:
            value = float(text)
        except ValueError:
            return None
    elif isinstance(cell, bool | int | float):
        try:
            value = float(cell)
        except OverflowError:
            return None
    else:
        return None
    return value if math.isfinite(value) else None


def _told(cell: Any) -> str:
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return "nothing"
    return repr(shown(cell, 40)) if isinstance(cell, str) else shown(cell, 40)
