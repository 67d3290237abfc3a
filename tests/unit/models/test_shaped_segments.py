"""What a layer will inherit, told from the shapes alone: it is what the report says once the weights are built."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertModel

from core.config.shape import EncoderShape
from core.errors import ConfigError
from core.models.shaped.inherit import inherit
from core.models.shaped.parent import Parent, look
from core.models.shaped.segments import default_segments, foreseen

WIDTH, HEAD, LAYERS = 16, 4, 3
PARENT = EncoderShape.model_validate(
    {
        "layers": [{"width": WIDTH, "heads": 4, "intermediate": 32}] * LAYERS, "embedding": WIDTH,
        "vocabulary": 40, "positions": 16,
    }
)  # fmt: skip
_built: list[Parent] = []


def parent() -> Parent:
    """A small BERT on random texts, built once."""
    if not _built:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            config = BertConfig(
                vocab_size=40, hidden_size=WIDTH, num_attention_heads=4, intermediate_size=32,
                num_hidden_layers=LAYERS, max_position_embeddings=16,
            )  # fmt: skip
            ids = torch.randint(1, 40, (100, 12))
            encoder = BertModel(config).eval()
        _built.append(look(encoder, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}))
    return _built[0]


@st.composite
def shapes(draw: st.DrawFn) -> EncoderShape:
    layers = []
    for _ in range(draw(st.integers(1, LAYERS))):
        width = draw(st.sampled_from([4, 8, 12, 16, 20]))
        heads = draw(st.sampled_from([one for one in range(1, width + 1) if width % one == 0]))
        layers.append({"width": width, "heads": heads, "intermediate": draw(st.integers(1, 40))})
    mode = draw(st.sampled_from(["bus", "stepped"]))
    return EncoderShape.model_validate(
        {"mode": mode, "layers": layers, "embedding": WIDTH, "vocabulary": 40, "positions": 16}
    )


@settings(max_examples=8, deadline=None)
@given(shapes())
def test_what_is_foreseen_is_what_the_report_says(shape: EncoderShape) -> None:
    told = foreseen(PARENT, shape)
    done = inherit(parent(), shape, refit=False).layers
    for ours, theirs in zip(told, done, strict=True):
        assert (ours.parent, ours.reaches, ours.basis) == (theirs.parent, theirs.reaches, theirs.basis)
        assert ours.heads == theirs.heads
        assert ours.units == theirs.units


def test_a_layer_like_the_parents_is_copied_whole() -> None:
    assert all(one.exact and not one.maps for one in foreseen(PARENT, PARENT))


def test_layers_that_stand_for_segments_name_all_of_them() -> None:
    shape = PARENT.model_copy(update={"layers": PARENT.layers[:2]})
    told = foreseen(PARENT, shape, [(0, 1), (2, 2)])
    assert [(one.first, one.reaches, one.parent) for one in told] == [(0, 1, 0), (2, 2, 2)]


def test_maps_are_counted_as_the_mode_has_them() -> None:
    widths = {"embedding": WIDTH, "vocabulary": 40, "positions": 16, "head_size": HEAD}
    bus = EncoderShape.of_widths([16, 8, 8], **widths)
    stepped = EncoderShape.of_widths([16, 8, 8], mode="stepped", **widths)
    assert [one.maps for one in foreseen(PARENT, bus)] == [0, 2, 2]
    assert [one.maps for one in foreseen(PARENT, stepped)] == [0, 1, 0]


def test_other_embeddings_and_more_layers_cannot_inherit() -> None:
    with pytest.raises(ConfigError, match="embeddings are 8 wide, the parent's 16"):
        foreseen(PARENT, EncoderShape.of_widths([8, 8]))
    with pytest.raises(ConfigError, match="only 3"):
        foreseen(PARENT, PARENT.model_copy(update={"layers": PARENT.layers * 2}))


def test_segments_are_divided_evenly() -> None:
    assert default_segments(6, 3) == [(1, 1), (3, 3), (5, 5)]


def test_counting_and_foreseeing_load_no_torch() -> None:
    code = (
        "import sys; import core.models.shaped.count, core.models.shaped.segments, core.search.widths; "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
