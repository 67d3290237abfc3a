"""The fast ways compute what the plain way computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core.config import Plan
from core.training import MemoryContext, train
from core.training.engine import Engine
from core.training.optim import Optimiser
from core.training.prepare import Prepared, prepare
from core.training.rows import UsedRows

FAMILIES = ("bert", "roberta", "electra")


@pytest.fixture
def prepared(make_plan: Callable[..., Plan], shared_cache: Path) -> Callable[..., Prepared]:
    return lambda **options: prepare(make_plan(**{"model": {"dropout": 0.0}, **options}), shared_cache)


def gradients(engine: Engine, indices: np.ndarray) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    features = engine.prepared.encoded["train"].features
    engine.prepared.model.zero_grad()
    total, weight, logits = engine.loss([features[index] for index in indices], indices)
    (total / weight).backward()
    return logits.detach(), {
        name: parameter.grad.clone()
        for name, parameter in engine.prepared.parameters.items()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tagging", [False, True])
def test_packed_path_equals_stock_logits_and_gradients(
    family: str, tagging: bool, prepared: Callable[..., Prepared]
) -> None:
    run = prepared(family=family, tagging=tagging)
    engine = Engine(run)
    engine.train_mode()
    indices = np.arange(0, 20)
    assert len({run.encoded["train"].lengths[index] for index in indices}) > 2
    stock, stock_gradients = gradients(engine, indices)
    engine.use_path("packed")
    packed, packed_gradients = gradients(engine, indices)
    kept = torch.ones(stock.shape[:2], dtype=torch.bool)
    if tagging:  # logits at padding mean nothing
        kept = (
            torch.arange(stock.shape[1])
            < torch.tensor([run.encoded["train"].lengths[index] for index in indices])[:, None]
        )
    torch.testing.assert_close(packed[kept], stock[kept], rtol=1e-5, atol=1e-5)
    assert packed_gradients.keys() == stock_gradients.keys()
    for name, gradient in stock_gradients.items():
        torch.testing.assert_close(
            packed_gradients[name], gradient, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )
    engine.close()
    torch.testing.assert_close(gradients(engine, indices)[0], stock, rtol=0, atol=0)


@pytest.mark.parametrize("path", ["stock", "packed"])
def test_batch_without_padding_and_single_example(path: str, prepared: Callable[..., Prepared]) -> None:
    run = prepared()
    lengths = np.asarray(run.encoded["train"].lengths)
    alike = np.flatnonzero(lengths == np.bincount(lengths).argmax())[:4]
    engine = Engine(run)
    engine.use_path(path)
    features = run.encoded["train"].features
    with engine.scoring(), torch.inference_mode():
        together, _ = engine.forward([features[index] for index in alike], alike, "train")
        alone = torch.cat([engine.forward([features[index]], np.array([index]), "train")[0] for index in alike])
    engine.close()
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_families_without_a_packed_path_have_the_stock_one(prepared: Callable[..., Prepared]) -> None:
    assert Engine(prepared(family="modernbert")).paths() == ["stock"]
    assert Engine(prepared(family="bert")).paths() == ["stock", "packed"]


@pytest.mark.parametrize("optimizer", [{"name": "adamw"}, {"name": "sgd"}, {"name": "adam"}])
def test_leaving_unused_rows_out_changes_nothing(
    optimizer: dict, make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    decay = 0.1 if optimizer["name"] == "adamw" else 0.0
    plan = make_plan(stage={"optimizer": optimizer, "weight_decay": decay, "lr": 3e-3}, model={"dropout": 0.0})
    found = {}
    for name in ("reduced", "whole"):
        if name == "whole":
            monkeypatch.setattr(UsedRows, "possible", staticmethod(lambda *_: False))
        context = MemoryContext(tmp_path / name, shared_cache)
        train(plan, context)
        assert (context.state["choices"]["trained_rows"] is None) == (name == "whole")
        found[name] = load_file(tmp_path / name / "best" / "model.safetensors")
    source = load_file(Path(plan.model.source) / "model.safetensors")
    for key, tensor in found["whole"].items():
        torch.testing.assert_close(
            found["reduced"][key], tensor, rtol=2e-4, atol=2e-6, msg=lambda text, key=key: f"{key}: {text}"
        )
    embedding = next(tensor for key, tensor in found["reduced"].items() if "word_embeddings" in key)
    before = next(tensor for key, tensor in source.items() if "word_embeddings" in key)
    assert embedding.shape == before.shape
    if decay:
        assert not torch.equal(embedding, before)


def test_rows_are_not_left_out_where_that_would_not_be_exact(prepared: Callable[..., Prepared]) -> None:
    assert prepared().rows is not None
    assert prepared(stage={"optimizer": {"name": "adam"}, "weight_decay": 0.1}).rows is None
    assert prepared(stage={"optimizer": {"name": "adafactor"}}).rows is None
    assert prepared(stage={"groups": [{"pattern": "embeddings", "frozen": True}]}).rows is None


@pytest.mark.parametrize("tagging", [False, True])
@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_accumulated_micro_batches_equal_the_large_batch(
    tagging: bool, weights: str, prepared: Callable[..., Prepared]
) -> None:
    run = prepared(tagging=tagging, stage={"class_weights": weights})
    engine = Engine(run)
    engine.train_mode()
    indices = np.arange(16)
    gradients(engine, indices)
    optimiser = Optimiser(run.stage.optimizer, run.groups, run.parameters, run.device)
    optimiser.set_rates(dict.fromkeys(optimiser.base, 0.0))
    norm = optimiser.step(None, None)
    before = {name: parameter.detach().clone() for name, parameter in run.parameters.items()}
    expected = {name: tensor.clone() for name, tensor in optimiser.state_tensors().items()}
    optimiser.zero()
    other = Optimiser(run.stage.optimizer, run.groups, run.parameters, run.device)
    other.set_rates(dict.fromkeys(other.base, 0.0))
    features = run.encoded["train"].features
    weight_sum = torch.zeros(())
    for part in (indices[:3], indices[3:9], indices[9:]):
        total, weight, _ = engine.loss([features[index] for index in part], part)
        total.backward()
        weight_sum = weight_sum + weight
    torch.testing.assert_close(other.step(weight_sum, None), norm, rtol=1e-4, atol=1e-6)
    for name, tensor in other.state_tensors().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-3, atol=1e-7)
    for name, parameter in run.parameters.items():
        assert torch.equal(parameter, before[name])  # a rate of zero moves nothing


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop", "adafactor"])
def test_optimiser_and_clipping_equal_torch(name: str) -> None:
    from core.config import OptimizerConfig
    from core.training.groups import GroupSpec

    torch.manual_seed(0)
    start = {"a.weight": torch.randn(5, 4), "a.bias": torch.randn(5)}
    mine = {key: torch.nn.Parameter(value.clone()) for key, value in start.items()}
    theirs = {key: torch.nn.Parameter(value.clone()) for key, value in start.items()}
    config = OptimizerConfig(name=name)
    optimiser = Optimiser(
        config,
        [GroupSpec("all", 0.01, 0.1, ["a.weight"]), GroupSpec("all", 0.01, 0.0, ["a.bias"])],
        mine,
        torch.device("cpu"),
    )
    groups = [
        {"params": [theirs["a.weight"]], "weight_decay": 0.1},
        {"params": [theirs["a.bias"]], "weight_decay": 0.0},
    ]
    oracle = {
        "adamw": lambda: torch.optim.AdamW(groups, lr=0.01), "adam": lambda: torch.optim.Adam(groups, lr=0.01),
        "sgd": lambda: torch.optim.SGD(groups, lr=0.01, momentum=0.9),
        "adafactor": lambda: torch.optim.Adafactor(groups, lr=0.01),
        "rmsprop": lambda: torch.optim.RMSprop(groups, lr=0.01, momentum=0.9),
    }[name]()  # fmt: skip
    for step in range(5):
        for key in start:
            gradient = torch.randn(start[key].shape) * (step + 1)
            mine[key].grad, theirs[key].grad = gradient * 7.0, gradient.clone()
        expected = torch.nn.utils.clip_grad_norm_(list(theirs.values()), 1.0)
        oracle.step()
        optimiser.set_rates({"all": 0.01})
        norm = optimiser.step(torch.tensor(7.0), 1.0)
        torch.testing.assert_close(norm, expected)
        for key in start:
            torch.testing.assert_close(mine[key], theirs[key], rtol=1e-5, atol=1e-6)
