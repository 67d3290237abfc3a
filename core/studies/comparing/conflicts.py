"""Where tasks that are learnt together pulled the encoder apart: layers by time, kept of each run, mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from core.config.comparison import Comparison
    from core.studies.comparing.records import ChildRun

__all__ = ["conflicts_of", "kept_conflicts", "unit_place"]

#: Columns in time that are kept of a run: looks that follow one another are averaged.
_COLUMNS = 40
_VALUES = ("cosine", "rate", "ratio")

Points = Mapping[str, Sequence[tuple[int, float]]]


def kept_conflicts(points: Points, results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a joint run found of its tasks' gradients, small enough for its record.

    Parameters
    ----------
    points
        Series of the run.
    results
        What its ``results.json`` holds.

    Returns
    -------
    list of dict
        Of each pair of tasks: ``a``, ``b``, ``every``, ``looks``, ``steps`` (the last one of each column), and
        ``units`` from the lowest layer up: {"unit"; "cosine", "rate" and "ratio" by column; "means" of all looks}. A
        cosine is a mean, a rate the share of looks with a negative one, a norm ratio ‖g_a‖ / ‖g_b‖ a geometric mean.
        Empty where nothing was looked at.
    """
    found = results.get("conflicts") or {}
    kept = []
    for pair in found.get("pairs") or ():
        begin = f"conflict/{pair['a']}~{pair['b']}"
        steps: list[int] = []
        units = []
        for unit in sorted(pair["units"], key=lambda one: unit_place(one["unit"])):
            cosines = points.get(f"{begin}/cosine/{unit['unit']}") or ()
            ratios = points.get(f"{begin}/ratio/{unit['unit']}") or ()
            if not cosines or len(cosines) != len(ratios):
                continue
            groups = np.array_split(np.arange(len(cosines)), min(_COLUMNS, len(cosines)))
            steps = [int(cosines[group[-1]][0]) for group in groups]
            cosine, ratio = (np.array([value for _, value in one], dtype=np.float64) for one in (cosines, ratios))
            units.append(
                {
                    "unit": unit["unit"], "means": {name: _rounded(unit[name]) for name in _VALUES},
                    "cosine": [_rounded(cosine[group].mean()) for group in groups],
                    "rate": [_rounded((cosine[group] < 0).mean()) for group in groups],
                    "ratio": [_rounded(_geometric(ratio[group])) for group in groups],
                }
            )  # fmt: skip
        if units:
            kept.append(
                {"a": pair["a"], "b": pair["b"], "every": found.get("every"), "looks": found.get("looks"),
                 "steps": steps, "units": units}
            )  # fmt: skip
    return kept


def unit_place(unit: str) -> tuple[int, int]:
    """Return where a part of the encoder stands: embeddings, layers from below, then the whole encoder."""
    if unit == "embeddings":
        return 0, 0
    number = unit.removeprefix("layer ")
    return (1, int(number)) if number.isdigit() else (2, 0)


def _geometric(values: np.ndarray) -> float:
    known = values[np.isfinite(values) & (values > 0)]
    return float(np.exp(np.log(known).mean())) if len(known) else math.nan


def _rounded(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def conflicts_of(config: Comparison, children: Sequence[ChildRun]) -> list[dict[str, Any]]:
    """Return the conflicts of each joint strategy and pair of tasks, means over seeds.

    Parameters
    ----------
    config, children
        The comparison and its records.

    Returns
    -------
    list of dict
        ``strategy``, ``a``, ``b``, ``seeds``, ``every``, ``looks`` (of all seeds together), ``steps``, and ``units`` as
        :func:`kept_conflicts` gives them, with ``range`` of the seeds' mean cosines. A column holds what the seeds that
        looked at that step found.
    """
    told = []
    for strategy in config.strategies:
        by_pair: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for child in children:
            if child.strategy == strategy.name and child.seed in config.seed_list and not child.failed:
                for pair in child.conflicts:
                    by_pair.setdefault((pair["a"], pair["b"]), []).append(pair)
        for (a, b), pairs in by_pair.items():
            steps = sorted({step for pair in pairs for step in pair["steps"]})
            names = sorted({unit["unit"] for pair in pairs for unit in pair["units"]}, key=unit_place)
            told.append(
                {
                    "strategy": strategy.name, "a": a, "b": b, "seeds": len(pairs), "every": pairs[0]["every"],
                    "looks": sum(int(pair["looks"] or 0) for pair in pairs), "steps": steps,
                    "units": [_together(name, steps, pairs) for name in names],
                }
            )  # fmt: skip
    return told


def _together(name: str, steps: Sequence[int], pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one part of the encoder, means over the runs."""
    own = [(pair["steps"], unit) for pair in pairs for unit in pair["units"] if unit["unit"] == name]
    found: dict[str, Any] = {"unit": name, "means": {}}
    for what in _VALUES:
        mean = _geometric if what == "ratio" else _plain
        known = [dict(zip(places, unit[what], strict=True)) for places, unit in own]
        columns = [[one[step] for one in known if one.get(step) is not None] for step in steps]
        found[what] = [_rounded(mean(np.array(values))) if values else None for values in columns]
        values = [unit["means"][what] for _, unit in own if unit["means"][what] is not None]
        found["means"][what] = _rounded(mean(np.array(values))) if values else None
    cosines = [unit["means"]["cosine"] for _, unit in own if unit["means"]["cosine"] is not None]
    found["range"] = [min(cosines), max(cosines)] if cosines else None
    return found


def _plain(values: np.ndarray) -> float:
    return float(values.mean())
