"""Questions of the planner: every one ends in what the page shows, and nothing gets lost when runs of it overlap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.config import Plan
from core.errors import DataError
from tests.pages.fake_studio import FakeStudio
from tests.pages.test_planner_page import key, wait_for_answers, words

Open = Callable[..., AppTest]


def page_of_questions() -> None:
    import threading

    import streamlit as st

    from pages.ui import planner_jobs

    go = st.session_state.setdefault("go", threading.Event())
    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    planner_jobs.begin()
    if st.session_state.get("ask", True):
        job = planner_jobs.ask("steps", [st.session_state.get("form", 1)], lambda: go.wait(60) and 7)
        st.text(job.state)
        if st.session_state.get("answer_meanwhile"):
            go.set()
            job.future.result(timeout=60)
        peeked = planner_jobs.peek("steps", [st.session_state.get("form", 1)])
        assert peeked is not None
        st.text(peeked.state)
    planner_jobs.watch(["steps"])


def test_an_answer_that_comes_while_the_page_is_drawn_is_neither_half_shown_nor_missed() -> None:
    app = AppTest.from_function(page_of_questions, default_timeout=60)
    app.session_state["answer_meanwhile"] = True
    app.run()
    assert [text.value for text in app.text] == ["running", "running"]
    # Not run again on the spot: that would throw away what the browser has not got yet.
    assert app.session_state["runs"] == 1
    app.run()
    assert [text.value for text in app.text] == ["done", "done"]


def test_an_answer_to_a_question_that_nobody_asks_any_more_does_not_run_the_page_for_ever() -> None:
    app = AppTest.from_function(page_of_questions, default_timeout=60)
    app.run()
    app.session_state["ask"] = False
    app.session_state["go"].set()
    app.run()
    assert app.session_state["runs"] == 2
    assert not app.exception


def test_every_run_of_the_page_tells_each_field_its_first_value(open_planner: Open, studio: FakeStudio) -> None:
    """A browser that misses a run's messages, because the next run came too soon, gets the values with the next one."""
    studio.presets.save("mine", Plan.model_validate({"name": "from a preset", "stages": [{"lr": 3e-5}]}))
    app = open_planner(preset="mine")
    first = {one.key: one.proto.default for one in (*app.text_input, *app.number_input)}
    assert first[key(app, "name")] == "from a preset"
    assert first[key(app, "stages.0.lr")] == 3e-5
    app.run()
    assert {one.key: one.proto.default for one in (*app.text_input, *app.number_input)} == first


@pytest.mark.parametrize("trouble", [DataError("Row 3 has no label."), MemoryError("no more")])
def test_a_count_that_fails_says_so_and_can_be_asked_again(
    open_planner: Open, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    well, answer = threading.Event(), studio.steps

    def steps(plan: Any) -> dict[str, Any]:
        if not well.is_set():
            raise trouble
        return answer(plan)

    monkeypatch.setattr(studio, "steps", steps)
    app = open_planner()
    wait_for_answers(app)
    app.run()
    assert ("Row 3 has no label" if isinstance(trouble, DataError) else "MemoryError") in words(app)
    well.set()
    app.button(key="planner_count_again").click().run()
    wait_for_answers(app)
    app.run()
    assert any(metric.label == "Optimiser steps" for metric in app.metric)
