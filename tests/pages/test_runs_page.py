"""The runs page (home), on the router, with a Studio in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.config import Plan
from core.runs.records import Status
from tests.pages.fake_studio import FakeStudio, install

ROUTER = Path(__file__).parents[2] / "pages" / "ui" / "router.py"


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeStudio:
    fake = FakeStudio(tmp_path / "home")
    install(monkeypatch, fake)
    return fake


@pytest.fixture
def open_home(studio: FakeStudio) -> Iterator[Callable[..., AppTest]]:
    st.cache_resource.clear()

    def opened(**query: str) -> AppTest:
        app = AppTest.from_file(str(ROUTER), default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, app.exception
        return app

    yield opened
    st.cache_resource.clear()


def words(app: AppTest) -> str:
    parts = [*app.subheader, *app.markdown, *app.caption, *app.error, *app.warning]
    return "\n".join(str(part.value) for part in parts).replace("\\", "").replace("\u2060", "")


def rows(app: AppTest) -> list[str]:
    return [box.key.removeprefix("pick_") for box in app.checkbox if box.key and box.key.startswith("pick_")]


def keys_of(app: AppTest) -> set[str]:
    return {button.key for button in app.button if button.key}


def table(app: AppTest, column: str) -> Any:
    (found,) = [one.value for one in app.dataframe if one.value.columns[0] == column]
    return found


def with_curve(studio: FakeStudio, name: str, lr: float, loss: float, **values: Any) -> Any:
    plan = Plan.model_validate({"name": name, "stages": [{"lr": lr}]})
    run = studio.runs.add(
        name, plan=plan, metrics={"test/accuracy": 1 - loss}, progress={"step": 3, "total_steps": 3}, **values
    )
    studio.runs.points[run.id] = {"train/loss": ([1, 2, 3], [1.0, None, loss]), "gate/accuracy": ([3], [1 - loss])}
    return run


def test_an_empty_home_offers_the_demo_and_says_what_will_happen(
    open_home: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = open_home()
    assert "No runs yet" in words(app)
    assert "one epoch" in words(app)
    app.button(key="runs_demo").click().run()
    assert [plan.data.source for plan in studio.runs.submitted] == ["reviews"]
    assert studio.runs.submitted[0].data.train_rows == 2000


def test_an_empty_home_leads_to_the_explorer_first(open_home: Callable[..., AppTest]) -> None:
    app = open_home()
    app.button(key="primary_action").click().run()
    assert not app.exception
    assert "How do two words connect?" in words(app)


def test_each_status_has_its_place(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    running = studio.runs.add("now", Status.RUNNING, progress={"step": 50, "total_steps": 200, "eta_s": 75})
    queued = studio.runs.add("later", Status.QUEUED, position=1.0)
    lost = studio.runs.add("lost", Status.INTERRUPTED, has_checkpoint=True)
    done = studio.runs.add("done", Status.FINISHED)
    app = open_home()
    assert {f"pause_{running.id}", f"cancel_{running.id}", f"down_{queued.id}", f"resume_{lost.id}"} <= keys_of(app)
    assert "step 50 of 200 · 01:15 left" in words(app)
    assert set(rows(app)) == {running.id, queued.id, lost.id, done.id}


def test_an_interrupted_run_is_resumed(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    run = studio.runs.add("lost", Status.INTERRUPTED, has_checkpoint=True)
    open_home().button(key=f"resume_{run.id}").click().run()
    assert studio.runs.asked == [("resume", run.id)]
    assert studio.runs.get(run.id).status is Status.QUEUED


def test_the_queue_is_reordered_and_cancelled(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    one, two = (studio.runs.add(name, Status.QUEUED, position=float(i)) for i, name in enumerate(("one", "two")))
    app = open_home()
    assert app.button(key=f"up_{one.id}").disabled
    assert app.button(key=f"down_{two.id}").disabled
    app.button(key=f"first_{two.id}").click().run()
    app.button(key=f"cancel_{one.id}").click().run()
    assert studio.runs.asked == [("move", two.id, "first"), ("cancel", one.id)]


def test_a_refused_action_says_why(
    open_home: Callable[..., AppTest], studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = studio.runs.add("lost", Status.INTERRUPTED)
    app = open_home()

    def refuse(_: str) -> None:
        studio.runs.get("gone")

    monkeypatch.setattr(studio.runs, "resume", refuse)
    app = open_home()
    app.button(key=f"resume_{run.id}").click().run()
    assert "There is no run 'gone'" in words(app)


def test_search_and_filters_narrow_the_list(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    good = studio.runs.add("tweets one", Status.FINISHED, tags=("tagging",))
    bad = studio.runs.add("tweets two", Status.FAILED, error={"what": "The loss is not a number."})
    studio.runs.add("reviews", Status.FINISHED)
    app = open_home()
    app.text_input(key="runs_search").input("tweets").run()
    assert set(rows(app)) == {good.id, bad.id}
    app.segmented_control(key="runs_group").set_value("Failed").run()
    assert rows(app) == [bad.id]
    assert "The loss is not a number." in words(app)
    app.segmented_control(key="runs_group").set_value("All")
    app.multiselect(key="runs_tags").select("tagging").run()
    assert rows(app) == [good.id]


def test_a_filter_without_a_hit_says_so(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    studio.runs.add("reviews")
    app = open_home()
    app.text_input(key="runs_search").input("nothing like it").run()
    assert rows(app) == []
    assert "No run fits these filters." in words(app)


def test_long_lists_come_in_pages_and_keep_the_selection(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    runs = [studio.runs.add(f"run {number}") for number in range(15)]
    app = open_home()
    assert len(rows(app)) == 12
    app.checkbox(key=f"pick_{runs[-1].id}").check().run()
    app.session_state["runs_page"] = 2
    app.run()
    assert rows(app) == [run.id for run in reversed(runs[:3])]
    app.checkbox(key=f"pick_{runs[0].id}").check().run()
    assert "2 selected" in words(app)


def test_two_selected_runs_are_compared(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    one, two = with_curve(studio, "one", 1e-4, 0.3), with_curve(studio, "two", 2e-5, 0.2)
    app = open_home()
    assert "Comparison" not in words(app)
    app.checkbox(key=f"pick_{one.id}").check().run()
    app.checkbox(key=f"pick_{two.id}").check().run()
    assert "Comparison of 2 runs" in words(app)
    assert app.selectbox(key="compare_series").options == ["Train loss", "Gate accuracy"]
    assert list(table(app, "run")["test/accuracy"]) == [0.8, 0.7]
    assert table(app, "key").to_dict("records") == [{"key": "stages.0.lr", "two": "2e-05", "one": "0.0001"}]
    assert app.query_params["compare"] in (f"{one.id},{two.id}", [f"{one.id},{two.id}"])


def with_seeds(studio: FakeStudio, name: str, lr: float, right: float, seeds: int, rows: int = 200) -> list[str]:
    """Finished runs of one plan: the same rows are hard for all, and each seed gets a few others wrong."""
    ids = []
    for seed in range(seeds):
        plan = Plan.model_validate({"name": name, "stages": [{"lr": lr}], "runtime": {"seed": seed}})
        answers = np.arange(rows) < right * rows
        answers[seed * 3] = not answers[seed * 3]
        run = studio.runs.add(f"{name} seed {seed}", plan=plan, metrics={"test/accuracy": float(answers.mean())})
        documents = {"score": "mean", "bits": np.packbits(answers).tobytes().hex()}
        studio.runs.left[run.id] = {"details": {"test": {"n": rows, "documents": documents}}}
        ids.append(run.id)
    return ids


def test_plans_with_five_seeds_get_a_verdict_by_their_test_rows(
    open_home: Callable[..., AppTest], studio: FakeStudio
) -> None:
    ids = [*with_seeds(studio, "high", 1e-4, 0.9, 5), *with_seeds(studio, "low", 1e-5, 0.6, 5)]
    app = open_home(compare=",".join(ids))
    assert "high is better than low." in words(app)
    assert table(app, "plan").to_dict("records")[0] | {"seconds": ""} == {
        "plan": "high", "seeds": 5, "failed": 0, "score": "89.5 ± 0.0 %", "seconds": "",
    }  # fmt: skip
    assert "high − low: +30.0 points (" in words(app)
    row = table(app, "Compared").to_dict("records")[0]
    assert (row["Compared"], row["Difference"], row["Seeds"]) == ("high − low", "+30.0", 5)
    assert row["Verdict"] == "high is better"
    assert row["Corrected, test rows"] != "–"
    asked = len(studio.runs.asked)
    app.number_input(key="compare_margin").set_value(31.0).run()
    assert "high and low are not distinguishable" in words(app)
    app.run()
    assert len(studio.runs.asked) == asked + 1  # a page that is drawn again computes nothing again


def test_one_seed_a_plan_is_refused_a_verdict(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    ids = [*with_seeds(studio, "high", 1e-4, 0.9, 1), *with_seeds(studio, "low", 1e-5, 0.6, 1)]
    app = open_home(compare=",".join(ids))
    assert "No verdict on" in words(app)
    assert "one seed says nothing about another one" in words(app)
    assert "is better" not in words(app)
    assert not any("Compared" in one.value.columns for one in app.dataframe)


def test_a_comparison_has_an_address(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    one, two = with_curve(studio, "same", 1e-4, 0.3), with_curve(studio, "same", 1e-4, 0.2)
    app = open_home(compare=f"{one.id},{two.id},no-such-run")
    assert "Comparison of 2 runs" in words(app)
    assert "these plans are the same" in words(app)
    assert "Verdict" not in words(app)  # one plan: nothing to compare
    assert sorted(app.dataframe[0].value["run"]) == sorted([f"same · {one.id[-4:]}", f"same · {two.id[-4:]}"])


def test_nothing_heavy_is_read_for_a_list(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    for number in range(30):
        with_curve(studio, f"run {number}", 1e-4, 0.3)
    open_home()
    assert studio.runs.series_reads == 0


def test_deleting_asks_first_and_spares_runs_at_work(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    done, busy = studio.runs.add("done"), studio.runs.add("busy", Status.RUNNING)
    app = open_home()
    app.checkbox(key=f"pick_{done.id}").check().run()
    app.checkbox(key=f"pick_{busy.id}").check().run()
    app.button(key="runs_delete").click().run()
    assert set(studio.runs.records) == {done.id, busy.id}
    assert "1 still at work stay" in words(app)
    app.button(key="delete_yes").click().run()
    assert set(studio.runs.records) == {busy.id}


def test_freeing_space_shows_what_goes_and_asks(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    studio.runs.add("done")
    studio.runs.add("lost", Status.INTERRUPTED)
    app = open_home()
    app.button(key="runs_space").click().run()
    labels = {box.key: box.label for box in app.checkbox}
    assert "270 MB" in labels["free_checkpoints"]  # one of the two runs: the other can be resumed
    assert app.button(key="free_yes").label == "Free 390 MB"
    app.button(key="free_yes").click().run()
    assert studio.runs.asked == [("free", "True", "True", "False")]


def test_names_are_shown_as_text(open_home: Callable[..., AppTest], studio: FakeStudio) -> None:
    studio.runs.add("<b>bold</b> **stars** :smile: [link](http://x) 🦊", tags=("<i>tag</i>",))
    app = open_home()
    shown = [str(part.value) for part in app.markdown]
    assert all("<b>" not in text and "**stars**" not in text and "<i>" not in text for text in shown)
    assert not app.exception
