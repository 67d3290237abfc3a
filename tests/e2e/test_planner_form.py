"""The stage planner in a real browser, with the real Studio behind it. A run that looks busy holds the queue."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from core.api import Studio
from core.config import Plan, plan_from_yaml, plan_to_yaml
from core.runs.records import Status
from core.settings import Home
from tests.e2e.conftest import Server
from tests.e2e.fake_run import FakeRun

pytestmark = pytest.mark.slow


def open_planner(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/stage_planner{query}")
    expect(page.get_by_role("heading", name="Stage planner")).to_be_visible()
    expect(page.locator(".st-key-primary_action button:visible")).to_be_enabled()


def field(page: Page, path: str, generation: int = 0) -> str:
    return f".st-key-plan{generation}_{path.replace('.', '_')}"


def counted(page: Page) -> None:
    """Wait until the helper process has counted the steps and the curve stands."""
    expect(page.locator(".st-key-planner_curve .main-svg").first).to_be_visible(timeout=90_000)


def test_form_yaml_and_back(page: Page, shared_server: Server, tmp_path: Path, artifacts: Path) -> None:
    open_planner(page, shared_server)
    counted(page)
    expect(page.locator(".st-key-planner_steps")).to_contain_text("63")
    page.screenshot(path=artifacts / "planner.png", full_page=True)

    # A field that is not usable has its message beside it, and Start waits.
    rate = page.locator(f"{field(page, 'stages.0.lr')} input")
    rate.fill("0")
    rate.press("Enter")
    expect(page.get_by_text("greater than 0")).to_be_visible()
    expect(page.locator(".st-key-primary_action button:visible")).to_be_disabled()
    rate.fill("3e-5")
    rate.press("Enter")
    expect(page.locator(".st-key-primary_action button:visible")).to_be_enabled()

    # What is downloaded is the form.
    page.locator(".st-key-planner_yaml summary").click()
    with page.expect_download() as waiting:
        page.locator(".st-key-planner_download button:visible").click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert plan_from_yaml(text).stages[0].lr == 3e-5

    # A broken file names key and line and leaves the form as it is.
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: mine\nstages:\n  - lr: fast\n    warmth: 3\n", encoding="utf-8")
    page.locator(".st-key-planner_yaml_upload_box button:visible").first.click()
    page.locator(".st-key-planner_yaml_upload_0 input[type=file]").set_input_files(broken)
    expect(page.get_by_text("stages.0.lr (line 3)")).to_be_visible()
    expect(page.get_by_text("stages.0.warmth (line 4)")).to_be_visible()
    expect(rate).to_have_value("0.00003")

    # A good one fills it, also with what the form does not show.
    good = tmp_path / "good.yaml"
    plan = Plan.model_validate(
        {"name": "from a file 🦊", "stages": [{"lr": 2e-4, "groups": [{"pattern": "head", "lr": 1e-3}]}]}
    )
    good.write_text(plan_to_yaml(plan), encoding="utf-8")
    if not page.locator(".st-key-planner_yaml_upload_0 input[type=file]").count():
        page.locator(".st-key-planner_yaml_upload_box button:visible").first.click()
    page.locator(".st-key-planner_yaml_upload_0 input[type=file]").set_input_files(good)
    expect(page.locator(f"{field(page, 'name', 1)} input")).to_have_value("from a file 🦊")
    expect(page.locator(f"{field(page, 'stages.0.lr', 1)} input")).to_have_value("0.0002")
    expect(page.get_by_text("fast", exact=False).filter(has_text="line 3")).to_have_count(0)


def test_what_is_half_typed_stays_while_answers_come(page: Page, server: Server) -> None:
    """The rows are read in the background, and drawn above the field that a person is typing in."""
    page.goto(f"{server.url}/stage_planner")
    rows = page.get_by_role("textbox", name="Training rows, at most").or_(
        page.get_by_role("spinbutton", name="Training rows, at most")
    )
    rows.fill("600")
    expect(page.locator(".st-key-planner_preview")).to_be_visible(timeout=90_000)
    counted(page)
    assert rows.evaluate("box => box.value") == "600"
    assert rows.evaluate("box => document.activeElement === box")
    rows.press("Enter")
    expect(page.locator(".st-key-planner_steps")).to_contain_text("19", timeout=90_000)
    expect(rows).to_have_value("600")


def test_a_double_click_on_start_is_one_run_and_opens_it(page: Page, stopped_server: Server, home: Home) -> None:
    with FakeRun(home, total=3000) as busy:
        busy.advance(100)
        server = stopped_server.start()
        open_planner(page, server)
        page.locator(".st-key-primary_action button:visible").dblclick()
        page.wait_for_url("**/run?id=*")
        page.wait_for_timeout(1500)
        with Studio(home, watch=False) as studio:
            waiting = studio.runs.list(status=str(Status.QUEUED))
        assert len(waiting) == 1
        assert waiting[0].id in page.url
        assert waiting[0].plan["data"]["train_rows"] == 2000


def test_an_uploaded_table_is_shown_mapped_and_checked(page: Page, shared_server: Server, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    rows = [f"<b>text</b> number {number},{'good' if number % 2 else 'bad'}" for number in range(60)]
    table.write_text("\n".join(["words,verdict", *rows]), encoding="utf-8")
    open_planner(page, shared_server)
    page.locator(".st-key-planner_data").get_by_text("Upload", exact=True).click()
    page.locator(".st-key-planner_data input[type=file]").set_input_files(table)
    expect(page.locator(f"{field(page, 'name')} input")).to_have_value("mine")
    expect(page.locator(".st-key-planner_preview")).to_be_visible(timeout=60_000)
    label = page.locator(f"{field(page, 'data.columns.label')} input")
    expect(label).to_be_visible()
    option = page.get_by_role("option", name="verdict")
    for _ in range(20):  # the page may be drawn again while the list opens, which closes it
        label.click()
        try:
            option.click(timeout=3000)
            break
        except TimeoutError:
            page.keyboard.press("Escape")
    expect(label).to_have_value("verdict")
    counted(page)  # the rows are read again for this column: then nothing moves below the pointer
    page.locator(".st-key-planner_check button:visible").click()
    expect(page.locator(".st-key-planner_report")).to_be_visible(timeout=60_000)
    expect(page.locator(".st-key-planner_balance .main-svg").first).to_be_visible()


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_hangs_over_the_edge(page: Page, shared_server: Server, width: int, artifacts: Path) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    open_planner(page, shared_server)
    counted(page)
    main = page.get_by_test_id("stMain")
    assert main.evaluate("box => box.scrollWidth - box.clientWidth") <= 0
    page.screenshot(path=artifacts / f"planner-{width}.png", full_page=True)
