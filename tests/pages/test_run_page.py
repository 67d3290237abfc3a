"""The page of one run says how it stands and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.api import Studio
from core.config import GraphConfig, ProbeConfig
from core.runs.control import Control
from core.runs.records import Status
from core.runs.store import Store
from core.settings import Home
from pages.ui import keys, security, studio
from tests.e2e.fake_run import FakeRun

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(security, "sign_in_configured", lambda: False)
    yield Home(tmp_path / "home")
    studio.close()


@pytest.fixture
def fake(home: Home) -> Iterator[FakeRun]:
    with FakeRun(home) as run:
        run.advance(320)
        yield run


def opened(run_id: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages" / "ui" / "router.py"), default_timeout=60).run()
    test.switch_page(str(ROOT / "pages" / "run.py"))
    if run_id:
        test.query_params[keys.RUN_ID] = run_id
    test.run()
    assert not test.exception, [item.message for item in test.exception]
    return test


def words(test: AppTest) -> str:
    found = [item.value for kind in (test.title, test.markdown, test.caption, test.error, test.info) for item in kind]
    return " ".join(found).replace("\\", "").replace("\u2060", "")


def button(test: AppTest, key: str):
    return test.button(key=key)


def asked(test: AppTest, question: str, run_id: str) -> AppTest:
    """Keep a dialog open: AppTest runs the whole page where a browser runs the dialog only."""
    test.session_state["_run_question"] = (question, run_id)
    return test


def metrics(test: AppTest) -> dict[str, str]:
    return {item.label.replace("\\", ""): item.value for item in test.metric}


def test_a_running_run_shows_progress_and_can_be_paused(fake: FakeRun) -> None:
    test = opened(fake.id)
    assert "reviews, first try" in words(test)
    assert "Running" in words(test)
    shown = metrics(test)
    assert shown["Throughput"] == "236 ex/s"
    assert shown["Best gate accuracy"].endswith("%")
    assert shown["Time left"] == "05:22"
    assert button(test, keys.PRIMARY).label == "Pause"
    button(test, keys.PRIMARY).click().run()
    assert not test.exception
    assert studio.studio().runs.get(fake.id).status is Status.PAUSING
    assert button(test, "action_stopping").disabled


def test_cancel_asks_the_worker_to_stop(fake: FakeRun) -> None:
    test = opened(fake.id)
    button(test, "action_cancel").click().run()
    assert studio.studio().runs.get(fake.id).status is Status.CANCELLING


def test_a_finished_run_shows_its_results_with_intervals(fake: FakeRun) -> None:
    fake.finish()
    test = opened(fake.id)
    shown = metrics(test)
    assert shown["Test accuracy"] == "78.8 %"
    assert shown["Majority label"] == "58.4 %"
    assert "95 %: 73.6–83.6 %" in words(test)
    assert "69 duplicate texts were dropped" in words(test)
    assert button(test, keys.PRIMARY).label == "Export"
    assert len(test.dataframe) >= 1


def test_words_of_users_are_never_markup(home: Home) -> None:
    with FakeRun(home, name="<b>x</b> **bold** [l](javascript:alert(1))") as fake:
        fake.advance(10)
        fake.finish(hostile=True)
        test = opened(fake.id)
    assert test.title[0].value.count("\\") >= 10
    for item in (*test.markdown, *test.title, *test.caption):
        assert "<script" not in item.value.replace("\\<", "")
        assert "<img" not in item.value.replace("\\<", "")


@pytest.mark.parametrize("status", [Status.FAILED, Status.INTERRUPTED])
def test_a_run_that_stopped_says_why_and_what_to_do(fake: FakeRun, status: Status) -> None:
    error = {
        "error": "TrainingDiverged",
        "what": "The loss is not a number at step 320.",
        "where": "stage train, step 320",
        "expected": "a finite loss",
        "advice": "Lower the learning rate or turn on clipping.",
    }
    fake.fail(error, status)
    test = opened(fake.id)
    shown = words(test)
    for part in (
        "The loss is not a number at step 320.",
        "stage train, step 320",
        "Lower the learning rate",
        "Resume starts from the beginning",
    ):
        assert part in shown
    assert button(test, keys.PRIMARY).label == "Resume"
    button(test, keys.PRIMARY).click().run()
    assert studio.studio().runs.get(fake.id).status is Status.QUEUED


def test_an_unknown_id_leads_home(home: Home) -> None:
    home.ensure()
    test = opened("20200101-000000-none")
    assert "No run has this address" in words(test)
    assert not test.error


def test_no_id_leads_home(home: Home) -> None:
    home.ensure()
    assert "No run is chosen" in words(opened(""))


def test_the_beginning_of_an_id_or_the_name_is_enough(fake: FakeRun) -> None:
    test = opened("20261122")
    assert test.query_params[keys.RUN_ID] in (fake.id, [fake.id])
    assert "reviews, first try" in words(opened("reviews, first try"))


def test_a_run_is_deleted_only_after_a_question(fake: FakeRun) -> None:
    fake.finish()
    test = asked(opened(fake.id), "delete", fake.id).run()
    assert studio.studio().runs.get(fake.id)
    button(asked(test, "delete", fake.id), "delete_confirm").click().run()
    assert fake.id not in [run.id for run in studio.studio().runs.list()]


def test_a_run_is_renamed_and_tagged(fake: FakeRun) -> None:
    test = asked(opened(fake.id), "rename", fake.id).run()
    test.text_input(key=f"rename_{fake.id}").set_value("better name")
    button(asked(test, "rename", fake.id), "rename_save").click().run()
    assert studio.studio().runs.get(fake.id).name == "better name"


@pytest.mark.parametrize("tab", ["Plan", "Log"])
def test_plan_and_log_are_shown_as_text(fake: FakeRun, tab: str) -> None:
    fake.finish()
    from pages.ui import run_tabs

    def page(run_id: str, tab: str) -> None:
        from pages.ui.run_tabs import log_tab, plan_tab
        from pages.ui.studio import studio

        (plan_tab if tab == "Plan" else log_tab)(studio().runs.get(run_id))

    assert run_tabs
    test = AppTest.from_function(page, args=(fake.id, tab), default_timeout=60).run()
    assert not test.exception
    assert ("source: reviews" if tab == "Plan" else "<b>not bold</b>") in test.code[0].value


def finished(home: Home, config, metrics: dict[str, float], details: dict) -> str:
    """Leave a finished run of another kind in the store."""
    store = Store(home.ensure())
    run = Control(store).submit(config, kind=config.kind, now=True)
    claim = store.claims.claim("test")
    assert claim is not None
    store.claims.begin(claim.id, claim.token)
    (home.run(run) / "results.json").write_text(json.dumps({"metrics": metrics, "details": details}), encoding="utf-8")
    store.claims.end(claim.id, claim.token, Status.FINISHED, error=None, metrics=metrics, size=0)
    store.close()
    return run


def test_a_word_graphs_page_shows_figures_and_leads_to_the_explorer(home: Home) -> None:
    run = finished(
        home,
        GraphConfig(name="words"),
        {"graph/words": 1200.0, "graph/edges_dep": 7.0},
        {"notices": ["A <b>sample</b>."]},
    )
    test = opened(run)
    assert metrics(test)["Graph words"] == "1,200"
    assert [tab.label.split()[-1] for tab in test.tabs] == ["Results", "Plan", "Log"]
    assert button(test, keys.PRIMARY).label == "Explore"
    assert "A <b>sample</b>." in words(test).replace("&lt;", "<").replace("&gt;", ">")
    assert "first steps have not been logged" not in words(test)


def test_the_plan_of_another_kind_of_run_is_its_own_config(home: Home) -> None:
    run = finished(home, ProbeConfig(name="probe", rank=17), {"probe/uuas_best": 0.64}, {})
    with Studio(home, watch=False) as desk:
        assert desk.runs.config(run) == ProbeConfig(name="probe", rank=17)
    test = opened(run)
    assert metrics(test)["Probe UUAS best"] == "0.6400"
