"""A piece of a report, and numbers as reports write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Block", "percent", "points"]


@dataclass(frozen=True)
class Block:
    """A piece of a report.

    Parameters
    ----------
    kind
        What it is.
    text
        Heading, sentence, file content, or an SVG document.
    rows
        Of a table; the first one is its head.
    title
        Of a figure or a file: what it shows, what it is called.
    """

    kind: Literal["title", "heading", "words", "table", "figure", "file"]
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    title: str = ""


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in per cent; empty for None."""
    return "" if value is None else f"{100 * value:.{digits}f} %"


def points(value: float | None) -> str:
    """Return a difference of shares in points, with its sign; empty for None."""
    return "" if value is None else f"{round(100 * value, 2) + 0.0:+.2f}"  # no minus before zero
