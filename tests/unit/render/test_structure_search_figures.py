"""Figures of a structure search: what is drawn where, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.render.graph_page import LIGHT
from core.render.structure_search_figures import (
    ACROSS,
    UP,
    candidates_figure,
    hypervolume_figure,
    points,
    rungs_figure,
    value_of,
)
from core.search.structure.view import view
from tests.pages.fake_structures import write_search


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Any]:
    write_search(tmp_path)
    told = view(tmp_path)
    assert told is not None
    return told


def keys(figure: Any) -> list[str]:
    return [key for trace in figure.data if trace.customdata is not None for key in trace.customdata]


def test_every_candidate_with_both_numbers_is_a_point_with_its_key(found: dict[str, Any]) -> None:
    for across in ACROSS:
        for up in UP:
            drawn = keys(candidates_figure(found, LIGHT, across=across, up=up))
            known = {
                one["key"] for one in found["candidates"]
                if value_of(one, across) is not None and value_of(one, up) is not None
            }  # fmt: skip
            assert set(drawn) == known
            assert len(drawn) == len(points(found, across, up)) == len(known)


def test_candidates_of_one_source_are_one_trace_in_one_order(found: dict[str, Any]) -> None:
    figure = candidates_figure(found, LIGHT, up="rank_loss")
    assert [trace.name for trace in figure.data] == [
        "from the statistics", "drawn evenly", "even shape", "made by hand"
    ]  # fmt: skip


def test_the_front_is_joined_only_where_it_weighs_just_these_two(found: dict[str, Any]) -> None:
    names = [trace.name for trace in candidates_figure(found, LIGHT).data]
    assert "Pareto front" not in names
    for one in found["candidates"][:2]:
        one["on_front"] = True
    two = {**found, "objectives": ["parameters", "loss"]}
    (front,) = [trace for trace in candidates_figure(two, LIGHT).data if trace.name == "Pareto front"]
    assert list(front.x) == sorted(front.x)
    assert len(front.x) == 2


def test_the_chosen_candidate_is_ringed(found: dict[str, Any]) -> None:
    one = found["candidates"][1]
    ring = candidates_figure(found, LIGHT, chosen=one["key"]).data[-1]
    assert (ring.x[0], ring.y[0]) == (one["parameters"], one["loss"])


def test_the_cap_of_latency_is_drawn(found: dict[str, Any]) -> None:
    assert candidates_figure(found, LIGHT, across="latency").layout.shapes[0].x0 == 3.0
    assert not candidates_figure(found, LIGHT).layout.shapes


def test_the_hypervolume_is_drawn_over_the_work(found: dict[str, Any]) -> None:
    (line,) = hypervolume_figure(found, LIGHT).data
    assert list(line.x) == [6, 7]
    assert list(line.y) == pytest.approx([0.2, 0.3])


def test_a_line_ends_where_its_candidate_was_dropped(found: dict[str, Any]) -> None:
    figure = rungs_figure(found, LIGHT)
    assert sorted(trace.x[-1] for trace in figure.data) == [40, 40, 80, 80]
    assert all(trace.x[0] == 0 for trace in figure.data)
    assert [trace.line.dash for trace in figure.data].count("dash") == 1
    assert [shape.x0 for shape in figure.layout.shapes] == [40]


def test_a_candidate_that_diverged_is_drawn_as_far_as_it_came(found: dict[str, Any]) -> None:
    one = found["candidates"][3]
    one["rungs"][0]["loss"] = None
    one["rungs"][0]["curve"] = [(20, 0.9)]
    line = next(trace for trace in rungs_figure(found, LIGHT).data if trace.name == "drawn evenly")
    assert list(line.x) == [0, 20]
