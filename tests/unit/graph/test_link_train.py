"""Splitting, and training of a graph network on graphs whose structure is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.graph.link.metrics import auc
from core.graph.link.negatives import MatchedNodes
from core.graph.link.network import LinkNetwork
from core.graph.link.split import TEST, first_seen, part_of_corpus, seen_pairs, split_sentences
from core.graph.link.train import NetworkSetting, Task, score_pairs, train_network
from core.graph.types import Corpus, Sentence

WORDS = 120


def sentence(nodes: list[int], heads: list[int] | None = None, relations: list[str] | None = None) -> Sentence:
    return Sentence(
        text=" ".join(map(str, nodes)), tokens=list(map(str, nodes)), nodes=np.array(nodes),
        heads=None if heads is None else np.array(heads), relations=relations,
    )  # fmt: skip


def test_every_sentence_has_a_part_and_the_shares_are_as_asked():
    part = split_sentences([f"s{n}" for n in range(1000)], 0.2, seed=0)
    assert (part == TEST).sum() == 200
    assert np.bincount(part[part >= 0]).tolist() == [160] * 5


def test_sentences_that_read_the_same_are_never_on_two_sides():
    texts = [f"s{n % 50}" for n in range(500)]
    part = split_sentences(texts, 0.3, seed=1)
    assert all(len(set(part[n::50].tolist())) == 1 for n in range(50))


def test_the_split_depends_on_the_seed_alone():
    texts = [f"s{n}" for n in range(100)]
    assert split_sentences(texts, 0.2, 1).tolist() == split_sentences(texts, 0.2, 1).tolist()
    assert split_sentences(texts, 0.2, 1).tolist() != split_sentences(texts, 0.2, 2).tolist()


def test_a_part_of_a_corpus_is_counted_anew_and_keeps_its_nodes():
    corpus = Corpus([sentence([0, 1, -1]), sentence([0, 2])], ["a", "b", "c"], np.array([2, 1, 1]), [""] * 3, [""] * 3)
    found = part_of_corpus(corpus, np.array([False, True]))
    assert found.counts.tolist() == [1, 0, 1]
    assert found.words == corpus.words
    assert len(found.sentences) == 1


def test_pairs_of_trees_lead_from_head_to_dependent_without_punctuation_and_filtered_words():
    one = sentence([3, 1, -1, 2, 4], [1, -1, 1, 1, 1], ["det", "root", "obj", "nmod", "punct"])
    keys, counts = seen_pairs([one, one], 10, window=None)
    assert keys.tolist() == [12, 13]
    assert counts.tolist() == [2, 2]
    assert seen_pairs([one], 10, window=None, punctuation=True)[0].tolist() == [12, 13, 14]


def test_pairs_of_a_window_come_in_both_directions():
    keys, counts = seen_pairs([sentence([0, 1, 2, 0])], 10, window=2)
    assert dict(zip(keys.tolist(), counts.tolist(), strict=True)) == {1: 2, 10: 2, 2: 2, 20: 2, 12: 1, 21: 1}


def test_pairs_are_the_same_when_they_are_counted_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    sentences = [sentence(rng.integers(-1, 9, 6).tolist()) for _ in range(20)]
    whole = seen_pairs(sentences, 9, window=3)
    monkeypatch.setattr("core.graph.link.split._BLOCK", 3)
    assert [one.tolist() for one in seen_pairs(sentences, 9, window=3)] == [one.tolist() for one in whole]


def test_links_to_predict_are_new_pairs_of_known_words():
    later = np.array([1, 2, 12, 30]), np.array([1, 5, 1, 1])  # pairs 0-1, 0-2, 1-2, 3-0
    known = np.array([True, True, True, False] + [False] * 6)
    assert first_seen(later, np.array([2]), known).tolist() == [[0, 1], [1, 2]]
    assert first_seen(later, np.array([12]), known, min_count=2).tolist() == [[0, 2]]


def blocks(seed: int) -> tuple[np.ndarray, list[Task]]:
    """Words of four groups; links lead from one group to the next; vectors whisper the group, neighbours repeat it."""
    rng = np.random.default_rng(seed)
    group = np.arange(WORDS) % 4
    every = np.array([(u, v) for u in range(WORDS) for v in range(WORDS) if u != v and group[v] == (group[u] + 1) % 4])
    chosen = every[rng.permutation(len(every))[:1200]]
    keys = np.sort(chosen[:, 0] * WORDS + chosen[:, 1])
    tasks = []
    for part in np.array_split(chosen, 4):
        rest = chosen[~np.isin(chosen[:, 0] * WORDS + chosen[:, 1], part[:, 0] * WORDS + part[:, 1])]
        degrees = np.bincount(rest[:, 1], minlength=WORDS)
        matched = MatchedNodes(degrees, np.ones(WORDS, dtype=bool), keys)
        tasks.append(Task({"dep": rest, "dep reversed": rest[:, ::-1]}, {"dep": part}, {"dep": matched}))
    vectors = (rng.normal(size=(WORDS, 16)) + 0.7 * np.eye(16)[group]).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), tasks


def held_out_auc(vectors: np.ndarray, tasks: list[Task], **changes) -> float:
    setting = NetworkSetting(**{"hidden": 32, "epochs": 60, "lr": 0.005, "dropout": 0.2, **changes})
    trained, _, _ = train_network(vectors, tasks[:2], tasks[2], "dep", setting)
    links = tasks[3].links["dep"]
    rivals = tasks[3].matched["dep"].sample(links, np.random.default_rng(5))
    pairs = np.concatenate([links, np.stack([links[:, 0], rivals], axis=1)])
    scores = score_pairs(trained, vectors, tasks[3], {"dep": pairs})["dep"]
    return auc(scores[: len(links)], scores[len(links) :])


@pytest.mark.parametrize("network", ["sage", "gat"])
def test_a_network_learns_what_only_the_neighbours_tell(network):
    vectors, tasks = blocks(0)
    deaf = [replace(task, edges={name: edges[:0] for name, edges in task.edges.items()}) for task in tasks]
    heard, unheard = held_out_auc(vectors, tasks, network=network), held_out_auc(vectors, deaf, network=network)
    assert heard > 0.85 > unheard + 0.05


def test_nothing_is_learnt_where_there_is_nothing_to_learn():
    vectors, tasks = blocks(0)
    rng = np.random.default_rng(3)
    shuffled = []
    for task in tasks:
        links = task.links["dep"].copy()
        links[:, 1] = task.matched["dep"].sample(links, rng)  # what is called a link is none
        shuffled.append(replace(task, links={"dep": links[links[:, 1] >= 0]}))
    assert 0.4 < held_out_auc(vectors, shuffled, epochs=5) < 0.6


def test_equal_seeds_give_equal_networks():
    vectors, tasks = blocks(0)
    setting = NetworkSetting(hidden=8, epochs=2)
    one, other = (train_network(vectors, tasks[:2], tasks[2], "dep", setting)[0] for _ in range(2))
    pairs = {"dep": tasks[3].links["dep"]}
    assert np.array_equal(*(score_pairs(net, vectors, tasks[3], pairs)["dep"] for net in (one, other)))


def test_every_epoch_tells_loss_and_auc_and_check_can_stop_it():
    vectors, tasks = blocks(0)
    seen = []
    train_network(
        vectors, tasks[:2], tasks[2], "dep", NetworkSetting(hidden=8, epochs=3), log=lambda *said: seen.append(said)
    )
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3]
    assert all(0 < loss < 5 and 0 <= value <= 1 for _, loss, value in seen)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network(vectors, tasks[:2], tasks[2], "dep", NetworkSetting(hidden=8, epochs=3), check=stop)


@pytest.mark.parametrize("network", ["sage", "gat"])
def test_words_hear_along_relations_and_two_steps_far(network):
    torch.manual_seed(0)
    net = LinkNetwork(4, 8, ["r", "empty"], ["dep"], network=network).eval()
    vectors = torch.randn(5, 4)
    chain = torch.tensor([[0, 1, 2], [1, 2, 3]])  # 0 tells 1, 1 tells 2, 2 tells 3; 4 is alone
    edges = {"r": chain, "empty": torch.empty(2, 0, dtype=torch.int64)}
    changed = vectors.clone()
    changed[0] += 1
    moved = (net(vectors, edges) - net(changed, edges)).abs().sum(dim=1) > 1e-6
    assert moved.tolist() == [True, True, True, False, False]


def test_a_pair_and_its_reverse_may_score_differently():
    torch.manual_seed(0)
    net = LinkNetwork(4, 8, ["r"], ["dep"]).eval()
    states = net(torch.randn(2, 4), {"r": torch.tensor([[0], [1]])})
    one, other = net.score(states, "dep", torch.tensor([[0, 1], [1, 0]]))
    assert abs(one.item() - other.item()) > 1e-6
