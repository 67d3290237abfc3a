"""A real server, a real browser, and a guard that nothing leaves this machine."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from core.settings import Home
from tests.e2e.fake_run import FakeRun

ROOT = Path(__file__).parents[2]
ARTIFACTS = Path(__file__).parent / "artifacts"
#: Chromium without sandbox (containers), GPU, or any request of its own.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]

# Machines that do other things beside are slow, not broken.
expect.set_options(timeout=45_000)

#: Numbers of the runs in the shared home.
_NUMBERS = itertools.count(1)

#: Files that take longest, longest first: begun last, one would keep a single process busy at the end.
LONGEST = ("planner_stages", "live_plot", "planner_form", "distillation", "graph_explorer", "start_to_export")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""

    def place(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_")
        return LONGEST.index(name) if item.path.parent == Path(__file__).parent and name in LONGEST else len(LONGEST)

    items.sort(key=place)


class Server:
    """`streamlit run app.py` on a port of its own; it can be stopped, killed and started again."""

    def __init__(self, home: Home, log: Path, *options: str, **environment: str) -> None:
        self.home = home
        self.log = log
        self.options = options
        self.environment = environment
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port), *self.options]

    def start(self) -> Server:
        environment = {
            **os.environ,
            "BERTLOOM_HOME": str(self.home.root),
            "BERTLOOM_WARM": os.environ.get("BERTLOOM_WARM", "0"),
            **self.environment,
        }
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_until_up()
        return self

    def wait_until_up(self, seconds: float = 120) -> None:
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            assert self.process is not None
            assert self.process.poll() is None, f"the server ended:\n{self.read_log()}"
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the server did not start:\n{self.read_log()}")

    def stop(self, seconds: float = 15) -> None:
        """SIGTERM, as `docker stop` or a closed terminal sends it."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self) -> None:
        """SIGKILL: no hook runs."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)
        self.process = None

    def read_log(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:] if self.log.exists() else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A fresh home folder, also for code that the test itself calls."""
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home").ensure()


@pytest.fixture
def stopped_server(home: Home, tmp_path: Path) -> Iterator[Server]:
    """A server that the test starts when its home is ready."""
    server = Server(home, tmp_path / "server.log")
    yield server
    server.stop()


@pytest.fixture
def server(stopped_server: Server) -> Server:
    """A running server with an empty home."""
    return stopped_server.start()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server for all tests that need no home of their own: to start one takes longer than most of them."""
    folder = tmp_path_factory.mktemp("shared")
    server = Server(Home(folder / "home").ensure(), folder / "server.log")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def fake_runs(shared_server: Server) -> Iterator[Callable[..., FakeRun]]:
    """Makes runs without training in the home of the shared server; they have ended when the next test begins."""
    with contextlib.ExitStack() as stack:

        def made(name: str = "reviews, first try", **options: Any) -> FakeRun:
            run_id = f"20261122-141530-{next(_NUMBERS):04x}"
            run = FakeRun(shared_server.home, name, run_id, backend="thread", **options)
            stack.enter_context(run)
            stack.callback(run.end)  # while the run still has its store
            return run

        yield made


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(
        (
            found
            for name in ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
            if (found := shutil.which(name))
        ),
        None,
    )
    if path is None:
        pytest.fail(
            "no chromium: install it (Debian: apt-get install chromium) to run the browser tests", pytrace=False
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Guard:
    """Collects what must not happen in a tab."""

    def __init__(self) -> None:
        self.outside: list[str] = []
        self.errors: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("request", self._request)
        page.on("websocket", lambda socket: self._address(socket.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(60_000)

    def _request(self, request: Request) -> None:
        self._address(request.url)

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            self.outside.append(url)


@pytest.fixture
def guard() -> Iterator[Guard]:
    """Fails the test if a tab asked another machine for anything, or a script failed."""
    guard = Guard()
    yield guard
    assert not guard.outside, f"requests left this machine: {guard.outside[:5]}"
    assert not guard.errors, f"scripts failed: {guard.errors[:5]}"


@pytest.fixture
def context(browser: Browser, guard: Guard) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    context.on("page", guard.watch)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, monkeypatch: pytest.MonkeyPatch) -> Page:
    """A tab. Screenshots are for people, and drawing a whole page takes a second: they are taken when asked for."""
    page = context.new_page()
    if not any(os.environ.get(name) == "1" for name in ("BERTLOOM_SCREENSHOTS", "BERTLOOM_PICTURES")):
        monkeypatch.setattr(page, "screenshot", lambda **_: b"")
    return page


@pytest.fixture
def artifacts() -> Path:
    """The folder of screenshots (ignored by git), which are taken with ``BERTLOOM_SCREENSHOTS=1``."""
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS
