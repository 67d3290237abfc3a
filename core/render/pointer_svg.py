"""Where a head points as a small SVG file, written without a browser: rows point to columns, the empty slot first.

Cells have one colour and an opacity, so that one drawing serves the light and the dark look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from core.render.graph_page import DARK, LIGHT
from core.render.look import Look
from core.render.pointer_figures import answered_cells, gold_cells

__all__ = ["MOST", "columns_shown", "pointer_svg"]

#: Columns that are drawn at most; of a long text those that matter.
MOST = 36
_NARROWEST, _LEFT, _RIGHT, _TOP, _CELL, _BELOW = 620, 136, 104, 44, 20, 18
#: Characters of a name, and how high a letter of a column's name makes it.
_LETTERS, _LETTER = 16, 5.6


def columns_shown(view: Mapping[str, Any], gold: Mapping[str, Any] | None = None, most: int = MOST) -> list[int]:
    """Return which columns of the shares are drawn, in their order.

    Parameters
    ----------
    view
        What a head says of a sentence, see :func:`core.data.tasks.pointer_view.pointer_views`.
    gold
        What is right, see :func:`core.data.tasks.pointer_view.gold_of`.
    most
        As many at most, if gold and answers do not need more: the slot, gold and answers, then the largest shares.
    """
    count = len(view["columns"]) + bool(view["slot"])
    if count <= most:
        return list(range(count))
    needed = {at for _, at in (*answered_cells(view), *gold_cells(view, gold))} | ({0} if view["slot"] else set())
    highest = [max(row[at] for row in view["shares"]) for at in range(count)]
    others = sorted(set(range(count)) - needed, key=lambda at: (-highest[at], at))
    return sorted(needed | set(others[: max(0, most - len(needed))]))


def pointer_svg(view: Mapping[str, Any], *, title: str, gold: Mapping[str, Any] | None = None) -> str:
    """Return an SVG document.

    Parameters
    ----------
    view
        What a head says of a sentence.
    title
        Heading; any text.
    gold
        What is right, where that is known: open squares; what is answered has a cross.
    """
    shown = columns_shown(view, gold)
    names = [f"[{view['slot']}]", *view["columns"]] if view["slot"] else list(view["columns"])
    rows, join = [str(row) for row in view["rows"]], "…" if view["kind"] == "stretches" else "→"
    top = _TOP + 14 + round(_LETTER * max((len(_short(names[at])) for at in shown), default=0))
    legend = _legend(_LEFT + _CELL * len(shown) + 16, top, known=gold is not None)
    width = max(_NARROWEST, _LEFT + _CELL * len(shown) + _RIGHT)
    height = top + max(_CELL * len(rows), (_CELL + 4) * (len(legend) // 2)) + _BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" aria-label={quoteattr(title)} font-family="\'Source Sans 3\', system-ui, sans-serif">',
        f"<title>{escape(title)}</title>", _style(), f'<rect class="ground" width="{width}" height="{height}"/>',
        f'<text class="words" x="16" y="26" font-size="16" font-weight="600">{escape(_short(title, 90))}</text>',
    ]  # fmt: skip
    for place, at in enumerate(shown):
        x, y = _LEFT + _CELL * place + 14, top - 6
        parts.append(
            f'<text class="words" x="{x}" y="{y}" font-size="12" transform="rotate(-60 {x} {y})">'
            f"{escape(_short(names[at]))}</text>"
        )
    for place, row in enumerate(rows):
        y = top + _CELL * place
        parts.append(
            f'<text class="words" x="{_LEFT - 8}" y="{y + 15}" font-size="12" text-anchor="end">'
            f"{escape(_short(row))}</text>"
        )
        parts += [
            f'<rect class="pt-share" x="{_LEFT + _CELL * column}" y="{y}" width="{_CELL - 1}" height="{_CELL - 1}"'
            f' fill-opacity="{view["shares"][place][at]:.3f}"><title>{escape(row)} {join} {escape(names[at])}: '
            f"{100 * view['shares'][place][at]:.1f} %</title></rect>"
            for column, at in enumerate(shown)
        ]
    parts += _marks(gold_cells(view, gold), shown, top, "pt-gold")
    parts += _marks(answered_cells(view), shown, top, "pt-cross")
    return "\n".join([*parts, *legend, "</svg>", ""])


def _marks(cells: Sequence[tuple[int, int]], shown: Sequence[int], top: int, kind: str) -> list[str]:
    return [
        _mark(_LEFT + _CELL * shown.index(column), top + _CELL * row, kind) for row, column in cells if column in shown
    ]


def _mark(x: int, y: int, kind: str) -> str:
    if kind == "pt-gold":
        return f'<rect class="pt-gold" x="{x + 1.5}" y="{y + 1.5}" width="{_CELL - 4}" height="{_CELL - 4}"/>'
    low, high = 6, _CELL - 7
    return (
        f'<path class="pt-cross" d="M{x + low} {y + low}L{x + high} {y + high}M{x + high} {y + low}L{x + low} '
        f'{y + high}"/>'
    )


def _legend(x: int, y: int, *, known: bool) -> list[str]:
    kinds = [("pt-cross", "answer"), *([("pt-gold", "gold")] if known else [])]
    found = []
    for at, (kind, words) in enumerate(kinds):
        top = y + at * (_CELL + 4)
        found += [_mark(x, top, kind), _words(words, x + 26, top + 14)]
    for at, (opacity, words) in enumerate(((1.0, "100 %"), (0.5, "50 %"), (0.0, "0 %")), len(kinds)):
        top = y + at * (_CELL + 4)
        found.append(
            f'<rect class="pt-share" x="{x}" y="{top}" width="{_CELL - 1}" height="{_CELL - 1}"'
            f' fill-opacity="{opacity}"/>'
        )
        found.append(_words(words, x + 26, top + 14))
    return found


def _words(text: str, x: int, y: int) -> str:
    return f'<text class="words" x="{x}" y="{y}" font-size="12">{escape(text)}</text>'


def _short(text: str, most: int = _LETTERS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _style() -> str:
    def rules(look: Look) -> str:
        return (
            f".ground{{fill:{look.background}}}.words{{fill:{look.text}}}"
            f".pt-share{{fill:{look.colour(0)};stroke:{look.grid};stroke-width:.6}}.pt-gold{{fill:none;stroke:{look.colour(1)};stroke-width:2}}"
            f".pt-cross{{fill:none;stroke:{look.text};stroke-width:2}}"
        )

    return f"<style>{rules(LIGHT)}@media (prefers-color-scheme:dark){{{rules(DARK)}}}</style>"
