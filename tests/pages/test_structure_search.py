"""The tab Search, on a page of its own, with a desk of searches in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.api import Studio
from core.config.reference import config_keys
from core.config.statistics import StatisticsConfig
from core.config.structure import StructureConfig
from core.errors import ConfigError
from core.runs.records import Status
from core.settings import Home
from pages.ui import studio as home_of_pages
from pages.ui.structure import search_fields, verdict
from pages.ui.structure.place import Place, Question
from tests.pages.conftest import ROUTER
from tests.pages.explorer import words
from tests.pages.fake_structures import FakeStructures
from tests.pages.fake_studio import FakeStudio
from tests.pages.structure import SCRIPT, statistics

Opened = Callable[..., AppTest]


@pytest.fixture
def desk(studio: FakeStudio) -> FakeStructures:
    found = FakeStructures(studio)
    studio.structures = found  # type: ignore[attr-defined]
    return found


@pytest.fixture
def open_search(desk: FakeStructures) -> Opened:
    def opened(search: str = "", *, measured: dict[str, Any] | None = None, chosen: str = "") -> AppTest:
        app = AppTest.from_string(SCRIPT, default_timeout=60)
        app.session_state["test_part"] = "search"
        app.session_state["test_statistics"] = measured
        app.session_state["structure_place"] = Place(Question(search=search, tab="search"))
        if chosen:
            app.session_state["search_chosen"] = {search: chosen}
        app.run()
        assert not app.exception, app.exception
        return app

    return opened


def page(app: AppTest) -> str:
    return str(app.text[0].value)


# -- the form ----------------------------------------------------------------------------------------------------------
def test_every_key_of_a_search_has_a_field_or_a_reason() -> None:
    shown = {path for paths in search_fields.MORE.values() for path in paths}
    shown |= {"budget.share", "budget.parameters", "budget.latency_ms", "name", "random"}
    assert shown.isdisjoint(search_fields.UNSHOWN)
    assert shown | search_fields.UNSHOWN == set(config_keys(StructureConfig))


def test_a_quick_search_starts_with_one_click(open_search: Opened, desk: FakeStructures) -> None:
    app = open_search()
    assert "5,323,392 parameters" in words(app).replace("*", "")
    app.button(key="primary_action").click().run()
    (config,) = desk.submitted
    assert config == StructureConfig.quick()
    assert app.session_state["structure_place"].asked.search in desk.configs
    assert "No candidates yet" in words(app)


def test_random_search_instead_is_one_switch(open_search: Opened, desk: FakeStructures) -> None:
    app = open_search()
    (switch,) = [one for one in app.toggle if one.label == "Random search instead"]
    switch.set_value(True).run()
    assert "all drawn evenly" in words(app)
    app.button(key="primary_action").click().run()
    assert desk.submitted[0].random
    assert desk.submitted[0].candidates == StructureConfig.quick().candidates


def test_a_wrong_field_has_its_message_and_keeps_the_search_from_starting(open_search: Opened) -> None:
    app = open_search()
    (rungs,) = [one for one in app.text_input if one.label == "Steps of the rungs"]
    rungs.set_value("40, many").run()
    assert "valid integer" in words(app)
    assert app.button(key="primary_action").disabled


def test_a_budget_that_nothing_meets_is_told_with_the_nearest(open_search: Opened, desk: FakeStructures) -> None:
    desk.refused = ConfigError("No shape meets the budget.", where="budget", advice="The nearest is 812,345.")
    app = open_search()
    assert "The nearest is 812,345" in words(app).replace("\\", "")
    assert app.button(key="primary_action").disabled


def test_sizes_fill_the_form(open_search: Opened, desk: FakeStructures) -> None:
    app = open_search()
    app.button(key="search_size_thorough").click().run()
    app.button(key="primary_action").click().run()
    assert desk.submitted[0] == StructureConfig.thorough()


def test_fine_tuning_is_a_switch_with_data(open_search: Opened, desk: FakeStructures) -> None:
    app = open_search()
    (switch,) = [one for one in app.toggle if one.label.startswith("Fine-tune")]
    switch.set_value(True).run()
    (rows,) = [one for one in app.number_input if one.label == "Rows to train on"]
    rows.set_value(222).run()
    app.button(key="primary_action").click().run()
    config = desk.submitted[0]
    assert config.finetune is not None
    assert config.finetune.data.train_rows == 222
    assert "score" in config.objectives


def test_a_measurement_gives_its_texts_and_thresholds(
    open_search: Opened, desk: FakeStructures, studio: FakeStudio
) -> None:
    measured = StatisticsConfig(name="layers", corpus={"source": "plots", "max_sentences": 700}, words=900)
    run = studio.runs.add("layers", plan=measured)
    found = {**statistics(), "run": run.id, "thresholds": {"rho": 0.9, "overlap": 0.7, "share": 0.2}}
    app = open_search(measured=found)
    assert "from the measurement layers" in words(app)
    app.button(key="primary_action").click().run()
    config = desk.submitted[0]
    assert (config.corpus.source, config.statistics.words, config.statistics.rho) == ("plots", 900, 0.9)


# -- the view ----------------------------------------------------------------------------------------------------------
def table(app: AppTest, column: str) -> Any:
    return next(one.value for one in app.dataframe if column in one.value.columns)


def test_a_finished_search_shows_front_funnel_and_candidates(open_search: Opened, desk: FakeStructures) -> None:
    app = open_search(desk.add())
    shown = words(app).replace("\\", "")
    assert "What was found" in shown
    assert "it does not say that the statistics helped" in shown
    assert "The corpus was cut to 800 sentences" in shown
    rows = table(app, "after inheriting")
    assert rows["widths"].iloc[0] == "320-256-320"
    assert list(rows["front"]) == ["●", "", "", "", "", ""]
    assert all(one.startswith("data:image/svg+xml;base64,") for one in rows["shape"])
    assert list(table(app, "rung")["entered"]) == ["4", "2"]
    assert list(table(app, "rung")["go on"]) == ["2", "–"]
    cards = {one.label: one.value for one in app.metric}
    assert (cards["Candidates"], cards["On the front"]) == ("6 of 6", "1")


def test_a_search_at_work_shows_what_there_is(open_search: Opened, desk: FakeStructures) -> None:
    run_id = desk.add(Status.RUNNING, rungs=0, ended=False)
    app = open_search(run_id)
    assert "The front begins with the first candidate that was trained" in words(app)
    assert "waits" in list(table(app, "after inheriting")["state"])
    app.button(key="search_pause").click().run()
    assert desk._studio.runs.asked == [("pause", run_id)]


def test_a_search_that_has_not_begun_says_so(open_search: Opened, desk: FakeStructures) -> None:
    assert "No candidates yet" in words(open_search(desk.add(Status.QUEUED, written=False)))


def test_an_address_without_a_search_is_explained(open_search: Opened) -> None:
    assert "There is no search at this address" in words(open_search("nothing"))


def test_again_with_changes_fills_the_form(open_search: Opened, desk: FakeStructures) -> None:
    run_id = desk.add()
    desk.configs[run_id] = StructureConfig.quick(name="mine", candidates=7)
    app = open_search(run_id)
    app.button(key="search_again").click().run()
    app.button(key="primary_action").click().run()
    assert desk.submitted == [StructureConfig.quick(name="mine", candidates=7)]


# -- a candidate -------------------------------------------------------------------------------------------------------
def first(desk: FakeStructures, run_id: str) -> str:
    return str(desk.view(run_id)["candidates"][0]["key"])


def test_a_candidate_shows_its_layers_and_what_they_inherited(open_search: Opened, desk: FakeStructures) -> None:
    run_id = desk.add()
    app = open_search(run_id, chosen=first(desk, run_id))
    shown = words(app).replace("\\", "")
    assert "After 80 steps of distillation: 0.6" in shown
    assert list(table(app, "stands for")["stands for"]) == ["1", "2 – 5", "6"]


def test_a_candidate_is_edited_as_layers(open_search: Opened, desk: FakeStructures) -> None:
    run_id = desk.add()
    app = open_search(run_id, chosen=first(desk, run_id))
    app.button(key="search_edit").click().run()
    assert app.session_state["structure_place"].asked.tab == "layers"
    assert [one.width for one in app.session_state["structure_editor"].shape.layers] == [320, 256, 320]


def test_a_candidate_is_distilled_with_the_searchs_texts(
    open_search: Opened, desk: FakeStructures, studio: FakeStudio
) -> None:
    run_id = desk.add()
    key = first(desk, run_id)
    app = open_search(run_id, chosen=key)
    app.number_input(key="candidate_distil_steps").set_value(77)
    app.button(key="candidate_distil_go").click().run()
    assert desk.asked == [("distil", run_id, key, 77)]
    (config,) = studio.runs.submitted
    assert config.segments == [(0, 0), (3, 4), (5, 5)]
    assert page(app).startswith("page run id=")


def test_a_candidate_of_the_front_is_taken_to_the_planner_with_its_weights(
    open_search: Opened, desk: FakeStructures
) -> None:
    run_id = desk.add()
    app = open_search(run_id, chosen=first(desk, run_id))
    app.button(key="candidate_train_run").click().run()
    assert page(app) == "page planner"
    assert app.session_state["planner_draft"].state["model.max_length"] == 77


def test_trainings_are_compared_on_the_page_of_runs(open_search: Opened, desk: FakeStructures) -> None:
    run_id = desk.add()
    app = open_search(run_id, chosen=first(desk, run_id))
    app.button(key="candidate_compare_runs").click().run()
    assert page(app) == "page runs compare=child-0,child-1"
    assert app.session_state["runs_picked"] == ["child-0", "child-1"]


# -- what is known of the prior ----------------------------------------------------------------------------------------
def test_without_the_experiment_the_prior_is_called_unproven(
    open_search: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pages.ui.structure.search.verdict_of", lambda: verdict.verdict_of(tmp_path / "none.md"))
    assert "is not proven" in words(open_search())


def test_the_verdict_is_read_from_the_document(tmp_path: Path) -> None:
    document = tmp_path / "structure.md"
    document.write_text("# T\n\n## Verdict\n\nsoon\n\n- **Loss.** *Not* better, d\\*.\n\n| a |\n\n## Next\n\n- no\n")
    assert verdict.verdict_of(document) == ["Loss. Not better, d."]
    document.write_text("# T\n")
    assert verdict.verdict_of(document) == []


def test_the_run_of_a_search_leads_to_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    with Studio(Home(tmp_path / "home"), watch=False) as real:
        run_id = real.runs.submit(StructureConfig.quick(), kind="structure")
        app = AppTest.from_file(str(ROUTER), default_timeout=60).run()
        app.switch_page("../run.py")
        app.query_params["id"] = run_id
        app.run()
        app.button(key="action_search").click().run()
        assert not app.exception, app.exception
        assert app.session_state["structure_place"].asked.search == run_id
        assert "No candidates yet" in words(app)
        assert real.structures.list()[0]["id"] == run_id
    home_of_pages.close()
