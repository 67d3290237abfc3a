"""Who may reach the dashboard: loopback only, unless sign-in is configured."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "DoorKeeper",
    "check_binding",
    "exit_unless_safe",
    "host_allowed",
    "is_loopback",
    "origin_allowed",
    "sign_in_configured",
]


def is_loopback(address: str | None) -> bool:
    """Return whether a server bound to `address` can be reached from this machine only.

    An empty address means every interface; a name other than ``localhost`` is not trusted; a Unix socket is local.
    """
    if not address:
        return False
    name = address.strip().strip("[]").lower()
    if name == "localhost" or name.startswith("unix://"):
        return True
    try:
        parsed = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def check_binding(address: str | None, secrets_configured: bool) -> None:
    """Refuse an address that other machines can reach, unless people must sign in.

    Parameters
    ----------
    address
        What the server binds to; ``None`` or empty means every interface.
    secrets_configured
        Whether ``st.login`` is configured, see :func:`sign_in_configured`.

    Raises
    ------
    ConfigError
        With the reason and what to do.
    """
    if is_loopback(address) or secrets_configured:
        return
    raise ConfigError(
        "Bertloom does not listen beyond this machine without sign-in: anybody who reaches the port could start runs, "
        "read the data and write files as you.",
        where=f"server address {address or '(every interface)'}",
        expected="127.0.0.1, ::1 or localhost",
        advice="Leave the address at 127.0.0.1 and use an SSH tunnel (ssh -L 8501:127.0.0.1:8501 HOST), or configure "
        "sign-in in .streamlit/secrets.toml ([auth], see docs/dashboard.md).",
    )


def sign_in_configured() -> bool:
    """Return whether ``st.login`` has a provider in Streamlit's secrets."""
    import streamlit as st

    try:
        if not st.secrets.load_if_toml_exists():
            return False
        auth = st.secrets.get("auth")
    except Exception:  # unreadable secrets are no sign-in
        return False
    if not auth:
        return False
    needed = ("client_id", "server_metadata_url")
    sections = [auth, *(value for value in auth.values() if hasattr(value, "get"))]
    return bool(auth.get("redirect_uri") and auth.get("cookie_secret")) and any(
        all(section.get(name) for name in needed) for section in sections
    )


def exit_unless_safe() -> None:
    """End the process with the reason if the configured address is refused. Called when the server loads `app.py`."""
    import streamlit as st

    try:
        check_binding(st.get_option("server.address"), sign_in_configured())
    except ConfigError as error:
        print(f"error: {error.message()}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None


def host_allowed(host: str | None, allowed: Iterable[str]) -> bool:
    """Return whether a request's Host header names one of the allowed hosts (``*.example.com`` and ``*`` are
    understood).

    A web page elsewhere can point its own name at 127.0.0.1; the browser then sends that name here.
    """
    names = [name.strip().lower().rstrip(".") for name in allowed if name.strip()]
    if not names or "*" in names:
        return True
    try:
        parsed = urlsplit(f"//{host or ''}")
        given = (parsed.hostname or "").rstrip(".")
        parsed.port  # noqa: B018 - raises for a port that is no number
    except ValueError:
        return False
    if not given or parsed.path or parsed.query or parsed.fragment or parsed.username is not None:
        return False
    return any(given == name or (name.startswith("*.") and given.endswith(name[1:])) for name in names)


def origin_allowed(origin: str | None, host: str | None) -> bool:
    """Return whether a request comes from a page of this server: no Origin header, or the same host and port."""
    return origin is None or urlsplit(origin).netloc.lower() == (host or "").lower() != ""


class DoorKeeper:
    """Middleware that answers 403 to requests for another host, and to other machines when nobody has to sign in.

    The start-up check sees Streamlit's own setting only; another server program may bind the same app elsewhere. Here
    the address at which the connection arrived counts.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or refuse it."""
        reason = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if reason is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            from starlette.responses import PlainTextResponse

            await PlainTextResponse(reason, status_code=403)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        import streamlit as st

        headers = dict(scope.get("headers") or [])
        host = headers.get(b"host", b"").decode("latin-1")
        if not host_allowed(host, st.get_option("server.allowedHosts") or ()):
            return "This host name is not in server.allowedHosts (.streamlit/config.toml)."
        arrived = (scope.get("server") or (None,))[0]
        # A Unix socket has no address; in tests there is a name instead of one.
        if arrived and _is_address(arrived) and not is_loopback(arrived) and not sign_in_configured():
            return "Bertloom does not serve other machines without sign-in."
        return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
