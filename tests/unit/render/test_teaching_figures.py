"""Divergence by group: bars from top to bottom, marks of the first evaluation, words as words."""

from __future__ import annotations

from core.render.graph_page import LIGHT
from core.render.teaching_figures import gap_figure

GROUPS = [["<b>O</b>", 900, 0.02, 0.99], ["B-LOC", 60, 0.31, 0.7], ["B-PER", 40, 0.28, 0.75]]


def test_groups_are_bars_with_the_first_evaluation_as_marks() -> None:
    figure = gap_figure(GROUPS, LIGHT, title="By label", axis="label", first=[["B-LOC", 60, 0.5, 0.4]])
    bars, marks = figure.data
    assert list(bars.x) == [0.02, 0.31, 0.28]
    assert list(marks.x) == [None, 0.5, None]
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;O&lt;/b&gt;"
    assert [tuple(one) for one in bars.customdata] == [(900, 0.99), (60, 0.7), (40, 0.75)]


def test_without_an_earlier_evaluation_there_are_bars_only_and_too_many_are_cut() -> None:
    figure = gap_figure([*GROUPS, *GROUPS], LIGHT, title="By label", axis="label", most=4)
    assert len(figure.data) == 1
    assert len(figure.data[0].x) == 4
    assert "4 of 6" in figure.layout.title.text
