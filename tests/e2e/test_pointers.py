"""Where a head points in a real browser: its map and arcs over the training, words of one's own, a student of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.config import Plan
from core.settings import Home
from tests.e2e.conftest import Server
from tests.e2e.made_run import finished
from tests.e2e.test_live_plot import wait_for
from tests.tiny import tiny_encoder

pytestmark = pytest.mark.slow

#: Loading torch takes a while on a machine that does other things too.
PATIENCE = 120_000
#: The shares that a map draws, by its key.
SHARES = "key => JSON.stringify(document.querySelector(`.st-key-${key}_map .js-plotly-plot`)?.data[0].z)"
#: What its columns are called.
COLUMNS = "key => document.querySelector(`.st-key-${key}_map .js-plotly-plot`)?.layout.xaxis.ticktext"


@pytest.fixture(scope="module")
def pointing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server, and the id of a small run with a head that points, which ended before it started."""
    folder = tmp_path_factory.mktemp("pointing")
    rows = [
        {"tokens": [*before, name, "went", "to", city, number],
         "tags": [*("O" * len(before)), "B-per", "O", "O", "B-loc", "O"]}
        for before in ([], ["old"], ["the", "good"]) for name in ("anna", "paul")
        for city in ("london", "paris", "york") for number in ("one", "two", "three")
    ]  # fmt: skip
    table = folder / "names.jsonl"
    table.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    plan = Plan.model_validate(
        {
            "name": "pointing", "task": {"kind": "tagging", "head": "pointer"},
            "data": {"source": str(table), "gate_share": 0.2, "test_share": 0.2},
            "model": {"source": str(tiny_encoder(folder / "encoder")), "max_length": 40},
            "stages": [{"steps": 30, "batch_size": 8, "lr": 1e-3, "eval_every": 10}],
            "runtime": {"precision": "fp32", "threads": 1},
        }
    )  # fmt: skip
    home = Home(folder / "home").ensure()
    run_id = finished(home, plan)
    server = Server(home, folder / "server.log")
    try:
        yield server.start(), run_id
    finally:
        server.stop()


def test_a_map_goes_through_the_training_and_answers_words_of_ones_own(
    page: Page, pointing: tuple[Server, str], artifacts: Path
) -> None:
    server, run_id = pointing
    page.goto(f"{server.url}/run?id={run_id}")
    page.get_by_role("tab", name="Pointers").click()
    expect(page.locator(".st-key-pointing_map .main-svg").first).to_be_visible()
    expect(page.locator(".st-key-pointing_arcs svg")).to_be_visible()
    expect(page.locator(".st-key-pointing_arcs svg path").first).to_be_attached()
    expect(page.locator(".st-key-pointing_learnt .main-svg").first).to_be_visible()
    trained = page.evaluate(SHARES, "pointing")
    slider = page.get_by_role("slider", name="After step")
    slider.focus()
    slider.press("Home")  # before the first step
    wait_for(page, lambda: page.evaluate(SHARES, "pointing") not in (trained, None))
    slider.press("End")
    wait_for(page, lambda: page.evaluate(SHARES, "pointing") == trained)
    page.screenshot(path=artifacts / "pointers.png", full_page=True)

    page.get_by_label("Your sentence").fill("anna went to york")
    page.locator(".st-key-pointing_go button:visible").click()
    expect(page.locator(".st-key-pointing_own_map .main-svg").first).to_be_visible(timeout=PATIENCE)
    assert page.evaluate(COLUMNS, "pointing_own") == ["[no entity]", "anna", "went", "to", "york"]
    page.set_viewport_size({"width": 390, "height": 840})
    expect(page.locator(".st-key-pointing_own_map .main-svg").first).to_be_visible()
    assert page.get_by_test_id("stMain").evaluate("box => box.scrollWidth - box.clientWidth") <= 0
    page.screenshot(path=artifacts / "pointers-phone.png", full_page=True)


def test_a_student_of_a_head_that_points_is_made_from_its_page(
    page: Page, pointing: tuple[Server, str], artifacts: Path
) -> None:
    server, run_id = pointing
    page.goto(f"{server.url}/run?id={run_id}")
    page.locator(".st-key-action_distil button:visible").click()
    page.wait_for_url("**/stage_planner**")
    expect(page.get_by_role("textbox", name="Name of the run")).to_have_value("pointing, student", timeout=PATIENCE)
    epochs = page.get_by_label("Epochs", exact=True).and_(page.locator("input")).first
    epochs.fill("1")  # two steps
    epochs.press("Enter")
    page.locator(".st-key-planner_plan_check button:visible").click()
    expect(page.locator(".st-key-planner_plan_findings")).to_contain_text(
        "The plan fits its data and its encoder", timeout=PATIENCE
    )
    page.screenshot(path=artifacts / "pointers-student.png", full_page=True)
    start = page.locator(".st-key-primary_action button:visible").filter(has_text="Start")
    expect(start).to_be_enabled()
    start.click()
    expect(page.get_by_role("heading", name="pointing, student")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".st-key-page_header")).to_contain_text("Finished", timeout=PATIENCE)
    expect(page.get_by_role("tab", name="Teacher")).to_be_visible()
