"""Pictures of searches and range tests: what is on them, and that words stay words."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import pytest

from core.render.graph_page import DARK, LIGHT
from core.render.look import Look
from core.render.range_figures import range_figure
from core.render.search_figures import (
    best_so_far,
    history_figure,
    importance_figure,
    moving,
    parallel_figure,
    pareto_figure,
    scored,
    slice_figure,
)
from core.training.range_test import analyse, rates, smooth
from tests.searching import history_of, plan_of


def search(trials: int = 12, **changes: Any) -> dict[str, Any]:
    return asdict(history_of(plan_of(**changes), trials))


def range_test() -> dict[str, Any]:
    config = plan_of().stages[0].range_test
    assert config is not None
    lrs = rates(config)
    losses = [0.7 - 0.4 / (1 + math.exp(-(math.log(lr) + 7))) + max(0.0, math.log(lr) + 3) ** 3 for lr in lrs]
    mean = smooth(losses, config.smoothing).tolist()
    return {**analyse("all", lrs, losses, config).as_dict(), "rates": lrs, "losses": losses, "smoothed": mean,
            "at": lrs}  # fmt: skip


def named(figure: Any, name: str) -> Any:
    (found,) = [trace for trace in figure.data if trace.name == name]
    return found


def test_the_history_shows_finished_pruned_and_failed_trials_and_the_best_so_far() -> None:
    data = search()
    figure = history_figure(data, LIGHT)
    assert list(named(figure, "finished").x) == [1, 2, 3, 4, 5, 8, 9, 10, 11, 12]
    assert (list(named(figure, "ended early").x), list(named(figure, "ended early").y)) == ([7], [0.4])
    assert [line.x0 for line in figure.layout.shapes] == [6]  # failed
    best = list(named(figure, "best so far").y)
    assert best == sorted(best)
    assert best[-1] == max(one["scores"][0] for one in data["trials"] if one["scores"])


def test_what_is_minimised_falls_in_the_best_so_far() -> None:
    data = search(objectives=2)
    data["trials"][3]["scores"][1] = 0.1
    _, values = best_so_far(data, 1)
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0.1


def test_bars_show_the_spread_over_seeds_where_there_are_several() -> None:
    assert history_figure(search(), LIGHT).data[0].error_y.array is None
    spreads = history_figure(search(seeds=3), LIGHT).data[0].error_y.array
    assert spreads[0] == pytest.approx(0.01)


def test_a_slice_is_drawn_for_every_field_that_moved_with_a_logarithmic_axis_where_it_was_sampled_so() -> None:
    data = search()
    figure = slice_figure(data, LIGHT)
    assert len(figure.data) == len(moving(data)) == 4  # the held optimiser is left out
    titles = [figure.layout[name].title.text for name in ("xaxis", "xaxis2", "xaxis3", "xaxis4")]
    assert titles == ["lr", "batch_size", "dropout", "weight_decay"]
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis3.ticktext) == ["empty", "0", "0.3"]
    assert len(figure.data[0].x) == len(scored(data)) == 9  # repeats were not run


def test_parallel_axes_end_with_the_scores_and_say_powers_of_ten() -> None:
    data = search(objectives=2)
    (trace,) = parallel_figure(data, DARK).data
    labels = [axis.label for axis in trace.dimensions]
    assert labels == ["lr", "batch_size", "dropout", "weight_decay", "accuracy", "seconds"]
    rate = trace.dimensions[0]
    assert list(rate.ticktext) == ["1e-05", "1e-04", "1e-03", "1e-02", "1e-01"]
    assert list(rate.values) == [math.log10(one["values"]["lr"]) for one in scored(data)]


def test_importance_has_a_bar_for_each_field_and_objective() -> None:
    figure = importance_figure(search(objectives=2), LIGHT)
    assert [trace.name for trace in figure.data] == ["accuracy", "seconds"]
    assert list(figure.data[0].y)[-1] == "lr"  # the most important on top
    assert figure.data[0].x[0] == 0.0  # what did not count is there too


def test_the_front_is_told_from_the_others() -> None:
    data = search(objectives=2)
    figure = pareto_figure(data, LIGHT)
    assert len(named(figure, "front").x) == len(data["front"])
    assert len(named(figure, "front").x) + len(named(figure, "other trials").x) == len(scored(data))
    assert figure.layout.yaxis.title.text == "seconds (lower is better)"


def test_a_range_test_marks_suggestions_and_divergence() -> None:
    test = range_test()
    figure = range_figure(test, LIGHT)
    assert figure.layout.xaxis.type == "log"
    marks = {trace.name.rpartition(" (")[0]: trace.x[0] for trace in figure.data if trace.yaxis == "y2"}
    assert marks == {
        "steepest fall": test["steepest"], "a tenth of the lowest": test["tenth"], "diverges": test["diverged"]
    }  # fmt: skip
    low, high = figure.layout.yaxis.range
    assert (
        low < test["lowest_loss"] < test["first_loss"] < high < max(test["losses"])
    )  # what explodes leaves the picture


def test_a_test_that_has_only_begun_can_be_drawn() -> None:
    figure = range_figure({"group": "head", "rates": [1e-5], "losses": [0.7], "smoothed": [0.7], "at": [1e-5]}, LIGHT)
    assert figure.layout.title.text == "Range test of head"


@pytest.mark.parametrize("look", [LIGHT, DARK])
def test_words_of_people_stay_words(look: Look) -> None:
    data = search()
    for one in data["trials"]:
        one["values"]["optimizer.name"] = "<b>x</b>"
    texts = history_figure(data, look).data[0].text
    assert all("&lt;b&gt;x&lt;/b&gt;" in text for text in texts)


@pytest.mark.parametrize("trials", [1, 2])
def test_a_search_that_has_just_begun_can_be_drawn(trials: int) -> None:
    data = search(trials)
    for draw in (history_figure, slice_figure, parallel_figure):
        assert draw(data, LIGHT).data
