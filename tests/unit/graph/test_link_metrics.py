"""Link metrics, baselines, matched negatives, calibration: what is plain numpy in core.graph.link."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    brier_score_loss,
    label_ranking_average_precision_score,
    roc_auc_score,
    top_k_accuracy_score,
)

from core.graph.link.baselines import adamic_adar, adjacency, common_neighbours, cosine
from core.graph.link.calibration import fit, reliability
from core.graph.link.metrics import auc, difference, evaluate, ranks
from core.graph.link.negatives import MatchedNodes, contains

SCORES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_auc_is_scikit_learns_ties_included(positive, negative):
    labels = [1] * len(positive) + [0] * len(negative)
    assert auc(np.array(positive), np.array(negative)) == pytest.approx(roc_auc_score(labels, positive + negative))


def test_evaluation_of_many_candidates_pools_them_for_auc():
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(1, 1, 40), rng.normal(0, 1, (40, 7))
    negative[3, 2:] = np.nan
    kept = negative[~np.isnan(negative)]
    labels = [1] * 40 + [0] * len(kept)
    found = evaluate(positive, negative)
    assert found["auc"] == pytest.approx(roc_auc_score(labels, [*positive, *kept]))
    assert found["auc_low"] < found["auc"] < found["auc_high"]


def test_a_links_rank_counts_from_one_and_ties_share_it():
    positive = np.array([5.0, 1.0, 2.0])
    negative = np.array([[1, 2, 3, 4], [1, 1, 1, 1], [3, 4, np.nan, np.nan]], dtype=float)
    assert ranks(positive, negative).tolist() == [1.0, 3.0, 3.0]


def test_mrr_and_hits_by_hand():
    positive = np.array([1.0, 0.0])
    negative = np.stack([np.zeros(20), np.arange(1.0, 21.0)])  # ranks 1 and 21
    found = evaluate(positive, negative)
    assert found["mrr"] == pytest.approx((1 + 1 / 21) / 2)
    assert found["hits"] == pytest.approx(1 / 2)


@given(st.integers(1, 12), st.integers(11, 30), st.integers(0, 10_000))
def test_mrr_and_hits_are_scikit_learns_where_nothing_is_tied(links, candidates, seed):
    scores = np.random.default_rng(seed).permutation(links * (candidates + 1)).reshape(links, -1).astype(float)
    found = evaluate(scores[:, 0], scores[:, 1:])
    first = np.zeros(links, dtype=int)
    one_hot = np.eye(candidates + 1, dtype=int)[first]
    assert found["mrr"] == pytest.approx(label_ranking_average_precision_score(one_hot, scores))
    labels = np.arange(candidates + 1)
    assert found["hits"] == pytest.approx(top_k_accuracy_score(first, scores, k=10, labels=labels))


def test_without_links_there_is_no_score():
    assert set(evaluate(np.empty(0), np.empty((0, 5))).values()) == {None}
    assert np.isnan(auc(np.empty(0), np.ones(3)))


def test_a_method_differs_from_itself_by_nothing_and_from_chance_surely():
    rng = np.random.default_rng(1)
    good = rng.normal(1.5, 1, 200), rng.normal(0, 1, (200, 5))
    chance = rng.normal(0, 1, 200), rng.normal(0, 1, (200, 5))
    assert difference(good, good) == (0.0, 0.0, 0.0)
    value, low, high = difference(good, chance)
    assert value == pytest.approx(auc(*good) - auc(*chance))
    assert 0 < low < value < high


@given(st.integers(2, 12), st.integers(0, 10_000))
def test_shared_neighbours_are_networkx(size, seed):
    graph = networkx.gnp_random_graph(size, 0.5, seed=seed)
    pairs = np.array([(u, v) for u in range(size) for v in range(size) if u != v])
    found = adjacency([np.array(graph.edges()).reshape(-1, 2)], size)
    expected = {frozenset((u, v)): value for u, v, value in networkx.adamic_adar_index(graph, pairs.tolist())}
    assert adamic_adar(found, pairs) == pytest.approx([expected[frozenset(pair)] for pair in pairs.tolist()])
    common = [len(list(networkx.common_neighbors(graph, u, v))) for u, v in pairs.tolist()]
    assert common_neighbours(found, pairs).tolist() == common


def test_shared_neighbours_are_the_same_in_blocks(monkeypatch):
    graph = networkx.gnp_random_graph(30, 0.3, seed=1)
    found = adjacency([np.array(graph.edges())], 30)
    pairs = np.random.default_rng(0).integers(0, 30, (50, 2))
    whole = adamic_adar(found, pairs)
    monkeypatch.setattr("core.graph.link.baselines.BLOCK", 40)
    assert adamic_adar(found, pairs).tolist() == whole.tolist()


def test_edges_of_several_lists_and_directions_make_one_neighbour():
    found = adjacency([np.array([[0, 1], [1, 0]]), np.array([[0, 1], [2, 2]])], 3)
    assert found.toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_cosine_of_zero_vectors_is_zero():
    vectors = np.array([[3.0, 4.0], [4.0, 3.0], [0.0, 0.0]])
    assert cosine(vectors, np.array([[0, 1], [0, 2], [2, 2]])) == pytest.approx([0.96, 0, 0])


def nodes_of_degree(degrees: np.ndarray, links: np.ndarray | None = None) -> MatchedNodes:
    keys = np.empty(0, dtype=np.int64) if links is None else np.sort(links[:, 0] * len(degrees) + links[:, 1])
    return MatchedNodes(degrees, degrees > 0, keys)


def test_negatives_have_degrees_like_the_links_target():
    degrees = np.repeat([0, 1, 10, 100], [50, 400, 300, 250])
    matched = nodes_of_degree(degrees)
    pairs = np.array([[0, 60], [0, 500], [0, 900]])
    drawn = matched.candidates(pairs, 100, np.random.default_rng(0))
    assert [set(degrees[row]) for row in drawn] == [{1}, {10}, {100}]
    once = matched.sample(np.repeat(pairs, 50, axis=0), np.random.default_rng(0))
    assert degrees[once].tolist() == [1] * 50 + [10] * 50 + [100] * 50


def test_the_best_connected_word_gets_the_nearest_there_are():
    degrees = np.arange(1000)
    drawn = nodes_of_degree(degrees).candidates(np.array([[5, 999]]), 100, np.random.default_rng(0))
    assert drawn.min() >= 1000 - 260


@given(st.integers(0, 1000))
def test_no_negative_is_a_link_or_a_loop_and_none_comes_twice(seed):
    rng = np.random.default_rng(seed)
    degrees = rng.integers(0, 20, 60)
    links = np.unique(rng.integers(0, 60, (600, 2)), axis=0)
    matched = nodes_of_degree(degrees, links)
    drawn = matched.candidates(links[:40], 30, rng)
    known = set(map(tuple, links.tolist()))
    for (source, _), row in zip(links[:40].tolist(), drawn.tolist(), strict=True):
        kept = [target for target in row if target >= 0]
        assert len(set(kept)) == len(kept)
        assert all(target != source and (source, target) not in known and degrees[target] > 0 for target in kept)
    for (source, _), target in zip(links.tolist(), matched.sample(links, rng).tolist(), strict=True):
        assert target == -1 or (target != source and (source, target) not in known)


def test_where_everything_is_linked_there_is_no_negative():
    links = np.array([(u, v) for u in range(3) for v in range(3)])
    matched = nodes_of_degree(np.ones(3, dtype=int), links)
    assert matched.candidates(links, 4, np.random.default_rng(0)).tolist() == [[-1] * 4] * 9
    assert matched.sample(links, np.random.default_rng(0)).tolist() == [-1] * 9


def test_membership_is_numpys():
    rng = np.random.default_rng(0)
    keys, asked = np.unique(rng.integers(0, 50, 20)), rng.integers(-5, 60, (7, 9))
    assert contains(keys, asked).tolist() == np.isin(asked, keys).tolist()
    assert not contains(np.empty(0, dtype=np.int64), asked).any()


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibrated_scores_are_probabilities(method):
    """Scores are twice the log odds: what comes out must be the odds themselves."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.02, 0.98, 20_000)
    labels = rng.random(20_000) < truth
    scores = 2 * np.log(truth / (1 - truth)) + 1
    found = fit(method, scores[:15_000], labels[:15_000])
    probabilities = found.apply(scores)
    assert np.abs(probabilities - truth).mean() < 0.02
    assert (np.diff(probabilities[np.argsort(scores)]) >= 0).all()
    assert reliability(probabilities[15_000:], labels[15_000:])["ece"] < 0.03
    assert reliability(scores.clip(0, 1), labels)["ece"] > 0.1


def test_scores_that_tell_nothing_or_the_reverse_give_the_share_of_links():
    found = fit("platt", np.array([3.0, 2.0, 1.0, 0.0]), np.array([0, 0, 1, 1]))
    assert found.apply(np.array([-9.0, 9.0])) == pytest.approx([0.5, 0.5])


def test_reliability_by_hand():
    found = reliability(np.array([0.05, 0.05, 0.95, 1.0]), np.array([0, 1, 1, 1]))
    assert [one["pairs"] for one in found["bins"]] == [2, 2]
    assert [one["share"] for one in found["bins"]] == [0.5, 1.0]
    assert found["ece"] == pytest.approx((2 * 0.45 + 2 * 0.025) / 4)
    assert found["brier"] == pytest.approx(brier_score_loss([0, 1, 1, 1], [0.05, 0.05, 0.95, 1.0]))
