"""Layers that a student begins as: chosen by likeness, measured on rows."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from core.config import DataConfig
from core.errors import ConfigError
from core.models.cka import cka_matrix
from core.search.keeping import choose_layers, layers_to_keep
from tests.tiny import tiny_encoder


def blocks(*sizes: int) -> np.ndarray:
    """Return a likeness of 1 within blocks of neighbours and of 0.1 between them."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return np.where(owner[:, None] == owner[None], 1.0, 0.1)


def test_each_kept_layer_stands_for_neighbours_that_are_alike_and_the_last_stays() -> None:
    assert choose_layers(blocks(3, 1, 2), 3) == ([1, 4, 6], [(1, 3), (4, 4), (5, 6)])
    middle = np.array([[1, 0.9, 0.5, 0], [0.9, 1, 0.9, 0], [0.5, 0.9, 1, 0], [0, 0, 0, 1.0]])
    assert choose_layers(middle, 2) == ([2, 4], [(1, 3), (4, 4)])
    assert choose_layers(np.full((3, 3), np.nan), 3)[0] == [1, 2, 3]


def test_no_other_division_has_more_likeness_within_its_parts() -> None:
    given = np.random.default_rng(2).random((6, 6))
    alike = (given + given.T) / 2
    np.fill_diagonal(alike, 1.0)

    def differs(bounds: list[tuple[int, int]]) -> float:
        return sum(np.triu(1 - alike[first - 1 : last, first - 1 : last], 1).sum() for first, last in bounds)

    _, found = choose_layers(alike, 3)
    others = [[(1, one), (one + 1, two), (two + 1, 6)] for one, two in combinations(range(1, 6), 2)]
    assert differs(found) == pytest.approx(min(differs(one) for one in others))


def test_more_layers_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="there are 3"):
        choose_layers(np.eye(3), 4)


def test_it_is_measured_on_the_rows(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = tiny_encoder(tmp_path / "encoder", layers=4)
    texts = [f"the film was {word} and the actor {number}" for number, word in enumerate(["good", "bad"] * 20)]
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "\n".join(f"{text},{number % 2}" for number, text in enumerate(texts)))
    data = DataConfig(source=str(path), gate_share=0, test_share=0)
    found = layers_to_keep(str(folder), 2, data, cache=tmp_path / "cache")
    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder)(**batch, output_hidden_states=True).hidden_states[1:]
    here = batch["attention_mask"].bool()
    expected = cka_matrix([one[here].numpy() for one in states])
    np.testing.assert_allclose(np.asarray(found["likeness"], dtype=float), expected, atol=2e-4)
    assert (found["layers"], found["tokens"]) == (4, int(here.sum()))
    assert found["keep"] == choose_layers(expected, 2)[0]
    with pytest.raises(ConfigError, match="there are 4"):
        layers_to_keep(str(folder), 5, DataConfig(source="nowhere.csv"), cache=tmp_path / "cache")
