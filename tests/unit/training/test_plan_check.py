"""What is wrong with a plan for its rows and its model is told without training, all of it at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import Plan
from core.training.plan_check import check_plan


@pytest.fixture
def told(make_plan: Callable[..., Plan], shared_cache: Path) -> Callable[..., list[dict[str, Any]]]:
    def check(*stages: dict[str, Any], **parts: Any) -> list[dict[str, Any]]:
        plan = make_plan(**parts)
        usual = {"epochs": 1, "lr": 1e-3, "batch_size": 16}
        named = [{"name": f"s{number}", **usual, **stage} for number, stage in enumerate(stages)]
        whole = Plan.model_validate({**plan.model_dump(), "stages": named or [usual]})
        return list(check_plan(whole, cache=shared_cache)["findings"])

    return check


Told = Callable[..., list[dict[str, Any]]]


def errors(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["key"], one["message"]) for one in found if one["level"] == "error"]


def test_a_sound_plan_has_no_findings_and_its_steps_are_counted(
    make_plan: Callable[..., Plan], shared_cache: Path
) -> None:
    found = check_plan(make_plan(stage={"epochs": 2}), cache=shared_cache)
    assert found["findings"] == []
    assert found["steps"] == 2 * -(-found["rows"]["train"] // 16)
    assert [stage["name"] for stage in found["stages"]] == ["train"]


@pytest.mark.parametrize(
    ("stage", "key", "words"),
    [
        ({"groups": [{"pattern": "no.such.name"}]}, "stages.1.groups.0.pattern", "matches no parameter"),
        ({"groups": [{"pattern": "("}]}, "stages.1.groups.0.pattern", "not a regular expression"),
        ({"gate": {"metric": "strict_f1"}}, "stages.1.gate.metric", "has no metric 'strict_f1'"),
        ({"metric": "bleu"}, "stages.1.metric", "has no metric 'bleu'"),
        ({"freeze_layers": 3}, "stages.1.freeze_layers", "has 2 layers"),
        ({"reinit_top_n": 3}, "stages.1.reinit_top_n", "has 2 layers"),
        ({"groups": [{"pattern": "all", "frozen": True}]}, "stages.1", "nothing is left to train"),
        ({"class_weights": {"good": 1.0}}, "stages.1.class_weights.good", "which is no label"),
        ({"schedule": {"name": "linear", "warmup": 500}}, "stages.1.schedule.warmup", "longer than the stage"),
        ({"schedule": {"options": {"power": 2.0}}}, "stages.1.schedule.options.power", "has no option"),
        ({"kind": "search", "search": {"space": {"lr": {"low": 1e-5, "high": 1e-4}},
          "objectives": [{"metric": "bleu"}]}}, "stages.1.search.objectives.0.metric", "has no metric"),
        ({"lr": 10.0}, "stages.1.lr", "leaves nothing of what was learnt"),
        ({"gate": {}, "on_pass": "repeat", "lr_cap": 1e-4}, "stages.1.lr_cap", "can never be raised"),
    ],
)  # fmt: skip
def test_an_error_is_told_with_its_key(told: Told, stage: dict[str, Any], key: str, words: str) -> None:
    ((found, message),) = errors(told({}, stage))
    assert found == key
    assert words in message


def test_several_errors_are_told_at_once(told: Told) -> None:
    found = told({"metric": "bleu"}, {"freeze_layers": 9}, {"gate": {"metric": "rouge"}})
    assert {key for key, _ in errors(found)} == {"stages.0.metric", "stages.1.freeze_layers", "stages.2.gate.metric"}


def test_a_stage_that_is_switched_off_is_not_asked(told: Told) -> None:
    assert errors(told({}, {"metric": "bleu", "enabled": False})) == []


def test_a_gate_without_gate_rows_is_an_error(told: Told) -> None:
    ((key, message),) = errors(told({"gate": {}}, data={"gate_share": 0.0}))
    assert key == "stages.0.gate"
    assert "no gate rows" in message


def test_rows_that_cannot_be_read_are_told_and_nothing_else_is_asked_of_them(told: Told) -> None:
    ((key, message),) = errors(told({"metric": "bleu"}, data={"source": "no-such-file.csv"}))
    assert key == "data"
    assert "no-such-file.csv" in message


def test_a_model_that_is_not_there_is_told(told: Told) -> None:
    ((key, _),) = errors(told({}, model={"source": "no-such-model"}))
    assert key == "model"


def test_a_large_rate_of_the_encoder_is_a_warning_and_that_of_a_head_alone_is_not(told: Told) -> None:
    (found,) = told({"lr": 0.05})
    assert (found["level"], found["key"]) == ("warning", "stages.0.lr")
    assert told({"lr": 0.05, "freeze_encoder": True}) == []
    assert told({"lr": 1e-4, "head_lr": 0.5}) == []


def test_a_rate_that_a_long_warm_up_keeps_small_at_first_is_judged_by_its_first_steps(told: Told) -> None:
    assert told({"lr": 0.05, "steps": 4000, "schedule": {"warmup": 4000}}) == []


@pytest.mark.parametrize(
    ("stage", "key", "level"),
    [
        ({"on_fail": "stop"}, "stages.0.on_fail", "warning"),
        ({"gate": {}, "on_fail": "cut"}, "stages.0.max_retries", "warning"),
        ({"lr_cap": 1e-2}, "stages.0.lr_cap", "note"),
        ({"freeze_encoder": True, "reinit_top_n": 1}, "stages.0.reinit_top_n", "warning"),
        ({"freeze_encoder": True, "layer_decay": 0.9}, "stages.0.freeze_encoder", "note"),
        ({"budget_s": 60}, "stages.0.budget_s", "note"),
    ],
)
def test_a_setting_that_does_not_do_what_it_seems_to_do_is_told(
    told: Told, stage: dict[str, Any], key: str, level: str
) -> None:
    (found,) = told(stage)
    assert (found["key"], found["level"]) == (key, level)


def test_errors_come_first(told: Told) -> None:
    levels = [one["level"] for one in told({"budget_s": 9, "on_fail": "stop", "metric": "bleu"})]
    assert levels == ["error", "warning", "note"]
