"""What a page tells its browser with the first answer: the explorer its scripts, every page where the server is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from pages.ui.foundation import Foundation
from pages.ui.hints import Hints
from pages.ui.routes import routes


@pytest.fixture
def client() -> TestClient:
    def page(_: object) -> HTMLResponse:
        return HTMLResponse("<html><head><title>A page</title></head></html>", headers={"ETag": "1"})

    def data(_: object) -> JSONResponse:
        return JSONResponse({})

    paths = [Route(path, page) for path in ("/", "/graph_explorer", "/run")] + [Route("/data/graph_explorer", data)]
    own = Mount("/static", StaticFiles(directory=Path(streamlit.__file__).parent / "static" / "static"))
    return TestClient(Hints(Foundation(Starlette(routes=[*paths, own, *routes()]))))


def test_every_script_that_the_explorers_page_names_is_served(client: TestClient) -> None:
    named = re.findall(r"<([^>]+)>", client.get("/graph_explorer").headers["link"])
    assert any(address.endswith("vis-network.min.js") for address in named)
    assert any(address.endswith("/graph.js") for address in named)
    assert any("/BidiComponent." in address for address in named)
    assert {client.get(address).status_code for address in named} == {200}


@pytest.mark.parametrize("path", ["/run", "/data/graph_explorer", "/missing/graph_explorer"])
def test_other_answers_are_left_as_they_are(client: TestClient, path: str) -> None:
    assert "link" not in client.get(path).headers


VISIT = {"Sec-Fetch-Dest": "document", "If-None-Match": "1", "Accept-Encoding": "gzip"}


def test_a_page_that_a_person_opens_says_where_the_server_is(client: TestClient) -> None:
    answer = client.get("/run?id=1", headers=VISIT)
    script = re.search(r"<head><script>(.*?)</script><title>", answer.text)
    assert script
    assert 'decodeURI(location.pathname)==="/run"' in script[1]
    assert 'BACKEND_BASE_URL:location.origin+"/"' in script[1]
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "etag" not in answer.headers  # it names the file without the script


@pytest.mark.parametrize(("path", "headers"), [("/", VISIT), ("/run", {}), ("/data/graph_explorer", VISIT)])
def test_what_is_no_page_below_the_root_is_left_as_it_is(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    assert "BACKEND_BASE_URL" not in client.get(path, headers=headers).text


def test_a_path_cannot_end_the_script(client: TestClient) -> None:
    app = TestClient(Foundation(Starlette(routes=[Route("/{name:path}", lambda _: HTMLResponse("<head>"))])))
    assert app.get("/%3C/script%3E%3Cb%3E%22", headers=VISIT).text.count("</script>") == 1
