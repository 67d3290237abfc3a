"""Ask all strategies of a comparison about one text: what each answers, and where its head points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.errors import BertloomError
from core.render.comparison_report import answer_words
from pages.ui import studio as desk
from pages.ui.components import error_box
from pages.ui.format import percent, plain
from pages.ui.pointing.view import shown_view
from pages.ui.run_trees import show_tree

__all__ = ["asking", "said"]


def asking(view: Mapping[str, Any]) -> None:
    """Draw the form, and the answers to what was asked last."""
    models = desk.studio().comparisons.models(view["id"])
    kinds = {one["name"]: one["task"] for one in view["config"]["tasks"]}
    tasks = [name for name in kinds if any(name == one["task"] for one in models)]
    if not tasks:
        return
    with st.container(border=True, gap="small", key="comparison_try"):
        st.markdown("##### Ask all of them")
        slot = f"_asked_{view['id']}"
        asked = _form(view, tasks, kinds)
        if asked is not None:
            st.session_state.pop(slot, None)
            task, text = asked
            try:
                with st.spinner("Asking …"):
                    found = desk.studio().comparisons.predict(view["id"], task, text)
                st.session_state[slot] = (task, found)
            except BertloomError as error:
                error_box(error)
        task, found = st.session_state.get(slot, ("", []))
        for at, one in enumerate(found):
            _answer(one, kinds[task], f"comparison_answer_{at}")


def _form(view: Mapping[str, Any], tasks: list[str], kinds: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return task and text if they were sent and are whole."""
    questions = [name for name in tasks if kinds[name]["kind"] == "question_answering"]
    pairs = [name for name in tasks if (view["data"].get(name) or {}).get("pairs")]
    with st.form("comparison_ask", border=False):
        task = st.selectbox("Task", tasks, key="comparison_ask_task", width=280)
        text = st.text_area("Text", key="comparison_ask_text", height=80, max_chars=5000)
        question = second = ""
        if questions:
            question = st.text_input("Question (for answers in a text)", key="comparison_ask_question", max_chars=400)
        if pairs:
            second = st.text_area(
                "Second text (for pairs)", key="comparison_ask_second", height=80, max_chars=5000
            )  # fmt: skip
        sent = st.form_submit_button("Ask", icon=":material/send:")
    if not sent or not text.strip():
        return None
    if task in questions:
        if question.strip():
            return task, [question, text]
        st.info("This task needs a question about the text.", icon=":material/info:")
        return None
    if task in pairs:
        if second.strip():
            return task, [text, second]
        st.info("This task needs a second text.", icon=":material/info:")
        return None
    return task, text


def _answer(one: Mapping[str, Any], task: Mapping[str, Any], key: str) -> None:
    name = plain(one["strategy"], 40)
    if "error" in one:
        st.markdown(f"**{name}**&ensp;{plain(one['error'], 500)}")
        return
    answer = one["answer"]
    root = "root" if task.get("tree", True) else "none"
    st.markdown(f"**{name}**&ensp;{plain(said(answer, root), 500)}")
    if answer.get("heads") is not None:
        show_tree(answer, key=f"{key}_tree", root=root)
    if one.get("pointers") is not None:
        with st.expander("Where its head points", icon=":material/ads_click:", key=f"{key}_pointers"):
            shown_view(one["pointers"], key=key)


def said(answer: Mapping[str, Any], root: str = "root") -> str:
    """Return an answer of a task of any kind in words, with how sure it is where that is one number."""
    if answer.get("heads") is not None:
        words, scores = answer["words"], answer["scores"]
        if not words:
            return "(nothing)"
        least = min(range(len(words)), key=scores.__getitem__)
        head = answer["heads"][least]
        return f"least sure: {words[least]} → {words[head - 1] if head else root}, {percent(scores[least])}"
    if answer.get("entities") is not None:
        found = answer["spans"] if answer.get("spans") else None
        if found:  # stretches may lie inside each other
            texts = [" ".join(answer["words"][each["first"] : each["last"] + 1]) for each in found]
            return answer_words([{**each, "text": text} for each, text in zip(found, texts, strict=True)])
        return answer_words(answer["entities"])
    label, scores = answer.get("label"), answer.get("scores")
    if answer.get("answers") is not None:
        return f"{label or 'no answer'}, {percent(scores)}"
    share = scores.get(label) if isinstance(scores, Mapping) and isinstance(label, str) else None
    return answer_words(label) + ("" if share is None else f", {percent(share)}")
