"""Render what :mod:`tests.benchmarks.bench_distillation` measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["distillation"]

_ARMS = {
    "cached": "Bertloom, answers computed once (the pass and all choosing included)",
    "recomputed": "the same loop, the teacher run in every step in the precision of the step",
    "recomputed-fp32": "the same, the teacher in fp32: the answers that are kept",
    "trainer": "a subclass of `transformers.Trainer` that runs the teacher in every step",
}
_LOOKS = {
    "strips": "pinned sentences", "quadrants": "divergence and quadrants of the batch",
    "gradient shares": "shares of the gradient", "layers": "layers by CKA", "rows of gate": "rows of gate",
}  # fmt: skip


def distillation(found: Mapping[str, Any]) -> str:
    """Return the section.

    Parameters
    ----------
    found
        What :func:`tests.benchmarks.bench_distillation.summary` returned, with ``rows`` and ``epochs``; empty where
        nothing was measured.
    """
    if not found.get("arms"):
        return "Not measured yet.\n"
    promised = found["promised"]
    lines = [
        f"A student of three layers learns for {found['epochs']:g} epochs from a fine-tuned encoder of six, on "
        f"{found['rows']:,} review snippets, batch 32. Every measurement is a process of its own, arms in turns.",
        "", "| arm | runs | median seconds | fastest – slowest |", "|---|---|---|---|",
    ]  # fmt: skip
    for arm, words in _ARMS.items():
        if one := found["arms"].get(arm):
            lines.append(
                f"| {words} | {one['runs']} | {one['median_s']:.1f} | {one['fastest_s']:.1f} – {one['slowest_s']:.1f} |"
            )
    chosen = found["arms"].get("cached", {}).get("choices", {})
    if chosen:
        lines += ["", f"Our loop chose {chosen['precision']}, {chosen['threads']} threads, the {chosen['path']} path."]
    if found["ratios"]:
        lines += ["", "| ratio of medians | measured | lowest – highest by round | promised | held |"]
        lines += ["|---|---|---|---|---|"]
    for arm, one in found["ratios"].items():
        lines.append(
            f"| {arm} / cached | {one['ratio']:.2f} | {one['low']:.2f} – {one['high']:.2f} "
            + (f"| ≥ {promised[arm]:g} | {_held(one)} |" if arm in promised else "| | |")
        )
    return "\n".join([*lines, *_losses(found), *_looking(found), *_memory(found)]) + "\n"


def _held(one: Mapping[str, Any]) -> str:
    return "yes" if one["held"] else "**no**"


def _losses(found: Mapping[str, Any]) -> list[str]:
    one = found.get("losses")
    if not one:
        return []
    lines = [
        "", f"Losses from kept answers (half precision) against those of a teacher that is asked, on the same "
        f"{one['batches']} batches. Promised at T = 1: a relative difference of at most {found['promised']['loss']:g}; "
        f"held: {_held(one)}.", "",
        "| T | loss, largest | loss, median | its part from the teacher, largest | median |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for temperature, told in one["temperatures"].items():
        figures = [f"{told[name][what]:.1e}" for name in ("loss", "soft") for what in ("largest", "median")]
        lines.append(f"| {temperature} | {' | '.join(figures)} |")
    return lines


def _looking(found: Mapping[str, Any]) -> list[str]:
    one = found.get("looking")
    if not one:
        return []
    parts = ", ".join(f"{words} {100 * one['parts'][part]:.2f} %" for part, words in _LOOKS.items())
    named = sum(one["parts"][part] for part in list(_LOOKS)[:2])
    return [
        "", f"Looking at the student: {one['pairs']} batches, a step with everything that is looked at and one without "
        f"on each, in turns. With it steps take {100 * one['more']:.2f} % longer, looks at evaluations included "
        f"(promised ≤ {100 * found['promised']['looking']:g} %; held: {_held(one)}). By its own clock: {parts}. "
        f"Strips and quadrants, which the promise names, are the first two: {100 * named:.2f} %.",
    ]  # fmt: skip


def _memory(found: Mapping[str, Any]) -> list[str]:
    told = found.get("memory") or {}
    sizes = sorted({int(name.split("-")[1]) for name in told})
    if not sizes:
        return []
    lines = [
        "", "Memory of answers to texts of 512 classes, all of them read twice in random order. A process's own memory "
        "is what the system cannot take back; what is left of its growth is the index that says which rows a text "
        "asks. The peak also counts pages of the file.", "",
        "| rows | file, MB | own memory grew by, MB | the same if loaded | peak, MB |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for size in sizes:
        kept, loaded = told.get(f"kept-{size}"), told.get(f"loaded-{size}")
        if kept and loaded:
            lines.append(
                f"| {size:,} | {kept['file_mb']:.1f} | {kept['own_mb']:.1f} | {loaded['own_mb']:.1f} "
                f"| {kept['peak_mb']:.0f} |"
            )
    return lines
