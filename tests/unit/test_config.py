from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.config import Plan, apply_sets, load_plan, plan_from_yaml, plan_to_yaml, problems
from core.errors import ConfigError


def test_the_yaml_of_a_plan_gives_the_same_plan_back() -> None:
    plan = Plan.model_validate(
        {
            "name": "ü 漢 🙂",
            "stages": [{"lr": 3e-5, "groups": [{"pattern": "layer:0-3", "frozen": True}], "class_weights": {"a": 2}}],
        }
    )
    assert plan_from_yaml(plan_to_yaml(plan)) == plan


def test_the_yaml_of_a_plan_holds_every_field() -> None:
    assert plan_from_yaml(plan_to_yaml(Plan())).model_fields_set == set(Plan.model_fields)


def test_an_unknown_key_is_named_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"stages\.0\.learning_rate \(line 3\): unknown key"):
        plan_from_yaml("name: x\nstages:\n- learning_rate: 1\n")


def test_a_value_out_of_range_is_named_with_its_line_and_value() -> None:
    with pytest.raises(ConfigError, match=r"model\.max_length \(line 2\).*got '3'"):
        plan_from_yaml("model:\n  max_length: 3\n")


@pytest.mark.parametrize(
    "text", ["", "- a", "just text", "a: [", "? {", "a: !!python/object/apply:os.system ['true']", "\x00"]
)
def test_what_is_not_a_mapping_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        plan_from_yaml(text)


def test_a_missing_file_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_plan(tmp_path / "no.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_plan(tmp_path / "b.yaml")


def test_sets_reach_nested_fields_and_read_numbers() -> None:
    plan = plan_from_yaml(
        "name: x", sets=["stages.0.lr=3e-5", "stages.0.optimizer.name=sgd", "data.train_rows=10", "tags=[a, b]"]
    )
    assert plan.stages[0].lr == 3e-5
    assert plan.stages[0].optimizer.name == "sgd"
    assert plan.data.train_rows == 10
    assert plan.tags == ["a", "b"]


@pytest.mark.parametrize("change", ["x", "=1", "stages.one.lr=1", "name.deeper.still=1"])
def test_a_set_that_leads_nowhere_is_refused(change: str) -> None:
    with pytest.raises(ConfigError):
        apply_sets({"name": "x", "stages": [{}]}, [change])


def test_problems_are_keyed_by_field_and_keep_our_own_words() -> None:
    with pytest.raises(ValidationError) as caught:
        Plan.model_validate({"data": {"gate_share": 0.6, "test_share": 0.5}, "runtime": {"threads": 0}})
    found = problems(caught.value)
    assert "no row is left to train on" in found["data"]
    assert any(key.startswith("runtime.threads") for key in found)


def test_aliases_may_be_used_but_not_to_unfold_without_end() -> None:
    plan = plan_from_yaml("tags: &t [a, b]\nname: x\ndata:\n  source: reviews\n")
    assert plan.tags == ["a", "b"]
    with pytest.raises(ConfigError, match="repeat one another"):
        plan_from_yaml("tags: &t [*t]\n")
