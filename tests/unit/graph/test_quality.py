"""Measures of a graph's quality."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from core.config.graph import EdgeConfig, GraphConfig
from core.errors import DataError
from core.graph.build import build_graph
from core.graph.quality import (
    BENCH_DATA,
    held_out_sentences,
    parse_similarity,
    path_plausibility,
    read_similarity,
    similarity_lists,
    stability,
    word_similarity,
)
from core.graph.types import Corpus, EdgeSet, Sentence, WordGraph
from tests.unit.graph.graphs import small_graph

PAIRS = [("film", "movie", 9.0), ("Good", "bad", 6.0), ("film", "dull", 1.0), ("story", "the", 0.5), ("is", "bad", 2.0),
         ("film", "unheard", 5.0)]  # fmt: skip


def test_a_list_is_read_with_or_without_a_heading(tmp_path):
    (tmp_path / "a.txt").write_text("Word 1\tWord 2\tHuman (mean)\n# note\ntiger\tcat\t7.35\n\nbook\tpaper\t7\textra\n")
    assert read_similarity(tmp_path / "a.txt") == [("tiger", "cat", 7.35), ("book", "paper", 7.0)]


@pytest.mark.parametrize(
    "text",
    [
        "Word 1,Word 2,Human (mean)\ntiger,cat,7.35\n", '"tiger", "cat", 7.35\n', "tiger;cat;7.35\n",
        "tiger cat 7.35\n", "\ufeffword1\tword2\tPOS\tSimLex999\tSD\ntiger\tcat\tN\t7.35\t1.2\n",
    ],
)  # fmt: skip
def test_other_separators_and_a_column_in_between_are_read(text):
    assert parse_similarity(text.encode(), "a.csv") == [("tiger", "cat", 7.35)]


def test_bytes_that_are_no_text_are_named_by_their_line():
    with pytest.raises(DataError) as found:
        parse_similarity(b"a,b,1\nc,d,2\n\xe9t\xe9,x,3\n", "a.csv")
    assert found.value.where == "a.csv, line 3"


def test_a_list_that_is_too_long_is_refused():
    with pytest.raises(DataError, match="too long"):
        parse_similarity(b"a,b,1\n" * 20_001, "a.csv")


@pytest.mark.parametrize(
    "text", ["a\tb\t1\na\tb\n", "a\tb\t1\na\tb\tmuch\n", "a\tb\t1\n\tb\t2\n", "a\tb\t1\na\tb\tnan\n"]
)
def test_a_line_that_is_no_pair_is_named(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(DataError, match=r"a\.txt, line 2"):
        read_similarity(tmp_path / "a.txt")


def test_a_list_that_is_empty_missing_or_no_text_is_refused(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("empty.txt", "bytes.txt", "none.txt"):
        with pytest.raises(DataError):
            read_similarity(tmp_path / name)


def test_lists_are_found_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.delenv(BENCH_DATA, raising=False)
    assert similarity_lists() == []
    (tmp_path / "word_similarity_en").mkdir()
    (tmp_path / "word_similarity_en" / "X.txt").write_text("a\tb\t1\n")
    monkeypatch.setenv(BENCH_DATA, str(tmp_path))
    assert [path.name for path in similarity_lists()] == ["X.txt"]


def test_the_correlation_is_scipys_over_the_covered_pairs():
    graph = small_graph()
    found = word_similarity(graph, PAIRS, name="mine")
    assert (found["pairs"], found["covered"], found["missing"]) == (6, 5, ["unheard"])
    index = graph.index()
    for entry in found["layers"]:
        vectors = graph.vectors[entry["layer"]].astype(float)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = [unit[index[a.lower()]] @ unit[index[b]] for a, b, _ in PAIRS[:5]]
        assert entry["spearman"] == pytest.approx(spearmanr(cosines, [score for _, _, score in PAIRS[:5]]).statistic)
        assert entry["low"] <= entry["spearman"] <= entry["high"]
    json.dumps(found)


def test_the_interval_is_that_of_resampled_pairs_by_scipy():
    graph = small_graph()
    found = word_similarity(graph, PAIRS, seed=3)["layers"][0]
    index, vectors = graph.index(), graph.vectors[0].astype(float)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = np.array([unit[index[a.lower()]] @ unit[index[b]] for a, b, _ in PAIRS[:5]])
    scores = np.array([score for _, _, score in PAIRS[:5]])
    draws = np.random.default_rng([0x3535, 3]).integers(0, 5, (1000, 5))
    drawn = [
        spearmanr(cosines[draw], scores[draw]).statistic if len(set(draw.tolist())) > 1 else np.nan for draw in draws
    ]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))


def test_a_word_without_a_vector_is_not_covered_and_few_pairs_give_no_correlation():
    graph = small_graph()
    graph.vectors[0][1] = 0  # film
    found = word_similarity(graph, PAIRS)
    assert found["covered"] == 3
    assert all(entry["spearman"] is None for entry in found["layers"])


def ring(size: int) -> WordGraph:
    """Every word leads to the next three."""
    sources = np.repeat(np.arange(size), 3)
    targets = (sources + np.tile([1, 2, 3], size)) % size
    words = [f"w{n}" for n in range(size)]
    edges = [EdgeSet.of("cooc", sources, targets, np.ones(len(sources)))]
    blank = [""] * size
    return WordGraph(words, np.ones(size, dtype=int), blank, blank, [], [], edges)


def test_a_path_whose_words_stand_together_is_more_plausible_than_random_ones():
    held = [np.array([0, 1, 2, 3])] * 5 + [np.array([n, (n + 30) % 60]) for n in range(4, 60)]
    found = path_plausibility(ring(60), ["w0", "w1", "w2"], held, window=1)
    assert found["percentile"] > 0.95
    assert (found["hops"], found["hops_seen"], found["sentences"]) == (2, 2, 61)
    far = path_plausibility(ring(60), ["w10", "w11", "w12"], held, window=1)
    assert far["percentile"] < 0.6
    assert far["hops_seen"] == 0


def test_random_paths_walk_edges_between_words_as_well_connected():
    """Two hubs join everything; among words without hubs no random path may pass one."""
    graph = ring(60)
    hubs = EdgeSet.of("dep", [0] * 55 + [30] * 55, [*range(2, 57), *range(1, 30), *range(31, 57)], np.ones(110))
    graph = replace(graph, edges=[*graph.edges, hubs])
    only_hubs = [np.array([0, n]) for n in range(1, 60)] + [np.array([30, n]) for n in range(60) if n != 30]
    found = path_plausibility(graph, ["w10", "w11", "w12"], only_hubs)
    assert found["random_paths"] == 500
    assert found["random_ppmi"] == 0
    assert found["percentile"] == 0.5


def test_without_held_out_sentences_there_is_no_percentile():
    found = path_plausibility(ring(20), ["w0", "w1"], [])
    assert found["percentile"] is None


@pytest.mark.parametrize("words", [["w0"], ["w0", "nothing"]])
def test_what_is_no_path_is_refused(words):
    with pytest.raises(DataError):
        path_plausibility(ring(20), words, [np.array([0, 1])])


def corpus_of(lists: list[list[int]], words: int, trees: str = "none") -> Corpus:
    sentences = [
        Sentence("", [""] * len(one), np.array(one), heads=np.arange(-1, len(one) - 1), relations=["x"] * len(one))
        for one in lists
    ]
    counts = np.bincount(np.concatenate(lists), minlength=words)
    blank = [""] * words
    return Corpus(sentences, [f"w{n}" for n in range(words)], counts, blank, blank, trees=trees)


def test_edges_of_sentences_that_all_say_the_same_are_wholly_stable():
    found = stability(corpus_of([[0, 1, 2], [3, 4, 5]] * 30, 6, "gold"), EdgeConfig(), rounds=4)
    assert found["types"]["dep"]["jaccard"] == 1
    assert found["types"]["cooc"]["to_whole"] == 1
    assert (found["rounds"], found["sentences"]) == (4, 60)


def test_edges_that_occur_once_come_and_go_with_their_sentence():
    """Two resamples share a sentence with p², and one of them has it with 1 − (1 − p)², p = 1 − 1/e: 0.4 / 0.86."""
    lists = [[2 * n, 2 * n + 1] for n in range(400)]
    found = stability(corpus_of(lists, 800, "gold"), EdgeConfig(), types=["dep"], rounds=6)
    share = 1 - np.exp(-1)
    assert found["types"]["dep"]["jaccard"] == pytest.approx(share**2 / (1 - (1 - share) ** 2), abs=0.04)
    assert found["types"]["dep"]["to_whole"] == pytest.approx(share, abs=0.04)
    assert found["types"]["dep"]["edges"] == 400


def test_a_corpus_without_trees_has_no_stability_of_dep():
    found = stability(corpus_of([[0, 1, 2]] * 9, 3), EdgeConfig(), rounds=2)
    assert set(found["types"]) == {"cooc"}


def test_held_out_sentences_are_others_of_the_same_source(tmp_path):
    source = tmp_path / "text.txt"
    source.write_text("".join(f"das wort{n % 7} ist nummer{n}\n" for n in range(200)), encoding="utf-8")
    config = {"corpus": {"source": str(source), "language": "de", "max_sentences": 60}, "edges": ["cooc"]}
    graph = build_graph(GraphConfig.model_validate(config), cache=tmp_path / "cache")
    held = held_out_sentences(graph, 60)
    assert 20 < len(held) <= 60
    used = {tuple(nodes.tolist()) for nodes in graph.sentence_nodes if len(nodes) == 4}
    assert used.isdisjoint(tuple(nodes.tolist()) for nodes in held)
    assert all(graph.words[nodes[0]] == "das" for nodes in held)
    whole = {**config, "corpus": {**config["corpus"], "max_sentences": 500}}
    assert held_out_sentences(build_graph(GraphConfig.model_validate(whole), cache=tmp_path / "cache")) == []
