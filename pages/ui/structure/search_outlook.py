"""What a structure search will do, in words, and the button that starts it."""

from __future__ import annotations

import uuid

import streamlit as st

from core.api import Studio
from core.config.structure import StructureConfig
from core.errors import BertloomError
from pages.ui import keys
from pages.ui.components import error_box, notice
from pages.ui.format import percent
from pages.ui.structure.place import Place
from pages.ui.structure.search_session import PROBLEM, SearchForm, search_form

__all__ = ["outlook"]


def outlook(studio: Studio, place: Place, now: SearchForm) -> None:
    """Draw what the search will do, or why it cannot be made, and its button."""
    with st.container(border=True, gap="small", key="search_outlook"):
        st.markdown("**What it will do**")
        refused: BertloomError | None = None
        config = now.config
        if config is not None:
            refused = _said(studio, config)
            if refused is not None:
                error_box(refused, title="This search cannot be made")
        else:
            st.caption("The fields with a message need mending first.")
        st.button(
            "Start the search", type="primary", icon=":material/play_arrow:", key=keys.PRIMARY, width="stretch",
            disabled=config is None or refused is not None, on_click=_submit, args=(studio, place),
        )  # fmt: skip
        st.caption(
            "It runs in the background, can be paused and resumed, and keeps what it has found. Whatever it finds is "
            "one search with one seed."
        )


def _said(studio: Studio, config: StructureConfig) -> BertloomError | None:
    """Tell the steps of a search in words; returns why it cannot be made."""
    far = config.model.source.startswith("hub:")
    lines = []
    try:
        if not far:
            told = studio.structures.check(config)
            budget = told["budget"]
            lines.append(f"Budget: **{budget['parameters']:,}** parameters between embeddings and pooler, within 3 %.")
    except BertloomError as error:
        return error
    prior, even = config.shares
    if config.sampler == "tpe":
        drawn = "widths proposed by TPE"
    elif config.random:
        drawn = "all drawn evenly"
    else:
        drawn = f"{percent(prior, 0)} from the statistics' prior, {percent(even, 0)} drawn evenly"
    lines.append("Statistics of the parent (or those that were measured before) say how many layers and how wide.")
    lines.append(f"**{config.candidates}** candidates ({drawn}) inherit weights and are ranked.")
    rungs = ", ".join(map(str, config.halving.rungs))
    lines.append(f"The best **{config.halving.enter}**, and an even shape of each depth, are distilled in rungs of "
                 f"{rungs} steps; {percent(config.halving.keep, 0)} go on each time.")  # fmt: skip
    if config.finetune is not None:
        lines.append(f"Those that are left are fine-tuned for {config.finetune.steps} steps.")
    lines.append(f"The front weighs {', '.join(config.objectives)}.")
    st.markdown("\n".join(f"1. {line}" for line in lines))
    return None


def _submit(studio: Studio, place: Place) -> None:
    now = search_form()
    if now.config is None:
        return
    try:
        run_id = studio.structures.submit(now.config, request_id=now.request)
    except BertloomError as error:
        st.session_state[PROBLEM] = error
        return
    notice(f"{now.config.name} is in the queue.")
    now.request = uuid.uuid4().hex
    place.go(search=run_id, tab="search")
