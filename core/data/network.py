"""One short question before a hub is used: the hub's own client waits for minutes where a network is broken."""

from __future__ import annotations

import os

__all__ = ["reach_hub"]

_PROBE_S = 5.0


def reach_hub() -> None:
    """Ask the hub for a sign of life, by the proxy that the environment names if there is one.

    Any answer will do, an error page too.

    Raises
    ------
    OSError
        If there is none within seconds, or the environment forbids to ask (``HF_HUB_OFFLINE``).
    """
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        raise ConnectionError("HF_HUB_OFFLINE is set")
    import requests

    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        requests.head(endpoint, timeout=_PROBE_S, allow_redirects=False).close()
    except requests.Timeout as error:
        raise TimeoutError(f"{endpoint} did not answer within {_PROBE_S:.0f} seconds") from error
    except requests.RequestException as error:
        raise ConnectionError(f"{endpoint} cannot be reached: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return the operating system's words, which stand at the bottom of a pile of wrapped errors."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        inner = getattr(found, "reason", None) or (found.args[0] if found.args else None)
        found = inner if isinstance(inner, BaseException) else found.__cause__ or found.__context__
    return str(error)[:200]
