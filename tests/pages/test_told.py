"""A page's script waits until its browser tells that something is drawn, and no longer than it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pages.ui import told


@pytest.fixture
def client() -> Iterator[TestClient]:
    told.listen()
    yield TestClient(Starlette(routes=[told.route("")]))
    told.listen(False)


def test_who_waits_goes_on_when_the_browser_asks_for_the_address(client: TestClient) -> None:
    awaited = told.Awaited()
    threading.Timer(0.05, client.get, [awaited.address]).start()
    assert awaited.wait(60)  # false if nobody had woken it


def test_another_address_wakes_nobody(client: TestClient) -> None:
    awaited = told.Awaited()
    assert client.get(told.Awaited().address).status_code == client.get("/bertloom/told/nothing").status_code == 204
    assert not awaited.wait(0.01)


def test_without_a_server_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    awaited = told.Awaited()
    monkeypatch.setattr(threading.Event, "wait", lambda *_: pytest.fail("it waits"))
    assert not awaited.wait(30)
    assert awaited.address == ""


def test_those_who_never_waited_are_forgotten(client: TestClient) -> None:
    first = told.Awaited()
    for _ in range(500):
        told.Awaited()
    client.get(first.address)
    assert not first.wait(0.01)
