"""Read-only routes beside Streamlit's own: what the live plot pulls, and the scripts that draw it.

GET only, same origin only, no CORS headers. Endpoints are plain functions, so the server calls them in its thread
pool and a slow disk never blocks the event loop.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BertloomError, RunNotFound
from core.runs.records import EventRecord, RunRecord
from pages.ui import tokens, told
from pages.ui.security import origin_allowed
from pages.ui.studio import studio

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

__all__ = [
    "MAX_EVENTS",
    "MAX_POINTS",
    "asset_url",
    "base_path",
    "routes",
    "script_url",
    "series_payload",
    "watched_payload",
]

#: Most points of one series in an answer, and most events.
MAX_POINTS = 1000
MAX_EVENTS = 500

#: What the live plot needs to know of an event beside its words, by kind.
_TOLD = {
    "decision": ("rule", "action", "stage", "attempt"), "stage": ("name", "attempt", "index"),
    "info": ("teacher", "metric", "value", "majority"),
}  # fmt: skip
_SCRIPTS = tuple(Path(__file__).parent / name for name in ("live", "graph", "planner"))
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


def base_path() -> str:
    """Return ``server.baseUrlPath`` as a prefix: empty, or with a leading and without a trailing slash."""
    import streamlit as st

    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def routes() -> list[Route]:
    """Return the routes to mount in `app.py`."""
    from starlette.routing import Route

    base = base_path()
    return [
        Route(f"{base}/bertloom/series/{{run}}", _series, methods=["GET"]),
        Route(f"{base}/bertloom/watched/{{run}}", _watched, methods=["GET"]),
        Route(f"{base}/bertloom/assets/{{version}}/{{name}}", _asset, methods=["GET"]),
        told.route(base),
    ]


def asset_url(name: str) -> str:
    """Return the address of a script: ``plotly.min.js``, ``vis-network.min.js``, or a module of ours."""
    return f"{base_path()}/bertloom/assets/{_version()}/{name}"


def script_url() -> str:
    """Return the address of the live plot's entry module."""
    return asset_url("live.js")


# -- data ------------------------------------------------------------------------------------------------------------
def _series(request: Request) -> Response:
    """Answer one pull of the live plot."""
    return _answer(request, ("after", "events"), series_payload)


def _watched(request: Request) -> Response:
    """Answer one pull of the strips of pinned sentences."""
    name, task = request.query_params.get("name", "")[:40], request.query_params.get("task", "")[:40]
    return _answer(request, ("after",), lambda run_id, after: watched_payload(run_id, after, name, task))


def _answer(request: Request, cursors: Sequence[str], payload: Callable[..., dict[str, Any]]) -> Response:
    """Answer a pull of a page of this server that has a ticket for the run: `payload` of run and cursors."""
    from starlette.responses import JSONResponse

    def refuse(status: int, what: str) -> Response:
        return JSONResponse({"error": what}, status_code=status, headers=_NO_STORE)

    if not origin_allowed(request.headers.get("origin"), request.headers.get("host")):
        return refuse(403, "This data is for pages of this server only.")
    run_id = request.path_params["run"]
    if not _RUN_ID.fullmatch(run_id):
        return refuse(404, "No run has this id.")
    try:
        places = [_cursor(request.query_params.get(one)) for one in cursors]
    except ValueError:
        return refuse(400, "A cursor is a whole number from 0.")
    try:
        current = studio()
        ticket = tokens.read(current.home, request.query_params.get("token", ""))
        if ticket is None or ticket.run_id != run_id:
            return refuse(401, "The page's ticket has expired.")
        found = payload(run_id, *places)
        found["token"] = tokens.renewed(current.home, ticket)
    except RunNotFound as error:
        return refuse(404, error.message())
    except BertloomError as error:
        return refuse(503, error.message())
    return JSONResponse(found, headers=_NO_STORE)


def _cursor(text: str | None) -> int:
    value = int(text or "0")
    if not 0 <= value < 2**63:
        raise ValueError(text)
    return value


def series_payload(run_id: str, after: int = 0, after_event: int = 0) -> dict[str, Any]:
    """Return what the live plot needs to go on from its cursors.

    Returns
    -------
    dict
        ``run``, ``cursor``, ``reduced``, ``series`` {name: {steps, values, times}} with at most :data:`MAX_POINTS`
        points each, ``events``, ``event_cursor``, ``status``, ``active``, ``progress``, ``metrics``, ``now``.

    Raises
    ------
    RunNotFound
        If there is no such run.
    """
    desk = studio().runs
    run = desk.get(run_id)
    batch = desk.series(run_id, after=after, max_points=MAX_POINTS)
    events = desk.events(run_id, after=after_event)[-MAX_EVENTS:]
    return {
        "run": run.id,
        "cursor": batch.cursor,
        "reduced": batch.reduced,
        "series": batch.series,
        "events": [_event(event) for event in events],
        "event_cursor": max([after_event, *(event.seq for event in events)]),
        "now": time.time(),
        **_state(run),
    }


def watched_payload(run_id: str, after: int = 0, name: str = "", task: str = "") -> dict[str, Any]:
    """Return what the strips of pinned sentences need to go on from a place in the run's diary.

    Parameters
    ----------
    run_id
        The run.
    after, name
        See :func:`core.training.diary.read_diary`.
    task
        Of a joint run the task whose diary it is.

    Returns
    -------
    dict
        ``run``, what :func:`core.training.diary.read_diary` returns with the ``entries`` that tell of pins,
        ``status``, ``active``.

    Raises
    ------
    RunNotFound
        If there is no such run.
    """
    desk = studio().runs
    run = desk.get(run_id)
    found = desk.watched(f"{run_id}/{task}" if task else run_id, after, name)
    entries = [entry for entry in found["entries"] if "pin" in entry]
    return {"run": run.id, **found, "entries": entries, "status": str(run.status), "active": run.status.active}


def _event(event: EventRecord) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "time": event.time,
        "step": event.step,
        "kind": event.kind,
        "message": event.message[:500],
        **{name: event.data[name] for name in _TOLD.get(event.kind, ()) if name in event.data},
    }


def _state(run: RunRecord) -> dict[str, Any]:
    shown = ("phase", "step", "total_steps", "epoch", "eta_s", "examples_per_s", "best")
    return {
        "status": str(run.status),
        "active": run.status.active,
        "progress": {name: run.progress[name] for name in shown if name in run.progress},
        "metrics": run.metrics,
    }


# -- scripts ---------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=1)
def _files() -> dict[str, Path]:
    """Return the scripts that may be served, by name."""
    libraries = {
        "plotly.min.js": _package("plotly") / "package_data" / "plotly.min.js",
        "vis-network.min.js": _package("pyvis") / "templates" / "lib" / "vis-9.1.2" / "vis-network.min.js",
    }
    return {**libraries, **{file.name: file for file in _own_scripts()}}


def _own_scripts() -> list[Path]:
    return [file for folder in _SCRIPTS for file in sorted(folder.glob("*.js"))]


def _package(name: str) -> Path:
    """Return a package's folder without importing it: plotly costs half a second."""
    from importlib.util import find_spec

    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"{name} is not installed")
    return Path(spec.submodule_search_locations[0])


@lru_cache(maxsize=1)
def _version() -> str:
    """Return a name for this state of the scripts, so that browsers may keep them for ever."""
    from importlib.metadata import version

    digest = hashlib.sha256(f"{version('plotly')} {version('pyvis')}".encode())
    for file in _own_scripts():
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@lru_cache(maxsize=16)
def _packed(name: str) -> bytes:
    return gzip.compress(_files()[name].read_bytes(), 6)


def _asset(request: Request) -> Response:
    """Answer with one of the scripts, compressed once and kept."""
    from starlette.responses import FileResponse, PlainTextResponse, Response

    name = request.path_params["name"]
    file = _files().get(name)
    if file is None or request.path_params["version"] != _version():
        # An old tab after an update asks for a version that is gone: it must reload the page, not get other code.
        return PlainTextResponse("Not found", status_code=404, headers=_NO_STORE)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return FileResponse(file, media_type="text/javascript", headers=_FOREVER)
    headers = {**_FOREVER, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(_packed(name), media_type="text/javascript", headers=headers)
