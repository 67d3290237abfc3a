"""The home of runs in a real browser: live card, queue, comparison, links, narrow screens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.api import Studio
from core.config import Plan
from core.runs.records import Status
from core.settings import Home
from tests.e2e.conftest import Server
from tests.e2e.fake_run import FakeRun

pytestmark = pytest.mark.slow

WILD = (
    "<img src=x onerror=alert(1)> **bold** 🦊 a very long name that goes on and on without an end in sight for anybody"
)


@pytest.fixture
def studio(home: Home) -> Iterator[Studio]:
    with Studio(home, watch=False) as desk:
        yield desk


def submit(studio: Studio, name: str, lr: float = 1e-4) -> str:
    return studio.runs.submit(Plan.model_validate({"name": name, "tags": ["tried"], "stages": [{"lr": lr}]}))


def open_home(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/{query}")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()


def test_an_empty_home_offers_one_thing(page: Page, server: Server, artifacts: Path) -> None:
    open_home(page, server)
    expect(page.locator(".st-key-primary_action button:visible")).to_contain_text("Explore words")
    expect(page.locator(".st-key-runs_demo button:visible")).to_contain_text("Run the demo")
    expect(page.locator('[data-testid="stBaseButton-primary"]:visible')).to_have_count(1)
    page.screenshot(path=artifacts / "home-empty.png")


def test_the_live_card_advances_and_the_queue_moves(
    page: Page, stopped_server: Server, home: Home, studio: Studio
) -> None:
    with FakeRun(home, name="at work", total=1000) as run:
        run.advance(100)
        first, second = submit(studio, "first"), submit(studio, WILD)
        server = stopped_server.start()
        open_home(page, server)
        card = page.locator(f".st-key-active_{run.id}")
        expect(card).to_contain_text("step 100 of 1,000")
        run.advance(150)
        expect(card).to_contain_text("step 250 of 1,000")

        queue = page.locator(".st-key-queue")
        expect(queue).to_contain_text("**bold** 🦊")
        page.locator(f".st-key-first_{second} button:visible").click()
        places = page.locator(".st-key-queue [class*='st-key-queued_']")
        expect(places.first).to_contain_text("onerror")
        page.locator(f".st-key-cancel_{first} button:visible").click()
        expect(places).to_have_count(1)
        assert studio.runs.get(first).status is Status.CANCELLED


def test_selected_runs_are_compared_and_the_address_shows_the_same(
    page: Page, shared_server: Server, fake_runs: Callable[..., FakeRun], artifacts: Path
) -> None:
    one, two = fake_runs("one"), fake_runs("two")
    one.advance(400)
    two.advance(300)
    open_home(page, shared_server)
    for run in (one, two):
        page.locator(f".st-key-pick_{run.id} label").click()
    expect(page.locator(".st-key-compare_plot .main-svg").first).to_be_visible()
    expect(page.locator(".st-key-compare_plot .legend")).to_contain_text("one")
    page.screenshot(path=artifacts / "home-compare.png", full_page=True)
    address = page.url
    assert one.id in address
    assert two.id in address
    with page.expect_download() as waiting:
        page.locator(".st-key-compare_csv button:visible").click()
    assert Path(waiting.value.path()).read_text(encoding="utf-8").startswith("run,status,steps")
    page.goto(address)
    expect(page.locator(".st-key-compare_plot .main-svg").first).to_be_visible()


def test_a_name_leads_to_its_run(page: Page, shared_server: Server, fake_runs: Callable[..., FakeRun]) -> None:
    run = fake_runs("at work")
    run.advance(50)
    open_home(page, shared_server)
    page.locator(f".st-key-row_{run.id} a").first.click()
    page.wait_for_url(f"**/run?id={run.id}")
    expect(page.get_by_role("heading", name="at work")).to_be_visible()


def test_nothing_hangs_over_the_edge(
    page: Page, stopped_server: Server, home: Home, studio: Studio, artifacts: Path
) -> None:
    with FakeRun(home, name=WILD[:110]) as run:
        run.advance(50)
        submit(studio, WILD)
        server = stopped_server.start()
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            open_home(page, server)
            expect(page.locator(f".st-key-row_{run.id}")).to_be_visible()
            page.wait_for_timeout(500)
            assert page.get_by_test_id("stMain").evaluate("box => box.scrollWidth - box.clientWidth") <= 0
            page.screenshot(path=artifacts / f"home-{width}.png", full_page=True)
