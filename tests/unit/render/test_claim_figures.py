"""Figures of claims: the numbers in them are those that they were given."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from core.render.claim_figures import ArmCurves, Difference, RatePoint, arm_curves, band, differences, rate_figure
from core.render.claim_svg import rate_svg
from core.render.graph_page import DARK, LIGHT

_CURVES = [([5, 10], [0.5, 0.7]), ([5, 10], [0.6, None])]
_POINTS = {
    "Head alone": [RatePoint(1e-4, 0.6, 0.55, 0.65, 0, 5), RatePoint(1e-2, 0.7, 0.68, 0.72, 0, 5)],
    "Full <training>": [RatePoint(1e-4, 0.8, 0.79, 0.81, 0, 5), RatePoint(1e-2, None, None, None, 5, 5)],
}


def test_a_band_holds_mean_lowest_and_highest_of_the_numbers_at_a_step() -> None:
    steps, mean, low, high = band([*_CURVES, ([5], [math.nan])])
    assert steps == [5, 10]
    assert mean == pytest.approx([0.55, 0.7])
    assert (low, high) == ([0.5, 0.7], [0.6, 0.7])


def test_arms_are_drawn_as_a_line_each_with_a_band_behind_it() -> None:
    figure = arm_curves([ArmCurves("<b>1e-3</b>", _CURVES), ArmCurves("none", [])], LIGHT, title="t", unit="u")
    shaded, line = figure.data
    assert (shaded.fill, shaded.showlegend) == ("toself", False)
    assert list(line.y) == pytest.approx([0.55, 0.7])
    assert line.name == "&lt;b&gt;1e-3&lt;/b&gt;"


def test_target_and_majority_are_lines_with_their_names() -> None:
    figure = arm_curves([ArmCurves("a", _CURVES)], LIGHT, title="t", unit="u", target=0.7, baseline=0.5)
    assert sorted(one.text for one in figure.layout.annotations) == ["majority", "target"]


def test_a_difference_shows_both_intervals_and_the_margin() -> None:
    item = Difference("a against b", 5.0, (3.0, 7.0), (2.0, 8.0), (1.0, 9.0), "better")
    figure = differences([item], DARK, title="t", unit="points", margin=1.0)
    bars = sorted(tuple(one.x) for one in figure.data if one.mode == "lines")
    assert bars == [(1.0, 9.0), (2.0, 8.0), (3.0, 7.0)]
    assert {(shape.x0, shape.x1) for shape in figure.layout.shapes} == {(-1.0, 1.0), (0, 0)}
    low, high = figure.layout.xaxis.range
    assert low < -1.0
    assert high > 9.0


def test_rates_that_always_failed_are_crosses_on_the_majoritys_line() -> None:
    figure = rate_figure(_POINTS, LIGHT, title="t", baseline=0.5)
    crosses = [one for one in figure.data if one.marker.symbol == "x-thin"]
    assert [(list(one.x), list(one.y)) for one in crosses] == [([1e-2], [0.5])]
    assert figure.layout.xaxis.type == "log"


@pytest.mark.parametrize("dark", [False, True])
def test_the_svg_is_well_formed_and_says_what_it_shows(dark: bool) -> None:
    root = ElementTree.fromstring(rate_svg(_POINTS, title="A & B", baseline=0.5, dark=dark))
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "A & B" in texts
    assert "Full <training>" in texts
    assert "majority 50.0 %" in texts
    titles = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "1e-02: 70.0 %, 5 seeds, 0 failed" in titles
    assert "1e-02: 5 of 5 runs failed" in titles


def test_an_svg_of_nothing_is_still_a_picture() -> None:
    ElementTree.fromstring(rate_svg({}, title="nothing", baseline=None))
