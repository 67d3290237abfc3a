"""A map of two tasks' gradients as a small SVG file, written without a browser: layers by time.

Cells have a colour of two and an opacity, so that one drawing serves the light and the dark look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from core.render.graph_page import DARK, LIGHT
from core.render.joint_figures import What
from core.render.look import Look

__all__ = ["conflict_svg"]

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BELOW = 900, 112, 116, 48, 22, 44


def conflict_svg(
    units: Sequence[str], steps: Sequence[int], rows: Sequence[Sequence[float | None]], *, title: str,
    what: What = "cosine",
) -> str:  # fmt: skip
    """Return an SVG document, the lowest layer at the bottom.

    Parameters
    ----------
    units
        Names of the layers, lowest first.
    steps
        Step of each column.
    rows
        Values by unit and column; None where there is none.
    title
        Heading; any text.
    what
        What the values are: ``cosine`` and ``ratio`` have a colour above and one below 0 (a ratio of 1), by its
        logarithm; a ``rate`` has the second colour alone.
    """
    drawn = [[_height(value, what) for value in row] for row in rows]
    most = 1.0 if what == "rate" else max([*(abs(one) for row in drawn for one in row if one is not None), 1e-3])
    wide, bottom = (_WIDTH - _LEFT - _RIGHT) / max(1, len(steps)), _TOP + _ROW * len(units)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{bottom + _BELOW}"'
        f' viewBox="0 0 {_WIDTH} {bottom + _BELOW}" role="img" aria-label={quoteattr(title)}'
        " font-family=\"'Source Sans 3', system-ui, sans-serif\">",
        f"<title>{escape(title)}</title>", _style(),
        f'<rect class="ground" width="{_WIDTH}" height="{bottom + _BELOW}"/>',
        f'<text class="words" x="22" y="28" font-size="16" font-weight="600">{escape(title)}</text>',
    ]  # fmt: skip
    for at, (unit, row, heights) in enumerate(zip(units, rows, drawn, strict=True)):
        y = bottom - _ROW * (at + 1)
        parts.append(_words(unit[:14], _LEFT - 8, y + 15, "end"))
        for column, (value, height) in enumerate(zip(row, heights, strict=True)):
            if value is None or height is None:
                continue
            kind = "below" if height < 0 or what == "rate" else "above"
            parts.append(
                f'<rect class="{kind}" x="{_LEFT + column * wide:.1f}" y="{y}" width="{wide + 0.2:.1f}"'
                f' height="{_ROW - 1}" fill-opacity="{min(1.0, abs(height) / most):.3f}"><title>'
                f"{escape(unit)}, step {steps[column]:,}: {_told(value, what)}</title></rect>"
            )
    every = max(1, math.ceil(len(steps) / 8))
    parts += [
        _words(f"{steps[column]:,}", _LEFT + (column + 0.5) * wide, bottom + 16, "middle")
        for column in range(0, len(steps), every)
    ]
    parts.append(_words("step", _WIDTH - _RIGHT, bottom + 34, "end"))
    return "\n".join([*parts, *_legend(most, what, bottom), "</svg>", ""])


def _height(value: float | None, what: What) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    if what != "ratio":
        return value
    return math.log2(value) if value > 0 else None


def _told(value: float, what: What) -> str:
    return f"{100 * value:.0f} %" if what == "rate" else f"{value:.3g}"


def _legend(most: float, what: What, bottom: float) -> list[str]:
    """Return three cells with what they mean, at the right."""
    entries: list[tuple[str, float, str]] = [("below", 1.0, "100 %"), ("below", 0.5, "50 %"), ("below", 0.0, "0 %")]
    if what != "rate":
        high, middle, low = (2.0**most, 1.0, 2.0**-most) if what == "ratio" else (most, 0.0, -most)
        entries = [("above", 1.0, f"{high:.2g}"), ("above", 0.0, f"{middle:g}"), ("below", 1.0, f"{low:.2g}")]
    left = _WIDTH - _RIGHT + 18
    found = []
    for at, (kind, opacity, words) in enumerate(entries):
        y = _TOP + at * _ROW
        found.append(
            f'<rect class="{kind} edge" x="{left}" y="{y}" width="16" height="{_ROW - 4}" fill-opacity="{opacity}"/>'
        )
        found.append(_words(words, left + 24, y + 14, "start"))
    return found


def _words(text: str, x: float, y: float, anchor: str) -> str:
    return f'<text class="words" x="{x:.1f}" y="{y:.1f}" font-size="13" text-anchor="{anchor}">{escape(text)}</text>'


def _style() -> str:
    def rules(look: Look) -> str:
        return (
            f".ground{{fill:{look.background}}}.words{{fill:{look.text}}}.above{{fill:{look.colour(0)}}}"
            f".below{{fill:{look.colour(1)}}}.edge{{stroke:{look.grid}}}"
        )

    return f"<style>{rules(LIGHT)}@media (prefers-color-scheme:dark){{{rules(DARK)}}}</style>"
