"""A plan of three stages, built in the form with a gate and a map, started, and its decisions seen while it runs.

Then a search, whose best trial becomes a plan.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from core.api import Studio
from core.config import Plan, plan_from_yaml
from core.settings import Home
from tests.e2e.conftest import Server
from tests.e2e.made_run import finished
from tests.e2e.test_live_plot import READY, wait_for
from tests.tiny import tiny_encoder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PRIMARY = ".st-key-primary_action button:visible"
PATIENCE = 120_000
#: Names of the marks that the live plot draws.
MARKS = "() => [...new Set([...document.querySelectorAll('.js-plotly-plot')].flatMap((plot) => plot.data.map((trace) => trace.uid)))]"  # noqa: E501

#: Stage borders in each plot.
BORDERS = "() => [...document.querySelectorAll('.js-plotly-plot')].map((plot) => (plot.layout.shapes || []).length)"


def save_preset(home: Home, encoder: str = "bundled") -> None:
    """Save a plan of few rows of the bundled reviews and one stage, an encoder's head."""
    stage = {"name": "head", "freeze_encoder": True, "lr": 1e-2, "steps": 16, "batch_size": 8, "eval_every": 8}
    plan = Plan.model_validate(
        {
            "name": "three stages",
            "data": {"source": "reviews", "train_rows": 48, "gate_rows": 40, "test_rows": 40},
            "model": {"source": encoder, "max_length": 24},
            "stages": [stage],
            "runtime": {"precision": "fp32", "threads": 1},
        }
    )
    with Studio(home, watch=False) as studio:
        studio.presets.save("few", plan, overwrite=True)


def field(page: Page, path: str) -> Locator:
    return page.locator(f".st-key-plan1_{path.replace('.', '_')} input")


def fill(page: Page, path: str, value: str) -> None:
    box = field(page, path)
    box.fill(value)
    box.press("Enter")


def choose(page: Page, path: str, option: str) -> None:
    found = page.get_by_role("option", name=option, exact=True)
    expect(field(page, path)).to_be_visible()
    for _ in range(10):  # a run of the page that ends in this moment closes the list again
        field(page, path).click()
        try:
            found.click(timeout=2000)
            return
        except TimeoutError:
            continue
    raise AssertionError(f"{option} could not be chosen")


def add(page: Page, title: str) -> None:
    page.locator(".st-key-planner_add_stage button:visible").click()
    page.get_by_role("menuitem", name=title).click()


def cell(page: Page, stage: int, unit: str) -> Locator:
    return page.locator(f".bl-map button[data-stage='{stage}'][data-unit='{unit}']")


def pressed(page: Page, stage: int, unit: str, state: bool) -> None:
    expect(cell(page, stage, unit)).to_have_attribute("aria-pressed", str(state).lower())


def test_three_stages_with_a_gate_from_the_form_to_the_decisions(
    page: Page, stopped_server: Server, home: Home, tmp_path: Path, artifacts: Path
) -> None:
    save_preset(home, str(tiny_encoder(tmp_path / "encoder", layers=4)))
    searched = hunt(home)
    server = stopped_server.start()
    page.goto(f"{server.url}/stage_planner?preset=few")
    expect(page.get_by_role("textbox", name="Name of the run")).to_have_value("three stages")

    # A second stage behind a gate that nothing can pass, so that it is rolled back.
    add(page, "Everything, behind a gate")
    expect(page.locator(".st-key-stage_card_1")).to_be_visible()
    fill(page, "stages.1.batch_size", "8")
    fill(page, "stages.1.epochs", "2")
    choose(page, "stages.1.gate.reference_kind", "A number")
    fill(page, "stages.1.gate.reference", "0.99")
    choose(page, "stages.1.on_fail", "Roll back, go on")

    # A third one that follows, in which the map freezes the embeddings and the two lowest layers, by mouse and by key.
    add(page, "Train")
    pressed(page, 2, "embeddings", True)
    cell(page, 2, "embeddings").click()
    pressed(page, 2, "embeddings", False)
    for unit in ("layer 0", "layer 1"):
        page.keyboard.press("ArrowRight")
        expect(cell(page, 2, unit)).to_be_focused()
        page.keyboard.press("Space")
        pressed(page, 2, unit, False)
    expect(field(page, "stages.2.freeze_layers")).to_have_value("2")
    fill(page, "stages.2.batch_size", "8")

    # The first one gets a gate that it passes.
    page.locator(".st-key-stage_open_0 button:visible").click()
    page.locator(".st-key-plan1_stages_0_gate_on label").first.click()
    choose(page, "stages.0.gate.reference_kind", "A number")
    fill(page, "stages.0.gate.reference", "0.05")
    expect(page.locator(".st-key-planner_curve .main-svg").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".st-key-planner_outlook table")).to_contain_text("all, gated")
    page.screenshot(path=artifacts / "planner-stages.png", full_page=True)

    page.locator(PRIMARY).filter(has_text="Start").click()
    expect(page.get_by_role("heading", name="three stages")).to_be_visible(timeout=PATIENCE)
    page.wait_for_selector(READY, timeout=PATIENCE)
    run_id = page.url.partition("id=")[2]
    with Studio(home, watch=False) as studio:
        plan = studio.runs.plan(run_id)
    assert [stage.name for stage in plan.stages] == ["head", "all, gated", "train"]
    assert plan.stages[2].freeze_layers == 2
    assert [stage.batch_size for stage in plan.stages] == [8, 8, 8]
    gates = [stage.gate.reference if stage.gate else None for stage in plan.stages]
    assert (gates, plan.stages[1].epochs, plan.stages[1].on_fail) == ([0.05, 0.99, None], 2, "rollback")

    # Promotion and roll-back are drawn without the page being loaded again.
    wait_for(page, lambda: {"mark-decision-promote", "mark-decision-rollback"} <= set(page.evaluate(MARKS)), 120)
    wait_for(page, lambda: max(page.evaluate(BORDERS)) >= 2, 20)  # drawn as the stages began, without a reload
    page.get_by_role("tab", name="Decisions").click()
    with page.expect_download() as waiting:
        page.locator(".st-key-decisions_csv button:visible").click()
    log = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert "promote" in log
    assert "rollback" in log
    page.screenshot(path=artifacts / "run-decisions.png", full_page=True)
    promoted_to_a_plan(page, server, home, searched, artifacts)


def hunt(home: Home) -> str:
    """Run a small search over the preset, and return its id."""
    with Studio(home, watch=False) as studio:
        few = studio.presets.load("few")
    space = {"lr": {"low": 1e-3, "high": 1e-1, "log": True}, "weight_decay": {"low": 0.0, "high": 0.1}}
    change: dict[str, Any] = {
        "name": "rates", "kind": "search", "steps": 4, "eval_every": 4,
        "search": {"space": space, "trials": 3, "startup_trials": 3},
    }  # fmt: skip
    stage = {**few.stages[0].model_dump(mode="json"), **change}
    wanted = Plan.model_validate({**few.model_dump(mode="json"), "name": "hunt", "stages": [stage]})
    return finished(home, wanted)


def promoted_to_a_plan(page: Page, server: Server, home: Home, searched: str, artifacts: Path) -> None:
    """Promote what a search found; a part of the test above, whose server it shares."""
    page.goto(f"{server.url}/run?id={searched}")
    page.get_by_role("tab", name="Search").click()
    promote = page.locator(".st-key-search_promote_0 button:visible")
    expect(page.locator(".st-key-search_cards_0")).to_contain_text("3 finished")
    with Studio(home, watch=False) as studio:
        (search,) = studio.runs.searches(searched)
    best = search["trials"][search["best"]]
    expect(page.locator(".st-key-page_header")).to_contain_text("Finished")
    page.screenshot(path=artifacts / "run-search.png", full_page=True)
    promote.click()
    expect(page.get_by_text(f"Loaded from trial {best['number'] + 1} of hunt")).to_be_visible(timeout=PATIENCE)
    wait_for(page, lambda: float(field(page, "stages.0.lr").input_value() or 0) == pytest.approx(best["values"]["lr"]))
    page.locator(".st-key-planner_yaml summary").click()
    with page.expect_download() as waiting:
        page.locator(".st-key-planner_download button:visible").click()
    plan = plan_from_yaml(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert [stage.kind for stage in plan.stages] == ["train"]
    assert {name: getattr(plan.stages[0], name) for name in best["values"]} == best["values"]
    page.screenshot(path=artifacts / "planner-promoted.png", full_page=True)


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_of_many_stages_hangs_over_the_edge(
    page: Page, shared_server: Server, width: int, artifacts: Path
) -> None:
    save_preset(shared_server.home)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{shared_server.url}/stage_planner?preset=few")
    page.locator(".st-key-planner_gallery button:visible").click()
    page.locator(".st-key-template_use_gradual-unfreezing button:visible").click()
    expect(page.locator(".bl-map tbody tr")).to_have_count(4)
    page.locator(".st-key-stage_open_4 button:visible").click()
    expect(field(page, "stages.4.name")).to_be_visible()
    assert page.get_by_test_id("stMain").evaluate("box => box.scrollWidth - box.clientWidth") <= 0
    page.screenshot(path=artifacts / f"planner-stages-{width}.png", full_page=True)
