"""Statistics of a parent: every part is there, agrees with what it is made of, and small corpora are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.config.graph import CorpusConfig
from core.config.plan import ModelConfig
from core.config.statistics import StatisticsConfig
from core.errors import DataError
from core.search.statistics import statistics
from tests.tiny import WORDS, tiny_encoder


def corpus(folder: Path, sentences: int) -> Path:
    """Write CoNLL-U whose words are many, so that there are trees and no parser is needed."""
    rng = np.random.default_rng(0)
    known = [word for word in WORDS if word.isalpha()]
    lines = []
    for _ in range(sentences):
        words = [f"{known[rng.integers(len(known))]}{'sed'[rng.integers(3)]}" for _ in range(6)]
        for at, word in enumerate(words, 1):
            lines.append(f"{at}\t{word}\t{word}\tNOUN\t_\t_\t{at - 1}\t{'root' if at == 1 else 'dep'}\t_\t_")
        lines.append("")
    path = folder / "trees.conllu"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("statistics")
    model = tiny_encoder(folder / "encoder", hidden=32, layers=3, heads=4)
    config = StatisticsConfig(
        corpus=CorpusConfig(source=str(corpus(folder, 200)), max_sentences=200, min_count=1),
        model=ModelConfig(source=str(model), max_length=64), words=250, draws=10, neighbours=5, rank=8,
    )  # fmt: skip
    return statistics(config, cache=folder / "cache")


def test_every_layer_has_its_figures(found: dict[str, Any]) -> None:
    assert [entry["layer"] for entry in found["layers"]] == [0, 1, 2, 3]
    for entry in found["layers"]:
        assert entry["widths"] == [8, 16, 24, 32]
        assert entry["least"] in entry["widths"]
        assert entry["least_low"] <= entry["least_high"]
        assert (entry["rho"][-1], entry["overlap"][-1]) == (1.0, 1.0)
        assert entry["margin"] == pytest.approx(entry["uuas"] - found["chain"], abs=1e-5)
    assert found["trees"] == "gold"
    assert found["words"] <= 250


def test_likeness_is_symmetric_and_newness_comes_from_it(found: dict[str, Any]) -> None:
    likeness = np.asarray(found["cka"])
    np.testing.assert_allclose(likeness, likeness.T)
    np.testing.assert_allclose(np.diag(likeness), 1.0)
    for entry in found["layers"][1:]:
        assert entry["novelty"] == pytest.approx(1 - likeness[entry["layer"] - 1, entry["layer"]], abs=1e-5)


def test_segments_cover_all_layers_and_hold_their_representative(found: dict[str, Any]) -> None:
    depth = found["depth"]
    assert len(depth["costs"]) == 3
    assert depth["costs"][-1] == 0.0
    for number, segments in depth["segments"].items():
        assert len(segments) == int(number)
        layers = [layer for one in segments for layer in range(one["first"], one["last"] + 1)]
        assert layers == [1, 2, 3]
        for one in segments:
            assert one["first"] <= one["representative"] <= one["last"]
            needed = [found["layers"][layer]["least"] for layer in range(one["first"], one["last"] + 1)]
            assert one["least"] == max(needed)


def test_a_corpus_too_small_for_statistics_is_refused_with_the_least_size(tmp_path: Path) -> None:
    model = tiny_encoder(tmp_path / "encoder", hidden=16, layers=1)
    config = StatisticsConfig(
        corpus=CorpusConfig(source=str(corpus(tmp_path, 10)), min_count=1),
        model=ModelConfig(source=str(model), max_length=64),
    )  # fmt: skip
    with pytest.raises(DataError, match=r"10 sentences and .* too few .*at least 50 sentences and 200 words"):
        statistics(config, cache=tmp_path / "cache")


def test_sub_words_are_those_of_the_parent(tmp_path: Path) -> None:
    model = tiny_encoder(tmp_path / "encoder", hidden=16, layers=2)
    config = StatisticsConfig(
        corpus=CorpusConfig(source=str(corpus(tmp_path, 60)), unit="subword", min_count=1),
        model=ModelConfig(source=str(model), max_length=64), draws=2, neighbours=3,
    )  # fmt: skip
    with pytest.raises(DataError, match=r"60 sentences and \d+ different words"):
        statistics(config, cache=tmp_path / "cache")  # the tiny vocabulary is read, and is too small
