"""The live plot in a real browser: it advances, keeps what a person set, and comes back after everything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocket, expect

from core.settings import Home
from tests.e2e.conftest import Server
from tests.e2e.fake_run import FakeRun

pytestmark = pytest.mark.slow

LOSS = ".bl-card[data-panel=loss] .bl-plot"
READY = f"{LOSS} .main-svg"
RANGE = f"() => document.querySelector('{LOSS}').layout.xaxis.range.slice()"
LAST = f"() => {{ const x = document.querySelector('{LOSS}').data.at(0).x; return x[x.length - 1]; }}"


@contextmanager
def advancing(run: FakeRun, steps: int = 6, every: float = 0.3) -> Iterator[None]:
    """Append points from a thread, as a worker would."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(every):
            run.advance(steps)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def open_run(page: Page, server: Server, run: FakeRun) -> None:
    page.goto(f"{server.url}/run?id={run.id}")
    page.wait_for_selector(READY)


def wait_for(page: Page, condition: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        page.wait_for_timeout(150)


def zoom(page: Page, linger: Callable[[], None] | None = None) -> list[float]:
    """Draw a box in the loss plot with the mouse, `linger` before it is let go, and return what is shown then."""
    box = page.locator(f"{LOSS} .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    first, last = page.evaluate(RANGE)  # from here on it stands still
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.7, steps=8)
    if linger is not None:
        linger()
    page.mouse.up()

    def narrow() -> bool:
        left, right = page.evaluate(RANGE)
        return right - left < 0.6 * (last - first)

    wait_for(page, narrow)
    page.wait_for_timeout(300)
    return page.evaluate(RANGE)


def test_a_deep_link_as_the_first_visit_shows_the_whole_frame(page: Page, stopped_server: Server, home: Home) -> None:
    with FakeRun(home) as run:
        run.advance(500)
        stopped_server.start()
        open_run(page, stopped_server, run)
        expect(page.get_by_role("heading", name="reviews, first try")).to_be_visible()
        navigation = page.get_by_test_id("stSidebarNav")
        for name in ("Runs", "Run", "Stage planner"):
            expect(navigation.get_by_role("link", name=name, exact=True)).to_be_visible()
        expect(page.get_by_test_id("stSidebarLogo")).to_be_visible()
        expect(page.locator(".st-key-run_card")).to_contain_text("step 500 of 3,000")
        expect(page.locator(".st-key-primary_action")).to_contain_text("Pause")


def test_zoom_and_legend_survive_updates_and_reruns(
    page: Page, context: BrowserContext, shared_server: Server, fake_runs: Callable[..., FakeRun]
) -> None:
    run = fake_runs(total=6000)
    run.advance(600)
    open_run(page, shared_server, run)
    # The gate curve is switched off in the legend.
    page.locator(f"{LOSS} .legendtoggle").last.click()
    hidden = (
        f"() => document.querySelector('{LOSS}').data"
        ".filter((one) => one.visible === 'legendonly').map((one) => one.name)"
    )
    wait_for(page, lambda: page.evaluate(hidden) == ["gate"])
    kept = zoom(page)
    first = page.evaluate(LAST)
    with advancing(run):
        wait_for(page, lambda: page.evaluate(LAST) >= first + 30)
        assert page.evaluate(RANGE) == kept
        # A rerun of the whole page: another tab is opened.
        page.get_by_role("tab", name="Log").click()
        expect(page.get_by_text("printed nothing yet")).to_be_visible()
        second = page.evaluate(LAST)
        wait_for(page, lambda: page.evaluate(LAST) >= second + 30)
        assert page.evaluate(RANGE) == kept
        assert page.evaluate(hidden) == ["gate"]
        # Other panels show the same stretch.
        other = "() => document.querySelector('.bl-card[data-panel=grad] .bl-plot').layout.xaxis.range.slice()"
        assert page.evaluate(other) == pytest.approx(kept)
        # A reload and a second tab find everything in the store.
        page.reload()
        page.wait_for_selector(READY)
        assert page.evaluate(LAST) >= second
        second_tab = context.new_page()
        open_run(second_tab, shared_server, run)
        end = second_tab.evaluate(LAST)
        wait_for(second_tab, lambda: second_tab.evaluate(LAST) > end)
    page.locator(".bl-reset").click()
    wait_for(page, lambda: page.evaluate(RANGE)[1] >= page.evaluate(LAST))


def test_a_box_takes_the_stretch_it_was_drawn_over(
    page: Page, shared_server: Server, fake_runs: Callable[..., FakeRun]
) -> None:
    """A run of twenty steps gets a hundred times as long while the box is drawn."""
    run = fake_runs(total=6000)
    run.advance(20)
    open_run(page, shared_server, run)
    shown = page.evaluate(RANGE)

    def longer() -> None:
        run.advance(2000)
        expect(page.locator(".st-key-run_cards")).to_contain_text("step 2,020 of 6,000")
        page.wait_for_timeout(1000)  # the curves ask as often
        assert page.evaluate(RANGE) == shown

    left, right = zoom(page, longer)
    width = shown[1] - shown[0]
    assert left == pytest.approx(shown[0] + 0.3 * width, abs=0.02 * width)
    assert right == pytest.approx(shown[0] + 0.6 * width, abs=0.02 * width)
    # What came meanwhile is drawn now.
    wait_for(page, lambda: page.evaluate(LAST) > 1900)
    assert page.evaluate(RANGE) == [left, right]


def test_the_theme_is_followed_with_the_zoom_kept(
    page: Page, shared_server: Server, fake_runs: Callable[..., FakeRun]
) -> None:
    run = fake_runs()
    run.advance(500)
    open_run(page, shared_server, run)
    expect(page.locator(".bl-live")).to_have_attribute("data-mode", "light")
    logo = page.get_by_test_id("stSidebarLogo")
    before = logo.get_attribute("src")
    kept = zoom(page)
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".bl-live")).to_have_attribute("data-mode", "dark")
    colour = f"() => document.querySelector('{LOSS}').data.find((one) => one.uid === 'train-loss').line.color"
    wait_for(page, lambda: page.evaluate(colour) == "#736FF5")
    # What the server draws follows too: the name beside the logo.
    expect(logo).not_to_have_attribute("src", before or "")
    assert page.evaluate(RANGE) == kept


def test_a_killed_server_comes_back_under_an_open_tab(page: Page, stopped_server: Server, home: Home) -> None:
    with FakeRun(home) as run:
        run.advance(300)
        stopped_server.start()
        open_run(page, stopped_server, run)
        expect(page.locator(".bl-link")).to_have_attribute("data-state", "live")
        kept = zoom(page)
        stopped_server.kill()
        expect(page.locator(".bl-link")).to_have_attribute("data-state", "lost")
        expect(page.locator(".bl-link")).to_contain_text("retrying")
        run.advance(100)
        stopped_server.start()
        expect(page.locator(".bl-link")).to_have_attribute("data-state", "live")
        wait_for(page, lambda: page.evaluate(LAST) >= 400)
        assert page.evaluate(RANGE) == kept
        expect(page.locator(".st-key-run_cards")).to_contain_text("step 400 of 3,000")


def test_a_hundred_thousand_steps_open_like_a_thousand(
    page: Page, shared_server: Server, fake_runs: Callable[..., FakeRun]
) -> None:
    """As much is sent to the browser and drawn; how long it takes is measured by ``bench_logging``."""
    sent = 0

    def listen(socket: WebSocket) -> None:
        def count(payload: bytes | str) -> None:
            nonlocal sent
            sent += len(payload)

        socket.on("framereceived", count)

    short, long = fake_runs(total=1000), fake_runs(total=100_000)
    short.advance(1000)
    long.advance(100_000, seconds_a_step=0.001)
    page.on("websocket", listen)
    taken: dict[str, int] = {}
    for run in (short, long):
        sent = 0
        open_run(page, shared_server, run)
        wait_for(page, lambda run=run: page.evaluate(LAST) >= run.step - run.total // 100)
        taken[run.id] = sent
        drawn = f"() => document.querySelector('{LOSS}').data.map((one) => one.x.length)"
        assert max(page.evaluate(drawn)) <= 1000
    assert taken[short.id] > 10_000, "the points of the short run came this way"
    assert taken[long.id] < 1.5 * taken[short.id], taken
    spike = page.evaluate(
        f"() => Math.max(...document.querySelector('{LOSS}').data.find((one) => one.uid === 'train-loss-raw').y)"
    )
    assert spike > 0.8, "the spike must survive the reduction"


def test_another_run_takes_the_plot_over_and_controls_stay(page: Page, stopped_server: Server, home: Home) -> None:
    with FakeRun(home, name="older", run_id="20261121-100000-aaaa") as old:
        old.advance(120)
        old.finish()
        with FakeRun(home, name="newer", run_id="20261122-110000-bbbb") as new:
            new.advance(450)
            stopped_server.start()
            open_run(page, stopped_server, old)
            wait_for(page, lambda: page.evaluate(LAST) == 120)
            expect(page.locator(".bl-link")).to_have_attribute("data-state", "ended")
            page.get_by_label("Log axis").check()
            wait_for(page, lambda: page.evaluate(f"() => document.querySelector('{LOSS}').layout.yaxis.type") == "log")
            page.locator(".st-key-run_card").get_by_role("link").click()
            expect(page.get_by_role("heading", name="newer")).to_be_visible()
            wait_for(page, lambda: page.evaluate(LAST) == 450)
            assert page.get_by_label("Log axis").is_checked()
            assert page.evaluate(f"() => document.querySelector('{LOSS}').layout.yaxis.type") == "log"
            page.get_by_role("group", name="Horizontal axis").get_by_text("Time").click()
            wait_for(
                page, lambda: "time" in page.evaluate(f"() => document.querySelector('{LOSS}').layout.xaxis.title.text")
            )


def test_words_of_users_are_shown_as_text(page: Page, shared_server: Server, fake_runs: Callable[..., FakeRun]) -> None:
    evil = "<img src=x onerror='window.hacked=1'><b>bold</b>"
    run = fake_runs(evil)
    run.advance(320)
    run.event("guard", evil)
    run.finish(hostile=True)
    open_run(page, shared_server, run)
    expect(page.get_by_role("heading", name=evil)).to_be_visible()
    expect(page.locator(".bl-events")).to_contain_text(evil)
    expect(page.locator(".st-key-run_confusion .js-plotly-plot")).to_be_visible()
    assert page.evaluate("() => window.hacked") is None
    assert page.locator(".bl-live b:has-text('bold'), .bl-live img, h1 img").count() == 0


def test_figures_can_be_kept(page: Page, shared_server: Server, fake_runs: Callable[..., FakeRun]) -> None:
    run = fake_runs()
    run.advance(330)
    open_run(page, shared_server, run)
    page.locator(".bl-card[data-panel=loss]").hover()
    kept: dict[str, bytes] = {}
    for kind in ("PNG", "SVG", "CSV"):
        with page.expect_download() as found:
            page.get_by_role("button", name=f"Download Loss as {kind}").click()
        assert found.value.suggested_filename == f"{run.id}-loss.{kind.lower()}"
        kept[kind] = Path(found.value.path()).read_bytes()
    assert kept["PNG"].startswith(b"\x89PNG")
    assert b"<svg" in kept["SVG"][:500]
    rows = kept["CSV"].decode().splitlines()
    assert rows[0] == "series,step,time,value"
    assert len([row for row in rows if row.startswith('"train/loss",')]) == 330
    with page.expect_download() as found:
        page.locator(".bl-csv").click()
    assert b'"lr/encoder",330,' in Path(found.value.path()).read_bytes()


def test_the_page_fits_every_screen(
    page: Page, shared_server: Server, fake_runs: Callable[..., FakeRun], artifacts: Path
) -> None:
    run, done = fake_runs("running"), fake_runs("finished")
    run.advance(1400)
    done.advance(3000)
    done.finish()
    for width, schemes in ((1440, ("light", "dark")), (390, ("light",))):
        page.set_viewport_size({"width": width, "height": 844 if width < 500 else 1000})
        for shown, name in ((run, "run"), (done, "run-results")):
            page.emulate_media(color_scheme="light")
            open_run(page, shared_server, shown)
            for scheme in schemes:
                page.emulate_media(color_scheme=scheme)
                expect(page.locator(".bl-live")).to_have_attribute("data-mode", scheme)
                # All curves are drawn: nothing that comes later makes the page wider.
                expect(page.locator(".bl-card .bl-plot:not(:has(.main-svg))")).to_have_count(0)
                if shown is done:
                    expect(page.get_by_text("Scores on test")).to_be_visible()
                    page.locator(".st-key-run_cards_scores").scroll_into_view_if_needed()
                    figure = page.locator(".st-key-run_confusion .js-plotly-plot")
                    expect(figure).to_have_count(1)  # the old look goes when the new is there
                    expect(figure).to_be_visible()
                page.screenshot(path=artifacts / f"{name}-{scheme if width > 500 else 'phone'}.png")
                fits(page)


def fits(page: Page) -> None:
    """Nothing sticks out sideways, and the four cards have one height."""
    assert page.get_by_test_id("stMain").evaluate("(one) => one.scrollWidth <= one.clientWidth + 1"), (
        "it scrolls sideways"
    )
    cards = page.locator("[class*='st-key-run_cards_']:not([class*='st-key-run_cards_scores'])")
    expect(cards.nth(3)).to_be_visible()

    def heights() -> set[int]:
        return {round(box["height"]) for index in range(4) if (box := cards.nth(index).bounding_box())}

    wait_for(page, lambda: len(heights()) == 1)  # they may still be written to
