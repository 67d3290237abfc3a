"""Training of structural probes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.graph.probe.scores import score
from core.graph.probe.train import Setting, predicted_distances, probe_loss, train_probes
from core.graph.probe.trees import tree_distances

WIDTH = 24


def random_tree(size: int, rng: np.random.Generator) -> np.ndarray:
    order = rng.permutation(size)
    heads = np.full(size, -1)
    for at in range(1, size):
        heads[order[at]] = order[rng.integers(0, at)]
    return heads


@pytest.fixture(scope="module")
def planted():
    """States that hold trees exactly: each edge is a direction of its own, mixed and hidden among noise of no use.

    A token's vector is the sum of the directions on its way to the root, so squared distances are tree distances.
    """
    rng = np.random.default_rng(1)
    rotate = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    heads, states = [], []
    for _ in range(340):
        tree = random_tree(int(rng.integers(4, 9)), rng)
        vectors = np.zeros((len(tree), WIDTH))
        for token in range(len(tree)):
            at = token
            while tree[at] >= 0:
                vectors[token, at] = 1.0
                at = tree[at]
        vectors[:, 12:] = rng.normal(size=(len(tree), WIDTH - 12))
        heads.append(tree)
        states.append(30.0 * vectors @ rotate)
    offsets = np.concatenate([[0], np.cumsum([len(tree) for tree in heads])])
    noise = rng.normal(size=(offsets[-1], WIDTH))
    return {1: np.concatenate(states).astype(np.float16), 2: noise.astype(np.float16)}, offsets, heads


def fit(planted, **changes):
    states, offsets, heads = planted
    setting = Setting(**{"rank": 12, "epochs": 15, "lr": 0.03, "seed": 0, **changes})
    distances = [tree_distances(tree) for tree in heads]
    seen: list[tuple[int, dict[int, float]]] = []
    probes = train_probes(
        states, offsets, distances, np.arange(280), np.arange(280, 300), setting,
        log=lambda epoch, losses: seen.append((epoch, losses)),
    )  # fmt: skip
    return probes, seen


def scored(planted, probe, layer):
    states, offsets, heads = planted
    held = range(300, 340)
    predicted = [predicted_distances(states[layer][offsets[i] : offsets[i + 1]], probe.projection) for i in held]
    return score(predicted, [heads[i] for i in held], [np.ones(len(heads[i]), dtype=bool) for i in held])


def test_a_probe_finds_trees_that_are_there_and_none_in_noise(planted):
    probes, _ = fit(planted)
    assert probes[1].projection.shape == (12, WIDTH)
    assert scored(planted, probes[1], 1).uuas > 0.95
    assert scored(planted, probes[2], 2).uuas < 0.6
    assert probes[1].loss < 0.2 < probes[2].loss


def test_every_epoch_tells_a_loss_a_layer_and_the_best_one_is_kept(planted):
    probes, seen = fit(planted, epochs=5)
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4, 5]
    assert set(seen[0][1]) == {1, 2}
    assert probes[1].loss == min(losses[1] for _, losses in seen)


def test_a_probe_is_for_the_states_as_they_are(planted):
    """Inside, states are scaled; the projection that comes out has the loss that was told on the states themselves."""
    states, offsets, heads = planted
    probes, _ = fit(planted, epochs=3)
    losses = []
    for at in range(280, 300):
        predicted = predicted_distances(states[1][offsets[at] : offsets[at + 1]], probes[1].projection)
        losses.append(np.abs(predicted - tree_distances(heads[at])).sum() / len(heads[at]) ** 2)
    assert np.mean(losses) == pytest.approx(probes[1].loss, rel=1e-3)


def test_a_layer_that_learns_no_more_stops_before_the_others(planted):
    probes, seen = fit(planted)
    assert probes[2].epochs < probes[1].epochs
    assert set(seen[-1][1]) == {1}


def test_equal_seeds_give_equal_probes(planted):
    one, other, third = fit(planted, epochs=2)[0], fit(planted, epochs=2)[0], fit(planted, epochs=2, seed=1)[0]
    assert np.array_equal(one[1].projection, other[1].projection)
    assert not np.array_equal(one[1].projection, third[1].projection)


def test_what_check_raises_stops_the_training(planted):
    states, offsets, heads = planted
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_probes(
            states, offsets, [tree_distances(tree) for tree in heads], np.arange(280), np.arange(280, 300),
            Setting(4, 5, 0.01), check=check,
        )  # fmt: skip
    assert len(calls) == 3


def test_the_loss_is_the_papers_by_hand():
    """Two sentences, of 2 and 3 tokens, in a block of 3: Σ|d_B − d| / length², and the mean of both."""
    points = torch.tensor([[[0.0], [2.0], [9.0]], [[0.0], [1.0], [3.0]]])
    gold = torch.tensor([[[0, 1, 0], [1, 0, 0], [0, 0, 0]], [[0, 1, 2], [1, 0, 1], [2, 1, 0]]]).float()
    share = torch.zeros(2, 3, 3)
    share[0, :2, :2], share[1] = 1 / 4, 1 / 9
    first = 2 * abs(4 - 1) / 4
    second = 2 * (abs(1 - 1) + abs(9 - 2) + abs(4 - 1)) / 9
    assert float(probe_loss(points, gold, share)) == pytest.approx((first + second) / 2)


def test_predicted_distances_are_squared_and_between_projected_states():
    rng = np.random.default_rng(0)
    states, projection = rng.normal(size=(4, 6)), rng.normal(size=(3, 6))
    found = predicted_distances(states, projection)
    for i in range(4):
        for j in range(4):
            assert found[i, j] == pytest.approx(np.linalg.norm(projection @ (states[i] - states[j])) ** 2)
