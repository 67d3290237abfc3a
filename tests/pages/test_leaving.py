"""Going to another page by a link that takes itself: what is drawn, and when the person counts as arrived."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.ui import leaving
from tests.pages.fake_studio import FakeStudio

_TAKE, _LATE = leaving._take, leaving.LATE_CLICK


@pytest.fixture(autouse=True)
def linked(follow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the link, and leave it at that."""
    monkeypatch.setattr(leaving, "_take", _TAKE)
    monkeypatch.setattr(leaving, "LATE_CLICK", _LATE)


def links(app: AppTest) -> list[tuple[str, str]]:
    return [(part.proto.page, part.proto.query_string) for part in app.get("page_link")]


def arrive(app: AppTest) -> AppTest:
    """Do what the link does."""
    ((page, query),) = links(app)
    app.switch_page(f"../{page}.py")
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        app.query_params[name] = value
    return app.run()


def test_start_is_replaced_by_a_link_to_its_run_and_nothing_that_asks_for_the_old_page(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    app.button(key="primary_action").click().run()
    (run,) = studio.runs.list()
    assert links(app) == [("run", f"id={run.id}")]
    assert not app.button
    assert not app.title  # neither the page nor the card of the active run: their fragments ask for the old page


def test_a_second_click_is_the_same_run_and_the_same_link(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_planner()
    draft = app.session_state["planner_draft"]
    app.button(key="primary_action").click().run()
    first = links(app)
    request = draft.request
    app.run()  # what a late message of the old page asks for
    assert links(app) == first
    assert draft.request == request
    assert len(studio.runs.submitted) == 1


def test_who_has_arrived_may_come_back_to_the_form_for_another_run(
    open_planner: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(leaving.time, "monotonic", lambda: now[0])
    app = open_planner()
    request = app.session_state["planner_draft"].request
    app.button(key="primary_action").click().run()
    arrive(app)
    app.switch_page("../stage_planner.py").run()  # at once: the second of two clicks, on its way when the page changed
    assert [page for page, _ in links(app)] == ["run"]
    now[0] += leaving.LATE_CLICK + 1
    app.run()
    assert app.button(key="primary_action")
    assert app.session_state["planner_draft"].request != request


def test_who_goes_elsewhere_in_between_is_left_in_peace(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    app.button(key="primary_action").click().run()
    app.switch_page("../claims.py").run()
    assert any("Claims" in title.value for title in app.title)
    assert leaving._SLOT not in app.session_state


def test_the_same_page_is_switched_on_the_server_for_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw() -> None:
        import streamlit as page

        from pages.ui import keys
        from pages.ui.leaving import go

        here = page.Page(lambda: None, title="Here", url_path="here", default=False)
        page.session_state[keys.PAGES] = {"here": here}
        page.session_state["leaving_here"] = "here"
        go("here", {"graph": "new"})

    seen: list[object] = []

    def switch(target: Any, query_params: dict[str, str]) -> None:
        seen.append((target.url_path, query_params))
        st.stop()

    monkeypatch.setattr(st, "switch_page", switch)
    AppTest.from_function(draw, default_timeout=60).run()
    assert seen == [("here", {"graph": "new"})]


def test_every_button_goes_this_way() -> None:
    pages = Path(leaving.__file__).parents[1]
    switching = [path.name for path in pages.rglob("*.py") if "st.switch_page(" in path.read_text(encoding="utf-8")]
    assert switching == ["leaving.py"]
