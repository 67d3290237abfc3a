"""UUAS and DSpr."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from core.graph.probe.scores import chain_scores, score, sentence_uuas, spearman_rows
from core.graph.probe.trees import tree_distances

# "the cat sat on mats ." : the → cat → sat (root), on → mats → sat, "." → sat
HEADS = np.array([1, 2, -1, 4, 2, 2])
WORDS = np.array([True, True, True, True, True, False])


def test_a_trees_own_distances_score_one():
    found = score([tree_distances(HEADS)], [HEADS], [WORDS])
    assert (found.uuas, found.dspr) == pytest.approx((1.0, 1.0))
    assert (found.edges, found.sentences, found.dspr_sentences) == (4, 1, 1)


def test_uuas_of_the_chain_by_hand():
    # Edges: the-cat, cat-sat, on-mats, sat-mats; the chain has the-cat, cat-sat, sat-on, on-mats: three of four.
    assert chain_scores([HEADS], [WORDS]).uuas == pytest.approx(3 / 4)


def test_dspr_of_a_chain_over_a_star_by_hand():
    """Five tokens, the middle one heads all others; the prediction is the chain.

    Ranks of the true rows: the middle's is (3.5, 3.5, 1, 3.5, 3.5); the first's is (1, 4, 2, 4, 4) (itself 0, middle 1,
    others 2). Predicted: first 0 1 2 3 4 → (1, 2, 3, 4, 5); second 1 0 1 2 3 → (2.5, 1, 2.5, 4, 5); middle 2 1 0 1 2 →
    (4.5, 2.5, 1, 2.5, 4.5).
    With deviations from 3: first (-2,-1,0,1,2)·(-2,1,-1,1,1) = 6 of √(10·8); second, whose true ranks are (4,1,2,4,4):
    (-.5,-2,-.5,1,2)·(1,-2,-1,1,1) = 7 of √(9.5·8); middle (1.5,-.5,-2,-.5,1.5)·(.5,.5,-2,.5,.5) = 5 of √(9·5).
    The last two are the first two in a mirror.
    """
    heads = np.array([2, 2, -1, 2, 2])
    first, second, middle = 6 / np.sqrt(80), 7 / np.sqrt(76), 5 / np.sqrt(45)
    found = chain_scores([heads], [np.ones(5, dtype=bool)])
    assert found.dspr == pytest.approx((2 * first + 2 * second + middle) / 5)
    assert found.uuas == pytest.approx(2 / 4)


def test_rows_correlate_as_scipy_says():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, (7, 7)), rng.integers(0, 5, (7, 7))
    expected = [spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)]
    assert spearman_rows(one, other) == pytest.approx(expected)


def test_a_row_of_equal_values_tells_nothing():
    assert spearman_rows(np.ones((1, 4)), np.arange(4.0)[None]).tolist() == [0.0]


def test_dspr_averages_within_a_length_before_it_averages_over_lengths():
    long = np.array([-1, 0, 1, 2, 3, 4, 5])  # a chain: the chain scores 1
    star = np.array([2, 2, -1, 2, 2])
    alone = chain_scores([star], [np.ones(5, dtype=bool)]).dspr
    mixed = chain_scores([star, long, long, long], [np.ones(len(h), dtype=bool) for h in (star, long, long, long)])
    assert mixed.dspr == pytest.approx((alone + 1) / 2)


@pytest.mark.parametrize(("length", "counts"), [(4, 0), (5, 1), (50, 1), (51, 0)])
def test_dspr_counts_sentences_of_5_to_50_tokens(length, counts):
    heads = np.arange(-1, length - 1)
    found = chain_scores([heads], [np.ones(length, dtype=bool)])
    assert found.dspr_sentences == counts
    assert (found.dspr is None) == (counts == 0)


def test_punctuation_counts_for_dspr_but_not_for_uuas():
    heads = np.array([-1, 0, 1, 2, 3, 0])  # the last, a full stop, hangs on the first
    words = np.array([True] * 5 + [False])
    found = chain_scores([heads], [words])
    assert found.uuas == 1.0
    assert found.dspr < 1.0


def test_uuas_counts_edges_over_all_sentences_not_sentences():
    star = np.array([2, 2, -1, 2, 2])
    pair = np.array([-1, 0])
    masks = [np.ones(5, dtype=bool), np.ones(2, dtype=bool)]
    assert chain_scores([star, pair], masks).uuas == pytest.approx(3 / 5)


def test_a_sentence_of_one_word_has_no_edge():
    assert sentence_uuas(np.zeros((2, 2)), np.array([-1, 0]), np.array([True, False])) == (0, 0)
    found = chain_scores([np.array([-1, 0])], [np.array([True, False])])
    assert found.uuas is None
    assert found.uuas_low is None


def test_the_interval_holds_the_score_and_narrows_with_sentences():
    star, chain = np.array([2, 2, -1, 2, 2]), np.array([-1, 0, 1, 2, 3])
    few = chain_scores([star, chain] * 4, [np.ones(5, dtype=bool)] * 8)
    many = chain_scores([star, chain] * 60, [np.ones(5, dtype=bool)] * 120)
    assert few.uuas_low < few.uuas < few.uuas_high
    assert few.dspr_low < few.dspr < few.dspr_high
    assert many.uuas_high - many.uuas_low < few.uuas_high - few.uuas_low
