"""Planner: student and teacher as two towers, with the layers that each loss compares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.render.towers_svg import Links, Tower, towers_svg
from pages.ui.format import number, plain
from pages.ui.forms_values import words_for
from pages.ui.planner_distil_facts import Side, layer_map, size_words
from pages.ui.planner_distil_pairs import Found
from pages.ui.planner_look import look
from pages.ui.structure.drawing import show_svg

__all__ = ["answer_words", "links_of", "towers_part"]

#: Colours of the lines, in the order of the losses; those of teacher and student are the towers'.
_COLOURS = (0, 1, 2, 6, 7, 9, 8, 5)


def towers_part(
    settings: Mapping[str, Any], student: Side, teacher: Side, *, key: str, found: Found | None = None
) -> None:  # fmt: skip
    """Draw both towers and compare their sizes.

    Parameters
    ----------
    settings
        Of the distillation, as the form holds them.
    student, teacher
        Both sides.
    key
        Key of the drawing.
    found
        What likeness pairs now, where somebody asked.
    """
    words, larger = size_words(student, teacher)
    icon = ":orange[:material/warning: " if larger else ":material/balance: "
    st.caption(f"{icon}{plain(words)}{']' if larger else ''}")
    svg = towers_svg(
        Tower("student", student.layers, student.width, student.origins),
        Tower("teacher", teacher.layers, teacher.width),
        links_of(settings, student, teacher, found), look(), answers=answer_words(settings),
    )  # fmt: skip
    show_svg(svg, key=key, narrow=True)


def links_of(
    settings: Mapping[str, Any], student: Side, teacher: Side, found: Found | None = None
) -> list[Links]:  # fmt: skip
    """Return what each loss between layers compares, in words and pairs; by likeness those that were found, if any."""
    links = []
    for at, one in enumerate(settings.get("states") or []):
        kind, way = str(one.get("kind")), one.get("layers")
        if kind == "embedding":
            pairs: list[tuple[int, int]] = [(0, 0)]
            rule = ""
        else:
            now = found if way == "cka" else None
            pairs = layer_map(way, student.layers, teacher.layers) or [] if now is None else list(now.pairs)
            rule = "by hand" if isinstance(way, list) else words_for("stages.0.distil.states.0.layers", way).lower()
            if way == "cka":
                rule += ", as measured now" if now is not None else ", found before the first step"
        weight = one.get("weight")
        schedule = one.get("schedule") or {}
        moves = schedule.get("name") not in (None, "constant")
        parts = [words_for("stages.0.distil.states.0.kind", kind), f"× {_weight(weight)}"]
        if moves:
            parts[-1] += f" → {_weight(schedule.get('to'))}"
        label = " ".join(parts) + (f" · {rule}" if rule else "")
        links.append(Links(label, tuple(pairs), _COLOURS[at % len(_COLOURS)], strong=bool(weight) or moves))
    return links


def answer_words(settings: Mapping[str, Any]) -> str:
    """Return what is learnt from answers in a few words; empty where they have no weight."""
    answers, alpha = settings.get("answers", 1.0), settings.get("alpha")
    if not answers and (settings.get("answers_schedule") or {}).get("name", "constant") == "constant":
        return ""
    times = "" if answers in (None, 1, 1.0) else f" × {_weight(answers)}"
    return f"Answers{times} · α {_weight(alpha)}, T {_weight(settings.get('temperature'))}"


def _weight(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else number(None)
