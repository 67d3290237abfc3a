"""Spans that nest: how they are chosen in the planner, and what a run's results show of them."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from pages.ui.forms_relevant import relevant
from pages.ui.planner_stage_words import metrics_of
from pages.ui.planner_task import column_names
from tests.pages.test_planner_page import key, shown_plan
from tests.pages.test_pointer_head import choose


def fields_of(app: AppTest) -> set[str | None]:
    return {one.key for one in [*app.segmented_control, *app.selectbox]}


def test_spans_are_chosen_with_how_they_count_and_what_overlaps(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    assert key(app, "task.gold") not in fields_of(app)
    choose(app, "task.kind", "tagging")
    choose(app, "task.gold", "spans")
    choose(app, "task.nested", "outermost")
    choose(app, "data.span_offsets", "words_inclusive")
    assert not app.exception
    plan = shown_plan(app)
    assert (plan.task.gold, plan.task.nested, plan.data.span_offsets) == ("spans", "outermost", "words_inclusive")
    choose(app, "task.kind", "classification")
    assert not app.exception
    assert shown_plan(app).task.gold == "tags"


def test_fields_and_columns_and_metrics_are_those_of_spans() -> None:
    spans = {"task.kind": "tagging", "task.gold": "spans", "task.head": "linear", "task.pointer.kind": "global"}
    assert relevant("task.nested", spans)
    assert not relevant("task.nested", {**spans, "task.head": "pointer"})  # it learns all of them
    assert not relevant("task.nested", {**spans, "task.gold": "tags"})
    assert not relevant("data.scheme", spans)
    assert column_names(spans) == ("tokens", "spans")
    assert column_names({**spans, "data.span_offsets": "characters"}) == ("text", "spans")
    assert column_names({**spans, "task.gold": "tags"}) == ("tokens", "tags")
    assert metrics_of("tagging", multi_label=False, spans=True)[0] == "span_f1"


def _results(part: dict) -> None:
    from pages.ui.run_results import scores_part

    scores_part({"test/span_f1": 0.5, "test/loss": 0.1}, {"test": part})


def test_results_show_entities_that_overlap_and_what_needs_no_model() -> None:
    line = {"precision": 0.4, "recall": 0.6, "f1": 0.48, "support": 9, "interval": [0.3, 0.7]}
    groups = [{"by": "nesting", "value": "overlaps another", **line}, {"by": "words", "value": "4–6", **line}]
    part = {
        "n": 3, "baseline": {"span_f1": 0.25}, "entities": [{"type": "ORG", **line}], "stretches": groups,
        "worst": [{"row": 1, "text": "a b", "gold": "ORG a b; LOC b", "predicted": "none", "loss": 2.0}],
    }  # fmt: skip
    app = AppTest.from_function(_results, kwargs={"part": part}, default_timeout=60).run()
    assert not app.exception
    tables = [frame.value for frame in app.dataframe]
    shown = next(table for table in tables if "entities" in table)
    assert list(shown["entities"]) == ["Entity: overlaps another", "Words: 4–6"]
    assert list(shown["F1"]) == ["48.0 %", "48.0 %"]
    assert "ORG a b; LOC b" in set(next(table for table in tables if "gold" in table)["gold"])
    assert {metric.label: metric.value for metric in app.metric}["Known entities"] == "25.0 %"
