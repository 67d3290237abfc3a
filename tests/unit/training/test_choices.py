"""Choosing precision, threads and path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.config import Plan
from core.training import choices
from core.training.choices import Choice, choose, product_seconds
from core.training.device import exclusive
from core.training.engine import Engine
from core.training.prepare import prepare


@pytest.fixture
def engine(make_plan: Callable[..., Plan], tmp_path: Path):
    plan = make_plan(runtime={"threads": "auto", "precision": "auto"})
    with exclusive(deterministic=True):
        made = Engine(prepare(plan, tmp_path))
        yield made
        made.close()


@pytest.fixture
def two_by_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "_candidates", lambda _: ([2, 1], ["bf16", "fp32"], ["packed", "stock"]))


def _products(monkeypatch: pytest.MonkeyPatch, seconds: dict[tuple[int, str], float]) -> None:
    monkeypatch.setattr(choices, "product_seconds", lambda _, threads, kind, __: seconds[threads, kind])


def _passes(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[Engine], float]) -> list[str]:
    called: list[str] = []

    def one_pass(engine: Engine, *_: object) -> float:
        called.append(f"{torch.get_num_threads()} {engine.precision} {engine.path}")
        return seconds(engine)

    monkeypatch.setattr(choices, "one_pass", one_pass)
    return called


@pytest.mark.parametrize("better", ["fp32", "bf16"])
def test_a_short_run_takes_what_the_products_say_and_pays_for_no_pass(engine, two_by_two, monkeypatch, better):
    worse = "bf16" if better == "fp32" else "fp32"
    _products(monkeypatch, {(2, better): 1.0, (2, worse): 2.0, (1, better): 1.9, (1, worse): 4.0})
    called = _passes(monkeypatch, lambda _: 1.0)
    choice, timings = choose(engine, steps=64)
    assert choice == Choice(2, better, "packed")
    assert (engine.precision, engine.path, torch.get_num_threads()) == (better, "packed", 2)
    assert not called
    took = {(one["threads"], one["precision"]): one["product_ms"] for one in timings}
    assert took == {(2, better): 1000, (2, worse): 2000, (1, better): 1900, (1, worse): 4000}


def test_one_thread_is_taken_where_two_are_slower(engine, two_by_two, monkeypatch):
    _products(monkeypatch, {(2, "fp32"): 6.0, (2, "bf16"): 6.0, (1, "fp32"): 1.0, (1, "bf16"): 2.0})
    _passes(monkeypatch, lambda _: 1.0)
    assert choose(engine, steps=64)[0] == Choice(1, "fp32", "packed")


def test_a_long_run_settles_near_ties_by_whole_passes(engine, two_by_two, monkeypatch):
    _products(monkeypatch, {(2, "bf16"): 1.0, (2, "fp32"): 1.2, (1, "bf16"): 9.0, (1, "fp32"): 9.0})
    called = _passes(monkeypatch, lambda engine: {"bf16": 2.0, "fp32": 1.0}[engine.precision])
    choice, timings = choose(engine, steps=10_000)
    assert choice == Choice(2, "fp32", "packed")
    assert {"2 bf16 packed", "2 fp32 packed", "2 fp32 stock"} == set(called)
    assert sum("seconds" in one for one in timings) == 3


def test_passes_never_take_more_than_their_share_of_the_steps(engine, two_by_two, monkeypatch):
    _products(monkeypatch, dict.fromkeys([(2, "bf16"), (2, "fp32"), (1, "bf16"), (1, "fp32")], 1.0))
    for steps in (0, 100, 300, 450, 1000):
        called = _passes(monkeypatch, lambda _: 1.0)
        choose(engine, steps=steps)
        assert len(called) <= choices.SHARE * steps


def test_choosing_changes_no_weight_and_leaves_no_gradient(engine, two_by_two):
    before = {name: tensor.clone() for name, tensor in engine.prepared.model.state_dict().items()}
    state = torch.random.get_rng_state()
    _, timings = choose(engine, steps=64)
    assert len(timings) == 4
    assert torch.equal(state, torch.random.get_rng_state())
    choose(engine, steps=10_000)
    assert all(torch.equal(before[name], tensor) for name, tensor in engine.prepared.model.state_dict().items())
    assert all(parameter.grad is None for parameter in engine.prepared.model.parameters())


def test_a_product_is_timed_with_the_threads_that_were_asked_for():
    with exclusive(deterministic=False):
        assert 0 < product_seconds(torch.device("cpu"), 1, "bf16", (4, 8, 16)) < 1
        assert torch.get_num_threads() == 1
