"""What a joint plan refuses, and the plans of single tasks that it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from core.config import Stage, config_from_dict, kind_of, load_config, plan_to_yaml
from core.config.joint import JointPlan, JointTraining

TWO: list[dict[str, Any]] = [
    {"name": "a"},
    {"name": "b", "task": {"kind": "tagging"}, "data": {"source": "tweets"}, "max_length": 64},
]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": [{"name": "a", "model": {"source": "x"}}]}, "different tokenisers cannot be trained jointly"),
        ({"tasks": [{"name": "a", "quota": 9}, {"name": "b"}]}, "a has one, b has none"),
        ({"tasks": [{"name": "a", "quota": 9}], "training": {"steps": 3}}, "leave training.steps empty"),
        ({"tasks": [{"name": "a"}, {"name": "A"}]}, "named twice"),
        ({"tasks": [{"name": "../a"}]}, "name of a folder"),
        ({"tasks": [{"name": "combined"}]}, "a series has that name"),
        ({"tasks": [{"name": "a", "weight": 2}]}, "set mixing.weights to fixed"),
        ({"tasks": [{"name": "a", "share": 0}]}, "at least one must count"),
        ({"tasks": [{"name": "a", "metric": "loss"}]}, "better when it is larger"),
        ({"tasks": [{"name": "a", "task": {"kind": "tagging", "stride": 500}}]}, "task a: task.stride must be below"),
        ({"training": {"epochs": None}}, "give epochs or steps"),
        ({"training": {"gate": {}}}, "Extra inputs"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        JointPlan.model_validate({"tasks": TWO, **changes})


def test_it_is_a_kind_of_run_and_yaml_keeps_it(tmp_path: Path) -> None:
    plan = JointPlan.model_validate({"tasks": TWO, "mixing": {"pcgrad": True}})
    file = tmp_path / "joint.yaml"
    file.write_text(plan_to_yaml(plan))
    assert load_config(file) == plan
    assert kind_of(plan) == "joint"
    assert config_from_dict("joint", plan.model_dump(mode="json"), where="here") == plan


def test_the_plan_of_one_task_has_its_data_length_and_head_rate() -> None:
    tasks = [TWO[0], {**TWO[1], "head_lr": 0.5, "metric": "precision", "class_weights": "balanced"}]
    plan = JointPlan.model_validate({"tasks": tasks, "training": {"lr": 2e-4, "steps": 7}})
    first, second = plan.plan_of(0), plan.plan_of(1)
    assert (first.stages[0].lr, first.stages[0].steps, first.stages[0].head_lr) == (2e-4, 7, None)
    assert (second.model.max_length, second.stages[0].head_lr, second.stages[0].metric) == (64, 0.5, "precision")
    assert second.stages[0].class_weights == "balanced"
    assert (second.data.source, second.task.kind) == ("tweets", "tagging")


def test_training_has_a_stages_words_defaults_and_values() -> None:
    stage = Stage(lr=3e-4, steps=5, freeze_encoder=True, guards={"explode_factor": None})
    training = JointTraining.of(stage)
    assert JointPlan(tasks=TWO, training=training).stage().model_dump(exclude={"name", "metric"}) == stage.model_dump(
        exclude={"name", "metric"}
    )
    own = ("epochs", "eval_every")
    for name, field in JointTraining.model_fields.items():
        assert field.default == Stage.model_fields[name].default
        assert name in own or field.description == Stage.model_fields[name].description


def test_looks_become_rarer_with_more_tasks_and_end_where_nothing_is_shared() -> None:
    three = [*TWO, {"name": "c"}]
    assert JointPlan(tasks=TWO).monitored == 30
    assert JointPlan(tasks=three).monitored == 60
    assert JointPlan(tasks=TWO[:1]).monitored == 0
    assert JointPlan(tasks=TWO, training={"freeze_encoder": True}).monitored == 0
    assert JointPlan(tasks=TWO, mixing={"monitor_every": 7}).monitored == 7
