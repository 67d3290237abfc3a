"""Fields of the form: each holds its value without change, stands once, and has words."""

from __future__ import annotations

import pytest

from core.config import Distribution, GateConfig, Objective, ParameterGroup, Plan, RaiseConfig, SearchConfig, Stage
from core.config.distillation import (
    DistillationConfig,
    SelectionConfig,
    StateLoss,
    TeacherConfig,
    WeightSchedule,
)
from core.config.reference import part_keys, plan_keys
from pages.ui.forms import state_from_plan
from pages.ui.forms_fields import SECTIONS, STAGE_FIELDS, STAGE_MORE, message_paths, shown_paths
from pages.ui.forms_labels import LABELS
from pages.ui.forms_relevant import relevant
from pages.ui.forms_stages import dig, schema_path
from pages.ui.forms_values import control, from_widget, to_widget
from pages.ui.forms_words import WORDS

#: A plan with everything that a plan can have.
FULL = Plan(
    stages=[
        Stage(name="find", kind="range_test", range_test={}),
        Stage(
            name="head",
            groups=[ParameterGroup(pattern="head", lr=1e-2)],
            gate=GateConfig(reference=0.7),
            raise_if=RaiseConfig(),
        ),
        Stage(
            name="search",
            kind="search",
            search=SearchConfig(
                space={"lr": Distribution(low=1e-5, high=1e-3, log=True), "batch_size": Distribution(choices=[16, 32])},
                objectives=[Objective(metric="accuracy")],
            ),
        ),
        Stage(
            name="distil",
            kind="distil",
            distil=DistillationConfig(
                teachers=[TeacherConfig(source="runs/teacher"), TeacherConfig(source="hub:other", weight=2.0)],
                selection=SelectionConfig(share=0.3),
                states=[
                    StateLoss(kind="hidden", layers=[(1, 2), (2, 6)], schedule=WeightSchedule(name="linear")),
                    StateLoss(kind="relation", layers="last", heads=12),
                ],
            ),
        ),
    ]
)
STATE = state_from_plan(FULL)
PATHS = shown_paths(STATE)


@pytest.mark.parametrize("path", PATHS)
def test_every_field_holds_its_value_without_change(path: str) -> None:
    value = dig(STATE, path)
    assert from_widget(path, to_widget(path, value)) == value


def test_fields_stand_once_and_have_words() -> None:
    assert len(PATHS) == len(set(PATHS))
    assert all(control(path).label and control(path).help for path in PATHS)
    assert set(SECTIONS) == {"rows", "model", "runtime"}


def test_every_key_of_the_schema_has_a_field() -> None:
    shown = {schema_path(path).replace("space.0.", "space.FIELD.") for path in PATHS}
    parts = {"stages.0.gate", "stages.0.raise_if", "stages.0.range_test", "stages.0.search", "stages.0.groups"}
    parts |= {"stages.0.distil", "stages.0.distil.selection"}
    rows = {f"stages.0.{name}" for name in ("search.space", "search.objectives", "distil.teachers", "distil.states")}
    own_actions = {"stages.0.enabled", "version"}
    # The field's name stands in a row of its own; the schema has it as a key.
    shown -= {"stages.0.search.space.FIELD.field"}
    assert set(plan_keys()) | set(part_keys()) == shown | parts | rows | own_actions


def test_every_key_of_a_distillation_and_each_of_its_choices_have_words() -> None:
    keys = {path: key for path, key in part_keys().items() if path.startswith("stages.0.distil.")}
    assert {path for path in LABELS if path.startswith("stages.0.distil.")} == set(keys)
    for path, key in keys.items():
        if key.choices:
            assert set(WORDS[path]) == set(key.choices)


def test_every_field_of_a_stage_is_drawn_for_some_kind() -> None:
    drawn = {name for names in (*STAGE_FIELDS.values(), *STAGE_MORE.values()) for name in names}
    for path in PATHS:
        found = path.startswith("stages.1.") and path.removeprefix("stages.1.")
        if found and not found.startswith(("gate.", "raise_if.", "groups.", "on_")):
            assert found in drawn


@pytest.mark.parametrize(
    ("path", "typed", "value"),
    [
        ("stages.0.class_weights", "{a: 2.0, b: 0.5}", {"a": 2.0, "b": 0.5}),
        ("stages.7.class_weights", "balanced", "balanced"),
        ("stages.0.schedule.options", "[unclosed", "[unclosed"),
        ("stages.0.schedule.options", "", {}),
        ("stages.2.search.space.1.choices", "16, 32", [16, 32]),
        ("stages.2.search.space.1.choices", "1e-5, 3e-5", [1e-5, 3e-5]),
        ("stages.2.search.space.1.choices", "linear", ["linear"]),
        ("stages.2.search.space.1.choices", "[a, true, 2]", ["a", True, 2]),
        ("stages.2.search.space.0.fixed", "3e-5", 3e-5),
        ("stages.2.search.space.0.fixed", "", None),
        ("stages.1.gate.reference", 0.0, 0.0),
        ("runtime.threads", "4", 4),
        ("runtime.threads", "auto", "auto"),
        ("data.gate_source", "", None),
        ("tags", [" a ", ""], ["a"]),
    ],
)
def test_what_is_typed_becomes_a_value(path: str, typed: object, value: object) -> None:
    found = from_widget(path, typed)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("stages.0.epochs", False),
        ("stages.0.gate", False),
        ("stages.0.range_test.lr_max", True),
        ("stages.1.epochs", True),
        ("stages.1.on_fail", True),
        ("stages.2.on_fail", False),
        ("stages.2.search.trials", True),
        ("stages.2.distil.alpha", False),
        ("stages.3.distil.alpha", True),
        ("stages.3.distil.alpha_schedule.to", False),
        ("stages.3.distil.sharpness", False),
        ("stages.3.distil.teachers.1.weight", True),
        ("stages.3.distil.states.0.distance", True),
        ("stages.3.distil.states.0.schedule.end", True),
        ("stages.3.distil.states.0.heads", False),
        ("stages.3.distil.states.1.heads", True),
        ("stages.3.distil.states.1.map", False),
        ("stages.3.distil.states.1.schedule.to", False),
    ],
)
def test_a_kind_of_stage_shows_what_it_uses(path: str, kept: bool) -> None:
    assert relevant(path, STATE) is kept


def test_messages_stand_only_where_something_is_drawn() -> None:
    places = message_paths(STATE)
    assert "stages.0.epochs" not in places
    assert "stages.1.groups.0.pattern" in places
    assert "stages.2.search.space.1.choices" in places
