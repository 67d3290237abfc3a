"""Folders of shaped encoders: written, described, trained on, exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.config import ModelConfig
from core.config.shape import EncoderShape
from core.errors import ModelError, StorageError
from core.models import build_model, describe, load_finished, save_model
from core.models.export import export_model
from core.models.shaped.files import describe_shape, new_encoder
from tests.unit.models.conftest import make_task

SHAPE = EncoderShape.of_widths([16, 24], mode="stepped", head_size=8, positions=48)


@pytest.fixture
def folder(encoder: Callable[[str], Path], tmp_path: Path) -> Path:
    return new_encoder(SHAPE, tmp_path / "shaped", tokenizer=str(encoder("bert")))


def test_a_new_encoder_has_the_tokenizers_vocabulary_and_the_described_parameters(
    folder: Path, encoder: Callable[[str], Path]
) -> None:
    from transformers import AutoModel

    from core.models.shaped.register import register

    found = describe_shape(str(folder))
    register()
    model = AutoModel.from_pretrained(folder)
    assert found["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert [(one["width"], one["heads"], one["intermediate"]) for one in found["layers"]] == [(16, 2, 64), (24, 3, 96)]
    assert model.config.vocab_size == AutoModel.from_pretrained(encoder("bert")).config.vocab_size


def test_one_seed_gives_one_encoder_and_leaves_the_random_state_alone(
    encoder: Callable[[str], Path], tmp_path: Path
) -> None:
    state = torch.random.get_rng_state()
    first = new_encoder(SHAPE, tmp_path / "a", tokenizer=str(encoder("bert")), seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(5)
    second = new_encoder(SHAPE, tmp_path / "b", tokenizer=str(encoder("bert")), seed=3)
    other = new_encoder(SHAPE, tmp_path / "c", tokenizer=str(encoder("bert")), seed=4)
    weights = [(place / "model.safetensors").read_bytes() for place in (first, second, other)]
    assert weights[0] == weights[1] != weights[2]


def test_random_weights_say_that_they_are(encoder: Callable[[str], Path], tmp_path: Path) -> None:
    made = new_encoder(EncoderShape.of_widths([16, 8], head_size=8), tmp_path / "new", tokenizer=str(encoder("bert")))
    about = describe(str(made))
    assert about.origin == "random"
    assert any("weights are random" in words for words in about.warnings)
    assert describe(str(encoder("bert"))).origin is None


def test_a_folder_that_holds_something_is_not_touched(encoder: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(StorageError, match="not empty"):
        new_encoder(SHAPE, tmp_path, tokenizer=str(encoder("bert")))
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_stock_bert_is_described_too(encoder: Callable[[str], Path]) -> None:
    found = describe_shape(str(encoder("bert")))
    assert (found["mode"], found["embedding"], found["output"]) == ("bus", 32, 32)
    assert [one["width"] for one in found["layers"]] == [32, 32]


def test_another_family_has_no_shape(encoder: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match="family 'electra' is not known"):
        describe_shape(str(encoder("electra")))


def test_the_card_of_an_exported_one_says_how_it_loads_and_its_lines_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = make_task("classification")
    model, tokenizer = build_model(ModelConfig(source=str(folder), max_length=32), task, seed=0)
    save_model(tmp_path / "best", model, tokenizer, task, max_length=32, plan=None, metrics={})
    place = export_model(tmp_path / "best", tmp_path / "out")
    card = (place / "README.md").read_text()
    assert "differ in size" in card
    lines = card.partition("```python\n")[2].partition("```")[0]
    assert "register()" in lines
    monkeypatch.chdir(place)
    exec(compile(lines, "card", "exec"), {})
    printed = capsys.readouterr().out
    again = load_finished(place)
    batch = again.tokenizer(["A text to classify."], return_tensors="pt")
    with torch.no_grad():
        share = again.model(**batch).logits.softmax(-1)[0]
    assert all(f"{value:.4f}".rstrip("0") in printed for value in share.tolist())
