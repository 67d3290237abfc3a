"""A run that answers questions: where it answers well, wrong answers in their contexts, a question of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.runs.records import RunRecord
from pages.ui.components import Card
from pages.ui.format import count, interval, metric_value, number, percent, plain
from pages.ui.studio import studio

__all__ = ["answer_cards", "answers_part", "ask_form"]

#: Characters of a context around an answer that are shown beside it.
_AROUND = 90


def answer_cards(part: Mapping[str, Any]) -> list[Card]:
    """Return cards beside the scores: the baseline without a model, and the threshold of "no answer"."""
    if not part.get("breakdown"):
        return []
    cards = []
    baseline = part.get("baseline") or {}
    if "f1" in baseline:
        cards.append(
            Card(
                "Without a model", metric_value("f1", baseline["f1"]), "F1 of nearest words",
                help="The stretch of the usual length with most words of the question around it; or always 'no answer' "
                "where most training questions have none.",
            )
        )  # fmt: skip
    if isinstance(part.get("threshold"), int | float):
        cards.append(
            Card("'No answer' threshold", number(part["threshold"], 3), "chosen on gate, or given by the plan")
        )
    return cards


def answers_part(part: Mapping[str, Any], role: str) -> None:
    """Show F1 by question word, length of the answer and windows, and the wrong answers."""
    from core.render.look import CONFIG
    from core.render.run_figures import breakdown_scores
    from pages.ui.planner_look import look

    entries = list(part["breakdown"])
    with st.container(border=True, key="run_answers"):
        st.plotly_chart(breakdown_scores(entries, look(), role=role), theme=None, config=CONFIG, key="answers_figure")
    st.dataframe(
        [
            {
                "by": entry["by"], "value": entry["value"], "F1": percent(entry["f1"]),
                "95 % of F1": interval("f1", entry.get("interval")), "exact": percent(entry["em"]),
                "questions": entry["support"],
            }
            for entry in entries
        ],
        hide_index=True, width="stretch", key="answers_table",
    )  # fmt: skip
    told = [f"{count(part['windows'])} windows for {count(part['n'])} questions."] if part.get("windows") else []
    if part.get("lost"):
        told.append(f"{count(part['lost'])} answers fit into no window and cannot be found.")
    if part.get("cut_questions"):
        told.append(f"{count(part['cut_questions'])} questions were cut.")
    if told:
        st.caption(plain(" ".join(told)))
    _wrong(part, role)


def _wrong(part: Mapping[str, Any], role: str) -> None:
    worst = part.get("worst") or []
    st.markdown(f"##### Wrong answers on {role}")
    if not worst:
        st.caption("Every answer is right.")
        return
    st.caption(
        "The 50 with the lowest F1, of equals those that surprised the model most. Wrong gold shows up here too."
    )
    rows = [
        {
            "row": item.get("row"), "question": item.get("text"), "gold": item.get("gold"),
            "predicted": item.get("predicted"), "F1": percent(item.get("f1")), "context": item.get("context"),
        }
        for item in worst
    ]  # fmt: skip
    st.dataframe(
        rows, hide_index=True, width="stretch", height=min(38 + 35 * len(rows), 420), key="wrong_table",
        column_config={
            "row": st.column_config.NumberColumn("Row", width="small", help="Number of the row in its source, from 1."),
            "question": st.column_config.TextColumn("Question", width="medium"),
            "gold": "Gold",
            "predicted": "Predicted",
            "context": st.column_config.TextColumn("Context, around the gold", width="large"),
        },
    )  # fmt: skip


def ask_form(run: RunRecord) -> None:
    """Answer questions about a text of the person's own with the best weights."""
    with st.form("ask_form", border=False):
        context = st.text_area(
            "Text", key="ask_context", height=160, max_chars=200_000,
            placeholder="Paste the text that holds the answer; long ones are read in overlapping windows.",
        )  # fmt: skip
        questions = st.text_area(
            "Questions", key="ask_questions", height=80, max_chars=10_000,
            placeholder="One question a line.",
        )  # fmt: skip
        sent = st.form_submit_button("Answer", type="primary", icon=":material/play_arrow:", key="ask_go")
    slot = f"_asked_{run.id}"
    lines = [line.strip() for line in (questions or "").splitlines() if line.strip()][:50]
    if sent and not (lines and (context or "").strip()):
        st.caption("Write a text and a question first.")
    elif sent:
        with st.spinner("Answering with the best weights"):
            st.session_state[slot] = studio().predict(run.id, [[line, context] for line in lines])
    for item in st.session_state.get(slot, []):
        _answer(item)


def _answer(item: Mapping[str, Any]) -> None:
    with st.container(border=True, gap="small"):
        st.text(item["text"])
        st.markdown(f"**{plain(item['label'] or 'No answer', 400)}**")
        chosen = next((one for one in item["answers"] if one["text"] == item["label"]), None)
        if chosen is not None and chosen["start"] is not None:
            st.caption(plain(_surroundings(item["context"], chosen["start"], chosen["end"]), 400))
        for one in item["answers"]:
            share = min(max(float(one["score"]), 0.0), 1.0)
            st.progress(share, text=f"{plain(one['text'] or 'no answer', 80)}&ensp;{percent(share)}")


def _surroundings(context: str, start: int, end: int) -> str:
    before, behind = context[max(0, start - _AROUND) : start], context[end : end + _AROUND]
    cut = ("…" if start > _AROUND else "", "…" if end + _AROUND < len(context) else "")
    return f"{cut[0]}{before}[{context[start:end]}]{behind}{cut[1]}"
