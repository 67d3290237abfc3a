from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.models import describe, resolve
from tests.tiny import FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_the_shape_is_read_for_every_family(encoder: Callable[[str], Path], family: str) -> None:
    info = describe(str(encoder(family)))
    assert (info.family, info.layers, info.hidden_size, info.heads, info.intermediate_size) == (family, 2, 32, 2, 64)
    assert info.max_length == 128


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_and_bytes_are_those_of_the_model(encoder: Callable[[str], Path], family: str) -> None:
    from transformers import AutoModel

    info = describe(str(encoder(family)))
    model = AutoModel.from_pretrained(encoder(family))
    assert info.parameters == model.num_parameters()
    assert info.vocab_size == model.config.vocab_size
    assert info.bytes == (encoder(family) / "model.safetensors").stat().st_size


def test_describing_imports_neither_torch_nor_transformers(encoder: Callable[[str], Path]) -> None:
    code = (
        "import sys, core.models\n"
        f"info = core.models.describe({str(encoder('bert'))!r}).as_dict()\n"
        "heavy = ('torch', 'transformers', 'datasets', 'pandas')\n"
        "print(info['layers'], [name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 []"


def test_lower_casing_is_told(encoder: Callable[[str], Path]) -> None:
    assert any("lower-cases" in warning for warning in describe(str(encoder("bert"))).warnings)
    assert not any("lower-cases" in warning for warning in describe(str(encoder("roberta"))).warnings)


def test_an_unknown_family_is_warned_about(encoder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(encoder("bert"), tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "nobert"}))
    assert any("nobert" in warning for warning in describe(str(folder)).warnings)


def test_scripts_are_told_by_the_vocabulary(encoder: Callable[[str], Path], tmp_path: Path) -> None:
    assert describe(str(encoder("bert"))).language_hint == "Latin script"
    assert describe(str(encoder("roberta"))).language_hint is None
    folder = Path(shutil.copytree(encoder("bert"), tmp_path / "model"))
    data = json.loads((folder / "tokenizer.json").read_text())
    data["model"]["vocab"] = {chr(0x4E00 + index): index for index in range(500)} | {"[UNK]": 500, "a": 501}
    (folder / "tokenizer.json").write_text(json.dumps(data))
    assert describe(str(folder)).language_hint == "Chinese"


def test_the_labels_of_a_trained_model_are_told(trained: Callable[..., Path]) -> None:
    assert describe(str(trained("bert"))).labels == ["good", "bad", "so so"]


@pytest.mark.slow
def test_the_bundled_encoder_is_described() -> None:
    info = describe("bundled")
    assert (info.family, info.layers, info.hidden_size, info.heads, info.vocab_size) == ("bert", 6, 384, 12, 30522)
    assert info.language_hint == "Latin script"
    assert resolve("bundled").kind == "bundled"
