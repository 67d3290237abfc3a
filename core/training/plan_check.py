"""A plan checked against its data and its model, without training: everything that is wrong, not the first thing only.

What the run itself would refuse is asked of the same functions (:mod:`core.training.demands`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import Plan, Stage
from core.errors import BertloomError, ConfigError
from core.training.bounds import corners
from core.training.counting import count_stages
from core.training.groups import GroupSpec, resolve
from core.training.schedules import rate_function

if TYPE_CHECKING:
    from core.data.tasks.base import Encoded, Task

__all__ = ["check_plan"]

#: The first steps of a stage, over which its highest rate is taken.
_FIRST_STEPS = 30
#: A rate so many times the root mean square of the weights replaces them in one step; a share of it is a warning.
_REPLACES, _LARGE = 1.0, 0.1
#: Optimisers whose step is about as long as the rate in every weight (Kingma & Ba 2015, section 2.1).
_SIGNED = ("adamw", "adam", "rmsprop")
_PATH = re.compile(r"^(?:stages|data|task|model|runtime)(?:\.\w+)*$")


def check_plan(plan: Plan, *, cache: Path) -> dict[str, Any]:
    """Check a plan that is valid by itself against its rows and its model.

    Parameters
    ----------
    plan
        The plan.
    cache
        The home's cache folder.

    Returns
    -------
    dict
        ``findings``: ``{"level": "error" | "warning" | "note", "key", "message", "advice"}``, errors first; ``steps``
        and ``stages`` as :func:`core.training.counting.count_steps` gives them (absent where the rows cannot be read),
        and ``rows`` {role: rows}.
    """
    findings: list[dict[str, Any]] = []
    answer: dict[str, Any] = {"findings": findings}
    loaded = _rows(plan, cache, findings)
    if loaded is not None:
        roles, task = loaded
        answer["rows"] = {role: len(getattr(roles, role)) for role in ("train", "gate", "test")}
        _metrics(plan, task, answer["rows"]["gate"], findings)
        _model(plan, roles, task, findings, answer, cache)
    findings += [finding for stage in _stages(plan) for finding in _oddities(*stage)]
    order = ("error", "warning", "note")
    findings.sort(key=lambda finding: order.index(finding["level"]))
    return answer


def _stages(plan: Plan) -> Iterator[tuple[str, Stage]]:
    for place, stage in enumerate(plan.stages):
        if stage.enabled:
            yield f"stages.{place}", stage


def _finding(level: str, key: str, message: str, advice: str | None = None) -> dict[str, Any]:
    return {"level": level, "key": key, "message": message, "advice": advice}


def _of_error(error: BertloomError, key: str) -> dict[str, Any]:
    """Return an error as a finding; where it names a key of the plan, that is its place."""
    named = error.where or ""
    place, message = (named, error.what) if _PATH.match(named) else (key, error.what)
    if place == key and named and named != key:
        message = f"{message} Where: {named}."
    if error.expected:
        message = f"{message} Expected: {error.expected}."
    return _finding("error", place, message, error.advice)


def _only(plan: Plan, place: int) -> Plan:
    """Return the plan with one stage switched on, so that each can be asked by itself."""
    stages = [stage.model_copy(update={"enabled": index == place}) for index, stage in enumerate(plan.stages)]
    return plan.model_copy(update={"stages": stages})


def _rows(plan: Plan, cache: Path, findings: list[dict[str, Any]]) -> tuple[Any, Task] | None:
    from core.data.tasks import task_for
    from core.training.material import load_rows

    try:
        roles = load_rows(plan, cache)
        task = task_for(plan.task, roles.labels, entries=roles.entries)
    except BertloomError as error:
        findings.append(_of_error(error, "data"))
        return None
    report = roles.report if isinstance(roles.report, dict) else roles.report.as_dict()
    findings += [
        _finding("warning", "data", str(found["message"]), found.get("advice") or None)
        for found in report.get("findings") or [] if found.get("level") == "warning"
    ]  # fmt: skip
    findings += [
        _finding("note", "task.pointer.dictionary", str(found["message"]))
        for found in report.get("findings") or [] if found.get("code") == "dictionary" and found.get("level") == "note"
    ]  # fmt: skip
    return roles, task


def _metrics(plan: Plan, task: Task, gate_rows: int, findings: list[dict[str, Any]]) -> None:
    from core.training.demands import check_metrics

    for place, stage in enumerate(plan.stages):
        if stage.enabled:
            try:
                check_metrics(_only(plan, place), task, gate_rows=gate_rows)
            except ConfigError as error:
                findings.append(_of_error(error, f"stages.{place}"))
    try:
        if not any(finding["level"] == "error" for finding in findings):
            check_metrics(plan, task, gate_rows=gate_rows)  # what stages need of one another
    except ConfigError as error:
        findings.append(_of_error(error, "stages"))


def _model(
    plan: Plan, roles: Any, task: Task, findings: list[dict[str, Any]], answer: dict[str, Any], cache: Path
) -> None:
    from core.models import build_model, structure
    from core.training.demands import check_labels, check_length, located
    from core.training.material import parameter_units

    try:
        model, tokenizer = build_model(plan.model, task, seed=plan.runtime.seed)
        shape = structure(model)
        encoded = task.encode(roles.train, tokenizer, plan.model.max_length)
    except BertloomError as error:
        findings.append(_of_error(error, "model"))
        return
    units, layers = parameter_units(shape.parts), len(shape.layers)
    listed = [(name, parameter.ndim) for name, parameter in model.named_parameters()]
    groups: dict[str, list[GroupSpec]] = {}
    for where, stage in _stages(plan):
        try:
            groups[where], _ = resolve(listed, units, layers, stage, where=where)
        except ConfigError as error:
            findings.append(_of_error(error, where))
        try:
            check_labels(stage, list(roles.labels), where)
        except ConfigError as error:
            findings.append(_of_error(error, where))
    if not encoded.features:
        findings.append(_finding("error", "data", "There is no training row, so the plan has no step."))
        return
    _teachers(plan, roles, task, (model, tokenizer, list(shape.layers)), encoded, findings, cache)
    counted = count_stages(plan, encoded.lengths)
    answer["stages"] = counted
    answer["steps"] = sum(stage["steps"] for stage in counted)
    for (where, stage), one in zip(_stages(plan), counted, strict=True):
        steps = int(one.get("trial_steps") or one["steps"])
        try:
            with located(where):
                rate_function(stage.schedule, steps, stage.lr)
            if stage.kind != "range_test":
                check_length(stage, steps, where)
        except ConfigError as error:
            findings.append(_of_error(error, where))
            continue
        if where in groups and stage.kind != "range_test":
            findings += _rates(stage, where, steps, groups[where], units, dict(model.named_parameters()))


def _teachers(
    plan: Plan, roles: Any, task: Task, student: tuple[Any, Any, list[Any]], encoded: Encoded,
    findings: list[dict[str, Any]], cache: Path,
) -> None:  # fmt: skip
    """Ask the teachers of distillations whether they can teach this student, and whether there is room for answers."""
    stages = [(where, stage) for where, stage in _stages(plan) if stage.kind == "distil"]
    if not stages:
        return
    from core.training.distil.rehearsal import teacher_findings

    for where, stage in stages:
        for level, place, found in teacher_findings(
            stage, where, task, *student, plan.model.max_length, roles.train, encoded, cache
        ):
            findings.append(
                _of_error(found, place) if isinstance(found, BertloomError) else _finding(level, place, found)
            )


def _rates(
    stage: Stage, where: str, steps: int, groups: list[GroupSpec], units: dict[str, str], parameters: dict[str, Any]
) -> list[dict[str, Any]]:
    """Compare the first rates with the size of the encoder's weights.

    With Adam each step changes a weight by about the rate, whatever the gradient's size. A rate as large as the weights
    leaves nothing of the pretraining after one step, and the loss explodes. A head has nothing to lose.
    """
    if stage.optimizer.name not in _SIGNED or stage.lr_from is not None:
        return []
    ways = corners(stage, ("lr",)) if stage.kind == "search" else [stage]
    factor = max(way.lr for way in ways) / stage.lr
    rate = rate_function(stage.schedule, steps, stage.lr)
    first = max(rate(step) for step in range(1, min(steps, _FIRST_STEPS) + 1)) * factor
    worst: tuple[float, GroupSpec, float] | None = None
    for spec in groups:
        names = [name for name in spec.parameters if units[name] != "head" and parameters[name].ndim > 1]
        if names:
            squares = sum(float(parameters[name].detach().double().square().sum()) for name in names)
            size = (squares / sum(parameters[name].numel() for name in names)) ** 0.5
            if size > 0 and (worst is None or spec.lr / size > worst[1].lr / worst[2]):
                worst = (spec.lr * first / size, spec, size)
    if worst is None or worst[0] < _LARGE:
        return []
    share, spec, size = worst
    said = (
        f"The rate of {spec.name} reaches {spec.lr * first:.2g} within the first steps, "
        f"{'more than' if share >= _REPLACES else f'{share:.0%} of'} the size of its weights ({size:.2g}): "
    )
    if stage.kind == "search":
        text = f"{said}trials at the upper end of the range will be wasted."
        return [_finding("warning", f"{where}.search.space.lr", text, "Lower the end of the range.")]
    retries = "A guard would roll it back at once" if stage.max_retries else "A guard would end the run at once"
    if share >= _REPLACES:
        advice = f"{retries}. Lower the rate to 1e-3 or below, or freeze the encoder."
        return [_finding("error", f"{where}.lr", f"{said}one step leaves nothing of what was learnt before.", advice)]
    return [_finding("warning", f"{where}.lr", f"{said}few steps replace what was learnt before.",
                     "Usual rates of an encoder lie between 1e-5 and 5e-4; a head alone bears 1e-2.")]  # fmt: skip


def _oddities(where: str, stage: Stage) -> Iterator[dict[str, Any]]:
    """Yield settings of a stage that have no effect, or another one than they seem to have."""
    top = max(stage.lr, stage.head_lr or 0.0)
    raises = stage.raise_if is not None or (
        stage.gate is not None and (stage.on_pass == "repeat" or stage.on_fail == "raise")
    )
    if stage.lr_cap is not None and raises and stage.lr_cap <= top:
        yield _finding(
            "error", f"{where}.lr_cap",
            f"lr_cap is {stage.lr_cap:g} and the highest rate {top:g}: it can never be raised.",
            "Set lr_cap above the rates, or leave it empty.",
        )  # fmt: skip
    if stage.lr_cap is not None and not raises:
        yield _finding("note", f"{where}.lr_cap", "lr_cap has no effect: nothing raises this stage's rates.")
    if stage.gate is None and stage.trains:
        for name, usual in (("on_pass", "promote"), ("on_fail", "rollback")):
            if getattr(stage, name) != usual:
                yield _finding("warning", f"{where}.{name}", f"{name} has no effect: the stage has no gate.")
    if stage.gate is not None and stage.on_fail in ("cut", "raise") and stage.max_retries == 0:
        yield _finding(
            "warning", f"{where}.max_retries", f"on_fail {stage.on_fail} needs max_retries of at least 1: with 0 the "
            f"stage is not begun again, and on_exhausted ({stage.on_exhausted}) decides at once.",
        )  # fmt: skip
    if stage.freeze_encoder and (stage.freeze_layers or stage.layer_decay != 1.0):
        yield _finding(
            "note", f"{where}.freeze_encoder", "freeze_layers and layer_decay have no effect: the encoder is frozen."
        )
    if stage.freeze_encoder and stage.reinit_top_n:
        yield _finding(
            "warning", f"{where}.reinit_top_n",
            "Layers are re-initialised and then frozen: the head is trained on layers that know nothing.",
            "Set freeze_encoder to false, or reinit_top_n to 0.",
        )  # fmt: skip
    if stage.budget_s is not None:
        yield _finding("note", f"{where}.budget_s", "With a budget of seconds the run depends on the machine's speed.")
