"""Tells the browser, with the page itself, which scripts the graph explorer will need: they come while it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pages.ui.routes import asset_url

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Hints"]

_PATH = "/graph_explorer"
_MODULES = ("graph.js", "graph_chrome.js", "graph_paint.js", "look.js", "view.js")


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
    modules = [f"<{asset_url(name)}>; rel=modulepreload" for name in _MODULES]
    return ", ".join([f"<{asset_url('vis-network.min.js')}>; rel=preload; as=script", *modules])
