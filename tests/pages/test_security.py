"""Nobody else's machine, page or host name gets in by accident."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from core.errors import ConfigError
from pages.ui import security

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1", "unix:///tmp/x"],
)
def test_loopback_is_allowed(address: str) -> None:
    security.check_binding(address, secrets_configured=False)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "192.168.1.4", "::ffff:10.0.0.1", "example.org", "", None, "127.0.0.1.evil.example"]
)
def test_other_addresses_are_refused_with_the_reason(address: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        security.check_binding(address, secrets_configured=False)
    assert "without sign-in" in caught.value.message()
    assert "127.0.0.1" in caught.value.message()


def test_sign_in_allows_other_addresses() -> None:
    security.check_binding("0.0.0.0", secrets_configured=True)


@pytest.mark.slow
def test_streamlit_run_refuses_to_listen_beyond_this_machine(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.address", "0.0.0.0", "--server.port", "0"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "BERTLOOM_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "does not listen beyond this machine without sign-in" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8501", True),
        ("127.0.0.1:8501", True),
        ("[::1]:8501", True),
        ("localhost.", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("localhost:x", False),
        ("user@localhost", False),
        ("", False),
        (None, False),
    ],
)
def test_only_named_hosts_are_served(host: str | None, allowed: bool) -> None:
    assert security.host_allowed(host, ["localhost", "127.0.0.1", "::1"]) is allowed


def test_wildcard_hosts() -> None:
    assert security.host_allowed("a.example.org:80", ["*.example.org"])
    assert not security.host_allowed("example.org.evil", ["*.example.org"])
    assert security.host_allowed("anything", ["*"])
    assert security.host_allowed("anything", [])


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://localhost:8501", True),
        ("http://evil.example", False),
        ("null", False),
        ("http://localhost:9", False),
    ],
)
def test_only_pages_of_this_server_may_ask(origin: str | None, allowed: bool) -> None:
    assert security.origin_allowed(origin, "localhost:8501") is allowed


def _client(address: str) -> TestClient:
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("in"))])
    return TestClient(security.DoorKeeper(app), base_url=f"http://{address}")


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit

    monkeypatch.setattr(streamlit, "get_option", lambda _: ["localhost", "127.0.0.1", "192.168.1.4"])
    monkeypatch.setattr(security, "sign_in_configured", lambda: False)


@pytest.mark.usefixtures("closed")
def test_the_door_is_open_on_loopback() -> None:
    assert _client("127.0.0.1:8501").get("/").text == "in"


@pytest.mark.usefixtures("closed")
def test_the_door_is_closed_for_other_hosts_and_other_interfaces() -> None:
    assert _client("127.0.0.1:8501").get("/", headers={"host": "evil.example"}).status_code == 403
    outside = _client("192.168.1.4:8501").get("/")
    assert outside.status_code == 403
    assert "without sign-in" in outside.text


def test_the_door_is_open_to_other_machines_with_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit

    monkeypatch.setattr(streamlit, "get_option", lambda _: [])
    monkeypatch.setattr(security, "sign_in_configured", lambda: True)
    assert _client("192.168.1.4:8501").get("/").text == "in"
