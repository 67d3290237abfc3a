"""A run that gives words their heads: where it is right, wrong trees as arcs, a sentence of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.render.tree_svg import arcs_of, tree_svg
from core.runs.records import RunRecord
from pages.ui.components import Card
from pages.ui.format import count, interval, metric_name, metric_value, number, percent, plain
from pages.ui.planner_look import look
from pages.ui.studio import studio

__all__ = ["draw_arcs", "parse_form", "show_tree", "tree_cards", "trees_part"]

_CSS = """
.bl-tree { overflow-x: auto; line-height: 0; padding-bottom: 0.25rem; }
.bl-tree svg { display: block; max-width: none; }
"""
#: The text is parsed as a document of its own: scripts in it would not run.
_JS = """
export default function ({ parentElement, data }) {
  let box = parentElement.querySelector('.bl-tree');
  if (!box) {
    box = document.createElement('div');
    box.className = 'bl-tree';
    box.tabIndex = 0;
    parentElement.appendChild(box);
  }
  if (box.shown !== data.svg) {
    const parsed = new DOMParser().parseFromString(data.svg, 'image/svg+xml');
    box.replaceChildren(document.importNode(parsed.documentElement, true));
    box.shown = data.svg;
  }
}
"""
_mount = st.components.v2.component("bertloom_tree", css=_CSS, js=_JS, isolate_styles=False)
_CHOSEN = 60


def show_tree(item: Mapping[str, Any], *, key: str, root: str = "root") -> None:
    """Draw a sentence with its arcs, as wide as it is; a narrow page scrolls it.

    Parameters
    ----------
    item
        ``words`` and ``predicted`` heads (or ``heads`` of a prediction); with a gold also ``gold``; with relations
        ``predicted_relations`` (``relations``) and ``gold_relations``.
    key
        Key of the component.
    root
        What a head of 0 is called.
    """
    heads = item.get("predicted", item.get("heads")) or []
    relations = item.get("predicted_relations", item.get("relations"))
    arcs, missed = arcs_of(heads, relations, item.get("gold"), item.get("gold_relations"))
    draw_arcs(tree_svg(item["words"], arcs, missed, look(), root=root), key=key)


def draw_arcs(svg: str, *, key: str) -> None:
    """Draw words with arcs, an SVG document of :mod:`core.render.tree_svg`."""
    _mount(key=key, data={"svg": svg})


def tree_cards(part: Mapping[str, Any]) -> list[Card]:
    """Return cards beside the scores: what heads without a model reach."""
    baseline = part.get("baseline") or {}
    if not part.get("arcs") or not baseline:
        return []
    name = next(iter(baseline))
    return [
        Card(
            "Without a model", metric_value(name, baseline[name]), f"{metric_name(name)} of neighbours",
            help="Every word hangs on its neighbour, on the side that is more often right in training, with the "
            "relation that the word has most often; without trees on the word at the most frequent distance.",
        )
    ]  # fmt: skip


def trees_part(part: Mapping[str, Any], role: str) -> None:
    """Show which words get the right head, by relation, distance and length, and sentences with wrong heads."""
    from core.render.look import CONFIG
    from core.render.run_figures import head_scores

    entries = list(part["arcs"])
    named = [one["by"] for one in entries]
    kinds = list(dict.fromkeys(named))
    chosen = st.segmented_control("By", kinds, default=kinds[0], key="trees_by", format_func=lambda by: by.capitalize())
    shown = [one for one in entries if one["by"] == (chosen or kinds[0])]
    with st.container(border=True, key="run_heads"):
        figure = head_scores(shown, look(), role=role, by=str(chosen or kinds[0]))
        st.plotly_chart(figure, theme=None, config=CONFIG, key="trees_figure")
    st.dataframe([_row(one) for one in shown], hide_index=True, width="stretch", key="trees_table")
    told = [f"{count(part['words'])} words in {count(part['n'])} sentences."]
    if part.get("lost"):
        told.append(f"{count(part['lost'])} heads share no window with their word and cannot be found.")
    if part.get("empty_words"):
        told.append(f"{count(part['empty_words'])} words have no sub-words.")
    st.caption(plain(" ".join(told)))
    _wrong(part, role, tree="root" in {one["value"] for one in entries})


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        str(entry["by"]): entry["value"], "right head": percent(entry["heads"]),
        "95 % of heads": interval("accuracy", entry.get("interval")),
    }  # fmt: skip
    if entry.get("labelled") is not None:
        shown["and relation"] = percent(entry["labelled"])
    return {**shown, "words": entry["support"]}


def _wrong(part: Mapping[str, Any], role: str, *, tree: bool) -> None:
    worst = part.get("worst") or []
    st.markdown(f"##### Wrong {'trees' if tree else 'pointers'} on {role}")
    if not worst:
        st.caption("Every word has the right head.")
        return
    st.caption(
        "The sentences that surprised the model most. Above the words as predicted, wrong arcs in colour; below, "
        "dashed, the gold that was missed. Wrong gold shows up here too."
    )
    at = st.selectbox(
        "Sentence", range(len(worst)), key="trees_chosen", format_func=lambda index: _named(worst[index]),
    )  # fmt: skip
    with st.container(border=True, key="run_tree"):
        show_tree(worst[at or 0], key="tree_drawing", root="root" if tree else "none")
    st.dataframe(
        [
            {
                "row": one.get("row"), "sentence": one.get("text"), "wrong heads": one.get("wrong_heads"),
                "wrong relations": one.get("wrong_relations"), "loss": number(one.get("loss"), 3),
            }
            for one in worst
        ],
        hide_index=True, width="stretch", height=min(38 + 35 * len(worst), 420), key="trees_wrong",
        column_config={
            "row": st.column_config.NumberColumn("Row", width="small", help="Number of the row in its source, from 1."),
            "sentence": st.column_config.TextColumn("Sentence", width="large"),
        },
    )  # fmt: skip


def _named(one: Mapping[str, Any]) -> str:
    text = str(one.get("text") or "")
    return f"Row {one.get('row')}: {text if len(text) <= _CHOSEN else text[: _CHOSEN - 1] + '…'}"


def parse_form(run: RunRecord) -> None:
    """Give the words of sentences of the person's own their heads, by the best weights."""
    with st.form("parse_form", border=False):
        text = st.text_area(
            "Your sentences", key="parse_text", height=100, max_chars=20_000, placeholder="One sentence a line.",
        )  # fmt: skip
        sent = st.form_submit_button("Predict", type="primary", icon=":material/play_arrow:", key="parse_go")
    slot = f"_parsed_{run.id}"
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()][:50]
    if sent and not lines:
        st.caption("Write a sentence first.")
    elif sent:
        with st.spinner("Predicting with the best weights"):
            st.session_state[slot] = studio().predict(run.id, lines)
    root = "root" if (run.plan.get("task") or {}).get("tree", True) else "none"
    for number_, item in enumerate(st.session_state.get(slot, [])):
        with st.container(border=True, gap="small"):
            st.text(item["text"])
            show_tree(item, key=f"parsed_{number_}", root=root)
            st.caption(plain(f"Least sure: {_least(item, root)}", 200))


def _least(item: Mapping[str, Any], root: str) -> str:
    scores, words = item.get("scores") or [], item.get("words") or []
    if not scores:
        return "no words"
    at = min(range(len(scores)), key=lambda index: float(scores[index]))
    head = item["heads"][at]
    return f"{words[at]} → {words[head - 1] if head else root}, {percent(float(scores[at]))}."
