"""Claims and findings in a real browser: the shelf, a verdict with its figures, a remedy that fills the planner."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.api import Studio
from core.config import Plan
from core.settings import Home
from tests.e2e.conftest import Server
from tests.e2e.fake_run import FakeRun
from tests.unit.studies.made import Trainer, config, execute

pytestmark = pytest.mark.slow


def _learns(plan: Plan) -> tuple[float, float]:
    return 0.8 - 0.05 * abs(math.log10(plan.stages[0].lr / 5e-5)), 10.0


def test_the_shelf_leads_to_a_verdict_with_its_figures(
    page: Page, stopped_server: Server, home: Home, artifacts: Path
) -> None:
    of = config("raise-to-1e-3", parts=["full"])
    with Studio(home, watch=False) as studio:
        run_id = studio.claims.submit(of)
    execute(home, run_id, of, Trainer(_learns))
    server = stopped_server.start()
    page.goto(f"{server.url}/claims")
    expect(page.get_by_role("heading", name="Claims", exact=True)).to_be_visible()
    expect(page.locator(".st-key-claim_card_raise-to-1e-3")).to_contain_text("does not hold")
    page.screenshot(path=artifacts / "claims-shelf.png")
    page.get_by_role("link", name="Last test").click()
    expect(page.get_by_text("“Raise the learning rate to 1e-3 or 1e-2.”")).to_be_visible()
    expect(page.locator(".st-key-claim_full .js-plotly-plot")).to_have_count(2)
    expect(page.get_by_text("1e-02 scores lower than 5e-05", exact=False)).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 840})
    expect(page.locator(".st-key-claim_full .js-plotly-plot").first).to_be_visible()
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"the page is {wide} pixels wider than the screen"
    page.screenshot(path=artifacts / "claim-phone.png")


def test_a_remedy_fills_the_planner_with_a_changed_plan(
    page: Page, shared_server: Server, fake_runs: Callable[..., FakeRun]
) -> None:
    fake = fake_runs(total=400)
    fake.advance(400)
    fake.finish()
    report = fake.home.run(fake.id) / "data_report.json"
    values = json.loads(report.read_text(encoding="utf-8"))
    values["lengths"] = {"cut_share": 0.31, "p95": 203.0}
    report.write_text(json.dumps(values), encoding="utf-8")
    page.goto(f"{shared_server.url}/run?id={fake.id}")
    box = page.locator(".st-key-run_findings")
    expect(box).to_contain_text("31.0 % of the texts were cut at 128 sub-words")
    box.get_by_role("button", name="Read up to 208 sub-words").click()
    expect(page.get_by_role("heading", name="Stage planner", exact=True)).to_be_visible()
    expect(page.get_by_text("a remedy for run reviews, first try", exact=False)).to_be_visible()
    expect(page.locator('[class*="_model_max_length"] input').first).to_have_value("208")
