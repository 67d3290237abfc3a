"""What tests of the graph explorer share: its text, its widgets, its address."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from pages.ui.graph.start import FORM

__all__ = ["address", "control", "fill", "open_panel", "open_tab", "widget", "words"]


def words(app: AppTest) -> str:
    """Return what stands on the page, as a person reads it."""
    parts = [*app.title, *app.markdown, *app.caption, *app.error, *app.warning, *app.info, *app.success]
    return "\n".join(str(part.value) for part in parts).replace("\\", "").replace("\u2060", "").replace(":gray[→]", "→")


def control(app: AppTest, kind: str, name: str) -> Any:
    """Return a widget of the query."""
    generation = app.session_state["graph_explorer"].generation
    return getattr(app, kind)(key=f"graph{generation}_{name}")


def widget(app: AppTest, kind: str, path: str, form: str = FORM) -> Any:
    """Return the field of a config's key."""
    return getattr(app, kind)(key=app.session_state["graph_forms"][form].widget(path))


def address(app: AppTest) -> dict[str, str]:
    """Return the parameters of the address."""
    return {name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()}


def open_tab(app: AppTest, name: str) -> AppTest:
    """Open a tab of the first page."""
    app.session_state["graph_start"] = next(tab.label for tab in app.tabs if name in tab.label)
    app.run()
    assert not app.exception, app.exception
    return app


def open_panel(app: AppTest, name: str) -> AppTest:
    """Open a panel below the picture."""
    app.session_state["graph_panels"] = next(tab.label for tab in app.tabs if name in tab.label)
    app.run()
    assert not app.exception, app.exception
    return app


def fill(app: AppTest, kind: str, path: str, value: Any, form: str = FORM) -> AppTest:
    """Set the field of a config's key and let the page run."""
    widget(app, kind, path, form).set_value(value)
    app.run()
    assert not app.exception, app.exception
    return app
