"""Students made of some of an encoder's layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from core.config import ModelConfig, Plan, TaskConfig
from core.data.tasks import task_for
from core.errors import ConfigError
from core.models.layers import kept_layers, structure
from core.models.loading import build_model
from core.training import MemoryContext, Outcome, train
from core.training.curves import layers_of
from core.training.parameters import model_parameters
from tests.tiny import tiny_encoder

TASK = task_for(TaskConfig(), ["no", "yes"])


@pytest.mark.parametrize(
    ("chosen", "layers", "expected"),
    [
        (None, 3, [1, 2, 3]),
        (3, 6, [2, 4, 6]),
        (2, 6, [3, 6]),
        (4, 6, [2, 3, 5, 6]),
        (6, 6, [1, 2, 3, 4, 5, 6]),
        (1, 12, [12]),
        ([1, 4], 6, [1, 4]),
    ],
)
def test_layers_are_spread_evenly_or_named(chosen: int | list[int] | None, layers: int, expected: list[int]) -> None:
    assert kept_layers(chosen, layers) == expected


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "electra"])
def test_a_student_computes_what_its_layers_compute_in_a_row(family: str, tmp_path: Path) -> None:
    folder = str(tiny_encoder(tmp_path / family, family, layers=4))
    whole, tokenizer = build_model(ModelConfig(source=folder, max_length=32), TASK, seed=0)
    student, _ = build_model(ModelConfig(source=folder, max_length=32, keep_layers=[2, 4]), TASK, seed=0)
    assert student.config.num_hidden_layers == 2
    inputs = tokenizer("a film that I liked", return_tensors="pt")
    with torch.no_grad():
        for number in (1, 3):  # a layer that hands on what it is given
            layer = structure(whole).layers[number - 1]
            layer.forward = lambda hidden, *others, **named: hidden
        assert torch.allclose(whole(**inputs).logits, student(**inputs).logits, atol=1e-6)


def test_a_trained_student_is_a_stock_model_of_fewer_layers(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "bert", layers=3)
    data = tmp_path / "rows.csv"
    data.write_text("text,label\n" + "\n".join(f"film {n} is {'good' if n % 2 else 'bad'},{n % 2}" for n in range(60)))
    plan = Plan(
        data={"source": str(data)}, model={"source": str(folder), "max_length": 16, "keep_layers": 2},
        stages=[{"steps": 2}], runtime={"threads": 1, "precision": "fp32", "device": "cpu"},
    )  # fmt: skip
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    assert train(plan, context) is Outcome.FINISHED
    model = AutoModelForSequenceClassification.from_pretrained(context.folder / "best")
    assert len(structure(model).layers) == 2
    assert layers_of(plan) == 2


def test_forms_see_the_parameters_of_the_student_only(tmp_path: Path) -> None:
    folder = str(tiny_encoder(tmp_path / "bert", layers=3))
    found = model_parameters(folder, None, TaskConfig(), 2, keep_layers=[1])
    assert found["layers"] == 1
    assert {unit for unit in found["units"] if unit.startswith("layer")} == {"layer 0"}


def test_layers_that_the_encoder_does_not_have_are_refused(tmp_path: Path) -> None:
    folder = str(tiny_encoder(tmp_path / "bert", layers=2))
    for chosen in (3, [1, 5]):
        with pytest.raises(ConfigError, match="has 2 layers") as caught:
            build_model(ModelConfig(source=folder, max_length=32, keep_layers=chosen), TASK, seed=0)
        assert caught.value.where == "model.keep_layers"


def test_layers_that_hang_together_are_not_taken_apart(tmp_path: Path) -> None:
    folder = str(tiny_encoder(tmp_path / "modernbert", "modernbert", layers=3))
    with pytest.raises(ConfigError, match="cannot be taken away one by one"):
        build_model(ModelConfig(source=folder, max_length=32, keep_layers=2), TASK, seed=0)


@pytest.mark.parametrize("wrong", [0, [], [0, 2], [2, 1], [1, 1]])
def test_a_choice_that_makes_no_sense_is_refused(wrong: int | list[int]) -> None:
    with pytest.raises(ValueError, match="keep_layers"):
        ModelConfig(keep_layers=wrong)
