"""Form ↔ plan loses nothing, and messages stand beside their field."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.config import Plan, plan_from_yaml, plan_to_yaml, reference
from core.config.reference import plan_keys
from pages.ui import forms

ROOT = Path(__file__).parents[2]

words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
maybe_words = st.none() | words
numbers = st.floats(1e-8, 10, allow_nan=False)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    kind = draw(st.sampled_from(["classification", "tagging"]))
    stage = {
        "name": draw(words),
        "epochs": draw(numbers),
        "steps": draw(_maybe(st.integers(500, 10**6))),
        "lr": draw(numbers),
        "head_lr": draw(_maybe(numbers)),
        "layer_decay": draw(st.floats(0.01, 1)),
        "freeze_layers": draw(st.integers(0, 12)),
        "groups": draw(
            st.lists(
                st.fixed_dictionaries(
                    {"pattern": words, "lr": _maybe(numbers), "weight_decay": _maybe(numbers), "frozen": st.booleans()}
                ),
                max_size=3,
            )
        ),
        "optimizer": {
            "name": draw(st.sampled_from(["adamw", "sgd"])),
            "betas": draw(st.tuples(*[st.floats(0, 0.999)] * 2)),
        },
        "schedule": {
            "name": draw(st.sampled_from(["linear", "cosine_with_restarts", "polynomial"])),
            "warmup": draw(st.floats(0, 500)),
            "options": draw(st.dictionaries(words, st.booleans() | st.integers(-9, 9) | numbers | words, max_size=3)),
        },
        "batch_tokens": draw(_maybe(st.integers(8, 10**5))),
        "class_weights": draw(st.sampled_from(["none", "balanced"]) | st.dictionaries(words, numbers, max_size=3)),
        "metric": draw(maybe_words),
        "early_stopping": {"patience": draw(_maybe(st.integers(1, 9))), "min_delta": draw(st.floats(0, 1))},
        "guards": {"nan": draw(st.booleans()), "explode_factor": draw(_maybe(st.floats(1.1, 100)))},
    }
    return Plan.model_validate(
        {
            "name": draw(words),
            "tags": draw(st.lists(words, max_size=3)),
            "task": {"kind": kind, "multi_label": draw(st.booleans()) if kind == "classification" else False},
            "data": {
                "source": draw(words),
                "gate_source": draw(maybe_words),
                "columns": {"text": draw(maybe_words), "tags": draw(maybe_words)},
                "train_rows": draw(_maybe(st.integers(1, 10**9))),
                "gate_share": draw(st.floats(0, 0.49)),
                "test_share": draw(st.floats(0, 0.49)),
            },
            "model": {
                "source": draw(words),
                "max_length": draw(st.integers(64, 512)),
                "dropout": draw(_maybe(st.floats(0, 0.9))),
            },
            "stages": [stage],
            "runtime": {
                "backend": draw(st.sampled_from(["process", "thread"])),
                "threads": draw(st.just("auto") | st.integers(1, 512)),
                "seed": draw(st.integers(0, 2**40)),
            },
        }
    )


@settings(max_examples=60, deadline=None)
@given(plans())
def test_form_and_plan_round_trip_without_loss(plan: Plan) -> None:
    assert forms.plan_from_state(forms.state_from_plan(plan)) == plan


@settings(max_examples=40, deadline=None)
@given(plans())
def test_form_and_yaml_round_trip_without_loss(plan: Plan) -> None:
    again = plan_from_yaml(plan_to_yaml(forms.plan_from_state(forms.state_from_plan(plan))))
    assert forms.state_from_plan(again) == forms.state_from_plan(plan)


def test_the_state_holds_every_key_of_the_plan() -> None:
    def leaves(value: Any, prefix: str) -> set[str]:
        if isinstance(value, dict) and prefix not in plan_keys():
            return {leaf for key, item in value.items() for leaf in leaves(item, f"{prefix}.{key}".lstrip("."))}
        if isinstance(value, list) and prefix == "stages":
            return {leaf for index, item in enumerate(value) for leaf in leaves(item, f"{prefix}.{index}")}
        return {prefix}

    plan = Plan()
    assert set(forms.state_from_plan(plan)) == leaves(plan.model_dump(mode="json"), "")


def test_changing_one_field_changes_only_that_key() -> None:
    state = forms.state_from_plan(Plan())
    plan = forms.plan_from_state({**state, "stages.0.lr": 3e-5})
    assert forms.changed_paths(forms.state_from_plan(plan), state) == ["stages.0.lr"]


def test_the_state_is_a_copy_of_the_plan() -> None:
    plan = Plan(tags=["one"])
    forms.state_from_plan(plan)["tags"].append("two")
    assert plan.tags == ["one"]


def test_missing_keys_take_the_default() -> None:
    assert forms.plan_from_state({"data.source": "tweets"}).stages[0].lr == Plan().stages[0].lr


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("stages.0.lr", 0.0),
        ("name", ""),
        ("runtime.threads", 0),
        ("data.train_rows", 0),
        ("stages.0.optimizer.betas", [1, 2]),
    ],
)
def test_a_value_that_is_not_usable_is_named_by_its_key(path: str, value: Any) -> None:
    plan, found = forms.read_state({**forms.state_from_plan(Plan()), path: value})
    assert plan is None
    assert any(key.startswith(path) for key in found), found


def test_a_message_about_several_fields_stands_beside_the_first_that_it_names() -> None:
    state = {**forms.state_from_plan(Plan()), "data.gate_share": 0.6, "data.test_share": 0.6}
    beside, rest = forms.place_problems(forms.read_state(state)[1], list(state))
    assert list(beside) == ["data.gate_share"]
    assert rest == []


def test_a_message_of_a_nested_value_stands_beside_the_field_that_holds_it() -> None:
    beside, rest = forms.place_problems({"stages.0.groups.1.lr": "too small"}, ["stages.0.groups"])
    assert beside == {"stages.0.groups": "too small"}
    assert rest == []


def test_a_message_without_a_field_keeps_its_key() -> None:
    assert forms.place_problems({"stages.0": "something else"}, ["name"]) == ({}, ["stages.0: something else"])


@pytest.mark.parametrize(
    "broken",
    [
        {"stages.0.lr": -1.0},
        {"data.gate_share": 0.7, "data.test_share": 0.7},
        {"stages.0.epochs": None, "stages.0.steps": None},
    ],
)
def test_a_broken_state_can_be_fixed_by_a_valid_one(broken: dict[str, Any]) -> None:
    good = forms.state_from_plan(Plan(name="mine"))
    fixed = forms.fix_state({**good, **broken, "model.max_length": 64}, good)
    assert forms.plan_from_state(fixed).model.max_length == 64


def test_fingerprints_follow_the_value() -> None:
    assert forms.fingerprint({"a": 1, "b": math.inf}) == forms.fingerprint({"b": math.inf, "a": 1})
    assert forms.fingerprint({"a": 1}) != forms.fingerprint({"a": 2})


def test_an_error_says_which_field() -> None:
    with pytest.raises(ValidationError, match="lr"):
        forms.plan_from_state({"stages.0.lr": "fast"})


def test_the_page_of_keys_is_up_to_date() -> None:
    page = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    assert page == reference.markdown(), "run `python -m core.config.reference > docs/plan.md`"


def test_every_key_has_a_description() -> None:
    assert [key.path for key in plan_keys().values() if len(key.description) < 5] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "plans").glob("*.yaml")), ids=lambda path: path.stem)
def test_ready_plans_are_valid(path: Path) -> None:
    plan = plan_from_yaml(path.read_text(encoding="utf-8"), where=path.name)
    assert plan.data.source in ("reviews", "tweets", "zh-news", "zh-reviews")
    assert plan.model.source == "bundled"
