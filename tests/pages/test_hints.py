"""The explorer's page names its scripts in its header; nothing else does."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.ui.hints import Hints
from pages.ui.routes import routes


@pytest.fixture
def client() -> TestClient:
    def page(_: object) -> HTMLResponse:
        return HTMLResponse("<html></html>")

    def data(_: object) -> JSONResponse:
        return JSONResponse({})

    paths = [Route("/graph_explorer", page), Route("/run", page), Route("/data/graph_explorer", data)]
    return TestClient(Hints(Starlette(routes=[*paths, *routes()])))


def test_every_script_that_the_explorers_page_names_is_served(client: TestClient) -> None:
    named = re.findall(r"<([^>]+)>", client.get("/graph_explorer").headers["link"])
    assert any(address.endswith("vis-network.min.js") for address in named)
    assert any(address.endswith("/graph.js") for address in named)
    assert {client.get(address).status_code for address in named} == {200}


@pytest.mark.parametrize("path", ["/run", "/data/graph_explorer", "/missing/graph_explorer"])
def test_other_answers_are_left_as_they_are(client: TestClient, path: str) -> None:
    assert "link" not in client.get(path).headers
