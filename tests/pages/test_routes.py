"""The data route answers a run's own page, and nobody else."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.settings import Home
from pages.ui import routes, studio, tokens
from tests.e2e.fake_run import FakeRun


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    yield Home(tmp_path / "home")
    studio.close()


@pytest.fixture
def run(home: Home) -> Iterator[FakeRun]:
    with FakeRun(home) as fake:
        yield fake


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=routes.routes()), base_url="http://localhost:8501")


def ask(client: TestClient, run: FakeRun, token: str | None = None, **query: object):
    token = tokens.issue(run.home, run.id) if token is None else token
    return client.get(f"/bertloom/series/{run.id}", params={"token": token, **query})


def test_a_page_gets_points_events_and_progress(client: TestClient, run: FakeRun) -> None:
    run.advance(300)
    answer = ask(client, run)
    assert answer.status_code == 200
    found = answer.json()
    assert found["series"]["train/loss"]["steps"] == list(range(1, 301))
    assert found["status"] == "running"
    assert found["active"] is True
    assert found["progress"]["step"] == 300
    assert [event["kind"] for event in found["events"]] == ["decision", "best"]
    assert found["token"] is None
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


def test_cursors_give_only_what_is_new(client: TestClient, run: FakeRun) -> None:
    run.advance(50)
    first = ask(client, run).json()
    run.advance(3)
    run.event("guard", "The loss is not a number")
    second = ask(client, run, after=first["cursor"], events=first["event_cursor"]).json()
    assert second["series"]["train/loss"]["steps"] == [51, 52, 53]
    assert [event["kind"] for event in second["events"]] == ["guard"]
    third = ask(client, run, after=second["cursor"], events=second["event_cursor"]).json()
    assert third["series"] == {}
    assert third["events"] == []
    assert third["cursor"] == second["cursor"]


def test_many_points_are_reduced_and_said_so(client: TestClient, home: Home) -> None:
    with FakeRun(home, total=20_000) as fake:
        fake.advance(20_000)
        answer = ask(client, fake)
    found = answer.json()
    assert found["reduced"] is True
    assert max(len(part["steps"]) for part in found["series"].values()) <= routes.MAX_POINTS
    assert len(answer.content) < 400_000


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
def test_no_ticket_no_data(client: TestClient, run: FakeRun, token: str) -> None:
    answer = ask(client, run, token=token)
    assert answer.status_code == 401
    assert "series" not in answer.json()


def test_a_ticket_for_another_run_is_refused(client: TestClient, run: FakeRun) -> None:
    assert ask(client, run, token=tokens.issue(run.home, "20261122-141530-ffff")).status_code == 401


def test_an_old_ticket_is_renewed(client: TestClient, run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run.advance(1)
    token = tokens.issue(run.home, run.id)
    monkeypatch.setattr(routes.tokens.time, "time", lambda: __import__("time").time_ns() / 1e9 + 400)
    fresh = ask(client, run, token=token).json()["token"]
    assert fresh not in (None, token)
    assert ask(client, run, token=fresh).status_code == 200


@pytest.mark.parametrize("run_id", ["..%2f..%2fetc", "a" * 200, "%00", "-x", "a%20b"])
def test_ids_are_checked(client: TestClient, home: Home, run_id: str) -> None:
    home.ensure()
    assert client.get(f"/bertloom/series/{run_id}", params={"token": "x"}).status_code == 404


def test_an_unknown_run_is_a_404_even_with_a_ticket(client: TestClient, home: Home) -> None:
    home.ensure()
    answer = client.get(
        "/bertloom/series/20200101-000000-none", params={"token": tokens.issue(home, "20200101-000000-none")}
    )
    assert answer.status_code == 404
    assert answer.json()["error"]


@pytest.mark.parametrize("cursor", ["-1", "x", "1e9", str(2**70)])
def test_cursors_are_checked(client: TestClient, run: FakeRun, cursor: str) -> None:
    assert ask(client, run, after=cursor).status_code == 400


def test_other_origins_are_refused(client: TestClient, run: FakeRun) -> None:
    token = tokens.issue(run.home, run.id)
    answer = client.get(
        f"/bertloom/series/{run.id}", params={"token": token}, headers={"origin": "http://evil.example"}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_routes_only_read(client: TestClient, run: FakeRun, method: str) -> None:
    assert client.request(method, f"/bertloom/series/{run.id}").status_code == 405


def test_scripts_come_from_installed_packages_and_may_be_kept(client: TestClient) -> None:
    answer = client.get(routes.asset_url("plotly.min.js"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    assert b"plotly.js v" in answer.content[:200]
    plain = client.get(routes.script_url(), headers={"accept-encoding": "identity"})
    assert b"export function mount" in plain.content


@pytest.mark.parametrize("name", ["vis-network.min.js", "graph.js", "graph_paint.js", "graph_chrome.js"])
def test_the_picture_of_the_graph_comes_from_this_machine(client: TestClient, name: str) -> None:
    answer = client.get(routes.asset_url(name))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]


def test_only_the_known_scripts_of_this_version_are_served(client: TestClient) -> None:
    version = routes.asset_url("live.js").split("/")[-2]
    for name in ("component.py", "..%2froutes.py", "live.css", "nothing.js"):
        assert client.get(f"/bertloom/assets/{version}/{name}").status_code == 404
    assert client.get("/bertloom/assets/000000000000/live.js").status_code == 404


def test_packed_scripts_are_the_files() -> None:
    for name, file in routes._files().items():
        assert gzip.decompress(routes._packed(name)) == file.read_bytes()


def test_scripts_never_write_html_and_name_no_other_server() -> None:
    for file in (Path(routes.__file__).parent / "live").glob("*.[jc]s*"):
        text = file.read_text(encoding="utf-8")
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "http://",
            "https://",
        ):
            assert forbidden not in text, f"{file.name}: {forbidden}"


def test_the_base_path_is_part_of_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit

    monkeypatch.setattr(streamlit, "get_option", lambda name: "/lab/loom/" if name == "server.baseUrlPath" else None)
    assert routes.base_path() == "/lab/loom"
    assert routes.script_url().startswith("/lab/loom/bertloom/assets/")
    assert all(route.path.startswith("/lab/loom/bertloom/") for route in routes.routes())
