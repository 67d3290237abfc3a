"""A head that points, in the planner: where it is offered, what it can go without, and that it goes with its task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import StorageError
from pages.ui.forms_relevant import relevant
from pages.ui.planner_stage_words import metrics_of, settings_of
from tests.pages.fake_studio import FakeStudio
from tests.pages.test_planner_page import key, shown_plan, wait_for_answers, words


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


def with_gazetteer(open_planner: Callable[..., AppTest]) -> AppTest:
    """Open the planner with a head that points to a gazetteer."""
    app = open_planner()
    choose(app, "task.kind", "tagging")
    choose(app, "task.head", "pointer")
    choose(app, "task.pointer.dictionary", "gazetteer")
    return app


def test_what_stands_in_a_gazetteer_is_told_below_its_file(
    open_planner: Callable[..., AppTest], studio: FakeStudio, tmp_path: Path
) -> None:
    app = with_gazetteer(open_planner)
    assert "gazetteer" not in studio.asked
    table = tmp_path / "known.csv"
    table.write_text("entry,type\nAnna,person\nPaul,person\n*Rome*,geo-loc\n", encoding="utf-8")
    app.text_input(key=key(app, "task.pointer.gazetteer")).set_value(str(table)).run()
    wait_for_answers(app)
    app.run()
    assert "**3 entries** of known.csv: person 2, geo-loc 1." in words(app)
    (first,) = [one for one in app.dataframe if list(one.value) == ["entry", "type"]]
    assert first.value["entry"].tolist() == ["Anna", "Paul", "*Rome*"]
    # A row that cannot be used is named, and a mended file is read again.
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("entry,type\nAnna,person\n,person\n", encoding="utf-8")
    app.text_input(key=key(app, "task.pointer.gazetteer")).set_value(str(wrong)).run()
    wait_for_answers(app)
    app.run()
    assert "line 3: entry is empty" in words(app).replace("\u2060", "")
    wrong.write_text("entry,type\nAnna,person\n", encoding="utf-8")
    app.button(key="planner_gazetteer_again").click().run()
    wait_for_answers(app)
    app.run()
    assert "**1 entry** of wrong.csv: person 1." in words(app)


def test_a_gazetteer_is_uploaded_and_used_again(
    open_planner: Callable[..., AppTest], studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = with_gazetteer(open_planner)
    upload = f"{key(app, 'task.pointer.gazetteer')}_upload"
    app.file_uploader(key=upload).upload("mine.tsv", b"entry\ttype\nAnna\tperson\n").run()
    wait_for_answers(app)
    app.run()
    assert not app.exception
    kept = studio.home.uploads / "mine.tsv"
    assert shown_plan(app).task.pointer.gazetteer == str(kept)
    assert "**1 entry** of mine.tsv" in words(app)
    # Another form finds it among the uploads.
    monkeypatch.setattr(
        studio.data, "uploads", lambda: [{"name": kept.name, "path": str(kept), "bytes": 25, "time": 0.0}]
    )
    choose(app, "task.pointer.dictionary", "none")
    choose(app, "task.pointer.dictionary", "gazetteer")
    assert not app.text_input(key=key(app, "task.pointer.gazetteer")).value
    app.selectbox(key=f"{upload}_pick").set_value(str(kept)).run()
    assert shown_plan(app).task.pointer.gazetteer == str(kept)
    # A path that is typed instead is no upload: the list offers it again.
    app.text_input(key=key(app, "task.pointer.gazetteer")).set_value("elsewhere.csv").run()
    assert app.selectbox(key=f"{upload}_pick").value is None


def test_an_upload_that_cannot_be_kept_says_why_and_changes_nothing(
    open_planner: Callable[..., AppTest], studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, content: bytes) -> Path:
        raise StorageError("The uploaded file cannot be written: no space left.", where=name)

    monkeypatch.setattr(studio.data, "save_upload", full)
    app = with_gazetteer(open_planner)
    upload = f"{key(app, 'task.pointer.gazetteer')}_upload"
    app.file_uploader(key=upload).upload("mine.csv", b"entry,type\nAnna,person\n").run()
    assert "no space left" in words(app)
    assert not app.text_input(key=key(app, "task.pointer.gazetteer")).value


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
    more = settings_of({**by_words, "task.pointer.sentence_weight": 0.5})
    assert {"entry_recall", "frame_accuracy"} <= set(metrics_of("tagging", **more))
    assert "entry_recall" not in metrics_of("tagging", **settings_of({**by_words, "task.pointer.kind": "global"}))
