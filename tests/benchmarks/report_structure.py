"""Render ``docs/structure.md`` and its picture from the measured files beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from core.render.arms_svg import ArmRow, Panel, arms_svg
from core.runs.compare import LEAST_SEEDS, Comparison, Verdict
from tests.benchmarks.structure import SEEDS, STATISTICS
from tests.benchmarks.structure_arms import ARMS
from tests.benchmarks.structure_judge import (
    ASKED,
    BEST,
    MEASURES,
    TITLES,
    Known,
    by_arm,
    comparisons,
    found_best,
    mean_of,
    name_of,
    t_interval,
    values_of,
)
from tests.benchmarks.structure_plan import before, introduction
from tests.benchmarks.structure_records import ShapeRun

__all__ = ["page", "picture", "statistics"]

_Compared = Mapping[str, Comparison]


def statistics() -> dict[str, Any]:
    """Return the stored statistics of the parent; empty if they are not measured yet."""
    return dict(json.loads(STATISTICS.read_text(encoding="utf-8"))) if STATISTICS.exists() else {}


def page(runs: Sequence[ShapeRun], measured: Mapping[str, Any]) -> str:
    """Return the whole page.

    Parameters
    ----------
    runs
        What was made.
    measured
        As :func:`statistics` gives it.
    """
    known = by_arm(runs, SEEDS)
    compared = {measure: comparisons(measure, known) for measure in MEASURES}
    lines = [introduction(), *_verdicts(known, compared), *_table(known), *_statistics(measured)]
    for measure, found in compared.items():
        lines += _comparisons(measure, found)
    lines += [*_shapes(known), *before(), *_cost(runs)]
    return "\n".join(lines).rstrip("\n") + "\n"


def picture(runs: Sequence[ShapeRun]) -> str:
    """Return both measures of all arms as SVG."""
    known = by_arm(runs, SEEDS)
    panels = []
    for measure, title in (("loss", "distillation loss (less is better)"), ("accuracy", "accuracy on test")):
        rows = []
        for arm in ARMS:
            values = tuple(value for value in values_of(measure, known[arm.name]).values() if value is not None)
            if values:
                rows.append(ArmRow(arm.title, values, mean_of(values), t_interval(values)))
        panels.append(Panel(title, tuple(rows), percent=measure == "accuracy"))
    return arms_svg(panels, title=f"Shapes of half the size, up to {SEEDS} seeds each", marked=TITLES["prior"])


def _verdicts(known: Known, compared: Mapping[str, _Compared]) -> list[str]:
    lines = ["## Verdict", ""]
    missing = [
        f"{arm.title} ({SEEDS - len(known[arm.name])} of {SEEDS})" for arm in ARMS if len(known[arm.name]) < SEEDS
    ]
    if missing:
        lines += [f"*Not finished*; seeds that are missing: {', '.join(missing)}.", ""]
    for measure, found in compared.items():
        lines.append(f"- **{MEASURES[measure].capitalize()}.** {_earned(measure, found)} {_best(measure, found)}")
    return [*lines, ""]


def _earned(measure: str, found: _Compared) -> str:
    asked = {name: found[name_of("prior", name)] for name in ASKED}
    if any(one.verdict is Verdict.NONE for one in asked.values()):
        return f"No verdict on the graph prior yet: fewer than {LEAST_SEEDS} paired seeds."
    said = "; ".join(_said(measure, one, TITLES[name]) for name, one in asked.items())
    earned = all(one.verdict is Verdict.BETTER for one in asked.values())
    return f"The graph prior is {said}. So it has {'' if earned else 'not '}earned its place."


def _said(measure: str, one: Comparison, reference: str) -> str:
    """Return "better than X (…)" with the difference, its interval and what would tell."""
    words = {
        Verdict.BETTER: "**better** than", Verdict.WORSE: "**worse** than", Verdict.EQUIVALENT: "**equivalent** to",
        Verdict.UNDECIDED: "**not distinguishable** from", Verdict.NONE: "not compared yet with",
    }[one.verdict]  # fmt: skip
    if one.difference is None or one.interval_corrected is None:
        return f"{words} {reference}"
    told = f"{_amount(measure, one.difference)}, {_bounds(measure, one.interval_corrected)}"
    if one.verdict is Verdict.UNDECIDED:
        seeds = f"{one.seeds_needed} seeds" if one.seeds_needed is not None else "more than 1,000 seeds"
        told += f"; {one.why}; {seeds} would find a difference as large as the margin"
    return f"{words} {reference} ({told})"


def _best(measure: str, found: _Compared) -> str:
    one = found[name_of(BEST, "uniform")]
    if one.verdict is Verdict.NONE:
        return "Whether the best found shape beats the best uniform one is open."
    beats = "beats" if one.verdict is Verdict.BETTER else "does not beat"
    return (
        f"The best found shape {beats} the best uniform one: it is "
        f"{_said(measure, one, TITLES['uniform'])}."
    )  # fmt: skip


def _amount(measure: str, value: float) -> str:
    return f"{100 * value:+.1f} points" if measure == "accuracy" else f"{value:+.4f}"


def _bounds(measure: str, bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return "–"
    scale, digits = (100.0, 1) if measure == "accuracy" else (1.0, 4)
    return " to ".join(f"{scale * bound:+.{digits}f}" for bound in bounds)


def _table(known: Known) -> list[str]:
    lines = [
        "![Distillation loss and accuracy of every arm, a dot a seed, with means and intervals]"
        "(pictures/structure.svg)", "",
        "| arm | seeds | loss after inheriting | after distilling, 95 % | accuracy on test, 95 % | "
        "operations, 64 sub-words |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for arm in ARMS:
        runs = list(known[arm.name].values())
        if not runs:
            lines.append(f"| {arm.title} | 0 | – | – | – | – |")
            continue
        scores = [run.task.score for run in runs if run.task.score is not None]
        failed = f" ({len(runs) - len(scores)} failed)" if len(scores) < len(runs) else ""
        lines.append(
            f"| {arm.title} | {len(runs)}{failed} | {mean_of([run.before for run in runs]):.4f} | "
            f"{_with_interval([run.after for run in runs], 1.0, 4)} | {_with_interval(scores, 100.0, 1)} | "
            f"{_operations([run.shape['flops'] / 1e6 for run in runs])} |"
        )
    majority = next((run.task.majority for runs in known.values() for run in runs.values() if run.task.majority), None)
    if majority is not None:
        lines += ["", f"Accuracies in per cent; always naming the most frequent label scores {100 * majority:.1f}."]
    return [*lines, ""]


def _with_interval(values: Sequence[float], scale: float, digits: int) -> str:
    if not values:
        return "–"
    found = t_interval(values)
    told = f"{scale * mean_of(values):.{digits}f}"
    return told if found is None else f"{told} ({' to '.join(f'{scale * one:.{digits}f}' for one in found)})"


def _operations(millions: Sequence[float]) -> str:
    low, high = f"{min(millions):,.0f}", f"{max(millions):,.0f}"
    return f"{low} million" if low == high else f"{low}–{high} million"


def _statistics(measured: Mapping[str, Any]) -> list[str]:
    lines = ["## What the graphs say", ""]
    if not measured:
        return [*lines, "*The statistics of the parent are not measured yet.*", ""]
    layers, least = measured["layers"][1:], measured["thresholds"]
    lines += [
        f"d\\* of the parent's layers, from the graphs of {measured['words']:,} words of {measured['sentences']:,} "
        f"review sentences (path lengths correlate by at least {least['rho']:g}, words share at least "
        f"{least['overlap']:g} of their neighbours), with a 95 % bootstrap interval over words:", "",
        f"| layer | {' | '.join(str(one['layer']) for one in layers)} |", f"|---|{'---|' * len(layers)}",
        f"| d\\* | {' | '.join(str(one['least']) for one in layers)} |",
        f"| interval | {' | '.join(_range(one) for one in layers)} |", "",
    ]  # fmt: skip
    if len({one["least"] for one in layers}) == 1:
        lines += ["All layers need the same: the prior is uniform, and permuting it changes nothing.", ""]
    return lines


def _range(entry: Mapping[str, Any]) -> str:
    return f"{entry['least_low']}–{entry['least_high']}"


def _comparisons(measure: str, found: _Compared) -> list[str]:
    rows = measure == "accuracy"
    lines = [
        f"## Compared: {MEASURES[measure]}", "",
        "| compared | seeds | difference | 95 % over seeds | corrected |"
        f"{' over test rows | over both |' if rows else ''} p (Holm) | verdict | seeds for the margin |",
        f"|---|---|---|---|---|{'---|---|' if rows else ''}---|---|---|",
    ]  # fmt: skip
    asked = {name_of("prior", name) for name in ASKED}
    for name, one in found.items():
        title = name if name in asked else f"{name} (beside)"
        if one.difference is None or one.interval is None or one.p_corrected is None:
            single = "–" if one.difference is None else _amount(measure, one.difference)
            extra = " – | – |" if rows else ""
            lines.append(f"| {title} | {one.seeds} | {single} | – | – |{extra} – | {one.verdict}: {one.why} | – |")
            continue
        both = (one.documents_interval_corrected, one.both_interval_corrected)
        extra = "".join(f" {_bounds(measure, bounds)} |" for bounds in both) if rows else ""
        lines.append(
            f"| {title} | {one.seeds} | {_amount(measure, one.difference)} | {_bounds(measure, one.interval)} | "
            f"{_bounds(measure, one.interval_corrected)} |{extra} {one.p_corrected:.2g} | {one.verdict} | "
            f"{one.seeds_needed or '> 1,000'} |"
        )
    return [*lines, ""]


def _shapes(known: Known) -> list[str]:
    lines = [
        "## Which shapes were trained", "",
        "| arm | widths, lowest layer first | FFN units by width | seeds |", "|---|---|---|---|",
    ]  # fmt: skip
    for arm in ARMS:
        runs = list(known[arm.name].values())
        for widths, seeds in Counter(tuple(run.shape["widths"]) for run in runs).most_common():
            units = next(run.shape["units"] for run in runs if tuple(run.shape["widths"]) == widths)
            told = ", ".join(map(str, widths))
            lines.append(f"| {arm.title} | {told} | {sum(units) / sum(widths):.2f} | {seeds} |")
    best = Counter(run.arm for run in found_best(known).values())
    if best:
        told = ", ".join(f"{TITLES[name]} ({seeds})" for name, seeds in best.most_common())
        lines += [
            "", "The best found shape is chosen for each seed by the ranking of all shapes that are not uniform, "
            f"before any training. By seeds it came from: {told}.",
        ]  # fmt: skip
    return [*lines, ""]


def _cost(runs: Sequence[ShapeRun]) -> list[str]:
    if not runs:
        return []
    words = {"rank": "to inherit and rank", "distil": "to distil", "task": "to fine-tune and score"}
    parts = {name: [run.seconds.get(name, 0.0) for run in runs] for name in words}
    means = ", ".join(f"{mean_of(values):.0f} s {words[name]}" for name, values in parts.items())
    longest = max(sum(values) for values in zip(*parts.values(), strict=True))
    work = mean_of([run.seconds.get("cpu", 0.0) for run in runs])
    shared = mean_of([run.seconds.get("calibrate", 0.0) for run in runs])
    return [
        "## What it cost", "",
        f"An arm with one seed took {means}, in the mean, on two cores that other work shared at times; the longest "
        f"took {longest:.0f} s. The work itself is {work:.0f} s of one core. The texts of a seed take {shared:.0f} s "
        "more, once for all its arms.", "",
    ]  # fmt: skip
