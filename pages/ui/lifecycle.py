"""What happens when the dashboard's server starts and stops."""

from __future__ import annotations

import asyncio
import sys

from core.errors import BertloomError
from pages.ui import studio

__all__ = ["start", "stop"]

_SECONDS_TO_STOP = 5.0


async def start() -> None:
    """Open the Studio with its background threads.

    A home that cannot be written does not keep the server from starting: the pages then show the reason.
    """
    try:
        await asyncio.to_thread(studio.open_studio, watch=True)
    except BertloomError as error:
        print(f"error: {error.message()}", file=sys.stderr, flush=True)


async def stop() -> None:
    """Close the Studio: workers go on and are found again, runs in threads write a checkpoint."""
    await asyncio.to_thread(studio.close, _SECONDS_TO_STOP)
