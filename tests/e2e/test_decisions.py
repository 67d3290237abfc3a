"""Decisions of a run in a real browser: marked on the curves, listed, and downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server
from tests.e2e.fake_run import FakeRun
from tests.e2e.staged_run import finish_staged, tell_stages
from tests.e2e.test_live_plot import wait_for

pytestmark = pytest.mark.slow

#: Names of the traces that mark decisions, the dashes of the borders of stages, and the names that stand at them.
MARKS = """(panel) => {
  const place = document.querySelector(`.bl-card[data-panel=${panel}] .bl-plot`);
  return {
    marks: place.data.map((trace) => trace.uid).filter((uid) => uid.startsWith("mark-decision-")).sort(),
    words: place.data.filter((trace) => trace.uid === "mark-decision-rollback").map((trace) => trace.text[0]),
    borders: (place.layout.shapes ?? []).map((shape) => [shape.x0, shape.line.dash]),
    names: (place.layout.annotations ?? []).map((note) => note.text),
  };
}"""


def test_decisions_are_marked_listed_and_downloaded(
    page: Page, shared_server: Server, fake_runs: Callable[..., FakeRun], tmp_path: Path
) -> None:
    run = fake_runs()
    run.advance(run.total)
    tell_stages(run)
    finish_staged(run)
    page.goto(f"{shared_server.url}/run?id={run.id}")
    page.wait_for_selector(".bl-card[data-panel=gate] .main-svg")
    for panel in ("loss", "gate"):
        # The curves may be there before what has happened on them.
        wait_for(page, lambda panel=panel: len(page.evaluate(MARKS, panel)["marks"]) == 4)
        seen = page.evaluate(MARKS, panel)
        assert seen["marks"] == [f"mark-decision-{action}" for action in ("cut", "promote", "raise", "rollback")]
        assert "The smoothed loss rose to 4.2." in seen["words"][0].replace("<br>", " ")
        assert seen["borders"] == [[900, "dash"], [1500, "dot"]]
        assert seen["names"] == ["head", "all &lt;b&gt;", "attempt 2"]
    page.get_by_label("Events").first.uncheck()
    wait_for(page, lambda: page.evaluate(MARKS, "loss")["borders"] == [])
    expect(page.locator("li[data-mark=good]").first).to_contain_text("its best weights go on")
    page.get_by_role("tab", name="Decisions").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    file = tmp_path / "decisions.csv"
    download.value.save_as(file)
    assert "accuracy 0.702 (0.64 to 0.757) against 0.584" in file.read_text(encoding="utf-8")
