"""Render ``docs/results/README.md`` from the measured files: ``python -m tests.benchmarks.report``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_training import summary
from tests.benchmarks.quality import render as quality_table
from tests.benchmarks.report_distillation_speed import distillation
from tests.benchmarks.report_graph import graphs
from tests.benchmarks.report_strategies_speed import comparing, joint, pointer

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"

_ARMS = {
    "bertloom": "Bertloom, everything on auto (choosing included)",
    "trainer": "`transformers.Trainer`, defaults",
    "trainer-tuned": "`transformers.Trainer`, grouped by length, bf16",
    "head-cached": "head only, 10 epochs, activations computed once (the pass included)",
    "head-recomputed": "head only, 10 epochs, encoder recomputed in evaluation mode without gradients",
}


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


_MACHINES = {
    "bf16-slow": "Two cores of a server processor whose bf16 products take *longer* than those in fp32 (AVX-512 "
    "without AMX): bf16 gains nothing there, and products in fp32 alone are more than half of our time.",
    "bf16-fast": "Two cores of a server processor whose bf16 products are faster than those in fp32. Measured before "
    "precision and threads were chosen by single products: choosing alone took 0.65 s of each run.",
}


def training() -> str:
    """Return the tables of training speed, one part for each kind of processor."""
    parts = [
        f"### {name}\n\n{words}\n\n{_training(found)}"
        for name, words in _MACHINES.items()
        if (found := [_read(path) for path in sorted((RESULTS / "training" / name).glob("*-[0-9]*.json"))])
    ]
    return "\n".join(parts) or "Not measured yet.\n"


def _training(found: list[dict[str, Any]]) -> str:
    measured = summary(found)
    first = found[0]
    lines = [
        f"Fine-tuning the bundled encoder on {first['rows']:,} review snippets, {first['epochs']:g} epochs, batch 32. "
        "Every measurement is a process of its own, arms in turns.",
        "",
        "| arm | runs | median seconds | fastest – slowest | held-out loss, mean ± sd |",
        "|---|---|---|---|---|",
    ]
    for arm, words in _ARMS.items():
        if one := measured["arms"].get(arm):
            sd = f" ± {one['test_loss_sd']:.3f}" if one["test_loss_sd"] is not None else ""
            lines.append(
                f"| {words} | {one['runs']} | {one['median_s']:.1f} | {one['fastest_s']:.1f} – {one['slowest_s']:.1f} "
                f"| {one['test_loss']:.3f}{sd} |"
            )
    lines += ["", "| ratio of medians | measured | lowest – highest by seed | promised | held |"]
    lines += ["|---|---|---|---|---|"]
    for name, one in measured["ratios"].items():
        held = "yes" if one["held"] else "**no**"
        lines.append(
            f"| {name} | {one['ratio']:.2f} | {one['low']:.2f} – {one['high']:.2f} | ≥ {one['at_least']} | {held} |"
        )
    return "\n".join(lines) + "\n"


def dashboard() -> str:
    """Return the tables of the dashboard."""
    parts = {path.stem: _read(path) for path in sorted((RESULTS / "dashboard").glob("*.json"))}
    lines: list[str] = []
    if paint := parts.get("paint"):
        lines += ["| page | first paint, median s | ratio to a bare page | promised |", "|---|---|---|---|"]
        for name, one in paint.items():
            if isinstance(one, dict):
                promised = "" if name == "bare" else "≤ 1.3"
                lines.append(f"| {name} | {one['median_s']:.2f} | {one['ratio']:.2f} | {promised} |")
        lines.append("")
    if opening := parts.get("opening"):
        lines.append(
            f"A run of 100,000 steps opens in {opening['100000']['median_s']:.2f} s, one of 1,000 in "
            f"{opening['1000']['median_s']:.2f} s: ratio {opening['ratio']:.2f}.\n"
        )
    if beside := parts.get("beside"):
        lines.append(
            f"A step beside an open, refreshing dashboard takes {beside['ratio']:.3f} × its time alone "
            "(promised ≤ 1.05). "
            f"The dashboard's process takes {beside['memory_mb_highest']:.0f} MB at most while a run trains "
            "(promised below 250).\n"
        )
    return "\n".join(lines) or "Not measured yet.\n"


def logging() -> str:
    """Return the figures of recording."""
    path = RESULTS / "logging.json"
    if not path.exists():
        return "Not measured yet.\n"
    rows = [
        f"| {part} | {figure} | {value:.4g} |"
        for part, figures in _read(path).items()
        for figure, value in figures.items()
    ]
    return "\n".join(["| part | figure | value |", "|---|---|---|", *rows]) + "\n"


def search() -> str:
    """Return the table of what searches of a head cost."""
    path = RESULTS / "search.json"
    if not path.exists():
        return "Not measured yet.\n"
    found = _read(path)
    lines = [
        f"A search of {found['trials']} trials of a head on {found['rows']:,} review snippets, whose trials share the "
        "encoder's activations (computed once, the pass included; every trial is recorded as a run), against one trial "
        "that computes them anew in every epoch. Medians; a home of its own for every search.",
        "",
        "| epochs a trial | searches | the search, s | one that recomputes, s | ratio | highest | promised | held |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        if isinstance(one, dict) and "ratio" in one:
            held = "yes" if one["ratio"] <= found["promised"] else "**no**"
            lines.append(
                f"| {name.split()[0]} | {one['searches']} | {one['search_s']:.1f} | {one['recomputing_s']:.1f} "
                f"| {one['ratio']:.2f} | {one['ratio_highest']:.2f} | ≤ {found['promised']} | {held} |"
            )
    grown = [one["grown_mb"] for one in found.values() if isinstance(one, dict) and one.get("grown_mb") is not None]
    if grown:
        lines += ["", f"From the third trial to the last the process grew by {max(grown):.0f} MB at most."]
    if pruned := found.get("pruned"):
        lines[-1] += (
            f" With a pruner, {pruned['pruned']} of {found['trials']} trials ended early; it grew by "
            f"{pruned['grown_mb']:.0f} MB."
        )
    return "\n".join(lines) + "\n"


def shapes() -> str:
    """Return the table of what shaped encoders take beside a plain one."""
    path = RESULTS / "shapes.json"
    if not path.exists():
        return "Not measured yet.\n"
    found = _read(path)
    lines = [
        f"Forward passes of encoders with random weights over {found['length']} sub-words a text, {found['threads']} "
        f"threads, medians of {found['rounds']} rounds in which all take turns. Plain is a stock `BertModel`; the "
        "others have as many parameters between embeddings and pooler.",
        "",
        "| shape | widths | parameters | texts at once | ms | ratio to plain | lowest – highest by round | promised |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in found["shapes"].items():
        for texts, told in one["batches"].items():
            between, promised = f"{told['lowest']:.2f} – {told['highest']:.2f}", f"≤ {found['promised']}"
            if name == "plain":
                between = promised = ""
            lines.append(
                f"| {name} | {', '.join(map(str, one['widths']))} | {one['parameters']:,} | {texts} "
                f"| {told['median_ms']:.1f} | {told['ratio']:.2f} | {between} | {promised} |"
            )
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the whole page."""
    speed = RESULTS / "distillation-speed.json"
    return (
        "# What was measured\n\n"
        "Written by `python -m tests.benchmarks.report` from the files beside this one; `make bench` measures.\n\n"
        f"## Training speed\n\n{training()}\n"
        f"## What the ready plans reach\n\n{quality_table().replace('](docs/', '](../')}\n\n"
        f"## Dashboard\n\n{dashboard()}\n"
        f"## Recording\n\n{logging()}\n"
        f"## Search\n\n{search()}\n"
        f"## Shaped encoders\n\n{shapes()}\n"
        f"## Distillation\n\n{distillation(_read(speed) if speed.exists() else {})}\n"
        f"## Heads that point\n\n{pointer(RESULTS)}\n"
        f"## Joint training\n\n{joint(RESULTS)}\n"
        f"## A comparison\n\n{comparing(RESULTS)}\n"
        f"## Word graphs\n\n{graphs(RESULTS / 'graph')}"
    )


if __name__ == "__main__":
    (RESULTS / "README.md").write_text(page(), encoding="utf-8")
    print(page())
