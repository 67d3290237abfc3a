"""From the records of a comparison's runs to its verdicts: pure, so page, command line and report say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from core.config.comparison import Comparison, Strategy
from core.runs.compare import Documents, Pair, compare
from core.runs.compare.results import TableVerdict, too_few
from core.runs.compare.words import sentence
from core.studies.comparing.records import ChildRun, TaskResult, documents_of

__all__ = ["complete", "missing", "results_by", "transfer_of", "verdicts_of"]

Results = dict[tuple[str, str], dict[int, TaskResult | None]]


def results_by(config: Comparison, children: Sequence[ChildRun]) -> Results:
    """Return (strategy, task) → seed → result; None for a run that failed. Seeds that were not run are left out."""
    found: Results = {(one.name, task.name): {} for one in config.strategies for task in config.tasks}
    for child in children:
        for task, result in child.tasks.items():
            place = found.get((child.strategy, task))
            if place is not None and child.seed in config.seed_list:
                place[child.seed] = None if child.failed or result.score is None else result
    return found


def missing(config: Comparison, children: Sequence[ChildRun]) -> int:
    """Return how many scores (strategy, task, seed) are not there yet; a run that failed is there."""
    found = results_by(config, children)
    return sum(len(config.seed_list) - len(seeds) for seeds in found.values())


def complete(config: Comparison, children: Sequence[ChildRun]) -> bool:
    """Whether all runs are there. Before that nothing is judged: a look at every seed would find too many winners."""
    return missing(config, children) == 0


def verdicts_of(config: Comparison, children: Sequence[ChildRun]) -> list[dict[str, Any]]:
    """Compare the strategies of each task two by two; all comparisons are one family for Holm's correction.

    Runs are paired by seed: those of one seed begin with the same weights. A run that failed has no score, so its seed
    is left out of the pair; ``failed`` counts it.

    Returns
    -------
    list of dict
        ``task``, ``a``, ``b``, ``difference`` (a − b), ``interval`` and ``p`` (over seeds and documents at once, where
        the score is known row by row), ``verdict`` (``a``, ``b``, ``equivalent``, ``not distinguishable`` or ``no
        verdict``), ``margin``, ``seeds``, ``seeds_needed`` …, see
        :meth:`core.runs.compare.results.TableVerdict.as_dict`; and ``failed`` {strategy: runs}, ``metric``,
        ``sentence``.
    """
    found = results_by(config, children)
    pairs: list[Pair] = []
    named: list[tuple[str, str, str, dict[str, Any]]] = []
    for task in config.tasks:
        for a, b in combinations([one.name for one in config.strategies], 2):
            sides = (found[a, task.name], found[b, task.name])
            pairs.append(_pair(f"{a} against {b}", sides, config.margin))
            failed = {name: sum(one is None for one in side.values()) for name, side in zip((a, b), sides, strict=True)}
            named.append((task.name, a, b, {"seeds": {}, "documents": 0, "failed": failed}))
    told = []
    for (task_name, a, b, left_out), result in zip(named, compare(pairs), strict=True):
        failed = left_out.pop("failed")
        verdict = TableVerdict(task_name, a, b, too_few(result), left_out)
        if any(failed.values()):
            lost = ", ".join(f"{count} of {name}" for name, count in failed.items() if count)
            why = f"{verdict.comparison.why}; " if verdict.comparison.why else ""
            verdict = replace(
                verdict, comparison=replace(verdict.comparison, why=f"{why}runs that failed: {lost}")
            )  # fmt: skip
        metric = next(one.score for one in config.tasks if one.name == task_name)
        told.append({**verdict.as_dict(), "failed": failed, "metric": metric, "sentence": sentence(verdict)})
    return told


def _pair(name: str, sides: tuple[Mapping[int, TaskResult | None], ...], margin: float) -> Pair:
    values = [{seed: None if one is None else one.score for seed, one in side.items()} for side in sides]
    shared = sorted(
        seed for seed, one in values[0].items() if one is not None and values[1].get(seed) is not None
    )  # fmt: skip
    known = [[_documents(side[seed]) for seed in shared] for side in sides]
    documents, right = None, False
    shapes = {one.shape for side in known for one in side if one is not None}
    if shared and all(one is not None for side in known for one in side) and len(shapes) == 1:
        stacked = [np.stack([one for one in side if one is not None]) for side in known]
        if stacked[0].shape[1] > 1:
            score = "mean" if stacked[0].shape[2] == 1 else "f1"
            documents = Documents(stacked[0], stacked[1], score)  # type: ignore[arg-type]
            # Shares of right answers lie on a grid; other scores do not.
            right = score == "mean" and all(np.isin(side, (0.0, 1.0)).all() for side in stacked)
    return Pair(
        name, values[0], values[1], margin, documents=documents,
        resolution=1 / documents.count if right and documents is not None else 0.0,
    )  # fmt: skip


def _documents(result: TaskResult | None) -> np.ndarray | None:
    return None if result is None else documents_of(result)


def transfer_of(config: Comparison, verdicts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say for each task what learning together gains or costs: joint strategies beside their single ones.

    Returns
    -------
    list of dict
        ``task``, ``joint``, ``single``, ``difference`` (joint − single), ``interval``, and ``flag``: ``negative`` where
        the single strategy is better, ``suspected`` where the difference is as large as the margin but not proven,
        ``positive`` where the joint one is better, else None.
    """
    found = []
    for joint in (one for one in config.strategies if one.sharing != "single"):
        single = _counterpart(config, joint)
        for one in verdicts if single is not None else ():
            assert single is not None
            if {one["a"], one["b"]} == {joint.name, single.name}:
                found.append(_transfer(one, joint.name, single.name))
    return found


def _counterpart(config: Comparison, joint: Strategy) -> Strategy | None:
    alike = [one for one in config.strategies if one.sharing == "single" and one.head == joint.head]
    return next((one for one in alike if one.encoder == joint.encoder), None)


def _transfer(one: Mapping[str, Any], joint: str, single: str) -> dict[str, Any]:
    sign = 1 if one["a"] == joint else -1
    difference = None if one["difference"] is None else sign * one["difference"]
    interval = one["interval"]
    if interval is not None and sign < 0:
        interval = [-interval[1], -interval[0]]
    winner = {"a": one["a"], "b": one["b"]}.get(one["verdict"])
    flag = {joint: "positive", single: "negative"}.get(winner or "")
    if flag is None and difference is not None and difference <= -one["margin"]:
        flag = "suspected"
    return {
        "task": one["task"], "joint": joint, "single": single, "difference": difference, "interval": interval,
        "flag": flag,
    }  # fmt: skip
