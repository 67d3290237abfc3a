from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import ModelConfig, Plan, TaskConfig
from core.data.tasks import Task, task_for
from tests.tiny import tiny_encoder

LABELS = {"classification": ["good", "bad", "so so"], "tagging": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]}


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give the folder of a tiny encoder of a family; tests must not write into it."""
    made: dict[Any, Path] = {}

    def get(family: str = "bert", layers: int = 2) -> Path:
        if (family, layers) not in made:
            folder = tmp_path_factory.mktemp("encoders") / family
            made[family, layers] = tiny_encoder(folder, family, layers=layers)
        return made[family, layers]

    return get


@pytest.fixture(scope="session")
def trained(encoder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give the best folder of a pretended run, with a head whose answers differ between texts."""
    import torch

    from core.models import build_model, save_model

    made: dict[Any, Path] = {}

    def get(
        family: str = "bert", kind: str = "classification", multi_label: bool = False, layers: int = 2
    ) -> Path:  # fmt: skip
        key = (family, kind, multi_label, layers)
        if key not in made:
            task = make_task(kind, multi_label=multi_label)
            model, tokenizer = build_model(
                ModelConfig(source=str(encoder(family, layers)), max_length=32), task, seed=1
            )
            texts = ["the film was good", "anna lives in paris", "a dull story", "这电影很好", "cat dog run"]
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if "classifier" in name and parameter.ndim == 2:
                        parameter.mul_(20)
                logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
                bias = [value for name, value in model.named_parameters() if "classifier" in name and value.ndim == 1]
                bias[-1].sub_(logits.reshape(-1, logits.shape[-1]).mean(dim=0))  # no label prevails
            folder = tmp_path_factory.mktemp("run") / "best"
            plan = Plan(name="A <b>name</b> | of a run", task=TaskConfig.model_validate({"kind": kind}))
            save_model(folder, model, tokenizer, task, max_length=32, plan=plan, metrics={"gate/accuracy": 0.5})
            made[key] = folder
        return made[key]

    return get


def make_task(kind: str = "classification", **settings: Any) -> Task:
    return task_for(TaskConfig.model_validate({"kind": kind, "stride": 4, **settings}), LABELS[kind])
