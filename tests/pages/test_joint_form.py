"""Several tasks together in the stage planner: the form, its plan, and what keeps it from being started."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from core.config.files import mapping_from_yaml
from core.config.joint import JointPlan
from core.config.joint_demo import joint_plans, names_and_questions
from pages.ui.joint.files import plan_of_text
from pages.ui.joint.held import Joint, slot
from tests.pages.fake_studio import FakeStudio
from tests.pages.test_planner_page import primary
from tests.pages.test_planner_page import words as marked


def opened(open_planner: Callable[..., AppTest], **query: str) -> AppTest:
    app = open_planner(**query)
    if not query:
        app.segmented_control(key="planner_mode_switch").set_value("together").run()
    assert not app.exception, app.exception
    return app


def words(app: AppTest) -> str:
    return marked(app).replace("\u2060", "")


def held(app: AppTest) -> Joint:
    found = app.session_state["joint_plan"]
    assert isinstance(found, Joint)
    return found


def key(app: AppTest, number: int, path: str) -> str:
    """Return the key of a field in a task's own draft."""
    generation = app.session_state[f"planner_draft{slot(number)}"].generation
    return f"plan{slot(number)}{generation}_{path.replace('.', '_')}"


def own(app: AppTest, path: str) -> str:
    now = held(app)
    turn = now.turns.get(path, 0)
    return f"joint{now.generation}_{path}{f'_{turn}' if turn else ''}"


def actions(app: AppTest, number: int) -> list[str]:
    return [one.partition(": ")[2] for one in app.menu_button(key=f"joint_menu_{number}").options]


def shared(app: AppTest, path: str) -> str:
    generation = app.session_state["planner_draft_joint_"].generation
    return f"plan_joint_{generation}_{path.replace('.', '_')}"


def shown(app: AppTest) -> JointPlan:
    data, _ = mapping_from_yaml(app.code[0].value, "shown")
    return JointPlan.model_validate(data)


def test_the_form_of_one_task_is_taken_over_and_others_join_it(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened(open_planner)
    assert [one.name for one in shown(app).tasks] == ["reviews"]
    app.button(key="joint_add").click().run()
    now = held(app)
    assert [now.name(number) for number in now.order] == ["reviews", "tweets"]
    assert now.open == now.order[1]
    plan = shown(app)
    assert (plan.tasks[1].task.kind, plan.tasks[1].data.drop_duplicates) == ("tagging", True)
    assert plan.tasks[1].metric is None
    app.number_input(key=shared(app, "stages.0.lr")).set_value(3e-4)
    app.number_input(key=own(app, "mixing_alpha")).set_value(1.0)
    app.number_input(key=own(app, f"{now.order[1]}_head_lr")).set_value(2e-3)
    app.number_input(key=key(app, now.order[1], "data.train_rows")).set_value(500)
    app.run()
    plan = shown(app)
    assert (plan.training.lr, plan.mixing.alpha, plan.tasks[1].head_lr) == (3e-4, 1.0, 2e-3)
    assert [one.data.train_rows for one in plan.tasks] == [2000, 500]
    primary(app).click().run()
    assert studio.runs.submitted == [plan]
    assert [run.kind for run in studio.runs.list()] == ["joint"]


def test_the_ready_pair_fills_the_form_and_its_yaml_comes_back_the_same(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened(open_planner, together="names-and-questions")
    assert shown(app) == names_and_questions()
    metrics = {one.label: one.value for one in app.metric}
    assert (metrics["Optimiser steps"], metrics["Tasks"]) == ("128", "2")
    assert "The tasks can be learnt together" in words(app)
    app.text_input(key=shared(app, "name")).set_value("mine").run()
    text = app.code[0].value
    again = plan_of_text(text, "file")
    assert again == names_and_questions().model_copy(update={"name": "mine"})
    app.button(key="joint_reset").click().run()
    assert [one.name for one in shown(app).tasks] == ["reviews"]
    app.segmented_control(key="planner_mode_switch").set_value("one").run()
    assert "What is learnt together" not in words(app)
    assert not primary(app).disabled


def test_what_is_wrong_stands_beside_its_field_and_start_waits(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened(open_planner, together="names-and-questions")
    first, second = held(app).order
    app.number_input(key=own(app, f"{first}_quota")).set_value(100).run()
    assert primary(app).disabled
    assert "give a quota to every task or to none: names has one" in words(app)
    app.number_input(key=own(app, f"{second}_quota")).set_value(100).run()
    assert not primary(app).disabled
    app.button(key=f"joint_open_{second}").click().run()
    app.text_input(key=own(app, f"{second}_name")).set_value("Names").run()
    assert "another task is called so already" in words(app)
    app.text_input(key=own(app, f"{second}_name")).set_value("asked").run()
    app.number_input(key=key(app, second, "data.gate_share")).set_value(0.6)
    app.number_input(key=key(app, second, "data.test_share")).set_value(0.6).run()
    assert "must be below 1" in words(app)
    assert held(app).wrong == 1
    app.number_input(key=key(app, second, "data.test_share")).set_value(0.1)
    app.number_input(key=shared(app, "stages.0.lr")).set_value(0.0).run()
    assert "greater than 0" in words(app)
    app.number_input(key=shared(app, "stages.0.lr")).set_value(1e-4).run()
    app.number_input(key=shared(app, "stages.0.freeze_layers")).set_value(9).run()
    assert "the encoder has 6 layers" in words(app)
    assert primary(app).disabled


def test_clashes_between_tasks_stand_beside_the_fields_that_mend_them(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    studio.joint.findings = [
        {
            "level": "error", "key": "tasks.1.data.drop_duplicates", "advice": "Divide the rows alike.",
            "message": "3 texts of one task are what another is judged on.",
        },
        {"level": "warning", "key": "tasks.0.share", "message": "No gate rows.", "advice": None},
    ]  # fmt: skip
    app = opened(open_planner, together="names-and-questions")
    told = words(app)
    assert "This plan cannot run as it is." in told
    assert told.count("3 texts of one task are what another is judged on. Divide the rows alike.") == 1
    assert told.count("No gate rows.") == 2
    assert "1 to mend" in told
    assert primary(app).disabled
    app.button(key=f"joint_open_{held(app).order[1]}").click().run()
    assert words(app).count("3 texts of one task are what another is judged on.") == 2


def test_a_task_is_called_after_its_rows_until_somebody_names_it(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened(open_planner)
    app.button(key="joint_add").click().run()
    number = held(app).open
    assert number is not None
    for name in ("zh-reviews", "tweets"):
        app.button_group(key=f"{key(app, number, 'data.source')}_sample").set_value(name).run()
        assert [one.name for one in shown(app).tasks][1] == name
    app.text_input(key=own(app, f"{number}_name")).set_value("mine").run()
    app.menu_button(key=f"joint_menu_{held(app).order[0]}").set_value("remove").run()
    assert [one.name for one in shown(app).tasks] == ["mine"]
    assert actions(app, number) == ["Duplicate"]


def test_tasks_change_places_and_are_duplicated_with_what_is_half_typed(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened(open_planner, together="names-and-questions")
    first, second = held(app).order
    app.button(key=f"joint_open_{second}").click().run()
    app.number_input(key=own(app, f"{second}_head_lr")).set_value(2e-3)
    app.number_input(key=key(app, second, "data.gate_share")).set_value(0.6)
    app.number_input(key=key(app, second, "data.test_share")).set_value(0.6).run()
    assert actions(app, first) == ["Duplicate", "Move down", "Remove"]
    app.menu_button(key=f"joint_menu_{second}").set_value("up").run()
    app.menu_button(key=f"joint_menu_{second}").set_value("duplicate").run()
    now = held(app)
    copied = now.order[1]
    assert [now.name(number) for number in now.order] == ["questions", "questions 2", "names"]
    assert now.open == copied
    assert (now.own[copied]["head_lr"], now.wrong) == (2e-3, 2)  # the shares of both are wrong, each beside its fields
    for number in (copied, second):
        if now.open != number:
            app.button(key=f"joint_open_{number}").click().run()
        app.number_input(key=key(app, number, "data.gate_share")).set_value(0.2)
        app.number_input(key=key(app, number, "data.test_share")).set_value(0.1).run()
    app.text_input(key=own(app, f"{second}_name")).set_value("asked").run()
    plan = shown(app)
    assert [one.name for one in plan.tasks] == ["asked", "questions 2", "names"]
    assert plan.tasks[1].model_copy(update={"name": "asked"}) == plan.tasks[0]
    assert plan.tasks[2] == names_and_questions().tasks[0]


def test_a_ready_plan_takes_the_place_of_the_form_which_comes_back(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened(open_planner)
    assert not [one for one in app.button if one.key == "joint_back"]
    app.text_input(key=shared(app, "name")).set_value("my own")
    app.number_input(key=shared(app, "runtime.seed")).set_value(7)
    app.number_input(key=own(app, "mixing_alpha")).set_value(0.25)
    number = held(app).order[0]
    app.number_input(key=key(app, number, "data.gate_share")).set_value(0.6)
    app.number_input(key=key(app, number, "data.test_share")).set_value(0.6).run()
    assert held(app).plan is None
    app.button(key="joint_ready").click().run()
    for one in joint_plans():
        assert one.about in words(app)
    app.button(key="joint_use_names-and-questions-pcgrad").click().run()
    app.button(key="joint_ready").click().run()
    app.button(key="joint_use_three-tasks").click().run()
    wanted = next(one for one in joint_plans() if one.name == "three-tasks").plan()
    plan = shown(app)
    assert plan == wanted.model_copy(update={"runtime": plan.runtime})
    assert plan.runtime.seed == 7
    app.button(key="joint_back").click().run()
    now = held(app)
    assert (now.plan, now.before, len(now.order)) == (None, None, 1)  # what is half typed is there again
    assert "must be below 1" in words(app)
    app.number_input(key=key(app, now.order[0], "data.gate_share")).set_value(0.2).run()
    plan = shown(app)
    assert (plan.name, plan.mixing.alpha, plan.runtime.seed) == ("my own", 0.25, 7)
    assert [(one.name, one.data.gate_share, one.data.test_share) for one in plan.tasks] == [("reviews", 0.2, 0.6)]


def test_an_address_names_a_ready_plan(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = open_planner(together="nothing")
    assert "There is no ready plan 'nothing'" in words(app)


def test_a_joint_run_opens_in_the_form_as_its_changed_copy(
    open_planner: Callable[..., AppTest], studio: FakeStudio
) -> None:
    plan = names_and_questions()
    run = studio.runs.submit(plan, kind="joint")
    app = opened(open_planner, **{"from": run})
    assert shown(app) == plan
    primary(app).click().run()
    assert studio.runs.parents == [None, run]
    assert studio.runs.submitted == [plan, plan]


def test_time_is_told_on_request(open_planner: Callable[..., AppTest], studio: FakeStudio) -> None:
    app = opened(open_planner, together="names-and-questions")
    assert "joint estimate" not in studio.asked
    app.button(key="joint_estimate").click().run()
    assert {one.label: one.value for one in app.metric}["Time"] == "about 1 min 00 s"
    assert "50 s to 1 min 15 s. names 30 s, questions 30 s." in words(app)
