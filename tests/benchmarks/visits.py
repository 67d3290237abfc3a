"""A browser with a clock, and the bare page that others are compared with."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.e2e.conftest import ARGUMENTS, Server

__all__ = ["BareServer", "chromium", "spread", "visit"]

BARE = 'import streamlit as st\n\nst.title("Bare")\n'
#: Notes when the frame with the first heading has been drawn (the browser's clock, from the start of the navigation).
PAINTED = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("h1")?.textContent) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.painted = performance.now(); }));
}).observe(document, { childList: true, subtree: true, characterData: true });
"""


class BareServer(Server):
    """A page of Streamlit's own with nothing but a title, with the dashboard's server settings."""

    def command(self) -> list[str]:
        script = self.log.parent / "bare.py"
        script.write_text(BARE, encoding="utf-8")
        return [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(self.port)]


def spread(seconds: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return {"median_s": round(median, 3), "low_s": round(low, 3), "high_s": round(high, 3), "visits": len(seconds)}


def visit(browser: Browser, url: str) -> float:
    """Open an address in a fresh context; return the seconds until the frame that shows the title."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    try:
        context.add_init_script(PAINTED)
        page = context.new_page()
        page.goto(url, wait_until="commit")
        page.wait_for_function("window.painted")
        return float(page.evaluate("window.painted")) / 1000
    finally:
        context.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of the tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()
