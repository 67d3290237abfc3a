"""Figures of a comparison as small SVG files, written without a browser: differences with intervals, learning curves.

They take the light or the dark look that their reader prefers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from core.render.graph_page import DARK, LIGHT

__all__ = ["band_of", "curves_svg", "differences_svg"]

_WIDTH = 900
_ROW, _TOP, _BELOW, _LEFT, _RIGHT = 34, 56, 62, 300, 24
_CURVE_LEFT, _CURVE_TOP, _CURVE_HEIGHT = 64, 50, 300
_DASHES = ("", "7 4", "2 3", "9 3 2 3")


def differences_svg(verdicts: Sequence[Mapping[str, Any]], *, title: str, margin: float) -> str:
    """Return an SVG document: each difference with its 95 % interval, and thinner the one corrected for all.

    Parameters
    ----------
    verdicts
        As :func:`core.studies.comparing.verdicts.verdicts_of` gives them; those without a difference are left out.
    title
        Heading; any text.
    margin
        The range within which differences do not matter is shaded.
    """
    shown = [one for one in verdicts if one.get("difference") is not None]
    height = _TOP + _ROW * max(1, len(shown)) + _BELOW
    reach = [margin, -margin]
    for one in shown:
        reach += [one["difference"], *(one.get("interval") or ()), *(one.get("interval_corrected") or ())]
    low, high = 100 * min(reach), 100 * max(reach)
    step = _round_step(high - low)
    low, high = math.floor(low / step - 0.1) * step, math.ceil(high / step + 0.1) * step
    bottom, right = _TOP + _ROW * max(1, len(shown)), _WIDTH - _RIGHT

    def x_of(value: float) -> float:
        return _LEFT + (100 * value - low) / (high - low) * (right - _LEFT)

    parts = [
        *_opened(title, height),
        f'<rect class="shade" x="{x_of(-margin):.1f}" y="{_TOP - 6}" width="{x_of(margin) - x_of(-margin):.1f}"'
        f' height="{bottom - _TOP + 6}"/>',
    ]
    for number in range(round((high - low) / step) + 1):
        value = (low + number * step) / 100
        kind = "axis" if abs(value) < 1e-12 else "grid"
        parts.append(f'<path class="{kind}" d="M{x_of(value):.1f} {_TOP - 6}V{bottom}"/>')
        parts.append(_words(f"{100 * value:+.{_digits(step)}f}", x_of(value), bottom + 18, anchor="middle"))
    parts.append(_words("points, a − b; shaded: within the margin", right, bottom + 40, anchor="end", kind="muted"))
    for at, one in enumerate(shown):
        y, kind = _TOP + _ROW * (at + 0.5), _kind(str(one["verdict"]))
        name = f"{one['task']}: {one['a']} − {one['b']}"
        parts.append(_words(name[:44] + ("…" if len(name) > 44 else ""), _LEFT - 14, y + 4.5, anchor="end"))
        for bounds, width in ((one.get("interval_corrected"), 1.5), (one.get("interval"), 5)):
            if bounds:
                parts.append(
                    f'<path class="{kind}line" stroke-width="{width}" d="M{x_of(bounds[0]):.1f} {y:.1f}'
                    f'H{x_of(bounds[1]):.1f}"/>'
                )
        parts.append(
            f'<circle class="{kind}" cx="{x_of(one["difference"]):.1f}" cy="{y:.1f}" r="5.5"><title>'
            f"{escape(str(one.get('sentence') or name))}</title></circle>"
        )
    return "\n".join([*parts, "</svg>", ""])


def band_of(curves: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, float, float]]:
    """Return mean, lowest and highest value over seeds at each step that any of the curves has.

    Parameters
    ----------
    curves
        {"steps", "values"}, one a seed; a value that is None is left out.

    Returns
    -------
    list of (step, mean, low, high)
    """
    found: dict[float, list[float]] = {}
    for curve in curves:
        for step, value in zip(curve["steps"], curve["values"], strict=True):
            if value is not None and math.isfinite(value):
                found.setdefault(float(step), []).append(float(value))
    return [(step, float(np.mean(each)), min(each), max(each)) for step, each in sorted(found.items())]


def curves_svg(
    curves: Mapping[str, Sequence[Mapping[str, Any]]], *, title: str, unit: str, majority: float | None = None
) -> str:
    """Return an SVG document: the score on gate over the steps, mean and range over the seeds, a line a strategy.

    Parameters
    ----------
    curves
        Strategy → {"steps", "values"}, one a seed.
    title, unit
        Heading and name of the score; any text.
    majority
        Score without a model, a dotted line.
    """
    bands = {name: band_of(each) for name, each in curves.items()}
    bands = {name: band for name, band in bands.items() if band}
    points = [point for band in bands.values() for point in band]
    values = [value for point in points for value in point[2:]] + ([majority] if majority is not None else [])
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    step = _round_step(100 * (high - low)) / 100
    low, high = math.floor(low / step - 0.1) * step, math.ceil(high / step + 0.1) * step
    last = max((point[0] for point in points), default=1.0)
    rows = math.ceil(len(bands) / 3)
    right, bottom = _WIDTH - _RIGHT, _CURVE_TOP + _CURVE_HEIGHT
    height = bottom + 54 + 24 * rows

    def x_of(value: float) -> float:
        return _CURVE_LEFT + value / last * (right - _CURVE_LEFT)

    def y_of(value: float) -> float:
        return bottom - (value - low) / (high - low) * _CURVE_HEIGHT

    parts = _opened(title, height)
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        parts.append(f'<path class="grid" d="M{_CURVE_LEFT} {y_of(value):.1f}H{right}"/>')
        told = f"{100 * value:.{_digits(100 * step)}f} %"
        parts.append(_words(told, _CURVE_LEFT - 8, y_of(value) + 4, anchor="end"))
    every = _round_step(last)
    for number in range(int(last / every) + 1):
        parts.append(_words(f"{number * every:,.0f}", x_of(number * every), bottom + 18, anchor="middle"))
    parts.append(_words(f"{unit} on gate over optimiser steps", right, bottom + 38, anchor="end", kind="muted"))
    if majority is not None:
        parts.append(f'<path class="axis" stroke-dasharray="2 4" d="M{_CURVE_LEFT} {y_of(majority):.1f}H{right}"/>')
    for at, (name, band) in enumerate(bands.items()):
        parts += _band(band, at, x_of, y_of)
        x, y = _CURVE_LEFT + (at % 3) * 270, bottom + 58 + 24 * (at // 3)
        parts.append(f'<path class="c{at % 8}line" stroke-width="3"{_dash(at)} d="M{x} {y}h26"/>')
        parts.append(_words(name[:28], x + 34, y + 4.5))
    return "\n".join([*parts, "</svg>", ""])


def _band(
    band: Sequence[tuple[float, float, float, float]], at: int, x_of: Callable[[float], float],
    y_of: Callable[[float], float],
) -> list[str]:  # fmt: skip
    upper = [f"{x_of(step):.1f} {y_of(high):.1f}" for step, _, _, high in band]
    lower = [f"{x_of(step):.1f} {y_of(low):.1f}" for step, _, low, _ in reversed(band)]
    line = "L".join(f"{x_of(step):.1f} {y_of(mean):.1f}" for step, mean, _, _ in band)
    return [
        f'<path class="c{at % 8}" opacity="0.16" d="M{"L".join([*upper, *lower])}Z"/>',
        f'<path class="c{at % 8}line" fill="none" stroke-width="2.5" stroke-linejoin="round"{_dash(at)} d="M{line}"/>',
    ]


def _dash(at: int) -> str:
    dash = _DASHES[at // 8 % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _kind(verdict: str) -> str:
    return "won" if verdict in ("a", "b") else "even" if verdict == "equivalent" else "open"


def _opened(title: str, height: float) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        f' role="img" aria-label={quoteattr(title)} font-family="\'Source Sans 3\', system-ui, sans-serif">',
        f"<title>{escape(title)}</title>", _style(),
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
        _words(title, 22, 28, size=16, weight=600),
    ]  # fmt: skip


def _style() -> str:
    def rules(look: Any) -> str:
        won, even, still = look.colour(2), look.colour(0), look.roles["muted"]
        colours = "".join(f".c{at}{{fill:{look.colour(at)}}}.c{at}line{{stroke:{look.colour(at)}}}" for at in range(8))
        return (
            f".ground{{fill:{look.background}}}.words{{fill:{look.text}}}.muted{{fill:{look.roles['muted']}}}"
            f".grid{{stroke:{look.grid}}}.axis{{stroke:{look.text};fill:none}}.shade{{fill:{look.grid};opacity:0.6}}"
            f".won{{fill:{won}}}.wonline{{stroke:{won}}}.even{{fill:{even}}}.evenline{{stroke:{even}}}"
            f".open{{fill:{still}}}.openline{{stroke:{still}}}{colours}"
        )

    return f"<style>{rules(LIGHT)}@media (prefers-color-scheme:dark){{{rules(DARK)}}}</style>"


def _round_step(reach: float) -> float:
    """Return a round step that divides a reach into three to seven parts."""
    exact = max(reach, 1e-9) / 5
    power = 10.0 ** math.floor(math.log10(exact))
    return min((factor * power for factor in (1, 2, 5, 10)), key=lambda one: abs(math.log(one / exact)))


def _digits(step: float) -> int:
    return max(0, -math.floor(math.log10(step) + 1e-9))


def _words(
    text: str, x: float, y: float, *, size: int = 13, anchor: str = "start", weight: int = 400, kind: str = "words"
) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}"'
        f' text-anchor="{anchor}">{escape(text)}</text>'
    )
