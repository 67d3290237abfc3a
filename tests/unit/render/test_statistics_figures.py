"""Figures of a parent's layers: they show the numbers of the statistics, and the thresholds that were applied."""

from __future__ import annotations

from typing import Any

import pytest

from core.render.look import Look
from core.render.statistics_figures import (
    cost_figure,
    curve_figure,
    least_figure,
    margin_figure,
    novelty_figure,
    shade,
)
from core.search.proposal import propose
from tests.measured import measured

LOOK = Look("#111111", "#dddddd", "#ffffff", ("#4f46e5", "#b84510", "#1f7064"))


@pytest.fixture
def found() -> dict[str, Any]:
    return propose(measured(6), rho=0.8, overlap=0.55, share=0.2)


@pytest.mark.parametrize("kind", ["rho", "overlap"])
def test_every_layer_has_its_curve_and_a_ring_at_d_star(found: dict[str, Any], kind: Any) -> None:
    figure = curve_figure(found, LOOK, kind=kind)
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    rings = [trace for trace in figure.data if trace.mode == "markers"]
    assert [list(trace.y) for trace in lines] == [entry[kind] for entry in found["layers"]]
    assert [trace.x[0] for trace in rings] == [entry["least"] for entry in found["layers"]]
    assert figure.layout.shapes[0].y0 == found["thresholds"][kind]


def test_d_star_stands_in_its_interval(found: dict[str, Any]) -> None:
    trace = least_figure(found, LOOK).data[0]
    for value, up, down, entry in zip(
        trace.y, trace.error_y.array, trace.error_y.arrayminus, found["layers"], strict=True
    ):
        assert (value - down, value + up) == (entry["least_low"], entry["least_high"])


def test_margins_and_novelties_are_those_of_the_statistics(found: dict[str, Any]) -> None:
    assert list(margin_figure(found, LOOK).data[0].y) == [entry["margin"] for entry in found["layers"]]
    assert list(novelty_figure(found, LOOK).data[0].x) == [1, 2, 3, 4, 5, 6]
    assert not margin_figure(measured(trees="none"), LOOK).data[0].x


def test_the_fewest_segments_are_the_first_below_the_line(found: dict[str, Any]) -> None:
    figure = cost_figure(found, LOOK)
    shares = list(figure.data[0].y)
    fewest = found["depth"]["fewest"]
    assert shares[fewest - 1] <= 0.2 < shares[fewest - 2]
    assert figure.data[0].marker.size[fewest - 1] == max(figure.data[0].marker.size)


def test_layers_go_from_the_second_colour_over_the_third_to_the_first() -> None:
    assert [shade(LOOK, at, 7) for at in (0, 3, 6)] == ["#b84510", "#1f7064", "#4f46e5"]
    assert shade(LOOK, 0, 1) == "#b84510"
