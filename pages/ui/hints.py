"""Tells the browser, with the page itself, which scripts the graph explorer will need: they come while it starts."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pages.ui.routes import asset_url, base_path

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Hints"]

_PATH = "/graph_explorer"
#: Modules of Streamlit's own that mount the picture and the page's style.
_LATE = ("BidiComponent", "Html")
_IMPORT = re.compile(r'(?:from|import)"\./([\w.-]+\.js)"')
_NAME = re.compile(r"static/js/([\w.-]+\.js)")
_MODULES = ("graph.js", "graph_chrome.js", "graph_paint.js", "look.js")


class Hints:
    """Add ``Link`` headers to the explorer's page. Without them everything works, a little later."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, with hints where the page is asked for."""
        if scope["type"] != "http" or not str(scope["path"]).rstrip("/").endswith(_PATH):
            await self._app(scope, receive, send)
            return

        async def hinting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200 and _is_page(message["headers"]):
                message = {**message, "headers": [*message["headers"], (b"link", _hints().encode())]}
            await send(message)

        await self._app(scope, receive, hinting)


def _is_page(headers: Any) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers)


def _hints() -> str:
    modules = [f"<{address}>; rel=modulepreload" for address in (*map(asset_url, _MODULES), *_component_modules())]
    scripts = [f"<{asset_url('vis-network.min.js')}>; rel=preload; as=script", *modules]
    return ", ".join(f"{script}; fetchpriority=low" for script in scripts)  # after what the page starts with


@lru_cache(maxsize=1)
def _component_modules() -> tuple[str, ...]:
    """Return the addresses of the modules that Streamlit mounts components with; it asks for them late.

    Their names hold a fingerprint. Where another version of Streamlit keeps them elsewhere there are none to name.
    """
    import streamlit as st

    folder = Path(st.__file__).parent / "static" / "static" / "js"
    start = folder.parents[1] / "index.html"
    known = set(_NAME.findall(start.read_text(encoding="utf-8"))) if start.is_file() else set()
    waiting = [file.name for name in _LATE for file in folder.glob(f"{name}.*.js")]
    found: list[str] = []
    while waiting:
        name = waiting.pop(0)
        if name not in known and (folder / name).is_file():
            known.add(name)
            found.append(name)
            waiting += _IMPORT.findall((folder / name).read_text(encoding="utf-8"))
    return tuple(f"{base_path()}/static/js/{name}" for name in found)
