"""Where tasks that were learnt together pull the encoder apart, beside what each of them gains by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.render.comparison_figures import gains_figure
from core.render.conflict_report import gains_of
from core.render.joint_figures import conflict_map
from core.render.look import CONFIG
from pages.ui.format import count, number, percent, plain
from pages.ui.planner_look import look
from pages.ui.run_joint import CONFLICT_HELP, SHOWN

__all__ = ["conflicts_part", "layer_rows"]


def conflicts_part(view: Mapping[str, Any]) -> None:
    """Draw the map of one joint strategy and pair of tasks, with the gains beside it."""
    found = view["conflicts"]
    if not found:
        return
    with st.container(border=True, gap="small", key="comparison_conflicts"):
        st.markdown("##### Do the tasks agree?", help=CONFLICT_HELP)
        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            words = {f"{one['strategy']}: {one['a']} and {one['b']}": one for one in found}
            chosen = next(iter(words))
            if len(words) > 1:
                chosen = st.selectbox("Strategy and tasks", list(words), key="comparison_conflict", width=340)
            shown = st.segmented_control("Shown", list(SHOWN), default="Cosine", key="comparison_conflict_shown")
        one, what = words[chosen], SHOWN[shown or "Cosine"]
        left, right = st.columns([3, 2], gap="medium")
        with left:
            figure = conflict_map(
                [unit["unit"] for unit in one["units"]], one["steps"], [unit[what] for unit in one["units"]], look(),
                pair=(one["a"], one["b"]), what=what,
            )  # fmt: skip
            st.plotly_chart(
                figure, theme=None, config=CONFIG, key="comparison_conflict_map",
                alt=f"{shown} of the gradients of {one['a']} and {one['b']}, layers by steps",
            )  # fmt: skip
        with right:
            _gains(view, one)
        st.dataframe(
            layer_rows(one), hide_index=True, width="stretch", height="content", key="comparison_conflict_layers"
        )
        seeds = f"{one['seeds']} {'seed' if one['seeds'] == 1 else 'seeds'}"
        st.caption(
            plain(
                f"{count(one['looks'])} looks over {seeds}, one every {count(one['every'])} steps, at one batch of "
                "each task. Conflicts that stand beside a loss need not be its cause.", 400,
            )
        )  # fmt: skip


def _gains(view: Mapping[str, Any], one: Mapping[str, Any]) -> None:
    gains = [each for each in gains_of(view["transfer"], one["strategy"]) if each["task"] in (one["a"], one["b"])]
    if not gains:
        words = "What each task gains is known once all runs are there."
        if view["complete"]:
            words = "No strategy of this comparison learns each task alone with the same head: no gain is known."
        st.caption(words)
        return
    figure = gains_figure(gains, look(), margin=float(view["config"]["margin"]))
    st.plotly_chart(
        figure, theme=None, config=CONFIG, key="comparison_conflict_gains",
        alt="; ".join(f"{each['task']} {100 * each['difference']:+.1f} points" for each in gains),
    )  # fmt: skip


def layer_rows(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the means over all looks and seeds, one row a layer, the highest first."""
    rows = []
    for unit in reversed(one["units"]):
        means, spread = unit["means"], unit["range"]
        rows.append(
            {
                "layer": unit["unit"], "mean cosine": number(means["cosine"], 3),
                "lowest to highest seed": "" if spread is None else f"{spread[0]:.3g} to {spread[1]:.3g}",
                "conflict rate": percent(means["rate"]),
                f"norm of {one['a']} / {one['b']}": number(means["ratio"], 3),
            }
        )  # fmt: skip
    return rows
