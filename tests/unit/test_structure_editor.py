"""The editor of layers without a page: form ↔ shape ↔ YAML without loss, messages, rows, presets, the meter."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config.shape import MOST_LAYERS, EncoderShape
from core.errors import ConfigError
from core.models.shaped import count, memory
from pages.ui.structure.editor_form import (
    FIELDS,
    LAYER_FIELDS,
    act,
    following,
    json_of,
    near_heads,
    read,
    shape_of_yaml,
    values_of,
    yaml_of,
)
from pages.ui.structure.editor_meter import budget_words, meter_html, meters
from pages.ui.structure.editor_presets import PRESETS, parent_shape, preset
from tests.pages.structure import statistics


@st.composite
def shapes(draw: st.DrawFn) -> EncoderShape:
    layers = []
    for _ in range(draw(st.integers(1, 8))):
        heads, size = draw(st.integers(1, 16)), draw(st.integers(1, 80))
        given_size = draw(st.booleans())
        width = draw(st.integers(1, 1200)) if given_size else heads * size
        layers.append(
            {
                "width": width, "heads": heads, "intermediate": draw(st.integers(1, 5000)),
                "head_size": size if given_size else None,
            }
        )  # fmt: skip
    mode = draw(st.sampled_from(["bus", "stepped"]))
    return EncoderShape.model_validate(
        {
            "mode": mode, "layers": layers, "embedding": draw(st.integers(1, 1200)),
            "readout": mode == "bus" and draw(st.booleans()), "vocabulary": draw(st.integers(1, 60_000)),
            "positions": draw(st.integers(2, 1024)), "types": draw(st.integers(1, 3)), "pooler": draw(st.booleans()),
        }
    )  # fmt: skip


# -- form, shape, YAML ---------------------------------------------------------------------------------------------
@settings(max_examples=15, deadline=None)
@given(shapes())
def test_a_shape_goes_through_form_and_files_without_loss(shape: EncoderShape) -> None:
    assert read(values_of(shape)) == (shape, {})
    assert shape_of_yaml(yaml_of(shape), "x.yaml") == shape
    assert shape_of_yaml(json_of(shape), "x.json") == shape


def test_the_form_has_a_field_for_everything_that_a_shape_has() -> None:
    assert {*FIELDS, "layers"} == set(EncoderShape.model_fields)
    assert set(LAYER_FIELDS) == set(values_of(EncoderShape.of_widths([64]))["layers"][0])


def test_heads_that_do_not_divide_are_told_beside_them() -> None:
    values = values_of(EncoderShape.of_widths([64, 96]))
    values["layers"][1]["heads"] = 7
    shape, found = read(values)
    assert shape is None
    assert list(found) == ["layers.1.heads"]
    assert "6, 8" in found["layers.1.heads"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [("width", None, "give a whole number"), ("width", 0, "greater than or equal to 1"), ("heads", 5000, "1024")],
)
def test_a_field_that_is_empty_or_out_of_range_has_its_message(path: str, value: int | None, words: str) -> None:
    values = values_of(EncoderShape.of_widths([64]))
    values["layers"][0][path] = value
    assert words in read(values)[1][f"layers.0.{path}"]


def test_a_readout_on_a_changing_stream_is_told_beside_the_readout() -> None:
    values = {**values_of(EncoderShape.of_widths([64, 96], mode="stepped")), "readout": True}
    assert "readout belongs to mode bus" in read(values)[1]["readout"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layers: [{width: 10, heads: 3}]", r"layers.0 \(line 1\): heads 3 do not divide"),
        ("layers: []\nmood: bus", r"mood \(line 2\): unknown key"),
        ("- a list", "not a YAML mapping"),
    ],
)
def test_a_file_that_is_no_shape_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        shape_of_yaml(text, "mine.yaml")


# -- rows ------------------------------------------------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 1024))
def test_offered_heads_divide_the_width_and_none_is_nearer(width: int, heads: int) -> None:
    offered = near_heads(width, heads)
    assert all(width % one == 0 for one in offered)
    divisors = [one for one in range(1, min(width, 1024) + 1) if width % one == 0]
    assert min(abs(one - heads) for one in divisors) == abs(offered[0] - heads)


def test_heads_and_units_follow_the_width() -> None:
    layer = {"width": 384, "heads": 12, "intermediate": 1536, "head_size": None}
    assert following(layer, 256) == {"width": 256, "heads": 8, "intermediate": 1024, "head_size": None}
    assert following(layer, 250)["heads"] in near_heads(250, 8)


def test_heads_of_a_size_of_their_own_stay_when_the_width_changes() -> None:
    layer = {"width": 384, "heads": 5, "intermediate": 1536, "head_size": 32}
    assert following(layer, 256) == {"width": 256, "heads": 5, "intermediate": 1024, "head_size": 32}


ROWS = [{"width": width} for width in (1, 2, 3)]


@pytest.mark.parametrize(
    ("action", "at", "widths", "order"),
    [
        ("add", 0, [1, 2, 3, 3], [4, 5, 9, 10]), ("duplicate", 0, [1, 1, 2, 3], [4, 10, 5, 9]),
        ("remove", 1, [1, 3], [4, 9]), ("up", 0, [2, 1, 3], [5, 4, 9]), ("down", 0, [1, 2, 3], [4, 5, 9]),
        ("down", 2, [1, 3, 2], [4, 9, 5]), ("up", 2, [1, 2, 3], [4, 5, 9]),
    ],
)  # fmt: skip
def test_rows_take_their_numbers_with_them(action: str, at: int, widths: list[int], order: list[int]) -> None:
    rows, numbers = act(action, at, ROWS, [4, 5, 9])
    assert [row["width"] for row in rows] == widths
    assert numbers == order


def test_the_last_layer_stays_and_there_are_never_too_many() -> None:
    assert act("remove", 0, ROWS[:1], [0]) == ([{"width": 1}], [0])
    assert len(act("add", 0, ROWS[:1] * MOST_LAYERS, list(range(MOST_LAYERS)))[0]) == MOST_LAYERS


# -- presets -----------------------------------------------------------------------------------------------------------
ABOUT = {
    "source": "bundled", "family": "bert", "hidden_size": 384, "heads": 12, "intermediate_size": 1536, "layers": 6,
    "vocab_size": 30522, "max_length": 512,
}  # fmt: skip
PARENT = parent_shape(ABOUT)


def test_a_parents_shape_is_plain() -> None:
    assert PARENT.plain
    assert (len(PARENT.layers), PARENT.embedding) == (6, 384)


def test_a_parent_of_another_family_is_refused_with_what_is_supported() -> None:
    with pytest.raises(ConfigError, match="family distilbert") as caught:
        parent_shape({**ABOUT, "family": "distilbert"})
    assert "plain BERT" in str(caught.value.expected)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.12, 0.95), st.sampled_from(["even", "taper", "reverse", "prior"]))
def test_presets_meet_the_budget_within_three_per_cent(share: float, name: str) -> None:
    budget = round(share * count(PARENT).body)
    if name == "prior" and share > 0.5:  # three layers cannot be larger
        with pytest.raises(ConfigError, match="budget"):
            preset(name, PARENT, budget, statistics())
        return
    shape = preset(name, PARENT, budget, statistics())
    assert abs(count(shape).body / budget - 1) <= 0.03
    assert shape.embedding == PARENT.embedding


def test_tapers_fall_and_rise() -> None:
    budget = count(PARENT).body // 2
    falling = [layer.width for layer in preset("taper", PARENT, budget).layers]
    rising = [layer.width for layer in preset("reverse", PARENT, budget).layers]
    assert falling == sorted(falling, reverse=True) == rising[::-1]
    assert falling[0] > falling[-1]


def test_the_prior_is_as_wide_where_the_statistics_ask_for_it() -> None:
    widths = [layer.width for layer in preset("prior", PARENT, count(PARENT).body // 3, statistics()).layers]
    assert len(widths) == 3
    assert widths[1] < widths[0] == widths[2]


def test_presets_are_named_and_say_what_they_need() -> None:
    assert preset("article", None, 1) == EncoderShape.of_widths([768, 1024], mode="stepped")
    for name, one in PRESETS.items():
        if one.needs != "nothing":
            with pytest.raises(ConfigError):
                preset(name, None, 1)
    with pytest.raises(ConfigError, match="not been measured"):
        preset("prior", PARENT, 1000)


# -- the meter ---------------------------------------------------------------------------------------------------------
def test_the_meter_counts_what_the_formulas_count() -> None:
    shape = EncoderShape.of_widths([384, 256], head_size=32)
    budget = count(PARENT).body // 2
    body, total, flops, need = meters(shape, PARENT, budget)
    assert (body.value, body.parent, body.budget) == (count(shape).body, count(PARENT).body, budget)
    assert (total.value, flops.value) == (count(shape).total, count(shape).flops(128))
    assert need.value == memory(shape, 16 * 128).training
    assert [one.parent for one in meters(shape, None, None)] == [None] * 4


@pytest.mark.parametrize(
    ("value", "words"),
    [(100, "meets the budget"), (102, "meets the budget"), (150, "50.0 % over"), (50, "50.0 % under")],
)
def test_the_budget_is_told_in_words(value: int, words: str) -> None:
    assert words in budget_words(value, 100)


def test_bars_say_in_words_what_they_show_and_lie_within_the_line() -> None:
    html = meter_html(meters(EncoderShape.of_widths([768, 1024]), PARENT, 1_000_000), good="#123456", over="#abcdef")
    assert html.count('role="img" aria-label="') == 4
    assert html.count("#abcdef") == 1
    places = [float(one) for one in re.findall(r"(?:left|width):([\d.]+)%", html)]
    assert places
    assert all(0 <= one <= 100 for one in places)


def test_the_parts_of_the_page_load_nothing_that_only_workers_need() -> None:
    code = (
        "import sys; import pages.ui.structure.editor; "
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
