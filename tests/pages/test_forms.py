"""Form ↔ plan loses nothing, and messages stand beside their field."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.config import Plan, Stage, load_config, plan_from_yaml, plan_to_yaml, reference
from core.config.joint import JointPlan
from core.config.reference import plan_keys
from pages.ui import forms
from pages.ui.forms_fields import message_paths, shown_paths
from pages.ui.forms_stages import (
    dig,
    fresh_part,
    fresh_row,
    schema_path,
    stage_count,
    stage_values,
    store,
    unused_name,
    with_stages,
)
from pages.ui.forms_values import from_widget, to_widget

ROOT = Path(__file__).parents[2]

words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
maybe_words = st.none() | words
numbers = st.floats(1e-8, 10, allow_nan=False)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _choices() -> st.SearchStrategy[Any]:
    """Space of a search: fields of a stage with values that they take."""
    rates = st.tuples(st.floats(1e-6, 1e-4), st.floats(1e-3, 1), st.booleans())
    ranges = rates.map(lambda one: {"low": one[0], "high": one[1], "log": one[2]})
    return st.fixed_dictionaries(
        {"lr": ranges},
        optional={
            "head_lr": ranges,
            "batch_size": st.lists(st.integers(1, 256), min_size=1, max_size=4, unique=True).map(
                lambda values: {"choices": values}
            ),
            "schedule.name": st.just({"choices": ["linear", "cosine"], "fixed": "cosine"}),
            "layer_decay": st.just({"low": 0.5, "high": 1.0, "step": 0.1}),
        },
    )


def _moves() -> st.SearchStrategy[Any]:
    """How a weight changes."""
    shares = st.tuples(st.floats(0, 0.4), st.floats(0.5, 1))
    names = st.sampled_from(["constant", "linear", "cosine", "step"])
    return st.builds(
        lambda name, to, share: {"name": name, "to": to, "begin": share[0], "end": share[1]},
        names, st.floats(0, 1), shares,
    )  # fmt: skip


@st.composite
def distillations(draw: st.DrawFn) -> dict[str, Any]:
    """What a stage of kind distil may hold, key by key."""
    pairs = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 24)), min_size=1, max_size=4, unique=True)
    losses = st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["hidden", "attention", "relation", "embedding"]), "weight": st.floats(0, 1000),
            "schedule": _moves(), "distance": st.sampled_from(["mse", "cosine", "normalised"]),
            "map": st.sampled_from(["auto", "none", "linear"]), "positions": st.sampled_from(["all", "first"]),
            "layers": st.sampled_from(["uniform", "skip", "last", "cka"]) | pairs,
            "heads": _maybe(st.integers(1, 48)),
        }
    )  # fmt: skip
    differences = draw(st.just(0.0) | st.floats(0.01, 1))
    chosen = st.fixed_dictionaries({"by": st.sampled_from(["entropy", "student_loss"]), "share": st.floats(0.01, 1)})
    teachers = st.fixed_dictionaries({"source": words, "weight": st.floats(0.01, 1000)})
    return {
        "teachers": draw(st.lists(teachers, min_size=1, max_size=3)), "temperature": draw(st.floats(0.1, 100)),
        "alpha": draw(st.floats(0.01, 1)), "alpha_schedule": draw(_moves()), "answers": draw(st.floats(0.01, 1000)),
        "answers_schedule": draw(_moves()), "differences": differences, "sharpness": draw(st.floats(0.1, 10)),
        "harmful": draw(st.sampled_from(["keep", "drop"])),
        "selection": draw(_maybe(chosen)) if differences == 0 else None,
        "states": draw(st.lists(losses, max_size=3)), "maps_lr": draw(_maybe(numbers)), "cache": draw(st.booleans()),
        "cache_limit_mb": draw(st.integers(1, 10**6)),
    }  # fmt: skip


@st.composite
def stage_dicts(draw: st.DrawFn, name: str, before: list[tuple[str, str]]) -> dict[str, Any]:
    """One stage of any kind; `before` holds (name, kind) of those that are executed before it."""
    kind = draw(st.sampled_from(["train", "distil", "range_test", "search"]))
    starts = ["last", "pretrained", *(f"best:{other}" for other, kind_ in before if kind_ != "range_test")]
    tests = [other for other, kind_ in before if kind_ == "range_test"]
    steps = draw(_maybe(st.integers(600, 10**6)))
    stage = {
        "name": name,
        "kind": kind,
        "start_from": draw(st.sampled_from(starts)),
        "lr_from": draw(st.sampled_from([None, *tests])),
        "seed": draw(_maybe(st.integers(0, 2**40))),
        "dropout": draw(_maybe(st.floats(0, 0.9))),
        "epochs": draw(numbers),
        "steps": steps,
        "lr": draw(numbers),
        "head_lr": draw(_maybe(numbers)),
        "layer_decay": draw(st.floats(0.01, 1)),
        "freeze_layers": draw(st.integers(0, 12)),
        "freeze_encoder": draw(st.booleans()),
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
        "guards": {
            "nan": draw(st.booleans()),
            "explode_factor": draw(_maybe(st.floats(1.1, 100))),
            "entropy": draw(_maybe(st.floats(0.01, 0.9))),
        },
        "max_retries": draw(st.integers(1, 20)),
        "on_pass": draw(st.sampled_from(["promote", "repeat", "stop"])),
        "on_fail": draw(st.sampled_from(["cut", "raise", "rollback", "continue", "stop"])),
        "lr_cap": draw(_maybe(numbers)),
        "budget_s": draw(_maybe(numbers)),
        "raise_if": draw(_maybe(st.fixed_dictionaries({"factor": st.floats(1.1, 50), "every": st.integers(4, 99)}))),
    }
    if kind == "distil":
        stage["distil"] = draw(distillations())
    if kind in ("train", "distil"):
        reference = st.sampled_from(["start", "majority"]) | numbers
        gate = {"rule": st.sampled_from(["point", "lower"]), "reference": reference, "metric": maybe_words}
        stage["gate"] = draw(_maybe(st.fixed_dictionaries(gate)))
    if kind == "range_test":
        stage["range_test"] = draw(_maybe(st.just({"steps": 20}) | st.just({"lr_min": 1e-5, "per_group": True})))
    if kind == "search":
        objectives = st.lists(
            st.fixed_dictionaries({"metric": words, "direction": st.sampled_from([None, "maximize"])}), max_size=3,
            unique_by=lambda one: one["metric"],
        )  # fmt: skip
        stage["search"] = {
            "space": draw(_choices()),
            "trials": draw(st.integers(1, 99)),
            "objectives": draw(objectives),
        }
    return stage


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    kind = draw(st.sampled_from(["classification", "tagging"]))
    names = draw(st.lists(words, min_size=1, max_size=4, unique=True))
    stages: list[dict[str, Any]] = []
    before: list[tuple[str, str]] = []
    for index, name in enumerate(names):
        stage = draw(stage_dicts(name, list(before)))
        stage["enabled"] = index == 0 or draw(st.booleans())
        if stage["enabled"]:
            before.append((name, stage["kind"]))
        stages.append(stage)
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
            "stages": stages,
            "runtime": {
                "backend": draw(st.sampled_from(["process", "thread"])),
                "threads": draw(st.just("auto") | st.integers(1, 512)),
                "seed": draw(st.integers(0, 2**40)),
            },
        }
    )


@settings(max_examples=25, deadline=None)
@given(plans())
def test_form_and_plan_round_trip_without_loss(plan: Plan) -> None:
    assert forms.plan_from_state(forms.state_from_plan(plan)) == plan


@settings(max_examples=15, deadline=None)
@given(plans())
def test_form_and_yaml_round_trip_without_loss(plan: Plan) -> None:
    again = plan_from_yaml(plan_to_yaml(forms.plan_from_state(forms.state_from_plan(plan))))
    assert forms.state_from_plan(again) == forms.state_from_plan(plan)


@settings(max_examples=15, deadline=None)
@given(plans())
def test_yaml_of_a_plan_is_the_same_after_the_form(plan: Plan) -> None:
    text = plan_to_yaml(plan)
    assert plan_to_yaml(forms.plan_from_state(forms.state_from_plan(plan_from_yaml(text)))) == text


@settings(max_examples=15, deadline=None)
@given(plans())
def test_reading_every_field_back_changes_nothing_but_spaces_around_tags(plan: Plan) -> None:
    trimmed = [tag.strip() for tag in plan.tags if tag.strip()]
    state = forms.state_from_plan(plan)
    again = dict(state)
    for path in shown_paths(state):
        store(again, path, from_widget(path, to_widget(path, dig(state, path))))
    assert forms.plan_from_state(again) == plan.model_copy(update={"tags": trimmed})


@settings(max_examples=10, deadline=None)
@given(plans())
def test_stages_taken_out_and_put_back_are_the_same(plan: Plan) -> None:
    state = forms.state_from_plan(plan)
    assert with_stages(state, [stage_values(state, index) for index in range(stage_count(state))]) == state


def test_the_state_holds_every_key_of_the_plan() -> None:
    def leaves(value: Any, prefix: str) -> set[str]:
        if isinstance(value, dict) and schema_path(prefix) not in plan_keys():
            return {leaf for key, item in value.items() for leaf in leaves(item, f"{prefix}.{key}".lstrip("."))}
        if isinstance(value, list) and prefix == "stages":
            return {leaf for index, item in enumerate(value) for leaf in leaves(item, f"{prefix}.{index}")}
        return {prefix}

    plan = Plan(stages=[Stage(name="one"), Stage(name="two")])
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


def two_stages(**second: Any) -> forms.State:
    state = forms.state_from_plan(Plan(stages=[Stage(name="one"), Stage(name="two")]))
    return {**state, **{f"stages.1.{name}": value for name, value in second.items()}}


def placed(state: forms.State) -> tuple[dict[str, str], list[str]]:
    return forms.place_problems(forms.read_state(state)[1], message_paths(state))


@pytest.mark.parametrize(
    ("second", "path", "words"),
    [
        ({"name": "one"}, "stages.1.name", "another stage is called 'one'"),
        ({"lr": 0.0}, "stages.1.lr", "greater than 0"),
        ({"start_from": "best:three"}, "stages.1.start_from", "does not exist"),
        ({"lr_from": "one"}, "stages.1.lr_from", "must be range_test"),
        ({"epochs": None}, "stages.1.epochs", "give epochs or steps"),
        ({"steps": 5, "schedule.warmup": 9.0}, "stages.1.schedule.warmup", "longer than the stage"),
        ({"gate": {**fresh_part("gate"), "min_delta": -1}}, "stages.1.gate.min_delta", "greater than or equal"),
        ({"gate": {**fresh_part("gate"), "reference": "x"}}, "stages.1.gate.reference", "got 'x'"),
        ({"gate": fresh_part("gate"), "on_pass": "repeat"}, "stages.1.on_pass", "would not repeat"),
        ({"groups": [{**fresh_row("groups"), "lr": -1}]}, "stages.1.groups.0.lr", "greater than or equal"),
    ],
)
def test_a_message_stands_beside_the_field_of_the_right_stage(second: dict[str, Any], path: str, words: str) -> None:
    beside, rest = placed(two_stages(**second))
    assert words in beside[path]
    assert (len(beside), rest) == (1, []) or words.startswith("got")


@pytest.mark.parametrize(
    ("rows", "path", "words"),
    [
        ([("", {})], "stages.1.search.space.1.field", "choose the field"),
        ([("lr", {})], "stages.1.search.space.1.field", "row above"),
        ([("dropout", {"low": 0.5, "high": 0.1})], "stages.1.search.space.1.low", "upside down"),
        ([("schedule.warmup", {"step": -1.0})], "stages.1.search.space.1.step", "greater than 0"),
    ],
)
def test_a_message_about_a_searched_field_stands_in_its_row(rows: list[Any], path: str, words: str) -> None:
    search = fresh_part("search")
    search["space"] += [{**fresh_row("search.space"), "field": name, **values} for name, values in rows]
    beside, rest = placed(two_stages(kind="search", search=search))
    assert words in beside[path]
    assert rest == []


def test_a_field_that_cannot_be_searched_is_named_in_its_row() -> None:
    search = fresh_part("search")
    search["space"].append({**fresh_row("search.space"), "field": "colour"})
    beside, rest = placed(two_stages(kind="search", search=search))
    assert any("colour" in words for words in (*beside.values(), *rest))
    assert all(path.startswith("stages.1.") for path in beside)


def test_a_message_about_all_stages_has_no_field() -> None:
    state = forms.state_from_plan(Plan())
    beside, rest = placed({**state, "stages.0.enabled": False})
    assert beside == {}
    assert rest == ["every stage is switched off; at least one must be executed"]


def test_a_value_inside_a_part_can_be_changed_without_changing_other_states() -> None:
    state = two_stages(gate=fresh_part("gate"))
    other = dict(state)
    store(other, "stages.1.gate.min_delta", 0.5)
    store(other, "stages.0.gate.min_delta", 0.5)
    assert (dig(state, "stages.1.gate.min_delta"), dig(other, "stages.1.gate.min_delta")) == (0.0, 0.5)
    assert other["stages.0.gate"] is None


def test_rows_of_a_list_are_reached_by_their_number() -> None:
    state = two_stages(groups=[fresh_row("groups"), fresh_row("groups")])
    store(state, "stages.1.groups.1.pattern", "layer:0")
    store(state, "stages.1.groups.9.pattern", "nowhere")
    assert [row["pattern"] for row in state["stages.1.groups"]] == ["head", "layer:0"]
    assert dig(state, "stages.1.groups.9.pattern") is None


def test_a_stage_that_a_broken_state_has_more_is_mended_by_the_schema() -> None:
    good = forms.state_from_plan(Plan())
    broken = {**two_stages(lr=-1.0, epochs=4.0)}
    fixed = forms.plan_from_state(forms.fix_state(broken, good))
    assert (fixed.stages[1].lr, fixed.stages[1].epochs) == (Stage().lr, 4.0)


def test_ten_stages_stay_in_order() -> None:
    plan = Plan(stages=[Stage(name=f"stage {number}") for number in range(12)])
    assert forms.plan_from_state(forms.state_from_plan(plan)) == plan


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert unused_name("head", ["all"]) == "head"
    assert unused_name("head", ["head", "head 2"]) == "head 3"
    assert unused_name("head 2", ["head", "head 2"]) == "head 3"


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
    plan = load_config(path)
    if isinstance(plan, JointPlan):
        assert {one.data.source for one in plan.tasks} <= {"reviews", "tweets", "tweet-questions"}
        assert plan.model.source == "bundled"
        return
    assert isinstance(plan, Plan)
    assert plan.data.source in ("reviews", "tweets", "zh-news", "zh-reviews")
    taught = {one.source for stage in plan.stages if stage.distil is not None for one in stage.distil.teachers}
    assert plan.model.source in (taught or {"bundled"})  # a recipe's student begins as layers of its teacher
