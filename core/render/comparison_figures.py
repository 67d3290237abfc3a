"""Figures of a comparison for the dashboard. Pure functions of their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.render.look import Look, base_figure, safe_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["differences_figure", "gains_figure"]


def differences_figure(verdicts: Sequence[Mapping[str, Any]], look: Look, *, margin: float, title: str) -> Figure:
    """Draw each difference with its 95 % interval (thick) and the one corrected for all comparisons (thin).

    Parameters
    ----------
    verdicts
        As :func:`core.studies.comparing.verdicts.verdicts_of` gives them; those without a difference are left out.
    look
        Colours.
    margin
        Differences within ± this do not matter; the band is shaded.
    title
        Title.
    """
    import plotly.graph_objects as go

    shown = [one for one in verdicts if one["difference"] is not None]
    figure = base_figure(
        title, "points, a − b (thick 95 %, thin corrected)", "", look, height=130 + 44 * max(1, len(shown))
    )
    colour = {"a": look.roles.get("good", look.colour(2)), "equivalent": look.colour(0)}
    colour["b"] = colour["a"]
    muted = look.roles.get("muted", look.text)
    figure.add_vrect(x0=-100 * margin, x1=100 * margin, fillcolor=look.text, opacity=0.08, line_width=0, layer="below")
    figure.add_vline(x=0, line={"color": look.text, "width": 1})
    for at, one in enumerate(shown):
        own = colour.get(one["verdict"], muted)
        for bounds, width in ((one["interval_corrected"], 2), (one["interval"], 7)):
            if bounds:
                figure.add_trace(
                    go.Scatter(
                        x=[100 * bound for bound in bounds], y=[at, at], mode="lines", hoverinfo="skip",
                        line={"color": own, "width": width}, showlegend=False,
                    )
                )  # fmt: skip
        figure.add_trace(
            go.Scatter(
                x=[100 * one["difference"]], y=[at], mode="markers", showlegend=False,
                marker={"size": 11, "color": own, "symbol": "diamond"},
                hovertemplate=f"{safe_text(one['sentence'], 160)} %{{x:+.2f}} points<extra></extra>",
            )
        )  # fmt: skip
    names = [safe_text(f"{one['task']}: {one['a']} − {one['b']}", 46) for one in shown]
    figure.update_layout(hovermode="closest", showlegend=False)
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, showgrid=False, range=[len(names) - 0.4, -0.6]
    )  # fmt: skip
    return figure


def gains_figure(gains: Sequence[Mapping[str, Any]], look: Look, *, margin: float) -> Figure:
    """Draw what each task gains by being learnt with others, with its 95 % interval.

    Parameters
    ----------
    gains
        As :func:`core.render.conflict_report.gains_of` gives them.
    look
        Colours.
    margin
        Differences within ± this do not matter; the band is shaded.
    """
    figure = differences_figure(gains, look, margin=margin, title="Gain by learning together")
    figure.update_xaxes(title_text="points, together − alone (95 %)")
    figure.update_yaxes(ticktext=[safe_text(one["task"], 24) for one in gains])
    return figure
