"""The dashboard's server: ``streamlit run app.py`` (or ``bertloom ui``). Pages live in `pages/`, logic in `core/`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from starlette.middleware import Middleware

from pages.ui.foundation import Foundation
from pages.ui.hints import Hints
from pages.ui.lifecycle import start, stop
from pages.ui.routes import routes
from pages.ui.security import DoorKeeper, exit_unless_safe

exit_unless_safe()


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """Watch runs from the server's start to its stop."""
    await start()
    try:
        yield
    finally:
        await stop()


app = st.App(
    "pages/ui/router.py", routes=routes(), lifespan=lifespan,
    middleware=[Middleware(DoorKeeper), Middleware(Hints), Middleware(Foundation)],
)  # fmt: skip
