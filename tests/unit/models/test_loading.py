from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.config import ModelConfig
from core.errors import ModelError
from core.models import build_model, load_tokenizer
from tests.tiny import FAMILIES, tiny_encoder
from tests.unit.models.conftest import make_task


def config(folder: Path, **values: object) -> ModelConfig:
    return ModelConfig.model_validate({"source": str(folder), "max_length": 32, **values})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["classification", "tagging"])
def test_the_head_depends_on_the_seed_alone(encoder: Callable[[str], Path], family: str, kind: str) -> None:
    states = []
    for ambient, seed in ((1, 7), (2, 7), (1, 8)):
        torch.manual_seed(ambient)
        before = torch.get_rng_state()
        model, _ = build_model(config(encoder(family)), make_task(kind), seed=seed)
        assert torch.equal(before, torch.get_rng_state())
        states.append(model.state_dict())
    first, same, other = states
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first if "classifier" in name)
    fresh = ("classifier", "pooler", "head", "pre_classifier")  # a pooler that the weights lack is new too
    assert all(torch.equal(first[name], other[name]) for name in first if not any(part in name for part in fresh))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_is_the_one_in_the_folder(encoder: Callable[[str], Path], family: str) -> None:
    from transformers import AutoModel

    model, _ = build_model(config(encoder(family)), make_task("tagging"), seed=0)
    stock = AutoModel.from_pretrained(encoder(family)).state_dict()
    loaded = model.base_model.state_dict()
    assert loaded
    assert all(torch.equal(value, stock[name]) for name, value in loaded.items())


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_overridden_everywhere(encoder: Callable[[str], Path], family: str) -> None:
    model, _ = build_model(config(encoder(family), dropout=0.25), make_task(), seed=0)
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.25}
    rates = {name: value for name, value in model.config.to_dict().items() if "dropout" in name}
    assert rates
    assert all(value == 0.25 for value in rates.values())
    plain, _ = build_model(config(encoder(family)), make_task(), seed=0)
    assert 0.25 not in {module.p for module in plain.modules() if isinstance(module, torch.nn.Dropout)}


def test_no_dropout_makes_training_mode_deterministic(encoder: Callable[[str], Path]) -> None:
    model, tokenizer = build_model(config(encoder("modernbert"), dropout=0.0), make_task(), seed=0)
    batch = tokenizer(["good film"], return_tensors="pt")
    model.train()
    assert torch.equal(model(**batch).logits, model(**batch).logits)


def test_label_names_stand_in_the_config(encoder: Callable[[str], Path]) -> None:
    model, _ = build_model(config(encoder("bert")), make_task(), seed=0)
    assert model.config.id2label == {0: "good", 1: "bad", 2: "so so"}
    assert model.config.problem_type == "single_label_classification"
    assert model.dtype is torch.float32
    assert not model.training


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = tiny_encoder(tmp_path / "model")
    AutoModel.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    model, _ = build_model(config(folder), make_task(), seed=0)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_head_with_the_same_labels_is_kept_and_another_is_replaced(trained: Callable[..., Path]) -> None:
    from safetensors.torch import load_file

    folder = trained("bert")
    saved = load_file(folder / "model.safetensors")["classifier.weight"]
    model, _ = build_model(config(folder), make_task(), seed=9)
    assert torch.equal(model.classifier.weight, saved)
    task = make_task()
    other = type(task)(task.config, ["three", "other", "labels"])
    model, _ = build_model(config(folder), other, seed=9)
    assert not torch.equal(model.classifier.weight, saved)
    wider = type(task)(task.config, ["more", "labels", "than", "before"])
    model, _ = build_model(config(folder), wider, seed=9)
    assert model.classifier.weight.shape == (4, 32)


def test_weights_that_do_not_fit_the_config_are_refused(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "model")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "num_hidden_layers": 3}))
    with pytest.raises(ModelError, match="do not fit"):
        build_model(config(folder), make_task(), seed=0)
    (folder / "config.json").write_text(json.dumps({**settings, "intermediate_size": 48}))
    with pytest.raises(ModelError, match="another shape"):
        build_model(config(folder), make_task(), seed=0)


def test_a_family_that_transformers_lacks_is_refused(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "model")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "model_type": "nobert"}))
    with pytest.raises(ModelError, match="does not know this model"):
        build_model(config(folder), make_task(), seed=0)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_length_that_the_model_cannot_read_is_refused(encoder: Callable[[str], Path], family: str) -> None:
    build_model(config(encoder(family), max_length=128), make_task(), seed=0)
    with pytest.raises(ModelError, match="at most 128"):
        build_model(config(encoder(family), max_length=129), make_task(), seed=0)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    from transformers import BertTokenizer

    folder = tiny_encoder(tmp_path / "model")
    BertTokenizer(vocab={f"word{index}": index for index in range(400)} | {"[UNK]": 400}).save_pretrained(folder)
    with pytest.raises(ModelError, match="pieces"):
        build_model(config(folder), make_task(), seed=0)


def test_a_damaged_tokenizer_is_refused(encoder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(encoder("bert"), tmp_path / "model"))
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "WordPiece"}}')
    with pytest.raises(ModelError, match="tokenizer cannot be loaded"):
        load_tokenizer(folder)


def test_truncation_and_padding_of_the_file_do_not_leak_in(encoder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(encoder("bert"), tmp_path / "model"))
    from tokenizers import Tokenizer

    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.enable_truncation(4)
    backend.enable_padding(length=16)
    backend.save(str(folder / "tokenizer.json"))
    tokenizer = load_tokenizer(folder)
    assert len(tokenizer.backend_tokenizer.encode("good film good film good film").ids) == 8


@pytest.mark.parametrize("family", ["roberta", "modernbert"])
def test_byte_level_tokenizers_put_a_space_before_words(
    encoder: Callable[[str], Path], family: str, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = load_tokenizer(encoder(family), words=True)
    tokenizer.save_pretrained(tmp_path / "saved")
    shutil.copy(encoder(family) / "config.json", tmp_path / "saved")
    wanted = load_tokenizer(encoder(family))(" good film")["input_ids"]
    for one in (tokenizer, AutoTokenizer.from_pretrained(tmp_path / "saved")):
        assert one(["good", "film"], is_split_into_words=True)["input_ids"] == wanted


def test_distilbert_is_given_no_types(encoder: Callable[[str], Path]) -> None:
    assert "token_type_ids" not in load_tokenizer(encoder("distilbert"))("a", "b")
    assert "token_type_ids" in load_tokenizer(encoder("bert"))("a", "b")


@pytest.mark.slow
def test_the_bundled_encoder_loads_as_stock_transformers_loads_it() -> None:
    from transformers import AutoModel

    from core.models import resolve

    model, tokenizer = build_model(ModelConfig(source="bundled"), make_task(), seed=0)
    stock = AutoModel.from_pretrained(resolve("bundled").folder).eval()
    batch = tokenizer(["A fine film."], return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(model.base_model(**batch)[0], stock(**batch)[0])
