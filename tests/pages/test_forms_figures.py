"""Figures and tables of planner and comparison, without a page."""

from __future__ import annotations

import csv
import io
import math

import pytest

from core.config import Plan
from core.render.compare_figures import Curve, curves_csv, overlaid_curves, smoothed, table_csv
from core.render.curve_figures import class_balance, learning_rate_curve, length_histogram
from core.render.look import Look, safe_text
from pages.ui import compare

LOOK = Look("#111111", "#eeeeee", "#ffffff", ("#4F46E5", "#B84510"), {"train": "#010203", "warn": "#ff0000"})


def test_groups_with_one_curve_share_a_line() -> None:
    curve = {"layer.0": {"steps": [1, 2], "lr": [1.0, 0.5]}, "head": {"steps": [1, 2], "lr": [1.0, 0.5]}}
    figure = learning_rate_curve(curve, LOOK)
    assert [trace.name for trace in figure.data] == ["layer.0, head"]
    assert figure.layout.xaxis.title.text == "optimiser step"


def test_frozen_groups_are_named_so_and_left_out_of_a_log_axis() -> None:
    curve = {"encoder": {"steps": [1, 2], "lr": [0.0, 0.0]}, "head": {"steps": [1, 2], "lr": [1e-3, 0.0]}}
    figure = learning_rate_curve(curve, LOOK, log_y=True)
    assert figure.data[0].name == "encoder (frozen)"
    assert list(figure.data[1].y) == [1e-3, None]
    assert figure.layout.yaxis.type == "log"


def test_balance_shows_the_most_frequent_labels_and_says_how_many_there_are() -> None:
    counts = {"train": {f"label {number}": 100 - number for number in range(30)}}
    figure = class_balance(counts, LOOK, most=5)
    assert list(figure.data[0].x) == [100, 99, 98, 97, 96]
    assert figure.layout.title.text.endswith("the 5 most frequent of 30 labels")
    assert figure.data[0].marker.color == "#010203"


def test_the_last_bar_of_the_lengths_is_no_wider_than_the_others() -> None:
    figure = length_histogram([0, 10, 20, 900], [5, 6, 7], LOOK, limit=16)
    assert list(figure.data[0].width) == [10, 10, 10]
    assert figure.data[0].customdata[2] == "20 to 899, the longest"
    assert figure.layout.shapes[0].x0 == 16


def test_a_limit_beyond_the_bars_is_not_drawn() -> None:
    assert not length_histogram([0, 10, 20], [5, 6], LOOK, limit=128).layout.shapes


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9])
def test_smoothing_keeps_a_constant_and_leaves_gaps(weight: float) -> None:
    result = smoothed([2.0, 2.0, None, math.nan, 2.0], weight)
    assert [value for value in result if value is not None] == pytest.approx([2.0, 2.0, 2.0])
    assert result[2] is None
    assert result[3] is None


def test_smoothing_is_the_corrected_moving_average() -> None:
    values, weight = [1.0, 3.0, 2.0], 0.6
    expected = [
        sum(weight ** (last - i) * values[i] for i in range(last + 1)) / sum(weight**i for i in range(last + 1))
        for last in range(3)
    ]
    assert smoothed(values, weight) == pytest.approx(expected)


def test_a_weight_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="weight"):
        smoothed([1.0], 1.0)


def test_runs_of_one_name_are_told_apart() -> None:
    curves = [Curve("same", "id-0001", [1], [0.5]), Curve("same", "id-0002", [1], [0.4])]
    names = [trace.name for trace in overlaid_curves(curves, LOOK, title="Loss", unit="loss").data]
    assert names == ["same · 0001", "same · 0002"]


def test_time_is_in_minutes_and_raw_values_stay_behind_smoothed_ones() -> None:
    curve = Curve("one", "id-0001", [1, 2], [1.0, 0.5], [0.0, 90.0])
    figure = overlaid_curves([curve], LOOK, title="Loss", unit="loss", axis="time", smoothing=0.5)
    assert list(figure.data[0].x) == [0.0, 1.5]
    assert list(figure.data[0].y) == [1.0, 0.5]
    assert figure.data[0].showlegend is False
    assert len(figure.data) == 2


def test_words_in_figures_are_text() -> None:
    assert safe_text("<b>x</b> & $y$") == "&lt;b&gt;x&lt;/b&gt; &amp; ＄y＄"
    assert len(safe_text("x" * 200)) == 60


def test_csv_holds_exact_values_and_no_formula() -> None:
    curve = Curve("=HYPERLINK(1)", "id-0001", [1, 2], [1 / 3, None], [0.0, 1.5])
    rows = list(csv.reader(io.StringIO(curves_csv([curve], "train/loss"))))
    assert rows[0] == ["run", "name", "step", "seconds", "train/loss"]
    assert float(rows[1][4]) == 1 / 3
    assert rows[2][4] == ""
    assert rows[1][1] == "'=HYPERLINK(1)"
    assert table_csv([]) == ""
    assert table_csv([{"a": 1, "b": "x,y"}]) == 'a,b\n1,"x,y"\n'


def test_only_keys_that_differ_are_listed_in_the_schemas_order() -> None:
    one = Plan.model_validate({"name": "one", "stages": [{"lr": 1e-4}]}).model_dump(mode="json")
    two = Plan.model_validate({"name": "two", "data": {"train_rows": 5}, "stages": [{"lr": 2e-4}]}).model_dump(
        mode="json"
    )
    assert compare.differences({"one": one, "two": two}) == [
        {"key": "data.train_rows", "one": "(empty)", "two": "5"},
        {"key": "stages.0.lr", "one": "0.0001", "two": "0.0002"},
    ]
    assert compare.differences({"one": one}) == []


def test_keys_of_an_old_plan_are_shown_too() -> None:
    assert compare.differences({"old": {"gone": 1}, "new": {}}) == [
        {"key": "gone", "old": "1", "new": "(not in this plan)"}
    ]


def test_series_start_with_loss_and_gate() -> None:
    assert compare.series_choices([["lr/head", "train/loss"], ["gate/accuracy"]]) == [
        "train/loss",
        "gate/accuracy",
        "lr/head",
    ]
