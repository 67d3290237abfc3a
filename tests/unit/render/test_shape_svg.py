"""The drawing of a shape: widths to scale, maps where widths differ, links to what is inherited, and words for it."""

from __future__ import annotations

import base64
import itertools
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.shape import EncoderShape
from core.models.shaped.segments import foreseen
from core.render.graph_page import DARK, LIGHT
from core.render.shape_svg import describe, drawing, shape_svg, tiny_tower

PARENT = EncoderShape.of_widths([384] * 6, head_size=32)
widths = st.lists(st.integers(1, 40).map(lambda heads: 32 * heads), min_size=1, max_size=30)


def bus(*sizes: int, **others: object) -> EncoderShape:
    return EncoderShape.of_widths(sizes, head_size=32, **{"embedding": 384, **others})  # type: ignore[arg-type]


def stepped(*sizes: int) -> EncoderShape:
    return EncoderShape.of_widths(sizes, mode="stepped", head_size=32)


@given(widths, st.sampled_from(["bus", "stepped"]), st.booleans())
def test_boxes_are_as_wide_as_their_layers_and_within_the_picture(sizes: list[int], mode: str, parent: bool) -> None:
    shape = EncoderShape.of_widths(sizes, mode=mode, head_size=32)  # type: ignore[arg-type]
    found = drawing(shape, parent=PARENT if parent else None)
    (floor,) = found.of("embedding")
    scale = floor.width / shape.embedding
    for box, layer in zip(found.of("layer"), shape.layers, strict=True):
        assert box.width == pytest.approx(layer.width * scale)
    for box, layer in zip(found.of("ffn"), shape.layers, strict=True):
        assert box.width == pytest.approx(layer.intermediate / 4 * scale)
    for box in found.boxes:
        assert box.x >= -1e-9
        assert box.x + box.width <= found.width + 1e-9
        assert box.y >= 0
        assert box.y + box.height <= found.height
        assert box.height > 0


@given(widths)
def test_layers_lie_upon_one_another(sizes: list[int]) -> None:
    layers = drawing(bus(*sizes, embedding=max(sizes))).of("layer")
    for below, above in itertools.pairwise(layers):
        assert above.y + above.height <= below.y + 1e-6


def test_a_narrow_layer_of_a_bus_reads_and_writes_through_maps() -> None:
    shape = bus(384, 256, 384)
    found = drawing(shape)
    assert [(one.kind, one.index) for one in found.maps] == [("read", 1), ("write", 1)]
    read, write = found.maps
    (floor,) = found.of("embedding")
    layer = found.of("layer")[1]
    assert read.lower == write.upper == pytest.approx((floor.x, floor.x + floor.width))
    assert read.upper == write.lower == pytest.approx((layer.x, layer.x + layer.width))


def test_a_stepped_stream_changes_its_width_with_the_layers() -> None:
    found = drawing(stepped(384, 256, 256))
    assert [(one.kind, one.index) for one in found.maps] == [("step", 1)]
    scale = found.of("embedding")[0].width / 384
    assert {round(box.width / scale) for box in found.of("stream")} == {384, 256}


def test_a_bus_is_of_one_width() -> None:
    found = drawing(bus(384, 256, 128))
    assert len({round(box.width, 6) for box in found.of("stream")}) == 1


def test_layers_are_joined_with_the_parents_that_they_stand_for() -> None:
    shape = bus(384, 256, 384)
    links = drawing(shape, parent=PARENT, origins=foreseen(PARENT, shape)).links
    assert [(source.index, target.index) for source, target in links] == [
        (0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2)
    ]  # fmt: skip


@pytest.mark.parametrize("look", [LIGHT, DARK])
@pytest.mark.parametrize("shape", [bus(384, 256, readout=True), stepped(768, 1024), bus(*[384, 64] * 24)])
def test_the_picture_is_svg_that_says_what_it_shows(look: object, shape: EncoderShape) -> None:
    text = shape_svg(shape, look, parent=PARENT)  # type: ignore[arg-type]
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == describe(shape)
    titles = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    first = shape.layers[0]
    assert f"Layer 1: width {first.width}, {first.heads} heads of {first.size_of_head}" in titles


def test_the_words_name_widths_heads_and_units() -> None:
    assert describe(stepped(64, 96)) == (
        "Encoder of 2 layers on a stream that changes its width: layer 1 64 wide with 2 heads and 256 units, "
        "layer 2 96 wide with 3 heads and 384 units."
    )


def test_a_tiny_tower_is_a_picture_of_its_own() -> None:
    address = tiny_tower(bus(384, 192), LIGHT)
    kind, _, text = address.partition(",")
    assert kind == "data:image/svg+xml;base64"
    root = ElementTree.fromstring(base64.b64decode(text))
    wide, narrow = [float(str(one.get("width"))) for one in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert wide == pytest.approx(2 * narrow)
