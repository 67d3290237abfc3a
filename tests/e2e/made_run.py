"""A run that has really learnt, made by the test's own process: it has torch already, a worker would load it again."""

from __future__ import annotations

from typing import Any

from core.api import Studio
from core.runs.execute import execute
from core.runs.records import Status
from core.runs.store import Store
from core.settings import Home

__all__ = ["finished"]


def finished(home: Home, config: Any, kind: str = "train") -> str:
    """Execute a run in a home that no server manages yet, and return its id.

    Parameters
    ----------
    home
        The home folder.
    config
        Its config.
    kind
        Its kind.
    """
    manager = "test-made"
    with Studio(home, watch=False) as studio:
        run_id = studio.runs.submit(config, kind=kind, now=True)
    store = Store(home)
    try:
        store.claims.beat(manager)
        claim = store.claims.claim(manager)
        assert claim is not None
        assert claim.id == run_id
        status = execute(store, run_id, claim.token)
        assert status is Status.FINISHED, store.runs.get(run_id).error
        store.claims.leave(manager)
    finally:
        store.close()
    return run_id
