"""Ready plans are valid for every task and depth, say what they are for, and do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import DataConfig, plan_from_yaml, plan_to_yaml
from core.config.templates import Template, example, template, templates
from core.errors import ConfigError
from core.training.counting import count_stages
from core.training.curves import plan_curve
from core.training.schedules import rate_function

ALL = templates()


def named(one: Template) -> str:
    return one.name


def test_there_are_enough_of_them_with_names_of_their_own() -> None:
    assert len(ALL) >= 7
    assert len({one.name for one in ALL}) == len(ALL)
    assert len({one.title for one in ALL}) == len(ALL)


@pytest.mark.parametrize("one", ALL, ids=named)
@pytest.mark.parametrize("task", ["classification", "tagging"])
@pytest.mark.parametrize("layers", [2, 3, 6, 12, 24])
def test_it_makes_a_plan_that_the_file_format_keeps(one: Template, task: str, layers: int) -> None:
    plan = one.plan("reviews", task, "bundled", layers)
    assert plan_from_yaml(plan_to_yaml(plan)) == plan
    assert all(stage.freeze_layers < layers and stage.reinit_top_n <= layers for stage in plan.stages)


@pytest.mark.parametrize("one", ALL, ids=named)
def test_its_curve_is_drawn_and_equals_the_schedules_where_it_is_certain(one: Template) -> None:
    plan = one.plan()
    found = plan_curve(plan, count_stages(plan, [12] * 2000), layers=6, points=None)
    for stage, drawn in zip(plan.active, found["stages"], strict=True):
        if stage.kind == "train":
            rate = rate_function(stage.schedule, drawn["steps"], stage.lr)
            highest = max(drawn["groups"].values(), key=lambda part: max(part["lr"]))["lr"]
            shape = [rate(step) for step in range(1, drawn["steps"] + 1)]
            top = max(stage.lr, stage.head_lr or 0.0)
            assert highest == pytest.approx([top * factor for factor in shape])


def test_it_takes_the_data_task_and_model_that_are_given() -> None:
    data = DataConfig(source="rows.csv", gate_share=0.2)
    plan = template("head-then-all").plan(data, "tagging", "my/model", 12, name="mine")
    assert (plan.data, plan.task.kind, plan.model.source, plan.name) == (data, "tagging", "my/model", "mine")
    assert template("head-only").plan("reviews").data.train_rows == 2000


def test_gradual_unfreezing_thaws_from_the_top_and_slows_down_below() -> None:
    stages = template("gradual-unfreezing").plan(layers=12).stages
    assert stages[0].freeze_encoder
    assert [stage.freeze_layers for stage in stages[1:]] == [8, 4, 0]
    assert all(stage.layer_decay == pytest.approx(1 / 2.6) for stage in stages[1:])


def test_an_encoder_of_one_layer_is_refused_with_the_name_of_the_template() -> None:
    with pytest.raises(ConfigError, match="range-test"):
        template("range-test").plan(layers=1)


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="layer-decay"):
        template("nothing")


@pytest.mark.parametrize("one", ALL, ids=named)
def test_the_ready_plan_of_the_docs_is_the_template(one: Template) -> None:
    text = (Path(__file__).parents[2] / "docs" / "plans" / f"{one.name}.yaml").read_text(encoding="utf-8")
    assert text == example(one), "run python -m core.config.templates"
    assert plan_from_yaml(text) == one.plan()
