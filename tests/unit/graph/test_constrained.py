from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.graph.constrained import constrained_paths
from core.graph.layered import layered
from core.graph.mixing import mix
from core.graph.shortest import path_cost
from tests.unit.graph.path_graphs import all_simple, graphs


@settings(max_examples=150, deadline=None)
@given(
    graph=graphs(most=7), data=st.data(), directed=st.booleans(), hubs=st.sampled_from([0.0, 0.7]),
    least=st.integers(0, 4), k=st.integers(1, 6),
)  # fmt: skip
def test_conditions_give_the_same_costs_as_trying_every_path(graph, data, directed, hubs, least, k) -> None:
    mixed = mix(graph, None, directed=directed, hub_penalty=hubs)
    others = list(range(2, len(graph)))
    through = data.draw(st.sets(st.sampled_from(others), max_size=3)) if others else set()
    avoid = (data.draw(st.sets(st.sampled_from(others), max_size=2)) if others else set()) - through
    found = constrained_paths(
        mixed, [0], [1], k, min_between=least, through=[[node] for node in sorted(through)], blocked=avoid
    )
    allowed = sorted(
        cost
        for cost, path in all_simple(mixed, 0, 1)
        if len(path) - 2 >= least and through <= set(path) and not avoid & set(path)
    )
    assert found.exact
    assert [cost for cost, _ in found.paths] == pytest.approx(allowed[:k], abs=1e-9)
    for cost, path in found.paths:
        assert len(set(path)) == len(path)
        assert len(path) - 2 >= least
        assert through <= set(path)
        assert not avoid & set(path)
        assert cost == path_cost(mixed, path)


@settings(max_examples=60, deadline=None)
@given(graph=graphs(most=8), least=st.integers(2, 4), k=st.integers(1, 4))
def test_at_its_limit_the_search_says_so_and_still_gives_valid_paths(graph, least, k) -> None:
    mixed = mix(graph, None)
    full = constrained_paths(mixed, [0], [1], k, min_between=least)
    short = constrained_paths(mixed, [0], [1], k, min_between=least, expansions=1)
    assert len(short.paths) <= len(full.paths)
    if full.paths:  # more than one prefix has to be lengthened for a path with words in between
        assert not short.exact
        assert short.paths
        assert short.paths[0][0] >= full.paths[0][0] - 1e-9
    for cost, path in short.paths:
        assert len(set(path)) == len(path)
        assert len(path) - 2 >= least
        assert cost == path_cost(mixed, path)


def enumerate_layered(over, sources, targets, least, through, avoid):
    """Every path through a layered graph that enters no word twice, by depth-first search."""
    matrix = {}
    for one, other, cost in zip(over.search.sources.tolist(), over.targets.tolist(), over.costs.tolist(), strict=True):
        matrix.setdefault(one, {})[other] = cost
    size = over.words
    found = []

    def grow(path, cost):
        last = path[-1]
        words = [node % size for node in path]
        if last in targets:
            distinct = list(dict.fromkeys(words))
            if len(distinct) - 2 >= least and through <= set(distinct):
                found.append(cost)
        for node, price in matrix.get(last, {}).items():
            word = node % size
            if node in path or word in avoid or (word in words and word != words[-1]):
                continue
            toll = float(over.penalty[last]) if len(path) > 1 else 0.0
            grow([*path, node], cost + price + toll)

    for source in sources:
        grow([source], 0.0)
    return sorted(found)


@settings(max_examples=40, deadline=None)
@given(
    graph=graphs(most=4, layers=3), least=st.integers(0, 2), k=st.integers(1, 5), hubs=st.sampled_from([0.0, 0.5]),
    ends=st.sampled_from([(0, 2), (None, 1), (None, None)]), through=st.booleans(), avoid=st.booleans(),
)  # fmt: skip
def test_across_layers_the_costs_are_those_of_trying_every_path(graph, least, k, hubs, ends, through, avoid) -> None:
    over = layered(graph, hub_penalty=hubs)
    must = {2} if through and len(graph) > 2 else set()
    never = {3} if avoid and len(graph) > 3 else set()
    sources, targets = over.nodes(0, ends[0]), over.nodes(1, ends[1])
    found = constrained_paths(
        over, sources, targets, k, min_between=least, through=[over.nodes(word) for word in must],
        blocked=[node for word in never for node in over.nodes(word)], words=over.words,
    )  # fmt: skip
    assert found.exact
    # A path that ends at the target's word in any layer is over there: nothing is left to do.
    expected = enumerate_layered(over, sources, set(targets), least, must, never)
    costs = [cost for cost, _ in found.paths]
    if ends[1] is not None:
        assert costs == pytest.approx(expected[:k], abs=1e-9)
    else:
        assert costs[:1] == pytest.approx(expected[:1], abs=1e-9)
