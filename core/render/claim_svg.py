"""The learning-rate truth table as a small SVG file, written without a browser: score over rate, a line a part."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from core.render.claim_figures import RatePoint
from core.render.graph_page import DARK, LIGHT

__all__ = ["rate_svg"]

_LEFT, _RIGHT, _TOP, _BELOW = 64, 18, 52, 74
_STEP = 0.05
_Place = Callable[[float], float]


def rate_svg(
    series: Mapping[str, Sequence[RatePoint]], *, title: str, baseline: float | None, dark: bool = False,
    width: int = 900, height: int = 420,
) -> str:  # fmt: skip
    """Return an SVG document: mean score over the learning rate, a bar from the lowest to the highest seed.

    Parameters
    ----------
    series
        Name → points by rising rate.
    title
        Heading; any text.
    baseline
        The majority's score, a dotted line; failed runs stand on it as crosses.
    dark
        Light lines on a dark ground.
    width, height
        In pixels.
    """
    look = DARK if dark else LIGHT
    every = [point for points in series.values() for point in points]
    values = [value for point in every for value in (point.low, point.high) if value is not None]
    values += [baseline] if baseline is not None else []
    rates = sorted({point.rate for point in every})
    if not rates or not values:
        rates, values = [1e-5, 1.0], [0.0, 1.0]
    first, last = math.floor(math.log10(rates[0])), math.ceil(math.log10(rates[-1]))
    low = math.floor((min(values) - 0.01) / _STEP) * _STEP
    high = math.ceil((max(values) + 0.01) / _STEP) * _STEP
    right, bottom = width - _RIGHT, height - _BELOW

    def x_of(rate: float) -> float:
        return _LEFT + (math.log10(rate) - first) / max(1, last - first) * (right - _LEFT)

    def y_of(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - _TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" aria-label={quoteattr(title)} font-family="\'Source Sans 3\', system-ui, sans-serif">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="{look.background}"/>',
        _words(title, _LEFT, 26, look.text, size=16, weight=600),
    ]
    for number in range(round((high - low) / _STEP) + 1):
        value = low + number * _STEP
        parts.append(f'<path d="M{_LEFT} {y_of(value):.1f}H{right}" stroke="{look.grid}"/>')
        parts.append(_words(f"{100 * value:.0f} %", _LEFT - 8, y_of(value) + 4, look.text, anchor="end"))
    for power in range(first, last + 1):
        x = x_of(10.0**power)
        parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="{look.grid}"/>')
        parts.append(_words(f"1e{power}" if power else "1", x, bottom + 18, look.text, anchor="middle"))
    parts.append(_words("learning rate", (_LEFT + right) / 2, bottom + 36, look.text, anchor="middle"))
    if baseline is not None:
        y = y_of(baseline)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="{look.text}" stroke-dasharray="2 4"/>')
        parts.append(_words(f"majority {100 * baseline:.1f} %", right, y - 6, look.text, anchor="end"))
    for at, (name, points) in enumerate(series.items()):
        colour = look.colour(at)
        parts += _line(points, colour, baseline, x_of, y_of)
        x = _LEFT + 190 * at
        parts.append(f'<path d="M{x} {height - 18}h26" stroke="{colour}" stroke-width="3"/>')
        parts.append(_words(name, x + 34, height - 14, look.text))
    parts.append(_words("bars: lowest to highest seed; × failed", right, height - 14, look.text, anchor="end"))
    return "\n".join([*parts, "</svg>", ""])


def _line(points: Sequence[RatePoint], colour: str, baseline: float | None, x_of: _Place, y_of: _Place) -> list[str]:
    known = [(x_of(point.rate), y_of(point.mean), point) for point in points if point.mean is not None]
    found = []
    if len(known) > 1:
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in known)
        found.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>')
    for x, y, point in known:
        if point.low is not None and point.high is not None:
            found.append(
                f'<path d="M{x:.1f} {y_of(point.low):.1f}V{y_of(point.high):.1f}" stroke="{colour}" stroke-width="2"/>'
            )
        found.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"><title>{point.rate:.0e}: '
            f"{100 * (point.mean or 0):.1f} %, {point.seeds} seeds, {point.failed} failed</title></circle>"
        )
    for point in points:
        if point.failed and baseline is not None:
            x, y = x_of(point.rate), y_of(baseline)
            found.append(
                f'<path d="M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12" stroke="{colour}" stroke-width="2.5">'
                f"<title>{point.rate:.0e}: {point.failed} of {point.seeds} runs failed</title></path>"
            )
    return found


def _words(
    text: str, x: float, y: float, colour: str, *, size: int = 13, anchor: str = "start", weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" font-weight="{weight}"'
        f' text-anchor="{anchor}">{escape(text)}</text>'
    )
