"""A head that points, in the planner: where it is offered, what it can go without, and that it goes with its task."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from pages.ui.forms_relevant import relevant
from pages.ui.planner_stage_words import metrics_of
from tests.pages.test_planner_page import key, shown_plan, words


def choose(app: AppTest, path: str, value: str) -> None:
    """Choose a value, however the choices are drawn: that depends on how many there are."""
    listed = [*app.segmented_control, *app.selectbox]
    next(one for one in listed if one.key == key(app, path)).set_value(value).run()


def test_the_head_is_chosen_with_what_it_can_go_without(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    assert not [one for one in app.segmented_control if one.label == "Head"]
    choose(app, "task.kind", "tagging")
    choose(app, "task.head", "pointer")
    assert "Each word points to the first word of its entity" in words(app)
    app.toggle(key=key(app, "task.pointer.memory")).set_value(False).run()
    assert not app.exception
    plan = shown_plan(app)
    assert (plan.task.head, plan.task.pointer.memory, plan.task.pointer.relative) == ("pointer", False, True)
    choose(app, "task.kind", "classification")
    assert not app.exception
    assert (shown_plan(app).task.kind, shown_plan(app).task.head) == ("classification", "linear")


def test_a_dictionary_is_chosen_and_let_go_of(open_planner: Callable[..., AppTest]) -> None:
    app = open_planner()
    choose(app, "task.kind", "tagging")
    choose(app, "task.head", "pointer")
    choose(app, "task.pointer.dictionary", "labels")
    assert "the label in lower case" in words(app)
    assert shown_plan(app).task.pointer.dictionary == "labels"
    choose(app, "task.pointer.dictionary", "gazetteer")
    assert not app.exception
    app.text_input(key=key(app, "task.pointer.gazetteer")).set_value("known.csv").run()
    assert shown_plan(app).task.pointer.gazetteer == "known.csv"
    choose(app, "task.pointer.kind", "global")  # stretches point to nothing
    assert not app.exception
    plan = shown_plan(app)
    assert (plan.task.pointer.dictionary, plan.task.pointer.gazetteer) == ("none", None)


def test_fields_of_the_head_are_shown_where_they_have_a_meaning() -> None:
    points = {"task.kind": "tagging", "task.head": "pointer", "task.pointer.relative": True}
    for name in ("memory", "relative", "size", "reach", "type_weight"):
        assert relevant(f"task.pointer.{name}", points)
        assert not relevant(f"task.pointer.{name}", {**points, "task.head": "linear"})
    by_words = {**points, "task.pointer.kind": "words", "task.pointer.dictionary": "gazetteer"}
    for name in ("dictionary", "gazetteer", "entries"):
        assert relevant(f"task.pointer.{name}", by_words)
        assert not relevant(f"task.pointer.{name}", {**by_words, "task.pointer.kind": "global"})
    assert not relevant("task.pointer.gazetteer", {**by_words, "task.pointer.dictionary": "labels"})
    assert not relevant("task.pointer.reach", {**points, "task.pointer.relative": False})
    assert not relevant("task.pointer.type_weight", {**points, "task.kind": "question_answering"})
    assert relevant("task.head", points)
    assert not relevant("task.head", {"task.kind": "classification"})
    assert metrics_of("tagging", multi_label=False, pointer=True)[0] == "strict_f1"
    assert "null_recall" in metrics_of("tagging", multi_label=False, pointer=True)
    assert "null_recall" not in metrics_of("tagging", multi_label=False)
