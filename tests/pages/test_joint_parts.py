"""Joint plan ↔ form loses nothing, and what is wrong between tasks is said beside the field that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import Plan, plan_to_yaml
from core.config.files import mapping_from_yaml
from core.config.joint import JointPlan, JointTask, JointTraining, MixingConfig
from core.config.joint_demo import ReadyJoint, example, joint_plans, names_and_questions
from core.config.reference import config_keys
from core.errors import ConfigError
from pages.ui.joint.files import plan_of_text
from pages.ui.joint.parts import OF_STAGE, OWN, data_of, from_single, parts_of, read, task_name, task_state
from pages.ui.joint.training import MAIN, MORE, STOPPING
from pages.ui.joint.words import LABELS, STEPS

ROOT = Path(__file__).parents[2]
words = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=12)


@st.composite
def tasks(draw: st.DrawFn, name: str, *, fixed: bool, quotas: bool) -> dict[str, Any]:
    kind = draw(st.sampled_from(["classification", "tagging", "question_answering", "dependency"]))
    return {
        "name": name,
        "task": {"kind": kind, "stride": draw(st.integers(0, 15)), "relations": draw(st.booleans())},
        "data": {
            "source": draw(words), "gate_source": draw(st.none() | words), "drop_duplicates": draw(st.booleans()),
            "columns": {"text": draw(st.none() | words)}, "train_rows": draw(st.none() | st.integers(1, 10**6)),
        },
        "max_length": draw(st.none() | st.integers(64, 512)), "head_lr": draw(st.none() | st.floats(1e-6, 1)),
        "weight": draw(st.floats(0.1, 9)) if fixed else 1.0, "quota": draw(st.integers(1, 10**6)) if quotas else None,
        "metric": draw(st.none() | words), "share": draw(st.floats(0.1, 9)),
        "class_weights": draw(
            st.sampled_from(["none", "balanced"]) | st.dictionaries(words, st.floats(0, 9), max_size=2)
        ),
        "label_smoothing": draw(st.floats(0, 0.9)),
    }  # fmt: skip


@st.composite
def plans(draw: st.DrawFn) -> JointPlan:
    weights = draw(st.sampled_from(["equal", "fixed", "uncertainty"]))
    quotas = draw(st.booleans())
    names = draw(st.lists(words, min_size=1, max_size=3, unique_by=str.casefold))
    names = [f"{name} task" for name in names]
    return JointPlan.model_validate(
        {
            "name": draw(words), "tags": draw(st.lists(words, max_size=2)),
            "tasks": [draw(tasks(name, fixed=weights == "fixed", quotas=quotas)) for name in names],
            "beside": [{"name": "never"}] if draw(st.booleans()) else [],
            "model": {"source": draw(words), "max_length": draw(st.integers(64, 512))},
            "training": {
                "lr": draw(st.floats(1e-6, 1)), "head_lr": draw(st.none() | st.floats(1e-6, 1)),
                "steps": None if quotas else draw(st.none() | st.integers(1, 10**6)),
                "schedule": {"name": "polynomial", "options": draw(st.dictionaries(words, st.integers(), max_size=2))},
                "early_stopping": {"patience": draw(st.none() | st.integers(1, 9))},
                "eval_every": draw(st.none() | st.integers(1, 999)), "freeze_layers": draw(st.integers(0, 9)),
            },
            "mixing": {
                "weights": weights, "alpha": draw(st.floats(0, 1)), "alpha_end": draw(st.none() | st.floats(0, 1)),
                "pcgrad": draw(st.booleans()), "monitor_every": draw(st.none() | st.integers(0, 99)),
            },
            "runtime": {"seed": draw(st.integers(0, 2**40)), "threads": draw(st.just("auto") | st.integers(1, 64))},
        }
    )  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(plans())
def test_form_and_yaml_hold_the_same_plan(plan: JointPlan) -> None:
    parts = parts_of(plan)
    assert read(parts) == (plan, {})
    # What the page does before it reads: each task gets what all have in common.
    parts.tasks = [task_state(state, parts.shared, own) for state, own in zip(parts.tasks, parts.own, strict=True)]
    assert read(parts) == (plan, {})
    assert plan_of_text(plan_to_yaml(plan), "file") == plan
    assert plan_to_yaml(JointPlan.model_validate(data_of(parts))) == plan_to_yaml(plan)


def test_every_key_has_a_field_or_is_kept_without_one() -> None:
    own = {key for key in config_keys(JointTask) if not key.startswith(("task.", "data."))}
    assert own == {*OWN, *OF_STAGE}
    assert set(LABELS) == {*OWN, *config_keys(MixingConfig)}
    assert set(STEPS) <= set(LABELS)
    shown = {*MAIN, *STOPPING, *(name for names in MORE.values() for name in names)}
    assert shown == set(config_keys(JointTraining))
    held = {"name", "tags", "tasks", "model", "training", "mixing", "runtime"}
    assert set(JointPlan.model_fields) - held == set(parts_of(names_and_questions()).rest)


def changed(**own: Any) -> dict[str, str]:
    parts = parts_of(names_and_questions())
    for name, values in own.items():
        if name == "steps":
            parts.shared["stages.0.steps"] = values
        else:
            for at, value in enumerate(values):
                parts.own[at][name] = value
    return read(parts)[1]


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"name": ["names", "Names"]}, "tasks.1.name", "another task is called so"),
        ({"name": ["", "b"]}, "tasks.0.name", "at least 1 character"),
        ({"name": ["a/b", "b"]}, "tasks.0.name", "name of a folder"),
        ({"quota": [None, 90]}, "tasks.0.quota", "questions has one"),
        ({"quota": [90, 90], "steps": 5}, "training.steps", "leave this empty"),
        ({"weight": [1.0, 2.0]}, "tasks.1.weight", "choose fixed weights"),
        ({"share": [0, 0]}, "tasks.0.share", "at least one must count"),
    ],
)
def test_what_is_wrong_between_tasks_stands_beside_its_field(changes: dict[str, Any], key: str, said: str) -> None:
    found = changed(**changes)
    assert list(found) == [key]
    assert said in found[key]


def test_a_plan_of_one_task_begins_a_joint_one() -> None:
    plan = Plan.model_validate(
        {
            "name": "mine", "task": {"kind": "tagging"}, "data": {"source": "/data/my names.conll"},
            "stages": [{"name": "one", "lr": 5e-4, "class_weights": "balanced", "gate": {}, "reinit_top_n": 1}],
        }
    )  # fmt: skip
    found = from_single(plan)
    assert [one.name for one in found.tasks] == ["my names"]
    assert (found.training.lr, found.tasks[0].class_weights, found.tasks[0].data) == (5e-4, "balanced", plan.data)
    assert found.plan_of(0).task == plan.task


@pytest.mark.parametrize(
    ("source", "name"),
    [("tweets", "tweets 3"), ("hub:owner/some_set", "some_set"), ("C:\\a\\b?.csv", "C a b"), ("loss", "loss task")],
)
def test_a_task_is_called_after_its_source(source: str, name: str) -> None:
    assert task_name(source, ["Tweets", "tweets 2"]) == name
    JointTask(name=name)


def test_files_say_which_form_they_are_for() -> None:
    assert isinstance(plan_of_text("name: x", "a.yaml"), Plan)
    joint = plan_of_text("kind: joint\ntasks:\n- name: a\n", "b.yaml")
    assert isinstance(joint, JointPlan)
    with pytest.raises(ConfigError, match="another kind: word graph"):
        plan_of_text("kind: graph", "c.yaml")
    with pytest.raises(ConfigError) as error:
        plan_of_text("kind: joint\ntasks:\n- name: a\n  task:\n    kind: parsing\n", "d.yaml")
    assert "tasks.0.task.kind (line 5)" in error.value.what
    assert "'question_answering'" in error.value.what
    with pytest.raises(ConfigError, match="different tokenisers cannot be trained jointly"):
        plan_of_text("kind: joint\ntasks:\n- name: a\n  tokenizer: other\n", "e.yaml")


@pytest.mark.parametrize("one", joint_plans(), ids=lambda one: one.name)
def test_the_ready_plans_are_the_files_in_the_docs(one: ReadyJoint) -> None:
    text = (ROOT / "docs" / "plans" / f"{one.name}.yaml").read_text(encoding="utf-8")
    assert text == example(one), "run python -m core.config.joint_demo"
    assert plan_of_text(text, "file") == one.plan()
    assert mapping_from_yaml(text, "file")[0]["kind"] == "joint"


def test_ready_plans_differ_in_what_their_names_say() -> None:
    found = {one.name: one.plan() for one in joint_plans()}
    assert len({one.title for one in joint_plans()}) == len(found) == 5
    pair = names_and_questions()
    assert found["names-and-questions"] == pair
    assert found["names-and-questions-weights"].mixing == MixingConfig(weights="uncertainty")
    assert found["names-and-questions-pcgrad"].mixing == MixingConfig(pcgrad=True)
    assert found["names-and-questions-pcgrad"].tasks == pair.tasks
    assert [one.task.head for one in found["names-and-questions-pointers"].tasks] == ["pointer", "pointer"]
    kinds = [one.task.kind for one in found["three-tasks"].tasks]
    assert kinds == ["classification", "tagging", "question_answering"]
    assert all(one.data.drop_duplicates for plan in found.values() for one in plan.tasks)
