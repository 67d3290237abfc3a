"""The one Studio of this dashboard process.

It lives outside of Streamlit's reach: a rerun, a hot reload or a cleared cache must not make a second manager that
serves the same run. `app.py` opens it with its background threads when the server starts and closes it when the
server stops; pages and routes only ask for it.
"""

from __future__ import annotations

import os
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

from core.settings import home

if TYPE_CHECKING:
    from core.api import Studio

__all__ = ["close", "open_studio", "studio"]

_ANCHOR = "_bertloom_dashboard"


def _state() -> Any:
    """Return a place that no reload replaces: a module of our own that exists in ``sys.modules`` only."""
    fresh = ModuleType(_ANCHOR)
    fresh.lock = threading.RLock()  # type: ignore[attr-defined]
    fresh.studio = None  # type: ignore[attr-defined]
    return sys.modules.setdefault(_ANCHOR, fresh)


def open_studio(*, watch: bool = True) -> Studio:
    """Open the process's Studio on the current home, or return the one that is open on it.

    Parameters
    ----------
    watch
        Start the manager's background threads, which run what is queued.

    Raises
    ------
    StorageError
        If the home folder cannot be written.
    """
    state = _state()
    with state.lock:
        where = home()
        if state.studio is not None and state.studio.home.root != where.root:
            close()
        if state.studio is None:
            from core.api import Studio

            # Without a warm worker the next run starts some seconds later and the dashboard needs less memory.
            state.studio = Studio(where, watch=watch, warm=os.environ.get("BERTLOOM_WARM", "1") != "0")
        return state.studio


def studio() -> Studio:
    """Return the process's Studio.

    Without `app.py` (a page under test) it is opened without background threads: it reads and queues, but runs nothing.
    """
    current = _state().studio
    if current is not None and current.home.root == home().root:
        return current
    return open_studio(watch=False)


def close(timeout: float = 5.0) -> None:
    """Close the process's Studio, if one is open, within `timeout` seconds."""
    state = _state()
    with state.lock:
        current, state.studio = state.studio, None
    if current is not None:
        current.close(timeout)
