"""The learning rates of a plan before it starts: instant, without torch.

What does not depend on results is exactly what the loop will use (both ask
:func:`core.training.schedules.rate_function`). What does is given with bounds that hold whatever happens.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.config import Plan, RangeTestConfig, Stage
from core.errors import BertloomError
from core.training.bounds import Reach, corners, evaluation_steps, largest_scale, plateau_low, reach
from core.training.groups import base_rates
from core.training.schedules import curve_points, drawn_steps, rate_function, warmup_steps

__all__ = ["curve", "gate_words", "layer_count", "layers_of", "plan_curve"]

_USUAL = 12
#: Suggestions of a range test lie between a tenth of its first rate and its last rate.
_LOWEST_SUGGESTION = 0.1
#: Gates are marked at most so often in one stage.
_MOST_MARKS = 200
#: Fields of a stage on which its rates depend.
_RATE_FIELDS = ("lr", "head_lr", "layer_decay", "freeze_layers", "freeze_encoder")
#: Points of one curve in a picture.
_POINTS = 400


@functools.lru_cache(maxsize=64)
def layer_count(source: str, revision: str | None = None) -> int | None:
    """Return the number of layers of a model source from its config, or None if it is not at hand."""
    try:
        from core.models import describe

        return describe(source, revision).layers
    except (BertloomError, OSError):
        return None


def curve(plan: Plan, steps: int, *, layers: int | None = None) -> dict[str, dict[str, list[float]]]:
    """Return what the learning rate of each group will be in the first stage that is switched on.

    Parameters
    ----------
    plan
        The plan.
    steps
        Number of optimiser steps.
    layers
        Number of the encoder's layers; None: from the model's config, and 12 if that is not at hand.

    Returns
    -------
    dict
        group → ``{"steps": [...], "lr": [...]}``. The names are those of the series ``lr/<group>``.

    Raises
    ------
    ConfigError
        If the schedule's options or the freezing do not fit.
    """
    stage = plan.active[0]
    return curve_points(stage, base_rates(stage, layers_of(plan, layers)), max(1, steps))


def plan_curve(
    plan: Plan,
    stage_steps: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    layers: int | None = None,
    *,
    points: int | None = _POINTS,
) -> dict[str, Any]:
    """Return the learning rates of a whole plan, stage after stage, and what of it depends on results.

    Stages stand where they come if every one runs once and to its end. The bounds of a rate belong to the stage's own
    steps: whenever the stage is at that step, in whichever attempt, the rate lies between them. Range tests and the
    trials of searches have steps of their own, which the run does not count: they are drawn where they come, and
    ``run_first_step`` says where a stage begins by the run's own count.

    Parameters
    ----------
    plan
        The plan.
    stage_steps
        The answer of :func:`core.training.count_steps`, or its ``stages``.
    layers
        Number of the encoder's layers; None: from the model's config, and 12 if that is not at hand.
    points
        Largest number of points of one curve; None: every step.

    Returns
    -------
    dict
        - ``steps``: length of the picture, and ``run_steps``: steps that the run counts, without tests and trials;
        - ``certain``: whether nothing depends on results;
        - ``names``: the groups' names in the order in which they first occur;
        - ``groups``: group → ``{"steps", "lr", "low", "high"}``, all stages one after the other;
        - ``gates``: ``{"stage", "index", "step", "own_step", "last", "words"}`` for every evaluation at which a
          gate may decide;
        - ``stages``: ``name``, ``kind``, ``index`` (place in the plan), ``steps``, ``first_step``, ``last_step``,
          ``run_first_step``, ``start_low`` and ``start_high`` (the run's step at which it begins if all goes through,
          at the earliest and at the latest), ``ends_from`` (its own step from which on it may be over), ``attempts``
          (at most), ``certain``, ``may_be_skipped``, ``reasons`` (texts) and ``groups`` (as above, its own part).

    Raises
    ------
    ConfigError
        If a schedule's options or the freezing do not fit.
    """
    count = layers_of(plan, layers)
    counted = stage_steps["stages"] if isinstance(stage_steps, Mapping) else stage_steps
    by_name = {str(one["name"]): one for one in counted}
    place = _Place()
    found: list[dict[str, Any]] = []
    tests = {stage.name: (stage, stage.range_test or RangeTestConfig()) for stage in plan.stages}
    for index, stage in enumerate(plan.stages):
        if stage.enabled:
            draw = {"train": _train, "range_test": _range_test, "search": _search, "distil": _train}[stage.kind]
            found.append(draw(stage, index, by_name[stage.name], place, count, tests, points))
    names: list[str] = []
    groups: dict[str, dict[str, list[float]]] = {}
    for one in found:
        for name, part in one["groups"].items():
            if name not in groups:
                names.append(name)
                groups[name] = {key: [] for key in part}
            for key, values in part.items():
                groups[name][key] += values
    return {
        "steps": place.last,
        "run_steps": place.run,
        "certain": all(one["certain"] for one in found),
        "names": names,
        "groups": groups,
        "gates": [mark for one in found for mark in one.pop("marks")],
        "stages": found,
    }


def layers_of(plan: Plan, layers: int | None = None) -> int:
    """Return the number of the encoder's layers: as given, from the model's config, or a usual number."""
    if layers:
        return layers
    found = layer_count(plan.model.source, plan.model.revision) or _USUAL
    kept = plan.model.keep_layers
    return found if kept is None else min(found, kept if isinstance(kept, int) else len(kept))


@dataclass
class _Place:
    """Where the next stage begins: as drawn, by the run's count, at the earliest and latest; and if it comes at all."""

    last: int = 0
    run: int = 0
    low: int = 0
    high: int = 0
    skipped: bool = False

    def stage(
        self, stage: Stage, index: int, steps: int, *, reasons: Sequence[str], counts: Reach | None = None, **more: Any
    ) -> dict[str, Any]:
        """Describe a stage and go on behind it; `counts` says how many of the run's steps it takes, if any."""
        found = {
            "name": stage.name, "kind": stage.kind, "index": index, "steps": steps, "first_step": self.last + 1,
            "last_step": self.last + steps, "run_first_step": self.run + 1, "start_low": self.low + 1,
            "start_high": self.high + 1, "certain": not reasons and self.low == self.high and not self.skipped,
            "may_be_skipped": self.skipped, "reasons": list(reasons), **more,
        }  # fmt: skip
        self.last += steps
        if counts is not None:
            self.run += steps
            self.low += counts.shortest
            self.high += counts.longest
            self.skipped = self.skipped or counts.may_stop
        return found


def _train(
    stage: Stage, index: int, counted: Mapping[str, Any], place: _Place, layers: int,
    tests: Mapping[str, tuple[Stage, RangeTestConfig]], points: int | None,
) -> dict[str, Any]:  # fmt: skip
    steps = int(counted["steps"])
    epochs = counted.get("epoch_ends") or _even_ends(int(counted.get("steps_per_epoch") or steps), steps)
    evaluations = evaluation_steps(stage, steps, epochs)
    ways, reasons = [stage], list[str]()
    if stage.lr_from is not None:
        ways = _suggestions(stage, *tests[stage.lr_from], layers)
        low, high = min(way.lr for way in ways[1:]), max(way.lr for way in ways[1:])
        reasons.append(f"its rate is what {stage.lr_from} suggests, {low:.2g} to {high:.2g}")
    base = [base_rates(way, layers) for way in ways]
    may = reach(stage, steps, evaluations, min(max(rates.values(), default=stage.lr) for rates in base))
    offset = place.last
    groups = _bounded(stage, ways, base, may, steps, evaluations, offset, points)
    return place.stage(
        stage, index, steps, reasons=[*reasons, *may.reasons], counts=may, attempts=may.attempts,
        ends_from=may.ends_from, groups=groups, marks=_marks(stage, index, may, steps, evaluations, offset),
    )  # fmt: skip


def _even_ends(per_epoch: int, steps: int) -> list[int]:
    return list(range(per_epoch, steps + 1, per_epoch))


def _suggestions(stage: Stage, test: Stage, config: RangeTestConfig, layers: int) -> list[Stage]:
    """Return the stage as drawn, and with the smallest and largest rates that a range test may suggest.

    A head that the test divides from the encoder gets a rate of its own.
    """
    base = base_rates(test, layers)
    apart = "head" in base and len(base) > 1
    highest = max(base.values(), default=1.0) or 1.0
    share = 1.0 if config.per_group else min(base.values(), default=1.0) / highest
    rates = (config.lr_min * _LOWEST_SUGGESTION * share, config.lr_max)
    own = stage.head_lr if stage.head_lr is not None else stage.lr
    if not apart and stage.head_lr is None:
        return [stage, *(stage.model_copy(update={"lr": rate}) for rate in rates)]
    # The names of groups tell apart what has different rates: so that they are told apart, they may not be equal.
    drawn = stage.model_copy(update={"head_lr": own * (1 + 1e-12) if own == stage.lr else own})
    heads = [*rates, own]
    found = [stage.model_copy(update={"lr": rate, "head_lr": head}) for rate in rates for head in heads]
    return [drawn, *found, *(stage.model_copy(update={"head_lr": head}) for head in heads)]


def _bounded(
    stage: Stage, ways: list[Stage], base: list[dict[str, float]], may: Reach, steps: int, evaluations: list[int],
    offset: int, points: int | None,
) -> dict[str, dict[str, list[float]]]:  # fmt: skip
    """Return the curve of every group with its bounds. A rate grows with the base rate, so the ends bound it."""
    warmup = warmup_steps(stage.schedule, steps)
    at = drawn_steps(steps, (warmup, warmup + 1, warmup + 2), points=points)
    functions = [rate_function(way.schedule, steps, _allowed(way)) for way in ways]
    factors = [[function(step) for step in at] for function in functions]
    tops = [max(rates.values(), default=stage.lr) for rates in base]
    scales = [[largest_scale(stage, may, step, top) for step in at] for top in tops]
    found: dict[str, dict[str, list[float]]] = {}
    for name in base[0]:
        lr = [base[0][name] * factor for factor in factors[0]]
        low, high = list(lr), list(lr)
        for rates, factor, scale in zip(base, factors, scales, strict=True):
            peak = rates.get(name, base[0][name])
            for position, step in enumerate(at):
                smallest = plateau_low(stage, peak, step, evaluations) * may.low
                low[position] = min(low[position], smallest * factor[position])
                high[position] = max(high[position], peak * scale[position] * factor[position])
        found[name] = {"steps": [offset + step for step in at], "lr": lr, "low": low, "high": high}
    return found


def _allowed(stage: Stage) -> float:
    """Return the stage's rate, above what a polynomial schedule ends at: the run refuses a suggestion below that."""
    end = stage.schedule.options.get("lr_end", 1e-7) if stage.schedule.name == "polynomial" else 0.0
    return max(stage.lr, float(end) * 1.000001)


def _marks(
    stage: Stage, index: int, may: Reach, steps: int, evaluations: list[int], offset: int
) -> list[dict[str, Any]]:
    if stage.gate is None:
        return []
    gate = stage.gate
    early = gate.decide == "first" or gate.patience is not None
    at = [step for step in evaluations if step >= may.ends_from] if early else [steps]
    if len(at) > _MOST_MARKS:
        at = [*at[:: -(-len(at) // _MOST_MARKS)], at[-1]]
    return [
        {"stage": stage.name, "index": index, "step": offset + step, "own_step": step, "last": step == steps,
         "words": gate_words(stage)}
        for step in dict.fromkeys(at)
    ]  # fmt: skip


def gate_words(stage: Stage) -> str:
    """Return what a stage's gate asks and what follows, in one sentence."""
    gate = stage.gate
    if gate is None:
        return "no gate"
    reference = {"start": "the score at the stage's start", "majority": "the majority's"}.get(
        str(gate.reference), f"{gate.reference}"
    )
    what = gate.metric or stage.metric or "the task's metric"
    how = "lower end of the 95 % interval of " if gate.rule == "lower" else ""
    loss = what.endswith("loss")
    by = f" by more than {gate.min_delta:g}" if gate.min_delta else ""
    after = {"promote": "go on", "repeat": f"again with rates × {stage.lr_factor:g}", "stop": "end the run"}
    failed = {
        "cut": f"again with rates ÷ {stage.lr_factor:g}", "raise": f"again with rates × {stage.lr_factor:g}",
        "rollback": "roll back to the best weights and go on", "continue": "go on all the same", "stop": "end the run",
    }  # fmt: skip
    return (
        f"{how}{what} {'below' if loss else 'above'} {reference}{by}: {after[stage.on_pass]}; "
        f"otherwise: {failed[stage.on_fail]}"
    )


def _range_test(
    stage: Stage, index: int, counted: Mapping[str, Any], place: _Place, layers: int,
    tests: Mapping[str, tuple[Stage, RangeTestConfig]], points: int | None,
) -> dict[str, Any]:  # fmt: skip
    from core.training.range_test import rates

    _, config = tests[stage.name]
    ramp = rates(config)
    base = base_rates(stage, layers)
    # Tested one by one the highest comes first and the others stand still; together they keep their proportions.
    order = sorted(base, key=base.__getitem__, reverse=True)
    highest = max(base.values(), default=1.0) or 1.0
    at = drawn_steps(config.steps, points=points)
    groups: dict[str, dict[str, list[float]]] = {}
    for position, name in enumerate(order):
        share = 1.0 if config.per_group else base[name] / highest
        first = place.last + (position * config.steps if config.per_group else 0)
        lr = [ramp[step - 1] * share for step in at]
        groups[name] = {"steps": [first + step for step in at], "lr": lr, "low": [*lr], "high": [*lr]}
    return place.stage(
        stage, index, config.steps * (len(order) if config.per_group else 1), attempts=1, ends_from=1, groups=groups,
        marks=[], reasons=[f"ends when the smoothed loss is {config.stop_factor:g} times its best"],
    )  # fmt: skip


def _search(
    stage: Stage, index: int, counted: Mapping[str, Any], place: _Place, layers: int,
    tests: Mapping[str, tuple[Stage, RangeTestConfig]], points: int | None,
) -> dict[str, Any]:  # fmt: skip
    assert stage.search is not None
    trial_steps = int(counted.get("trial_steps") or counted["steps"])
    offset = place.last
    own = stage.model_copy(update={"kind": "train", "search": None})
    nominal = curve_points(own, base_rates(own, layers), trial_steps, points=points)
    ways = [own, *corners(stage, _RATE_FIELDS)]
    peaks = {name: max(_peak(way, name, layers) for way in ways) for name in nominal}
    groups = {
        name: {
            "steps": [offset + step for step in part["steps"]], "lr": part["lr"], "low": [0.0] * len(part["lr"]),
            "high": [peaks[name]] * len(part["lr"]),
        }
        for name, part in nominal.items()
    }  # fmt: skip
    what = ", ".join(name for name, one in stage.search.space.items() if one.fixed is None)
    return place.stage(
        stage, index, trial_steps, attempts=1, ends_from=1, groups=groups, marks=[],
        reasons=[f"up to {stage.search.trials} trials with other values of {what}; drawn is one with the stage's own"],
    )  # fmt: skip


def _peak(stage: Stage, name: str, layers: int) -> float:
    """Return the largest rate of a group, or of any if the stage divides its parameters otherwise."""
    rates = base_rates(stage, layers)
    base = rates.get(name, max(rates.values(), default=0.0))
    floor = stage.schedule.options.get("min_lr")
    return max(base, float(floor) * base / stage.lr if isinstance(floor, int | float) else 0.0)
