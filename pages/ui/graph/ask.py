"""Questions of the explorer to the graph desk; the last answer to each is kept for the session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st
from pydantic import ValidationError

from core.config import problems
from core.errors import ConfigError
from pages.ui.forms import fingerprint
from pages.ui.graph.state import Query

if TYPE_CHECKING:
    from core.graph.query import PathQuery
    from core.graph.types import WordGraph

__all__ = ["across_words", "core_query", "default_pair", "mixing", "once", "question", "starting_layer"]

_SLOT = "graph_answers"
_ARTICLE = ("the", "cat")
_CONTENT = ("NOUN", "PROPN", "VERB", "ADJ")


def question(query: Query) -> dict[str, Any]:
    """Return the part of a query that the answer depends on, as plain data."""
    return {
        name: value
        for name, value in query.__dict__.items()
        if name not in ("view", "size", "most", "word")
    }  # fmt: skip


def core_query(query: Query, types: Sequence[str]) -> PathQuery:
    """Return the query as the graph room reads it.

    Parameters
    ----------
    query
        The page's query; edge types that it does not name weigh 1.
    types
        Edge types of the graph.

    Raises
    ------
    ConfigError
        If all types weigh nothing, or too many words are asked for.
    """
    from core.graph.query import PathQuery

    try:
        return PathQuery(
            source=query.start,
            target=query.end,
            layer=query.layer,
            k=query.k,
            min_between=query.between,
            avoid=list(query.avoid),
            through=list(query.through),
            weights=mixing(query, types),
            hub_penalty=query.hub,
            directed=query.directed,
            across_layers=query.across,
            from_layer=query.first if query.across else None,
            to_layer=query.last if query.across else None,
            kappa=query.kappa if query.across else None,
        )
    except ValidationError as error:
        found = problems(error)
        raise ConfigError(
            "This query cannot be asked.", where=", ".join(found), expected="; ".join(found.values())
        ) from None


def mixing(query: Query, types: Sequence[str]) -> dict[str, float] | None:
    """Return the weight of every edge type, or None where all are alike."""
    return {kind: query.weight(kind) for kind in types} if query.weights else None


def once(kind: str, asked: Any, call: Callable[[], Any], *, words: str | None = None) -> Any:
    """Return the answer to a question, asking only when it changed.

    Parameters
    ----------
    kind
        Name of the question; a new one of a kind replaces the old one.
    asked
        Plain data that the answer depends on.
    call
        Finds the answer.
    words
        What is shown beside a spinner while a long answer is found.
    """
    kept: dict[str, tuple[str, Any]] = st.session_state.setdefault(_SLOT, {})
    mark = fingerprint(asked)
    if kind not in kept or kept[kind][0] != mark:
        if words:
            with st.spinner(words):
                kept[kind] = (mark, call())
        else:
            kept[kind] = (mark, call())
    return kept[kind][1]


def across_words(graph: WordGraph) -> str:
    """Return what a first question across layers waits for."""
    layers = len(graph.layers)
    return (
        f"Laying {layers} layers of {len(graph):,} words over one another: each layer's vectors are turned onto those "
        "of the next, and every word is joined to itself there. This happens once for these weights; further questions "
        "across layers are answered at once."
    )


def default_pair(words: list[str], tags: list[str]) -> tuple[str, str]:
    """Return two words to begin with: the article's pair where the graph has it, else two frequent content words.

    Parameters
    ----------
    words, tags
        Words of a graph, most frequent first, and their parts of speech (empty texts without a tagger).
    """
    if all(word in words for word in _ARTICLE):
        return _ARTICLE
    nouns = [word for word, tag in zip(words, tags, strict=False) if tag in _CONTENT[:2]]
    content = [word for word, tag in zip(words, tags, strict=False) if tag in _CONTENT]
    lettered = [word for word in words if any(char.isalnum() for char in word)]
    for found in (nouns, content, lettered, words):
        if len(found) >= 2:
            return found[0], found[1]
    return (words[0] if words else ""), ""


def starting_layer(layers: list[int]) -> int | None:
    """Return the middle layer."""
    return layers[len(layers) // 2] if layers else None
