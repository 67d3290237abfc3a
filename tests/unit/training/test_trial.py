"""What a kind of stage may ask of the run: snapshots, sessions, whole stages in their own right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.config import Plan, Stage
from core.errors import ConfigError, TrainingDiverged
from core.training import MemoryContext, Outcome, Request, train
from core.training.kinds import KINDS, StageOutcome, check_kind
from core.training.material import load_material
from core.training.run import Run, Stopped
from core.training.stage import Evaluated
from tests.unit.training.test_stages import last_weights, results


@pytest.fixture
def run(make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path) -> Iterator[Run]:
    from core.training.device import exclusive

    plan = make_plan(stages=[{"name": "first"}, {"name": "second"}])
    made = Run(plan, MemoryContext(tmp_path / "run", shared_cache))
    with exclusive(deterministic=True):
        made.begin_material(load_material(plan, shared_cache))
        yield made
        made.close()


def weights(run: Run) -> dict[str, torch.Tensor]:
    named = [*run.material.model.named_parameters(), *run.material.model.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


STAGE: dict[str, Any] = {"steps": 4, "eval_every": 2, "lr": 3e-3, "batch_size": 16}


@pytest.mark.parametrize("stage", [STAGE, {**STAGE, "reinit_top_n": 1}, {**STAGE, "optimizer": {"name": "adafactor"}}])
def test_a_snapshot_brings_everything_back_bit_for_bit(stage: dict[str, Any], run: Run) -> None:
    before, taken = weights(run), run.snapshot()
    generator = torch.random.get_rng_state()
    run.train_stage(Stage(**stage), 0)
    torch.rand(3)
    assert not same(before, weights(run))
    run.restore(taken)
    assert same(before, weights(run))
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert not run.material.touched


def test_a_stage_in_its_own_right_is_the_stage_of_a_plan(
    run: Run, make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path
) -> None:
    child = MemoryContext(tmp_path / "child", shared_cache)
    found = run.train_stage(Stage(**STAGE), 0, context=child)
    alone = MemoryContext(tmp_path / "alone", shared_cache)
    plan = make_plan(stage=STAGE, runtime={"keep": "all"})
    # It has a run of its own, so it cannot execute while this one holds the process: only its numbers are compared.
    from core.training.loop import execute

    assert execute(Run(plan, alone), resume=False) is Outcome.FINISHED
    assert child.series("train/loss") == alone.series("train/loss")
    assert child.series("gate/loss") == alone.series("gate/loss")
    trained = last_weights(alone)
    mine = weights(run)
    assert all(torch.equal(mine[name], trained[name]) for name in trained if mine[name].shape == trained[name].shape)
    assert found.best == results(alone)["training"]["best"]
    assert found.outcome == "finished"
    assert run.step == 0
    assert not (child.folder / "best").exists()
    assert not (child.folder / "checkpoints").exists()


def test_the_best_evaluations_weights_can_be_kept(run: Run) -> None:
    values: list[float] = []
    found = run.train_stage(
        Stage(**{**STAGE, "steps": 8, "metric": "loss"}), 0, keep_best=True,
        on_evaluation=lambda told: values.append(told.value) or False,
    )  # fmt: skip
    assert found.best is not None
    assert found.metrics["loss"] == found.best["value"] == min(values)
    assert found.weights is not None
    run.restore(found.weights)
    assert run.score(Stage(**STAGE), 0)["loss"] == pytest.approx(found.best["value"], rel=1e-6)


def test_a_trial_can_be_pruned_after_an_evaluation(run: Run) -> None:
    seen: list[Evaluated] = []

    def look(told: Evaluated) -> bool:
        seen.append(told)
        return told.own >= 2

    found = run.train_stage(Stage(**STAGE), 0, on_evaluation=look)
    assert found.pruned
    assert found.outcome == "pruned"
    assert [(told.own, told.steps) for told in seen] == [(2, 4)]
    assert found.entry["attempts"][0]["last_step"] == 2


def test_a_guard_in_a_trial_raises_and_the_model_is_free_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run.snapshot()
    monkeypatch.setattr("core.training.session.distinct_predictions", lambda *_: 1)
    with pytest.raises(TrainingDiverged):
        run.train_stage(Stage(**STAGE, guards={"single_class": 1}), 0)
    run.restore(before)


def test_a_request_ends_a_trial_without_a_checkpoint_of_it(run: Run) -> None:
    assert isinstance(run.context, MemoryContext)
    run.context.at = {2: Request.PAUSE}
    with pytest.raises(Stopped):
        run.train_stage(Stage(**STAGE), 0)
    assert not (run.folder / "checkpoints").exists()
    assert run.material.rows is None


def test_a_session_takes_single_steps_and_leaves_the_model_whole(run: Run) -> None:
    shape = run.material.model.get_input_embeddings().weight.shape
    with run.session(Stage(**STAGE, dropout=0.4, freeze_layers=0), 0) as session:
        assert run.material.model.get_input_embeddings().weight.shape[0] < shape[0]
        assert run.material.model.dropout.p == 0.4
        epoch, index, steps, batch = next(session.batches())
        assert (epoch, index, steps) == (0, 0, session.prepared.steps_per_epoch)
        taken = session.step(batch, 1, dict.fromkeys(session.optimiser.base, 1e-3))
        assert torch.isfinite(taken.loss)
        assert torch.isfinite(taken.norm)
        assert "accuracy" in session.score().evaluation.metrics
        with pytest.raises(RuntimeError, match="session is open"):
            run.restore(run.snapshot())
    assert run.material.model.get_input_embeddings().weight.shape == shape
    assert run.material.model.dropout.p == 0.1


def test_a_frozen_part_that_an_earlier_stage_changed_is_not_fed_from_a_stale_cache(run: Run) -> None:
    frozen = Stage(**STAGE, freeze_layers=1)

    def logits() -> torch.Tensor:
        with run.session(frozen, 1) as session:
            assert session.engine.feeds
            fed = session.score().logits
            session.engine.feeds.clear()
            plain = session.score().logits
        for one, other in zip(fed, plain, strict=True):
            torch.testing.assert_close(torch.from_numpy(one), torch.from_numpy(other), rtol=1e-4, atol=1e-5)
        return torch.stack([torch.from_numpy(one) for one in fed])

    before = logits()
    run.train_stage(Stage(**STAGE), 0)
    assert not torch.equal(before, logits())


def test_a_stage_of_another_kind_is_given_the_run_and_called_again_after_an_interruption(
    make_plan: Callable[..., Plan], tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, torch.Tensor]] = []

    def find(run: Run, stage: Stage, index: int) -> StageOutcome:
        calls.append(weights(run))
        before = run.snapshot()
        with run.session(stage, index) as session:
            for own in range(1, 4):
                run.check()
                session.step(next(session.batches())[3], own, dict.fromkeys(session.optimiser.base, 0.1))
        run.restore(before)
        return StageOutcome("suggested", {"seconds": 0.1}, {"lr": 2e-3})

    monkeypatch.setattr("core.training.loop.executor", lambda kind: find if kind == "range_test" else stage_executor)
    from core.training.stage import run_stage as stage_executor

    stages = [
        {"name": "a", "steps": 3},
        {"name": "find", "kind": "range_test"},
        {"name": "b", "steps": 3, "lr_from": "find", "schedule": {"name": "constant"}},
    ]
    plan = make_plan(stages=stages, runtime={"keep": "all"})
    calm = MemoryContext(tmp_path / "calm", shared_cache)
    assert train(plan, calm) is Outcome.FINISHED
    assert [value for step, value in calm.series("lr/all") if step > 3] == pytest.approx([2e-3] * 3)
    assert results(calm)["stages"][1]["suggestion"] == {"lr": 2e-3}

    class Asked(MemoryContext):
        left = 1

        def request(self) -> Request:
            asked = self.left and self.state.get("stage_name") == "find" and len(calls) == 2
            return Request.PAUSE if asked else Request.NONE

    asked = Asked(tmp_path / "asked", shared_cache)
    assert train(plan, asked) is Outcome.PAUSED
    asked.left = 0
    assert train(plan, asked) is Outcome.FINISHED
    assert len(calls) == 3
    assert same(calls[1], calls[2])
    left, right = last_weights(calm), last_weights(asked)
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_kind_whose_module_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "search", "core.training.nothing:run_stage")
    with pytest.raises(ConfigError, match="kind search cannot be executed"):
        check_kind("search", "stages.1")
