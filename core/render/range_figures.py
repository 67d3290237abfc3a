"""The figure of a learning-rate range test. Pure functions of the plain data that a run's desk gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["range_figure"]


def range_figure(test: Mapping[str, Any], look: Look, *, height: int = 340) -> Figure:
    """Draw the loss of a range test against the learning rate, with the suggestions and the divergence marked.

    Parameters
    ----------
    test
        One group of a test as :meth:`core.runs.desk.RunDesk.range_tests` returns it.
    look
        Colours.
    """
    import plotly.graph_objects as go

    title = "Range test" if test["group"] == "all" else f"Range test of {test['group']}"
    figure = base_figure(title, "learning rate", "loss", look, height=height)
    figure.add_trace(
        go.Scatter(
            x=test["rates"], y=test["losses"], mode="markers", name="loss of a step",
            marker={"size": 5, "color": look.colour(0), "opacity": 0.35}, hovertemplate="%{y:.4g}",
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=test["at"], y=test["smoothed"], mode="lines", name="smoothed",
            line={"color": look.colour(0), "width": 2.5}, hovertemplate="%{y:.4g}",
        )
    )  # fmt: skip
    marks = [
        (test.get("steepest"), "steepest fall", look.roles.get("good", look.colour(1)), "solid"),
        (test.get("tenth"), "a tenth of the lowest", look.colour(1), "dash"),
        (test.get("diverged"), "diverges", look.roles.get("bad", look.colour(3)), "dot"),
    ]
    for rate, words, colour, dash in marks:
        if rate is not None:
            figure.add_trace(
                go.Scatter(
                    x=[rate, rate], y=[0, 1], yaxis="y2", mode="lines", name=f"{words} ({rate:.2g})",
                    line={"color": colour, "width": 2, "dash": dash}, hoverinfo="skip",
                )
            )  # fmt: skip
    figure.update_layout(
        hovermode="x unified", showlegend=True,
        yaxis2={"overlaying": "y", "visible": False, "range": [0, 1], "fixedrange": True},
    )  # fmt: skip
    figure.update_xaxes(type="log", exponentformat="power", hoverformat=".2e", dtick=1)
    low, high = _window(test)
    if low is not None and high is not None:
        figure.update_layout(yaxis={"range": [low, high]})
    return figure


def _window(test: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return a range for the loss in which a fall can be seen: what explodes may leave the picture."""
    smoothed = [value for value in test["smoothed"] if value is not None]
    if not smoothed:
        return None, None
    first = test.get("first_loss") or smoothed[0]
    low = min(smoothed)
    fall = max(first - low, 0.1 * abs(first), 1e-6)
    return low - 0.35 * fall, max(first, low) + 1.2 * fall
