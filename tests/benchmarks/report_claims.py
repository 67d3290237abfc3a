"""Render ``docs/claims.md`` and its picture from the measured files beside it."""

from __future__ import annotations

from collections.abc import Sequence

from core.config.claims import Part
from core.render.claim_figures import RatePoint
from core.render.claim_svg import rate_svg
from core.studies import CLAIMS, Claim, Contrast, claim_named
from core.studies.records import ArmRun
from core.studies.verdicts import ClaimVerdict, Judged, amount, judge

__all__ = ["page", "picture"]

SEEDS = 5
PARTS: dict[Part, str] = {"head": "Head alone", "full": "Full training"}

_INTRODUCTION = """# What the article says about learning rates, tested

Written by `python -m tests.benchmarks.claims --render` from the files in [results/claims](results/claims);
`make claims` trains what is missing (`make claims MINUTES=10` for ten minutes of it) and renders. The same shelf
stands in the dashboard under **Claims** and in `bertloom claim list`, where it is tested on your own data.

**What was trained.** The bundled encoder (MiniLM, 6 layers of width 384) on 1,000 review snippets of the bundled
sample, judged on 300 gate and 1,000 test rows; batches of 32, AdamW, 100 steps for a head alone and 60 for a whole
encoder, rate falling linearly after a tenth of warm-up unless the arm says otherwise. Runs of one seed begin with the
same weights and see the same batches in every arm; rows are the same for all seeds, so the verdicts speak of *these*
rows.

**How it is judged.** Differences between arms carry two kinds of error: another seed, and other test rows. Seeds get
a paired t-interval, rows a paired bootstrap of the seed-averaged difference; all comparisons of a claim are corrected
together (Holm). An arm is called better only if *both* corrected intervals exclude 0, and the one in which both errors
are added ([comparing.md](comparing.md)), and the difference is at least the margin (1 point; a tenth of the steps;
10 MB), *equivalent* if all lie within the margin, and otherwise *not distinguishable*. With fewer than five seeds there
is no verdict. A run that diverged counts with the majority's score and with all its steps, and is counted.
"""


def page(records: Sequence[ArmRun]) -> str:
    """Return the whole page."""
    judged = {claim.name: _judged(claim, records) for claim in CLAIMS}
    lines = [_INTRODUCTION, *_summary(judged), *_table(judged["rate-table"], records)]
    for claim in CLAIMS:
        if not claim.is_table:
            lines += _claim(claim, judged[claim.name])
    return "\n".join(lines) + "\n"


def picture(records: Sequence[ArmRun]) -> str:
    """Return the truth table as SVG."""
    series = {}
    majority = None
    for part, title in PARTS.items():
        points = []
        for arm in claim_named("rate-table").designs[part].arms:
            runs = [one for one in records if one.part == part and one.arm == arm.name and one.seed < SEEDS]
            scores = [one.score for one in runs if one.score is not None]
            known = [one.majority for one in runs if one.majority is not None]
            majority = known[0] if known else majority
            if runs:
                mean, low, high = (sum(scores) / len(scores), min(scores), max(scores)) if scores else (None,) * 3
                failed = sum(bool(one.failed) for one in runs)
                points.append(RatePoint(float(arm.stages[0]["lr"]), mean, low, high, failed, len(runs)))
        if points:
            series[title] = points
    return rate_svg(series, title="Accuracy on test by learning rate, up to 5 seeds each", baseline=majority)


def _judged(claim: Claim, records: Sequence[ArmRun]) -> list[Judged]:
    """Judge the parts that are complete as one family; the others have means only."""
    seeds = list(range(SEEDS))
    first = judge(claim, records, seeds, parts=list(PARTS), compared=False)
    complete = [one.part for one in first if one.complete]
    done = {one.part: one for one in judge(claim, records, seeds, parts=complete)}
    return [done.get(one.part, one) for one in first]


def _summary(judged: dict[str, list[Judged]]) -> list[str]:
    lines = ["## Verdicts", "", "| the sentence | head alone | full training |", "|---|---|---|"]
    for claim in CLAIMS:
        if not claim.is_table:
            said = " | ".join(_short(one) for one in judged[claim.name])
            lines.append(f"| [{claim.sentence}](#{claim.name}) | {said} |")
    missing = sum(
        SEEDS - arm.seeds for found in judged.values() for one in found for arm in one.standings if not one.complete
    )
    if missing:
        lines += ["", "*Not finished*: arms that lack seeds are named below, and their sentences have no verdict yet."]
    return [*lines, ""]


def _short(one: Judged) -> str:
    if not one.complete:
        there, all_ = sum(arm.seeds for arm in one.standings), SEEDS * len(one.standings)
        return f"*unfinished* ({there} of {all_} runs)"
    return f"**{one.verdict}**"


def _table(judged: Sequence[Judged], records: Sequence[ArmRun]) -> list[str]:
    arms = {one.part: {arm.arm: arm for arm in one.standings} for one in judged}
    lines = [
        "## Which learning rate does what", "",
        "![Accuracy on test over the learning rate, head alone and full training](pictures/learning-rates.svg)",
        "", "| rate | head alone, accuracy on test | seeds | full training | seeds |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for arm in claim_named("rate-table").designs["head"].arms:
        cells = []
        for part in PARTS:
            found = arms[part][arm.name]
            failed = f" ({found.failed} failed)" if found.failed else ""
            cells += [_mean(found.mean, found.sd), f"{found.seeds}{failed}"]
        lines.append(f"| {arm.title} | {' | '.join(cells)} |")
    majority = next((one.majority for one in judged if one.majority is not None), None)
    if majority is not None:
        lines += ["", f"Always naming the most frequent label scores {100 * majority:.1f} %."]
    return [*lines, ""]


def _mean(mean: float | None, sd: float | None) -> str:
    if mean is None:
        return "–"
    return f"{100 * mean:.1f} ± {100 * sd:.1f} %" if sd is not None else f"{100 * mean:.1f} %"


def _claim(claim: Claim, judged: Sequence[Judged]) -> list[str]:
    lines = [f'## <a id="{claim.name}"></a>“{claim.sentence}”', "", f"{claim.tested} {claim.decided}", ""]
    for one in judged:
        lines += [f"### {PARTS[one.part]}: {_short(one)}", "", one.words, ""]
        if not any(arm.seeds for arm in one.standings):
            continue
        lines += _arms(one, claim)
        if one.comparisons:
            lines += _comparisons(one)
    return lines


def _arms(one: Judged, claim: Claim) -> list[str]:
    measures = claim.measures
    heads, rules = ["arm", "seeds"], ["---", "---"]
    if measures != ["memory"]:
        heads.append("accuracy on test")
    if "steps" in measures:
        heads.append(f"steps to {100 * one.target:.1f} % on gate (median)" if one.target is not None else "steps")
    if "memory" in measures:
        heads.append("largest memory")
    rules = ["---"] * len(heads)
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(rules)}|"]
    for arm in one.standings:
        cells = [arm.title, f"{arm.seeds}" + (f" ({arm.failed} failed)" if arm.failed else "")]
        if measures != ["memory"]:
            cells.append(_mean(arm.mean, arm.sd))
        if "steps" in measures:
            reached = f"{arm.steps:.0f}" if arm.steps is not None else "–"
            cells.append(reached + (f" ({arm.never} never)" if arm.never else ""))
        if "memory" in measures:
            cells.append(amount("memory", arm.memory_mb) if arm.memory_mb is not None else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _comparisons(found: Judged) -> list[str]:
    titles = {arm.arm: arm.title for arm in found.standings}
    lines = [
        "| compared | difference | 95 % over seeds | corrected | corrected, over test rows | corrected, over both | "
        "p (Holm) | verdict | seeds for the margin |", "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for contrast, one in zip(found.contrasts, found.comparisons, strict=True):
        beside = "" if contrast.expected else " (beside)"
        name = f"{contrast.measure}{beside}: {titles[contrast.arm]} − {titles[contrast.reference]}"
        if one.difference is None:
            lines.append(f"| {name} | – | – | – | – | – | – | {ClaimVerdict.NONE}: {one.why} | – |")
            continue
        lines.append(
            f"| {name} | {amount(contrast.measure, one.difference, signed=True)} | {_bounds(contrast, one.interval)} | "
            f"{_bounds(contrast, one.interval_corrected)} | {_bounds(contrast, one.documents_interval_corrected)} | "
            f"{_bounds(contrast, one.both_interval_corrected)} | {one.p_corrected:.2g} | {one.verdict} | "
            f"{one.seeds_needed or '> 1,000'} |"
        )
    return [*lines, ""]


def _bounds(contrast: Contrast, bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return "–"
    scale = 100.0 if contrast.measure == "score" else 1.0
    digits = 1 if contrast.measure == "score" else 0
    return " to ".join(f"{scale * bound:+.{digits}f}" for bound in bounds)
