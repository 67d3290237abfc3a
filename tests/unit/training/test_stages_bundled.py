"""Guards and roll-back with the bundled encoder, as a person meets them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from core.config import Plan
from core.training import MemoryContext, Outcome, train
from core.training.stage import StageRun
from tests.unit.training.test_stages import decisions, results


@pytest.mark.slow
def test_full_training_at_a_hundredth_is_caught_rolled_back_cut_and_ends_above_the_majority(
    tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate of 1e-2 destroys the encoder within a few steps; a hundredth of it learns. Going back takes < 2 s."""
    seconds: list[float] = []
    real = StageRun.restore

    def restore(self: StageRun, name: str, *, whole: bool) -> None:
        started = time.process_time()
        real(self, name, whole=whole)
        seconds.append(time.process_time() - started)

    monkeypatch.setattr(StageRun, "restore", restore)
    plan = Plan(
        data={"source": "reviews", "train_rows": 384, "gate_rows": 100, "test_rows": 20},
        model={"max_length": 40},
        stages=[
            {"name": "head", "freeze_encoder": True, "lr": 1e-2, "steps": 72, "eval_every": 24, "batch_size": 16,
             "gate": {"reference": "majority"}},
            {"name": "all", "lr": 1e-2, "steps": 8, "eval_every": 4, "batch_size": 16, "max_retries": 1,
             "lr_factor": 100, "guards": {"single_class": 1}, "schedule": {"name": "constant_with_warmup"}},
        ],
        runtime={"threads": 1, "precision": "fp32", "device": "cpu"},
    )  # fmt: skip
    context = MemoryContext(tmp_path / "run", shared_cache)
    assert train(plan, context) is Outcome.FINISHED
    (guarded,) = [one for one in decisions(context) if one["rule"] == "guard"]
    assert (guarded["stage"], guarded["action"], guarded["step"]) == ("all", "rollback", 76)
    assert guarded["lr_scale"] == pytest.approx(0.01)
    found = results(context)
    after = found["stages"][1]
    assert [one["outcome"] for one in after["attempts"]] == ["guard", "finished"]
    assert after["best"]["value"] > found["details"]["gate"]["majority"]
    assert found["metrics"]["gate/accuracy"] > found["details"]["gate"]["majority"]
    assert max(seconds) < 2.0
