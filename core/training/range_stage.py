"""A range test as a stage: the rate grows from step to step, and afterwards the weights are as if it had not been."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from core.config import RangeTestConfig, Stage
from core.training.kinds import StageOutcome
from core.training.range_test import Finding, Watch, analyse, rates

if TYPE_CHECKING:
    from core.training.run import Run

__all__ = ["ALL", "group_rates", "run_stage"]

#: Name of the group where all rates grow together.
ALL = "all"


def run_stage(run: Run, stage: Stage, index: int) -> StageOutcome:
    """Execute a stage of kind ``range_test``.

    Weights, buffers and random generators are put back bit for bit; the optimiser belongs to the test alone.

    Parameters
    ----------
    run
        The run; see docs/stages.md.
    stage
        The stage.
    index
        Its place among the stages that are executed.

    Returns
    -------
    StageOutcome
        With the suggestion, or without one where the loss did not fall.
    """
    started = time.monotonic()
    config = stage.range_test or RangeTestConfig()
    before = run.snapshot()
    findings: list[Finding] = []
    try:
        base, units = _groups(run, stage, index)
        names = sorted(base, key=base.__getitem__, reverse=True) if config.per_group else [ALL]
        for at, name in enumerate(names):
            run.phase(f"range test {at + 1} of {len(names)}" if len(names) > 1 else "range test")
            run.restore(before)
            findings.append(_test(run, stage, index, config, name))
    finally:
        run.restore(before)
    suggestion = suggest(stage, base, units, findings, len(run.material.layers))
    given = [one.as_dict() for one in findings]
    run.decide(
        stage, index, "range_test", "suggest", _message(stage, findings, suggestion),
        {"suggestion": suggestion, "groups": given},
    )  # fmt: skip
    entry = {"suggestion": suggestion, "range_test": given, "seconds": round(time.monotonic() - started, 3)}
    return StageOutcome("suggested", entry, suggestion)


def _groups(run: Run, stage: Stage, index: int) -> tuple[dict[str, float], dict[str, set[str]]]:
    """Return the base rate of each trained group, and the units (head, layer k, embeddings) that are in it."""
    with run.session(stage, index) as session:
        units: dict[str, set[str]] = {}
        for spec in session.prepared.groups:
            units.setdefault(spec.name, set()).update(run.material.units[name] for name in spec.parameters)
        return dict(session.optimiser.base), units


def _test(run: Run, stage: Stage, index: int, config: RangeTestConfig, group: str) -> Finding:
    """Make one test from the weights as they are."""
    watch, taken = Watch(config), list[float]()
    prefix = f"range/{stage.name}/{group}"
    with run.session(stage, index) as session:
        base = session.optimiser.base
        batches = session.batches()
        for own, rate in enumerate(rates(config), 1):
            run.check()
            _, _, _, batch = next(batches)
            loss = float(session.step(batch, own, group_rates(base, group, rate)).loss)
            smoothed = watch.observe(loss)
            taken.append(rate)
            run.context.metrics(own, {f"{prefix}/loss": loss, f"{prefix}/smoothed": smoothed, f"{prefix}/lr": rate})
            if watch.ended:
                break
    return analyse(group, taken, watch.losses, config)


def group_rates(base: dict[str, float], group: str, rate: float) -> dict[str, float]:
    """Return the rate of every group at one step of a test.

    Where all grow together, the highest one has the test's rate and the others keep their proportions to it; a group
    that is tested alone has the rate, and the others stand still.
    """
    if group != ALL:
        return {name: rate if name == group else 0.0 for name in base}
    highest = max(base.values())
    if highest <= 0:
        return dict.fromkeys(base, rate)
    return {name: rate * value / highest for name, value in base.items()}


def suggest(
    stage: Stage, base: dict[str, float], units: dict[str, set[str]], findings: list[Finding], layers: int
) -> dict[str, Any] | None:
    """Return what a stage with ``lr_from`` takes: ``lr``, and ``head_lr`` where the head has a rate of its own.

    Parameters
    ----------
    stage
        The stage that was tested.
    base
        Base rate of each group.
    units
        The units in each group.
    findings
        What the tests said.
    layers
        Number of the encoder's layers.
    """
    found = {one.group: one.lr for one in findings if one.lr is not None}
    if not found:
        return None
    if ALL in found:
        shares = group_rates(base, ALL, found[ALL])
        found = {name: shares[name] for name in base}
    head = next((name for name, held in units.items() if "head" in held), None)
    # `lr` is the rate of the encoder's top layer; where nothing of the encoder is trained, the head's.
    order = [f"layer {at}" for at in reversed(range(layers))] + ["embeddings", "head"]
    top = next((name for unit in order for name, held in units.items() if unit in held), None)
    suggestion: dict[str, Any] = {}
    if top in found:
        suggestion["lr"] = found[top]
    if head in found and (head != top or stage.head_lr is not None):
        suggestion["head_lr"] = found[head]
    return suggestion or None


def _message(stage: Stage, findings: list[Finding], suggestion: dict[str, Any] | None) -> str:
    if suggestion is None:
        words = f"Range test {stage.name}: no suggestion."
    else:
        named = " and ".join(f"{name} {value:.2g}" for name, value in suggestion.items())
        words = f"Range test {stage.name} suggests {named}."
    for one in findings:
        words += f" {one.reason}" if one.group == ALL else f" {one.group}: {one.reason}"
    return words
