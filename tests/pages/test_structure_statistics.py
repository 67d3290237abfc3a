"""The statistics of the structure search page: from nothing to a measurement, its figures, and thresholds that move."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from hypothesis import given, strategies
from streamlit.testing.v1 import AppTest

from core.config.statistics import StatisticsConfig
from core.runs.records import RunRecord, Status
from core.search.proposal import propose
from pages.ui.graph.fields import field_help, label_of
from pages.ui.structure.band import band_html, band_words
from pages.ui.structure.measuring import steps_html
from pages.ui.structure.place import RANGES, Question, from_params, to_params
from pages.ui.structure.start import FIELDS, FORM, demo_config
from tests.measured import measured
from tests.pages.conftest import ROUTER
from tests.pages.explorer import address, widget, words
from tests.pages.fake_studio import FakeStudio


@pytest.fixture
def opened(studio: FakeStudio) -> Iterator[Callable[..., AppTest]]:
    st.cache_resource.clear()

    def opened(**query: str) -> AppTest:
        app = AppTest.from_file(str(ROUTER), default_timeout=60).run()
        app.switch_page("../structure_search.py")
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, app.exception
        return app

    yield opened
    st.cache_resource.clear()


def done(studio: FakeStudio, **changes: Any) -> RunRecord:
    """Put a finished measurement into the store."""
    run = studio.runs.add("layers of mine", plan=StatisticsConfig(name="layers of mine"), kind="stats")
    studio.runs.left[run.id] = {
        "metrics": {},
        "details": {"statistics": {**measured(6, width=384, heads=12), **changes}},
    }
    return run


def slider(app: AppTest, name: str) -> Any:
    return app.slider(key=f"structure{app.session_state['structure_place'].generation}_{name}")


def table(app: AppTest) -> Any:
    """Return the table of widths: the only one of the tab."""
    (found,) = app.dataframe
    return found.value


# -- from nothing to a measurement ----------------------------------------------------------------------------------
def test_a_new_person_reads_what_the_page_does_and_can_measure_the_demo(
    opened: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened()
    assert "proposes how many layers a smaller one needs and how wide they should be" in words(app)
    app.button(key="primary_action").click().run()
    assert studio.runs.submitted == [demo_config()]
    (run,) = studio.runs.records.values()
    assert run.kind == "stats"
    assert address(app)["stats"] == run.id
    assert "Waits for its turn" in words(app)


def test_a_demo_that_is_there_is_opened(opened: Callable[..., AppTest], studio: FakeStudio) -> None:
    run = studio.runs.add("demo", plan=demo_config(), kind="stats")
    studio.runs.left[run.id] = {"details": {"statistics": measured(4)}}
    app = opened(stats="new")
    app.button(key="primary_action").click().run()
    assert not studio.runs.submitted
    assert address(app)["stats"] == run.id


def test_ones_own_parent_and_text_are_measured_with_the_forms_settings(
    opened: Callable[..., AppTest], studio: FakeStudio
) -> None:
    app = opened()
    widget(app, "selectbox", "corpus.source", FORM).set_value("plots")
    widget(app, "number_input", "words", FORM).set_value(700)
    app.button(key="structure_measure").click().run()
    assert not app.exception
    (config,) = studio.runs.submitted
    assert isinstance(config, StatisticsConfig)
    assert (config.corpus.source, config.model.source, config.words) == ("plots", "bundled", 700)
    assert config.name == "bundled on plots"


def test_settings_of_an_earlier_measurement_fill_the_form(opened: Callable[..., AppTest], studio: FakeStudio) -> None:
    config = StatisticsConfig(name="mine", words=333, corpus={"source": "plots"})
    run = studio.runs.add("mine", Status.FAILED, plan=config, kind="stats")
    app = opened(stats="new", like=run.id)
    app.button(key="structure_measure").click().run()
    assert studio.runs.submitted == [config]


def test_every_field_of_the_form_has_words() -> None:
    for path in [path for paths in FIELDS.values() for path in paths]:
        assert label_of(path)
        assert field_help(StatisticsConfig, path)


def test_a_measurement_under_way_shows_its_phase_and_can_be_cancelled(
    opened: Callable[..., AppTest], studio: FakeStudio
) -> None:
    run = studio.runs.add("mine", Status.RUNNING, plan=StatisticsConfig(), kind="stats")
    studio.runs.records[run.id] = replace(run, progress={"phase": "word vectors", "step": 30, "total_steps": 90})
    app = opened(stats=run.id)
    assert "The layers are being measured" in words(app)
    app.button(key="structure_cancel").click().run()
    assert studio.runs.asked == [("cancel", run.id)]
    assert "what was measured is kept" in words(app)
    app.button(key="primary_action").click().run()
    assert studio.runs.asked[-1] == ("resume", run.id)


def test_phases_are_marked_as_done_at_work_and_to_come() -> None:
    html = steps_html("word vectors", 30, 90)
    assert html.count('class="done"') == 2
    assert 'class="now" aria-current="step"><span class="mark">▸</span>Word vectors — 30 of 90' in html
    assert html.count('class="todo"') == 2
    assert steps_html("", None, None).count('class="todo"') == 5


def test_a_measurement_that_failed_says_why(opened: Callable[..., AppTest], studio: FakeStudio) -> None:
    run = studio.runs.add("mine", Status.FAILED, plan=StatisticsConfig(), kind="stats")
    error = {"what": "The corpus has 3 sentences.", "expected": "at least 50 sentences", "advice": "Take a larger one."}
    studio.runs.records[run.id] = replace(run, error=error)
    app = opened(stats=run.id)
    assert all(part in words(app) for part in error.values())
    app.button(key="primary_action").click().run()
    assert address(app) == {"stats": "new", "like": run.id}


def test_an_address_without_a_measurement_is_explained(opened: Callable[..., AppTest]) -> None:
    assert "There is no measurement of this address." in words(opened(stats="no-such-run"))


# -- what was measured ----------------------------------------------------------------------------------------------
def test_the_newest_measurement_is_shown_with_its_facts_and_notices(
    opened: Callable[..., AppTest], studio: FakeStudio
) -> None:
    done(studio)
    app = opened()
    shown = words(app)
    assert "bundled · 6 layers of 384 · reviews · 1,200 words · 2,000 sentences · silver trees" in shown
    assert "2,000 of 12,739 sentences, drawn evenly." in shown
    assert "These are proposals, not findings." in shown
    assert len(app.get("plotly_chart")) == 7
    assert address(app) == {}


def test_few_words_are_said_to_be_few(opened: Callable[..., AppTest], studio: FakeStudio) -> None:
    done(studio, words=260)
    assert "Only 260 words" in words(opened())


def test_without_trees_there_is_no_figure_of_syntax(opened: Callable[..., AppTest], studio: FakeStudio) -> None:
    run = done(studio)
    studio.runs.left[run.id]["details"]["statistics"] = measured(6, width=384, heads=12, trees="none")
    app = opened()
    assert len(app.get("plotly_chart")) == 6
    assert "Syntax is clearest in" not in [metric.label for metric in app.metric]


def test_a_moved_threshold_changes_widths_and_depth_and_stands_in_the_address(
    opened: Callable[..., AppTest], studio: FakeStudio
) -> None:
    run = done(studio)
    app = opened()
    before = table(app)
    slider(app, "share").set_value(0.06)
    app.run()
    slider(app, "rho").set_value(0.7)
    app.run()
    slider(app, "overlap").set_value(0.5)
    app.run()
    assert not app.exception
    after = table(app)
    right = propose(measured(6, width=384, heads=12), rho=0.7, overlap=0.5, share=0.06)
    assert len(after) == right["depth"]["fewest"] > len(before)
    wanted = right["depth"]["segments"][str(right["depth"]["fewest"])]
    assert list(after["d*"]) == [one["least"] for one in wanted]
    assert list(after["weights of"]) == [one["representative"] for one in wanted]
    assert address(app) == {"stats": run.id, "rho": "0.7", "overlap": "0.5", "share": "0.06"}
    assert "nothing is measured again" in words(app)
    app.button(key="structure_undo").click().run()
    assert list(table(app)["d*"]) == list(before["d*"])


def test_an_address_moves_thresholds_depth_and_budget(opened: Callable[..., AppTest], studio: FakeStudio) -> None:
    run = done(studio)
    app = opened(stats=run.id, rho="0.9", overlap="0.6", depth="4", budget="40")
    rows = table(app)
    assert len(rows) == 4
    assert "0.4" in words(app) or "40" in words(app)
    assert sum(rows["parameters"]) < 0.4 * 10_646_784


def test_a_budget_that_no_width_meets_says_what_does(opened: Callable[..., AppTest], studio: FakeStudio) -> None:
    run = done(studio)
    app = opened(stats=run.id, depth="1", budget="100")
    assert "The nearest budget that can be met" in words(app)
    assert app.button(key="structure_edit").disabled


def test_a_proposal_goes_on_to_the_editor_with_its_widths(opened: Callable[..., AppTest], studio: FakeStudio) -> None:
    run = done(studio)
    app = opened(stats=run.id, depth="4")
    widths = list(table(app)["width"])
    app.button(key="structure_edit").click().run()
    assert not app.exception
    assert address(app) == {"stats": run.id, "depth": "4", "tab": "layers"}
    assert [layer.width for layer in app.session_state["structure_editor"].shape.layers] == widths


def test_a_proposal_goes_on_to_a_search_with_its_thresholds(
    opened: Callable[..., AppTest], studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr("pages.ui.structure.search.show", lambda *_, **values: given.append(values))
    run = done(studio)
    app = opened(stats=run.id, rho="0.8")
    app.button(key="primary_action").click().run()
    assert not app.exception
    assert address(app) == {"stats": run.id, "rho": "0.8", "tab": "search"}
    assert given[-1]["parent"] == "bundled"
    assert given[-1]["statistics"]["thresholds"] == {"rho": 0.8, "overlap": 0.8, "share": 0.1}


def test_the_page_of_its_run_leads_back_and_shows_a_row_a_layer(studio: FakeStudio) -> None:
    run = done(studio)
    app = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    app.switch_page("../run.py")
    app.query_params["id"] = run.id
    app.run()
    assert not app.exception, app.exception
    assert "Statistics of layers" in words(app)
    rows = next(item.value for item in app.dataframe if "d*" in item.value.columns)
    assert list(rows["layer"]) == list(range(7))
    assert app.button(key="primary_action").label == "Open in Structure search"
    app.button(key="primary_action").click().run()
    assert address(app) == {"stats": run.id}


@given(
    asked=strategies.builds(
        Question,
        stats=strategies.sampled_from(["", "new", "20261125-1"]),
        tab=strategies.sampled_from(["statistics", "layers", "search"]),
        search=strategies.sampled_from(["", "20261125-2"]),
        rho=strategies.none() | strategies.integers(50, 100).map(lambda one: one / 100),
        overlap=strategies.none() | strategies.integers(30, 100).map(lambda one: one / 100),
        share=strategies.none() | strategies.integers(1, 60).map(lambda one: one / 100),
        depth=strategies.none() | strategies.integers(1, 96),
        budget=strategies.integers(5, 120),
    )
)
def test_an_address_asks_what_was_shown(asked: Question) -> None:
    assert from_params(to_params(asked)) == asked


def test_an_address_that_names_a_search_means_its_tab() -> None:
    assert from_params({"search": "20261125-2"}).tab == "search"
    assert from_params({"search": "20261125-2", "tab": "layers"}).tab == "layers"
    assert from_params({}).tab == "statistics"


@pytest.mark.parametrize("name", list(RANGES))
@pytest.mark.parametrize("text", ["", "nan", "-1", "1e9", "<b>", "x" * 500])
def test_what_an_address_cannot_mean_is_as_usual(name: str, text: str) -> None:
    assert from_params({name: text}) == Question()


def test_the_band_says_in_words_what_it_draws() -> None:
    found = propose(measured(6), rho=0.8, overlap=0.5, share=0.2)
    segments = found["depth"]["segments"]["3"]
    html = band_html(segments, found["layers"], ["#112233"], [48, 64, 96])
    assert html.count("<small") == 6
    assert html.count("★") == 3
    assert f'aria-label="{band_words(segments, [48, 64, 96])}"' in html
    assert "layer 2, 64 wide stands for" in html


def test_the_page_loads_nothing_that_only_workers_need(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import pytest
from streamlit.testing.v1 import AppTest
from core.config.statistics import StatisticsConfig
from tests.measured import measured
from tests.pages.fake_studio import FakeStudio, install
studio = FakeStudio(Path({str(tmp_path)!r}))
run = studio.runs.add("mine", plan=StatisticsConfig(), kind="stats")
studio.runs.left[run.id] = {{"details": {{"statistics": measured(6)}}}}
with pytest.MonkeyPatch.context() as patch:
    install(patch, studio)
    app = AppTest.from_file({str(ROUTER)!r}, default_timeout=60).run()
    app.switch_page("../structure_search.py").run()
    assert not app.exception and not app.error
heavy = ("torch", "transformers", "spacy", "jieba", "torch_geometric", "optuna", "sklearn")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROUTER.parents[2], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROUTER.parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "[]"
