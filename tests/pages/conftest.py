"""A Studio in memory, and the planner on it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from pages.ui import leaving, planner_draft
from tests.pages.fake_graphs import FakeGraphs
from tests.pages.fake_studio import FakeStudio, install

ROUTER = Path(__file__).parents[2] / "pages" / "ui" / "router.py"

# Every AppTest looks for components in all installed packages, which takes longer than to draw most pages; what is
# installed does not change meanwhile.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(autouse=True)
def follow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the link to another page at once: no browser is there that would take it."""
    monkeypatch.setattr(leaving, "_take", lambda target, one: st.switch_page(target, query_params=one.params))
    monkeypatch.setattr(leaving, "LATE_CLICK", -1.0)  # and no second click is on its way


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeStudio:
    fake = FakeStudio(tmp_path / "home")
    install(monkeypatch, fake)
    return fake


@pytest.fixture
def open_planner(studio: FakeStudio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    st.cache_resource.clear()
    st.cache_data.clear()
    monkeypatch.setattr(planner_draft, "SAME_CLICK", 0.0)  # nobody clicks as fast as a test

    def opened(**query: str) -> AppTest:
        app = AppTest.from_file(str(ROUTER), default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        app.switch_page("../stage_planner.py").run()
        assert not app.exception, app.exception
        return app

    yield opened
    st.cache_resource.clear()


@pytest.fixture
def open_explorer(studio: FakeStudio) -> Iterator[Callable[..., AppTest]]:
    st.cache_resource.clear()

    def opened(*, ready: bool = True, graphs: FakeGraphs | None = None, **query: str) -> AppTest:
        studio.graphs = graphs or FakeGraphs(ready=ready)
        app = AppTest.from_file(str(ROUTER), default_timeout=60).run()
        app.switch_page("../graph_explorer.py")
        for name, value in query.items():
            app.query_params[name.removesuffix("_")] = value
        app.run()
        assert not app.exception, app.exception
        return app

    yield opened
    st.cache_resource.clear()
