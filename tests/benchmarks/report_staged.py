"""Render ``docs/staged.md`` from the measured files beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from core.config.templates import templates
from core.runs.compare import LEAST_SEEDS, Comparison, Documents, Pair, Verdict, compare
from core.studies.records import answers
from core.studies.shelf import Contrast
from core.studies.verdicts import amount, sentence
from core.training.intervals import wilson
from tests.benchmarks.staged_arms import LONG, PLAIN, READY, SEARCH, SHORT, TRIALS, arm_name
from tests.benchmarks.staged_records import Result, chosen

__all__ = ["ARMS", "MARGIN", "compared", "page", "pool"]

SEEDS = 5
MARGIN = 0.01
#: The staged sides of the two comparisons, and how they are called.
ARMS: dict[str, str] = {
    "short": f"the best of {len(READY)} staged plans of {SHORT} steps",
    "whole": f"the best of {2 * len(READY)} staged runs, {TRIALS * SHORT:,} steps in all",
}
_TITLES = {**ARMS, SEARCH: f"the search of {TRIALS} trials"}
_MATCHES = {
    Verdict.BETTER: "yes: it beats the search",
    Verdict.EQUIVALENT: "yes: it matches the search",
    Verdict.WORSE: "no: the search scores higher",
    Verdict.UNDECIDED: "not distinguishable",
    Verdict.NONE: "no verdict",
}
_SAMPLES = {"reviews": "Reviews (classification)", "tweets": "Tweets (tagging)"}
_RESAMPLES = 2000

_INTRODUCTION = f"""# Staged plans against a search

Written by `python -m tests.benchmarks.staged --render` from the files in [results/staged](results/staged) and
[results/templates](results/templates); `make experiment-staged` makes what is missing (`MINUTES=10` for ten minutes of
it) and renders.

**The question.** Does a staged plan that the planner offers match or beat a search of {TRIALS} trials over a single
stage, at equal optimiser steps?

**What was trained.** The bundled encoder as a whole on 1,000 review snippets, judged on 300 gate and 1,000 test rows:
the rows of [claims.md](claims.md), batches of 32, AdamW. Runs of one seed begin with the same weights. Whatever is
*chosen* is chosen by accuracy on gate, and what was chosen is *judged* on test.

- **The search**: {TRIALS} trials of {SHORT} steps, TPE with 10 random trials first, nothing pruned, over the learning
  rate (2e-5 to 1e-3), the head's rate, warm-up, layer decay, dropout and weight decay. The best evaluation of the best
  trial is what it leaves. {TRIALS * SHORT:,} steps.
- **Staged plans**: the ready plans of several stages that search nothing ({", ".join(f"`{name}`" for name in READY)}),
  with their own rates, gates and proportions. Every attempt that a gate may ask for and every step of a range test
  counts; a head alone gets an eighth of the steps an attempt, a range test half of them (60 at most). Retries that only
  a guard would use are taken away. So a plan may take less than its steps, never more.
- *At equal steps of the final run*: each staged plan once in {SHORT} steps, all its stages together, against trials of
  {SHORT} steps. The search has had {TRIALS * SHORT:,} steps by then, the staged plans {len(READY) * SHORT}: this
  favours the search.
- *At equal steps in all*: what the search spends beyond that goes into longer staged runs, each plan once more in
  {LONG} steps: {len(READY)} × {SHORT} + {len(READY)} × {LONG} = {TRIALS * SHORT:,}. The final run may be longer than a
  trial: this favours the staged plans, and is what a person with so much time would do.
- Beside them, without a comparison: one stage of {SHORT} steps at 1e-4, neither planned nor searched.

**How it is judged.** Paired t-intervals over seeds, a paired bootstrap over test rows of the seed-averaged difference,
and both errors added ([comparing.md](comparing.md)), all corrected for the two comparisons (Holm); the margin is
{100 * MARGIN:g} point. *Matches* means that all corrected intervals lie within the margin, *beats* that all exclude 0
and the difference is at least the margin. The choice among
{TRIALS} trials, or among {len(READY)} or {2 * len(READY)} runs, on 300 gate rows flatters what was chosen there; test
rows take no part in it.
"""


def page(race: Sequence[Result], plans: Sequence[Result]) -> str:
    """Return the whole page."""
    lines = [_INTRODUCTION, *_verdicts(race), *_arms(race), *_choices(race), *_ready(plans)]
    return "\n".join(lines) + "\n"


# -- the comparison --------------------------------------------------------------------------------------------------
def pool(side: str) -> list[str]:
    """Return the arms among which a staged side is chosen."""
    lengths = (SHORT,) if side == "short" else (SHORT, LONG)
    return [arm_name(name, steps) for steps in lengths for name in READY]


def winners(race: Sequence[Result], side: str) -> dict[int, Result | None]:
    """Return what a staged side chose, by seed; seeds whose runs are not all there are left out."""
    found: dict[int, Result | None] = {}
    names = pool(side)
    for seed in range(SEEDS):
        runs = {one.name: one for one in race if one.seed == seed}
        if all(name in runs for name in names):
            found[seed] = chosen(runs[name] for name in names)
    return found


def compared(race: Sequence[Result]) -> list[Comparison]:
    """Compare both staged sides with the search, as one family."""
    searched: dict[int, Result | None] = {one.seed: one for one in race if one.name == SEARCH and one.seed < SEEDS}
    return compare([_pair(f"score: {side} against {SEARCH}", winners(race, side), searched) for side in ARMS])


def _pair(name: str, arm: Mapping[int, Result | None], reference: Mapping[int, Result | None]) -> Pair:
    sides = (arm, reference)
    scores = [{seed: one.score if one else None for seed, one in side.items()} for side in sides]
    known = [
        {seed: found for seed, one in side.items() if one and (found := answers(one.run)) is not None} for side in sides
    ]
    seeds = sorted(known[0].keys() & known[1].keys())
    documents = None
    if seeds:
        stacked = [np.stack([side[seed] for seed in seeds]) for side in known]
        documents = Documents(stacked[0], stacked[1], "mean")
    rows = documents.count if documents is not None else 0
    return Pair(name, scores[0], scores[1], MARGIN, documents=documents, resolution=1 / rows if rows else 0.0)


def _verdicts(race: Sequence[Result]) -> list[str]:
    lines = ["## Verdict", "", "| at equal steps | does a staged plan match or beat the search? |", "|---|---|"]
    found = compared(race)
    told = {"short": "of the final run", "whole": "in all"}
    lines += [f"| {told[side]} | **{_MATCHES[one.verdict]}** |" for side, one in zip(ARMS, found, strict=True)]
    lines.append("")
    missing = _missing(race)
    if missing:
        lines += [f"*Not finished*: {missing} With fewer than {LEAST_SEEDS} seeds there is no verdict.", ""]
    for side, one in zip(ARMS, found, strict=True):
        said = sentence(Contrast(side, SEARCH, "score"), one, _TITLES)
        lines += [said[0].upper() + said[1:], ""]
    measured = [
        (side, one, one.difference)
        for side, one in zip(ARMS, found, strict=True)
        if one.difference is not None and one.interval is not None
    ]
    if measured:
        lines += [
            "| compared | seeds | difference | 95 % over seeds | corrected | corrected, over test rows | "
            "corrected, over both | p (Holm) | seeds for the margin |", "|---|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        for side, one, difference in measured:
            lines.append(
                f"| {_TITLES[side]} − {_TITLES[SEARCH]} | {one.seeds} | {amount('score', difference, signed=True)} "
                f"| {_bounds(one.interval)} | {_bounds(one.interval_corrected)} "
                f"| {_bounds(one.documents_interval_corrected)} | {_bounds(one.both_interval_corrected)} "
                f"| {one.p_corrected:.2g} "
                f"| {one.seeds_needed or '> 1,000'} |"
            )
        lines.append("")
    return lines


def _missing(race: Sequence[Result]) -> str:
    """Return which runs are not there yet, in words; empty if all are."""
    wanted = [PLAIN, *pool("whole"), SEARCH]
    there = {(one.name, one.seed) for one in race}
    lacking = {name: sum((name, seed) not in there for seed in range(SEEDS)) for name in wanted}
    lacking = {name: count for name, count in lacking.items() if count}
    if not lacking:
        return ""
    count, all_ = sum(lacking.values()), SEEDS * len(wanted)
    named = ", ".join(f"{name} ({number})" for name, number in lacking.items())
    return f"{count} of {all_} runs are missing: {named}."


def _bounds(bounds: tuple[float, float] | None) -> str:
    return "–" if bounds is None else " to ".join(f"{100 * bound:+.1f}" for bound in bounds)


# -- what each arm did -----------------------------------------------------------------------------------------------
def _arms(race: Sequence[Result]) -> list[str]:
    if not race:
        return []
    lines = [
        "## Every arm", "", "Accuracy, mean ± standard deviation over seeds. *Chosen*: for how many seeds the arm was "
        "the best on gate among the staged ones, of the short ones and of all.", "",
        "| arm | seeds | gate, best evaluation | test | steps at most | steps taken, mean | chosen | seconds, median |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    picked = {side: [one.name for one in winners(race, side).values() if one] for side in ARMS}
    for name in [PLAIN, *pool("whole"), SEARCH]:
        runs = [one for one in race if one.name == name and one.seed < SEEDS]
        if not runs:
            continue
        failed = sum(bool(one.run.failed) for one in runs)
        times = "" if name in (PLAIN, SEARCH) else " / ".join(str(picked[side].count(name)) for side in ARMS)
        lines.append(
            f"| {name} | {len(runs)}{f' ({failed} failed)' if failed else ''} | {_mean([one.gate for one in runs])} "
            f"| {_mean([one.score for one in runs])} | {runs[0].planned:,} "
            f"| {statistics.mean(one.spent for one in runs):,.0f} | {times or '–'} "
            f"| {statistics.median(one.run.seconds for one in runs):.0f} |"
        )
    majority = next((one.run.majority for one in race if one.run.majority is not None), None)
    if majority is not None:
        lines += ["", f"Always naming the most frequent label scores {100 * majority:.1f} % on test."]
    return [*lines, ""]


def _mean(values: Sequence[float | None]) -> str:
    known = [100 * value for value in values if value is not None]
    if not known:
        return "–"
    spread = f" ± {statistics.stdev(known):.1f}" if len(known) > 1 else ""
    return f"{statistics.mean(known):.1f}{spread} %"


def _choices(race: Sequence[Result]) -> list[str]:
    sides = {side: winners(race, side) for side in ARMS}
    searched = {one.seed: one for one in race if one.name == SEARCH and one.seed < SEEDS}
    rows = []
    for seed in range(SEEDS):
        found = [sides["short"].get(seed), sides["whole"].get(seed), searched.get(seed)]
        if any(found):
            rows.append(f"| {seed} | {' | '.join(_picked(one) for one in found)} |")
    if not rows:
        return []
    return [
        "## What was chosen on gate", "", "Gate → test.", "",
        f"| seed | staged, {SHORT} steps | staged, {TRIALS * SHORT:,} steps in all | search |", "|---|---|---|---|",
        *rows, "",
    ]  # fmt: skip


def _picked(one: Result | None) -> str:
    if one is None:
        return "–"
    if one.gate is None or one.score is None:
        return f"failed: {one.run.failed}"
    scores = f"{100 * one.gate:.1f} → {100 * one.score:.1f} %"
    for stage in one.stages:
        if trial := stage.get("trial"):
            values = ", ".join(f"{key} {value:.2g}" for key, value in trial["values"].items())
            return f"trial {trial['number'] + 1}: {scores} ({values})"
    return f"{one.name}: {scores}"


# -- ready plans -----------------------------------------------------------------------------------------------------
def _ready(plans: Sequence[Result]) -> list[str]:
    lines = [
        '## <a id="ready-plans"></a>What each ready plan gave here', "",
        "Every plan of `bertloom plan templates` as it stands (2,000 training rows, or as many as there are), **one "
        "seed each**: another seed would score a little otherwise, so plans with overlapping intervals are not told "
        "apart. "
        "Intervals are of 95 % over the test rows (Wilson for accuracy, bootstrap for strict F1).", "",
    ]  # fmt: skip
    for sample, title in _SAMPLES.items():
        found = {one.name.removeprefix(f"{sample}-"): one for one in plans if one.name.startswith(f"{sample}-")}
        lines += [f"### {title}", ""]
        named = [(one.name, found[one.name]) for one in templates() if one.name in found]
        missing = [one.name for one in templates() if one.name not in found]
        if missing:
            lines += [f"*Not measured yet*: {', '.join(missing)}.", ""]
        if named:
            lines += list(_table(named))
    return lines


def _table(named: Sequence[tuple[str, Result]]) -> Iterator[str]:
    first = named[0][1].run
    metric = first.metric.replace("_f1", " F1")
    yield f"| plan | {metric} on test | 95 % | on gate | steps taken | seconds | what became of its stages |"
    yield "|---|---|---|---|---|---|---|"
    for name, one in named:
        score = "failed" if one.score is None else f"{one.score:.3f}"
        gate = "–" if one.gate is None else f"{one.gate:.3f}"
        told = one.run.failed or "; ".join(_stage(stage) for stage in one.stages)
        yield (
            f"| [`{name}`](plans/{name}.yaml) | {score} | {_interval(one)} | {gate} | {one.spent:,} "
            f"| {one.run.seconds:.0f} | {told} |"
        )
    yield ""
    base = next((one.run.majority for _, one in named if one.run.majority is not None), None)
    if base is not None:
        what = "Each word's most frequent tag" if first.metric == "strict_f1" else "The most frequent label"
        yield f"{what} scores {base:.3f} on {first.rows.get('test', 0):,} test rows."
        yield ""


def _stage(stage: Mapping[str, object]) -> str:
    words = f"{stage['name']} {stage['outcome']}"
    made = stage.get("attempts")
    if isinstance(made, int) and made > 1:
        words += f" after {made} attempts"
    if isinstance(found := stage.get("suggestion"), Mapping):
        words += " " + ", ".join(f"{name} {value:.1e}" for name, value in found.items())
    if isinstance(trial := stage.get("trial"), Mapping):
        words += f", trial {trial['number'] + 1}"
    return words


def _interval(one: Result) -> str:
    """Return the 95 % interval of a run's score over its test rows."""
    found = answers(one.run)
    if one.score is None or found is None:
        return "–"
    rows = len(found)
    if found.shape[1] == 1:
        low, high = wilson(float(found.sum()), rows)
    else:
        drawn = np.random.default_rng(0).integers(0, rows, size=(_RESAMPLES, rows))
        right, predicted, gold = np.moveaxis(found[drawn].sum(axis=1), 1, 0)
        low, high = np.percentile(2 * right / np.maximum(predicted + gold, 1), [2.5, 97.5])
    return f"{low:.3f} – {high:.3f}"
