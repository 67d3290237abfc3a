"""Verdicts on runs: those of one plan with several seeds are one strategy, and strategies are compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, takewhile
from typing import Any

import numpy as np

from core.runs.compare import Documents, Pair, compare
from core.runs.compare.documents import answered
from core.runs.compare.results import TableVerdict, too_few
from core.runs.records import RunRecord, Status

__all__ = ["RunVerdicts", "Strategy", "judge_runs", "strategies_of"]

#: Strategies that are compared two by two; more make so many comparisons that nothing can be told.
MOST_STRATEGIES = 8
#: Scores that are known row by row, and whether a row is right or wrong.
_BY_ROWS = {"strict_f1": False, "accuracy": True, "f1": False, "em": True} | dict.fromkeys(
    ("span_f1", "las", "uas", "labelled_accuracy", "pointer_accuracy"), False
)
#: Scores that counts of three give: of entities, or of words with their right heads.
_COUNTED = ("strict_f1", "span_f1", "las", "uas", "labelled_accuracy", "pointer_accuracy")
#: Scores are written with so many digits.
_ROUNDED = 1e-4
#: Parts of a plan's data that do not change which rows are test.
_NOT_TEST = (
    "train_rows", "gate_rows", "training", "finetuning_source", "fit_warn", "fit_refuse", "fit_labels",
)  # fmt: skip
#: Parts of a task that say how it is answered, not what is asked.
_NOT_ASKED = ("head", "pointer", "nested")

Results = Callable[[str], Mapping[str, Any] | None]


@dataclass
class Strategy:
    """Runs whose plans differ in nothing but name, tags and seed.

    Parameters
    ----------
    name
        What its runs are called.
    rows
        What says which rows they were judged on.
    runs
        Seed → the run that counts: the newest that finished, else one that failed.
    repeats, unfinished
        Runs of a seed that was there already; runs that have not ended yet.
    """

    name: str
    rows: str
    runs: dict[int, RunRecord] = field(default_factory=dict)
    repeats: int = 0
    unfinished: int = 0

    def values(self, metric: str) -> dict[int, float | None]:
        """Return seed → score; None for a run that failed."""
        return {seed: run.metrics.get(metric) for seed, run in self.runs.items()}


@dataclass(frozen=True)
class RunVerdicts:
    """What is known of some runs as strategies.

    Parameters
    ----------
    strategies
        As many as there are plans.
    metric, metrics
        What was compared (``test/accuracy``), and what else could be.
    verdicts
        One a pair.
    notices
        What was left out and why, in sentences.
    """

    strategies: tuple[Strategy, ...]
    metric: str | None = None
    metrics: tuple[str, ...] = ()
    verdicts: tuple[TableVerdict, ...] = ()
    notices: tuple[str, ...] = ()


def strategies_of(runs: Sequence[RunRecord]) -> list[Strategy]:
    """Gather training runs by plan, oldest first; runs of other kinds take no part."""
    found: dict[str, list[RunRecord]] = {}
    for run in sorted((one for one in runs if one.kind == "train"), key=lambda one: one.created):
        found.setdefault(_plan_key(run.plan), []).append(run)
    strategies = [_strategy(members) for members in found.values()]
    names = [one.name for one in strategies]
    for one in strategies:
        if names.count(one.name) > 1 and one.runs:
            one.name = f"{one.name} · {next(iter(one.runs.values())).id[-4:]}"
    return strategies


def judge_runs(
    runs: Sequence[RunRecord], results: Results, *, metric: str | None = None, margin: float = 0.01
) -> RunVerdicts:
    """Compare the strategies among some runs, two by two; all comparisons are one family for Holm's correction.

    Only strategies that were judged on the same rows are compared. Accuracy, strict F1, and exact match and F1 of
    answers are compared over seeds and over rows; other scores are known of whole runs only, so over seeds.

    Parameters
    ----------
    runs
        The runs; of one seed of a plan the newest finished one counts.
    results
        Run id → what is in its results.json.
    metric
        The score; without it, one that is known row by row.
    margin
        Smaller differences do not matter.
    """
    every = strategies_of(runs)
    notices = _left_out(every)
    strategies = [one for one in every if one.runs]
    if len(strategies) < 2:
        return RunVerdicts(tuple(strategies), notices=tuple(notices))
    if len(strategies) > MOST_STRATEGIES:
        notices.append(f"{len(strategies)} plans are selected; the first {MOST_STRATEGIES} are compared.")
        strategies = strategies[:MOST_STRATEGIES]
    metrics = _metrics(strategies)
    if not metrics:
        notices.append("No score is known of all these plans, so nothing is compared.")
        return RunVerdicts(tuple(strategies), notices=tuple(notices))
    chosen = metric if metric in metrics else metrics[0]
    if chosen.startswith("gate/"):
        notices.append("Gate rows also chose the best weights, so their scores flatter; test rows do not.")
    pairs, names = [], []
    for one, other in combinations(strategies, 2):
        if one.rows == other.rows:
            pairs.append(_pair(one, other, chosen, results, margin))
            names.append((one.name, other.name))
    if len({one.rows for one in strategies}) > 1:
        notices.append("Plans that were judged on other rows or for another task are not compared with each other.")
    if any(not pair.paired for pair in pairs):
        notices.append("Plans without two seeds in common are compared as runs of their own (Welch).")
    if pairs and all(pair.documents is None for pair in pairs):
        notices.append("This score is not known row by row: the intervals are over seeds only.")
    found = compare(pairs)
    verdicts = [TableVerdict(None, a, b, too_few(result)) for (a, b), result in zip(names, found, strict=True)]
    return RunVerdicts(tuple(strategies), chosen, tuple(metrics), tuple(verdicts), tuple(notices))


# -- strategies ------------------------------------------------------------------------------------------------------
def _plan_key(plan: Mapping[str, Any]) -> str:
    kept = {key: value for key, value in plan.items() if key not in ("name", "tags", "runtime")}
    runtime = {key: value for key, value in (plan.get("runtime") or {}).items() if key != "seed"}
    return json.dumps({**kept, "runtime": runtime}, sort_keys=True, default=str)


def _rows_key(plan: Mapping[str, Any]) -> str:
    data = {key: value for key, value in (plan.get("data") or {}).items() if key not in _NOT_TEST}
    task = {key: value for key, value in (plan.get("task") or {}).items() if key not in _NOT_ASKED}
    return json.dumps({"data": data, "task": task}, sort_keys=True, default=str)


def _strategy(runs: Sequence[RunRecord]) -> Strategy:
    found = Strategy(_shared_name([run.name for run in runs]), _rows_key(runs[0].plan))
    for run in runs:
        if run.status not in (Status.FINISHED, Status.FAILED):
            found.unfinished += 1
            continue
        seed = int((run.plan.get("runtime") or {}).get("seed") or 0)
        before = found.runs.get(seed)
        if before is not None:
            found.repeats += 1
        if before is None or run.status is Status.FINISHED or before.status is Status.FAILED:
            found.runs[seed] = run
    return found


def _shared_name(names: Sequence[str]) -> str:
    """Return what names have in common, without the word seed and what hangs about it."""
    if len(set(names)) == 1:
        return names[0]
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    start = "".join(letters[0] for letters in alike)
    return start.rstrip(" -_.,:;·#(0123456789").removesuffix("seed").rstrip(" -_.,:;·#(") or names[0]


def _left_out(strategies: Sequence[Strategy]) -> list[str]:
    notices = []
    for one in strategies:
        if one.repeats:
            count = "1 run" if one.repeats == 1 else f"{one.repeats} runs"
            notices.append(f"{one.name}: left out {count} of a seed that was there already.")
        if one.unfinished:
            count = "1 run has" if one.unfinished == 1 else f"{one.unfinished} runs have"
            notices.append(f"{one.name}: {count} not ended.")
    return notices


# -- scores ----------------------------------------------------------------------------------------------------------
def _metrics(strategies: Sequence[Strategy]) -> list[str]:
    """Return the scores that all runs that ended well have: on test before gate, known row by row before others."""
    finished = [run.metrics for one in strategies for run in one.runs.values() if run.status is Status.FINISHED]
    if not finished:
        return []
    shared = set.intersection(*(set(metrics) for metrics in finished))
    known = [name for name in shared if name.startswith(("test/", "gate/")) and not name.endswith("/loss")]
    rank = list(_BY_ROWS)

    def order(name: str) -> tuple[bool, int, str]:
        score = name.rpartition("/")[2]
        return name.startswith("gate/"), rank.index(score) if score in rank else len(rank), name

    return sorted(known, key=order)


def _pair(one: Strategy, other: Strategy, metric: str, results: Results, margin: float) -> Pair:
    sides = (one, other)
    values = [side.values(metric) for side in sides]
    good = [{seed for seed, value in side.items() if value is not None} for side in values]
    shared = sorted(good[0] & good[1])
    # One shared seed of many is no pairing; then every run stands for itself.
    paired = len(shared) > 1 or min(len(side) for side in good) < 2
    seeds = [shared, shared] if paired else [sorted(side) for side in good]
    known = [_answers(side, wanted, metric, results) for side, wanted in zip(sides, seeds, strict=True)]
    documents = None
    if known[0] is not None and known[1] is not None and known[0].rows == known[1].rows:
        documents = Documents(known[0].values, known[1].values, "mean" if known[0].values.shape[2] == 1 else "f1")
    right = documents is not None and _BY_ROWS[metric.partition("/")[2]]
    return Pair(
        f"{one.name} against {other.name}", values[0], values[1], margin, paired=paired, documents=documents,
        resolution=1 / documents.count if right and documents is not None else 0.0,
    )  # fmt: skip


@dataclass(frozen=True)
class _Answers:
    """How each row was answered, shape (seeds, rows, parts), and what tells these rows from others."""

    values: np.ndarray
    rows: Any


def _answers(strategy: Strategy, seeds: Sequence[int], metric: str, results: Results) -> _Answers | None:
    """Return the answers of all seeds; None where they are not known of all, or are not on the same rows."""
    role, _, score = metric.partition("/")
    values, rows = [], []
    for seed in seeds:
        run = strategy.runs[seed]
        details = ((results(run.id) or {}).get("details") or {}).get(role) or {}
        one = _by_row(details, score)
        if one is None or len(one) < 2 or abs(_score(one) - run.metrics[metric]) > _ROUNDED:
            return None
        values.append(one)
        rows.append(_gold(details, one))
    if not values or any(other != rows[0] for other in rows):
        return None
    return _Answers(np.stack(values), rows[0])


def _by_row(details: Mapping[str, Any], score: str) -> np.ndarray | None:
    told, count = details.get("documents") or {}, int(details.get("n") or 0)
    if score == "f1" and isinstance(told.get("f1"), list):  # of a question's answer, averaged over questions
        return np.asarray(told["f1"], dtype=np.float64)[:, None]
    found = answered(told, count) if score in _BY_ROWS else None
    return None if found is None or found[0] != ("f1" if score in _COUNTED else "mean") else found[1]


def _score(answers: np.ndarray) -> float:
    if answers.shape[1] == 1:
        return float(answers.mean())
    hits, predicted, gold = answers.sum(axis=0)
    return float(2 * hits / max(predicted + gold, 1))


def _gold(details: Mapping[str, Any], answers: np.ndarray) -> Any:
    """Return what two evaluations of the same rows share, whatever was answered: files may change under their name."""
    told = [*(details.get("per_label") or ()), *(details.get("breakdown") or ()), *(details.get("arcs") or ())]
    supports = [(one.get("label"), one.get("by"), one.get("value"), one.get("support")) for one in told]
    return len(answers), supports, answers[:, 2].tolist() if answers.shape[1] == 3 else None
