"""Reads what the graph desk answers into what the page draws. Pure functions of plain data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pages.ui.format import number, percent, plain

__all__ = [
    "arrow_words",
    "chance",
    "changes",
    "highlight",
    "layer_rows",
    "marked",
    "named",
    "path_rows",
    "relations",
    "shares",
]


def arrow_words(words: Iterable[str], limit: int = 40) -> str:
    """Return a path as text: ``the → is → cat``."""
    return " → ".join(_cut(str(word), limit) for word in words)


def _cut(word: str, limit: int) -> str:
    return word if len(word) <= limit else word[: limit - 1] + "…"


def chance(probability: float | None) -> str:
    """Return a walk's probability: in per cent, or as one in so many where it is small."""
    if probability is None:
        return "–"
    return percent(probability, 2) if probability >= 0.001 else f"{number(probability, 2)}"


def shares(hop: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return edge type and share (of 1) of a hop, the largest first."""
    found = [(str(kind), float(share)) for kind, share in (hop.get("types") or {}).items() if share > 0]
    return sorted(found, key=lambda item: (-item[1], item[0]))


def relations(hop: Mapping[str, Any]) -> str:
    """Return a hop's relations as text: which word depends on the other, as what, how often."""
    parts = []
    for item in hop.get("relations") or []:
        head = str(item["head"])
        other = hop["to"] if head == hop["from"] else hop["from"]
        # A probe's trees have no relations: it says only which word hangs on which.
        is_of = "depends on" if item["relation"] == "probe" else f"is {item['relation']} of"
        parts.append(f"{_cut(str(other), 30)} {is_of} {_cut(head, 30)} ({item['count']})")
    return ", ".join(parts)


def named(path: Mapping[str, Any]) -> list[str]:
    """Return the words of a path, a word that changes its layer once, with its layers."""
    layers = path.get("layers")
    if not layers:
        return [str(word) for word in path["words"]]
    found: list[tuple[str, list[int]]] = []
    for word, layer in zip(path["words"], layers, strict=True):
        if found and found[-1][0] == word:
            found[-1][1].append(layer)
        else:
            found.append((str(word), [layer]))
    return [f"{word} ({own[0]})" if len(own) == 1 else f"{word} ({own[0]}–{own[-1]})" for word, own in found]


def marked(text: str, words: Sequence[str], limit: int = 260) -> str:
    """Return a sentence as markdown with the words in bold; everything else is shown as it is.

    Parameters
    ----------
    text
        The sentence.
    words
        Words to mark, whatever their case; between letters they are no word and are left alone.
    limit
        Longest result in characters of the sentence; what is shown lies around the first mark.
    """
    text = " ".join(text.split())
    wanted = sorted({word for word in words if word}, key=len, reverse=True)
    if not wanted:
        return plain(text, limit)
    # Scripts without blanks have no borders of words.
    pattern = re.compile("|".join(_bordered(word) for word in wanted), re.IGNORECASE)
    text = _around(text, pattern, limit)
    parts: list[str] = []
    at = 0
    for found in pattern.finditer(text):
        parts += [_inside(text[at : found.start()]), f"**{plain(found.group())}**"]
        at = found.end()
    return "".join([*parts, _inside(text[at:])])


def _bordered(word: str) -> str:
    left = r"(?<![^\W_])" if word[0].isascii() and word[0].isalnum() else ""
    right = r"(?![^\W_])" if word[-1].isascii() and word[-1].isalnum() else ""
    return f"{left}{re.escape(word)}{right}"


def _inside(text: str) -> str:
    """Escape a piece of a sentence without losing the blanks at its ends."""
    core = plain(text)
    if not core:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{core}{' ' if text[-1].isspace() else ''}"


def _around(text: str, pattern: re.Pattern[str], limit: int) -> str:
    if len(text) <= limit:
        return text
    first = pattern.search(text)
    start = max(0, min((first.start() if first else 0) - limit // 3, len(text) - limit))
    piece = text[start : start + limit]
    return f"{'… ' if start else ''}{piece.strip()}{' …' if start + limit < len(text) else ''}"


def highlight(view: Mapping[str, Any], path: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the view with one path's words and edges in the role ``path``, and no other's.

    A hop between two words that are drawn is drawn too, also where its edge is not among the strongest.

    Parameters
    ----------
    view
        ``nodes`` and ``edges`` as the graph desk gives them.
    path
        ``words`` and ``hops``, or None.
    """
    words = list(path["words"]) if path else []
    on_path = set(words)
    ids = {str(node.get("word", node["label"])): node["id"] for node in view["nodes"]}
    hops = {(ids.get(one), ids.get(other)) for one, other in pairwise(words)}

    def role(item: Mapping[str, Any], yes: bool, other: str) -> str:
        before = str(item.get("role") or "")
        return "path" if yes else (other if before == "path" else before)

    nodes = [
        {**node, "word": word, "role": role(node, word in on_path, "neighbour")}
        for node in view["nodes"]
        for word in [str(node.get("word", node["label"]))]
    ]
    edges = [{**edge, "role": role(edge, (edge["from"], edge["to"]) in hops, "neighbour")} for edge in view["edges"]]
    drawn = {(edge["from"], edge["to"]) for edge in edges}
    for hop in (path.get("hops") or []) if path else []:
        ends = (ids.get(hop["from"]), ids.get(hop["to"]))
        kinds = shares(hop)
        if None not in ends and ends not in drawn and kinds:
            edges.append(
                {
                    "from": ends[0], "to": ends[1], "type": kinds[0][0], "types": dict(kinds),
                    "weight": hop.get("probability") or 0.0, "role": "path",
                }
            )  # fmt: skip
    return {**view, "nodes": nodes, "edges": edges}


def path_rows(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the table of alternatives: one row a path."""
    rows = []
    for place, path in enumerate(answer.get("paths") or [], start=1):
        mixed: dict[str, float] = {}
        for hop in path.get("hops") or []:
            for kind, share in shares(hop):
                mixed[kind] = mixed.get(kind, 0.0) + share / len(path["hops"])
        rows.append(
            {
                "place": place,
                "path": arrow_words(named(path)),
                "cost": path.get("cost"),
                "probability": path.get("probability"),
                "mainly": max(mixed, key=lambda kind: mixed[kind]) if mixed else "",
            }
        )
    return rows


def layer_rows(answers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row a layer: ``layer``, ``words`` (empty without a path), ``cost``, ``probability``, ``reason``."""
    rows = []
    for answer in answers:
        paths = answer.get("paths")
        best = (paths[0] if paths else {}) if paths is not None else answer
        rows.append(
            {
                "layer": answer.get("layer"),
                "width": answer.get("width"),
                "words": list(best.get("words") or []),
                "cost": best.get("cost"),
                "probability": best.get("probability"),
                "reason": str(answer.get("reason") or ""),
            }
        )
    return rows


def changes(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, Any]]:
    """Return the neighbouring layers between which the path changes."""
    return [(one["layer"], other["layer"]) for one, other in pairwise(rows) if one["words"] != other["words"]]
