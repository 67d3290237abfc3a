from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.config import ModelConfig, Plan, plan_from_dict
from core.errors import ModelError, StorageError
from core.models import build_model, load_finished, save_model
from core.models.atomic import new_folder
from tests.tiny import FAMILIES
from tests.unit.models.conftest import make_task


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["classification", "tagging"])
def test_a_saved_model_loads_as_it_was(encoder: Callable[[str], Path], tmp_path: Path, family: str, kind: str) -> None:
    import transformers

    task = make_task(kind)
    model, tokenizer = build_model(ModelConfig(source=str(encoder(family)), max_length=24), task, seed=3)
    save_model(tmp_path / "best", model, tokenizer, task, max_length=24, plan=Plan(), metrics={"a": 1.0})
    finished = load_finished(tmp_path / "best")
    stock = getattr(transformers, task.auto_class).from_pretrained(tmp_path / "best")
    for name, value in model.state_dict().items():
        assert torch.equal(finished.model.state_dict()[name], value)
        assert torch.equal(stock.state_dict()[name], value)
    assert stock.config.id2label == task.model_kwargs()["id2label"]
    assert (finished.max_length, finished.task.kind) == (24, kind)
    assert finished.tokenizer.model_max_length == 24


def test_what_prediction_needs_stands_beside_the_weights(trained: Callable[..., Path]) -> None:
    side = json.loads((trained("bert", "tagging") / "bertloom.json").read_text())
    assert side["format"] == 1
    assert side["labels"] == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    assert side["task"]["kind"] == "tagging"
    assert side["task"]["stride"] == 4
    assert side["max_length"] == 32
    assert plan_from_dict(side["plan"]).name == "A <b>name</b> | of a run"
    assert side["metrics"] == {"gate/accuracy": 0.5}


def test_numbers_that_json_lacks_become_null(encoder: Callable[[str], Path], tmp_path: Path) -> None:
    task = make_task()
    model, tokenizer = build_model(ModelConfig(source=str(encoder("bert")), max_length=24), task, seed=3)
    save_model(tmp_path / "best", model, tokenizer, task, max_length=24, plan=None, metrics={"loss": float("nan")})
    assert json.loads((tmp_path / "best" / "bertloom.json").read_text())["metrics"] == {"loss": None}


def test_nothing_pickled_is_written(trained: Callable[..., Path]) -> None:
    names = {file.name for file in trained("bert").iterdir()}
    assert names == {"bertloom.json", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def test_a_failure_while_saving_keeps_the_folder_before(
    encoder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    model, tokenizer = build_model(ModelConfig(source=str(encoder("bert")), max_length=24), task, seed=3)
    target = tmp_path / "best"
    save_model(target, model, tokenizer, task, max_length=24, plan=None, metrics={"step": 1})

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tokenizer, "save_pretrained", full)
    with pytest.raises(StorageError, match="No space left"):
        save_model(target, model, tokenizer, task, max_length=24, plan=None, metrics={"step": 2})
    assert json.loads((target / "bertloom.json").read_text())["metrics"] == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["best"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with contextlib.suppress(RuntimeError), new_folder(target) as partial:
        (partial / "half").write_text("x")
        raise RuntimeError("crash")
    assert not list(tmp_path.iterdir())
    with new_folder(target) as partial:
        (partial / "file").write_text("1")
        assert not target.exists()
    with new_folder(target) as partial:
        (partial / "other").write_text("2")
        assert (target / "file").read_text() == "1"
    assert [entry.name for entry in target.iterdir()] == ["other"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "folder"
    with new_folder(target) as partial:
        (partial / "file").write_text("1")
    rename = Path.rename

    def stubborn(self: Path, to: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError(errno.EACCES, "denied")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", stubborn)
    with pytest.raises(OSError, match="denied"), new_folder(target) as partial:
        (partial / "file").write_text("2")
    assert (target / "file").read_text() == "1"
    assert os.listdir(tmp_path) == ["folder"]


def test_an_encoder_without_head_cannot_predict(encoder: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match="no trained head"):
        load_finished(encoder("bert"))


def test_a_stock_classifier_without_our_file_is_read_by_its_config(
    trained: Callable[..., Path], tmp_path: Path
) -> None:
    for kind in ("classification", "tagging"):
        folder = Path(shutil.copytree(trained("bert", kind), tmp_path / kind))
        (folder / "bertloom.json").unlink()
        finished = load_finished(folder)
        assert (finished.task.kind, finished.info, finished.max_length) == (kind, {}, 128)
    multi = Path(shutil.copytree(trained("bert", multi_label=True), tmp_path / "multi"))
    (multi / "bertloom.json").unlink()
    assert load_finished(multi).task.primary_metric == "micro_f1"


def test_a_head_that_is_missing_from_the_weights_is_refused(trained: Callable[..., Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(trained("bert"), tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    del tensors["classifier.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"classifier\.weight"):
        load_finished(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ('{"format": 99}', "format 99"),
        ('{"format": 1}', "does not describe a task"),
        ('{"format": 1, "task": {"kind": "weather"}, "labels": ["a", "b"], "max_length": 8}', "does not describe"),
        ('{"format": 1, "task": {"kind": "tagging"}, "labels": ["a", "b"], "max_length": 8}', "does not describe"),
        ('{"format": 1, "task": {"kind": "classification"}, "labels": ["a", "b"], "max_length": 8}', "do not fit"),
    ],
)
def test_a_damaged_side_file_is_refused(
    trained: Callable[..., Path], tmp_path: Path, content: str, message: str
) -> None:
    folder = Path(shutil.copytree(trained("bert"), tmp_path / "model"))
    (folder / "bertloom.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        load_finished(folder)
