"""What happens when the dashboard's server starts and stops."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading

from core.errors import BertloomError
from pages.ui import studio, told

__all__ = ["start", "stop"]

_SECONDS_TO_STOP = 5.0
#: What pages import, the heaviest last.
_WARM = (
    "pages.ui.run_head",
    "pages.ui.run_tabs",
    "pages.ui.run_findings",
    "pages.ui.claims_view",
    "pages.ui.claims_shelf",
    "pages.ui.live",
    "pages.ui.runs_list",
    "pages.ui.runs_live",
    "pages.ui.compare_view",
    "pages.ui.planner_side",
    "pages.ui.planner_stage_list",
    "pages.ui.planner_check",
    "pages.ui.planner_data",
    "pages.ui.planner_presets",
)


async def start() -> None:
    """Open the Studio with its background threads.

    A home that cannot be written does not keep the server from starting: the pages then show the reason.
    """
    try:
        await asyncio.to_thread(studio.open_studio, watch=True)
    except BertloomError as error:
        print(f"error: {error.message()}", file=sys.stderr, flush=True)
    told.listen()
    threading.Thread(target=_warm, name="bertloom-warm", daemon=True).start()


def _warm() -> None:
    """Import what the pages need, so that the first visit finds it."""
    for name in _WARM:
        importlib.import_module(name)


async def stop() -> None:
    """Close the Studio: workers go on and are found again, runs in threads write a checkpoint."""
    told.listen(False)
    await asyncio.to_thread(studio.close, _SECONDS_TO_STOP)
