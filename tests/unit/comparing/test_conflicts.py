"""Conflicts of joint runs in a comparison: kept small, mean over seeds, drawn beside the gains."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from core.render.comparison_report import blocks
from core.render.conflict_report import gains_of
from core.render.conflict_svg import conflict_svg
from core.render.report_block import points
from core.studies.comparing.conflicts import conflicts_of, kept_conflicts, unit_place
from core.studies.comparing.records import ChildRun, read_children
from core.studies.comparing.run import RECORDS, run
from core.training.context import MemoryContext
from tests.unit.comparing.made import Torn, comparison, learns

STRATEGIES = [{"name": "single"}, {"name": "joint", "sharing": "joint"}]


def series(cosines: list[float], ratios: list[float]) -> dict[str, list[tuple[int, float]]]:
    steps = range(3, 3 * len(cosines) + 1, 3)
    begin = "conflict/a~b"
    return {
        f"{begin}/cosine/layer 0": list(zip(steps, cosines, strict=True)),
        f"{begin}/ratio/layer 0": list(zip(steps, ratios, strict=True)),
    }


def results(*units: str) -> dict[str, object]:
    told = [{"unit": unit, "cosine": 0.1, "rate": 0.5, "ratio": 2.0} for unit in units]
    return {"conflicts": {"every": 3, "looks": 9, "pairs": [{"a": "a", "b": "b", "units": told}]}}


def test_many_looks_become_forty_columns_of_the_same_means() -> None:
    rng = np.random.default_rng(0)
    cosines, ratios = rng.normal(0, 0.2, 400), np.exp(rng.normal(0, 1, 400))
    (pair,) = kept_conflicts(series(cosines.tolist(), ratios.tolist()), results("layer 0"))
    (unit,) = pair["units"]
    assert pair["steps"] == list(range(30, 1201, 30))
    assert unit["cosine"] == pytest.approx(cosines.reshape(40, 10).mean(axis=1), rel=1e-3)
    assert unit["rate"] == pytest.approx((cosines < 0).reshape(40, 10).mean(axis=1), abs=1e-3)
    assert np.log(unit["ratio"]) == pytest.approx(np.log(ratios).reshape(40, 10).mean(axis=1), abs=1e-3)
    assert len(json.dumps(pair)) < 2000


def test_a_gradient_of_zero_and_a_unit_without_series_do_no_harm() -> None:
    (pair,) = kept_conflicts(series([0.0, -0.5], [0.0, 0.0]), results("layer 0", "layer 1"))
    (unit,) = pair["units"]
    assert (unit["cosine"], unit["rate"], unit["ratio"]) == ([0.0, -0.5], [0.0, 1.0], [None, None])
    assert kept_conflicts({}, results("layer 0")) == []
    assert kept_conflicts({}, {}) == []


def test_layers_stand_from_below() -> None:
    names = ["encoder", "layer 10", "embeddings", "layer 2"]
    assert sorted(names, key=unit_place) == ["embeddings", "layer 2", "layer 10", "encoder"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    place = tmp_path_factory.mktemp("torn")
    context = MemoryContext(place / "run", place)
    of = comparison(strategies=STRATEGIES)
    run(of, context, trainer=Torn(learns))
    return context.folder, json.loads((context.folder / "results.json").read_text())["details"]


def test_a_comparison_tells_the_mean_over_its_seeds(told: tuple[Path, dict]) -> None:
    (one,) = told[1]["conflicts"]
    assert (one["strategy"], one["a"], one["b"]) == ("joint", "reviews", "moods")
    assert (one["seeds"], one["looks"], one["every"], one["steps"]) == (5, 20, 6, [6, 12, 18, 24])
    below, above = one["units"]
    # Seeds 0 to 4 have cosines of 0.20 to 0.24.
    assert below["cosine"] == pytest.approx([0.22] * 4)
    assert above["cosine"] == pytest.approx([0.22, 0.22, -0.4, -0.4])
    assert above["rate"] == [0.0, 0.0, 1.0, 1.0]
    assert above["ratio"] == pytest.approx([1, 1, 4, 4])


def test_runs_that_failed_and_other_seeds_have_no_say(told: tuple[Path, dict]) -> None:
    children = [one for one in read_children(told[0] / RECORDS) if one.strategy == "joint"]
    of = comparison(strategies=STRATEGIES)
    kept = [replace(children[0], failed="memory"), *children[1:3], replace(children[3], seed=99)]
    assert conflicts_of(of, kept)[0]["seeds"] == 2
    # A seed that looked elsewhere adds its own columns.
    moved = ChildRun.from_dict(json.loads(json.dumps(children[4].as_dict())))
    moved.conflicts[0]["steps"] = [6, 12, 18, 25]
    (one,) = conflicts_of(of, [children[0], moved])
    assert one["steps"] == [6, 12, 18, 24, 25]
    assert one["units"][1]["cosine"] == pytest.approx([0.22, 0.22, -0.4, -0.4, -0.4])


def test_the_report_draws_maps_beside_the_gains(told: tuple[Path, dict]) -> None:
    of = comparison(strategies=STRATEGIES)
    view = {
        "id": "x", "name": "torn", "config": of.model_dump(mode="json"), "total": 15, "done": 15, "failed": 0,
        "curves": {}, "runs": [], "data": {}, "environment": {}, **told[1],
    }  # fmt: skip
    found = blocks(view, "plan")
    titles = [one.title for one in found if one.kind == "figure"]
    assert [title for title in titles if title.startswith("joint:")] == [
        "joint: cosine of the gradients, reviews and moods", "joint: conflict rate, reviews and moods",
        "joint: ratio of the gradients' norms, reviews and moods",
        "joint: what reviews and moods gain by learning together",
    ]  # fmt: skip
    gains = gains_of(view["transfer"], "joint")
    assert [(one["task"], one["verdict"]) for one in gains] == [("reviews", "b"), ("moods", "b")]
    assert all(one["difference"] < -0.05 and one["interval"][1] < 0 for one in gains)
    (table,) = (one for one in found if one.kind == "table" and one.rows[0][0] == "layer")
    assert table.rows[1][:2] == ("layer 1", "-0.1")
    assert gains_of(view["transfer"], "single") == []


def test_cells_say_what_they_stand_for() -> None:
    svg = conflict_svg(["layer 0", "<b>"], [5, 10], [[0.2, -0.1], [None, 0.4]], title="a & b")
    root = ElementTree.fromstring(svg)
    cells = [one for one in root.iter() if one.tag.endswith("rect") and len(one)]
    assert [one[0].text for one in cells] == ["layer 0, step 5: 0.2", "layer 0, step 10: -0.1", "<b>, step 10: 0.4"]
    assert [one.get("class") for one in cells] == ["above", "below", "above"]
    assert [float(one.get("fill-opacity", "")) for one in cells] == pytest.approx([0.5, 0.25, 1.0])
    ratios = conflict_svg(["layer 0"], [5], [[0.25]], title="", what="ratio")
    assert re.search(r'class="below"[^>]*fill-opacity="1.000"', ratios)
    rates = ElementTree.fromstring(conflict_svg(["layer 0"], [5], [[0.25]], title="", what="rate"))
    assert [one.text for one in rates.iter() if one.tag.endswith("title")][-1] == "layer 0, step 5: 25 %"


def test_no_difference_has_no_minus() -> None:
    assert [points(value) for value in (-0.0, -0.00001, -0.0079, 0.2, None)] == [
        "+0.00",
        "+0.00",
        "-0.79",
        "+20.00",
        "",
    ]
