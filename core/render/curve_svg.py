"""A plan's learning rates as a small SVG file, written without a browser: lines, bands, gates, a legend.

The dashboard's picture is :func:`core.render.curve_figures.plan_curve_figure`; this one is for files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from core.render.curve_parts import (
    drawn_rates,
    group_colours,
    has_range,
    plan_words,
    rate_axis,
    stage_label,
    stage_words,
    ticks,
)
from core.render.graph_page import DARK, LIGHT
from core.render.look import Look

__all__ = ["plan_curve_svg"]

_LEFT, _RIGHT, _TOP, _BELOW, _ROW = 74, 16, 62, 44, 20
#: Width of a character of 12 pixels, about.
_CHARACTER = 7.0


def plan_curve_svg(
    curve: Mapping[str, Any], *, title: str = "Learning rate by step", log_y: bool = False, dark: bool = False,
    width: int = 960, height: int = 420,
) -> str:  # fmt: skip
    """Return an SVG document of a plan's learning rates.

    Parameters
    ----------
    curve
        From :func:`core.training.curves.plan_curve`.
    title
        Heading; any text.
    log_y
        Logarithmic learning rate; a rate of 0 then stands at the bottom.
    dark
        Light lines on a dark ground.
    width, height
        In pixels; the legend comes below.
    """
    look = DARK if dark else LIGHT
    axis = rate_axis(curve, log_y=log_y)
    whole = max(curve["steps"], 1)
    right, bottom = width - _RIGHT, height - _BELOW

    def x_of(step: float) -> float:
        return _LEFT + (step - 0.5) / whole * (right - _LEFT)

    def y_of(rate: float) -> float:
        if log_y:
            share = math.log(rate / axis[0]) / math.log(axis[1] / axis[0])
        else:
            share = (rate - axis[0]) / (axis[1] - axis[0])
        return bottom - share * (bottom - _TOP)

    legend, below = _legend(curve, look, width, height)
    parts = [
        *_bands(curve, look, x_of, right - _LEFT, bottom, whole),
        *_axes(axis, whole, look, x_of, y_of, right, bottom, log_y=log_y),
        *_lines(curve, look, x_of, y_of, axis, log_y=log_y),
        *_gates(curve, look, x_of, bottom),
        *legend,
    ]
    words = plan_words(curve)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{below}" viewBox="0 0 {width} {below}"'
            f' role="img" aria-label={quoteattr(_clean(words))}'
            " font-family=\"'Source Sans 3', 'Source Sans Pro', system-ui, sans-serif\">",
            f"<title>{_text(title)}</title>",
            f"<desc>{_text(words)}</desc>",
            f'<rect width="{width}" height="{below}" fill="{look.background}"/>',
            _words(title, _LEFT, 24, look.text, size=16, weight=600),
            *parts,
            "</svg>",
            "",
        ]
    )


def _clean(text: object) -> str:
    """Return words on one line without characters that XML does not allow."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())


def _text(text: object) -> str:
    return escape(_clean(text))


def _words(
    text: object, x: float, y: float, colour: str, *, size: int = 12, anchor: str = "start", weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" font-weight="{weight}"'
        f' text-anchor="{anchor}">{_text(text)}</text>'
    )


def _path(points: Sequence[tuple[float, float]], *, closed: bool = False) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")


def _bands(
    curve: Mapping[str, Any], look: Look, x_of: Callable[[float], float], wide: float, bottom: float, whole: int
) -> list[str]:
    found = []
    for number, stage in enumerate(curve["stages"], 1):
        left, right = x_of(stage["first_step"]) - wide / whole / 2, x_of(stage["last_step"]) + wide / whole / 2
        shade = f'fill="{look.grid}" fill-opacity="0.5"' if number % 2 == 0 else 'fill="none"'
        label = stage_label(stage, number, int((right - left) / _CHARACTER) - 2)
        found.append(
            f"<g><title>{_text('; '.join(stage_words(stage)))}</title>"
            f'<rect x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" height="{bottom - _TOP}" {shade}/>'
            + _words(label + ("" if stage["certain"] else " ≈"), (left + right) / 2, _TOP - 8, look.text,
                     anchor="middle")
            + "</g>"
        )  # fmt: skip
    return found


def _axes(
    axis: tuple[float, float], whole: int, look: Look, x_of: Callable[[float], float], y_of: Callable[[float], float],
    right: float, bottom: float, *, log_y: bool,
) -> list[str]:  # fmt: skip
    found = []
    for rate in ticks(*axis, log=log_y):
        y = y_of(rate)
        found.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="{look.grid}" fill="none"/>')
        found.append(_words("0" if rate == 0 else f"{rate:.1e}", _LEFT - 8, y + 4, look.text, anchor="end"))
    round_steps = [int(step) for step in ticks(1, whole, log=False, most=8) if float(step).is_integer()]
    found += [_words(f"{step:,}", x_of(step), bottom + 18, look.text, anchor="middle") for step in round_steps]
    found.append(f'<path d="M{_LEFT} {bottom}H{right}" stroke="{look.text}" stroke-opacity="0.5" fill="none"/>')
    found.append(_words("optimiser step", (_LEFT + right) / 2, bottom + 36, look.text, anchor="middle"))
    return found


def _lines(
    curve: Mapping[str, Any], look: Look, x_of: Callable[[float], float], y_of: Callable[[float], float],
    axis: tuple[float, float], *, log_y: bool,
) -> list[str]:  # fmt: skip
    colours = group_colours(curve["names"], look)
    ranges, lines = [], []
    for stage in curve["stages"]:
        for name, part in stage["groups"].items():
            xs = [x_of(step) for step in part["steps"]]
            low, rate, high = (
                [y_of(value) for value in drawn_rates(part[key], axis, log_y=log_y)] for key in ("low", "lr", "high")
            )
            colour = colours[name]
            if has_range(part):
                edge = [*zip(xs, high, strict=True), *zip(reversed(xs), reversed(low), strict=True)]
                ranges.append(f'<path d="{_path(edge, closed=True)}" fill="{colour}" fill-opacity="0.16"/>')
            if len(xs) == 1:
                lines.append(f'<circle cx="{xs[0]:.1f}" cy="{rate[0]:.1f}" r="3" fill="{colour}"/>')
            else:
                drawn = _path(list(zip(xs, rate, strict=True)))
                lines.append(
                    f'<path d="{drawn}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round">'
                    f"<title>{_text(stage['name'])}, {_text(name)}</title></path>"
                )
    return ranges + lines


def _gates(curve: Mapping[str, Any], look: Look, x_of: Callable[[float], float], bottom: float) -> list[str]:
    found = []
    colour = look.colour(1)
    for gate in curve["gates"]:
        x, y = x_of(gate["step"]), _TOP + 14
        filled = colour if gate["last"] else "none"
        if gate["last"]:
            found.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="{colour}" stroke-dasharray="5 4" fill="none"/>')
        found.append(
            f'<path d="M{x:.1f} {y - 6}l6 6l-6 6l-6 -6z" stroke="{colour}" fill="{filled}">'
            f"<title>Gate of {_text(gate['stage'])}: {_text(gate['words'])}</title></path>"
        )
    return found


def _legend(curve: Mapping[str, Any], look: Look, width: int, height: int) -> tuple[list[str], int]:
    """Return the legend, in rows, and the height of the whole picture."""
    colours = group_colours(curve["names"], look)
    found: list[str] = []
    x, y = float(_LEFT), height + 4.0
    entries = [(name, colours[name], "line") for name in curve["names"]]
    if any(has_range(part) for part in curve["groups"].values()):
        entries.append(("may be (depends on results)", look.colour(0), "range"))
    if curve["gates"]:
        entries.append(("gate decides", look.colour(1), "gate"))
    for name, colour, kind in entries:
        label = name if len(name) <= 40 else name[:39] + "…"
        needed = 34 + _CHARACTER * len(label)
        if x > _LEFT and x + needed > width - _RIGHT:
            x, y = float(_LEFT), y + _ROW
        if kind == "line":
            found.append(f'<path d="M{x:.1f} {y - 4:.1f}h18" stroke="{colour}" stroke-width="2.5"/>')
        elif kind == "range":
            found.append(f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="18" height="10" fill="{colour}" opacity="0.25"/>')
        else:
            found.append(f'<path d="M{x + 9:.1f} {y - 10:.1f}l6 6l-6 6l-6 -6z" fill="{colour}"/>')
        found.append(_words(label, x + 24, y, look.text))
        x += needed
    return found, int(y + 16)
