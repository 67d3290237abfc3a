"""Arms of an experiment as a small SVG file, written without a browser: a dot a seed, a mean and its interval an arm.

The picture takes the light or the dark look that its reader prefers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from core.render.graph_page import DARK, LIGHT

__all__ = ["ArmRow", "Panel", "arms_svg"]

_LEFT, _RIGHT, _TOP, _BELOW, _ROW, _GAP = 176, 30, 76, 56, 38, 60


@dataclass(frozen=True)
class ArmRow:
    """One arm's values.

    Parameters
    ----------
    name
        Any text.
    values
        One a seed.
    mean
        Their mean.
    interval
        Its interval; ``None`` with fewer than two values.
    """

    name: str
    values: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Panel:
    """One measure.

    Parameters
    ----------
    title
        What it is and which way is better.
    rows
        Arms, in the same order in every panel.
    percent
        Whether values are shares that are told in per cent.
    """

    title: str
    rows: tuple[ArmRow, ...]
    percent: bool = False


def arms_svg(panels: Sequence[Panel], *, title: str, marked: str = "", width: int = 900) -> str:
    """Return an SVG document with the panels side by side.

    Parameters
    ----------
    panels
        At least one.
    title
        Heading; any text.
    marked
        Name of the arm that is asked about; its row is drawn in the first colour.
    width
        In pixels; the height follows from the number of arms.
    """
    names = list(dict.fromkeys(row.name for panel in panels for row in panel.rows))
    height = _TOP + _ROW * max(1, len(names)) + _BELOW
    left = max(_LEFT, 28 + 7 * max(map(len, names), default=0))  # 7 pixels a letter are enough
    inner = (width - left - _RIGHT - _GAP * (len(panels) - 1)) / len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" aria-label={quoteattr(title)} font-family="\'Source Sans 3\', system-ui, sans-serif">',
        f"<title>{escape(title)}</title>",
        _style(),
        f'<rect class="ground" width="{width}" height="{height}"/>',
        _words(title, 22, 30, size=16, weight=600),
    ]
    for at, name in enumerate(names):
        heavy = 600 if name == marked else 400
        parts.append(_words(name, left - 16, _middle(at) + 4.5, anchor="end", weight=heavy))
    for number, panel in enumerate(panels):
        parts += _panel(panel, names, marked, left + number * (inner + _GAP), inner)
    parts.append(_words("dots: one seed each; bars: mean and 95 % t-interval of it", width - _RIGHT, height - 14,
                        anchor="end", kind="muted"))  # fmt: skip
    return "\n".join([*parts, "</svg>", ""])


def _style() -> str:
    def rules(look: object) -> str:
        assert isinstance(look, type(LIGHT))
        return (
            f".ground{{fill:{look.background}}}.words{{fill:{look.text}}}.muted{{fill:{look.roles['muted']}}}"
            f".grid{{stroke:{look.grid}}}.one{{fill:{look.colour(0)}}}.oneline{{stroke:{look.colour(0)}}}"
            f".other{{fill:{look.colour(5)}}}.otherline{{stroke:{look.colour(5)}}}"
        )

    return f"<style>{rules(LIGHT)}@media (prefers-color-scheme:dark){{{rules(DARK)}}}</style>"


def _middle(at: int) -> float:
    return _TOP + _ROW * (at + 0.5)


def _panel(panel: Panel, names: Sequence[str], marked: str, left: float, inner: float) -> list[str]:
    bottom = _TOP + _ROW * max(1, len(names))
    reach = [value for row in panel.rows for value in (*row.values, *(row.interval or ()))] or [0.0, 1.0]
    step = _step(max(reach) - min(reach))
    low, high = math.floor(min(reach) / step - 0.1) * step, math.ceil(max(reach) / step + 0.1) * step

    def x_of(value: float) -> float:
        return left + (value - low) / (high - low) * inner

    parts = [_words(panel.title, left, _TOP - 16, weight=600)]
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        digits = max(0, -math.floor(math.log10(step * (100 if panel.percent else 1)) + 1e-9))
        told = f"{100 * value:.{digits}f} %" if panel.percent else f"{value:.{digits}f}"
        parts.append(f'<path class="grid" d="M{x_of(value):.1f} {_TOP - 4}V{bottom}"/>')
        parts.append(_words(told, x_of(value), bottom + 18, anchor="middle"))
    for row in panel.rows:
        y, kind = _middle(names.index(row.name)), "one" if row.name == marked else "other"
        unit = (lambda value: f"{100 * value:.1f} %") if panel.percent else (lambda value: f"{value:.3f}")
        parts += [
            f'<circle class="{kind}" cx="{x_of(value):.1f}" cy="{y:.1f}" r="3.5" opacity="0.45"/>'
            for value in row.values
        ]
        said = f"{row.name}: {unit(row.mean)}"
        if row.interval is not None:
            first, last = row.interval
            said += f" ({unit(first)} to {unit(last)})"
            parts.append(
                f'<path class="{kind}line" stroke-width="2.5" d="M{x_of(first):.1f} {y:.1f}H{x_of(last):.1f}"/>'
            )
        parts.append(
            f'<path class="{kind}line" stroke-width="3.5" d="M{x_of(row.mean):.1f} {y - 9:.1f}v18">'
            f"<title>{escape(said)}, {len(row.values)} seeds</title></path>"
        )
    return parts


def _step(reach: float) -> float:
    """Return a round step that divides a reach into three to seven parts."""
    exact = max(reach, 1e-9) / 4
    power = 10.0 ** math.floor(math.log10(exact))
    return min((factor * power for factor in (1, 2, 5, 10)), key=lambda one: abs(math.log(one / exact)))


def _words(
    text: str, x: float, y: float, *, size: int = 13, anchor: str = "start", weight: int = 400, kind: str = "words"
) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}"'
        f' text-anchor="{anchor}">{escape(text)}</text>'
    )
