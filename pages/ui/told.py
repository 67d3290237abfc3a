"""A browser tells the server that it has drawn something that the rest of a page waits for.

A page's script cannot hear its components while it runs: their words begin another run. So the script names an address
that only this visit knows, and waits until the browser asks for it.
"""

from __future__ import annotations

import secrets
import threading
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

__all__ = ["Awaited", "listen", "route"]

#: Whoever was interrupted before he waited leaves his event behind; more than so many nobody waits for.
_MOST = 200
_WAITING: dict[str, threading.Event] = {}
_LOCK = threading.Lock()
_listening = threading.Event()


class Awaited:
    """Something that a browser will tell, under an address that cannot be guessed.

    Parameters
    ----------
    heard
        Whether anything is waited for at all.

    Attributes
    ----------
    address
        What the browser has to ask for; empty where no server would hear it, as in a test of a page alone.
    """

    def __init__(self, *, heard: bool = True) -> None:
        self._name = secrets.token_urlsafe(16)
        self._event = threading.Event()
        self.address = ""
        if heard and _listening.is_set():
            from pages.ui.routes import base_path

            self.address = f"{base_path()}/bertloom/told/{self._name}"
            with _LOCK:
                _WAITING[self._name] = self._event
                for name in list(islice(_WAITING, max(0, len(_WAITING) - _MOST))):
                    del _WAITING[name]

    def wait(self, seconds: float) -> bool:
        """Wait until it was told, or so long at most; afterwards nobody listens any more."""
        if not self.address:
            return False
        try:
            return self._event.wait(seconds)
        finally:
            with _LOCK:
                _WAITING.pop(self._name, None)


def listen(serving: bool = True) -> None:
    """Note that there is a server now, or none any more."""
    (_listening.set if serving else _listening.clear)()


def route(base: str) -> Route:
    """Return the route to mount below a prefix."""
    from starlette.routing import Route

    return Route(f"{base}/bertloom/told/{{name}}", _tell, methods=["GET"])


def _tell(request: Request) -> Response:
    from starlette.responses import Response

    with _LOCK:
        event = _WAITING.get(request.path_params["name"])
    if event is not None:
        event.set()
    return Response(status_code=204, headers={"Cache-Control": "no-store"})
