"""What a search may change in a stage, and what is refused before it starts."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.config import Stage, plan_from_yaml
from core.config.space import Dimension, combinations, dimensions, extremes, trial_stage
from core.errors import ConfigError


def stage(space: dict[str, dict[str, Any]], **fields: Any) -> Stage:
    return Stage.model_validate({"kind": "search", "search": {"space": space}, **fields})


def one(key: str, given_: dict[str, Any], **fields: Any) -> Dimension:
    return dimensions(stage({key: given_}, **fields))[0]


def refusal(space: dict[str, dict[str, Any]], **fields: Any) -> tuple[str, str]:
    """Return (key, message) of the one problem that a space has."""
    with pytest.raises(ValidationError) as caught:
        stage(space, **fields)
    (problem,) = caught.value.errors()
    return ".".join(map(str, problem["loc"])), problem["msg"]


@pytest.mark.parametrize(
    ("key", "given_", "kind"),
    [
        ("lr", {"low": 1e-5, "high": 1e-2, "log": True}, "float"),
        ("head_lr", {"low": 1e-4, "high": 1e-1, "log": True}, "float"),
        ("batch_size", {"low": 8, "high": 64, "step": 8}, "int"),
        ("optimizer.name", {"choices": ["adamw", "sgd"]}, "choice"),
        ("schedule.warmup", {"low": 0, "high": 0.5}, "float"),
        ("schedule.options.num_cycles", {"low": 1, "high": 4}, "int"),
        ("schedule.options.power", {"low": 1, "high": 4}, "float"),
        ("freeze_layers", {"low": 0, "high": 4}, "int"),
        ("freeze_encoder", {"choices": [True, False]}, "choice"),
        ("dropout", {"choices": [None, 0.0, 0.3]}, "choice"),
        ("clip_norm", {"choices": [None, 1]}, "choice"),
        ("class_weights", {"choices": ["none", "balanced"]}, "choice"),
        ("groups.0.lr", {"low": 1e-5, "high": 1e-3}, "float"),
    ],
)
def test_every_kind_of_field_can_be_searched(key: str, given_: dict[str, Any], kind: str) -> None:
    extra = {"groups": [{"pattern": "head"}], "schedule": {"name": "cosine", "options": {"num_cycles": 1}}}
    found = one(key, given_, **extra)
    assert (found.key, found.kind) == (key, kind)
    for value in found.ends:
        trial = trial_stage(stage({key: given_}, **extra), {key: value})
        assert trial.kind == "train"
        assert trial.search is None
        target: Any = trial
        for part in key.split("."):
            if isinstance(target, list):
                target = target[int(part)]
            else:
                target = target[part] if isinstance(target, dict) else getattr(target, part)
        assert target == value
        assert type(target) is type(value)


def test_whole_numbers_stay_whole_numbers() -> None:
    found = one("batch_size", {"choices": [8.0, 16, 32]})
    assert [type(value) for value in found.choices] == [int, int, int]
    assert one("batch_size", {"low": 8, "high": 64}).ends == (8, 64)
    assert one("batch_tokens", {"low": 128, "high": 512}).kind == "int"  # an optional whole number is one too


def test_a_step_ends_at_the_last_value_that_it_reaches() -> None:
    assert one("batch_size", {"low": 8, "high": 30, "step": 8}).high == 24
    assert one("dropout", {"low": 0.0, "high": 0.3, "step": 0.1}).high == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (
            {"learning_rate": {"low": 1e-5, "high": 1e-2}},
            "no field 'learning_rate'; there are dropout, epochs, steps, lr",
        ),
        ({"optimizer.lr": {"low": 1e-5, "high": 1e-2}}, "no field 'lr'; there are name, betas"),
        ({"groups.1.lr": {"low": 1e-5, "high": 1e-2}}, "no entry '1'"),
        ({"raise_if.factor": {"low": 2, "high": 4}}, "raise_if is empty"),
        ({"seed": {"low": 0, "high": 9}}, "the same for all trials"),
        ({"search.trials": {"low": 1, "high": 9}}, "the same for all trials"),
        ({"lr": {"low": 1e-5, "high": 100}}, "100.0 is refused: Input should be less than or equal to 10"),
        ({"dropout": {"low": 0, "high": 1}}, "less than 1"),
        ({"batch_size": {"low": 8, "high": 64.5}}, "high is 64.5, and this field takes whole numbers"),
        ({"batch_size": {"choices": [8, "many"]}}, "'many' is no value for this field, which is a whole number"),
        ({"batch_size": {"choices": [8, True]}}, "True is no value"),
        ({"batch_size": {"choices": [8, None]}}, "empty is no value"),
        ({"optimizer.name": {"choices": ["adamw", "lion"]}}, "'lion' is no value for this field, which is adafactor"),
        ({"optimizer.name": {"low": 0, "high": 1}}, "a range needs a number"),
        ({"freeze_encoder": {"low": 0, "high": 1}}, "give choices"),
        ({"optimizer.betas": {"choices": [0.9]}}, "holds several values"),
        ({"optimizer": {"choices": ["adamw"]}}, "name one of its own fields"),
        ({"schedule.warmup": {"low": 0.1, "high": 20}}, "mixes a share of the steps"),
        ({"lr": {"low": 1e-5, "high": 1e-3, "step": 1}}, "larger than the range"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(space: dict[str, dict[str, Any]], words: str) -> None:
    key, message = refusal(space)
    assert key == f"search.space.{next(iter(space))}"
    assert words in message


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"low": 1e-5, "high": 1e-3, "fixed": 1.0}, "outside of the range"),
        ({"low": 1e-5, "high": 1e-3, "fixed": "high"}, "this field is a number"),
        ({"choices": [1e-5, 1e-3], "fixed": 1e-4}, "not among the choices"),
    ],
)
def test_a_fixed_value_must_belong_to_the_space(given_: dict[str, Any], words: str) -> None:
    key, message = refusal({"lr": given_, "batch_size": {"choices": [8, 16]}})
    assert key == "search.space.lr"
    assert words in message


def test_values_that_do_not_go_together_are_named() -> None:
    key, message = refusal({"schedule.warmup": {"low": 1, "high": 50}, "steps": {"low": 20, "high": 80}})
    assert key == "search.space"
    assert "schedule.warmup = 50.0, steps = 20" in message
    assert "longer than the stage's" in message


def test_the_message_names_key_and_line_of_the_yaml() -> None:
    text = "stages:\n- kind: search\n  search:\n    space:\n      lr: {choices: [1.0e-4]}\n      size: {choices: [1]}\n"
    with pytest.raises(ConfigError, match=r"stages\.0\.search\.space\.size \(line 6\): there is no field 'size'"):
        plan_from_yaml(text)


def test_a_held_field_counts_once_and_a_range_of_real_numbers_without_end() -> None:
    space = {"batch_size": {"low": 8, "high": 32, "step": 8}, "optimizer.name": {"choices": ["adamw", "sgd"]}}
    assert combinations(dimensions(stage(space))) == 8
    assert combinations(dimensions(stage({**space, "lr": {"low": 1e-5, "high": 1e-3, "fixed": 1e-4}}))) == 8
    assert combinations(dimensions(stage({**space, "lr": {"low": 1e-5, "high": 1e-3}}))) == math.inf


@given(st.integers(1, 12))
@settings(max_examples=12, deadline=None)
def test_extremes_hold_every_end_and_are_never_very_many(count: int) -> None:
    found = [Dimension(f"f{index}", "int", 0, 1) for index in range(count)]
    seen = list(extremes(found))
    assert len(seen) == min(2**count, 200)
    assert all({values[one.key] for values in seen} == {0, 1} for one in found)


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"pruner": "wilcoxon", "seeds": 4}, "fewer than 5"),
        ({"pruner": "median", "objectives": [{"metric": "seconds"}]}, "gate metric"),
        ({"pruner": "median", "objectives": [{"metric": "loss"}, {"metric": "accuracy"}]}, "no pruner"),
        ({"sampler": "cmaes", "space": {"batch_size": {"choices": [8, 16]}}}, "needs a range"),
        ({"objectives": [{"metric": "loss"}, {"metric": "loss", "direction": "maximize"}]}, "one metric"),
        ({"space": {"lr": {"choices": [0.1, 0.2], "fixed": 0.1}}}, "nothing to search"),
        ({"space": {}}, "nothing to search"),
    ],
)
def test_settings_of_a_search_that_contradict_each_other_are_refused(search: dict[str, Any], words: str) -> None:
    given_ = {"space": {"lr": {"low": 1e-5, "high": 1e-3}}, **search}
    with pytest.raises(ValidationError, match=words):
        Stage.model_validate({"kind": "search", "search": given_})
