"""Communities: found, ordered, seeded, and named by content words."""

from __future__ import annotations

import random

import networkx as nx
import numpy as np
import pytest

from core.graph.communities import NO_COMMUNITY, find_communities, is_content
from core.graph.mixing import mix
from core.graph.pairs import Pairs
from core.graph.types import EdgeSet, WordGraph
from tests.unit.graph.graphs import random_graph


def two_cliques(**changes: object) -> WordGraph:
    """Six words around "the", five around "of", one edge between, and a word alone."""
    first, second = range(6), range(6, 11)
    pairs = [(a, b) for group in (first, second) for a in group for b in group if a != b] + [(0, 6), (6, 0)]
    weights = [3.0 if {a, b} & {1, 7} else 1.0 for a, b in pairs]
    words = ["the", "film", "movie", "good", "!", "cast", "of", "stock", "market", "rise", "bank", "alone"]
    parts = {
        "words": words, "counts": np.arange(len(words), 0, -1), "lemmas": words, "sentences": [], "sentence_nodes": [],
        "tags": ["DET", "NOUN", "NOUN", "ADJ", "PUNCT", "NOUN", "ADP", "NOUN", "NOUN", "VERB", "NOUN", "NOUN"],
        "edges": [EdgeSet.of("cooc", *zip(*pairs, strict=True), weights)],
    }  # fmt: skip
    return WordGraph(**{**parts, **changes})  # type: ignore[arg-type]


def found(graph: WordGraph, seed: int = 0):  # type: ignore[no-untyped-def]
    return find_communities(graph, Pairs.of_mixed(mix(graph, None)), seed=seed)


def test_two_groups_are_found_the_larger_first_and_a_lone_word_is_in_none() -> None:
    groups = found(two_cliques())
    assert groups.membership.tolist() == [0] * 6 + [1] * 5 + [NO_COMMUNITY]
    assert [one.size for one in groups.communities] == [6, 5]
    assert [one.id for one in groups.communities] == [0, 1]


def test_a_community_is_named_by_its_most_central_content_words() -> None:
    first, second = found(two_cliques()).communities
    assert first.name.split(", ")[0] == "film"
    assert second.name.split(", ")[0] == "stock"
    assert not {"the", "!", "of"} & {*first.name.split(", "), *second.name.split(", ")}
    assert len(first.words) == 3


def test_without_tags_stop_words_that_the_graph_names_do_not_name_communities() -> None:
    graph = two_cliques(tags=[""] * 12, about={"stop_nodes": [0, 6, "x", 10**9, True]})
    assert is_content(graph).tolist() == [False, True, True, True, False, True, False, True, True, True, True, True]


def test_a_community_without_content_words_is_named_all_the_same() -> None:
    graph = WordGraph(
        ["!", "?"], np.ones(2), ["PUNCT"] * 2, ["", ""], [], [], [EdgeSet.of("cooc", [0, 1], [1, 0], [1, 1])]
    )
    assert found(graph).communities[0].name == "!, ?"


def test_names_are_short_whatever_the_words_are() -> None:
    graph = two_cliques()
    graph.words[1] = "a\nvery" * 1000
    assert len(found(graph).communities[0].name) < 80
    assert "\n" not in found(graph).communities[0].name


def test_the_modularity_is_that_of_networkx() -> None:
    graph = random_graph(120, 400, seed=5)
    pairs = Pairs.of_mixed(mix(graph, 0))
    groups = find_communities(graph, pairs)
    low, high, strengths = pairs.undirected()
    whole = nx.Graph()
    whole.add_weighted_edges_from(zip(low.tolist(), high.tolist(), strengths.tolist(), strict=True))
    sets = [set(np.flatnonzero(groups.membership == one.id).tolist()) for one in groups.communities]
    assert groups.modularity == pytest.approx(nx.community.modularity(whole, sets), abs=1e-9)
    assert groups.modularity >= nx.community.modularity(whole, nx.community.greedy_modularity_communities(whole)) - 0.02


def test_the_same_seed_gives_the_same_communities_whatever_else_was_drawn() -> None:
    graph = random_graph(300, 900, seed=2)
    first = found(graph, seed=1).membership
    random.random()
    np.testing.assert_array_equal(first, found(graph, seed=1).membership)


def test_finding_communities_leaves_the_random_numbers_of_others_alone() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    found(random_graph(50, 100))
    assert random.random() == expected


def test_a_graph_without_edges_has_no_communities() -> None:
    graph = two_cliques(edges=[EdgeSet.of("cooc", [], [], [])])
    groups = found(graph)
    assert groups.communities == []
    assert groups.modularity is None
    assert set(groups.membership.tolist()) == {NO_COMMUNITY}
