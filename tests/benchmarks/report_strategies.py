"""Render ``docs/strategies.md`` from the measured files beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.config.comparison import Comparison
from core.render.arms_svg import ArmRow, Panel, arms_svg
from core.runs.compare import LEAST_SEEDS
from core.studies.comparing.plans import jobs_of
from core.studies.comparing.records import ChildRun
from core.studies.comparing.tables import costs, standings
from core.studies.comparing.verdicts import transfer_of, verdicts_of
from tests.benchmarks.strategies_arms import ABLATED, RULES, SEEDS, comparison, judged

__all__ = ["page", "picture"]

_METRICS = {"strict_f1": "strict F1 of entities", "f1": "F1 of answers"}
_FLAGS = {
    "negative": "negative transfer: the single strategy is better", "positive": "the joint strategy is better",
    "suspected": "negative transfer suspected: as large as the margin, not proven",
}  # fmt: skip

_INTRODUCTION = """# Single, joint and pointer-based fine-tuning

Written by `python -m tests.benchmarks.strategies --render` from the files in [results/strategies](results/strategies);
`make experiment-strategies` trains what is missing (`MINUTES=10` for ten minutes of it) and renders.

**The question.** Is it better to train one encoder for each task, one for both together, or either with heads that
point to words, when names are found in tweets and questions about the same tweets are answered?

**What was trained.** The bundled encoder as a whole. *names*: entities in the bundled tweets. *questions*: the bundled
questions on those tweets, which are **derived from the entities**, not asked by people. The strategies are sharing ×
head as in [comparing.md](comparing.md): `single` and `joint` have linear heads; `pointer` trains each task by itself
with a head that points ([tasks.md](tasks.md)). All train in {precision} and are scored in fp32.
{rows}Texts that one task is judged on are left out of the other's training rows, for all strategies alike.
Batches of {batch}, AdamW at {lr:g} (heads {head_lr:g}), evaluated on gate every {every} steps; the best evaluation on
gate is tested once. Joint runs choose it by the mean of both tasks' scores, single ones by their own, so the joint
encoder serves both tasks at once. A joint run makes the steps of both tasks, so it chooses among twice as many
evaluations.

- **Equal steps**: {steps} optimiser steps a task; joint runs make {both}, a batch of one task each, drawn in proportion
  to the square root of its examples{drawn}.
- **Equal examples**: {examples:,} examples a task, repeated ones counted again, for joint runs as a quota for each
  task.

**How it is judged.** Differences paired by seed, with both sources of error (seeds and test rows), Holm's correction
over all comparisons of a table, and a margin of {margin:g} points: [comparing.md](comparing.md) says how. Nothing is
judged before all {seeds} seeds are there."""


def page(results: Mapping[str, Sequence[ChildRun]]) -> str:
    """Return the whole page.

    Parameters
    ----------
    results
        Rule → records of its runs.
    """
    lines = [_introduction(results), ""]
    if any(results.values()):
        lines += [
            "![Scores of all strategies under both rules, a dot a seed, mean and interval](pictures/strategies.svg)",
            "",
        ]
    for rule in RULES:
        lines += [f"## Equal {rule}", "", *_missing(rule, results[rule])]
        lines += _family(judged(rule, "ways"), results[rule])
    lines += ["## The pointer head without its parts", "", *_pointer(results["steps"])]
    return "\n".join(lines).rstrip("\n") + "\n"


def picture(results: Mapping[str, Sequence[ChildRun]]) -> str:
    """Return the scores of all strategies under both rules as SVG."""
    panels = []
    for task in comparison("steps").tasks:
        rows = []
        for rule in RULES:
            for one in standings(comparison(rule), results[rule]):
                if one["task"] == task.name and one["mean"] is not None:
                    bounds = one["interval"] and (one["interval"][0], one["interval"][1])
                    name = f"{one['strategy']}, equal {rule}"
                    rows.append(ArmRow(name, tuple(one["values"].values()), one["mean"], bounds))
        panels.append(Panel(f"{task.name}: {_METRICS.get(task.score, task.score)}", tuple(rows), percent=True))
    return arms_svg(panels, title=f"Strategies, up to {SEEDS} seeds each")


def _introduction(results: Mapping[str, Sequence[ChildRun]]) -> str:
    config = comparison("steps")
    rows = {
        name: task.rows for records in results.values() for one in records for name, task in one.tasks.items()
        if task.rows
    }  # fmt: skip
    told = "; ".join(
        f"*{name}* {count['train']} rows to train on, {count['gate']} gate, {count['test']} test rows"
        for name, count in sorted(rows.items())
    )
    stage, budget = config.stage, config.budget
    roots = {name: count["train"] ** 0.5 for name, count in sorted(rows.items())}
    drawn = ", ".join(
        f"{name} in about {2 * budget.steps * root / sum(roots.values()):.0f}" for name, root in roots.items()
    )
    return _INTRODUCTION.format(
        rows=f"{told}. " if told else "", drawn=f": {drawn}" if drawn else "",
        batch=stage.batch_size, lr=stage.lr, head_lr=stage.head_lr,
        every=stage.eval_every, steps=budget.steps, both=2 * budget.steps, examples=budget.examples,
        margin=100 * config.margin, seeds=SEEDS, precision=config.runtime.precision,
    )  # fmt: skip


def _missing(rule: str, records: Sequence[ChildRun]) -> list[str]:
    there, wanted = {one.key for one in records}, jobs_of(comparison(rule))
    count = sum(job.key not in there for job in wanted)
    if not count:
        return []
    return [
        f"*Not finished*: {count} of {len(wanted)} runs are missing. With fewer than {LEAST_SEEDS} seeds there is no "
        "verdict.", "",
    ]  # fmt: skip


def _family(config: Comparison, records: Sequence[ChildRun]) -> list[str]:
    own = [one for one in records if one.strategy in {strategy.name for strategy in config.strategies}]
    if not own:
        return ["Not measured yet.", ""]
    verdicts = verdicts_of(config, own)
    return [
        *_standings(config, own), *_sentences(verdicts), *_differences(verdicts), *_transfer(config, verdicts),
        *_costs(config, own),
    ]  # fmt: skip


def _standings(config: Comparison, records: Sequence[ChildRun]) -> list[str]:
    tasks = [task.name for task in config.tasks]
    metric = {task.name: _METRICS.get(task.score, task.score) for task in config.tasks}
    heads = " | ".join(f"{name}: {metric[name]}" for name in tasks)
    lines = [
        "Scores on test in %, mean over seeds with its 95 % interval.", "", f"| strategy | seeds | {heads} |",
        "|---|---|" + "---|" * len(tasks),
    ]  # fmt: skip
    stood = {(one["strategy"], one["task"]): one for one in standings(config, records)}
    for strategy in config.strategies:
        cells = [stood[strategy.name, name] for name in tasks]
        failed = sum(one["failed"] for one in cells)
        seeds = f"{min(one['seeds'] for one in cells)}{f' ({failed} failed)' if failed else ''}"
        lines.append(f"| {strategy.name} | {seeds} | {' | '.join(_cell(one) for one in cells)} |")
    majority = [
        f"{name} {100 * one['majority']:.1f} %"
        for name in tasks
        if (one := stood[config.strategies[0].name, name])["majority"] is not None
    ]
    return [*lines, "", *([f"Without a model: {', '.join(majority)}.", ""] if majority else [])]


def _cell(one: Mapping[str, Any]) -> str:
    if one["mean"] is None:
        return "–"
    bounds = f" ({100 * one['interval'][0]:.1f} to {100 * one['interval'][1]:.1f})" if one["interval"] else ""
    return f"{100 * one['mean']:.1f}{bounds}"


def _sentences(verdicts: Sequence[Mapping[str, Any]]) -> list[str]:
    judged_ones = [one for one in verdicts if one["verdict"] != "no verdict"]
    return [*(f"- {one['sentence']}" for one in judged_ones), *([""] if judged_ones else [])]


def _differences(verdicts: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| task | a − b | seeds | difference, points | 95 % interval | corrected | p (Holm) | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in verdicts:
        if one["difference"] is None:
            continue
        verdict = {"a": f"**{one['a']}** is better", "b": f"**{one['b']}** is better"}.get(
            one["verdict"], one["verdict"]
        )
        p = one.get("p_corrected")
        lines.append(
            f"| {one['task']} | {one['a']} − {one['b']} | {one['seeds']} | {100 * one['difference']:+.1f} "
            f"| {_bounds(one['interval'])} | {_bounds(one.get('interval_corrected'))} "
            f"| {'–' if p is None else f'{p:.2g}'} | {verdict} |"
        )
    return [*lines, ""]


def _bounds(bounds: Sequence[float] | None) -> str:
    return "–" if bounds is None else " to ".join(f"{100 * bound:+.1f}" for bound in bounds)


def _transfer(config: Comparison, verdicts: Sequence[Mapping[str, Any]]) -> list[str]:
    found = [one for one in transfer_of(config, verdicts) if one["difference"] is not None]
    if not found:
        return []
    lines = ["What learning together gives each task, in points, with its 95 % interval:", ""]
    for one in found:
        flag = f"; {_FLAGS[one['flag']]}" if one["flag"] else ""
        bounds = f" ({_bounds(one['interval'])})" if one["interval"] else ""
        lines.append(
            f"- *{one['task']}*, {one['joint']} − {one['single']}: {100 * one['difference']:+.1f}{bounds}{flag}"
        )
    return [*lines, ""]


def _costs(config: Comparison, records: Sequence[ChildRun]) -> list[str]:
    lines = [
        "| strategy | steps of one seed | parameters, both tasks | shared by both |",
        "|---|---|---|---|",
    ]
    for one in costs(config, records):
        shared = one["shared_parameters"]
        lines.append(
            f"| {one['strategy']} | {one['steps']} | {_number(one['parameters'])} "
            f"| {_number(shared) if shared else '–'} |"
        )
    return [*lines, ""]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _pointer(records: Sequence[ChildRun]) -> list[str]:
    named = {"pointer, no memory": "types (of questions: the end) do not see what the pointer reads",
             "pointer, no distances": "no scores of relative positions"}  # fmt: skip
    told = "; ".join(f"*{name}*: {named[name]}" for name in ABLATED)
    return [
        f"Each task by itself, equal steps, judged as a family of its own. {told[0].upper()}{told[1:]}.", "",
        *_family(judged("steps", "pointer"), records),
    ]  # fmt: skip
