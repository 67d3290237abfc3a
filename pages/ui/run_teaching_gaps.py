"""Where student and teacher differ on the gate rows, how alike their layers are, and what the cache answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.errors import BertloomError
from core.render.look import CONFIG
from core.render.measure_figures import cka_figure
from core.render.teaching_figures import gap_figure
from core.runs.records import RunRecord, Status
from pages.ui.components import Card, card_row, error_box
from pages.ui.format import count, number, percent, plain
from pages.ui.planner_look import look
from pages.ui.run_teaching_seen import Seen, seen
from pages.ui.studio import studio

__all__ = ["gap_cards", "gaps_part", "most_rows", "pin_row"]

_EVERY = 4.0
_PLACES = {
    "position": ("Divergence by position of the word", "word number"),
    "length": ("Divergence by length of the text", "sub-words"),
    "answer": ("Divergence by place of the answer", "sub-word of the context"),
}


def gaps_part(run: RunRecord) -> None:
    """Show where the two differ; while the run is at work, as it learns."""
    going = run.status.active or run.status is Status.QUEUED
    st.fragment(_gaps, run_every=_EVERY if going else None)(run)


def _gaps(run: RunRecord) -> None:
    try:
        known, answered = seen(run), studio().runs.answered(run.id)
    except BertloomError as error:
        error_box(error)
        return
    st.markdown("**Where they differ, on the gate rows**")
    cards = gap_cards(known, answered)
    if cards:
        card_row(cards, key="run_cards_gaps")
    last = known.last("gaps")
    if last is None:
        st.caption("Measured at each evaluation; there was none yet, or the run has no gate rows.")
        return
    first = known.first("gaps") or last
    earlier = first if first is not last else {}
    left, right = st.columns(2, gap="medium")
    with left.container(border=True, key="gaps_label"):
        st.plotly_chart(
            gap_figure(
                last["label"], look(), title="Divergence by label", axis="gold label", first=earlier.get("label", ())
            ),
            theme=None, config=CONFIG, key="gaps_label_figure", alt="Mean divergence by gold label",
        )  # fmt: skip
    title, axis = _PLACES[last["by"]]
    with right.container(border=True, key="gaps_place"):
        st.plotly_chart(
            gap_figure(last["place"], look(), title=title, axis=axis, first=earlier.get("place", ())),
            theme=None, config=CONFIG, key="gaps_place_figure", alt=title,
        )  # fmt: skip
    _parts(last, earlier)
    _layers(known)
    if last["most"]:
        st.markdown("**Rows in which they differ most**")
        if run.status is not Status.FINISHED:
            _choose(run, last["most"])
        st.dataframe(most_rows(last["most"]), hide_index=True, width="stretch", key="gaps_rows")
    st.caption(
        f"After step {count(last['step'])}. Divergence is the Jensen–Shannon divergence of both answers by ln 2: 0 "
        "where they say the same, 1 at most. Marks show the first evaluation of this stage."
    )  # fmt: skip


def _parts(last: Mapping[str, Any], earlier: Mapping[str, Any]) -> None:
    """Show the divergence by part of speech, of words; without any, say why."""
    about = last.get("parts")
    if about is None:  # texts have none, and runs of before it was told
        return
    if not last["part"]:
        st.caption(f"Not told by part of speech. {plain(about['source'])}")
        return
    with st.container(border=True, key="gaps_part"):
        title = "Divergence by part of speech" + (" (silver)" if about["origin"] == "silver" else "")
        st.plotly_chart(
            gap_figure(last["part"], look(), title=title, axis="universal tag", first=earlier.get("part", ())),
            theme=None, config=CONFIG, key="gaps_part_figure", alt=title,
        )  # fmt: skip
        words, among = sum(one[1] for one in last["part"]), sum(one[1] for one in last["place"])
        how = f"of {count(words)} of {count(among)} words" if words < among else f"of all {count(words)} words"
        if about["origin"] == "silver":
            st.caption(f"Parts of speech {how}, silver: a tagger made them ({plain(about['source'])}).")
        else:
            st.caption(f"Parts of speech {how}, as the data set gives them ({plain(about['source'])}).")


def _choose(run: RunRecord, most: Sequence[Mapping[str, Any]]) -> None:
    """Let a person pin one of the rows."""
    pinned = {_shown(one) for one in studio().runs.pins(run.id)}
    rows = {_shown(one): one for one in most if _shown(one) not in pinned}
    if not rows:
        return
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    chosen = row.selectbox(
        "A row to pin", list(rows), key=f"pin_row_{run.id}",
        format_func=lambda text: f"{percent(rows[text]['d'], 0)}  {text[:120]}" if text in rows else text,
        help="With the mean divergence of the row at the last evaluation.",
    )  # fmt: skip
    if row.button("Pin this row", icon=":material/push_pin:", key="pin_row_go") and chosen in rows:
        pin_row(run, rows[chosen])


def pin_row(run: RunRecord, row: Mapping[str, Any]) -> None:
    """Pin a sentence, or a row with its words and gold, and draw the page anew."""
    try:
        studio().runs.pin(
            run.id, row["text"], tokens=row.get("tokens"), pair=row.get("pair"), gold=row.get("gold")
        )  # fmt: skip
    except BertloomError as error:
        error_box(error)
        return
    st.rerun(scope="app")


def _layers(known: Seen) -> None:
    last = known.last("layers")
    if last is None:
        return
    matrix = [[float("nan") if one is None else one for one in row] for row in last["cka"]]
    with st.container(border=True, key="gaps_layers"):
        st.plotly_chart(
            cka_figure(
                matrix, list(range(1, len(matrix) + 1)), list(range(1, len(matrix[0]) + 1)), look(),
                title=f"Likeness of layers after step {count(last['step'])} (linear CKA)", x_title="teacher's layer",
                y_title="student's layer", height=min(220 + 34 * len(matrix), 640),
            ),
            theme=None, config=CONFIG, key="gaps_layers_figure", alt="Linear CKA of the student's and teacher's layers",
        )  # fmt: skip
        st.caption("On a few gate rows. With fewer sub-words than the layers are wide, CKA comes out too high.")


def gap_cards(known: Seen, answered: Sequence[Mapping[str, Any]]) -> list[Card]:
    """Return the figures of the last evaluation and of the cache."""
    cards = []
    last, first = known.last("gaps"), known.first("gaps")
    if last is not None and first is not None and last["n"]:
        began = "" if first is last else f"began at {number(first['divergence'], 3)}"
        cards.append(Card("Divergence", number(last["divergence"], 3), began, help="Mean over the gate rows."))
        cards.append(Card("Agreement", percent(last["agreement"]), f"of {count(last['n'])} answers"))
        shares = last["quadrants"]
        cards.append(
            Card(
                "Still teachable", percent(shares["teachable"] / last["n"]),
                f"harmful {percent(shares['harmful'] / last['n'])}",
                help="Teacher right and student wrong; harmful: the other way round.",
            )
        )  # fmt: skip
    if answered:
        rows, found = (sum(one[name] for one in answered) for name in ("rows", "found"))
        cards.append(
            Card(
                "From the cache", percent(found / rows) if rows else "–",
                f"{count(found)} of {count(rows)} training rows",
                help="Rows that the teachers had answered before this run; the others were computed in it.",
            )
        )  # fmt: skip
    return cards


def most_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows in which the two differ most, ready to be shown; of words, those that are answered apart."""
    return [
        {
            "divergence": number(one["d"], 3), "text": _shown(one), "gold": _answer(one, "gold"),
            "teacher": _answer(one, "teacher"), "student": _answer(one, "student"),
        }
        for one in rows
    ]  # fmt: skip


def _shown(one: Mapping[str, Any]) -> str:
    return f"{one['text']} | {one['pair']}" if one.get("pair") else str(one["text"])


def _answer(one: Mapping[str, Any], who: str) -> str:
    answer = one[who]
    if not isinstance(answer, list):
        return str(answer)
    if "tokens" not in one:
        return ", ".join(answer) or "none"
    apart = [at for at, (theirs, own) in enumerate(zip(one["teacher"], one["student"], strict=True)) if theirs != own]
    words = one["tokens"]
    if len(answer) != len(words):  # words of which a tokeniser leaves nothing are not answered
        return ", ".join(answer[at] for at in apart)
    between = ": " if any(" " in one for one in answer) else " "
    return ", ".join(f"{words[at]}{between}{answer[at]}" for at in apart) or "all alike"
