"""What training with a pointer head, several tasks together and a whole comparison take: tables of measured files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["comparing", "joint", "pointer"]

_MISSING = "Not measured yet.\n"


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _held(held: bool) -> str:
    return "yes" if held else "**no**"


def _rounds(found: dict[str, Any]) -> str:
    return f"{found['rounds']} round" + ("s" if found["rounds"] != 1 else "")


def pointer(results: Path) -> str:
    """Return the table of what a head that points takes beside the linear one."""
    found = _read(results / "pointer.json")
    if not found:
        return _MISSING
    lines = [
        f"Training steps of tagging, {found['batch']} texts of {found['length']} sub-words at once, the bundled "
        f"encoder, {found['threads']} thread(s), both heads in turns. The head that points has "
        f"{found['parameters']['pointer']:,} parameters, the linear one {found['parameters']['linear']:,}.",
        "",
        "| path | steps | linear, ms | pointer, ms | ratio | lowest – highest by round | promised | held |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in found["paths"].items():
        lines.append(
            f"| {name} | {one['steps']} | {one['linear_ms']:.1f} | {one['pointer_ms']:.1f} | {one['ratio']:.3f} "
            f"| {one['lowest']:.3f} – {one['highest']:.3f} | ≤ {found['promised']} "
            f"| {_held(one['ratio'] <= found['promised'])} |"
        )
    return "\n".join(lines) + "\n"


def joint(results: Path) -> str:
    """Return the table of joint steps against the same steps of single tasks, and of looking at gradients."""
    found = _read(results / "joint-speed.json")
    if not found:
        return _MISSING
    ms = found["step_ms"]
    lines = [
        f"Names in tweets and questions about tweets, {found['steps']} steps a round, {_rounds(found)}, one "
        f"thread, all in turns: a step of a joint run takes {ms['joint']:.1f} ms, the same step of a single task "
        f"{ms['single']:.1f} ms, with gradients compared {found['looks']} times {ms['looking']:.1f} ms.",
        "", "| ratio | measured | lowest – highest by round | promised | held |", "|---|---|---|---|---|",
    ]  # fmt: skip
    named = {"joint": "joint / its single steps", "looking": "gradients compared at the default interval / not"}
    for arm, one in found["ratios"].items():
        lines.append(
            f"| {named[arm]} | {one['ratio']:.3f} | {one['low']:.3f} – {one['high']:.3f} "
            f"| ≤ {found['promised'][arm]} | {_held(one['held'])} |"
        )
    return "\n".join(lines) + "\n"


def comparing(results: Path) -> str:
    """Return what a comparison takes against its runs one by one."""
    found = _read(results / "compare-speed.json")
    if not found:
        return _MISSING
    seconds = found["seconds"]
    return (
        f"{found['runs']} runs of {found['steps']} steps on {found['rows']:,} review snippets (everything trained, and "
        f"the head alone, {found['seeds']} seeds each): {seconds['compare']:.1f} s as a comparison, "
        f"{seconds['apart']:.1f} s one by one with empty caches, in turns; ratio {found['ratio']:.3f} (median of "
        f"{_rounds(found)}, {found['highest']:.3f} at most; promised ≤ {found['promised']}: "
        f"{'held' if found['ratio'] <= found['promised'] else '**not held**'}).\n"
    )
