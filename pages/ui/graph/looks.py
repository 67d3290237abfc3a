"""How edge types and communities look: fixed colours of the theme, and a dash for each type beside its colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from core.config.graph import EDGE_TYPES
from core.render.look import Look
from pages.ui.planner_look import look
from pages.ui.theme import CATEGORICAL, ROLES, SIGNAL, Mode, palette

__all__ = ["EDGE_LOOKS", "component_colours", "edge_name", "graph_look", "known_types", "type_colour", "type_looks"]

#: Edge type → (place in the theme's ten colours, name, dash in pixels, one sentence).
EDGE_LOOKS: dict[str, tuple[int, str, tuple[int, ...], str]] = {
    "dep": (7, "dependency", (), "One word is the grammatical head of the other."),
    "sim": (9, "similarity", (2, 4), "Their vectors in this layer are mutual nearest neighbours."),
    "cooc": (6, "co-occurrence", (9, 4), "They stand near each other more often than by chance."),
    "attn": (8, "attention", (9, 3, 2, 3), "The model attends from one to the other in this layer."),
    "gnn": (4, "predicted link", (5, 3), "The trained graph network gives this edge a probability."),
}


def edge_name(kind: str) -> str:
    """Return an edge type's name in words."""
    return EDGE_LOOKS[kind][1] if kind in EDGE_LOOKS else kind


def known_types(types: Iterable[str]) -> list[str]:
    """Return the edge types in the fixed order of the legend, unknown ones last."""
    found = list(types)
    return [*(kind for kind in EDGE_TYPES if kind in found), *(kind for kind in found if kind not in EDGE_TYPES)]


def type_colour(kind: str, shown: Mode | None = None) -> str:
    """Return an edge type's colour in a theme (default: the one that is shown)."""
    return palette(shown)[EDGE_LOOKS[kind][0] if kind in EDGE_LOOKS else ROLES.index("baseline")]


def type_looks(types: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what the picture needs of each type: name, colour in both themes, dash."""
    return {
        kind: {
            "name": edge_name(kind),
            "colour": {"light": type_colour(kind, "light"), "dark": type_colour(kind, "dark")},
            "dash": list(EDGE_LOOKS[kind][2]) if kind in EDGE_LOOKS else [],
        }
        for kind in known_types(types)
    }


def component_colours() -> dict[str, Any]:
    """Return the colours of both themes as the picture's script reads them; ``signals.path`` marks the path."""
    return {
        shown: {
            "roles": dict(zip(ROLES, colours, strict=True)),
            "categorical": list(colours),
            "signals": {**SIGNAL[shown], "path": colours[0]},
        }
        for shown, colours in CATEGORICAL.items()
    }


def graph_look() -> Look:
    """Return the look of figures with the colours of edge types and of the path among its roles."""
    own = look()
    edges: Mapping[str, str] = {kind: type_colour(kind) for kind in EDGE_LOOKS}
    return replace(own, roles={**own.roles, **edges, "path": own.colours[0]})
