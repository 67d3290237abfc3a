"""The pictures of README and docs, from a real run of the bundled encoder; made when ``BERTLOOM_PICTURES=1``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from core.api import Studio
from core.config import Plan, RunConfig, plan_from_yaml
from core.config.statistics import StatisticsConfig
from core.config.structure import StructureConfig
from core.runs.records import Status
from core.settings import Home
from pages.ui.graph.demo import demo_config
from tests.e2e.conftest import ROOT, Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.environ.get("BERTLOOM_PICTURES") != "1", reason="pictures are made on demand"),
]

PICTURES = ROOT / "docs" / "pictures"
LARGEST = 250_000


def trained(home: Home) -> str:
    """Train the ready plans on fewer rows, queue one more, and return the id of the full fine-tuning."""
    rows = {"train_rows": 600, "gate_rows": 200, "test_rows": 200}
    ids = []
    with Studio(home, warm=False) as studio:
        for name, lr in (("reviews-head-only", None), ("reviews-full", 2e-5), ("reviews-full", 1e-4)):
            plan = plan_from_yaml((ROOT / "docs" / "plans" / f"{name}.yaml").read_text(encoding="utf-8"), where=name)
            values = plan.model_dump(mode="json")
            values["data"].update(rows)
            values["stages"][0] |= {"epochs": 4, "eval_every": 8}  # one pass over so few rows teaches nothing
            values["name"] = f"{plan.name}, lr {lr:g}" if lr else plan.name
            if lr:
                values["stages"][0]["lr"] = lr
            ids.append(studio.runs.submit(Plan.model_validate(values)))
        limit = time.monotonic() + 800
        while any(studio.runs.get(one).status is not Status.FINISHED for one in ids):
            states = [str(studio.runs.get(one).status) for one in ids]
            assert "failed" not in states, states
            assert time.monotonic() < limit, states
            time.sleep(1)
    return ids[-1]


def built(home: Home) -> str:
    """Build the explorer's demo and return its id."""
    with Studio(home, warm=False) as studio:
        return finished(studio, studio.graphs.build(demo_config()), 300)


def finished(studio: Studio, run_id: str, seconds: float) -> str:
    """Wait for a run and return its id."""
    limit = time.monotonic() + seconds
    while studio.runs.get(run_id).status is not Status.FINISHED:
        assert studio.runs.get(run_id).status is not Status.FAILED, studio.runs.get(run_id).error
        assert time.monotonic() < limit
        time.sleep(1)
    return run_id


def searched(home: Home) -> tuple[str, str]:
    """Measure the bundled encoder as the page offers it, search with the preset *quick*, and return both ids."""

    def made(config: RunConfig, kind: str) -> str:
        return finished(studio, studio.runs.submit(config, kind=kind), 1800)

    with Studio(home, warm=False) as studio:
        return made(StatisticsConfig(), "stats"), made(StructureConfig.quick(), "structure")


def shoot(page: Page, name: str, ready: Locator) -> None:
    """Keep a picture in both themes and one as wide as a phone."""
    for scheme, width in (("light", 1440), ("dark", 1440), ("phone", 390)):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 844 if width < 500 else 900})
        page.reload()  # figures and logo that Python draws take the theme of the page's next run
        expect(ready).to_be_visible(timeout=120_000)
        expect(page.get_by_test_id("stSkeleton").filter(visible=True)).to_have_count(0, timeout=120_000)
        page.wait_for_timeout(2000)
        file = PICTURES / f"{name}-{scheme}.png"
        page.screenshot(path=file, animations="disabled")
        slim(file)


def slim(file: Path) -> None:
    """Keep 256 colours of a picture: a graph's many thin lines take three times the room otherwise."""
    with Image.open(file) as picture:
        flat = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    flat.save(file, optimize=True)
    assert file.stat().st_size < LARGEST, f"{file.name} is too large for the repository"


def test_pictures_of_every_page(page: Page, stopped_server: Server, home: Home, artifacts: Path) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    run_id = trained(home)
    url = stopped_server.start().url
    page.goto(f"{url}/")
    shoot(page, "runs", page.locator(f".st-key-row_{run_id}"))
    page.goto(f"{url}/run?id={run_id}")
    shoot(page, "run", page.locator(".bl-card[data-panel=loss] .main-svg").first)
    page.goto(f"{url}/stage_planner")
    shoot(page, "planner", page.locator(".st-key-planner_curve .main-svg").first)
    # To look at, not to keep: what lies further down.
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.emulate_media(color_scheme="light")
    page.goto(f"{url}/run?id={run_id}")
    page.locator(".st-key-run_confusion .js-plotly-plot").scroll_into_view_if_needed()
    page.wait_for_timeout(1500)
    page.screenshot(path=artifacts / "results.png")
    with Studio(home, watch=False) as studio:
        ids = [run.id for run in studio.runs.list()]
    page.goto(f"{url}/?compare={','.join(ids)}")
    page.locator(".st-key-compare_plot .main-svg").first.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)
    page.screenshot(path=artifacts / "compare.png")


def test_pictures_of_the_explorer_and_its_panels(page: Page, stopped_server: Server, home: Home) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    graph = built(home)
    url = stopped_server.start().url
    page.goto(f"{url}/graph_explorer?graph={graph}")
    shoot(page, "graph", page.locator(".bl-graph[data-painted='1']"))
    page.set_viewport_size({"width": 1440, "height": 900})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.goto(f"{url}/graph_explorer?graph={graph}")
        expect(page.locator(".bl-graph[data-painted='1']")).to_be_visible(timeout=120_000)
        for title, name in (
            ("Every layer", "layers"), ("Layers in 3-D", "space"), ("Whole graph", "map"), ("Sentence trees", "trees"),
            ("Compare", "compare"),
        ):  # fmt: skip
            page.get_by_role("tab", name=title).click()
            figure = page.get_by_test_id("stPlotlyChart").first
            expect(figure).to_be_visible(timeout=120_000)
            expect(page.get_by_test_id("stSkeleton").filter(visible=True)).to_have_count(0, timeout=120_000)
            page.wait_for_timeout(3000)
            file = PICTURES / f"graph-{name}-{scheme}.png"
            figure.screenshot(path=file, animations="disabled")
            slim(file)


@pytest.mark.timeout(3600)
def test_pictures_of_the_structure_search(page: Page, stopped_server: Server, home: Home) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    measured, search = searched(home)
    url = stopped_server.start().url
    places = (
        ("structure-statistics", f"stats={measured}", page.locator(".st-key-structure_rho .main-svg").first),
        ("structure-layers", f"stats={measured}&tab=layers", page.locator(".bl-drawing svg").first),
        ("structure-search", f"search={search}", page.locator(".st-key-search_conclusion")),
    )
    for name, query, ready in places:
        page.goto(f"{url}/structure_search?{query}")
        shoot(page, name, ready)
