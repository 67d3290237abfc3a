"""Dependency on the pages: planner fields and columns, results of a run, a sentence of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.forms_relevant import relevant
from pages.ui.planner_stage_words import metrics_of
from pages.ui.planner_task import fits_kind
from tests.pages.fake_studio import FakeStudio
from tests.pages.test_planner_page import key, shown_plan

PART: dict[str, Any] = {
    "n": 131, "words": 1500, "lost": 2, "empty_words": 0, "windows": 140,
    "intervals": {"uas": [0.8, 0.9], "las": [0.7, 0.8]}, "baseline": {"las": 0.312, "uas": 0.4},
    "arcs": [
        {"by": "relation", "value": "<b>det", "heads": 0.9, "labelled": 0.85, "support": 300, "interval": [0.8, 1.0]},
        {"by": "distance to the head", "value": "root", "heads": 0.7, "labelled": 0.7, "support": 131,
         "interval": [0.6, 0.8]},
    ],
    "worst": [
        {"row": 7, "text": "the <b>dog", "words": ["the", "<b>dog"], "gold": [2, 0], "predicted": [0, 1],
         "gold_relations": ["det", "root"], "predicted_relations": ["root", "nsubj"], "wrong_heads": 2,
         "wrong_relations": 0, "loss": 4.0, "confidence": 0.4},
    ],
}  # fmt: skip


def test_the_planner_shows_what_dependency_asks_for(open_planner: Callable[..., AppTest], tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("text,label\nfine,good\n", encoding="utf-8")
    app = open_planner()
    app.selectbox(key=key(app, "task.kind")).set_value("dependency").run()
    app.segmented_control(key=f"{key(app, 'data.source')}_kind").set_value("path").run()
    app.text_input(key=f"{key(app, 'data.source')}_path").input(str(file)).run()
    for name in ("tokens", "heads", "relations"):
        assert app.selectbox(key=key(app, f"data.columns.{name}")).label
    app.selectbox(key=key(app, "data.columns.heads")).set_value("label").run()
    app.toggle(key=key(app, "task.tree")).set_value(False).run()
    assert not app.exception
    plan = shown_plan(app)
    assert (plan.task.kind, plan.task.tree, plan.task.relations) == ("dependency", False, True)
    assert plan.data.columns.heads == "label"


def test_fields_are_shown_where_they_have_a_meaning() -> None:
    for path in ("task.tree", "task.relations", "task.score_punctuation", "task.stride"):
        assert relevant(path, {"task.kind": "dependency"})
        assert not relevant(path, {"task.kind": "classification"})
    assert metrics_of("dependency", multi_label=False)[:2] == ["las", "uas"]
    assert metrics_of("dependency", multi_label=False, tree=False, relations=False)[0] == "pointer_accuracy"
    assert fits_kind(Path("a.conllu"), "dependency")
    assert not fits_kind(Path("a.conllu"), "classification")
    assert not fits_kind(Path("a.bio"), "dependency")


def _results(part: dict) -> None:  # type: ignore[type-arg]
    from pages.ui.components import card_row
    from pages.ui.run_trees import tree_cards, trees_part

    card_row(tree_cards(part), key="cards")
    trees_part(part, "test")


def test_results_tell_which_words_get_the_right_head_and_draw_a_wrong_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    app = AppTest.from_function(_results, kwargs={"part": PART}, default_timeout=60).run()
    assert not app.exception, app.exception
    assert {metric.label: metric.value for metric in app.metric} == {"Without a model": "31.2 %"}
    table, wrong = (frame.value for frame in app.dataframe)
    assert table["relation"].tolist() == ["<b>det"]
    assert table["95 % of heads"].tolist() == ["80.0–100.0 %"]
    assert table["and relation"].tolist() == ["85.0 %"]
    assert wrong["sentence"].tolist() == ["the <b>dog"]
    told = " ".join(caption.value for caption in app.caption)
    assert "1,500 words in 131 sentences" in told
    assert "2 heads share no window" in told
    app.button_group(key="trees_by").set_value("distance to the head").run()
    assert app.dataframe[0].value["distance to the head"].tolist() == ["root"]
    assert app.selectbox(key="trees_chosen").options == ["Row 7: the <b>dog"]


def test_a_run_without_mistakes_says_so() -> None:
    app = AppTest.from_function(_results, kwargs={"part": {**PART, "worst": []}}, default_timeout=60).run()
    assert not app.exception
    assert "Every word has the right head." in {caption.value for caption in app.caption}


def _parse() -> None:
    from types import SimpleNamespace

    from pages.ui.run_trees import parse_form

    parse_form(SimpleNamespace(id="r1", plan={"task": {"kind": "dependency", "tree": True}}))  # type: ignore[arg-type]


def test_a_sentence_of_ones_own_gets_its_arcs(monkeypatch: pytest.MonkeyPatch, studio: FakeStudio) -> None:
    asked: list[list[str]] = []
    drawn: list[dict[str, Any]] = []

    def predict(source: str, texts: list[str]) -> list[dict[str, Any]]:
        asked.append(texts)
        return [
            {"text": text, "label": ["det", "root"], "scores": [0.9, 0.25], "words": ["the", "<i>dog"],
             "heads": [2, 0], "relations": ["det", "root"]}
            for text in texts
        ]  # fmt: skip

    monkeypatch.setattr(studio, "predict", predict, raising=False)
    monkeypatch.setattr("pages.ui.run_trees.studio", lambda: studio)
    monkeypatch.setattr("pages.ui.run_trees._mount", lambda **given: drawn.append(given))
    app = AppTest.from_function(_parse, default_timeout=60).run()
    app.button(key="parse_go").click().run()
    assert "Write a sentence first." in {caption.value for caption in app.caption}
    app.text_area(key="parse_text").input("the <i>dog\n\nanother")
    app.button(key="parse_go").click().run()
    assert not app.exception, app.exception
    assert asked == [["the <i>dog", "another"]]
    assert "&lt;i&gt;dog → root (root)" in drawn[-1]["data"]["svg"]
    told = [caption.value.replace("\\", "").replace("\u2060", "") for caption in app.caption]
    assert "Least sure: <i>dog → root, 25.0 %." in told
