"""Question answering on the pages: planner fields and columns, results of a run, a question of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.forms_relevant import relevant
from pages.ui.planner_stage_words import metrics_of
from pages.ui.planner_task import kind_of_file
from tests.pages import fake_studio
from tests.pages.fake_studio import FakeStudio
from tests.pages.test_planner_page import key, shown_plan, words

SAMPLE: dict[str, Any] = {
    "name": "zh-news-questions", "title": "Questions about Chinese news (derived)", "language": "zh",
    "tasks": ["question_answering"], "rows": 26312, "licence": "MIT", "about": "Derived, not asked by people.",
    "available": True, "derived": True, "settings": {"no_answer": True, "answer_language": "zh"},
}  # fmt: skip

PART: dict[str, Any] = {
    "n": 131, "windows": 140, "lost": 2, "cut_questions": 1, "threshold": -0.25,
    "intervals": {"f1": [0.64, 0.79], "em": [0.6, 0.76], "loss": [0.6, 1.0]},
    "baseline": {"f1": 0.089, "em": 0.05},
    "breakdown": [
        {"by": "question word", "value": "who", "em": 0.6, "f1": 0.7, "support": 100, "interval": [0.6, 0.8]},
        {"by": "answer length", "value": "no answer", "em": 0.7, "f1": 0.7, "support": 31, "interval": [0.5, 0.9]},
    ],
    "worst": [
        {"row": 7, "text": "Who <b>ran</b>?", "context": "… Anna ran …", "gold": "Anna", "predicted": "no answer",
         "f1": 0.0, "em": 0.0, "loss": 4.0, "confidence": 0.9},
    ],
}  # fmt: skip


@pytest.fixture
def with_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_studio, "SAMPLES", [*fake_studio.SAMPLES, SAMPLE])


# -- the planner -----------------------------------------------------------------------------------------------------


def test_a_derived_sample_brings_its_task_and_settings(
    with_questions: None, open_planner: Callable[..., AppTest]
) -> None:
    app = open_planner()
    pills = f"{key(app, 'data.source')}_sample"
    app.button_group(key=pills).set_value("zh-news-questions").run()
    plan = shown_plan(app)
    assert (plan.task.kind, plan.task.no_answer, plan.task.answer_language) == ("question_answering", True, "zh")
    assert (plan.data.source, plan.data.train_rows) == ("zh-news-questions", 2000)
    assert "Derived, not asked by people" in words(app)
    app.toggle(key=key(app, "task.no_answer")).set_value(False).run()
    assert shown_plan(app).task.no_answer is False
    app.button_group(key=pills).set_value("reviews").run()
    plan = shown_plan(app)
    assert (plan.task.kind, plan.task.no_answer, plan.task.answer_language) == ("classification", False, "en")


def test_the_columns_of_questions_can_be_named(open_planner: Callable[..., AppTest], tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("text,label\nfine,good\n", encoding="utf-8")
    app = open_planner()
    app.selectbox(key=key(app, "task.kind")).set_value("question_answering").run()
    app.segmented_control(key=f"{key(app, 'data.source')}_kind").set_value("path").run()
    app.text_input(key=f"{key(app, 'data.source')}_path").input(str(file)).run()
    for name in ("question", "context", "answers", "start"):
        assert app.selectbox(key=key(app, f"data.columns.{name}")).label
    app.selectbox(key=key(app, "data.columns.context")).set_value("text").run()
    assert not app.exception
    assert shown_plan(app).data.columns.context == "text"


def test_fields_are_shown_where_they_have_a_meaning() -> None:
    asks = {"task.kind": "question_answering", "task.no_answer": True}
    for path in ("task.no_answer", "task.answer_language", "task.longest_answer", "task.longest_question",
                 "task.best_answers", "task.stride", "task.no_answer_threshold"):  # fmt: skip
        assert relevant(path, asks)
        assert not relevant(path, {"task.kind": "classification"})
    assert not relevant("task.no_answer_threshold", {**asks, "task.no_answer": False})
    assert metrics_of("question_answering", multi_label=False) == ["f1", "em", "loss"]


def test_a_file_tells_its_task(tmp_path: Path) -> None:
    nested, flat = tmp_path / "dev.json", tmp_path / "rows.json"
    nested.write_text(json.dumps({"data": [{"paragraphs": []}]}), encoding="utf-8")
    flat.write_text('{"text": "a"}', encoding="utf-8")
    assert kind_of_file(nested) == "question_answering"
    assert kind_of_file(flat) is None
    assert kind_of_file(tmp_path / "a.conllu") == "tagging"
    assert kind_of_file(tmp_path / "none.json") is None
    assert kind_of_file(tmp_path / "a.csv") is None


# -- the run ---------------------------------------------------------------------------------------------------------


def _results(part: dict) -> None:  # type: ignore[type-arg]
    from pages.ui.components import card_row
    from pages.ui.run_answers import answer_cards, answers_part

    card_row(answer_cards(part), key="cards")
    answers_part(part, "test")


def test_results_tell_where_it_answers_well_and_what_went_wrong() -> None:
    app = AppTest.from_function(_results, kwargs={"part": PART}, default_timeout=60).run()
    assert not app.exception, app.exception
    shown = {metric.label.replace("\\", ""): metric.value for metric in app.metric}
    assert shown["Without a model"] == "8.9 %"
    assert shown["'No answer' threshold"].replace("−", "-") == "-0.250"
    table, wrong = (frame.value for frame in app.dataframe)
    assert table["value"].tolist() == ["who", "no answer"]
    assert table["95 % of F1"].tolist()[0] == "60.0–80.0 %"
    assert wrong["predicted"].tolist() == ["no answer"]
    assert wrong["question"].tolist() == ["Who <b>ran</b>?"]
    told = " ".join(caption.value for caption in app.caption)
    assert "140 windows for 131 questions" in told
    assert "2 answers fit into no window" in told


def test_a_run_without_mistakes_says_so() -> None:
    app = AppTest.from_function(_results, kwargs={"part": {**PART, "worst": []}}, default_timeout=60).run()
    assert not app.exception
    assert "Every answer is right." in {caption.value for caption in app.caption}


def test_other_tasks_have_no_such_cards() -> None:
    from pages.ui.run_answers import answer_cards

    assert answer_cards({"baseline": {"strict_f1": 0.5}}) == []


def _ask() -> None:
    from types import SimpleNamespace

    from pages.ui.run_answers import ask_form

    ask_form(SimpleNamespace(id="r1"))  # type: ignore[arg-type]


def test_a_question_is_answered_in_its_context(monkeypatch: pytest.MonkeyPatch, studio: FakeStudio) -> None:
    asked: list[list[list[str]]] = []

    def predict(source: str, texts: list[list[str]]) -> list[dict[str, Any]]:
        asked.append(texts)
        named = {"text": "Anna", "start": 0, "end": 4, "score": 0.9}
        silent = {"text": "", "start": None, "end": None, "score": 0.1}
        return [
            {"text": question, "label": "Anna" if number == 0 else "", "scores": 0.9, "context": context,
             "answers": [named, silent]}
            for number, (question, context) in enumerate(texts)
        ]  # fmt: skip

    monkeypatch.setattr(studio, "predict", predict, raising=False)
    monkeypatch.setattr("pages.ui.run_answers.studio", lambda: studio)
    app = AppTest.from_function(_ask, default_timeout=60).run()
    app.button(key="ask_go").click().run()
    assert "Write a text and a question first." in {caption.value for caption in app.caption}
    app.text_area(key="ask_context").input("Anna <i>ran</i> home.")
    app.text_area(key="ask_questions").input("Who ran?\n\nWhere?")
    app.button(key="ask_go").click().run()
    assert not app.exception, app.exception
    assert asked == [[["Who ran?", "Anna <i>ran</i> home."], ["Where?", "Anna <i>ran</i> home."]]]
    shown = [item.value.replace("\\", "") for item in app.markdown]
    assert "**Anna**" in shown
    assert "**No answer**" in shown
    assert any("[Anna] <i>ran</i> home." in caption.value.replace("\\", "") for caption in app.caption)
