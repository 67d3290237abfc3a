"""From the statistics of a parent to a searched candidate and the page of its training, with real workers."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page, expect

from core.api import Studio
from core.config.statistics import StatisticsConfig
from core.settings import Home
from tests.e2e.conftest import Server
from tests.e2e.made_run import finished
from tests.unit.search.structure.made import material

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: Milliseconds that a worker may take on a busy machine.
PATIENCE = 240_000


@pytest.fixture
def measured(home: Home, tmp_path: Path) -> str:
    """The id of a measurement of a tiny parent."""
    small = StatisticsConfig.model_validate(
        {**material(tmp_path), "name": "small", "words": 220, "draws": 0, "probe": False, "runtime": {"threads": 1}}
    )
    return finished(home, small, "stats")


def fill(page: Page, label: str, value: str) -> None:
    box = page.get_by_label(label, exact=True).and_(page.locator("input"))
    box.fill(value)
    box.press("Enter")


def button(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} button:visible").first


def choose(page: Page, point: str, then: Locator) -> None:
    """Click on the last point of a chart that is drawn anew now and then, until `then` is there."""
    limit = time.monotonic() + 120
    while not then.is_visible():
        assert time.monotonic() < limit, f"a click on {point} changed nothing"
        found = page.locator(point).last
        with contextlib.suppress(PlaywrightError):
            found.click(force=True, timeout=2000)
            then.wait_for(timeout=5000)


def test_from_statistics_to_a_candidate_and_its_training(
    page: Page, measured: str, stopped_server: Server, home: Home, artifacts: Path
) -> None:
    server = stopped_server.start()
    page.goto(f"{server.url}/structure_search?stats={measured}")

    # The layers were measured: what they propose goes into a search.
    use = page.get_by_role("button", name="Use for a search")
    expect(use).to_be_visible(timeout=PATIENCE)
    use.click()
    expect(page.get_by_text("from the measurement small")).to_be_visible()

    # A small one: two shapes of two layers, both trained for a few steps.
    page.get_by_text("More settings").click()
    for label, value in (
        ("Numbers of layers", "2"), ("Candidates", "2"), ("Enter training", "2"), ("Steps of the rungs", "4"),
        ("Sub-words a step", "256"), ("Sentences, at most", "150"), ("Budget (share of the parent)", "0.6"),
    ):  # fmt: skip
        fill(page, label, value)
    expect(page.locator(".st-key-search_outlook")).to_contain_text("rungs of 4 steps")
    expect(page.locator(".st-key-search_outlook")).to_contain_text("2 candidates")
    button(page, "primary_action").click()
    page.wait_for_url("**search=*")

    # It is watched until it has a front; a click on a candidate shows its layers and leads to its training.
    expect(page.locator(".st-key-search_conclusion")).to_be_visible(timeout=PATIENCE)
    candidate = page.locator(".st-key-search_candidate")
    choose(page, ".st-key-search_candidates path.point", candidate.locator(".bl-drawing svg"))
    expect(candidate).to_contain_text("After 4 steps of distillation")
    page.screenshot(path=artifacts / "structure-search.png", full_page=True)
    candidate.get_by_text("Its training").click()
    page.wait_for_url("**/run?id=*")
    expect(page.get_by_text("Finished").first).to_be_visible()
    run_id = page.url.partition("id=")[2]
    with Studio(home, watch=False) as studio:
        record = studio.runs.get(run_id)
        assert record.kind == "distil"
        assert record.plan["steps"] == 4
        assert len(record.plan["shape"]["layers"]) == 2


@pytest.mark.parametrize("width", [390, 1440])
def test_layers_fit_the_window_and_the_drawing_follows(
    page: Page, shared_server: Server, width: int, artifacts: Path
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{shared_server.url}/structure_search?tab=layers")
    drawing = page.locator(".bl-drawing svg")
    expect(drawing).to_be_visible(timeout=PATIENCE)
    box = page.get_by_label("Width of layer 2", exact=True)
    box.fill("512")
    box.press("Enter")
    expect(page.locator(".bl-drawing svg[aria-label*='layer 2 512 wide with 8 heads and 2048 units']")).to_be_visible()
    heads = page.get_by_label("Heads of layer 1", exact=True)
    heads.fill("7")
    heads.press("Enter")
    expect(page.locator(".st-key-layers_form")).to_contain_text("heads 7 do not divide the width 768")
    page.locator(".st-key-layer_offers_0 button:visible").filter(has_text="8").first.click()
    expect(heads).to_have_value("8")
    assert page.get_by_test_id("stMain").evaluate("box => box.scrollWidth - box.clientWidth") <= 0
    page.screenshot(path=artifacts / f"structure-layers-{width}.png", full_page=True)
