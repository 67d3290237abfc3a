"""The list of parameters is that of the model which the training loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import ModelConfig, TaskConfig
from core.data.tasks import task_for
from core.errors import ModelError
from core.models import build_model
from core.training.parameters import model_parameters
from tests.tiny import tiny_encoder


@pytest.mark.parametrize(
    ("kind", "labels"), [("classification", ["a", "b", "c"]), ("tagging", ["O", "B-x", "I-x", "B-y", "I-y"])]
)
def test_names_and_sizes_are_those_of_the_loaded_model(tmp_path: Path, kind: str, labels: list[str]) -> None:
    folder = tiny_encoder(tmp_path / "encoder")
    task = TaskConfig(kind=kind)  # type: ignore[arg-type]
    found = model_parameters(str(folder), None, task, len(labels))
    model, _ = build_model(ModelConfig(source=str(folder), max_length=16), task_for(task, labels), seed=0)
    loaded = [(name, parameter.numel(), parameter.ndim) for name, parameter in model.named_parameters()]
    assert list(zip(found["names"], found["sizes"], found["dimensions"], strict=True)) == loaded


def test_every_parameter_belongs_to_a_unit(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "encoder")
    found = model_parameters(str(folder), None, TaskConfig(), 2)
    layers = {f"layer {index}" for index in range(found["layers"])}
    assert set(found["units"]) == {"embeddings", "head", *layers}


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        model_parameters(str(tmp_path), None, TaskConfig(), 2)
