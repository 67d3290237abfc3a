"""Render ``docs/distilled.md`` from the measured files beside it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.runs.compare import LEAST_SEEDS, Comparison, Documents, Pair, Verdict, compare
from core.studies.records import answers
from tests.benchmarks.distillation_arms import ARMS, LAYERS, SEEDS, TASKS
from tests.benchmarks.structure_judge import t_interval

if TYPE_CHECKING:
    from tests.benchmarks.distillation import Taught

__all__ = ["page", "pairs"]

_TITLES = {"reviews": "Reviews (classification, accuracy)", "tweets": "Tweets (tagging, strict F1)"}
_ARMS = {
    "alone": "without a teacher", "plain": "plain distillation", "differences": "weighted where they differ (λ = 0.5)",
    "harmful-dropped": "harmful positions dropped",
}  # fmt: skip
#: Each arm against which others: all of a task and size are one family for Holm's correction.
_ASKED = (("plain", "alone"), ("differences", "plain"), ("harmful-dropped", "plain"))

#: What three layers by the default recipe are promised to keep of the teacher's score, and how many times as fast.
KEPT, FASTER = 0.97, 1.8

_INTRODUCTION = """# What students keep of their teacher

Written by `python -m tests.benchmarks.distillation --render` from the files in
[results/distillation](results/distillation); `make experiment-distillation` trains what is missing (`MINUTES=10` for
ten minutes of it) and renders.

**What was trained.** A teacher for each seed: the bundled encoder (six layers of 384), fine-tuned on 2,000 review
snippets (80 steps of 32, rate 1e-4) or 1,500 tweets (400 steps of 16, rate 3e-4). Students begin as three (2, 4, 6) or
two (3, 6) of its layers with its head, and take 240 or 400 steps at the same rates on the same rows, in four arms: from
the gold labels alone; plain distillation with the defaults (α 0.7, T 2); positions weighted by the divergence of
student and teacher; positions left out that the teacher gets wrong and the student right. Arms of one seed see the same
batches. Settings were fixed before any of these scores was seen, but not before any: with 160 steps the first tagging
teacher had learnt next to nothing (F1 0.28; always the most frequent tag of a word: 0.24), and students had been given
120 and 240 steps. Steps were raised once, for all arms alike, and taggers scored on gate every 100 steps, not every 40;
nothing else was tried.

**How it is judged.** On 1,000 test rows; seeds by a paired t-interval, rows by a paired bootstrap, the three
comparisons of a task and size corrected together (Holm), margin 1 point. With fewer than five seeds there is no
verdict.
"""


def pairs(results: Sequence[Taught], task: str, layers: int) -> list[Pair]:
    """Return what is compared of a task and a size of student."""
    found = []
    for arm, reference in _ASKED:
        left, right = (_of(results, task, layers, name) for name in (arm, reference))
        found.append(
            Pair(
                f"{arm} against {reference}", {seed: one.run.score for seed, one in left.items()},
                {seed: one.run.score for seed, one in right.items()}, documents=_documents(left, right),
            )
        )  # fmt: skip
    return found


def _of(results: Sequence[Taught], task: str, layers: int, arm: str) -> dict[int, Taught]:
    return {
        one.seed: one for one in results
        if (one.task, one.layers, one.arm) == (task, layers, arm) and one.seed < SEEDS
    }  # fmt: skip


def _documents(left: Mapping[int, Taught], right: Mapping[int, Taught]) -> Documents | None:
    seeds = sorted(set(left) & set(right))
    sides = [[answers(side[seed].run) for seed in seeds] for side in (left, right)]
    if not seeds or any(one is None for side in sides for one in side):
        return None
    stacked = [np.stack([one for one in side if one is not None]) for side in sides]
    return Documents(stacked[0], stacked[1], "f1" if stacked[0].shape[2] == 3 else "mean")


def page(results: Sequence[Taught], speed: Mapping[str, Any]) -> str:
    """Return the whole page."""
    lines = [_INTRODUCTION]
    wanted = SEEDS * len(TASKS) * (1 + len(LAYERS) * len(ARMS))
    if len(results) < wanted:
        lines += [f"*Not finished*: {len(results)} of {wanted} runs are there.", ""]
    for task in TASKS:
        lines += [f"## {_TITLES[task]}", ""]
        teachers = _of(results, task, 0, "teacher")
        if not teachers:
            lines += ["Not measured yet.", ""]
            continue
        lines += _table(results, task, teachers, (speed.get(task) or {}).get("models") or {})
        if task == TASKS[0]:
            lines += _promise(results, task, teachers, _models(speed, task))
        for layers in LAYERS:
            told = [_sentence(one) for one in compare(pairs(results, task, layers)) if one.seeds]
            lines += [f"**{layers} layers.** " + " ".join(told), ""] if told else []
    lines += _costs(speed)
    return "\n".join(lines).rstrip() + "\n"


def _table(
    results: Sequence[Taught], task: str, teachers: Mapping[int, Taught], speed: Mapping[str, Any]
) -> list[str]:  # fmt: skip
    lines = [
        "| model | score on test | seeds | of its teacher's score | parameters | ms a text of 64, p50 | as fast |",
        "|---|---|---|---|---|---|---|",
        f"| teacher, 6 layers | {_mean([one.run.score for one in teachers.values()])} | {len(teachers)} | | "
        f"{next(iter(teachers.values())).parameters:,} | {_ms(speed, 'teacher')} | |",
    ]
    for layers in LAYERS:
        for arm, title in _ARMS.items():
            runs = _of(results, task, layers, arm)
            if not runs:
                continue
            kept = _kept(runs, teachers)
            share = f"{100 * statistics.mean(kept):.1f} %" + (
                f" ± {100 * statistics.stdev(kept):.1f}" if len(kept) > 1 else ""
            )
            score, size = _mean([one.run.score for one in runs.values()]), next(iter(runs.values())).parameters
            lines.append(
                f"| {layers} layers, {title} | {score} | {len(runs)} | {share} | {size:,} | "
                f"{_ms(speed, str(layers))} | {_ratio(speed, str(layers))} |"
            )
    majority = next((one.run.majority for one in teachers.values() if one.run.majority is not None), None)
    if majority is not None:
        lines += ["", f"A method without a model scores {100 * majority:.1f} %."]
    return [*lines, ""]


def _kept(runs: Mapping[int, Taught], teachers: Mapping[int, Taught]) -> list[float]:
    """Return which part of its teacher's score each student reaches."""
    return [
        (one.run.score or 0.0) / teachers[seed].run.score
        for seed, one in runs.items() if seed in teachers and teachers[seed].run.score
    ]  # fmt: skip


def _promise(
    results: Sequence[Taught], task: str, teachers: Mapping[int, Taught], speed: Mapping[str, Any]
) -> list[str]:  # fmt: skip
    """Say whether three layers by the default recipe keep what was promised of them, and at which speed."""
    kept = _kept(_of(results, task, 3, "plain"), teachers)
    bounds = t_interval(kept)
    if len(kept) < LEAST_SEEDS or bounds is None:
        return []
    low, high = bounds
    share = statistics.mean(kept)
    told = f"{100 * share:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f})"
    lines = [
        f"**Promised and kept.** Three layers by the default recipe (plain distillation) should keep {100 * KEPT:g} % "
        f"of their teacher's score. They keep {told}: **{_held(share >= KEPT)}**."
    ]
    alone, together = (_faster(speed, size) for size in ((1, 64), (32, 64)))
    if alone is not None and together is not None:
        lines[0] += (
            f" They should answer {FASTER:g} times as fast: a text of 64 pieces by itself {alone:.2f} times, "
            f"**{_held(alone >= FASTER)}**; 32 of them at once {together:.2f} times, **{_held(together >= FASTER)}**."
        )
    return [*lines, ""]


def _faster(speed: Mapping[str, Any], size: tuple[int, int]) -> float | None:
    own, teacher = _timing(speed, "3", size), _timing(speed, "teacher", size)
    return None if own is None or teacher is None else teacher / own


def _held(held: bool) -> str:
    return "held" if held else "short"


def _mean(scores: Sequence[float | None]) -> str:
    known = [100 * one for one in scores if one is not None]
    spread = f" ± {statistics.stdev(known):.1f}" if len(known) > 1 else ""
    return f"{statistics.mean(known):.1f}{spread} %" if known else "–"


def _timing(
    models: Mapping[str, Any], name: str, size: tuple[int, int] = (1, 64), what: str = "p50_ms"
) -> float | None:  # fmt: skip
    timings = (models.get(name) or {}).get("timings") or []
    return next((float(one[what]) for one in timings if (one["batch"], one["length"]) == size), None)


def _ms(models: Mapping[str, Any], name: str, size: tuple[int, int] = (1, 64), what: str = "p50_ms") -> str:
    found = _timing(models, name, size, what)
    return "–" if found is None else f"{found:.2f}"


def _ratio(models: Mapping[str, Any], name: str, size: tuple[int, int] = (1, 64)) -> str:
    own, teacher = _timing(models, name, size), _timing(models, "teacher", size)
    return "–" if own is None or teacher is None else f"{teacher / own:.2f} ×"


def _sentence(one: Comparison) -> str:
    """Return a comparison in words, with both of its intervals."""
    arm, _, reference = one.name.partition(" against ")
    who = f"*{_ARMS[arm]}* against *{_ARMS[reference]}*"
    assert one.difference is not None
    said = f"{100 * one.difference:+.1f} points"
    if one.interval_corrected is not None:
        said += f" ({100 * one.interval_corrected[0]:+.1f} to {100 * one.interval_corrected[1]:+.1f} over seeds"
        if one.documents_interval_corrected is not None:
            low, high = one.documents_interval_corrected
            said += f", {100 * low:+.1f} to {100 * high:+.1f} over rows"
        said += ")"
    if one.verdict is Verdict.NONE:
        return f"{who}: {said}; {one.seeds} of {LEAST_SEEDS} seeds, no verdict."
    more = (
        f"; about {one.seeds_needed} seeds would tell" if one.verdict is Verdict.UNDECIDED and one.seeds_needed else ""
    )
    return f"{who}: {said}, **{one.verdict}**{more}."


# -- what they cost --------------------------------------------------------------------------------------------------
_FORMATS = {"safetensors": "torch", "onnx": "ONNX", "onnx-int8": "ONNX, 8 bits"}


def _costs(speed: Mapping[str, Any]) -> list[str]:
    """Return the tables of the task whose models were measured in every format; of each other one what stands above."""
    task = next((one for one in TASKS if any("check" in model for model in _models(speed, one).values())), None)
    if task is None:
        return []
    found, models = speed[task], _models(speed, task)
    order = list(dict.fromkeys(one["of"] for one in models.values()))
    models = dict(sorted(models.items(), key=lambda one: order.index(one[1]["of"])))
    machine, versions = found["machine"], found["versions"]
    threads = f"{found['threads']} thread" + ("s" if found["threads"] != 1 else "")
    lines = [
        "## What they cost", "",
        f"The {task} teacher and its students by plain distillation (seed 0), each in a process of its own, in turns: "
        f"{machine['processor']}, {machine['cores']} cores, {threads}, torch {versions['torch']}, "
        f"onnxruntime {versions['onnxruntime']}. Texts of random pieces, each length full; memory is the most that the "
        "process held, libraries included. × is the teacher's median by torch over the model's. A logit is compared on "
        f"random batches, answers {_compared(models)}.", "",
        "| model | runs by | MB on disk | MB of memory | ms a text of 64, p50 | p95 | × | texts of 64 a second, 32 at "
        "once | × | largest difference of a logit | same answers | score by torch | its own |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for key, one in models.items():
        rate = _timing(models, key, (32, 64), "texts_per_s")
        cells = [
            _model(one["of"]), _FORMATS[one["format"]], f"{one['file_bytes'] / 1e6:.1f}", f"{one['memory_mb']:.0f}",
            _ms(models, key), _ms(models, key, what="p95_ms"), _ratio(models, key),
            "–" if rate is None else f"{rate:.0f}", _ratio(models, key, (32, 64)), *_checked(one.get("check")),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    sizes = sorted({(one["batch"], one["length"]) for model in models.values() for one in model["timings"]})
    lines += [
        "", "Milliseconds a batch, p50 (p95):", "",
        "| model | runs by | " + " | ".join(f"{batch} × {length}" for batch, length in sizes) + " |",
        "|---|---|" + "---|" * len(sizes),
    ]  # fmt: skip
    for key, one in models.items():
        cells = [f"{_ms(models, key, size)} ({_ms(models, key, size, 'p95_ms')})" for size in sizes]
        lines.append(f"| {_model(one['of'])} | {_FORMATS[one['format']]} | {' | '.join(cells)} |")
    return [*lines, ""]


def _models(speed: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    return (speed.get(task) or {}).get("models") or {}


def _model(name: str) -> str:
    return f"{name} layers" if name.isdecimal() else f"{name}, 6 layers"


def _compared(models: Mapping[str, Any]) -> str:
    """Say on which rows answers were compared."""
    checks = [(one.get("check") or {}).get("rows") or {} for one in models.values()]
    rows = next((one for one in checks if "agreement" in one), None)
    if rows is None:
        return "on the same ones"
    return f"on {rows['rows']:,} of the {rows['of']:,} {rows['role']} rows"


def _checked(check: Mapping[str, Any] | None) -> list[str]:
    if check is None:
        return ["", "", "", ""]
    rows = check["rows"] or {}
    known = rows if "agreement" in rows else check
    scores = [f"{100 * rows[one]:.1f} %" if one in rows else "–" for one in ("torch", "onnx")]
    return [f"{check['max_difference']:.1g}", f"{100 * known['agreement']:.1f} %", *scores]
