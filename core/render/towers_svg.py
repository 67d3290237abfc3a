"""Teacher and student as two towers of layers, with a line for each pair of layers that a loss compares, as plain SVG.

Both towers stand on one floor and have one height of layer and one scale of widths, so that the smaller one looks
smaller. Geometry and writing are pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from core.render.look import Look

__all__ = ["Links", "Tower", "Towers", "describe_towers", "place_towers", "towers_svg"]

_WIDTH, _COLUMN = 400.0, 128.0
_TOP, _FOOT, _LINE = 8.0, 30.0, 19.0
#: Height of a layer with the space above it: as much as fits into the tallest tower, within bounds.
_TALLEST, _HIGHEST, _LOWEST, _GAP = 430.0, 32.0, 13.0, 5.0
_EDGE = 20.0
#: Space between lines that end at one layer.
_APART = 4.0


@dataclass(frozen=True)
class Tower:
    """One encoder.

    Parameters
    ----------
    name
        What stands below it.
    layers
        How many it has.
    width
        Of its layers; None where they differ, or nobody knows.
    origins
        For each layer the number that it had in the folder that it comes from, where some were left out.
    """

    name: str
    layers: int
    width: int | None = None
    origins: tuple[int, ...] = ()


@dataclass(frozen=True)
class Links:
    """What one loss compares.

    Parameters
    ----------
    label
        The loss in words, for the legend.
    pairs
        (layer of the student, layer of the teacher), from 1; 0 stands for the embeddings.
    colour
        Which of the look's colours.
    strong
        Whether it counts now; a weight of 0 is drawn dashed.
    """

    label: str
    pairs: tuple[tuple[int, int], ...]
    colour: int
    strong: bool = True


@dataclass(frozen=True)
class Towers:
    """Where everything stands, in the picture's units.

    Parameters
    ----------
    teacher, student
        (x, y, width, height) of the embeddings, of each layer, lowest first, and of the head.
    floor
        Bottom of both towers.
    height
        Of the whole picture.
    """

    teacher: tuple[tuple[float, float, float, float], ...]
    student: tuple[tuple[float, float, float, float], ...]
    floor: float
    height: float


def place_towers(student: Tower, teacher: Tower, lines: int) -> Towers:
    """Place both towers; `lines` is the number of lines of the legend."""
    most = max(student.layers, teacher.layers)
    slot = min(_HIGHEST, max(_LOWEST, _TALLEST / most))
    floor = _TOP + 2 * _EDGE + _GAP + most * slot
    widest = max(student.width or 0, teacher.width or 0) or 1

    def column(tower: Tower, centre: float) -> tuple[tuple[float, float, float, float], ...]:
        wide = _COLUMN * max(0.3, (tower.width or widest) / widest)
        left = centre - wide / 2
        boxes = [(left, floor - _EDGE, wide, _EDGE)]
        base = floor - _EDGE
        boxes += [(left, base - number * slot, wide, slot - _GAP) for number in range(1, tower.layers + 1)]
        boxes.append((left, base - tower.layers * slot - _GAP - _EDGE, wide, _EDGE))
        return tuple(boxes)

    height = floor + _FOOT + lines * _LINE
    return Towers(column(teacher, _COLUMN / 2), column(student, _WIDTH - _COLUMN / 2), floor, height)


def towers_svg(student: Tower, teacher: Tower, links: Sequence[Links], look: Look, *, answers: str = "") -> str:
    """Return the drawing as an SVG element.

    Parameters
    ----------
    student, teacher
        Both encoders.
    links
        The losses between layers; pairs that name a layer that is not there are left out.
    look
        Colours of the theme.
    answers
        Words of what is learnt from the teacher's answers; empty: nothing is.
    """
    lines = len(links) + bool(answers)
    found = place_towers(student, teacher, lines)
    parts = []
    if answers:
        parts.append(_curve(found.teacher[-1], found.student[-1], look.text, 0.0, answers, dashes=""))
    for at, one in enumerate(links):
        shift = (at - (len(links) - 1) / 2) * _APART
        for own, other in one.pairs:
            if 0 <= own <= student.layers and 0 <= other <= teacher.layers:
                words = _pair_words(own, other)
                dashes = "" if one.strong else "3 4"
                ends = found.teacher[other], found.student[own]
                parts.append(_curve(*ends, look.colour(one.colour), shift, f"{one.label}: {words}", dashes=dashes))
    parts += _column(found.teacher, teacher, look, 3) + _column(found.student, student, look, 4)
    names = zip((teacher, student), (_COLUMN / 2, _WIDTH - _COLUMN / 2), strict=True)
    parts += [_words(tower.name, x, found.floor + 17, look.text, anchor="middle", faint=True) for tower, x in names]
    y = found.floor + _FOOT + 12
    legend = [*([(look.text, answers, True)] if answers else [])]
    legend += [(look.colour(one.colour), one.label, one.strong) for one in links]
    for colour, words, strong in legend:
        dash = "" if strong else ' stroke-dasharray="3 4"'
        parts.append(f'<path d="M2 {y - 4:.1f}h22" stroke="{colour}" stroke-width="2.4" fill="none"{dash}/>')
        parts.append(_words(words, 32, y, look.text))
        y += _LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {found.height:.1f}" role="img"'
        f" aria-label={quoteattr(describe_towers(student, teacher, links, answers))}"
        " font-family=\"'Source Sans', 'Source Sans Pro', system-ui, sans-serif\">" + "".join(parts) + "</svg>"
    )


def describe_towers(student: Tower, teacher: Tower, links: Sequence[Links], answers: str = "") -> str:
    """Return the drawing in words, for whoever does not see it."""
    words = [f"A student of {student.layers} layers learns from a teacher of {teacher.layers}."]
    if answers:
        words.append(f"{answers}.")
    for one in links:
        pairs = ", ".join(_pair_words(own, other) for own, other in one.pairs)
        words.append(f"{one.label}: {pairs or 'layers found before the first step'}.")
    return " ".join(words)


def _pair_words(own: int, other: int) -> str:
    return "embeddings" if own == 0 else f"layer {own} from the teacher's layer {other}"


def _column(boxes: Sequence[tuple[float, float, float, float]], tower: Tower, look: Look, colour: int) -> list[str]:
    size = 12.5 if boxes[1][3] >= 13 else 10.0
    parts = [_box(boxes[0], look.text, 0.2, "embeddings", "embeddings", look, size=11.5)]
    for number, box in enumerate(boxes[1:-1], 1):
        origin = tower.origins[number - 1] if len(tower.origins) >= number else number
        word = str(number) if origin == number else f"{number} (was {origin})"
        wide = f", {tower.width} wide" if tower.width else ""
        parts.append(_box(box, look.colour(colour), 0.5, word, f"Layer {number}{wide}", look, size=size))
    parts.append(_box(boxes[-1], look.text, 0.2, "head", "head: the answers", look, size=11.5))
    return parts


def _box(
    box: tuple[float, float, float, float], fill: str, opacity: float, word: str, title: str, look: Look, *, size: float
) -> str:
    x, y, wide, tall = box
    rect = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" rx="3" fill="{look.background}"/>'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" rx="3" fill="{fill}"'
        f' fill-opacity="{opacity:g}"/>'
    )
    text = _words(word, x + wide / 2, y + tall / 2 + size / 3, look.text, anchor="middle", size=size)
    return f"<g><title>{escape(title)}</title>{rect}{text}</g>"


def _curve(
    left: tuple[float, float, float, float], right: tuple[float, float, float, float], colour: str, shift: float,
    words: str, *, dashes: str,
) -> str:  # fmt: skip
    x, to = left[0] + left[2], right[0]
    y, end = left[1] + left[3] / 2 + shift, right[1] + right[3] / 2 + shift
    middle = (x + to) / 2
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    path = f"M{x:.1f} {y:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {end:.1f} {to:.1f} {end:.1f}"
    return (
        f'<g><title>{escape(words)}</title><path d="{path}" stroke="{colour}" stroke-width="1.9"'
        f' stroke-opacity="0.9" fill="none"{dash}/></g>'
    )


def _words(
    text: str, x: float, y: float, colour: str, *, anchor: str = "start", faint: bool = False, size: float = 12.5
) -> str:
    opacity = ' fill-opacity="0.75"' if faint else ""
    place = f'x="{x:.1f}" y="{y:.1f}" fill="{colour}"{opacity} font-size="{size:g}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(text)}</text>"
