"""Each finding is told where it should be, with its numbers, and not in a healthy run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from core.config import Plan
from core.runs.findings import Finding, Points, Recorded, findings
from tests.unit.findings.made import STEPS, healthy, plan, record, scored


def told(run: Recorded, code: str) -> Finding:
    found = {one.code: one for one in findings(run)}
    assert code in found, f"only {sorted(found)} were found"
    return found[code]


def codes(run: Recorded) -> list[str]:
    return [one.code for one in findings(run)]


@pytest.mark.parametrize("seed", range(10))
def test_a_healthy_run_is_left_alone(seed: int) -> None:
    assert codes(healthy(seed=seed)) == []
    assert codes(healthy(seed=seed, noise=0.12)) == []


def test_a_spike_of_one_step_is_left_alone() -> None:
    assert codes(healthy(loss=lambda step: 0.7 - step / 600 + (0.6 if step == 30 else 0.0))) == []


def test_a_run_that_has_hardly_begun_is_left_alone() -> None:
    whole = healthy(status="running")
    begun = {name: points.between(1, 15) for name, points in whole.series.items()}
    assert codes(replace(whole, series=begun, results=None)) == []
    assert codes(Recorded(plan(), "queued")) == []


# -- divergence ------------------------------------------------------------------------------------------------------
def test_a_loss_that_is_no_number_is_a_divergence_at_its_step() -> None:
    run = healthy(loss=lambda step: 0.7 if step < 60 else None, status="failed")
    found = told(run, "diverged")
    assert "step 60" in found.message
    assert found.severity == "problem"
    assert found.evidence.last_step == 60


def test_a_guard_that_ended_the_run_is_told_with_its_words() -> None:
    error = {
        "error": "TrainingDiverged", "type": "TrainingDiverged", "where": "step 87",
        "what": "The smoothed loss rose to 9.1 at step 87; its best was 0.41.",
    }  # fmt: skip
    found = told(replace(healthy(status="failed"), error=error, results=None), "diverged")
    assert "step 87" in found.message
    assert "rose to 9.1" in found.message


def test_a_loss_that_ends_far_above_its_beginning_has_diverged_even_without_a_guard() -> None:
    run = healthy(loss=lambda step: 0.7 if step < 50 else 0.7 + (step - 50) / 20)
    found = told(run, "diverged")
    assert "warm_up_too_short" not in codes(run)
    assert "went from 0.7" in found.message


def test_a_tenth_of_the_rate_is_one_click_away_and_changes_nothing_else() -> None:
    run = healthy(of=plan(lr=2e-3, head_lr=1e-2, groups=[{"pattern": "layer:0-1", "lr": 1e-3}]), status="failed",
                  loss=lambda step: None)  # fmt: skip
    cure = told(run, "diverged").remedies[0]
    new = cure.plan(run.plan)
    stage = new.stages[0]
    assert (stage.lr, stage.head_lr, stage.groups[0].lr) == pytest.approx((2e-4, 1e-3, 1e-4))
    assert stage.steps == STEPS
    assert new.name == "made up · a tenth of the learning rate"
    assert run.plan.stages[0].lr == 2e-3


# -- plateau, overfitting --------------------------------------------------------------------------------------------
def test_a_plateau_is_told_from_its_first_step() -> None:
    run = record(
        loss=lambda step: 0.60 if step > 60 else 0.70 - step / 600,
        gate_loss=lambda step: 0.62 if step > 60 else 0.69,
        accuracy=lambda step: 0.66 if step > 60 else 0.55,
        noise=0.03,
    )
    found = told(run, "plateau")
    assert "since step 80" in found.message
    assert "120 steps" in found.message
    assert found.remedies[0].plan(run.plan).stages[0].early_stopping.patience == 3


def test_a_score_that_stands_while_the_loss_falls_is_no_plateau() -> None:
    run = healthy(accuracy=lambda step: 0.75)
    assert "plateau" not in codes(run)


def test_overfitting_is_told_from_the_lowest_gate_loss() -> None:
    run = healthy(gate_loss=lambda step: 0.45 + abs(step - 80) / 800, loss=lambda step: 0.7 - step / 350)
    found = told(run, "overfitting")
    assert "since step 80" in found.message
    assert "0.45 to 0.6" in found.message
    stopped = found.remedies[0].plan(run.plan).stages[0]
    assert (stopped.metric, stopped.early_stopping.patience) == ("loss", 2)
    assert found.remedies[1].plan(run.plan).stages[0].steps == 80


def test_a_gate_loss_that_rises_while_the_train_loss_rises_too_is_no_overfitting() -> None:
    run = healthy(gate_loss=lambda step: 0.45 + abs(step - 80) / 800, loss=lambda step: 0.4 + step / 1000)
    assert "overfitting" not in codes(run)


def test_one_bad_evaluation_at_the_end_is_no_overfitting() -> None:
    run = healthy(gate_loss=lambda step: 0.6 - step / 1000 if step < STEPS else 0.55)
    assert "overfitting" not in codes(run)


# -- rates -----------------------------------------------------------------------------------------------------------
def _still(**changes: object) -> Recorded:
    return healthy(
        loss=lambda step: 0.69, gate_loss=lambda step: 0.69, accuracy=lambda step: 0.5 + step / 1e4, noise=0.02,
        results=scored(0.51), **changes,
    )  # fmt: skip


def test_a_head_at_the_encoders_rate_is_told_and_gets_a_rate_of_its_own() -> None:
    run = _still(of=plan(lr=2e-5, freeze_encoder=True), rate=lambda step: 2e-5)
    found = told(run, "rate_too_low")
    assert "2e-05" in found.message
    assert "only the head" in found.message
    assert found.remedies[0].plan(run.plan).stages[0].head_lr == 1e-2


def test_a_loss_that_does_not_move_at_a_high_rate_is_not_called_too_low() -> None:
    assert "rate_too_low" not in codes(_still(of=plan(lr=0.5), rate=lambda step: 0.5))


def test_a_range_test_can_be_put_in_front_of_the_stage() -> None:
    run = _still(of=plan(lr=2e-5, freeze_encoder=True), rate=lambda step: 2e-5)
    cure = next(one for one in told(run, "rate_too_low").remedies if "range test" in one.label)
    stages = cure.plan(run.plan).stages
    assert [stage.kind for stage in stages] == ["range_test", "train"]
    assert stages[1].lr_from == stages[0].name
    assert stages[0].freeze_encoder


def test_a_jump_in_the_first_steps_asks_for_a_longer_warm_up() -> None:
    run = healthy(
        loss=lambda step: 0.7 + (1.2 * math.exp(-(((step - 12) / 5) ** 2)) if step < 40 else -step / 800),
        rate=lambda step: 1e-3 if step > 3 else 1e-3 * step / 4,
        of=plan(lr=1e-3, schedule={"warmup": 4}),
    )
    found = told(run, "warm_up_too_short")
    assert "reached 0.001 at step 4" in found.message
    assert found.remedies[0].plan(run.plan).stages[0].schedule.warmup == 0.2


def test_steady_clipping_is_told_with_its_share() -> None:
    run = healthy(norm=lambda step: 8.0)
    found = told(run, "clipped")
    assert "100 % of 200" in found.message
    assert found.severity == "note"
    assert found.remedies[0].plan(run.plan).stages[0].clip_norm == pytest.approx(11.7, rel=0.1)
    assert "clipped" not in codes(healthy(norm=lambda step: 8.0, of=plan(clip_norm=None)))


def test_of_reduced_series_no_exact_share_is_told() -> None:
    found = told(replace(healthy(norm=lambda step: 8.0), reduced=True), "clipped")
    assert "of 200 logged steps" not in found.message


# -- scores ----------------------------------------------------------------------------------------------------------
def test_one_predicted_class_is_told_by_its_name() -> None:
    run = healthy(results=scored(0.5, ((200, 0), (200, 0))))
    found = told(run, "one_class")
    assert "'fresh'" in found.message
    assert "400" in found.message


def test_one_predicted_class_is_told_while_the_run_goes_on() -> None:
    run = replace(healthy(accuracy=lambda step: 0.5, status="running"), results=None)
    assert "steps 180 and 200" in told(run, "one_class").message


@pytest.mark.parametrize(
    ("loss", "fields", "offered", "not_offered"),
    [
        (lambda step: 0.69, {"lr": 1e-5}, "Ten times the learning rate", "A tenth of the learning rate"),
        (lambda step: 0.69, {"lr": 1e-4}, "Train three times as long", "A tenth of the learning rate"),
        (lambda step: 0.69, {"lr": 1e-2}, "A tenth of the learning rate", "Ten times the learning rate"),
        (lambda step: 0.69 + (0.9 if 10 < step < 60 else 0), {"lr": 1e-4}, "A tenth of the learning rate", ""),
        (lambda step: 0.4 if step < 90 else 0.69, {"lr": 1e-4}, "A tenth of the learning rate", ""),
        (lambda step: 0.7 - step / 800, {"lr": 1e-4}, "Train three times as long", "A tenth of the learning rate"),
        (lambda step: 0.69, {"lr": 1e-3, "freeze_encoder": True}, "Train three times as long", "A tenth"),
        (lambda step: 0.69, {"lr": 1e-4, "freeze_encoder": True}, "Ten times the learning rate", "A tenth"),
    ],
)  # fmt: skip
def test_a_lower_rate_is_offered_only_where_the_loss_says_that_it_was_too_high(
    loss: Callable[[int], float], fields: dict[str, Any], offered: str, not_offered: str
) -> None:
    results = scored(0.5, ((200, 0), (200, 0)))
    run = healthy(loss=loss, noise=0.01, results=results, of=plan(**fields), rate=lambda step: fields["lr"])
    labels = [cure.label for cure in told(run, "one_class").remedies]
    assert offered in labels
    assert not [label for label in labels if not_offered and label.startswith(not_offered)]


def test_a_score_within_reach_of_the_majority_is_told() -> None:
    run = healthy(results=scored(0.52, ((104, 96), (96, 104))))
    found = told(run, "at_baseline")
    assert "50.0 %" in found.message
    assert found.remedies[0].plan(run.plan).stages[0].steps == 3 * STEPS


def test_a_frozen_encoder_at_the_baseline_can_be_set_free() -> None:
    run = healthy(results=scored(0.52, ((104, 96), (96, 104))), of=plan(freeze_encoder=True, lr=1e-2))
    stage = told(run, "at_baseline").remedies[0].plan(run.plan).stages[0]
    assert (stage.freeze_encoder, stage.lr) == (False, 1e-4)


# -- gates and guards ------------------------------------------------------------------------------------------------
def _staged() -> Plan:
    gate = {"metric": "accuracy", "min_delta": 0.02, "rule": "lower"}
    return Plan.model_validate(
        {"name": "made up", "stages": [{"name": "head", "steps": 100, "gate": gate}, {"name": "all", "steps": 100}]}
    )


def _decision(rule: str, action: str, step: int, **more: object) -> dict[str, object]:
    data = {"stage": "head", "index": 0, "attempt": 1, "rule": rule, "action": action, "step": step, **more}
    return {"kind": "decision", "message": "", "step": step, "data": data}


def test_a_gate_that_was_never_passed_is_told_with_what_it_lacked() -> None:
    evidence = {"metric": "gate/accuracy", "value": 0.61, "low": 0.56, "reference": 0.58, "min_delta": 0.02}
    run = healthy(of=_staged(), events=[_decision("gate", "rollback", 100, evidence=evidence)])
    found = told(run, "gate_not_reached")
    assert "0.560" in found.message
    assert "0.600" in found.message
    assert found.remedies[0].plan(run.plan).stages[0].steps == 200
    eased = found.remedies[-1].plan(run.plan).stages[0].gate
    assert eased is not None
    assert (eased.rule, eased.min_delta) == ("point", 0.02)


def test_a_gate_that_was_passed_after_a_retry_is_not_told() -> None:
    events = [_decision("gate", "cut", 50), _decision("gate", "promote", 100)]
    assert "gate_not_reached" not in codes(healthy(of=_staged(), events=events))


def test_a_guard_that_cut_the_rate_offers_the_rate_that_was_left() -> None:
    run = healthy(of=_staged(), events=[_decision("guard", "rollback", 40, lr_scale=1 / 3)])
    found = told(run, "guard_held")
    assert "once" in found.message
    assert found.remedies[0].plan(run.plan).stages[0].lr == pytest.approx(1e-4 / 3, rel=0.01)


def test_a_divergence_that_a_guard_rolled_back_is_told_by_the_guard_only() -> None:
    begun = [{"kind": "stage", "message": "", "step": at, "data": {"name": "train", "attempt": attempt}}
             for at, attempt in ((0, 1), (40, 2))]  # fmt: skip
    held = _decision("guard", "rollback", 40, lr_scale=1 / 3)
    held["data"] = {**held["data"], "stage": "train"}  # type: ignore[dict-item]
    run = healthy(events=[*begun, held], loss=lambda step: None if step in (39, 40) else 0.7 - step / 600)
    assert codes(run) == ["guard_held"]


def test_each_stage_is_judged_by_itself() -> None:
    """The second stage begins with a higher loss: that is no divergence of the first."""
    begun = [{"kind": "stage", "message": "", "step": at, "data": {"name": name}}
             for at, name in ((0, "head"), (100, "all"))]  # fmt: skip
    run = healthy(
        of=_staged(), events=[*begun, _decision("gate", "promote", 100)],
        loss=lambda step: (0.7 - step / 1000) if step <= 100 else 0.2 + 0.01 * (step - 100),
    )  # fmt: skip
    found = told(run, "diverged")
    assert "in stage all" in found.message
    assert len([one for one in findings(run) if one.code == "diverged"]) == 1


# -- resources -------------------------------------------------------------------------------------------------------
def test_many_cut_texts_are_told_with_the_length_that_would_do() -> None:
    report = {"lengths": {"cut_share": 0.31, "p95": 203.0, "max_length": 128}}
    run = replace(healthy(), data_report=report)
    found = told(run, "texts_cut")
    assert "31.0 %" in found.message
    assert found.remedies[0].plan(run.plan).model.max_length == 208
    few = {"lengths": {"cut_share": 0.02, "p95": 90.0, "max_length": 128}}
    assert "texts_cut" not in codes(replace(healthy(), data_report=few))


def test_labels_without_a_training_row_are_named() -> None:
    labels = [
        {"label": "fresh", "roles": {"train": 10, "gate": 1, "test": 1}},
        {"label": "<b>rotten</b>", "roles": {"train": 0, "gate": 2, "test": 2}},
    ]
    run = replace(healthy(of=plan(data={"train_rows": 10})), data_report={"labels": labels})
    found = told(run, "labels_missing")
    assert "1 of 2 labels has no training row: '<b>rotten</b>'" in found.message
    assert found.remedies[0].plan(run.plan).data.train_rows is None


def test_memory_near_the_limit_is_told_and_halved_by_accumulation() -> None:
    run = replace(healthy(), memory_limit_mb=1000.0)
    found = told(run, "memory_near_limit")
    assert "900 of 1,000 MB, 90 %" in found.message
    assert found.remedies[0].plan(run.plan).stages[0].accumulation == 2
    assert "memory_near_limit" not in codes(replace(healthy(), memory_limit_mb=None))


def test_memory_that_ran_out_is_a_problem() -> None:
    error = {"error": "DeviceError", "where": "memory", "what": "The memory was not enough for this run."}
    assert told(replace(healthy(status="failed"), error=error), "memory_near_limit").severity == "problem"


def test_evaluations_that_take_most_of_the_time_are_told() -> None:
    run = healthy(evaluation_seconds=3.0)
    found = told(run, "evaluation_dominates")
    assert "58 % of the time" in found.message
    assert found.remedies[0].plan(run.plan).stages[0].eval_every == 100


# -- form ------------------------------------------------------------------------------------------------------------
def test_problems_come_first() -> None:
    run = healthy(norm=lambda step: 8.0, results=scored(0.52, ((104, 96), (96, 104))), evaluation_seconds=3.0)
    assert [one.severity for one in findings(run)] == ["problem", "warning", "note"]


def test_every_finding_can_be_written_as_json_with_the_keys_that_its_remedies_change() -> None:
    run = healthy(norm=lambda step: 8.0)
    written = json.loads(json.dumps(told(run, "clipped").as_dict(run.plan)))
    assert list(written["remedies"][0]["changes"]) == ["stages.0.clip_norm"]
    assert written["evidence"] == {"series": ["train/grad_norm"], "first_step": 1, "last_step": STEPS}


def test_remedies_that_would_change_nothing_are_left_out() -> None:
    run = healthy(of=plan(early_stopping={"patience": 2}, metric="loss"),
                  gate_loss=lambda step: 0.45 + abs(step - 80) / 800, loss=lambda step: 0.7 - step / 350)  # fmt: skip
    labels = [one.label for one in told(run, "overfitting").remedies]
    assert not any("no longer falls" in label for label in labels)


def test_points_keep_what_is_no_number_apart() -> None:
    points = Points.of([1, 2, 3], [0.5, None, math.inf])
    assert points.finite().steps.tolist() == [1]


def test_the_page_of_findings_lists_every_rule() -> None:
    import re
    from pathlib import Path

    from core.runs.findings.judge import RULES

    text = (Path(__file__).parents[3] / "docs" / "findings.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(\w+)` ", text, re.MULTILINE)) == sorted(RULES)
