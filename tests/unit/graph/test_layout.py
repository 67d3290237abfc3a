"""Positions: the same each time, components apart, in the box, labels that do not collide, and fast."""

from __future__ import annotations

import time
from collections.abc import Callable

import igraph
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from core.graph.layout import BOX, label_box, overlaps, place, separate
from core.graph.mixing import mix
from core.graph.pairs import Pairs
from tests.unit.graph.graphs import random_graph


def edges_of(words: int, edges: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return Pairs.of_mixed(mix(random_graph(words, edges, seed=1), 0)).undirected()


def test_positions_are_the_same_each_time_and_others_with_another_seed() -> None:
    edges = edges_of(200, 400)
    first = place(200, *edges)
    np.random.default_rng().random()
    np.testing.assert_array_equal(first, place(200, *edges))
    assert np.abs(first - place(200, *edges, seed=1)).max() > 10


@pytest.mark.parametrize("words", [1, 2, 3, 40, 700])
def test_everything_lies_in_the_box_and_nothing_on_top_of_each_other(words: int) -> None:
    positions = place(words, *edges_of(words, words))
    assert np.isfinite(positions).all()
    assert (np.abs(positions) <= np.array(BOX) / 2 + 1e-6).all()
    assert words == 1 or pdist(positions).min() > 1e-3


def test_no_words_have_no_positions() -> None:
    assert place(0, np.empty(0), np.empty(0), np.empty(0)).shape == (0, 2)


def test_joined_words_lie_nearer_than_others() -> None:
    low, high, strengths = edges_of(300, 500)
    far = squareform(pdist(place(300, low, high, strengths)))
    assert np.median(far[low, high]) < 0.5 * np.median(far)


def test_boxes_of_components_do_not_overlap() -> None:
    rings = [(start + n, start + (n + 1) % 8) for start in range(0, 80, 8) for n in range(8)]
    sources, targets = map(np.array, zip(*rings, strict=True))
    positions = place(90, sources, targets, np.ones(len(rings)))
    parts = [positions[start : start + 8] for start in range(0, 80, 8)] + [positions[[n]] for n in range(80, 90)]
    boxes = [(part.min(axis=0), part.max(axis=0)) for part in parts]
    for n, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:n]:
            assert (low > other_high).any() or (high < other_low).any()


def test_words_that_lie_nearly_on_a_line_do_not_squeeze_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def line(graph: igraph.Graph, **_: object) -> igraph.Layout:
        return igraph.Layout([[float(word), 1e-4 * (word % 2)] for word in range(graph.vcount())])

    monkeypatch.setattr(igraph.Graph, "layout_fruchterman_reingold", line)
    positions = place(60, np.arange(9), np.arange(1, 10), np.ones(9))
    assert pdist(positions[10:]).min() > 20


def test_pinned_words_stay_where_they_are_told() -> None:
    pinned = {0: (-0.5, 0.0), 7: (0.0, 0.1), 3: (0.5, 0.0)}
    positions = place(50, *edges_of(50, 120), pinned=pinned)
    for node, (x, y) in pinned.items():
        np.testing.assert_allclose(positions[node], [x * BOX[0] / 2, y * BOX[1] / 2], atol=1e-6)
    assert (np.abs(positions) <= np.array(BOX) / 2 + 1e-6).all()


def seconds(work: Callable[[], object]) -> float:
    """Return the processor's seconds of the faster of two times."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.parametrize("words", [2000, 5000])
def test_a_layout_is_fast(words: int) -> None:
    """A second for 2,000 words, two for 5,000: told in rounds of igraph's layout, as a slow machine is slow in both."""
    low, high, strengths = edges_of(words, 3 * words)
    graph = igraph.Graph(n=words, edges=np.column_stack([low, high]))
    fifty = seconds(lambda: graph.layout_fruchterman_reingold(niter=50))
    assert seconds(lambda: place(words, low, high, strengths)) < 50 * fifty


def brute_overlaps(positions: np.ndarray, boxes: np.ndarray) -> set[tuple[int, int]]:
    found = set()
    for a in range(len(positions)):
        for b in range(a):
            apart = np.abs(positions[a] - positions[b])
            if (apart < (boxes[a] + boxes[b]) / 2 - 1e-6).all():
                found.add((b, a))
    return found


@given(st.lists(st.tuples(*[st.floats(-100, 100)] * 2, *[st.floats(1, 80)] * 2), min_size=2, max_size=25))
@settings(max_examples=60, deadline=None)
def test_overlaps_are_those_of_brute_force_and_separating_leaves_none(
    rows: list[tuple[float, float, float, float]],
) -> None:
    values = np.array(rows)
    positions, boxes = values[:, :2], values[:, 2:]
    assert {tuple(sorted(pair)) for pair in overlaps(positions, boxes).tolist()} == brute_overlaps(positions, boxes)
    assert brute_overlaps(separate(positions, boxes), boxes) == set()


def test_500_labels_do_not_collide_and_keep_their_arrangement() -> None:
    positions = place(500, *edges_of(500, 1200))
    boxes = np.array([label_box("w" * (3 + n % 12), 8) for n in range(500)])
    assert len(overlaps(positions, boxes)) > 100
    found = separate(positions, boxes)
    assert brute_overlaps(found, boxes) == set()
    assert np.corrcoef(pdist(positions), pdist(found))[0, 1] > 0.9


def test_labels_that_are_apart_stay_where_they_are() -> None:
    positions = np.array([[0.0, 0.0], [200.0, 0.0], [0.0, 90.0]])
    np.testing.assert_array_equal(separate(positions, np.full((3, 2), 50.0)), positions)


def test_others_give_way_to_pinned_labels() -> None:
    boxes = np.full((40, 2), 30.0)
    positions = np.column_stack([np.linspace(0, 300, 40), np.zeros(40)])
    found = separate(positions, boxes, pinned=[0, 39])
    assert brute_overlaps(found, boxes) == set()
    factor = found[39, 0] / 300
    np.testing.assert_allclose(found[[0, 39]], [[0, 0], [300 * factor, 0]], atol=1e-6)


def test_a_label_of_chinese_signs_is_wider_than_one_of_letters() -> None:
    assert label_box("电影", 1)[0] > label_box("ab", 1)[0] > label_box("a", 1)[0]
    assert label_box("e\u0301", 1) == label_box("e", 1)


def test_a_large_layout_with_pinned_nodes_fills_its_box() -> None:
    rng = np.random.default_rng(0)
    sources, targets = rng.integers(0, 1200, (2, 2400))
    keep = sources != targets
    found = place(
        1200, sources[keep], targets[keep], np.ones(int(keep.sum())), pinned={0: (-0.45, 0.0), 1: (0.45, 0.0)}
    )  # fmt: skip
    assert np.abs(found).max(axis=0) == pytest.approx([BOX[0] / 2, BOX[1] / 2])
    assert found[0, 1] == found[1, 1] == pytest.approx(0.0)
