"""English by spaCy and Chinese by jieba, and the bundled samples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.config.graph import CoocEdges, CorpusConfig, DepEdges
from core.graph.corpus import read_corpus
from core.graph.edges.cooc import cooc_edges
from core.graph.edges.dep import dep_edges
from core.graph.types import Corpus

pytestmark = pytest.mark.slow


def read(folder: Path, text: str, **settings: object) -> Corpus:
    file = folder / "corpus.txt"
    file.write_text(text, encoding="utf-8")
    return read_corpus(CorpusConfig(source=str(file), **settings))  # type: ignore[arg-type]


def test_english_is_recognised_parsed_and_called_silver(tmp_path: Path) -> None:
    found = read(tmp_path, "The cats sat on the mat. They were very happy!\n")
    assert (found.language, found.trees) == ("en", "silver")
    assert "spaCy" in found.parser
    assert any("silver" in notice and "ClearNLP" in notice for notice in found.notices)
    first, second = found.sentences
    assert first.tokens == ["The", "cats", "sat", "on", "the", "mat", "."]
    assert first.relations is not None
    assert first.heads is not None
    assert first.relations[:2] == ["det", "nsubj"]
    assert first.heads.tolist() == [1, 2, -1, 2, 5, 3, 2]
    assert second.heads is not None
    assert second.heads.tolist().count(-1) == 1
    node = found.index()["cats"]
    assert (found.tags[node], found.lemmas[node]) == ("NOUN", "cat")
    edges = dep_edges(found, DepEdges())
    assert edges.relations_of(edges.find(node, found.index()["the"])) == {"det": 1}


def test_every_sentence_of_a_sample_is_one_tree_with_spans() -> None:
    for source in ("reviews", "tweets"):
        found = read_corpus(CorpusConfig(source=source, max_sentences=60))
        assert len(found.sentences) == 60
        for one in found.sentences:
            assert one.spans is not None
            assert one.heads is not None
            assert [one.text[low:high] for low, high in one.spans] == one.tokens
            assert int((one.heads == -1).sum()) == 1
            # Following the heads leads from every token to the root.
            reached = np.arange(len(one.heads))
            for _ in range(len(one.heads)):
                reached = np.where(reached >= 0, one.heads[reached], -1)
            assert (reached == -1).all()


def test_words_that_are_given_stay_as_they_are() -> None:
    from core.data.sample_rows import read_sample

    found = read_corpus(CorpusConfig(source="tweets", max_sentences=40))
    given = {tuple(row["tokens"]) for row in read_sample("tweets")}
    assert all(tuple(one.tokens) in given for one in found.sentences)
    assert (found.trees, found.total_sentences) == ("silver", 2295)


def test_english_stop_words_and_parts_of_speech_are_filtered(tmp_path: Path) -> None:
    text = "The cat sat on the mat. It was a happy cat, and the dog saw it.\n"
    assert "the" not in read(tmp_path, text, stop_words=False).words
    assert set(read(tmp_path, text, parts_of_speech=["NOUN"]).words) == {"cat", "mat", "dog"}


def test_hostile_words_go_through_the_parser(tmp_path: Path) -> None:
    text = f"The <b>cat</b> of the {'x' * 5000} saw 😀 and the שלום of <script>alert(1)</script>.\n"
    found = read(tmp_path, text)
    assert {"😀", "שלום"} <= set(found.words)
    assert max(map(len, found.words)) <= 100


def test_chinese_is_segmented_and_cut_at_its_full_stops(tmp_path: Path) -> None:
    found = read(tmp_path, "这家酒店的服务很好。房间也不错！“早餐呢？”我们没有吃\n", stop_words=False)
    assert (found.language, found.trees) == ("zh", "none")
    assert [one.text for one in found.sentences] == [
        "这家酒店的服务很好。", "房间也不错！", "“早餐呢？”", "我们没有吃",
    ]  # fmt: skip
    assert found.sentences[0].tokens[1:3] == ["酒店", "的"]
    assert "的" not in found.words
    assert "酒店" in found.words
    assert "jieba" in found.parser
    for one in found.sentences:
        assert one.spans is not None
        assert [one.text[low:high] for low, high in one.spans] == one.tokens


def test_jieba_neither_reads_nor_writes_a_cache_nor_talks(tmp_path: Path) -> None:
    (tmp_path / "jieba.cache").write_bytes(b"what somebody else put there")
    code = (
        "from core.graph.corpus.chinese import load_segmenter\n"
        "import jieba\n"
        "jieba.marshal = None\n"
        "print('/'.join(load_segmenter()[0].cut('我们的酒店')))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True, text=True, check=True, encoding="utf-8",
    )  # fmt: skip
    assert result.stdout.strip() == "我们/的/酒店"
    assert result.stderr == ""
    assert [file.name for file in tmp_path.iterdir()] == ["jieba.cache"]
    assert (tmp_path / "jieba.cache").read_bytes() == b"what somebody else put there"


def test_the_words_of_chinese_news_are_those_of_the_source() -> None:
    found = read_corpus(CorpusConfig(source="zh-news", max_sentences=50))
    assert (found.language, found.trees) == ("zh", "none")
    # Three of the 18,999 rows hold punctuation only.
    assert found.total_sentences == 18_996
    assert "words as they stand in the source" in found.parser
    assert len(cooc_edges(found, CoocEdges(min_count=1))) > 100


def test_nothing_heavy_is_imported_with_the_module() -> None:
    code = (
        "import sys, core.graph.corpus, core.graph.edges.cooc, core.graph.edges.dep\n"
        "print(sorted({'torch', 'transformers', 'spacy', 'jieba', 'datasets'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
