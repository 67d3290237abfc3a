"""A table of scores from anywhere, judged: what ``bertloom compare check`` says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.readers import shown
from core.errors import ConfigError, DataError
from core.runs.compare.reading import ScoreTable, read_scores
from core.runs.compare.results import TableVerdict, judge_scores

__all__ = ["ScoreCheck", "check_scores", "seed_names"]

_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")
_MOST_SEEDS = 10_000


@dataclass(frozen=True)
class ScoreCheck:
    """A judged table.

    Parameters
    ----------
    table
        What was read.
    verdicts
        One a task and pair of strategies.
    notices
        What was left out, and what else to know, in sentences.
    """

    table: ScoreTable
    verdicts: tuple[TableVerdict, ...]
    notices: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "source": self.table.source, "rows": self.table.rows, "columns": self.table.columns,
            "tasks": [
                {"task": one.task, "strategies": one.strategies, "runs": len(one.runs), "documents": len(one.documents)}
                for one in self.table.scores
            ],
            "verdicts": [one.as_dict() for one in self.verdicts], "notices": list(self.notices),
        }  # fmt: skip


def check_scores(
    path: Path,
    *,
    margin: float = 0.01,
    seeds: str | None = None,
    columns: Mapping[str, str] | None = None,
    lower_is_better: bool = False,
    unpaired: bool = False,
    reference: str | None = None,
) -> ScoreCheck:
    """Read a table of scores and compare its strategies, task by task and two by two.

    Parameters
    ----------
    path
        CSV, TSV, JSON lines or Parquet.
    margin
        Differences below it do not matter; in the unit of the scores.
    seeds
        Only these, as :func:`seed_names` reads them.
    columns
        What → its column, where it is not called so.
    lower_is_better
        For losses.
    unpaired
        Runs of one seed have nothing in common.
    reference
        Compare with this strategy only.

    Raises
    ------
    DataError
        If the table cannot be used, or holds one strategy only.
    ConfigError
        If an option names something that is not there.
    """
    wanted = seed_names(seeds)
    table = read_scores(path, columns=columns, seeds=None if wanted is None else frozenset(wanted))
    strategies = list(dict.fromkeys(name for one in table.scores for name in one.strategies))
    if reference is not None and reference not in strategies:
        raise ConfigError(
            f"There is no strategy {shown(reference)!r}.", where=f"{table.source}, --reference",
            expected=f"one of {', '.join(shown(name, 40) for name in strategies[:20])}",
        )  # fmt: skip
    verdicts = judge_scores(
        table.scores, margin=margin, larger_is_better=not lower_is_better, paired=not unpaired, reference=reference
    )
    if not verdicts:
        each = " in each task" if len(table.scores) > 1 else ""
        raise DataError(
            f"The table holds a single strategy{each}: {', '.join(shown(name, 40) for name in strategies[:5])}.",
            where=f"{table.source}, column {table.columns['strategy']!r}", expected="two strategies to compare",
        )  # fmt: skip
    return ScoreCheck(table, tuple(verdicts), tuple(_notices(table, verdicts, margin, wanted, unpaired)))


def seed_names(text: str | None) -> list[str] | None:
    """Return the seeds that a text like ``0-4,7`` names; ``None`` for none: all.

    Raises
    ------
    ConfigError
        If it names none, or too many.
    """
    if text is None:
        return None
    found: list[str] = []
    for part in (piece.strip() for piece in text.split(",")):
        match = _RANGE.fullmatch(part)
        if match is None:
            found += [part] if part else []
            continue
        first, last = (int(value) for value in match.groups())
        if last < first or last - first >= _MOST_SEEDS:
            raise ConfigError(f"{part!r} is no range of seeds.", where="--seeds", expected="seeds like 0-4,7")
        found += [str(seed) for seed in range(first, last + 1)]
    if not found:
        raise ConfigError("No seed is named.", where="--seeds", expected="seeds like 0-4,7")
    return list(dict.fromkeys(found))


def _notices(
    table: ScoreTable, verdicts: Sequence[TableVerdict], margin: float, wanted: Sequence[str] | None, unpaired: bool
) -> list[str]:
    found = []
    if wanted is not None:
        there = {seed for one in table.scores for _, seed in one.runs}
        lacking = [seed for seed in wanted if seed not in there]
        if lacking:
            found.append(f"Not in the table: seed {_list(lacking)}.")
    compared = {one.task for one in verdicts}
    found += [
        f"Task {shown(one.task, 40)} has a single strategy, or lacks the reference: nothing to compare."
        for one in table.scores
        if one.task not in compared
    ]
    for verdict in verdicts:
        what = f"{shown(verdict.a, 40)} and {shown(verdict.b, 40)}"
        if verdict.task is not None:
            what = f"{shown(verdict.task, 40)}, {what}"
        for name, lone in verdict.left_out["seeds"].items():
            seeds = "seed" if len(lone) == 1 else f"{len(lone)} seeds"
            found.append(f"{what}: left out {seeds} that only {shown(name, 40)} has: {_list(lone)}.")
        if verdict.left_out["documents"]:
            count = verdict.left_out["documents"]
            found.append(
                f"{what}: left out {count:,} {'documents' if count > 1 else 'document'} that not all their runs have."
            )
        if not verdict.comparison.both_interval and verdict.comparison.interval:
            found.append(f"{what}: one document in common, so the interval is over seeds only.")
    if not unpaired and any(one.comparison.why == "no seed in common" for one in verdicts):
        found.append("Seeds that differ by strategy are compared as runs of their own with --unpaired.")
    if table.highest > 1.5 and margin <= 0.05:
        found.append(
            f"Scores reach {table.highest:g}, and the margin of {margin:g} is in their unit: for points of a hundred "
            "it would be --margin 1."
        )
    return found


def _list(names: Sequence[str]) -> str:
    told = ", ".join(shown(name, 30) for name in names[:10])
    return told + (f" and {len(names) - 10} more" if len(names) > 10 else "")
