"""What a shape costs, as bars against its parent and the chosen budget. Pure: numbers in, plain HTML out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from core.config.shape import EncoderShape
from core.models.shaped import count, memory
from core.search.widths import TOLERANCE
from pages.ui.format import bytes_text, percent

__all__ = ["CSS", "LENGTH", "MICRO_BATCH", "Meter", "budget_words", "flops_text", "meter_html", "meters", "millions"]

#: Sub-words of the text that operations are counted for, and of the micro-batch that memory is.
LENGTH = 128
MICRO_BATCH = 16 * LENGTH

CSS = """
.bl-meter { display: grid; grid-template-columns: minmax(8.5rem, 11rem) 1fr; gap: 0.5rem 0.9rem; font-size: 0.9rem; }
.bl-meter > div { min-width: 0; }
.bl-meter b { font-weight: 600; font-variant-numeric: tabular-nums; }
.bl-meter small { opacity: 0.75; font-size: 0.8rem; display: block; }
.bl-meter .bar { position: relative; height: 0.75rem; margin-top: 0.45rem; border-radius: 3px;
  background: color-mix(in srgb, currentColor 9%, transparent); }
.bl-meter .bar i { position: absolute; inset: 0 auto 0 0; border-radius: 3px; }
.bl-meter .bar u { position: absolute; top: -3px; bottom: -3px; width: 0; border-left: 2px solid currentColor; }
.bl-meter .bar u.budget { border-left-style: dashed; }
@media (max-width: 640px) {
  .bl-meter { grid-template-columns: 1fr; gap: 0.15rem; }
  .bl-meter .bar { margin: 0.2rem 0 0.6rem; }
}
"""


@dataclass(frozen=True)
class Meter:
    """One quantity of a shape.

    Parameters
    ----------
    label
        What it is.
    value
        Of the shape.
    parent
        Of its parent, where there is one.
    budget
        What was chosen, where something was.
    text
        The value as people read it.
    """

    label: str
    value: int
    parent: int | None
    budget: int | None
    text: str


def meters(shape: EncoderShape, parent: EncoderShape | None, budget: int | None) -> list[Meter]:
    """Return what a shape costs.

    Parameters
    ----------
    shape
        The shape.
    parent
        What it is compared with.
    budget
        Parameters between embeddings and pooler.
    """
    cost, other = count(shape), count(parent) if parent is not None else None
    need = memory(shape, MICRO_BATCH).training
    parents_need = memory(parent, MICRO_BATCH).training if parent is not None else None
    flops = cost.flops(LENGTH)
    theirs = (other.body, other.total, other.flops(LENGTH)) if other is not None else (None, None, None)
    return [
        Meter("Between embeddings and pooler", cost.body, theirs[0], budget, millions(cost.body)),
        Meter("All parameters", cost.total, theirs[1], None, millions(cost.total)),
        Meter(f"Operations, {LENGTH} sub-words", flops, theirs[2], None, flops_text(flops)),
        Meter("Memory to train", need, parents_need, None, bytes_text(need)),
    ]


def budget_words(value: int, budget: int) -> str:
    """Say how a number of parameters stands to the budget."""
    off = value / budget - 1.0
    if abs(off) <= TOLERANCE:
        return f"meets the budget of {millions(budget)}"
    return f"{percent(abs(off))} {'over' if off > 0 else 'under'} the budget of {millions(budget)}"


def meter_html(found: Sequence[Meter], *, good: str, over: str) -> str:
    """Return the bars as HTML; each says in words what it shows.

    Parameters
    ----------
    found
        The quantities.
    good, over
        Colours of a bar, and of one that is beyond the budget.
    """
    rows = []
    for one in found:
        most = 1.04 * max(one.value, one.parent or 0, one.budget or 0)
        marks, notes = "", []
        if one.parent:
            marks += f'<u style="left:{100 * one.parent / most:.2f}%" title="parent"></u>'
            notes.append(f"{percent(one.value / one.parent, 0)} of the parent's")
        if one.budget:
            marks += f'<u class="budget" style="left:{100 * one.budget / most:.2f}%" title="budget"></u>'
            notes.append(budget_words(one.value, one.budget))
        beyond = one.budget is not None and one.value > (1 + TOLERANCE) * one.budget
        words = f"{one.label}: {one.text}" + "".join(f", {note}" for note in notes)
        rows.append(
            f"<div>{escape(one.label)}<br><b>{escape(one.text)}</b></div>"
            f'<div role="img" aria-label="{escape(words, quote=True)}"><div class="bar">'
            f'<i style="width:{100 * one.value / most:.2f}%;background:{over if beyond else good}"></i>{marks}</div>'
            f"<small>{escape(' · '.join(notes)) or '&nbsp;'}</small></div>"
        )
    return f'<div class="bl-meter">{"".join(rows)}</div>'


def millions(value: int) -> str:
    """Return a number of parameters: ``10.6 M``, ``812 k``."""
    if value >= 1_000_000:
        return f"{value / 1e6:,.1f} M" if value < 1e9 else f"{value / 1e9:,.2f} B"
    return f"{value / 1e3:.0f} k" if value >= 10_000 else f"{value:,}"


def flops_text(value: float) -> str:
    """Return a number of floating-point operations: ``2.9 GFLOPs``."""
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:,.2f} {name}FLOPs"
    return f"{value:,.0f} FLOPs"
