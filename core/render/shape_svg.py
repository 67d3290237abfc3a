"""The drawing of a shape: a tower of layers as wide as they are, lowest at the bottom, as plain SVG.

Geometry and writing are pure. A layer is a box divided into its heads, with a bar of its FFN units on top (a quarter of
their number, so that the usual ratio of four is as wide as the box); the stream lies behind it, and maps between
stream and layer are trapezia.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from core.config.shape import EncoderShape
from core.models.shaped.segments import Foreseen
from core.render.look import Look

__all__ = ["Box", "Drawing", "Trapezium", "describe", "drawing", "shape_svg", "tiny_tower"]

#: Widths of the parent's tower, of the space between both, of this shape's tower and of the words beside it.
_PARENT, _GAP, _TOWER, _LABELS = 64, 50, 190, 126
_TOP, _BELOW = 22, 34
_ATTENTION, _FFN, _MAP, _EDGE = 13.0, 9.0, 14.0, 18.0
#: Height that layers may take together; where there are many, each is lower.
_TALLEST = 660.0
#: Height of a layer of the parent, at least, as long as there are few.
_LOWEST_PARENT = 18.0
_MOST_HEADS_DRAWN = 32


@dataclass(frozen=True)
class Box:
    """A rectangle, in the picture's units, and what it stands for.

    Parameters
    ----------
    kind
        ``stream``, ``embedding``, ``layer``, ``ffn``, ``readout``, ``pooler`` or ``parent``.
    index
        The layer, from 0; −1 for what is none.
    """

    kind: str
    index: int
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The middle of its height."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Trapezium:
    """A linear map: from a width below to a width above.

    Parameters
    ----------
    kind
        ``read`` (stream to layer), ``write`` (layer to stream) or ``step`` (the stream changes its width).
    """

    kind: str
    index: int
    y: float
    height: float
    lower: tuple[float, float]
    upper: tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """Where everything stands.

    Parameters
    ----------
    boxes, maps
        In the order in which they are painted.
    links
        (parent's box, layer's box): whose weights a layer inherits.
    width, height
        Of the whole picture.
    """

    boxes: tuple[Box, ...]
    maps: tuple[Trapezium, ...]
    links: tuple[tuple[Box, Box], ...]
    width: float
    height: float

    def of(self, kind: str) -> list[Box]:
        """Return the boxes of a kind, lowest layer first."""
        return [box for box in self.boxes if box.kind == kind]


def drawing(
    shape: EncoderShape, *, parent: EncoderShape | None = None, origins: Sequence[Foreseen] | None = None
) -> Drawing:
    """Place a shape's layers, maps and stream.

    Parameters
    ----------
    shape
        The shape.
    parent
        Its parent, drawn as a narrow tower beside it, at the same scale of heights.
    origins
        What each layer inherits: which of the parent's layers are joined with it.
    """
    layers = len(shape.layers)
    slot = min(_ATTENTION + _FFN + 2 * _MAP, max(9.0, _TALLEST / layers))
    if parent is not None:  # its layers need some height too
        slot = max(slot, min(_LOWEST_PARENT * len(parent.layers), _TALLEST) / layers)
    part = slot / (_ATTENTION + _FFN + 2 * _MAP)
    tall, units = min(_ATTENTION * part, 17.0), min(_FFN * part, 11.0)
    gap = (slot - tall - units) / 2
    edge = max(8.0, _EDGE * min(1.0, part * 1.5))
    tops = [kind for kind, there in (("readout", shape.readout), ("pooler", shape.pooler)) if there]
    height = _TOP + len(tops) * (edge + 4) + layers * slot + edge + _BELOW
    with_parent = parent is not None
    left = (_PARENT + _GAP) if with_parent else 0.0
    centre = left + _TOWER / 2
    widest = max(shape.embedding, *(one.width for one in shape.layers), *(one.intermediate / 4 for one in shape.layers))
    scale = _TOWER / widest

    def span(width: float) -> tuple[float, float]:
        return centre - width * scale / 2, width * scale

    floor = height - _BELOW - edge
    boxes: list[Box] = [Box("embedding", -1, *_placed(span(shape.embedding), floor), edge)]
    maps: list[Trapezium] = []
    stream = shape.embedding
    for index, layer in enumerate(shape.layers):
        bottom = floor - index * slot
        after = stream if shape.mode == "bus" else layer.width
        if shape.mode == "bus":
            boxes.append(Box("stream", index, *_placed(span(stream), bottom - slot), slot))
        else:  # where the stream changes its width, the map takes its place
            if layer.width == stream:
                boxes.append(Box("stream", index, *_placed(span(stream), bottom - gap), gap))
            boxes.append(Box("stream", index, *_placed(span(after), bottom - slot), gap))
        if layer.width != stream:
            kind = "read" if shape.mode == "bus" else "step"
            maps.append(Trapezium(kind, index, bottom - gap, gap, _ends(span(stream)), _ends(span(layer.width))))
            if shape.mode == "bus":
                ends = _ends(span(layer.width)), _ends(span(stream))
                maps.append(Trapezium("write", index, bottom - slot, gap, *ends))
        boxes.append(Box("layer", index, *_placed(span(layer.width), bottom - gap - tall), tall))
        boxes.append(Box("ffn", index, *_placed(span(layer.intermediate / 4), bottom - gap - tall - units), units))
        stream = after
    top = floor - layers * slot
    for place, kind in enumerate(tops, 1):
        boxes.append(Box(kind, -1, *_placed(span(shape.output), top - place * (edge + 4)), edge))
    links: list[tuple[Box, Box]] = []
    if parent is not None:
        own = layers * slot / len(parent.layers)
        between = min(4.0, own / 4)
        boxes += [
            Box("parent", index, 0.0, floor - (index + 1) * own + between / 2, float(_PARENT), own - between)
            for index in range(len(parent.layers))
        ]
        sources = [box for box in boxes if box.kind == "parent"]
        targets = [box for box in boxes if box.kind == "layer"]
        for layer_at, origin in enumerate(origins or ()):
            links += [(sources[source], targets[layer_at]) for source in range(origin.first, origin.reaches + 1)]
    return Drawing(tuple(boxes), tuple(maps), tuple(links), left + _TOWER + _LABELS, height)


def shape_svg(
    shape: EncoderShape, look: Look, *, parent: EncoderShape | None = None, origins: Sequence[Foreseen] | None = None
) -> str:
    """Return the drawing of a shape as an SVG element; arguments as in :func:`drawing`."""
    found = drawing(shape, parent=parent, origins=origins)
    words = describe(shape)
    parts = [_box(box, shape, look, origins) for box in found.boxes if box.kind in ("stream", "parent")]
    parts += [_link(ends, look, origins) for ends in found.links]
    parts += [_map(one, shape, look) for one in found.maps]
    parts += [_box(box, shape, look, origins) for box in found.boxes if box.kind not in ("stream", "parent")]
    parts += _labels(found, shape, look)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {found.width:g} {found.height:.1f}" role="img"'
        f" aria-label={quoteattr(words)} font-family=\"'Source Sans', 'Source Sans Pro', system-ui, sans-serif\">"
        + "".join(parts)
        + "</svg>"
    )


def tiny_tower(shape: EncoderShape, look: Look, *, size: int = 56) -> str:
    """Return a shape as a picture of a few pixels, as a ``data:`` address for tables."""
    widest = max(shape.embedding, *(layer.width for layer in shape.layers))
    step = size / len(shape.layers)
    bars = []
    for index, layer in enumerate(shape.layers):
        width = max(2.0, size * layer.width / widest)
        bars.append(
            f'<rect x="{(size - width) / 2:.1f}" y="{size - (index + 1) * step + 0.5:.1f}" width="{width:.1f}"'
            f' height="{max(step - 1, 0.6):.1f}" fill="{look.colour(0)}"/>'
        )
    text = f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}">{"".join(bars)}</svg>'
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"


def describe(shape: EncoderShape) -> str:
    """Return a shape in words, for whoever does not see the drawing."""
    layers = ", ".join(
        f"layer {index} {layer.width} wide with {layer.heads} heads and {layer.intermediate} units"
        for index, layer in enumerate(shape.layers, 1)
    )
    kind = f"a stream of {shape.embedding}" if shape.mode == "bus" else "a stream that changes its width"
    return f"Encoder of {len(shape.layers)} layers on {kind}: {layers}." + (" Readout on top." * shape.readout)


# -- writing -----------------------------------------------------------------------------------------------------------
def _placed(span: tuple[float, float], y: float) -> tuple[float, float, float]:
    return span[0], y, span[1]


def _ends(span: tuple[float, float]) -> tuple[float, float]:
    return span[0], span[0] + span[1]


def _rect(box: Box, fill: str, *, opacity: float = 1.0, stroke: str = "", radius: float = 2.0) -> str:
    edge = f' stroke="{stroke}"' if stroke else ""
    return (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{max(box.width, 1.0):.1f}" height="{box.height:.1f}"'
        f' rx="{min(radius, box.height / 4):.1f}" fill="{fill}" fill-opacity="{opacity:g}"{edge}/>'
    )


def _titled(words: str, inner: str) -> str:
    return f"<g><title>{escape(words)}</title>{inner}</g>"


def _box(box: Box, shape: EncoderShape, look: Look, origins: Sequence[Foreseen] | None) -> str:
    if box.kind == "stream":
        return _rect(box, look.text, opacity=0.09, radius=0)
    if box.kind == "parent":
        used = {origin.parent for origin in origins or ()}
        inner = _rect(box, look.colour(3), opacity=0.55 if box.index in used else 0.16)
        if box.height >= 11:
            inner += _words(str(box.index + 1), box.x + box.width / 2, box.middle + 4, look.text, anchor="middle")
        gives = "gives its weights" if box.index in used else "gives no weights"
        return _titled(f"Layer {box.index + 1} of the parent {gives}", inner)
    if box.kind == "layer":
        layer = shape.layers[box.index]
        inner = _rect(box, look.colour(0), opacity=0.92)
        heads = min(layer.heads, _MOST_HEADS_DRAWN)
        if heads > 1 and box.width / heads > 2.5 and box.height > 5:
            lines = "".join(
                f"M{box.x + box.width * at / heads:.1f} {box.y + 1.5:.1f}v{box.height - 3:.1f}"
                for at in range(1, heads)
            )
            inner += f'<path d="{lines}" stroke="{look.background}" stroke-opacity="0.75" fill="none"/>'
        return _titled(
            f"Layer {box.index + 1}: width {layer.width}, {layer.heads} heads of {layer.size_of_head}", inner
        )
    if box.kind == "ffn":
        layer = shape.layers[box.index]
        return _titled(
            f"Layer {box.index + 1}: {layer.intermediate:,} FFN units", _rect(box, look.colour(2), opacity=0.85)
        )
    title = {
        "embedding": f"Embeddings, {shape.embedding} wide", "readout": f"Readout, {shape.embedding} wide",
        "pooler": f"Pooler, {shape.output} wide",
    }[box.kind]  # fmt: skip
    word = {"embedding": "embeddings", "readout": "readout", "pooler": "pooler"}[box.kind]
    inner = _rect(box, look.text, opacity=0.22)
    if box.width > 66 and box.height >= 12:
        inner += _words(word, box.x + box.width / 2, box.middle + 4, look.text, anchor="middle")
    return _titled(title, inner)


def _map(one: Trapezium, shape: EncoderShape, look: Look) -> str:
    (low_left, low_right), (up_left, up_right) = one.lower, one.upper
    bottom = one.y + one.height
    corners = ((low_left, bottom), (low_right, bottom), (up_right, one.y), (up_left, one.y))
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "Z"
    colour = look.colour(1)
    before = shape.embedding if shape.mode == "bus" or not one.index else shape.layers[one.index - 1].width
    width = shape.layers[one.index].width
    words = {
        "read": f"Layer {one.index + 1} reads the stream: map from {before} to {width}",
        "write": f"Layer {one.index + 1} writes into the stream: map from {width} to {before}",
        "step": f"The stream changes its width from {before} to {width}",
    }[one.kind]
    paint = f'fill="{colour}" fill-opacity="0.32" stroke="{colour}" stroke-opacity="0.6"'
    return _titled(words, f'<path d="{path}" {paint}/>')


def _link(ends: tuple[Box, Box], look: Look, origins: Sequence[Foreseen] | None) -> str:
    source, target = ends
    x, to = source.x + source.width + 2, float(_PARENT + _GAP - 4)
    middle = (x + to) / 2
    gives = any(origin.parent == source.index for origin in origins or ())
    dashes = "" if gives else ' stroke-dasharray="2 3"'
    words = (
        f"Layer {target.index + 1} inherits from the parent's layer {source.index + 1}"
        if gives
        else f"Layer {target.index + 1} also stands for the parent's layer {source.index + 1}"
    )
    start, end = f"{x:.1f} {source.middle:.1f}", f"{to:.1f} {target.middle:.1f}"
    path = f"M{start}C{middle:.1f} {source.middle:.1f} {middle:.1f} {target.middle:.1f} {end}"
    return _titled(
        words,
        f'<path d="{path}" stroke="{look.colour(3)}" stroke-width="{1.8 if gives else 1:g}" stroke-opacity="0.8"'
        f' fill="none"{dashes}/>',
    )


def _labels(found: Drawing, shape: EncoderShape, look: Look) -> list[str]:
    """Return what stands to the right of the layers, and below both towers."""
    parts = []
    boxes = found.of("layer")
    x = boxes[0].x + boxes[0].width / 2 + _TOWER / 2 + 12
    tall = (boxes[0].y - boxes[1].y) if len(boxes) > 1 else 99.0
    every = 1 if tall >= 13 else 2 if tall >= 7 else 4
    for box in boxes:
        if box.index % every:
            continue
        layer = shape.layers[box.index]
        parts.append(_words(f"{box.index + 1}", x, box.middle + 3, look.text, faint=True))
        parts.append(_words(f"{layer.width} · {layer.heads} heads", x + 22, box.middle + 3, look.text))
    below = found.height - 12
    parts.append(_words("this shape", x - 12 - _TOWER / 2, below, look.text, anchor="middle", faint=True))
    if found.of("parent"):
        parts.append(_words("parent", _PARENT / 2, below, look.text, anchor="middle", faint=True))
    return parts


def _words(text: str, x: float, y: float, colour: str, *, anchor: str = "start", faint: bool = False) -> str:
    opacity = ' fill-opacity="0.72"' if faint else ""
    place = f'x="{x:.1f}" y="{y:.1f}" fill="{colour}"{opacity} font-size="12.5" text-anchor="{anchor}"'
    return f"<text {place}>{escape(text)}</text>"
