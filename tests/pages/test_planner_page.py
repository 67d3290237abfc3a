"""The stage planner, on the router, with a Studio in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.config import Plan, plan_from_yaml, plan_to_yaml
from core.errors import StorageError
from core.runs.records import Status
from tests.pages.fake_studio import FakeStudio

ROOT = Path(__file__).parents[2]
ROUTER = ROOT / "pages" / "ui" / "router.py"


def key(app: AppTest, path: str) -> str:
    return f"plan{app.session_state['planner_draft'].generation}_{path.replace('.', '_')}"


def number(app: AppTest, path: str) -> Any:
    return app.number_input(key=key(app, path))


def words(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.error, *app.warning]
    return "\n".join(str(part.value) for part in parts).replace("\\", "")


def primary(app: AppTest) -> Any:
    return app.button(key="primary_action")


def shown_plan(app: AppTest) -> Plan:
    return plan_from_yaml(app.code[0].value)


def test_the_untouched_form_can_be_started(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_planner()
    assert not primary(app).disabled
    primary(app).click().run()
    assert [plan.data.source for plan in studio.runs.submitted] == ["reviews"]
    assert studio.runs.submitted[0].data.train_rows == 2000


def test_the_yaml_shown_is_the_plan_that_start_submits(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    number(app, "stages.0.lr").set_value(3e-5)
    app.segmented_control(key=key(app, "runtime.backend")).set_value("thread")
    app.run()
    shown = shown_plan(app)
    assert (shown.stages[0].lr, shown.runtime.backend) == (3e-5, "thread")
    primary(app).click().run()
    assert studio.runs.submitted == [shown]


def test_both_backends_can_be_chosen(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    assert app.segmented_control(key=key(app, "runtime.backend")).options == ["Own process", "This process (thread)"]


def test_clicks_on_start_share_a_request_until_the_planner_is_opened_anew(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    request = app.session_state["planner_draft"].request
    primary(app).click().run()
    assert list(studio.runs.requests) == [request]
    assert app.session_state["planner_draft"].request == request
    app.switch_page("../stage_planner.py").run()
    assert app.session_state["planner_draft"].request != request
    primary(app).click().run()
    assert len(studio.runs.submitted) == 2


def test_a_field_that_is_not_usable_says_so_beside_it_and_start_waits(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    number(app, "stages.0.lr").set_value(0.0).run()
    assert primary(app).disabled
    assert "greater than 0" in words(app)
    assert studio.runs.submitted == []
    number(app, "stages.0.lr").set_value(1e-4).run()
    assert not primary(app).disabled
    assert "greater than 0" not in words(app)


def test_a_message_about_two_fields_stands_beside_one_of_them(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    number(app, "data.gate_share").set_value(0.6)
    number(app, "data.test_share").set_value(0.6).run()
    assert "must be below 1" in words(app)
    assert primary(app).disabled


def test_start_that_is_refused_says_why_and_keeps_the_form(
    open_planner: Callable[..., AppTest], studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise StorageError("The disk is full.", advice="Free some space.")

    app = open_planner()
    monkeypatch.setattr(studio.runs, "submit", refuse)
    number(app, "stages.0.epochs").set_value(3.0)
    primary(app).click().run()
    assert "The disk is full." in words(app)
    assert number(app, "stages.0.epochs").value == 3.0


def test_steps_rows_and_curve_come_from_the_core(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Optimiser steps"] == "63"
    assert metrics["Training rows"] == "2,000"
    number(app, "stages.0.batch_size").set_value(64).run()
    assert {metric.label: metric.value for metric in app.metric}["Optimiser steps"] == "32"


def test_a_slow_answer_does_not_freeze_the_page_and_an_old_one_is_ignored(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    studio.gate.clear()
    app = open_planner()
    assert "Reading the rows" in words(app)
    number(app, "stages.0.batch_size").set_value(64).run()
    studio.gate.set()
    wait_for_answers(app)
    app.run()
    assert {metric.label: metric.value for metric in app.metric}["Optimiser steps"] == "32"


def test_the_check_shows_findings_by_level(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_planner()
    assert "check" not in studio.asked
    app.button(key="planner_check").click().run()
    text = words(app)
    assert text.index("38 % of the pieces") < text.index("2,000 of 12,739 rows")


def test_chinese_rows_with_a_latin_encoder_are_checked_unasked(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    app.button_group(key=f"{key(app, 'data.source')}_sample").set_value("zh-reviews").run()
    assert "vocabulary is Latin script" in words(app)
    assert "check" in studio.asked
    assert shown_plan(app).data.source == "zh-reviews"


def test_a_sample_brings_its_task(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    app.button_group(key=f"{key(app, 'data.source')}_sample").set_value("tweets").run()
    plan = shown_plan(app)
    assert (plan.task.kind, plan.data.source, plan.data.train_rows, plan.name) == ("tagging", "tweets", None, "tweets")


def test_the_columns_of_a_typed_file_can_be_mapped(open_planner: Callable[..., AppTest], tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("text,label\nfine,good\n", encoding="utf-8")
    app = open_planner()
    app.segmented_control(key=f"{key(app, 'data.source')}_kind").set_value("path").run()
    app.text_input(key=f"{key(app, 'data.source')}_path").input(str(file)).run()
    app.selectbox(key=key(app, "data.columns.label")).set_value("label").run()
    plan = shown_plan(app)
    assert (plan.data.source, plan.data.columns.label) == (str(file), "label")


def test_a_column_that_is_forgotten_is_empty_and_no_choice_of_its_hint() -> None:
    def draw() -> None:
        import streamlit as st

        from pages.ui import planner_draft as form
        from pages.ui.planner_widgets import field

        now = form.sync()
        st.button("Forget", key="forget", on_click=form.put, args=("data.columns.label", None))
        field(now, "data.columns.label", options=["text", "label"], placeholder="found: label")

    app = AppTest.from_function(draw, default_timeout=60).run()
    app.selectbox[0].set_value("label").run()
    assert app.session_state["planner_draft"].state["data.columns.label"] == "label"
    app.button[0].click().run()
    assert not app.exception, app.exception
    assert app.selectbox[0].value is None
    assert not app.selectbox[0].proto.raw_value  # what the browser is told, and would tell in turn
    assert app.session_state["planner_draft"].state["data.columns.label"] is None


def test_an_estimate_is_asked_for_and_shown_with_its_spread(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    assert "estimate" not in studio.asked
    app.button(key="planner_estimate").click().run()
    wait_for_answers(app)
    app.run()
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Time"] == "about 1 min 35 s"
    assert "1 min 20 s to 1 min 58 s" in words(app)
    number(app, "stages.0.epochs").set_value(2.0).run()
    assert "Time" not in {metric.label for metric in app.metric}


def test_the_estimate_follows_every_change_where_that_is_wanted(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    app.button(key="planner_estimate").click().run()
    wait_for_answers(app)
    app.run()
    app.toggle(key="planner_follow").set_value(True).run()
    assert studio.asked.count("estimate") == 1
    studio.gate.clear()
    number(app, "stages.0.epochs").set_value(2.0).run()
    number(app, "stages.0.epochs").set_value(3.0).run()
    assert studio.asked.count("estimate") == 2  # the second waits for the first
    studio.gate.set()
    wait_for_answers(app)
    app.run()
    wait_for_answers(app)
    app.run()
    assert studio.asked.count("estimate") == 3
    assert "Time" in {metric.label for metric in app.metric}


def test_a_run_is_started_with_the_estimate_of_exactly_this_plan(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    app.button(key="planner_estimate").click().run()
    wait_for_answers(app)
    app.run()
    primary(app).click().run()
    (known,) = studio.runs.estimates
    assert known is not None
    assert known["seconds"] == 95.0


def test_a_plan_that_was_changed_after_its_estimate_is_started_without_one(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    app.button(key="planner_estimate").click().run()
    wait_for_answers(app)
    app.run()
    number(app, "stages.0.epochs").set_value(2.0).run()
    primary(app).click().run()
    assert studio.runs.estimates == [None]


def test_an_estimate_says_how_far_the_last_ones_were_off(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    studio.runs.accuracy = {"count": 4, "seconds_error": 0.123, "memory_error": 0.05, "runs": []}
    app = open_planner()
    app.button(key="planner_estimate").click().run()
    wait_for_answers(app)
    app.run()
    assert "The last 4 estimates were off by 12 % in time and 5 % in memory" in words(app)


def test_presets_are_saved_loaded_and_deleted(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_planner()
    number(app, "stages.0.epochs").set_value(4.0).run()
    app.text_input(key="preset_name").input("long").run()
    app.button(key="preset_save").click().run()
    assert studio.presets.kept["long"].stages[0].epochs == 4
    app.button(key="planner_reset").click().run()
    assert shown_plan(app).stages[0].epochs == 1
    app.button(key="preset_load").click().run()
    assert shown_plan(app).stages[0].epochs == 4
    app.button(key="preset_delete").click().run()
    assert studio.presets.kept == {}


def test_a_run_can_be_duplicated_with_changes(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    plan = Plan.model_validate({"name": "first", "stages": [{"lr": 2e-5, "groups": [{"pattern": "head", "lr": 1e-3}]}]})
    run = studio.runs.add("first", Status.FINISHED, plan=plan)
    app = open_planner(**{"from": run.id})
    number(app, "stages.0.epochs").set_value(2.0).run()
    primary(app).click().run()
    assert studio.runs.parents == [run.id]
    assert studio.runs.submitted[0].stages[0].groups == plan.stages[0].groups
    assert studio.runs.submitted[0].stages[0].epochs == 2


def test_an_address_without_a_run_says_so_and_leaves_a_form(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner(**{"from": "no-such-run"})
    assert "There is no run" in words(app)
    assert not primary(app).disabled


def test_a_preset_can_be_opened_by_its_address(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    studio.presets.kept["mine"] = Plan(name="from a preset")
    assert shown_plan(open_planner(preset="mine")).name == "from a preset"


def test_values_that_a_browser_cannot_hold_stay_in_the_plan(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    studio.presets.kept["odd"] = Plan.model_validate(
        {
            "name": "<script>alert(1)</script> 🦊",
            "runtime": {"seed": 2**60, "threads": 77},
            "stages": [{"epochs": float("inf"), "steps": 5, "class_weights": {"a": 2.0}}],
        }
    )
    app = open_planner(preset="odd")
    assert shown_plan(app) == studio.presets.kept["odd"]
    assert plan_to_yaml(shown_plan(app)).strip() == app.code[0].value


def test_words_of_a_preview_are_text(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    assert app.dataframe[0].value["text"][0].startswith("<script>")
    assert not any("<script>" in str(part.value) for part in (*app.markdown, *app.caption))
    assert all("script" not in str(part.proto.body) for part in app.get("html"))


def test_the_form_outlives_a_visit_to_another_page(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    number(app, "stages.0.epochs").set_value(7.0).run()
    app.switch_page("../runs.py").run()
    app.switch_page("../stage_planner.py").run()
    assert number(app, "stages.0.epochs").value == 7.0


def test_a_widget_that_a_loaded_plan_has_replaced_no_longer_writes_into_the_form() -> None:
    def draw() -> None:
        import streamlit as st

        from pages.ui import planner_draft as form

        def written() -> None:
            st.write("written")

        told = form.living("model.source", "_kind", written)
        told()
        form.anew("model.source")
        told()
        again = form.living("data.source", "_kind", written)
        form.load(form.starter_plan())
        again()

    app = AppTest.from_function(draw, default_timeout=60).run()
    assert not app.exception, app.exception
    assert [one.value for one in app.markdown] == ["written"]


def test_an_address_brings_a_model_and_a_wrong_one_changes_nothing(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    assert "There is no model here" in words(open_planner(model="/nowhere"))
    studio.models.made["/models/mine"] = ("random", {"seed": 0, "tokenizer": "bundled"})
    assert shown_plan(open_planner(model="/models/mine")).model.source == "/models/mine"


def test_the_address_of_a_run_does_not_stay_behind(open_planner: Callable[..., AppTest]) -> None:
    assert dict(open_planner(id="20261122-141501-a001").query_params) == {}


def wait_for_answers(app: AppTest) -> None:
    for job in app.session_state["planner_jobs"].values():
        job.future.exception(timeout=60)
