"""What ``bertloom graph …`` prints for people: paths, numbers of a graph, scores of probes and networks."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from core.cli.output import visible

__all__ = ["links_table", "paths_text", "probe_table", "stats_text"]

_SHOWN = 60


def paths_text(found: dict[str, Any]) -> str:
    """Return paths with their hops, or why there is none."""
    if not found["paths"]:
        lines = [str(found.get("reason") or "There is no such path.")]
        near = found.get("nearest") or []
        if near:
            lines.append(
                "Words near to it that can be reached: " + ", ".join(_short(one["word"]) for one in near) + "."
            )
        return "\n".join(lines)
    lines = []
    for number, path in enumerate(found["paths"], 1):
        probability = path.get("probability")
        chance = "" if probability is None else f" · probability {probability:.4g}"
        words = path["words"]
        if path.get("layers"):
            words = [f"{word} (layer {layer})" for word, layer in zip(words, path["layers"], strict=True)]
        lines.append(f"{number}  {' → '.join(map(_short, words))} · cost {path['cost']:.4f}{chance}")
        lines += [f"     {_hop(hop)}" for hop in path["hops"]]
    return "\n".join(lines)


def _hop(hop: dict[str, Any]) -> str:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in hop["types"].items())
    relations = ", ".join(f"{one['relation']} {one['count']}×" for one in (hop.get("relations") or [])[:3])
    parts = [f"{_short(hop['from'])} → {_short(hop['to'])}: {shares}", relations]
    examples = hop.get("examples") or []
    if examples:
        parts.append(f"“{_short(examples[0], 90)}”")
    return " · ".join(part for part in parts if part)


def stats_text(found: dict[str, Any]) -> str:
    """Return the numbers of a graph, a line each."""
    edges: dict[str, list[int]] = {}
    for one in found["edges"]:
        edges.setdefault(one["type"], []).append(one["edges"])
    lines = [
        f"words       {found['words']:,} in {_counted(found['sentences'], 'sentence')}",
        *(
            f"{name:<11} {sum(counts):,} edges" + (f" in {len(counts)} layers" if len(counts) > 1 else "")
            for name, counts in edges.items()
        ),
    ]
    if found["layers"]:
        widths = ", ".join(f"{one['layer']}: {one['width']}" for one in found["layers"])
        lines.append(f"layers      {widths} (layer: vector size)")
    parts = found["components"]
    beside = "" if found["layer"] is None else f" in layer {found['layer']}"
    lines.append(
        f"neighbours  {found['degree']['mean']:.1f} a word on average, at most {found['degree']['max']:,}{beside}"
    )
    largest = f", the largest of {_counted(parts['largest'], 'word')}" if parts["number"] else ""
    lines.append(f"components  {parts['number']:,}{largest}; {_counted(found['isolated'], 'word')} alone")
    return "\n".join(lines)


def _counted(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def probe_table(found: dict[str, Any]) -> Table:
    """Return UUAS and DSpr of every layer beside the baselines."""
    table = Table("layer", "UUAS", "95 %", "DSpr", "random encoder", box=None, header_style="bold", pad_edge=False)
    random = {entry["layer"]: entry for entry in found["random"]}
    for entry in found["layers"]:
        other = random.get(entry["layer"])
        interval = f"{_number(entry['uuas_low'])} – {_number(entry['uuas_high'])}"
        table.add_row(
            str(entry["layer"]), _number(entry["uuas"]), interval, _number(entry["dspr"]),
            "" if other is None else f"{_number(other['uuas'])} / {_number(other['dspr'])}",
        )  # fmt: skip
    table.add_row("chain", _number(found["chain"]["uuas"]), "", _number(found["chain"]["dspr"]), "")
    return table


def links_table(found: dict[str, Any]) -> Table:
    """Return scores of the network and its baselines by kind of link."""
    table = Table("links", "method", "AUC", "MRR", "Hits@10", box=None, header_style="bold", pad_edge=False)
    for kind, scores in found["kinds"].items():
        for name, values in scores["methods"].items():
            table.add_row(
                escape(visible(kind)), escape(str(found["titles"].get(name, name))), _number(values["auc"]),
                _number(values["mrr"]), _number(values["hits"]),
            )  # fmt: skip
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _short(text: str, limit: int = _SHOWN) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
