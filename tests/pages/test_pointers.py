"""Where heads point, on pages: sentences over a training, a text of one's own, and the answers of all strategies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import DataError
from pages.ui.comparer.asking import said
from pages.ui.pointing.tab import has_pointers
from tests.unit.render.test_pointer_figures import GOLD, VIEW

LOOKS = [VIEW | {"step": step, "stage": 0, "contains": {"PER": 0.25}} for step in (0, 20, 40)]
SENTENCES: list[dict[str, Any]] = [
    {"id": "ner/gate/3", "task": "ner", "role": "gate", "row": 7, "gold": GOLD | {"contains": ["PER"]},
     "text": "Anna Lee saw <b>", "looks": LOOKS},
    {"id": "ner/test/5", "task": "ner", "role": "test", "row": None, "gold": GOLD, "text": "unseen",
     "looks": LOOKS[2:]},
    {"id": "qa/test/5", "task": "qa", "role": "test", "row": 9, "gold": GOLD, "text": "who", "looks": LOOKS[2:]},
]  # fmt: skip


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was drawn as arcs."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr("pages.ui.run_trees._mount", lambda **given: found.append(given))
    return found


def words(app: AppTest) -> str:
    found = [item.value for kind in (app.markdown, app.caption, app.text, app.info) for item in kind]
    return " ".join(found).replace("\\", "").replace("\u2060", "")


def charts(app: AppTest) -> set[str]:
    return {one.proto.id.split("-")[-1] for one in app.get("plotly_chart")}


def _tab() -> None:
    from types import SimpleNamespace

    from core.runs.records import Status
    from pages.ui.pointing.tab import pointers_tab

    tasks = [
        {"name": "ner", "task": {"kind": "tagging", "head": "pointer"}}, {"name": "mood", "task": {}},
        {"name": "qa", "task": {"kind": "question_answering", "head": "pointer"}},
    ]  # fmt: skip
    run = SimpleNamespace(id="r1", plan={"tasks": tasks}, status=Status.FINISHED, has_model=True, kind="joint")
    pointers_tab(run)  # type: ignore[arg-type]


def test_a_runs_sentences_are_shown_at_every_look_and_a_text_of_ones_own_too(
    monkeypatch: pytest.MonkeyPatch, drawn: list[dict[str, Any]]
) -> None:
    asked: list[Any] = []

    def point(source: str, texts: list[Any]) -> list[dict[str, Any]]:
        asked.append((source, texts))
        if texts == ["long"]:
            raise DataError("The sentence has 151 words.")
        return [VIEW | {"text": "the <i>cat"}]

    known = SimpleNamespace(home=SimpleNamespace(run=lambda name: name), pointers=point)
    monkeypatch.setattr("pages.ui.pointing.tab.studio", lambda: known)
    monkeypatch.setattr("pages.ui.pointing.tab.pointer_looks", lambda folder: SENTENCES)
    monkeypatch.setattr(
        "pages.ui.pointing.tab.as_task", lambda run, name: SimpleNamespace(id=f"{run.id}/{name}", has_model=True)
    )
    app = AppTest.from_function(_tab, default_timeout=60).run()
    assert not app.exception, app.exception
    assert app.selectbox(key="pointing_ner_sentence").options == ["gate row 7: Anna Lee saw <b>", "test: unseen"]
    slider = app.select_slider(key="pointing_ner_step_ner/gate/3")
    assert (slider.value, slider.options) == (2, ["0", "20", "40"])
    slider.set_value(1).run()
    assert app.select_slider(key="pointing_ner_step_ner/gate/3").value == 1
    assert charts(app) == {"pointing_ner_figure", "pointing_ner_learning"}
    assert "which types it contains: PER 25.0 % (gold: yes)" in words(app)
    assert "gold: Lee → Anna (PER)" in drawn[-1]["data"]["svg"]
    app.segmented_control(key="pointing_ner_what").set_value("Memory").run()
    assert "which values its memory" in words(app)
    app.selectbox(key="pointing_ner_sentence").set_value("ner/test/5").run()
    assert "Test sentences are looked at once" in words(app)
    assert charts(app) == {"pointing_ner_figure"}
    app.button(key="pointing_go").click().run()
    assert "Write a sentence first." in words(app)
    app.text_area(key="pointing_text").input("the <i>cat")
    app.button(key="pointing_go").click().run()
    assert not app.exception, app.exception
    assert asked == [("r1/ner", ["the <i>cat"])]
    assert "pointing_own_figure" in charts(app)
    app.text_area(key="pointing_text").input("long")
    app.button(key="pointing_go").click().run()
    assert any("151 words" in one.value for one in app.error)
    assert "pointing_own_figure" not in charts(app)
    app.segmented_control(key="pointing_task_r1").set_value("qa").run()
    assert app.text_input(key="pointing_question")
    assert app.selectbox(key="pointing_qa_sentence").options == ["test row 9: who"]


def test_runs_without_a_head_that_points_have_no_such_tab() -> None:
    def run(kind: str, **plan: Any) -> Any:
        return SimpleNamespace(kind=kind, plan=plan)

    assert has_pointers(run("train", task={"kind": "dependency"}))
    assert has_pointers(run("joint", tasks=[{"name": "a"}, {"name": "b", "task": {"head": "pointer"}}]))
    assert not has_pointers(run("train", task={"kind": "tagging"}))
    assert not has_pointers(run("graph", task={"kind": "dependency"}))
    assert not has_pointers(run("train"))


def _asking() -> None:
    from pages.ui.comparer.asking import asking

    tasks = [
        {"name": "ner", "task": {"kind": "tagging"}}, {"name": "pairs", "task": {"kind": "classification"}},
        {"name": "qa", "task": {"kind": "question_answering"}}, {"name": "gone", "task": {}},
    ]  # fmt: skip
    asking({"id": "c1", "config": {"tasks": tasks}, "data": {"pairs": {"pairs": True}}})


def test_all_strategies_are_asked_about_any_kind_of_text(
    monkeypatch: pytest.MonkeyPatch, drawn: list[dict[str, Any]]
) -> None:
    asked: list[Any] = []

    def predict(run_id: str, task: str, text: Any) -> list[dict[str, Any]]:
        asked.append((task, text))
        answer = {"label": ["B-PER"], "entities": [{"type": "PER", "text": "<b>Anna"}], "words": ["<b>Anna"]}
        return [
            {"strategy": "single", "answer": answer}, {"strategy": "pointer", "answer": answer, "pointers": VIEW},
            {"strategy": "torn", "error": "The weights are gone."},
        ]  # fmt: skip

    models = [{"task": name} for name in ("ner", "pairs", "qa")]
    known = SimpleNamespace(comparisons=SimpleNamespace(models=lambda run_id: models, predict=predict))
    monkeypatch.setattr("pages.ui.comparer.asking.desk", SimpleNamespace(studio=lambda: known))
    app = AppTest.from_function(_asking, default_timeout=60).run()
    assert app.selectbox(key="comparison_ask_task").options == ["ner", "pairs", "qa"]
    app.text_area(key="comparison_ask_text").input("<b>Anna")
    app.button[0].click().run()
    assert not app.exception, app.exception
    shown = words(app)
    assert "**single** <b>Anna (PER)" in shown.replace("&ensp;", " ")
    assert "The weights are gone." in shown
    assert charts(app) == {"comparison_answer_1_figure"}
    for task, key in (("pairs", "comparison_ask_second"), ("qa", "comparison_ask_question")):
        app.selectbox(key="comparison_ask_task").set_value(task)
        app.button[0].click().run()
        assert "This task needs a" in words(app)
        field = app.text_area if task == "pairs" else app.text_input
        field(key=key).input("more")
        app.button[0].click().run()
    assert asked == [("ner", "<b>Anna"), ("pairs", ["<b>Anna", "more"]), ("qa", ["more", "<b>Anna"])]


def test_answers_of_every_kind_in_words() -> None:
    assert said({"label": "pos", "scores": {"pos": 0.75, "neg": 0.25}}) == "pos, 75.0 %"
    assert said({"label": ["a", "b"], "scores": {"a": 0.9, "b": 0.8}}) == "a, b"
    assert said({"label": "", "answers": [], "scores": 0.5}) == "no answer, 50.0 %"
    assert said({"label": [], "entities": []}) == "none"
    heads = {"heads": [2, 0], "words": ["the", "dog"], "scores": [0.9, 0.5], "label": ["det", "root"]}
    assert said(heads) == "least sure: dog → root, 50.0 %"
    spans = [{"type": "ORG", "first": 0, "last": 1}, {"type": "LOC", "first": 1, "last": 1}]
    assert said({"entities": [], "spans": spans, "words": ["York", "Inc"]}) == "York Inc (ORG), Inc (LOC)"


def _comparison() -> None:
    from pages.ui.comparer.pointing import pointing_part

    runs: list[dict[str, object]] = [
        {"strategy": "pointer", "seed": seed, "failed": "", "run": f"p{seed}", "tasks": {"ner": {}}} for seed in (0, 1)
    ]
    linear = {"strategy": "single", "seed": 0, "failed": "", "run": "s", "tasks": {"ner": {}}}
    torn = {"strategy": "pointer", "seed": 2, "failed": "memory", "run": "x", "tasks": {"ner": {}}}
    config = {"tasks": [{"name": "mood"}, {"name": "ner"}]}
    pointing_part({"id": "c1", "config": config, "runs": [linear, *runs, torn]})


def test_a_comparison_shows_where_its_runs_pointed(
    monkeypatch: pytest.MonkeyPatch, drawn: list[dict[str, Any]]
) -> None:
    read: list[str] = []

    def looks(folder: str) -> list[dict[str, Any]]:
        read.append(folder)
        return [one | {"task": "", "id": one["id"].replace("ner", "")} for one in SENTENCES[:2]]

    known = SimpleNamespace(
        comparisons=SimpleNamespace(pointing=lambda run_id: {"pointer": ["ner"]}),
        home=SimpleNamespace(run=lambda name: name),
    )
    monkeypatch.setattr("pages.ui.comparer.pointing.desk", SimpleNamespace(studio=lambda: known))
    monkeypatch.setattr("pages.ui.comparer.pointing.pointer_looks", looks)
    app = AppTest.from_function(_comparison, default_timeout=60)
    app.session_state["comparison_pointing"] = True
    app.run()
    assert not app.exception, app.exception
    assert app.selectbox(key="comparison_pointing_strategy_ner").options == ["pointer"]
    assert app.selectbox(key="comparison_pointing_seed_ner").options == ["0", "1"]
    app.selectbox(key="comparison_pointing_seed_ner").set_value(1).run()
    assert (read[0], read[-1]) == ("p0", "p1")
    assert "comparison_pointing_ner_learning" in charts(app)
