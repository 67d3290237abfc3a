"""Tells a page's browser where the server is, so that it need not find out.

Streamlit's script does not know whether ``/run`` is a page or a folder that an app is served below: it asks for
``/run/_stcore/health`` first, is answered 404, waits a tenth of a second, and tries again one level up.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pages.ui.routes import base_path

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Foundation"]

_HEAD = b"<head>"
#: Of a request: what would bring the page packed, or none because it is known already. Of an answer: what names it.
_ASKED = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
_NAMED = (b"content-length", b"etag", b"last-modified", b"accept-ranges")


class Foundation:
    """Add the server's address to a page that a person opens. Without it everything works, a little later."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does."""
        base = base_path()
        if not _is_visit(scope) or str(scope["path"]).rstrip("/") == base:
            await self._app(scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if pair[0].lower() not in _ASKED]
        begun: list[Message] = []
        parts: list[bytes] = []

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                begun.append(message)
                return
            if not begun or message["type"] != "http.response.body":
                await send(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(parts).replace(_HEAD, _HEAD + _script(str(scope["path"]), base), 1)
            kept = [pair for pair in begun[0]["headers"] if pair[0].lower() not in _NAMED]
            await send({**begun[0], "headers": [*kept, (b"content-length", str(len(body)).encode())]})
            await send({"type": "http.response.body", "body": body})

        await self._app({**scope, "headers": headers}, receive, telling)


def _is_visit(scope: Scope) -> bool:
    return (
        scope["type"] == "http" and scope["method"] == "GET" and (b"sec-fetch-dest", b"document") in scope["headers"]
    )  # fmt: skip


def _is_page(message: Message) -> bool:
    headers: dict[bytes, Any] = {name.lower(): value for name, value in message["headers"]}
    packed = headers.get(b"content-encoding", b"identity") != b"identity"
    return message["status"] == 200 and headers.get(b"content-type", b"").startswith(b"text/html") and not packed


def _script(path: str, base: str) -> bytes:
    """Return a script that does nothing where a proxy shows the page under another path than the server knows."""
    shown = json.dumps(path).replace("<", "\\u003c")
    return (
        f"<script>try{{if(decodeURI(location.pathname)==={shown})"
        f"window.__streamlit={{BACKEND_BASE_URL:location.origin+{json.dumps(base + '/')}}}}}catch{{}}</script>"
    ).encode()
