"""Tables of a comparison: standings, costs, learning curves, scores by class and by length. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.config.compared import spent, steps_of
from core.config.comparison import Comparison
from core.studies.comparing.records import ChildRun, TaskResult, documents_of
from core.studies.comparing.verdicts import results_by

__all__ = ["costs", "curves_of", "scores_by_class", "scores_by_length", "standings"]

#: Groups that test rows are divided into by length, of about as many rows each.
_GROUPS = 4


def standings(config: Comparison, children: Sequence[ChildRun], *, intervals: bool = True) -> list[dict[str, Any]]:
    """Return what each strategy reached on each task.

    Parameters
    ----------
    config, children
        The comparison and its records.
    intervals
        Whether the means get intervals; a page that looks on while runs go on does without the library for it.

    Returns
    -------
    list of dict
        ``task``, ``strategy``, ``metric``, ``seeds`` (runs that ended well), ``failed``, ``mean``, ``sd``, ``interval``
        (95 % t-interval of the mean over seeds; None with one seed), ``values`` {seed: score}, ``gate`` (mean on
        gate), ``majority``, ``metrics`` {name: mean on test}.
    """
    found = results_by(config, children)
    told = []
    for task in config.tasks:
        for strategy in config.strategies:
            seeds = found[strategy.name, task.name]
            good = {seed: one for seed, one in sorted(seeds.items()) if one is not None and one.score is not None}
            values = [float(one.score) for one in good.values() if one.score is not None]
            gate = [one.gate_score for one in good.values() if one.gate_score is not None]
            majority = [one.majority for one in good.values() if one.majority is not None]
            told.append(
                {
                    "task": task.name, "strategy": strategy.name, "metric": task.score, "seeds": len(values),
                    "failed": sum(one is None for one in seeds.values()), "mean": _mean(values),
                    "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
                    "interval": _interval(values) if intervals else None,
                    "values": {str(seed): one.score for seed, one in good.items()},
                    "gate": _mean(gate), "majority": _mean(majority), "metrics": _means(list(good.values())),
                }
            )  # fmt: skip
    return told


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _interval(values: Sequence[float]) -> list[float] | None:
    """Return the 95 % t-interval of a mean."""
    if len(values) < 2:
        return None
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return [float(np.mean(values)) - half, float(np.mean(values)) + half]


def _means(results: Sequence[TaskResult]) -> dict[str, float]:
    names = set.intersection(*(set(one.metrics) for one in results)) if results else set()
    return {name: float(np.mean([one.metrics[name] for one in results])) for name in sorted(names)}


def costs(config: Comparison, children: Sequence[ChildRun]) -> list[dict[str, Any]]:
    """Return what each strategy costs with one seed, over all tasks.

    Returns
    -------
    list of dict
        ``strategy``, ``runs``, ``failed``, ``steps`` (as planned, of one seed), ``steps_by_task``, ``seconds`` (median
        over seeds that are complete), ``memory_mb`` (largest), ``parameters`` (of all models that it needs),
        ``shared_parameters`` (held once although several tasks use them: an encoder that tasks share, or that nothing
        trains), ``examples`` {task: examples seen}.
    """
    told = []
    for strategy in config.strategies:
        own = [one for one in children if one.strategy == strategy.name and one.seed in config.seed_list]
        good = [one for one in own if not one.failed]
        seconds: list[float] = []
        parameters: list[int] = []
        shared: list[int] = []
        for seed in config.seed_list:
            runs = [one for one in good if one.seed == seed]
            if {task for one in runs for task in one.tasks} != {task.name for task in config.tasks}:
                continue
            seconds.append(sum(one.seconds for one in runs))
            sizes = [(one.parameters, one.encoder_parameters) for one in runs]
            if all(whole is not None and encoder is not None for whole, encoder in sizes):
                whole, encoder = _sizes(sizes, frozen=strategy.encoder == "frozen")
                parameters.append(whole)
                shared.append(encoder if len(config.tasks) > 1 else 0)
        memory = [one.memory_mb for one in good if one.memory_mb is not None]
        examples = {
            task: result.examples for one in good for task, result in one.tasks.items() if result.examples is not None
        }  # fmt: skip
        told.append(
            {
                "strategy": strategy.name, "runs": len(own), "failed": len(own) - len(good),
                "steps": spent(config, strategy),
                "steps_by_task": {task.name: steps_of(config, strategy, task) for task in config.tasks},
                "seconds": float(np.median(seconds)) if seconds else None, "memory_mb": max(memory, default=None),
                "parameters": max(parameters, default=None), "shared_parameters": max(shared, default=None),
                "examples": examples,
            }
        )  # fmt: skip
    return told


def _sizes(sizes: Sequence[tuple[int | None, int | None]], *, frozen: bool) -> tuple[int, int]:
    """Return the parameters of all runs of one seed together, and those that several tasks use."""
    heads = sum((whole or 0) - (encoder or 0) for whole, encoder in sizes)
    encoders = [encoder or 0 for _, encoder in sizes]
    if frozen or len(sizes) == 1:  # one encoder for all tasks
        return heads + max(encoders), max(encoders)
    return heads + sum(encoders), 0


def curves_of(config: Comparison, children: Sequence[ChildRun]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the curves on gate of each task and strategy, one a seed: {task: {strategy: [{"seed", "steps", …}]}}."""
    told: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for task in config.tasks:
        told[task.name] = {strategy.name: [] for strategy in config.strategies}
        for child in children:
            result = child.tasks.get(task.name)
            curve = result.curves.get(f"gate/{result.metric}") if result is not None else None
            if curve and child.strategy in told[task.name]:
                told[task.name][child.strategy].append({"seed": child.seed, **curve})
    return told


def scores_by_class(config: Comparison, children: Sequence[ChildRun]) -> list[dict[str, Any]]:
    """Return F1 by label, entity type or group of questions, means over seeds.

    Returns
    -------
    list of dict
        ``task``, ``by``, ``value``, ``support`` and ``scores`` {strategy: mean F1}.
    """
    found = results_by(config, children)
    told = []
    for task in config.tasks:
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for strategy in config.strategies:
            for result in found[strategy.name, task.name].values():
                for one in result.classes if result is not None else ():
                    row = rows.setdefault((one["by"], one["value"]), {"support": one["support"], "scores": {}})
                    row["scores"].setdefault(strategy.name, []).append(one["score"])
        for (by, value), row in rows.items():
            means = {name: float(np.mean(values)) for name, values in row["scores"].items()}
            told.append({"task": task.name, "by": by, "value": value, "support": row["support"], "scores": means})
    return told


def scores_by_length(
    config: Comparison, children: Sequence[ChildRun], lengths: Mapping[str, Sequence[int]]
) -> list[dict[str, Any]]:
    """Return scores by the length of the text, means over seeds, of tasks whose score is known row by row.

    Parameters
    ----------
    config, children
        The comparison and its records.
    lengths
        Task → words of each test row.

    Returns
    -------
    list of dict
        As :func:`scores_by_class` gives them, ``by`` is ``words``.
    """
    found = results_by(config, children)
    told = []
    for task in config.tasks:
        sizes = np.asarray(lengths.get(task.name, ()), dtype=np.int64)
        edges = np.unique(np.quantile(sizes, np.linspace(0, 1, _GROUPS + 1), method="lower")) if len(sizes) else sizes
        for at in range(len(edges) - 1):
            last = at == len(edges) - 2
            here = (sizes >= edges[at]) & ((sizes <= edges[at + 1]) if last else (sizes < edges[at + 1]))
            scores = {}
            for strategy in config.strategies:
                known = [documents_of(one) for one in found[strategy.name, task.name].values() if one is not None]
                each = [_score(one[here]) for one in known if one is not None and len(one) == len(sizes)]
                if each and here.any():
                    scores[strategy.name] = float(np.mean(each))
            top = int(edges[at + 1]) - (0 if last else 1)
            value = f"{int(edges[at])}–{top}" if top > edges[at] else f"{top}"
            if scores:
                told.append(
                    {"task": task.name, "by": "words", "value": value, "support": int(here.sum()), "scores": scores}
                )  # fmt: skip
    return told


def _score(answers: np.ndarray) -> float:
    if answers.shape[1] == 1:
        return float(answers.mean())
    hits, predicted, gold = answers.sum(axis=0)
    return float(2 * hits / max(predicted + gold, 1))
