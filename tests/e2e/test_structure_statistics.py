"""Statistics of a parent in a real browser: a worker measures, figures come, and a moved threshold changes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.settings import Home
from tests.e2e.conftest import Server
from tests.tiny import tiny_encoder
from tests.unit.search.test_statistics import corpus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

#: Loading torch takes a while on a machine that does other things too.
PATIENCE = 240_000


def choose(page: Page, label: str, value: str) -> None:
    """Type what a list does not offer."""
    field = page.get_by_role("combobox", name=label)
    field.click()
    field.fill(value)
    field.press("Enter")


def test_from_a_parent_and_a_text_to_thresholds_that_change_the_depth(
    page: Page, server: Server, home: Home, tmp_path: Path, artifacts: Path
) -> None:
    model = tiny_encoder(tmp_path / "encoder", hidden=32, layers=3, heads=4)
    text = corpus(tmp_path, 150)
    page.goto(f"{server.url}/structure_search")
    expect(page.get_by_role("heading", name="Structure search", exact=True)).to_be_visible(timeout=PATIENCE)
    choose(page, "Parent", str(model))
    choose(page, "Text", str(text))
    page.locator(".st-key-structure_measure button").click()
    expect(page.locator(".st-key-structure_measuring .bl-steps li")).to_have_count(5, timeout=PATIENCE)
    page.screenshot(path=artifacts / "structure-measuring.png")
    plots = page.locator(".js-plotly-plot")
    expect(plots).to_have_count(7, timeout=PATIENCE)
    for key in ("rho", "overlap", "least", "cost", "margin", "novelty", "cka"):
        expect(page.locator(f".st-key-structure_{key} .main-svg").first).to_be_visible()
    band = page.locator(".bl-band")
    before = band.get_attribute("aria-label")
    segments = page.locator('.st-key-run_cards_structure_segments_that_suffice [data-testid="stMetricValue"]')
    fewest = segments.inner_text()
    page.screenshot(path=artifacts / "structure-statistics.png")

    # Segments may cost more, so fewer of them are enough; keys move the slider as for a person without a mouse.
    assert int(fewest) > 1
    slider = page.get_by_role("slider", name="Segments: most of the cost")
    slider.focus()
    slider.press("End")
    expect(segments).not_to_have_text(fewest)
    expect(band).not_to_have_attribute("aria-label", before or "")
    expect(page.get_by_text("nothing is measured again", exact=False)).to_be_visible()
    page.wait_for_url("**share=0.6**")
    page.get_by_role("button", name="As measured").click()
    expect(segments).to_have_text(fewest)
    expect(band).to_have_attribute("aria-label", before or "")

    page.set_viewport_size({"width": 390, "height": 844})
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"the page is {wide} pixels wider than the screen"
    page.get_by_role("link", name="The run of this measurement").click()
    expect(page.get_by_role("button", name="Open in Structure search")).to_be_visible()
