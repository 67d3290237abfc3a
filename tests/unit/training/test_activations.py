"""Feeding cached activations equals computing them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core.config import Plan
from core.training import MemoryContext, Outcome, Request, train
from core.training.activations import prepare_feeds
from core.training.engine import Engine
from core.training.prepare import prepare
from core.training.results import fingerprint

FAMILIES = ("bert", "distilbert", "roberta", "electra", "deberta-v2", "modernbert", "shaped_bert")


def ignore(*_: object, **__: object) -> None:
    pass


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stage", [{"freeze_layers": 1}, {"freeze_layers": 2}, {"freeze_encoder": True}], ids=str)
@pytest.mark.parametrize("tagging", [False, True])
def test_cached_logits_equal_recomputed(
    family: str, stage: dict, tagging: bool, make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    run = prepare(make_plan(family=family, stage=stage, tagging=tagging, model={"dropout": 0.0}), shared_cache)
    engine = Engine(run)
    engine.train_mode()
    features = run.encoded["train"].features
    indices = np.array([5, 0, 17, 9])
    for path in engine.paths():
        engine.use_path(path)
        engine.feeds.clear()
        plain, batch = engine.forward([features[index] for index in indices], indices, "train")
        prepare_feeds(engine, tmp_path, check=lambda: None, event=ignore, fingerprint=fingerprint(run))
        feed = engine.feeds["train"]
        assert feed.first_only == (not tagging and run.depth == len(run.layers))
        fed, _ = engine.forward([features[index] for index in indices], indices, "train")
        kept = batch["attention_mask"].bool() if tagging else torch.ones(len(indices), dtype=torch.bool)
        torch.testing.assert_close(fed[kept], plain[kept], rtol=1e-4, atol=1e-5)
    engine.close()


def test_lower_part_has_no_dropout_and_the_rest_has(make_plan: Callable[..., Plan], shared_cache: Path) -> None:
    run = prepare(make_plan(stage={"freeze_layers": 1}), shared_cache)
    engine = Engine(run)
    engine.train_mode()
    assert not run.layers[0].training
    assert not run.encoder.embeddings.dropout.training
    assert run.layers[1].training
    assert run.model.dropout.training
    assert run.model.training


def test_activations_are_kept_for_the_next_run(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    plan = make_plan(stage={"freeze_encoder": True, "epochs": 1})
    first = MemoryContext(tmp_path / "one", tmp_path / "cache")
    second = MemoryContext(tmp_path / "two", tmp_path / "cache")
    train(plan, first)
    train(plan, second)
    told = [
        [event["message"] for event in context.events if "cache" in event["message"]] for context in (first, second)
    ]
    assert told[0][0].startswith("Computing the first position's outputs")
    assert told[1][0].startswith("Using the first position's outputs")
    assert first.series("train/loss") == second.series("train/loss")
    assert len(list((tmp_path / "cache" / "activations").iterdir())) == 2


def test_cached_and_recomputed_runs_learn_the_same(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    found = {}
    for cached in (True, False):
        context = MemoryContext(tmp_path / str(cached), tmp_path / "cache")
        plan = make_plan(stage={"freeze_layers": 1, "cache_activations": cached}, model={"dropout": 0.0})
        train(plan, context)
        found[cached] = [value for _, value in context.series("train/loss")]
    assert found[True] == pytest.approx(found[False], rel=1e-4)


def test_too_large_for_the_limit_is_told_and_recomputed(
    make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(stage={"freeze_layers": 1, "cache_limit_mb": 1, "epochs": 1}, shape={"hidden": 512})
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    assert train(plan, context) is Outcome.FINISHED
    assert any("more than the limit" in event["message"] for event in context.events)
    assert not (tmp_path / "cache" / "activations").exists()


def test_full_disk_is_told_and_recomputed(
    make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import core.training.files as files

    monkeypatch.setattr(files, "free_bytes", lambda folder: 0 if "activations" in str(folder) else 10**12)
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    assert train(make_plan(stage={"freeze_layers": 1, "epochs": 1}), context) is Outcome.FINISHED
    assert any("cannot be kept" in event["message"] and event["kind"] == "warning" for event in context.events)


def test_request_is_heard_while_activations_are_computed(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    class Asked(MemoryContext):
        def request(self) -> Request:
            return Request.CANCEL if self.state.get("phase") == "caching" else Request.NONE

    context = Asked(tmp_path / "run", tmp_path / "cache")
    assert train(make_plan(stage={"freeze_layers": 1}), context) is Outcome.CANCELLED
    assert not context.points
    assert not [path for path in (tmp_path / "cache" / "activations").iterdir() if path.name.startswith(".")]


def test_oldest_entries_make_room(tmp_path: Path) -> None:
    import os

    from core.training.activations import _make_room

    for age, name in enumerate(["new", "middle", "old"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "hidden.f32").write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    _make_room(tmp_path, 250, keep=set())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["middle", "new"]
    _make_room(tmp_path, 0, keep={"middle"})
    assert [path.name for path in tmp_path.iterdir()] == ["middle"]
