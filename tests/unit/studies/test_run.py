"""The run of a claim: every arm and seed once, resumable one by one, failures counted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from core.config import Plan
from core.errors import DataError
from core.runs.folder import has_checkpoint
from core.studies.records import read_records
from core.studies.run import run
from core.training.context import MemoryContext, Outcome, Request
from tests.unit.studies.made import Trainer, config

_CLAIM = "raise-to-1e-3"


def _learns(plan: Plan) -> tuple[float, float]:
    return 0.8 - 0.05 * abs(math.log10(plan.stages[0].lr / 1e-3)), 10.0


@pytest.fixture
def context(tmp_path: Path) -> MemoryContext:
    (tmp_path / "run").mkdir()
    return MemoryContext(tmp_path / "run", tmp_path / "cache")


def test_every_arm_is_trained_with_every_seed_and_the_verdict_is_written(context: MemoryContext) -> None:
    trainer = Trainer(_learns)
    assert run(config(_CLAIM, seeds=5), context, trainer=trainer) is Outcome.FINISHED
    assert len(trainer.plans) == 2 * 3 * 5
    results = json.loads((context.folder / "results.json").read_text())
    assert [one["part"] for one in results["details"]["verdicts"]] == ["head", "full"]
    assert len(results["runs"]) == 30
    assert results["metrics"]["full/1e-03"] == pytest.approx(0.8, abs=0.03)
    assert context.state["step"] == context.state["total_steps"] == 30


def test_every_run_is_a_part_with_a_plan_that_can_be_started_by_itself(context: MemoryContext) -> None:
    run(config(_CLAIM, seeds=1, parts=["head"]), context, trainer=Trainer(_learns))
    assert {child.ended for child in context.children.values()} == {"finished"}
    child = context.children["head_1e-03_0"]
    assert child.plan is not None
    assert child.plan.stages[0].lr == 1e-3
    assert child.name == "head · 1e-03 · seed 0"
    assert child.result["test/accuracy"] > 0.5
    assert not (child.folder / "best").exists()


def test_a_paused_claim_goes_on_with_the_run_that_was_interrupted(context: MemoryContext) -> None:
    of = config(_CLAIM, seeds=2, parts=["head"])
    assert run(of, context, trainer=Trainer(_learns, stop_at=4)) is Outcome.PAUSED
    assert len(read_records(context.folder / "arms")) == 3
    assert not (context.folder / "results.json").exists()
    assert has_checkpoint(context.folder)  # so nobody says that it starts from the beginning
    again = Trainer(_learns)
    assert run(of, context, trainer=again) is Outcome.FINISHED
    assert [plan.runtime.seed for plan in again.plans] == [1, 1, 1]


def test_a_request_between_two_runs_is_heard(context: MemoryContext) -> None:
    context.at = {0: Request.CANCEL}
    trainer = Trainer(_learns)
    assert run(config(_CLAIM), context, trainer=trainer) is Outcome.CANCELLED
    assert trainer.plans == []


def test_a_record_that_was_cut_short_is_trained_again(context: MemoryContext) -> None:
    of = config(_CLAIM, seeds=1, parts=["head"])
    run(of, context, trainer=Trainer(_learns))
    (context.folder / "results.json").unlink()
    torn = context.folder / "arms" / "head_1e-02_0.json"
    torn.write_text(torn.read_text()[:50])
    again = Trainer(_learns)
    run(of, context, trainer=again)
    assert [plan.stages[0].lr for plan in again.plans] == [1e-2]


def test_a_finished_claim_is_not_tested_again(context: MemoryContext) -> None:
    of = config(_CLAIM, seeds=1, parts=["head"])
    run(of, context, trainer=Trainer(_learns))
    again = Trainer(_learns)
    assert run(of, context, trainer=again) is Outcome.FINISHED
    assert again.plans == []
    assert run(of, context, resume=False, trainer=again) is Outcome.FINISHED
    assert len(again.plans) == 3


def test_a_run_that_diverges_is_a_result(context: MemoryContext) -> None:
    of = config(_CLAIM, seeds=5, parts=["full"])
    trainer = Trainer(lambda plan: None if plan.stages[0].lr > 5e-3 else _learns(plan))
    assert run(of, context, trainer=trainer) is Outcome.FINISHED
    verdict = json.loads((context.folder / "results.json").read_text())["details"]["verdicts"][0]
    assert next(arm for arm in verdict["arms"] if arm["arm"] == "1e-02")["failed"] == 5
    assert context.children["full_1e-02_0"].ended == "failed"


def test_data_that_cannot_be_read_ends_the_claim(context: MemoryContext) -> None:
    def broken(plan: Plan, context: object, *, resume: bool = True) -> Outcome:
        raise DataError("There is no such file.")

    with pytest.raises(DataError):
        run(config(_CLAIM), context, trainer=broken)
    assert next(iter(context.children.values())).ended == "failed"


def test_the_time_left_is_known_after_the_first_run_of_each_part(context: MemoryContext) -> None:
    of = config(_CLAIM, seeds=1, parts=["head"])
    left: list[float | None] = []

    class Told(MemoryContext):
        def progress(self, **values: Any) -> None:
            left.append(values.get("eta_s"))

    run(of, Told(context.folder, context.cache), trainer=Trainer(_learns))
    assert left[0] is None
    assert all(one is not None for one in left[1:])
