"""The query: two words, a layer, what edges weigh, and conditions that fold away; each change is answered at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.ui.format import count
from pages.ui.graph.looks import EDGE_LOOKS, edge_name, known_types, type_colour
from pages.ui.graph.state import Explorer

if TYPE_CHECKING:
    from core.graph.types import WordGraph

__all__ = ["MOST_OPTIONS", "query_bar", "word_options"]

#: Words in the list of a search box; any other word can be typed.
MOST_OPTIONS = 2000
#: Words in the lists of the conditions.
_FEW = 500


def word_options(words: Sequence[str], *also: str) -> list[str]:
    """Return the words of a search box: the most frequent ones and those that are chosen."""
    options = list(words[:MOST_OPTIONS])
    known = set(options)
    return options + [word for word in dict.fromkeys(also) if word and word not in known]


def query_bar(now: Explorer, graph: WordGraph) -> None:
    """Draw the query and take over what its widgets hold."""
    query = now.query
    with st.container(border=True, key="graph_query", gap="small"):
        row = st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="graph_words_row")
        options = word_options(graph.words, query.start, query.end)
        with row.container(width="stretch", key="graph_from"):
            start = _word(now, "from", "From", options, query.start, len(graph))
        row.button(
            "Swap", icon=":material/swap_horiz:", key="graph_swap", on_click=_swap, args=(now,),
            help="Ask the other way round.",
        )  # fmt: skip
        with row.container(width="stretch", key="graph_to"):
            end = _word(now, "to", "To", options, query.end, len(graph))
        with row.container(width="stretch", key="graph_between"):
            between = st.segmented_control(
                "Words in between, at least", [0, 1, 2, 3], required=True, key=now.key("between"),
                default=now.first("between", min(query.between, 3)), width="stretch",
                help="A direct edge is the shortest path of most pairs that have one; with 1 the path has to make a "
                "detour and shows how the words are related.",
            )  # fmt: skip
        values: dict[str, Any] = {"start": start or "", "end": end or "", "between": between or 0}
        lower = st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="graph_mixing")
        if len(graph.layers) > 1:
            with lower.container(width="stretch", key="graph_layer"):
                values["layer"] = _layer(now, graph)
        else:
            values["layer"] = graph.layers[0] if graph.layers else None
        weights: dict[str, float] = {}
        types = known_types(graph.types)
        for kind in types if len(types) > 1 else []:
            with lower.container(width="stretch", key=f"graph_weight_{kind}"):
                weights[kind] = st.slider(
                    f"{edge_name(kind).capitalize()}", 0.0, 1.0, step=0.05, key=now.key(f"weight_{kind}"),
                    value=now.first(f"weight_{kind}", query.weight(kind)), help=_mixing_help(kind),
                )  # fmt: skip
        values["weights"] = tuple((kind, weight) for kind, weight in weights.items() if weight != 1.0)
        with lower.container(width="content", key="graph_conditions"):
            values |= _conditions(now, graph, options)
    st.html(_marks(types))
    if weights and not any(weights.values()):
        st.warning("All edge types weigh nothing: give at least one of them a weight.", icon=":material/tune:")
    now.keep(**values)


def _word(now: Explorer, name: str, label: str, options: list[str], value: str, total: int) -> str | None:
    first = now.first(name, value)
    more = total > MOST_OPTIONS
    found: str | None = st.selectbox(
        label, options, index=options.index(first) if first in options else None, key=now.key(name),
        accept_new_options=True, filter_mode="prefix", placeholder="Type a word",
        help=f"The {count(MOST_OPTIONS)} most frequent of {count(total)} words are listed; any other can be typed."
        if more else None,
    )  # fmt: skip
    return found.strip() if found else None


def _layer(now: Explorer, graph: WordGraph) -> int:
    layers = list(graph.layers)
    widths = dict(zip(layers, graph.widths, strict=False))
    value = now.query.layer if now.query.layer in layers else layers[len(layers) // 2]
    chosen: int = st.select_slider(
        "Layer", layers, key=now.key("layer"), value=now.first("layer", value),
        help="0 is the embeddings. " + ", ".join(f"layer {layer}: vectors of {widths.get(layer)}" for layer in layers),
    )  # fmt: skip
    return chosen


def _mixing_help(kind: str) -> str:
    words = EDGE_LOOKS[kind][3] if kind in EDGE_LOOKS else ""
    return f"{words} Weights are relative: they are divided by their sum over the types that a word has edges of."


def _conditions(now: Explorer, graph: WordGraph, options: list[str]) -> dict[str, Any]:
    query = now.query
    usual = (query.avoid == (), query.through == (), query.hub == 0, query.directed, not query.across)
    changed = usual.count(False)
    label = f"Conditions · {changed}" if changed else "Conditions"
    values: dict[str, Any] = {}
    with st.popover(label, icon=":material/tune:", key="graph_conditions_box"):
        values["avoid"] = _words(now, "avoid", "Avoid", options, query.avoid, "No path leads through these words.")
        values["through"] = _words(
            now, "through", "Lead through", options, query.through, "Every path holds these words."
        )
        row = st.columns(2, gap="medium")
        with row[0]:
            values["k"] = int(
                st.number_input(
                    "Paths", 1, 20, value=now.first("k", query.k), key=now.key("k"), help="The shortest paths, by cost."
                )
            )
        with row[1]:
            values["hub"] = st.number_input(
                "Hub penalty λ", 0.0, 5.0, step=0.1, value=now.first("hub", query.hub), key=now.key("hub"),
                help="Adds λ · log(1 + neighbours) for every word in between, so that the, is and of are not on every "
                "path. With 0 the shortest path is the most probable walk.",
            )  # fmt: skip
        values["directed"] = st.toggle(
            "Directed", value=now.first("directed", query.directed), key=now.key("directed"),
            help="Undirected: the smaller cost of both directions counts, and there is no probability.",
        )  # fmt: skip
        values["across"] = len(graph.layers) > 1 and st.toggle(
            "Across layers", value=now.first("across", query.across), key=now.key("across"),
            help="The path may change layers; a change costs more the more a word's vector turns.",
        )  # fmt: skip
        values |= _across(now, graph) if values["across"] else {"first": None, "last": None, "kappa": None}
    return values


def _across(now: Explorer, graph: WordGraph) -> dict[str, Any]:
    """Draw where a path across layers begins and ends, and what changing the layer costs."""
    layers: list[int | None] = [None, *graph.layers]
    row = st.columns(3, gap="medium")
    values: dict[str, Any] = {}
    for column, (name, label, usual) in zip(
        row, (("first", "Start in layer", now.query.first), ("last", "End in layer", now.query.last)), strict=False
    ):
        value = usual if usual in layers else None
        with column:
            values[name] = st.selectbox(
                label, layers, key=now.key(name), index=layers.index(now.first(name, value)),
                format_func=lambda one: "any" if one is None else str(one),
            )  # fmt: skip
    with row[2]:
        values["kappa"] = st.number_input(
            "Cost κ of a change", 0.0, 1000.0, value=now.first("kappa", now.query.kappa), step=0.1,
            key=now.key("kappa"), placeholder="median",
            help="Changing the layer costs κ · (1 − cosine of the word's two vectors). Empty: the median cost of an "
            "edge inside layers.",
        )  # fmt: skip
    return values


def _words(
    now: Explorer, name: str, label: str, options: list[str], chosen: tuple[str, ...], words: str
) -> tuple[str, ...]:
    first = list(now.first(name, chosen))
    found = st.multiselect(
        label, word_options(options[:_FEW], *first), default=first, key=now.key(name), accept_new_options=True,
        filter_mode="prefix", placeholder="Any word", help=words,
    )  # fmt: skip
    return tuple(word.strip() for word in found if word.strip())


def _swap(now: Explorer) -> None:
    now.change(start=now.query.end, end=now.query.start)


def _marks(types: Sequence[str]) -> str:
    """Return the rules that put an edge type's colour before the label of its weight. Fixed names and colours only."""
    rules = [
        f".st-key-graph_weight_{kind} label p::before {{ content: ''; display: inline-block; width: 0.95rem; "
        f"height: 0.25rem; border-radius: 1px; margin-right: 0.4rem; vertical-align: middle; "
        f"background: {type_colour(kind)}; }}"
        for kind in types
        if kind in EDGE_LOOKS
    ]
    return f"<style>{' '.join(rules)}</style>"
