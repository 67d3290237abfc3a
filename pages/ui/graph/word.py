"""Beside the picture: the word that was clicked, its neighbours and the sentences it stands in."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from pages.ui.components import error_box
from pages.ui.format import count, number, plain
from pages.ui.graph.ask import once
from pages.ui.graph.looks import edge_name
from pages.ui.graph.shapes import marked
from pages.ui.graph.state import Explorer

__all__ = ["word_side"]

_MOST_NEIGHBOURS = 12
_MOST_CONTEXTS = 5


def word_side(studio: Studio, now: Explorer) -> None:
    """Draw what is known of the chosen word, and what can be asked about it."""
    word = now.selected
    if not word:
        st.caption("Click a word in the picture, or find it with the search box above it.")
        return
    asked = [now.query.graph, word, now.query.layer]
    try:
        about: dict[str, Any] = once(
            "word", asked, lambda: studio.graphs.word(now.query.graph, word, layer=now.query.layer)
        )
    except BertloomError as error:
        error_box(error)
        return
    st.markdown(f"### {plain(word, 60)}")
    lemma = about.get("lemma") or ""
    widths = about.get("widths")
    vectors = sorted({int(width) for width in (widths.values() if isinstance(widths, dict) else widths or [])})
    facts = [
        f"{count(about.get('count'))} occurrences", about.get("tag") or "",
        f"lemma {lemma}" if lemma and lemma != word else "",
        f"vectors of {', '.join(map(str, vectors))}" if vectors else "",
    ]  # fmt: skip
    st.caption(plain(" · ".join(fact for fact in facts if fact)))
    row = st.container(horizontal=True, gap="small")
    row.button(
        "Start here", icon=":material/line_start:", key=now.key("word_start"), on_click=_ask,
        args=(now, {"start": word, "view": "path"}),
    )  # fmt: skip
    row.button(
        "End here", icon=":material/line_end:", key=now.key("word_end"), on_click=_ask,
        args=(now, {"end": word, "view": "path"}),
    )  # fmt: skip
    row.button(
        "Neighbourhood", icon=":material/hub:", key=now.key("word_around"), on_click=now.change,
        kwargs={"view": "neighbourhood", "word": word},
    )  # fmt: skip
    neighbours = list(about.get("neighbours") or [])
    if neighbours:
        st.markdown(f"**Neighbours** :gray[{'the strongest ' if len(neighbours) > _MOST_NEIGHBOURS else ''}by type]")
        st.dataframe(
            [
                {"word": str(one["word"]), "edge": edge_name(str(one["type"])), "weight": number(one["weight"], 3)}
                for one in neighbours[:_MOST_NEIGHBOURS]
            ],
            hide_index=True, width="stretch", key=now.key("word_neighbours"), height="content",
        )  # fmt: skip
    contexts = list(about.get("contexts") or [])
    if contexts:
        st.markdown("**In the text**")
        for sentence in contexts[:_MOST_CONTEXTS]:
            st.markdown(f":gray[:material/format_quote:] {marked(str(sentence), [word])}")


def _ask(now: Explorer, values: dict[str, Any]) -> None:
    now.change(**values)
    now.side = "path"
