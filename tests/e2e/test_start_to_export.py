"""The whole way in a real browser: a form, a real run, its live plot, what can happen to it, an exported model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from core.api import Studio
from core.config import Plan
from core.settings import Home
from tests.e2e.conftest import Server
from tests.e2e.test_live_plot import LAST, RANGE, READY, wait_for, zoom
from tests.tiny import tiny_encoder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

PRIMARY = ".st-key-primary_action button:visible"
BADGE = ".st-key-page_header"
#: Loading torch takes a while on a machine that does other things too.
PATIENCE = 120_000


@pytest.fixture(autouse=True)
def preset(home: Home, tmp_path: Path) -> None:
    """A saved plan on a small table and a tiny random encoder: quick steps, and more of them than anybody waits for."""
    table = tmp_path / "films.csv"
    kinds = (("a good warm film", "fresh"), ("a bad cold film", "rotten"))
    rows = [f"{text} number {number},{label}" for number in range(120) for text, label in kinds]
    table.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    model = tiny_encoder(tmp_path / "encoder")
    plan = Plan.model_validate(
        {
            "name": "from a preset",
            "data": {"source": str(table), "gate_share": 0.2, "test_share": 0.2},
            "model": {"source": str(model), "max_length": 16},
            "stages": [{"steps": 60_000, "batch_size": 8, "eval_every": 40, "lr": 1e-4}],
            "runtime": {"precision": "fp32", "threads": 1, "checkpoint_every_s": 5},
        }
    )
    with Studio(home, watch=False) as studio:
        studio.presets.save("mine", plan)


def start_in_the_form(page: Page, server: Server, name: str, *, backend: str | None = None) -> str:
    """Open the preset in the form, change what a person would change, press Start; returns the run's id."""
    page.goto(f"{server.url}/stage_planner?preset=mine")
    field = page.get_by_role("textbox", name="Name of the run")
    expect(field).to_have_value("from a preset")
    field.fill(name)
    field.press("Enter")
    if backend:
        page.get_by_text(backend, exact=True).click()
        expect(page.get_by_text("shares its time with the dashboard")).to_be_visible()
    # The curve stands when the steps are counted; from then on nothing moves below the pointer.
    expect(page.locator(".st-key-planner_curve .main-svg").first).to_be_visible(timeout=PATIENCE)
    page.locator(PRIMARY).filter(has_text="Start").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible(timeout=PATIENCE)
    return page.url.partition("id=")[2]


def advances(page: Page, seconds: float = 120) -> None:
    """The curve goes on by at least ten steps."""
    before = page.evaluate(LAST)
    wait_for(page, lambda: page.evaluate(LAST) >= before + 10, seconds)


def status(page: Page, words: str) -> None:
    expect(page.locator(BADGE)).to_contain_text(words, timeout=PATIENCE)


def give_way(home: Home, run_id: str) -> None:
    """Let the worker have what the server, the browser and other tests leave: it trains for as long as it may."""
    with Studio(home, watch=False) as studio:
        pid = studio.runs.get(run_id).pid
    assert pid is not None
    os.setpriority(os.PRIO_PROCESS, pid, 10)


def test_from_the_form_to_an_exported_model(
    page: Page, context: BrowserContext, server: Server, home: Home, artifacts: Path
) -> None:
    run_id = start_in_the_form(page, server, "first try")
    page.wait_for_selector(READY, timeout=PATIENCE)
    status(page, "Running")
    give_way(home, run_id)
    kept = zoom(page)
    advances(page)
    assert page.evaluate(RANGE) == kept
    page.screenshot(path=artifacts / "flow-running.png")

    page.reload()
    page.wait_for_selector(READY)
    advances(page)
    second = context.new_page()
    second.goto(f"{server.url}/run?id={run_id}")
    second.wait_for_selector(READY)
    advances(second)
    second.close()

    # The server goes away without a word; the worker goes on, and the tab finds both again.
    kept = zoom(page)
    server.kill()
    expect(page.locator(".bl-link")).to_have_attribute("data-state", "lost")
    server.start()
    expect(page.locator(".bl-link")).to_have_attribute("data-state", "live", timeout=PATIENCE)
    advances(page)
    assert page.evaluate(RANGE) == kept

    page.locator(".st-key-action_cancel button:visible").click()
    status(page, "Cancelled")
    stopped_at = page.evaluate(LAST)
    page.locator(PRIMARY).filter(has_text="Resume").click()
    status(page, "Running")
    give_way(home, run_id)
    wait_for(page, lambda: page.evaluate(LAST) > stopped_at + 10, 120)
    page.locator(PRIMARY).filter(has_text="Pause").click()
    status(page, "Paused")

    page.get_by_role("tab", name="Export").click()
    page.locator(".st-key-export_go_tab button:visible").click()
    expect(page.get_by_text("The model folder is complete")).to_be_visible(timeout=PATIENCE)
    folders = list(home.exports.iterdir())
    assert len(folders) == 1
    assert (folders[0] / "model.safetensors").is_file()
    assert (folders[0] / "config.json").is_file()
    expect(page.get_by_text(str(folders[0]), exact=True)).to_be_visible()
    # The snippet that is shown works with stock transformers.
    snippet = page.locator("code.language-python").inner_text()
    assert str(folders[0]) in snippet
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    exec(compile(snippet, "snippet", "exec"), {})

    page.get_by_role("tab", name="Try it").click()
    page.locator(".st-key-try_text textarea").fill("a good warm film\na bad cold film")
    page.locator(".st-key-try_go button:visible").click()
    expect(page.locator("[data-testid=stTabPanel]:visible, [role=tabpanel]:visible").first).to_contain_text(
        "a bad cold film"
    )
    expect(page.get_by_text("%").last).to_be_visible(timeout=PATIENCE)


@pytest.mark.verify  # that a run in a thread pauses, resumes and is cancelled is tested without a browser too
def test_a_run_inside_the_dashboard_process(page: Page, server: Server) -> None:
    start_in_the_form(page, server, "in a thread", backend="This process (thread)")
    page.wait_for_selector(READY, timeout=PATIENCE)
    status(page, "Running")
    advances(page)
    page.locator(".st-key-action_cancel button:visible").click()
    status(page, "Cancelled")
    stopped_at = page.evaluate(LAST)
    page.locator(PRIMARY).filter(has_text="Resume").click()
    status(page, "Running")
    wait_for(page, lambda: page.evaluate(LAST) > stopped_at + 10, 120)
    page.locator(".st-key-action_cancel button:visible").click()
    status(page, "Cancelled")
