"""From a finished run to a student of it: the form, pinned sentences live, a value changed, the report, an export."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.api import Studio
from core.config import Plan
from core.settings import Home
from tests.e2e.conftest import Server
from tests.e2e.made_run import finished
from tests.tiny import tiny_encoder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: Milliseconds that a worker may take on a busy machine.
PATIENCE = 240_000
#: Seconds that the student learns: long enough to look on, also on a busy machine.
SECONDS = 30


@pytest.fixture
def teacher(home: Home, tmp_path: Path) -> str:
    """The id of a small teacher."""
    table = tmp_path / "films.csv"
    kinds = (("a good warm film", "fresh"), ("a bad cold film", "rotten"))
    rows = [f"{text} number {number},{label}" for number in range(120) for text, label in kinds]
    table.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    plan = Plan.model_validate(
        {
            "name": "the teacher",
            "data": {"source": str(table), "gate_share": 0.2, "test_share": 0.2},
            "model": {"source": str(tiny_encoder(tmp_path / "encoder", layers=4)), "max_length": 16},
            "stages": [{"steps": 60, "batch_size": 16, "lr": 1e-3}],
            "runtime": {"precision": "fp32", "threads": 1},
        }
    )
    return finished(home, plan)


def fill(page: Page, label: str, value: str) -> None:
    box = page.get_by_label(label, exact=True).and_(page.locator("input")).first
    box.fill(value)
    box.press("Enter")


def wait_for_columns(page: Page, more_than: int) -> None:
    page.wait_for_function(
        "at => Number((document.querySelector('.bl-strip canvas')?.getAttribute('aria-label') ?? '')"
        ".match(/by (\\d+) steps/)?.[1] ?? 0) > at",
        arg=more_than, timeout=PATIENCE,
    )  # fmt: skip


def columns(strip: Locator) -> int:
    """Return how many steps a strip shows, as it says to those who do not see it."""
    said = strip.locator("canvas").get_attribute("aria-label") or "0 steps"
    return int(said.partition(" rows by ")[2].partition(" steps")[0] or 0)


def test_from_a_finished_run_to_a_student_that_is_exported(
    page: Page, teacher: str, stopped_server: Server, home: Home, artifacts: Path
) -> None:
    server = stopped_server.start()
    page.goto(f"{server.url}/run?id={teacher}")
    page.locator(".st-key-action_distil button:visible").click(timeout=PATIENCE)

    # The planner has the teacher, its rows, and half of its layers as the student, drawn as two towers.
    page.wait_for_url("**/stage_planner**")
    name = page.get_by_role("textbox", name="Name of the run")
    expect(name).not_to_have_value("", timeout=PATIENCE)
    name.fill("the student")
    name.press("Enter")
    expect(page.locator(".bl-drawing svg").first).to_be_visible(timeout=PATIENCE)
    page.screenshot(path=artifacts / "distil-form.png", full_page=True)
    fill(page, "Epochs", "100000")
    page.locator("[class*=st-key-planner_more_stage] summary").click()
    fill(page, "Budget (s)", str(SECONDS))
    fill(page, "Evaluate every (steps)", "50")
    start = page.locator(".st-key-primary_action button:visible").filter(has_text="Start")
    expect(start).to_be_enabled(timeout=PATIENCE)
    start.click()
    expect(page.get_by_role("heading", name="the student")).to_be_visible(timeout=PATIENCE)
    student = page.url.partition("id=")[2]

    # A sentence is pinned; its strip grows while the student learns.
    page.get_by_role("tab", name="While it learns").click()
    page.get_by_label("A sentence to pin").fill("a good cold film")
    page.locator(".st-key-pin_go button:visible").click()
    strip = page.locator(".bl-strip").filter(has_text="a good cold film")
    expect(strip.locator("canvas")).to_be_visible(timeout=PATIENCE)
    wait_for_columns(page, columns(strip))
    # The other way to a cell than the pointer, which a page that grows above it takes elsewhere.
    strip.locator("canvas").press("ArrowLeft")
    expect(strip.locator(".bl-strip-told")).to_contain_text("fresh")
    # It stays there while columns come in and the page around it is drawn again.
    wait_for_columns(page, columns(strip) + 3)
    expect(strip.locator("canvas")).to_be_focused()
    expect(strip.locator(".bl-strip-told")).to_contain_text("fresh")

    # λ is changed: a decision, from the next step on.
    page.get_by_label("λ, weight of differences", exact=True).and_(page.locator("input")).fill("0.9")
    page.locator(".st-key-teach_go button:visible").click()
    expect(page.get_by_text("Each change is on the curves")).to_be_visible(timeout=PATIENCE)
    page.screenshot(path=artifacts / "distil-live.png", full_page=True)

    # It ends at the report, and is exported.
    expect(page.locator(".st-key-page_header")).to_contain_text("Finished", timeout=PATIENCE)
    page.get_by_role("tab", name="Teacher").click()
    cards = page.locator(".st-key-run_cards_teacher")
    expect(cards).to_contain_text("Kept of the teacher")
    page.screenshot(path=artifacts / "distil-report.png", full_page=True)
    page.get_by_role("tab", name="Export").click()
    page.locator(".st-key-export_go_tab button:visible").click()
    expect(page.get_by_text("The model folder is complete")).to_be_visible(timeout=PATIENCE)
    assert [(one / "model.safetensors").is_file() for one in home.exports.iterdir()] == [True]
    with Studio(home, watch=False) as studio:
        made = [one for one in studio.runs.decisions(student) if one["rule"] == "person"]
        assert len(made) == 1
        assert studio.runs.series(student, names=["distil/lambda"]).series["distil/lambda"]["values"][-1] == 0.9
        assert studio.runs.plan(student).model.keep_layers == 2
