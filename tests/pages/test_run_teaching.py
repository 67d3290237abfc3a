"""The tab of a run that learns from a teacher: values are changed, sentences pinned, differences shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from core.api import Studio
from core.cli.app import app
from core.config import Plan
from core.errors import ConfigError, RunError
from core.runs.line import Batch, StoreLine
from core.runs.records import Status
from core.settings import Home
from core.training.context import Wish
from core.training.diary import FILE, Diary
from pages.ui import routes, tokens
from pages.ui.run_teaching_gaps import gap_cards, most_rows
from pages.ui.run_teaching_seen import Seen
from tests.e2e.fake_run import FakeRun
from tests.pages.test_run_page import home, opened, words

__all__ = ["home"]

DISTIL = {"kind": "distil", "distil": {"teachers": [{"source": "runs/teacher"}], "alpha": 0.7}}
GAPS: dict[str, Any] = {
    "n": 200, "divergence": 0.25, "agreement": 0.8,
    "quadrants": {"teachable": 20, "harmful": 6, "both_wrong": 14, "both_right": 160},
    "label": [["fresh", 120, 0.2, 0.85], ["rotten", 80, 0.325, 0.725]], "place": [["5–8", 200, 0.25, 0.8]],
    "by": "length", "most": [
        {"row": 3, "d": 0.9, "text": "not a bad film", "gold": "fresh", "teacher": "fresh", "student": "rotten"},
    ],
}  # fmt: skip


@pytest.fixture
def fake(home: Home) -> Iterator[FakeRun]:
    with FakeRun(home, stage=DISTIL) as run:
        run.advance(320)
        run.line.write(Batch(progress={"phase": "training", "step": 320, "total_steps": 3000, "stage": 0}))
        home.run(run.id).mkdir(parents=True, exist_ok=True)
        yield run


@pytest.fixture
def desk(home: Home) -> Iterator[Any]:
    with Studio(home, watch=False) as studio:
        yield studio.runs


def look(run: FakeRun, step: int, pin: str | None = None) -> None:
    """Write what a worker sees at an evaluation."""
    diary = Diary(run.home.run(run.id) / FILE, lambda entry: True)
    diary.write("gaps", step, stage=0, **GAPS)
    diary.write("layers", step, stage=0, cka=[[0.9, 0.5], [None, 0.8]])
    if pin is not None:
        diary.write("pin", step, pin, stage=0, parts=[""], classes=["a", "b"], teacher=[[[0, 900], [1, 100]]])
        diary.write("strip", step, pin, stage=0, d=[0.25], student=[[[1, 600], [0, 400]]])


def tab(run: FakeRun) -> AppTest:
    """Draw the tab alone: a tab of the page is drawn when it is looked at."""
    test = AppTest.from_function(_draw, args=(run.id,), default_timeout=60).run()
    assert not test.exception, [item.message for item in test.exception]
    return test


def _draw(run_id: str) -> None:
    from pages.ui.run_teaching import teaching_tab
    from pages.ui.studio import studio

    teaching_tab(studio().runs.get(run_id))


# -- values -----------------------------------------------------------------------------------------------------------
def test_values_are_asked_for_and_reach_the_worker(fake: FakeRun) -> None:
    test = tab(fake)
    test.number_input(key=f"teach_alpha_{fake.id}").set_value(0.4)
    test.button(key="teach_go").click().run()
    assert not test.exception
    asked = fake.line.write(Batch())
    (wish,) = asked.wishes
    assert (wish.stage, dict(wish.values)) == (0, {"alpha": 0.4})
    assert fake.line.write(Batch()).wishes == [wish]  # until it was taken
    assert fake.line.write(Batch(took=[wish.number])).wishes == []


def test_a_change_that_no_worker_wrote_down_waits_for_the_next(fake: FakeRun, desk: Any) -> None:
    desk.change(fake.id, alpha=0.4)
    desk.save(fake.id)
    fake.fail({"what": "gone"}, Status.INTERRUPTED)
    desk.resume(fake.id)
    again = fake.store.claims.claim(fake.manager)
    assert again is not None
    fake.store.claims.begin(fake.id, again.token)
    asked = StoreLine(fake.store, again).write(Batch())
    assert not asked.save  # what was to be saved is gone with its worker
    assert [dict(wish.values) for wish in asked.wishes] == [{"alpha": 0.4}]


def test_a_value_that_cannot_be_is_refused_in_words(fake: FakeRun) -> None:
    test = tab(fake)
    test.number_input(key=f"teach_temperature_{fake.id}").set_value(0.0)
    test.button(key="teach_go").click().run()
    assert "cannot be 0" in words(test)
    assert fake.line.write(Batch()).wishes == []


def test_only_a_run_that_trains_with_a_teacher_is_changed(fake: FakeRun, desk: Any, home: Home) -> None:
    with pytest.raises(ConfigError, match="cannot be 2"):
        desk.change(fake.id, alpha=2.0)
    fake.line.write(Batch(progress={"phase": "loading"}))
    with pytest.raises(RunError, match="not begun to train"):
        desk.change(fake.id, alpha=0.5)
    desk.pause(fake.id)
    with pytest.raises(RunError, match="cannot be changed"):
        desk.change(fake.id, alpha=0.5)
    plain = desk.submit(Plan.model_validate({"name": "plain"}))
    with pytest.raises(RunError, match="learns from no teacher"):
        desk.pin(plain, "a film")


def test_without_a_running_run_the_values_are_told_and_not_asked(fake: FakeRun) -> None:
    fake.finish()
    test = tab(fake)
    assert not test.number_input
    assert "Values can be changed while the run trains" in words(test)
    assert "T 2 · α 0.7 · λ 0" in words(test)


def test_the_command_line_asks_for_values_and_pins(fake: FakeRun) -> None:
    runner = CliRunner()
    found = runner.invoke(app, ["distil", "set", fake.id, "--alpha", "0.25", "--lambda", "0.5", "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["asked"] == {"alpha": 0.25, "differences": 0.5}
    (wish,) = fake.line.write(Batch()).wishes
    assert isinstance(wish, Wish)
    assert runner.invoke(app, ["distil", "set", fake.id]).exit_code != 0
    made = runner.invoke(app, ["distil", "pin", fake.id, "a film", "--json"])
    pin = json.loads(made.stdout)["pin"]
    look(fake, 100, pin)
    listed = runner.invoke(app, ["distil", "pins", fake.id])
    assert pin in listed.stdout
    assert "0.25" in listed.stdout
    assert runner.invoke(app, ["distil", "unpin", fake.id, "x"]).exit_code != 0
    assert runner.invoke(app, ["distil", "unpin", fake.id, pin]).exit_code == 0
    assert "No sentence is pinned" in runner.invoke(app, ["distil", "pins", fake.id]).stdout


# -- pins -------------------------------------------------------------------------------------------------------------
def test_sentences_are_pinned_typed_or_from_gate_rows_and_taken_away(fake: FakeRun, desk: Any) -> None:
    look(fake, 300)
    test = tab(fake)
    assert "Pin a sentence to see" in words(test)
    test.text_input(key="pin_text").set_value("a quiet film")
    test.button(key="pin_go").click().run()
    test.button(key="pin_row_go").click().run()
    assert not test.exception
    pins = desk.pins(fake.id)
    assert [(one["text"], one["gold"]) for one in pins] == [("a quiet film", None), ("not a bad film", "fresh")]
    test.button(key=f"unpin_{pins[0]['id']}").click().run()
    assert [one["text"] for one in desk.pins(fake.id)] == ["not a bad film"]


def test_a_finished_run_takes_no_pins(fake: FakeRun, desk: Any) -> None:
    fake.finish()
    with pytest.raises(RunError, match="has finished"):
        desk.pin(fake.id, "a film")
    assert not tab(fake).text_input


def test_the_strips_pull_what_is_new_with_a_ticket_only(fake: FakeRun, desk: Any) -> None:
    pin = desk.pin(fake.id, "a film")
    look(fake, 300, pin)
    client = TestClient(Starlette(routes=routes.routes()), base_url="http://localhost:8501")
    address, ticket = f"/bertloom/watched/{fake.id}", tokens.issue(fake.home, fake.id)
    first = client.get(address, params={"token": ticket}).json()
    assert [(entry["kind"], entry["step"]) for entry in first["entries"]] == [("pin", 300), ("strip", 300)]
    assert (first["status"], first["active"], first["replace"]) == ("running", True, True)
    look(fake, 330, pin)
    place = {"token": ticket, "after": first["cursor"], "name": first["name"]}
    second = client.get(address, params=place).json()
    assert [(entry["kind"], entry["step"]) for entry in second["entries"]] == [("pin", 330), ("strip", 330)]
    assert not second["replace"]
    assert client.get(address, params={**place, "token": "x"}).status_code == 401
    assert client.get(address, params={**place, "after": "-1"}).status_code == 400
    assert client.get(address, params=place, headers={"origin": "http://elsewhere"}).status_code == 403
    assert "text/javascript" in client.get(routes.asset_url("strips.js")).headers["content-type"]


# -- differences ------------------------------------------------------------------------------------------------------
def test_evaluations_are_shown_with_the_first_one_beside(fake: FakeRun) -> None:
    look(fake, 300)
    fake.line.write(Batch(events=[_answered(1600, 400), _answered(1600, 0)]))
    test = tab(fake)
    shown = {item.label: item.value for item in test.metric}
    assert shown == {
        "Divergence": "0.250", "Agreement": "80.0 %", "Still teachable": "10.0 %", "From the cache": "75.0 %",
    }  # fmt: skip
    assert "After step 300" in words(test)
    assert len(test.get("plotly_chart")) == 3


@pytest.mark.parametrize(
    ("part", "origin", "said"),
    [
        ([["NOUN", 120, 0.3, 0.7], ["VERB", 60, 0.1, 0.9]], "silver", "180 of 200 words, silver: a tagger made them"),
        ([["NOUN", 140, 0.3, 0.7], ["VERB", 60, 0.1, 0.9]], "gold", "of all 200 words, as the data set gives them"),
        ([], "", "Not told by part of speech. why"),
    ],
)
def test_words_are_told_by_part_of_speech_and_by_whom(
    fake: FakeRun, part: list[list[Any]], origin: str, said: str
) -> None:
    diary = Diary(fake.home.run(fake.id) / FILE, lambda entry: True)
    gaps = {**GAPS, "by": "position", "part": part, "parts": {"origin": origin, "source": "why"}}
    diary.write("gaps", 300, stage=0, **gaps)
    test = tab(fake)
    assert said in words(test)
    charts = [json.loads(one.proto.spec) for one in test.get("plotly_chart")]
    drawn = [one for one in charts if "part of speech" in json.dumps(one["layout"].get("title", ""))]
    assert len(drawn) == bool(part)
    assert all(("silver" in json.dumps(one["layout"]["title"])) == (origin == "silver") for one in drawn)
    assert all(list(one["data"][0]["x"]) == [0.3, 0.1] for one in drawn)


def _answered(rows: int, computed: int) -> Any:
    from core.runs.events import NewEvent

    return NewEvent("info", "answered", data={"answered": {"teacher": "t", "rows": rows, "computed": computed}})


def test_the_tab_is_there_for_runs_with_a_teacher_only(fake: FakeRun) -> None:
    test = opened(fake.id)
    labels = [one.label for one in test.tabs]
    assert ":material/tune: While it learns" in labels
    assert labels.index(":material/tune: While it learns") == 2


def test_words_that_are_answered_apart_are_named() -> None:
    row = {"d": 0.5, "text": "anna ran", "tokens": ["anna", "ran"], "gold": ["B-PER", "O"], "teacher": ["B-PER", "O"],
           "student": ["O", "O"]}  # fmt: skip
    several = {"d": 0.1, "text": "x", "gold": ["a"], "teacher": [], "student": ["a", "b"]}
    assert most_rows([row, several]) == [
        {"divergence": "0.500", "text": "anna ran", "gold": "anna B-PER", "teacher": "anna B-PER", "student": "anna O"},
        {"divergence": "0.100", "text": "x", "gold": "a", "teacher": "none", "student": "a, b"},
    ]


def test_what_was_seen_of_another_file_is_void() -> None:
    known = Seen()
    known.take(
        {"replace": True, "cursor": 9, "name": "a", "entries": [{"kind": "gaps", "stage": 0, "step": 1, **GAPS}]}
    )
    known.take(
        {"replace": False, "cursor": 20, "name": "a", "entries": [{"kind": "gaps", "stage": 1, "step": 5, **GAPS}]}
    )
    assert (known.first("gaps") or {})["step"] == 5  # of the stage that was evaluated last
    assert [card.label for card in gap_cards(known, [])] == ["Divergence", "Agreement", "Still teachable"]
    known.take({"replace": True, "cursor": 0, "name": "", "entries": []})
    assert known.last("gaps") is None
    assert gap_cards(known, []) == []


def test_answers_of_several_words_stand_apart_from_the_word() -> None:
    row = {"d": 0.5, "text": "Anna ran", "tokens": ["Anna", "ran"], "gold": ["nsubj of ran", "root"]}
    shown = most_rows([{**row, "teacher": ["nsubj of ran", "root"], "student": ["obj of ran", "root"]}])[0]
    assert (shown["gold"], shown["student"]) == ("Anna: nsubj of ran", "Anna: obj of ran")


# -- questions --------------------------------------------------------------------------------------------------------
ASKED: dict[str, Any] = GAPS | {
    "label": [["answer in the window", 150, 0.3, 0.75], ["no answer in the window", 50, 0.1, 0.95]],
    "place": [["none", 50, 0.1, 0.95], ["3–4", 150, 0.3, 0.75]], "by": "answer",
    "most": [
        {"row": 3, "d": 0.9, "text": "who", "pair": "Anna lives here", "gold": "Anna", "teacher": "Anna",
         "student": "no answer"},
        {"row": 5, "d": 0.8, "text": "who", "pair": "Paul left", "gold": "Paul", "teacher": "Paul", "student": "left"},
    ],
}  # fmt: skip


def test_questions_are_pinned_with_their_context_and_told_by_their_answer(home: Home, desk: Any) -> None:
    with FakeRun(home, stage=DISTIL, task={"kind": "question_answering"}) as run:
        run.advance(320)
        run.line.write(Batch(progress={"phase": "training", "step": 320, "total_steps": 3000, "stage": 0}))
        home.run(run.id).mkdir(parents=True, exist_ok=True)
        Diary(home.run(run.id) / FILE, lambda entry: True).write("gaps", 100, stage=0, **ASKED)
        test = tab(run)
        test.text_input(key="pin_text").set_value("Where?")
        test.button(key="pin_go").click().run()
        assert "The question has no context" in words(test)
        assert desk.pins(run.id) == []
        test.text_input(key="pin_text").set_value("Where?")
        test.text_input(key="pin_context").set_value("Anna lives in Rome.")
        test.button(key="pin_go").click().run()
        assert not test.exception
        # two rows with one question are two rows
        test.button(key="pin_row_go").click().run()
        found = [(one["text"], one["pair"], one["tokens"]) for one in desk.pins(run.id)]
        assert found == [("Where?", "Anna lives in Rome.", None), ("who", "Anna lives here", None)]
        (shown,) = (one.value for one in test.dataframe if "gold" in one.value)
        assert shown["text"].tolist() == ["who | Anna lives here", "who | Paul left"]
        made = CliRunner().invoke(app, ["distil", "pin", run.id, "Who?", "--context", "Paul left.", "--json"])
        assert json.loads(made.stdout)["pin"] == desk.pins(run.id)[-1]["id"]
        assert CliRunner().invoke(app, ["distil", "pin", run.id, "Who?"]).exit_code != 0
