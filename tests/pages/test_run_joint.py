"""The page of a joint run: scores by task, what each had, and the map of conflicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.api import Studio
from core.config.joint import JointPlan, MixingConfig
from core.errors import ModelError
from core.render.joint_figures import MOST_COLUMNS, conflict_map, negative, thinned
from core.render.look import Look
from core.settings import Home
from pages.ui.live.component import panels_of
from pages.ui.run_joint import as_task, map_rows, of_task, pairs_of, summary_rows, task_rows
from tests.pages.test_run_page import finished, home, metrics, opened, words  # noqa: F401
from tests.tiny import tiny_encoder

PLAN = JointPlan.model_validate(
    {
        "name": "both",
        "tasks": [
            {"name": "mood"},
            {"name": "mood 2", "task": {"kind": "tagging"}, "data": {"source": "tweets"}},
        ],
    }
)
METRICS = {"test/combined": 0.7, "test/mood/accuracy": 0.8, "test/mood 2/strict_f1": 0.6, "gate/mood/accuracy": 0.9}
DETAILS: dict[str, Any] = {
    "test": {"mood": {"n": 50, "intervals": {"accuracy": [0.7, 0.9]}}, "mood 2": {"n": 20}},
    "gate": {"mood": {"n": 40}, "mood 2": {"n": 10}},
}
UNITS = [{"unit": "layer 0", "cosine": 0.25, "rate": 0.5, "ratio": 2.0}]
RESULTS: dict[str, Any] = {
    "metrics": METRICS, "details": DETAILS, "shared_parameters": 1234,
    "tasks": [
        {"name": "mood", "kind": "classification", "batches": 7, "examples": 112, "weight": 1.0, "parameters": 34,
         "rows": {"train": 80, "test": 50}},
    ],
    "conflicts": {"every": 30, "looks": 4, "pairs": [{"a": "mood", "b": "mood 2", "units": UNITS}]},
}  # fmt: skip
LOOK = Look(text="#111111", grid="#dddddd", background="#ffffff", colours=("#123456", "#abcdef"))


def test_a_tasks_results_are_those_of_a_run_of_its_own() -> None:
    assert of_task(RESULTS, "mood") == (
        {"test/accuracy": 0.8, "gate/accuracy": 0.9},
        {"test": DETAILS["test"]["mood"], "gate": DETAILS["gate"]["mood"]},
    )
    assert of_task(RESULTS, "mood 2")[0] == {"test/strict_f1": 0.6}


def test_rows_of_the_tables() -> None:
    (row,) = task_rows(RESULTS)
    assert (row["batches"], row["examples"], row["train rows"], row["test rows"]) == ("7", "112", "80", "50")
    assert summary_rows(RESULTS["conflicts"]["pairs"][0]) == [
        {"layer": "layer 0", "mean cosine": "0.250", "conflict rate": "50.0 %", "norm ratio": "2.00"}
    ]
    assert pairs_of(["a", "b", "c"]) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_the_map_has_layers_from_below_and_gaps_where_nothing_was_measured() -> None:
    start = "conflict/a~b/cosine/"
    series = {
        f"{start}encoder": {"steps": [3, 6], "values": [0.1, 0.2]},
        f"{start}layer 10": {"steps": [3, 6], "values": [0.3, 0.4]},
        f"{start}layer 2": {"steps": [6], "values": [-0.5]},
        f"{start}embeddings": {"steps": [3, 6], "values": [0.5, 0.6]},
        "conflict/a~b/ratio/layer 2": {"steps": [3], "values": [9.0]},
        "conflict/a~c/cosine/layer 2": {"steps": [9], "values": [9.0]},
    }
    units, steps, rows = map_rows(series, ("a", "b"), "cosine")
    assert units == ["embeddings", "layer 2", "layer 10", "encoder"]
    assert steps == [3, 6]
    assert rows == [[0.5, 0.6], [None, -0.5], [0.3, 0.4], [0.1, 0.2]]
    drawn = conflict_map(units, steps, rows, LOOK, pair=("a", "b")).data[0]
    assert [list(row) for row in drawn.z] == rows
    assert (drawn.zmin, drawn.zmax) == (-0.6, 0.6)


def test_ratios_are_coloured_by_their_logarithm_and_many_looks_are_averaged() -> None:
    drawn = conflict_map(["layer 0"], [1, 2], [[4.0, 0.5]], LOOK, pair=("a", "b"), what="ratio").data[0]
    assert list(drawn.z[0]) == [2.0, -1.0]
    assert list(drawn.customdata[0]) == [4.0, 0.5]
    many = [4.0, 0.25] * MOST_COLUMNS  # two in a column: neither task's gradient is the larger one
    drawn = conflict_map(["layer 0"], list(range(len(many))), [many], LOOK, pair=("a", "b"), what="ratio").data[0]
    assert list(drawn.customdata[0]) == [1.0] * MOST_COLUMNS
    steps, rows = thinned([1, 2, 3, 4, 5], [[1.0, None, 3.0, 5.0, 7.0]], most=3)
    assert steps == [2, 4, 5]
    assert rows == [[1.0, 4.0, 7.0]]


def test_a_rate_is_the_share_of_looks_that_were_negative() -> None:
    cosines: list[list[float | None]] = [[-0.1, None, 0.2, 0.3], [0.1, -0.2, -0.3, -0.4]]
    assert negative([1, 2, 3, 4], cosines) == ([1, 2, 3, 4], [[1.0, None, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]])
    steps, (rates,) = negative(list(range(1, 97)), [[-1.0, 1.0, 1.0, 1.0] * 24])
    assert steps == list(range(4, 97, 4))
    assert rates == [0.25] * 24
    drawn = conflict_map(["layer 0"], steps, [rates], LOOK, pair=("a", "b"), what="rate").data[0]
    assert (drawn.zmin, drawn.zmax) == (0.0, 1.0)


@pytest.mark.parametrize("chosen", ["mood", "mood 2"])
def test_the_page_shows_the_task_that_is_chosen(home: Home, chosen: str) -> None:  # noqa: F811
    run = finished(home, PLAN, METRICS, DETAILS)
    (home.run(run) / "results.json").write_text(json.dumps(RESULTS), encoding="utf-8")
    test = opened(run)
    if chosen != "mood":
        test.session_state[f"joint_task_{run}"] = chosen
        test.run()
    assert not test.exception
    shown = metrics(test)
    assert shown["Test combined"] == "70.0 %"
    assert shown["Accuracy" if chosen == "mood" else "Strict F1"] == ("80.0 %" if chosen == "mood" else "60.0 %")
    assert [tab.label.split()[-1] for tab in test.tabs] == ["Results", "Decisions", "it", "Plan", "Log", "Export"]
    assert "ended before its tasks' gradients were compared for the first time, after 30 steps" in words(test)
    assert "where heads point, the plan, the environment" in words(test)
    assert any(f'"{run}/{chosen}"' in one.value for one in test.code)


def test_a_task_is_tried_with_its_own_model(home: Home) -> None:  # noqa: F811
    run = finished(home, PLAN, METRICS, DETAILS)
    studio = Studio(watch=False)
    try:
        record = studio.runs.get(run)
        assert not as_task(record, "mood 2").has_model
        tiny_encoder(home.run(run) / "best" / "mood 2")
        assert as_task(record, "mood 2").has_model
        assert as_task(record, "mood 2").plan["task"]["kind"] == "tagging"
        assert studio.runs.model_folder(f"{run}/mood 2") == home.run(run) / "best" / "mood 2"
        with pytest.raises(ModelError, match="for each of its tasks"):
            studio.runs.model_folder(run)
        with pytest.raises(ModelError, match="no model for a task 'mood'"):
            studio.runs.model_folder(f"{run}/mood")
    finally:
        studio.close()


def test_a_task_by_itself_has_no_panels_for_two(home: Home) -> None:  # noqa: F811
    panels = (Path(__file__).parents[2] / "pages" / "ui" / "live" / "panels.js").read_text(encoding="utf-8")
    with Studio(home, watch=False) as studio:
        both = studio.runs.submit(PLAN, kind="joint")
        single = PLAN.model_copy(update={"tasks": PLAN.tasks[:1], "beside": PLAN.tasks[1:]})
        alone = studio.runs.submit(single, kind="joint")
        never = studio.runs.submit(PLAN.model_copy(update={"mixing": MixingConfig(monitor_every=0)}), kind="joint")
        drawn = [panels_of(studio.runs.get(one)) for one in (both, alone, never)]
    assert drawn == ["joint", "alone", "alone"]
    assert all(f"{kind}: {kind.upper()}" in panels for kind in drawn)
