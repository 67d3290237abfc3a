"""Findings about scores: one class predicted, gates that were not reached, no better than the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.data.tasks.dependency_scores import metrics_of
from core.runs.findings import remedies
from core.runs.findings.curves import rates_between, rolling
from core.runs.findings.types import Evidence, Finding, Recorded, Remedy, Segment

__all__ = ["at_baseline", "gate_not_reached", "guard_held", "one_class"]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def one_class(segment: Segment) -> Iterator[Finding]:
    """The last two evaluations, or the final scores, gave one and the same label to every text."""
    run = segment.run
    if run.plan.task.kind != "classification" or run.plan.task.multi_label:
        return
    mcc, last = segment.points("gate/mcc"), segment.last >= run.last_step
    told = None
    for role in ("test", "gate"):
        confusion = (((run.results or {}).get("details") or {}).get(role) or {}).get("confusion")
        if last and confusion:
            columns = [sum(column) for column in zip(*confusion["matrix"], strict=True)]
            gold = [sum(row) for row in confusion["matrix"]]
            if sum(count > 0 for count in columns) == 1 and sum(count > 0 for count in gold) > 1:
                label = confusion["labels"][columns.index(max(columns))]
                told = f"All {sum(columns):,} texts of {role} are predicted as {str(label)[:60]!r}"
                break
    if told is None:
        # Matthews' correlation is 0 exactly where all predictions are the same (Gorodkin 2004).
        if run.results or len(mcc) < 2 or any(mcc.values[-2:] != 0.0):
            return
        told = f"At the evaluations of steps {mcc.steps[-2]} and {mcc.steps[-1]} all texts got the same label"
    rate = segment.highest_rate()
    at = f", after training at a rate of up to {rate[1]:.3g}" if rate else ""
    advice, cures = _why_one_class(segment, rate[1] if rate else None)
    yield Finding(
        "one_class", "problem", f"{told}{segment.where}{at}.", advice,
        Evidence(("gate/mcc", "gate/accuracy", "train/loss"), segment.first, segment.last),
        (
            Remedy("Find the rate by a range test", remedies.add_range_test(segment.index)), *cures,
            Remedy("Weight the classes", remedies.weigh_classes(segment.index)),
        ),
    )  # fmt: skip


def _why_one_class(segment: Segment, rate: float | None) -> tuple[str, tuple[Remedy, ...]]:
    """Return what the train loss says about it, and what is to be changed: a lower rate only where one was too high."""
    loss, low, high = segment.points("train/loss"), *rates_between(segment)
    lower = Remedy("A tenth of the learning rate", remedies.cut_rates(segment.index, 0.1))
    longer = Remedy("Train three times as long", remedies.longer(segment.index, 3.0))
    if len(loss) >= 20:
        smooth = rolling(loss, max(3, len(loss) // 10))
        begin, least, most, end = (
            float(one) for one in (loss.values[:3].mean(), smooth.min(), smooth.max(), smooth[-1])
        )
        if most > 1.2 * begin or end > 1.2 * least:
            return "The loss rose: the rate was so high that the weights collapsed.", (lower,)
        if least < 0.9 * begin:
            return "The loss fell all the same: one class is far more frequent, or more steps are needed.", (longer,)
        if rate is not None and rate <= low:
            higher = Remedy("Ten times the learning rate", remedies.cut_rates(segment.index, 10.0))
            return "Nothing was learnt yet: the loss never fell, and the rate is low for what is trained.", (higher,)
        if rate is not None and rate >= high:
            return "The loss never fell, at a rate at which weights can collapse in the first steps.", (lower,)
        return "Nothing was learnt yet: the loss never fell. More steps may be all that it needs.", (longer,)
    return (
        "Either nothing was learnt yet (rate too low, too few steps), or the rate was so high that the weights "
        "collapsed; the loss curve tells which.",
        (),
    )


_BASELINES = {
    "classification": "always naming the most frequent label",
    "tagging": "giving each word its most frequent tag",
    "spans": "looking up the entities of the training rows",
    "dependency": "hanging every word on its neighbour",
    "question_answering": "taking the words nearest to those of the question (or never answering)",
}


def at_baseline(run: Recorded) -> Iterator[Finding]:
    """The final score's 95 % interval reaches down to a baseline that needs no model."""
    results = run.results or {}
    details, metrics = results.get("details") or {}, results.get("metrics") or {}
    role = "test" if details.get("test") else "gate"
    part = details.get(role) or {}
    kind = run.plan.task.kind
    metric = {"tagging": "strict_f1", "question_answering": "f1"}.get(kind, "accuracy")
    if kind == "dependency":
        metric = metrics_of(run.plan.task)[0]
    if run.plan.task.gold == "spans":
        metric = "span_f1"
    base = part.get("majority") if kind == "classification" else (part.get("baseline") or {}).get(metric)
    value = metrics.get(f"{role}/{metric}")
    if not isinstance(base, int | float) or not isinstance(value, int | float):
        return
    interval = (part.get("intervals") or {}).get(metric)
    low = float(interval[0]) if interval else float(value)
    if low > base:
        return
    what = _BASELINES["spans" if metric == "span_f1" else kind]
    spread = f" (95 %: {_percent(interval[0])} to {_percent(interval[1])})" if interval else ""
    index = [stage.name for stage in run.plan.stages].index(run.plan.active[-1].name)
    stage = run.plan.stages[index]
    cures = [Remedy("Train three times as long", remedies.longer(index, 3.0))]
    if stage.freeze_encoder:
        cures.insert(0, Remedy("Train the whole encoder at 1e-4", _unfreeze(index)))
    if run.plan.data.train_rows is not None:
        cures.append(Remedy("Use all training rows", remedies.keep_all_rows()))
    cures.append(Remedy("Find the rate by a range test", remedies.add_range_test(index)))
    yield Finding(
        "at_baseline", "problem",
        f"{role}/{metric} is {_percent(value)}{spread}; that is not above {_percent(base)}, which {what} reaches.",
        "The run has learnt nothing that can be told from guessing on these rows.",
        Evidence((f"gate/{metric}",)), tuple(cures),
    )  # fmt: skip


def _unfreeze(index: int) -> Any:
    return remedies.set_stage(index, freeze_encoder=False, freeze_layers=0, lr=1e-4)


def gate_not_reached(run: Recorded) -> Iterator[Finding]:
    """A stage had a gate and never passed it."""
    outcomes = {one.get("name"): one for one in (run.results or {}).get("stages") or ()}
    for index, stage in enumerate(run.plan.stages):
        if stage.gate is None or not stage.enabled:
            continue
        asked = [event for event in run.events if _decided(event, stage.name, "gate")]
        gate = (outcomes.get(stage.name) or {}).get("gate") or {}
        passed = gate.get("passed", any(_action(event) in ("promote", "repeat") for event in asked))
        if passed or not (asked or gate):
            continue
        evidence = _data(asked[-1]).get("evidence") or {} if asked else {}
        metric = str(evidence.get("metric") or gate.get("metric") or "gate")
        value, reference = evidence.get("value"), evidence.get("reference")
        told = ""
        if isinstance(value, int | float) and isinstance(reference, int | float):
            needed = float(reference) + stage.gate.min_delta * (-1 if metric.endswith("loss") else 1)
            low = evidence.get("low")
            lower = stage.gate.rule == "lower" and isinstance(low, int | float)
            shown = f"the lower end of its interval {low:.3f}" if lower else f"{value:.3f}"
            told = (
                f": {metric} came to {shown}, needed was {'below' if metric.endswith('loss') else 'above'} {needed:.3f}"
            )
        cures = [
            Remedy("Train the stage twice as long", remedies.longer(index, 2.0)),
            Remedy("Three times the learning rate", remedies.cut_rates(index, 3.0)),
        ]
        if stage.gate.rule == "lower":
            eased = {**stage.gate.model_dump(mode="json"), "rule": "point"}
            cures.append(Remedy("Let the metric itself pass the gate", remedies.set_stage(index, gate=eased)))
        steps = [int(event["step"]) for event in asked if event.get("step") is not None]
        yield Finding(
            "gate_not_reached", "problem", f"The gate of stage {stage.name} was never passed{told}.",
            "Train longer or at a higher rate; lower the bar only if the gate asks for more than the data can show.",
            Evidence((metric,), None, steps[-1] if steps else None), tuple(cures),
        )  # fmt: skip


def guard_held(run: Recorded) -> Iterator[Finding]:
    """A guard rolled a stage back and cut its rates."""
    for index, stage in enumerate(run.plan.stages):
        held = [event for event in run.events if _decided(event, stage.name, "guard")]
        if not held:
            continue
        scale = _data(held[-1]).get("lr_scale")
        steps = [int(event["step"]) for event in held if event.get("step") is not None]
        where = f" at step {', '.join(map(str, steps))}" if steps else ""
        cures = []
        if isinstance(scale, int | float) and 0 < scale < 1:
            cures.append(Remedy(f"Begin with {scale:.3g} of the rates", remedies.cut_rates(index, float(scale))))
        cures.append(Remedy("Find the rate by a range test", remedies.add_range_test(index)))
        times = "once" if len(held) == 1 else f"{len(held)} times"
        ended = f" The rates ended at {scale:.3g} of what the plan says." if isinstance(scale, int | float) else ""
        yield Finding(
            "guard_held", "warning", f"A guard held {times} in stage {stage.name}{where}.{ended}",
            "Steps before a roll-back are lost time: begin with the rate that was left at the end.",
            Evidence(("train/loss", "train/grad_norm"), steps[0] if steps else None, steps[-1] if steps else None),
            tuple(cures),
        )  # fmt: skip


def _data(event: Any) -> dict[str, Any]:
    return dict(event.get("data") or {})


def _action(event: Any) -> str:
    return str(_data(event).get("action"))


def _decided(event: Any, stage: str, rule: str) -> bool:
    data = _data(event)
    return event.get("kind") == "decision" and data.get("rule") == rule and data.get("stage") == stage
