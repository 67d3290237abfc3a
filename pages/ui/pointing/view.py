"""One sentence as a head sees it: the matrix as a map, the memory, arcs; and sentences over a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.render.look import CONFIG
from core.render.pointer_figures import learning_map, pointer_arcs, pointer_map
from core.render.tree_svg import tree_svg
from pages.ui.format import count, number, percent, plain
from pages.ui.planner_look import look
from pages.ui.run_trees import draw_arcs

__all__ = ["shown_view", "watched_sentences"]

_POINTERS, _MEMORY = "Pointers", "Memory"
_CHOSEN = 60


def shown_view(view: Mapping[str, Any], *, key: str, gold: Mapping[str, Any] | None = None) -> None:
    """Draw what a head says of a sentence.

    Parameters
    ----------
    view
        As :func:`core.data.tasks.pointer_view.pointer_views` gives it.
    key
        Key of the widgets.
    gold
        What is right, see :func:`core.data.tasks.pointer_view.gold_of`.
    """
    memory = False
    if view["memory"] is not None:
        chosen = st.segmented_control(
            "Shown", [_POINTERS, _MEMORY], default=_POINTERS, key=f"{key}_what", label_visibility="collapsed"
        )
        memory = chosen == _MEMORY
    if view.get("parts", 1) > 1:
        st.caption(f"Window {count(view['part'])} of {count(view['parts'])}: the one with the best answer.")
    with st.container(border=True, key=f"{key}_map"):
        figure = pointer_map(view, look(), gold=gold, memory=memory)
        what = "What the memory is made of" if memory else "Where each row points"
        st.plotly_chart(figure, theme=None, config=CONFIG, key=f"{key}_figure", alt=f"{what}, rows by columns")
    st.caption(plain(_explained(view, memory=memory, gold=gold), 500))
    words, found, missed = pointer_arcs(view, gold)
    if found or missed:
        with st.container(border=True, key=f"{key}_arcs"):
            slot = view["slot"] or "none"
            draw_arcs(tree_svg(words, found, missed, look(), root=slot), key=f"{key}_drawing")
    else:
        st.caption("Nothing is pointed to.")
    if view["contains"] is not None:
        st.caption(plain(_contained(view["contains"], gold), 400))


def _explained(view: Mapping[str, Any], *, memory: bool, gold: Mapping[str, Any] | None) -> str:
    if memory:
        sizes = view["read"] or []
        told = "A row shows which values its memory m = Σ A·v is made of, each by the length of A·v."
        if sizes:
            told += f" The memories are {number(min(sizes), 2)} to {number(max(sizes), 2)} long."
        if view["kind"] == "question":
            told += " What the start reads is added to the query of the end."
        return told
    told = "A cross is what is answered" + ("; a square is the gold." if gold is not None else ".")
    if view["kind"] == "words":
        told += " Words of an entity point to its first word, others to the empty slot."
        if view.get("entries"):
            told += " First words may point to an entry of the dictionary, in ‹ ›, which says the type."
            if left := view["entries"]["left"]:
                told += f" {count(left)} other entries share the last column."
    return told + " Below: arcs as answered; wrong ones in colour, and dashed under the words the gold that was missed."


def _contained(contains: Mapping[str, float], gold: Mapping[str, Any] | None) -> str:
    known = None if gold is None else gold.get("contains")
    parts = [
        f"{name} {percent(share)}" + ("" if known is None else " (gold: yes)" if name in known else " (gold: no)")
        for name, share in contains.items()
    ]
    return f"The sentence label, which types it contains: {', '.join(parts)}."


def watched_sentences(sentences: Sequence[Mapping[str, Any]], *, key: str) -> None:
    """Draw one of the sentences that a run watched while it learnt, at one of its looks.

    Parameters
    ----------
    sentences
        As :func:`core.runs.pointing.pointer_looks` gives them.
    key
        Key of the widgets.
    """
    names = {one["id"]: _named(one, several=len({each["task"] for each in sentences}) > 1) for one in sentences}
    chosen = st.selectbox("Sentence", list(names), format_func=names.__getitem__, key=f"{key}_sentence")
    sentence = next(one for one in sentences if one["id"] == (chosen or sentences[0]["id"]))
    st.text(_text(sentence))
    looks = sentence["looks"]
    view = looks[-1]
    if len(looks) > 1:
        view = looks[_step(looks, key=f"{key}_step_{sentence['id']}")]
    elif sentence["role"] == "test":
        st.caption("Test sentences are looked at once, with the weights that are tested.")
    shown_view(view, key=key, gold=sentence["gold"])
    if len(looks) > 1:
        with st.container(border=True, key=f"{key}_learnt"):
            figure = learning_map(looks, look(), gold=sentence["gold"])
            st.plotly_chart(
                figure, theme=None, config=CONFIG, key=f"{key}_learning",
                alt=f"Probability of the pointers at {len(looks)} looks",
            )  # fmt: skip


def _step(looks: Sequence[Mapping[str, Any]], *, key: str) -> int:
    """Ask which look is shown; who has not moved away from the newest one stays with it."""
    last, newest = f"{key}_newest", len(looks) - 1
    if st.session_state.get(key) in (None, st.session_state.get(last)) or st.session_state[key] > newest:
        st.session_state[key] = newest
    st.session_state[last] = newest
    chosen = st.select_slider(
        "After step", range(len(looks)), key=key, format_func=lambda at: f"{looks[at]['step']:,}",
        help="Looks at evaluations on gate, and before the first step.",
    )  # fmt: skip
    return int(chosen)


def _named(one: Mapping[str, Any], *, several: bool) -> str:
    text = _text(one)
    task = f"{one['task']}, " if several else ""
    place = "" if one["row"] is None else f" row {one['row']}"
    return f"{task}{one['role']}{place}: {text if len(text) <= _CHOSEN else text[: _CHOSEN - 1] + '…'}"


def _text(one: Mapping[str, Any]) -> str:
    return " ".join(str(one["text"]).split())
