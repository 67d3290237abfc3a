"""Pictures of a plan's learning rates: what is on them, that words stay words, and that the SVG is one."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from core.config import Plan
from core.render.curve_figures import plan_curve_figure
from core.render.curve_parts import group_colours, plan_words, rate_axis, stage_label, ticks
from core.render.curve_svg import plan_curve_svg
from core.render.graph_page import DARK, LIGHT
from core.training.counting import count_stages
from core.training.curves import plan_curve

HOSTILE = '<b>& "x" $1$\x07'


@pytest.fixture(scope="module")
def curve() -> dict[str, Any]:
    plan = Plan(
        stages=[
            {"name": HOSTILE, "steps": 30, "freeze_encoder": True, "lr": 1e-2},
            {"name": "all", "steps": 40, "lr": 1e-4, "head_lr": 1e-3, "gate": {}, "on_fail": "cut", "max_retries": 2},
        ]
    )
    return plan_curve(plan, count_stages(plan, [10] * 320), layers=6)


def test_a_group_keeps_its_colour_in_all_stages(curve: dict[str, Any]) -> None:
    figure = plan_curve_figure(curve, LIGHT)
    colours = {(trace.legendgroup, trace.line.color) for trace in figure.data
               if trace.mode == "lines" and trace.line.width == 2}  # fmt: skip
    assert colours == {("head", LIGHT.colours[0]), ("encoder", LIGHT.colours[1])}
    assert sum(bool(trace.showlegend) for trace in figure.data if trace.legendgroup == "head") == 1


def test_ranges_are_filled_where_rates_depend_on_results_and_only_there(curve: dict[str, Any]) -> None:
    filled = [trace for trace in plan_curve_figure(curve, LIGHT).data if trace.fill == "toself"]
    assert {(trace.legendgroup, min(trace.x)) for trace in filled} == {("head", 31), ("encoder", 31)}


def test_stages_are_named_and_gates_are_marked(curve: dict[str, Any]) -> None:
    figure = plan_curve_figure(curve, LIGHT)
    assert [note.text for note in figure.layout.annotations][1] == "2 all ≈"
    (gate,) = [trace for trace in figure.data if trace.name == "gate decides"]
    assert list(gate.x) == [70]


def test_words_of_people_are_no_markup_in_the_figure(curve: dict[str, Any]) -> None:
    figure = plan_curve_figure(curve, DARK)
    assert "&lt;b&gt;" in figure.layout.annotations[0].text
    assert "<b>" not in figure.to_json().replace("\\u003c", "<")


@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize("dark", [False, True])
def test_the_svg_is_well_formed_holds_its_words_and_draws_inside_its_frame(
    curve: dict[str, Any], log_y: bool, dark: bool
) -> None:
    text = plan_curve_svg(curve, title=HOSTILE, log_y=log_y, dark=dark)
    root = ElementTree.fromstring(text)
    width, height = (float(root.get(name, "0")) for name in ("width", "height"))
    words = " ".join("".join(one.itertext()) for one in root.iter())
    assert '<b>& "x" $1$' in words
    assert "optimiser step" in words
    assert root.get("aria-label") == " ".join(plan_words(curve).replace("\x07", " ").split())
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        numbers = path.get("d", "").split("M")[1].split("L")[0].replace("H", " ").replace("V", " ").split()
        if "l" not in path.get("d", "") and "h" not in path.get("d", ""):
            assert 0 <= float(numbers[0]) <= width
            assert 0 <= float(numbers[1]) <= height


def test_a_logarithmic_axis_shows_rates_of_zero_at_its_bottom(curve: dict[str, Any]) -> None:
    low, high = rate_axis(curve, log_y=True)
    assert 0 < low < 1e-4 < high
    figure = plan_curve_figure(curve, LIGHT, log_y=True)
    values = [value for trace in figure.data if trace.legendgroup == "head" for value in trace.y]
    assert min(values) >= low


def test_a_range_without_end_is_cut_off_and_does_not_flatten_the_plan() -> None:
    plan = Plan(stages=[{"steps": 2000, "lr": 1e-4, "raise_if": {"every": 4, "factor": 10}}])
    found = plan_curve(plan, count_stages(plan, [10] * 320), layers=6)
    assert max(found["groups"]["all"]["high"]) > 1e20
    assert rate_axis(found, log_y=False)[1] < 5e-4
    ElementTree.fromstring(plan_curve_svg(found, log_y=True))


def test_many_groups_get_shades_and_few_the_usual_colours() -> None:
    assert group_colours(["a", "b"], LIGHT) == {"a": LIGHT.colours[0], "b": LIGHT.colours[1]}
    many = group_colours([f"layer {index}" for index in range(24)], LIGHT)
    assert len(set(many.values())) == 24


def test_a_name_is_cut_to_what_fits_and_at_last_to_a_number() -> None:
    stage = {"name": "everything"}
    assert [stage_label(stage, 3, room) for room in (20, 8, 3)] == ["3 everything", "3 every…", "3"]


def test_ticks_are_round_numbers() -> None:
    assert ticks(0, 1.15e-3, log=False) == pytest.approx([0, 2e-4, 4e-4, 6e-4, 8e-4, 1e-3])
    assert ticks(1e-7, 2e-2, log=True) == pytest.approx([1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2])


def test_the_picture_in_words_names_stages_steps_and_rates(curve: dict[str, Any]) -> None:
    words = plan_words(curve)
    assert "2 stages, 70 steps" in words
    assert "40 steps, encoder, head, from 0.0001 to 0.001. It depends on results." in words
