"""Beside the picture: why the path is what it is, hop by hop, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from pages.ui.components import error_box
from pages.ui.format import count, number, plain
from pages.ui.graph.demo import ARTICLE_PATH
from pages.ui.graph.looks import edge_name, type_colour
from pages.ui.graph.shapes import arrow_words, chance, marked, named, relations, shares
from pages.ui.graph.state import Explorer

__all__ = ["explanation", "no_path", "unknown_word"]

_MOST_EXAMPLES = 3


def explanation(answer: Mapping[str, Any], place: int, now: Explorer) -> None:
    """Draw the path that is chosen: words, cost, probability, and every hop with its reasons.

    Parameters
    ----------
    answer
        What the graph desk said.
    place
        Which of its paths, from 0.
    now
        The explorer.
    """
    path = answer["paths"][place]
    words = path["words"]
    with st.container(key="graph_path_words", gap=None):
        st.markdown("### " + " :gray[→] ".join(plain(word, 40) for word in named(path)))
        facts = [f"cost {number(path.get('cost'), 3)}"]
        if path.get("probability") is not None:
            facts.append(f"probability {chance(path['probability'])}")
        if answer.get("layer") is not None:
            facts.append(f"layer {answer['layer']}")
        if len(answer["paths"]) > 1:
            facts.append(f"path {place + 1} of {len(answer['paths'])}")
        st.caption(plain(" · ".join(facts)))
    if not answer.get("exact", True):
        st.warning("The search reached its limit: a cheaper path may exist.", icon=":material/warning:")
    if (now.query.start, now.query.end) == (ARTICLE_PATH[0], ARTICLE_PATH[-1]):
        _beside_article(words)
    for hop in path.get("hops") or []:
        _hop(hop)


def _beside_article(words: Sequence[str]) -> None:
    same = tuple(words) == ARTICLE_PATH
    verdict = "This graph says the same." if same else f"This graph says {plain(arrow_words(words))}."
    st.markdown(
        f":violet-badge[:material/menu_book: The article] {plain(arrow_words(ARTICLE_PATH))}&ensp;:gray[{verdict}]"
    )


def _hop(hop: Mapping[str, Any]) -> None:
    with st.container(border=True, gap="xsmall"):
        facts = [f"cost {number(hop.get('cost'), 3)}"]
        if hop.get("hub"):
            facts.append(f"{number(hop['hub'], 2)} of it for being a hub")
        turns = hop.get("from_layer") != hop.get("to_layer")
        if turns:
            title = f"**{plain(hop['from'], 40)}** layer {hop['from_layer']} → {hop['to_layer']}"
            facts.append(f"cosine {number(hop.get('cosine'), 2)}")
        else:
            title = f"**{plain(hop['from'], 40)}** → **{plain(hop['to'], 40)}**"
            if hop.get("from_layer") is not None:
                facts.append(f"layer {hop['from_layer']}")
        st.markdown(f"{title}&ensp;:gray[{plain(' · '.join(facts))}]")
        if turns:
            return
        found = shares(hop)
        if found:
            st.html(_bar(found))
        told = relations(hop)
        if told:
            st.caption(plain(told, 160))
        if hop.get("examples_hold") == "one":
            st.caption("No sentence holds both words; one for each:")
        for example in (hop.get("examples") or [])[:_MOST_EXAMPLES]:
            words = marked(str(example), [str(hop["from"]), str(hop["to"])])
            st.markdown(f":gray[:material/format_quote:] {words}")


def _bar(found: Sequence[tuple[str, float]]) -> str:
    """Return a hop's shares as a bar with a legend: fixed names, colours and numbers, no word of a person."""
    known = [(edge_name(kind), type_colour(kind), share) for kind, share in found if _fixed(kind)]
    parts = "".join(
        f'<span style="width:{share * 100:.1f}%;background:{colour}" title="{name} {share:.0%}"></span>'
        for name, colour, share in known
    )
    words = "".join(
        f'<span class="bl-share"><i style="background:{colour}"></i>{name} {share * 100:.0f} %</span>'
        for name, colour, share in known
    )
    return f'<div class="bl-shares" aria-hidden="true">{parts}</div><div class="bl-share-words">{words}</div>'


def _fixed(kind: str) -> bool:
    return kind.isascii() and kind.isalnum()


def no_path(answer: Mapping[str, Any], now: Explorer) -> None:
    """Say why there is no path, and offer what is near."""
    st.markdown(f"### {plain(now.query.start, 40)} :gray[⇥] {plain(now.query.end, 40)}")
    st.info(plain(answer.get("reason") or "No path leads from one word to the other.", 600), icon=":material/info:")
    parts = answer.get("components") or {}
    facts = [f"{word}: {count(parts[name])} words" for word, name in
             ((now.query.start, "from"), (now.query.end, "to")) if parts.get(name)]  # fmt: skip
    if parts.get("largest"):
        facts.append(f"largest of {count(parts.get('count'))}: {count(parts['largest'])} words")
    if facts:
        st.caption(plain("Connected parts · " + " · ".join(facts), 400))
    if now.query.between:
        st.button(
            "Allow a direct edge", icon=":material/trending_flat:", key=now.key("allow_direct"), on_click=now.change,
            kwargs={"between": 0},
        )  # fmt: skip
    _buttons(
        f"Reachable, and nearest to {plain(now.query.end, 30)}",
        [str(item["word"]) for item in answer.get("nearest") or []],
        now,
        "end",
    )


def unknown_word(studio: Studio, word: str, side: str, now: Explorer) -> None:
    """Say that a word is not in the graph, and offer the nearest spellings."""
    st.info(f"**{plain(word, 60)}** is not a word of this graph.", icon=":material/search_off:")
    try:
        found = studio.graphs.suggest(now.query.graph, word)
    except BertloomError as error:
        error_box(error)
        return
    if not found:
        st.caption("Nothing is spelled alike. Filters and smallest counts may have left it out.")
    _buttons("Spelled alike", [str(item) for item in found], now, side)
    other = now.query.end if side == "start" else now.query.start
    _buttons(f"Neighbours of {plain(other, 30)}", _neighbours(studio, other, now), now, side, mark="near")


def _neighbours(studio: Studio, word: str, now: Explorer) -> list[str]:
    """Return the strongest neighbours of the other end, which is a word of the graph unless it is missing too."""
    if not word:
        return []
    try:
        about = studio.graphs.word(now.query.graph, word, layer=now.query.layer)
    except BertloomError:
        return []
    return [str(one["word"]) for one in about["neighbours"] if one["word"] != word]


def _buttons(title: str, words: Sequence[str], now: Explorer, side: str, *, mark: str = "") -> None:
    shown = [word for word in dict.fromkeys(words) if word][:8]
    if not shown:
        return
    st.caption(title)
    row = st.container(horizontal=True, gap="small", key=f"graph_offers_{side}{mark}")
    for place, word in enumerate(shown):
        row.button(
            plain(word, 30), key=now.key(f"offer_{side}{mark}_{place}"), on_click=now.change, kwargs={side: word}
        )
