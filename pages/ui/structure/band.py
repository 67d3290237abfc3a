"""The segments of a parent as a band over its layers, as plain HTML. Pure: data in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["band_html", "band_words"]


def band_html(
    segments: Sequence[Mapping[str, int]], layers: Sequence[Mapping[str, Any]], colours: Sequence[str],
    widths: Sequence[int] | None = None, *, paper: str = "#ffffff", ink: str = "#000000",
) -> str:  # fmt: skip
    """Draw which layers of the parent one layer of the student stands for.

    Parameters
    ----------
    segments
        ``first``, ``last``, ``representative`` (from 1) and ``least``, as the statistics propose them.
    layers
        One entry for layers 0 … L with ``layer``, ``width``, ``least``.
    colours
        One a segment; they repeat after the last.
    widths
        Width of each of the student's layers, where a budget gives one.
    paper, ink
        Colours of words on a filled and on an empty cell.

    Returns
    -------
    str
        A cell a layer, filled as high as its d* by its width; the layer whose weights are inherited is filled in full
        strength.
    """
    groups = []
    for at, one in enumerate(segments):
        colour = colours[at % len(colours)]
        cells = []
        for layer in range(one["first"], one["last"] + 1):
            entry, stands = layers[layer], layer == one["representative"]
            share = 100 * entry["least"] / entry["width"]
            title = f"Layer {layer}: d* {entry['least']} of {entry['width']}" + (
                ", gives its weights" if stands else ""
            )
            top = paper if stands and share > 80 else ink
            low = paper if stands and share > 22 else ink
            cells.append(
                f'<div class="cell{" stands" if stands else ""}" title="{escape(title)}">'
                f'<i style="height:{share:.1f}%;background:{colour}"></i>'
                f'<b style="color:{top}">{layer}{" ★" if stands else ""}</b>'
                f'<small style="color:{low}">{entry["least"]}</small></div>'
            )
        width = f"{widths[at]:,} wide" if widths is not None else f"needs {one['least']:,}"
        count = one["last"] - one["first"] + 1
        groups.append(
            f'<div style="flex:{count} 1 0"><div class="cells">{"".join(cells)}</div>'
            f'<div class="under">{width}<span>layer {at + 1}</span></div></div>'
        )
    return (
        f'<div class="bl-band" role="img" aria-label="{escape(band_words(segments, widths))}">{"".join(groups)}</div>'
    )


def band_words(segments: Sequence[Mapping[str, int]], widths: Sequence[int] | None = None) -> str:
    """Return the band in words, for those who do not see it."""
    parts = []
    for at, one in enumerate(segments):
        stood = f"layer {one['first']}" if one["first"] == one["last"] else f"layers {one['first']} to {one['last']}"
        width = f", {widths[at]:,} wide" if widths is not None else ""
        parts.append(f"layer {at + 1}{width} stands for {stood} and takes the weights of layer {one['representative']}")
    return "; ".join(parts)
