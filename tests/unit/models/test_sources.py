from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import ModelError
from core.models import resolve


@pytest.fixture
def folder(encoder: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(encoder("bert"), tmp_path / "model"))


def set_config(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def test_a_complete_folder_is_accepted(folder: Path) -> None:
    found = resolve(str(folder))
    assert (found.kind, found.folder, found.source) == ("folder", folder, str(folder))


def test_a_relative_folder_becomes_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert resolve("model").folder == folder


def test_a_folder_that_is_not_there_suggests_the_hub() -> None:
    with pytest.raises(ModelError, match="hub:someone/some-bert"):
        resolve("someone/some-bert")


@pytest.mark.parametrize("source", ["", "  ", "a\0b"])
def test_an_impossible_name_is_refused(source: str) -> None:
    with pytest.raises(ModelError, match="empty or holds a NUL"):
        resolve(source)


def test_a_file_is_not_a_folder(folder: Path) -> None:
    with pytest.raises(ModelError, match="is a file"):
        resolve(str(folder / "model.safetensors"))


def test_an_empty_folder_is_named_empty(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is empty"):
        resolve(str(tmp_path))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "has no weights"),
        ("tokenizer.json", "has no tokenizer.json"),
    ],
)
def test_a_missing_file_is_named(folder: Path, missing: str, message: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=message):
        resolve(str(folder))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "pytorch_model-00001-of-00002.bin"])
def test_pickled_weights_are_refused_with_how_to_convert(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="pickled") as caught:
        resolve(str(folder))
    assert name in caught.value.what
    assert "save_pretrained" in (caught.value.advice or "")


def test_pickled_weights_beside_safetensors_are_passed_over(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert resolve(str(folder)).kind == "folder"


@pytest.mark.parametrize(("name", "kind"), [("model.onnx", "ONNX"), ("tf_model.h5", "TensorFlow")])
def test_other_formats_are_named(folder: Path, name: str, kind: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelError, match=f"in {kind} format"):
        resolve(str(folder))


def test_code_of_the_config_is_refused(folder: Path) -> None:
    set_config(folder, auto_map={"AutoModel": "modeling_x.Model"})
    with pytest.raises(ModelError, match="its own code"):
        resolve(str(folder))


def test_code_of_the_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["a.B", None]}}))
    with pytest.raises(ModelError, match="its own code: auto_map"):
        resolve(str(folder))


def test_a_python_file_is_refused(folder: Path) -> None:
    (folder / "modeling_x.py").write_text("raise SystemExit('executed')")
    with pytest.raises(ModelError, match=r"its own code: Python files \(modeling_x.py\)"):
        resolve(str(folder))


@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral", "qwen2"])
def test_decoders_are_refused_by_name(folder: Path, family: str) -> None:
    set_config(folder, model_type=family)
    with pytest.raises(ModelError, match=f"{family} is a decoder-only model"):
        resolve(str(folder))


def test_a_new_decoder_is_known_by_its_architecture(folder: Path) -> None:
    set_config(folder, model_type="newgen", architectures=["NewGenForCausalLM"])
    with pytest.raises(ModelError, match="newgen is a decoder-only model"):
        resolve(str(folder))


def test_encoder_decoders_are_refused(folder: Path) -> None:
    set_config(folder, model_type="t5", is_encoder_decoder=True)
    with pytest.raises(ModelError, match="t5 is an encoder-decoder"):
        resolve(str(folder))


def test_a_family_without_a_name_is_refused(folder: Path) -> None:
    set_config(folder, model_type=None)
    with pytest.raises(ModelError, match="does not name the model's family"):
        resolve(str(folder))


@pytest.mark.parametrize("text", ["{", "[]", "\udcff"])
def test_a_damaged_config_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=r"config\.json"):
        resolve(str(folder))


def test_cut_weights_are_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cut or damaged"):
        resolve(str(folder))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01\x02",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"{]",
        (2).to_bytes(8, "little") + b"[]",
        (30).to_bytes(8, "little") + b'{"a": {"dtype": "F32"}}       ',
        (100).to_bytes(8, "little") + b"{}",
    ],
)
def test_a_damaged_header_is_refused(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="safetensors"):
        resolve(str(folder))


def test_weights_without_tensors_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelError, match="no tensor"):
        resolve(str(folder))


def shard(folder: Path, names: dict[str, str]) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def test_shards_are_found_by_their_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    shard(folder, {"a": "model-00001-of-00001.safetensors"})
    assert resolve(str(folder)).kind == "folder"


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    shard(folder, {"a": "model-00002-of-00002.safetensors"})
    with pytest.raises(ModelError, match="model-00002-of-00002"):
        resolve(str(folder))


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "a.bin", 3])
def test_an_index_may_not_lead_out_of_the_folder(folder: Path, name: Any) -> None:
    (folder / "model.safetensors").unlink()
    shard(folder, {"a": name})
    with pytest.raises(ModelError, match="index of the weights"):
        resolve(str(folder))
