"""A browser that hears late what the server says, as on a busy machine: a page that is opened stays."""

from __future__ import annotations

import time
from collections import deque

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from core.api import Studio
from core.config import Plan
from core.settings import Home
from tests.e2e.conftest import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Seconds that a message takes: longer than any fragment of a page waits until it asks again.
DELAY = 3.5


class LateMessages:
    """Holds back what the server sends to the browser, in order."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.delay = 0.0
        self.waiting: deque[tuple[float, str | bytes]] = deque()
        self.socket: WebSocketRoute | None = None
        page.route_web_socket("**/_stcore/stream", self._open)

    def _open(self, socket: WebSocketRoute) -> None:
        self.socket = socket
        server = socket.connect_to_server()
        socket.on_message(server.send)
        server.on_message(self._take)

    def _take(self, message: str | bytes) -> None:
        assert self.socket is not None
        if self.delay or self.waiting:  # nothing overtakes what waits
            self.waiting.append((time.monotonic() + self.delay, message))
        else:
            self.socket.send(message)

    def hold(self) -> None:
        """Keep what the server says from now on, until :meth:`late`."""
        assert self.socket is not None
        self.delay = DELAY

    def late(self, seconds: float) -> None:
        """Let messages come late for a while, and in time again afterwards."""
        assert self.socket is not None
        self.delay = DELAY
        limit = time.monotonic() + seconds
        while self.delay or self.waiting:
            self.page.wait_for_timeout(50)
            if time.monotonic() > limit:
                self.delay = 0.0
            while self.waiting and (not self.delay or self.waiting[0][0] < time.monotonic()):
                self.socket.send(self.waiting.popleft()[1])


def test_start_opens_the_run_and_its_page_stays(page: Page, server: Server, home: Home) -> None:
    stage = {"freeze_encoder": True, "steps": 4, "batch_size": 8}
    plan = {"name": "on its way", "data": {"source": "reviews", "train_rows": 48, "gate_rows": 40, "test_rows": 40}}
    with Studio(home, watch=False) as studio:
        studio.presets.save("few", Plan.model_validate({**plan, "stages": [stage]}))
    messages = LateMessages(page)
    page.goto(f"{server.url}/stage_planner?preset=few")
    expect(page.get_by_role("textbox", name="Name of the run")).to_have_value("on its way", timeout=60_000)
    start = page.locator(".st-key-primary_action button:visible").filter(has_text="Start")
    expect(start).to_be_enabled()
    start.click()
    messages.late(4 * DELAY)
    expect(page.get_by_role("heading", name="on its way")).to_be_visible(timeout=60_000)
    page.wait_for_timeout(1000 * DELAY)  # what was still asked for the old page would have emptied this one
    expect(page.get_by_role("heading", name="on its way")).to_be_visible()
    assert "/run?id=" in page.url
