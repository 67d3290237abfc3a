"""Heads of the words of a sentence as arcs above them, and the gold heads that were missed below, as plain SVG.

Geometry and writing are pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from core.render.look import Look

__all__ = ["Arc", "arcs_of", "describe_tree", "levels_of", "tree_svg"]

_LEVEL, _LABEL, _WORD = 24.0, 13.0, 30.0
_LETTER, _WIDE, _BETWEEN, _EDGE = 7.4, 13.5, 16.0, 14.0
_LONGEST = 22
#: Characters from here on are as wide as they are high.
_FULL_WIDTH = 0x2E80


@dataclass(frozen=True)
class Arc:
    """An arc.

    Parameters
    ----------
    word, head
        From 1; head 0 is the root, or none.
    relation
        What stands on it; empty without relations.
    right
        Whether head and relation are those of the gold.
    share
        Probability of the head, where that is known.
    """

    word: int
    head: int
    relation: str = ""
    right: bool = True
    share: float | None = None


def arcs_of(
    heads: Sequence[int], relations: Sequence[str] | None, gold: Sequence[int] | None = None,
    gold_relations: Sequence[str] | None = None,
) -> tuple[list[Arc], list[Arc]]:  # fmt: skip
    """Return the arcs that were predicted, and those of the gold that were missed.

    Parameters
    ----------
    heads, relations
        As predicted; relations None where they are not learnt.
    gold, gold_relations
        Of the gold; None where nobody knows them. Relations that differ in their subtypes only are the same.
    """
    found, missed = [], []
    for index, head in enumerate(heads):
        name = relations[index] if relations else ""
        right = True
        if gold is not None:
            wanted = gold_relations[index] if gold_relations else ""
            right = head == gold[index] and name.split(":")[0] == wanted.split(":")[0]
            if not right:
                missed.append(Arc(index + 1, gold[index], wanted, True))
        found.append(Arc(index + 1, head, name, right))
    return found, missed


def levels_of(arcs: Sequence[Arc]) -> list[int]:
    """Return how high each arc stands, from 1: above all shorter ones that it covers or crosses, 0 without a head."""
    spans = [(min(arc.word, arc.head), max(arc.word, arc.head)) for arc in arcs]
    levels = [0] * len(arcs)
    for at in sorted(range(len(arcs)), key=lambda one: (spans[one][1] - spans[one][0], one)):
        if arcs[at].head == 0:
            continue
        low, high = spans[at]
        under = [
            levels[other] for other in range(len(arcs))
            if other != at and levels[other] and spans[other][0] < high and spans[other][1] > low
        ]  # fmt: skip
        levels[at] = 1 + max(under, default=0)
    return levels


def tree_svg(
    words: Sequence[str], arcs: Sequence[Arc], missed: Sequence[Arc], look: Look, *, root: str = "root"
) -> str:
    """Draw a sentence.

    Parameters
    ----------
    words
        The words; arcs to or from others are left out.
    arcs
        Above the words: wrong ones in the colour of warnings.
    missed
        Below the words, dashed.
    look
        Colours.
    root
        What a head of 0 is called.
    """
    shown = [word if len(word) <= _LONGEST else f"{word[: _LONGEST - 1]}…" for word in words]
    above, below = ([arc for arc in part if max(arc.word, arc.head) <= len(words)] for part in (arcs, missed))
    labels = [max((len(arc.relation) for arc in (*above, *below) if arc.word == at), default=0) for at in
              range(1, len(words) + 1)]  # fmt: skip
    sizes = [max(_width(word), 6.4 * label) for word, label in zip(shown, labels, strict=True)]
    middles, x = [], _EDGE
    for size in sizes:
        middles.append(x + size / 2)
        x += size + _BETWEEN
    tall = max([*levels_of(above), 1]) * _LEVEL + _LABEL + 8
    deep = (max([*levels_of(below), 1]) * _LEVEL + _LABEL + 8) if below else 4.0
    wide, base = x - _BETWEEN + _EDGE, tall + _WORD
    parts = [
        f'<text x="{middle:.1f}" y="{tall + 19:.1f}" fill="{look.text}" font-size="14" text-anchor="middle">'
        f"{escape(word)}</text>"
        for word, middle in zip(shown, middles, strict=True)
    ]
    warn = look.roles.get("warn", look.colour(1))
    parts += [
        _arc(words, arc, level, middles, tall, -1, look.text if arc.right else warn, root, dashed=False)
        for arc, level in zip(above, levels_of(above), strict=True)
    ]
    parts += [
        _arc(words, arc, level, middles, base, 1, look.colour(0), root, dashed=True)
        for arc, level in zip(below, levels_of(below), strict=True)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {base + deep:.0f}" width="{wide:.0f}"'
        f' height="{base + deep:.0f}" role="img" aria-label={quoteattr(describe_tree(words, arcs, missed, root=root))}'
        " font-family=\"'Source Sans', 'Source Sans Pro', system-ui, sans-serif\">" + "".join(parts) + "</svg>"
    )


def describe_tree(words: Sequence[str], arcs: Sequence[Arc], missed: Sequence[Arc], *, root: str = "root") -> str:
    """Return the drawing in words, for whoever does not see it."""

    told = [f"{_said(words, arc, root)}{'' if arc.right else ', wrong'}" for arc in arcs if arc.word <= len(words)]
    gold = [_said(words, arc, root) for arc in missed if arc.word <= len(words)]
    return "; ".join(told) + (f". Gold: {'; '.join(gold)}" if gold else "")


def _said(words: Sequence[str], arc: Arc, root: str) -> str:
    head = words[arc.head - 1] if 0 < arc.head <= len(words) else root
    return f"{words[arc.word - 1]} → {head}{f' ({arc.relation})' if arc.relation else ''}"


def _hover(words: Sequence[str], arc: Arc, root: str) -> str:
    share = "" if arc.share is None else f", {100 * arc.share:.1f} %"
    return f"{_said(words, arc, root)}{share}{'' if arc.right else ', wrong'}"


def _width(word: str) -> float:
    return sum(_WIDE if ord(char) >= _FULL_WIDTH else _LETTER for char in word)


def _arc(
    words: Sequence[str], arc: Arc, level: int, middles: Sequence[float], base: float, way: int, colour: str, root: str,
    *, dashed: bool,
) -> str:  # fmt: skip
    """Return one arc from head to word; `way` -1 is upwards. Dashed ones are of the gold."""
    strong = dashed or not arc.right
    line = (
        f'stroke="{colour}" stroke-width="{1.9 if strong else 1.3:g}" stroke-opacity="{0.95 if strong else 0.6:g}"'
        f' fill="none"{" stroke-dasharray=" + quoteattr("5 3") if dashed else ""}'
    )
    end = middles[arc.word - 1]
    near = base + way * 3
    title = f"<title>{'gold: ' if dashed else ''}{escape(_hover(words, arc, root))}</title>"
    if arc.head == 0:
        far = base + way * (_LEVEL + 4)
        label = _label(arc.relation or root, end, far + (way * 4 if way < 0 else 12), colour, strong)
        path = f"M{end:.1f} {far:.1f}L{end:.1f} {near:.1f}"
        return f'<g>{title}<path d="{path}" {line}/>{_tip(end, near, way, colour)}{label}</g>'
    start = middles[arc.head - 1] + (3 if arc.word > arc.head else -3)
    top = base + way * level * _LEVEL
    if arc.head == arc.word:
        start, end = end - 9, end + 9
    # The middle of a cubic curve reaches three quarters of the way to its control points.
    control = base + (top - base) * 4 / 3
    path = f"M{start:.1f} {near:.1f}C{start:.1f} {control:.1f} {end:.1f} {control:.1f} {end:.1f} {near:.1f}"
    label = _label(arc.relation, (start + end) / 2, top + (-3 if way < 0 else 12), colour, strong)
    return f'<g>{title}<path d="{path}" {line}/>{_tip(end, near, way, colour)}{label}</g>'


def _tip(x: float, y: float, way: int, colour: str) -> str:
    back = y + way * 7
    return f'<path d="M{x:.1f} {y:.1f}L{x - 3.5:.1f} {back:.1f}L{x + 3.5:.1f} {back:.1f}Z" fill="{colour}"/>'


def _label(text: str, x: float, y: float, colour: str, strong: bool) -> str:
    if not text:
        return ""
    weight = ' font-weight="600"' if strong else ' fill-opacity="0.8"'
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="11" text-anchor="middle"{weight}>'
        f"{escape(text[:_LONGEST])}</text>"
    )
