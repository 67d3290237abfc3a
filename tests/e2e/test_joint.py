"""Several tasks together in a real browser: the ready pair, few steps, and the page of its run while it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server
from tests.tiny import tiny_encoder

pytestmark = pytest.mark.slow

#: Loading torch takes a while on a machine that does other things too.
PATIENCE = 120_000


def test_the_ready_pair_is_started_and_watched(
    page: Page, shared_server: Server, artifacts: Path, tmp_path: Path
) -> None:
    encoder = tiny_encoder(tmp_path / "encoder", max_positions=256)
    page.goto(f"{shared_server.url}/stage_planner?together=names-and-questions&model={encoder}")
    card = page.locator(".st-key-joint_tasks_card")
    expect(card).to_contain_text("names")
    expect(card).to_contain_text("questions")
    expect(page.locator(".st-key-joint_findings")).to_contain_text("can be learnt together", timeout=PATIENCE)
    epochs = page.locator("[class*='st-key-plan_joint_'][class*='stages_0_epochs'] input")
    epochs.fill("0.1")
    epochs.press("Enter")
    steps = page.locator(".st-key-joint_steps")
    expect(steps).to_contain_text("Optimiser steps", timeout=PATIENCE)
    card.locator(".st-key-joint_open_1 button:visible").click()
    expect(page.locator(".st-key-planner_sets_prepare")).to_contain_text("Original set")
    page.screenshot(path=artifacts / "joint-form.png", full_page=True)
    page.locator(".st-key-primary_action button:visible").click()

    expect(page.get_by_role("heading", name="names and questions")).to_be_visible()
    curves = page.get_by_role("region", name="Training curves")
    expect(curves).to_contain_text("of each task", timeout=PATIENCE)
    expect(page.locator(".st-key-page_header")).to_contain_text("Finished", timeout=PATIENCE)
    # Six steps are fewer than from one comparison of gradients to the next.
    expect(curves.locator("[data-panel=agree]")).to_contain_text("ended before its first comparison")
    page.get_by_role("tab", name="Export").click()
    expect(page.get_by_role("button", name="Write the model folder")).to_be_visible()
    page.screenshot(path=artifacts / "joint-run.png")
