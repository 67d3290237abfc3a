"""The report of a training run as blocks: scores, the curve on gate, where heads point, and what repeats it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.config.kinds import title_of_kind
from core.render.comparison_svg import curves_svg
from core.render.pointer_report import pointer_blocks
from core.render.report_block import Block, percent
from core.runs.records import RunRecord

__all__ = ["run_blocks"]

#: Scores that are no shares.
_NUMBERS = ("loss", "mcc")


def run_blocks(
    run: RunRecord, results: Mapping[str, Any], plan: str, *, pointed: Sequence[Mapping[str, Any]] = (),
    curve: Mapping[str, Any] | None = None,
) -> list[Block]:  # fmt: skip
    """Return the report's blocks.

    Parameters
    ----------
    run
        A finished run of kind train or joint.
    results
        What it left in ``results.json``.
    plan
        Its plan as YAML.
    pointed
        ``name`` and ``sentences`` of each task whose head points, see :func:`core.runs.reported.reported`.
    curve
        ``name``, ``steps`` and ``values`` of the gate score that picked its checkpoint.
    """
    best = run.progress.get("best") or {}
    told = [f"{title_of_kind(run.kind)}, {run.seconds:,.0f} seconds of work."]
    if best.get("step") is not None:
        told.append(f"The best checkpoint is that of step {best['step']:,}, by {best.get('metric')} on gate rows.")
    found = [Block("title", f"Run: {run.name}"), Block("words", " ".join(told))]
    found += _scores(run, results)
    if curve is not None and len(curve["steps"]) > 1:
        title = f"{curve['name']} over the steps"
        svg = curves_svg({str(curve["name"]): [curve]}, title=title, unit=str(curve["name"]))
        found += [Block("heading", "Learning curve"), Block("figure", svg, title=title)]
    found += [*pointer_blocks(pointed), *_environment(results), Block("heading", "To repeat it")]
    return [
        *found, Block("file", plan, title="plan.yaml"),
        Block("file", f"bertloom run plan.yaml --json\nbertloom report {run.id} --html report.html", title="commands"),
    ]  # fmt: skip


def _scores(run: RunRecord, results: Mapping[str, Any]) -> list[Block]:
    metrics, details = results.get("metrics") or {}, results.get("details") or {}
    rows: list[tuple[str, ...]] = []
    for task in [str(one["name"]) for one in run.plan.get("tasks") or ()] or [""]:
        start = f"{task}/" if task else ""
        test = (details.get("test") or {}).get(task, {}) if task else details.get("test") or {}
        names = [key.removeprefix(f"test/{start}") for key in metrics if key.startswith(f"test/{start}")]
        for name in sorted((one for one in names if "/" not in one), key=lambda one: one == "loss"):
            low_high = (test.get("intervals") or {}).get(name)
            spread = f"{_value(name, low_high[0])} to {_value(name, low_high[1])}" if low_high else ""
            gate = metrics.get(f"gate/{start}{name}")
            rows.append(
                (*([task] if task else []), name, _value(name, metrics[f"test/{start}{name}"]), spread,
                 "" if gate is None else _value(name, gate), "" if not test.get("n") else f"{test['n']:,}")
            )  # fmt: skip
    if not rows:
        return []
    joint = ["task"] if run.plan.get("tasks") else []
    told = (
        "Test rows were scored once, by the best checkpoint. Gate rows picked that checkpoint, so their scores are "
        "optimistic. Intervals are a bootstrap over test rows, and say nothing about another seed."
    )
    head = (*joint, "score", "on test", "95 % interval", "on gate", "test rows")
    return [Block("heading", "Scores"), Block("words", told), Block("table", rows=(head, *rows))]


def _value(name: str, value: float) -> str:
    return f"{value:.4g}" if name.endswith(_NUMBERS) else percent(value)


def _environment(results: Mapping[str, Any]) -> list[Block]:
    rows = []
    for part in ("choices", "environment"):
        for name, value in (results.get(part) or {}).items():
            pairs = value.items() if isinstance(value, Mapping) else ((name, value),)
            rows += [(str(key), str(each)) for key, each in pairs if each is not None]
    return [Block("heading", "Environment"), Block("table", rows=(("what", "value"), *rows))] if rows else []
