"""The strategy comparer in a real browser: set up, watch it live, read the verdict, open a row, download the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.api import Studio
from core.config import Plan
from core.settings import Home
from tests.e2e.conftest import Server
from tests.e2e.test_slow_browser import LateMessages
from tests.tiny import tiny_encoder

pytestmark = pytest.mark.slow

#: Loading torch takes a while on a machine that does other things too.
PATIENCE = 120_000


def prepared(home: Home, place: Path) -> None:
    """An uploaded table, and a preset of the stage planner that names a tiny encoder."""
    words = (("good", "pos"), ("bad", "neg"))
    rows = [f"{n} film was {'very ' * (n % 4)}{word},{label}" for n in range(160) for word, label in (words[n % 2],)]
    plan = Plan.model_validate({"model": {"source": str(tiny_encoder(place / "encoder")), "max_length": 16}})
    with Studio(home, watch=False) as studio:
        studio.data.save_upload("films.csv", "\n".join(["text,label", *rows, ""]).encode())
        studio.presets.save("tiny", plan)


def test_a_comparison_from_the_form_to_the_report(
    page: Page, shared_server: Server, artifacts: Path, tmp_path: Path
) -> None:
    prepared(shared_server.home, tmp_path)
    messages = LateMessages(page)
    page.goto(f"{shared_server.url}/stage_planner?preset=tiny")
    expect(page.get_by_role("heading", name="Stage planner", exact=True)).to_be_visible()
    page.get_by_role("link", name="Strategy comparer").click()
    expect(page.get_by_role("heading", name="Strategy comparer", exact=True)).to_be_visible()
    page.get_by_text("As in the stage planner", exact=False).click()
    tasks = page.locator(".st-key-comparer_tasks input")
    tasks.press("Backspace")
    tasks.fill("films.csv")
    # What the task is about is asked above the field that a person is typing in by then.
    messages.hold()
    tasks.press("Enter")
    page.keyboard.press("Escape")
    steps = page.locator(".st-key-comparer_steps input")
    steps.fill("12")
    messages.late(2)
    expect(page.locator(".st-key-comparer_setup")).to_contain_text("What is learnt on films.csv")
    assert steps.evaluate("box => document.activeElement === box")
    steps.press("Enter")
    expect(steps).to_have_value("12")
    expect(page.locator(".st-key-comparer_setup")).to_contain_text("10 runs.")
    expect(page.locator(".st-key-comparer_tasks")).not_to_contain_text("review")
    page.screenshot(path=artifacts / "comparer-form.png")
    page.locator(".st-key-primary_action button:visible").click()

    verdict = page.locator(".st-key-comparison_verdict")
    expect(verdict).to_contain_text("of 10 runs are there", timeout=PATIENCE)
    expect(page.locator(".st-key-comparison_scores")).to_be_visible()
    expect(verdict).to_contain_text("films: single", timeout=PATIENCE)
    expect(verdict).to_contain_text("5 seeds. Every strategy makes the same number of optimiser steps (12 a task).")
    expect(page.locator(".st-key-comparison_costs")).to_be_visible()
    row = page.locator(".st-key-comparison_row_0")
    row.locator("summary").click()
    expect(row).to_contain_text("Gold")
    expect(row).to_contain_text("right over all seeds")
    page.screenshot(path=artifacts / "comparison.png", full_page=True)
    with page.expect_download() as waiting:
        page.locator(".st-key-comparison_html button:visible").click()
    report = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert "http" not in report
    assert "<svg" in report
    page.set_viewport_size({"width": 390, "height": 840})
    expect(verdict).to_be_visible()
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"the page is {wide} pixels wider than the screen"
    page.screenshot(path=artifacts / "comparison-phone.png")
