"""A closer look at a finished comparison: scores by class and length, rows on which strategies disagree, the report."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from core.api import Studio
from core.config.comparison_file import comparison_yaml
from core.errors import BertloomError
from core.render.comparison_report import answer_words, blocks
from core.render.report_block import Block
from core.render.report_page import html_report, markdown_report
from pages.ui import studio as desk
from pages.ui.comparer.asking import asking
from pages.ui.components import error_box, notice, run_url
from pages.ui.format import plain
from pages.ui.leaving import go
from pages.ui.run_trees import show_tree

__all__ = ["closer"]


def closer(view: Mapping[str, Any]) -> None:
    """Draw what only a finished comparison has."""
    _breakdown(view)
    _disagreements(view)
    asking(view)
    _report(view)
    _more(view)


def _breakdown(view: Mapping[str, Any]) -> None:
    rows = [*view["classes"], *view["lengths"]]
    groups = list(dict.fromkeys((one["task"], one["by"]) for one in rows))
    if not groups:
        return
    names = [one["name"] for one in view["config"]["strategies"]]
    with st.container(border=True, gap="small", key="comparison_breakdown"):
        st.markdown("##### Where they differ")
        words = {f"{task}: by {by}": (task, by) for task, by in groups}
        chosen = st.selectbox("Scores by", list(words), key="comparison_by", width=360)
        shown = [one for one in rows if (one["task"], one["by"]) == words[chosen]]
        st.dataframe(
            [
                {
                    "Group": one["value"], "Rows": one["support"],
                    **{name: f"{100 * one['scores'][name]:.1f} %" if name in one["scores"] else "" for name in names},
                }
                for one in shown
            ],
            hide_index=True, width="stretch", key="comparison_groups",
        )  # fmt: skip


def _disagreements(view: Mapping[str, Any]) -> None:
    rows = view["disagreements"]
    if not rows:
        return
    with st.container(border=True, gap="small", key="comparison_rows"):
        st.markdown("##### Test rows on which strategies disagree")
        groups = list(dict.fromkeys((one["task"], one["a"], one["b"]) for one in rows))
        words = {f"{task}: {a} and {b}": (task, a, b) for task, a, b in groups}
        chosen = st.selectbox("Strategies", list(words), key="comparison_pair", width=360)
        task, a, b = words[chosen]
        shown = [one for one in rows if (one["task"], one["a"], one["b"]) == (task, a, b)]
        for at, one in enumerate(shown):
            _row(one, f"comparison_row_{at}")


def _row(one: Mapping[str, Any], key: str) -> None:
    better = one["a"] if one["scores"][one["a"]] > one["scores"][one["b"]] else one["b"]
    head = f"{plain(one['text'], 90)} :small[:gray[{plain(better, 40)} does better]]"
    with st.expander(head, key=key):
        st.markdown(plain(one["text"], 700))
        if one.get("context"):
            st.caption(plain(one["context"], 700))
        words, gold = one.get("words"), one["gold"]
        trees = words is not None and isinstance(gold, Mapping)
        if not trees:
            st.markdown(f"**Gold**&ensp;{plain(answer_words(gold), 300)}")
        for at, (name, score) in enumerate(one["scores"].items()):
            answer = one["answers"].get(name)
            said = "not kept" if answer is None else answer_words(answer, words, gold)
            st.markdown(
                f"**{plain(name, 40)}**&ensp;{plain(said, 300)}&ensp;:small[:gray[{100 * score:.0f} % right over all "
                "seeds]]"
            )
            if trees and answer is not None:
                item = {"words": words, "predicted": answer["heads"], "predicted_relations": answer["relations"],
                        "gold": gold["heads"], "gold_relations": gold["relations"]}  # fmt: skip
                show_tree(item, key=f"{key}_tree_{at}", root="root" if gold.get("tree", True) else "none")


def _more(view: Mapping[str, Any]) -> None:
    """Offer further seeds; the runs that are there are taken over."""
    there = int(view["config"]["seeds"])
    if there >= 100:
        return
    with st.container(border=True, gap="small", key="comparison_more"):
        st.markdown("##### More seeds")
        st.caption(
            "A new comparison takes over the runs that are there and makes those that are missing. Decide on the "
            "number beforehand: who adds seeds until somebody wins finds winners where there are none."
        )
        row = st.container(horizontal=True, gap="small", vertical_alignment="bottom")
        seeds = row.number_input(
            "Seeds altogether", there + 1, 100, min(100, max(5, there + 3)), key="comparison_seeds", width=160
        )
        if row.button("Add them", icon=":material/add:", key="comparison_add"):
            studio = desk.studio()
            request = st.session_state.setdefault("comparison_request", uuid.uuid4().hex)
            try:
                config = studio.comparisons.with_seeds(view["id"], int(seeds))
                run_id = studio.comparisons.submit(config, request_id=request)
            except BertloomError as error:
                error_box(error, title="The comparison was not started")
                return
            st.session_state.pop("comparison_request", None)
            notice(f"{config.name} is in the queue.")
            go("run", run_url(run_id))


def _written(write: Callable[[Sequence[Block]], str], view: Mapping[str, Any], plan: str, studio: Studio) -> str:
    return write(blocks(view, plan, studio.comparisons.pointed(view["id"])))


def _report(view: Mapping[str, Any]) -> None:
    with st.container(border=True, gap="small", key="comparison_report"):
        st.markdown("##### Report")
        st.caption(
            "Verdicts, figures, costs, where heads point, hashes of the data, the plan, the environment, and the "
            "commands that repeat it, in one file that needs no other."
        )
        plan = comparison_yaml(desk.studio().comparisons.config(view["id"]))
        row = st.container(horizontal=True, gap="small")
        kinds = (
            ("HTML", ":material/html:", html_report, "html", "text/html"),
            ("Markdown", ":material/description:", markdown_report, "md", "text/markdown"),
        )
        for label, icon, write, ending, mime in kinds:
            row.download_button(
                label, partial(_written, write, view, plan, desk.studio()), f"comparison-{view['id']}.{ending}", mime,
                icon=icon, key=f"comparison_{ending}", on_click="ignore",
            )  # fmt: skip
        row.download_button(
            "Plan", plan, "comparison.yaml", "application/yaml", icon=":material/settings:", type="tertiary",
            key="comparison_plan", on_click="ignore",
        )  # fmt: skip
