"""Which edge types suit a corpus."""

from __future__ import annotations

import pytest

from core.config.graph import CorpusConfig, GraphConfig
from core.graph.corpus.usual import usual_edges

USUAL = GraphConfig().edges
TREE = "1\tdie\t_\t_\t_\t_\t2\tdet\t_\t_\n2\tKatze\t_\t_\t_\t_\t0\troot\t_\t_\n\n"


def corpus(tmp_path, content, name="a.txt", **rest):
    (tmp_path / name).write_text(content, encoding="utf-8")
    return CorpusConfig(source=str(tmp_path / name), **rest)


def test_english_has_dependencies(tmp_path):
    assert usual_edges(corpus(tmp_path, "The cat is on the mat and the dog is in the garden.")) == (USUAL, None)
    assert usual_edges(CorpusConfig(source="reviews")) == (USUAL, None)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"source": "zh-reviews"}, "no parser for Chinese"), ({"source": "reviews", "unit": "subword"}, "sub-words"),
        ({"source": "reviews", "unit": "character"}, "characters"),
        ({"source": "reviews", "language": "de"}, "no parser for the language de"),
    ],
)  # fmt: skip
def test_without_trees_there_are_none_and_the_reason_is_told(config, said):
    edges, reason = usual_edges(CorpusConfig(**config))
    assert edges == ["sim", "cooc"]
    assert said in reason


def test_the_language_of_a_file_is_guessed(tmp_path):
    edges, reason = usual_edges(corpus(tmp_path, "这家酒店的服务很好，房间也很干净。"))
    assert (edges, "Chinese" in reason) == (["sim", "cooc"], True)
    edges, reason = usual_edges(corpus(tmp_path, "Der Weber sitzt am Webstuhl neben dem Fenster."))
    assert (edges, "not known" in reason) == (["sim", "cooc"], True)


def test_a_text_that_is_in_no_file_yet_is_looked_at_itself():
    assert usual_edges(CorpusConfig(source="text"), text="这家酒店的服务很好。")[0] == ["sim", "cooc"]
    assert usual_edges(CorpusConfig(source="text"), text="The cat is on the mat.") == (USUAL, None)


def test_a_file_with_trees_has_dependencies_whatever_its_language(tmp_path):
    assert usual_edges(corpus(tmp_path, TREE, "a.conllu", language="de")) == (USUAL, None)


def test_a_file_whose_heads_are_empty_has_none(tmp_path):
    bare = TREE.replace("\t2\tdet", "\t_\tdet").replace("\t0\troot", "\t_\troot")
    assert usual_edges(corpus(tmp_path, bare, "a.conllu"))[0] == ["sim", "cooc"]


@pytest.mark.parametrize("source", ["/no/such/file", "hub:some/data", "~nobody/x", "x" * 5000])
def test_what_cannot_be_looked_at_gets_the_default(source):
    assert usual_edges(CorpusConfig(source=source)) == (USUAL, None)
