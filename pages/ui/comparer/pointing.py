"""Where the strategies whose heads point do so: the sentences that their runs watched while they learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.runs.pointing import pointer_looks
from pages.ui import studio as desk
from pages.ui.pointing.view import watched_sentences

__all__ = ["pointing_part"]


def pointing_part(view: Mapping[str, Any]) -> None:
    """Offer the sentences of one run; they are the same for all strategies, as their gate and test rows are."""
    pointing = desk.studio().comparisons.pointing(view["id"])
    runs = [
        (task, one) for one in view["runs"] for task in one["tasks"]
        if one["run"] and not one["failed"] and task in pointing.get(one["strategy"], ())
    ]  # fmt: skip
    if not runs:
        return
    with st.expander(
        "Where heads point, while they learn", icon=":material/ads_click:", key="comparison_pointing",
        on_change="rerun",
    ) as box:  # fmt: skip
        if not box.open:
            return
        row = st.container(horizontal=True, gap="medium", vertical_alignment="bottom")
        known = {task for task, _ in runs}
        tasks = [one["name"] for one in view["config"]["tasks"] if one["name"] in known]
        task = row.selectbox("Task", tasks, key="comparison_pointing_task", width=220) or tasks[0]
        names = list(dict.fromkeys(one["strategy"] for own, one in runs if own == task))
        name = row.selectbox("Strategy", names, key=f"comparison_pointing_strategy_{task}", width=220) or names[0]
        mine = {one["seed"]: one for own, one in runs if own == task and one["strategy"] == name}
        seed = row.selectbox("Seed", list(mine), key=f"comparison_pointing_seed_{task}", width=110)
        one = mine.get(seed) or next(iter(mine.values()))
        alone = len(one["tasks"]) == 1
        found = [
            {**each, "task": "", "id": each["id"].split("/", 1)[1]}
            for each in pointer_looks(desk.studio().home.run(one["run"]))
            if each["task"] == task or (alone and not each["task"])
        ]
        if not found:
            st.caption(
                "Nothing was looked at in this run: it has no sentence that one window shows whole, or is older."
            )
            return
        watched_sentences(found, key=f"comparison_pointing_{task}")
