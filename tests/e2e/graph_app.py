"""The dashboard on a graph desk in memory, for tests of the explorer's picture: ``streamlit run`` on this file."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pages.ui.lifecycle import start, stop  # noqa: E402
from pages.ui.routes import routes  # noqa: E402
from pages.ui.studio import studio  # noqa: E402
from tests.pages.fake_graphs import FakeGraphs, small_graph  # noqa: E402

#: Words that are HTML, script, right-to-left, emoji, punctuation, and long.
HOSTILE = [
    "<img src=x onerror=document.title='owned'> sees the cat",
    "the </script><script>document.title='owned'</script> queen",
    f"the שלום 🦊 ... {'w' * 5000} cat",
]


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """Put the desk in once the studio is open."""
    await start()
    kind = os.environ.get("BERTLOOM_TEST_GRAPHS", "ready")
    desk = FakeGraphs(small_graph(HOSTILE if kind == "hostile" else None), ready=kind != "empty")
    desk.seconds = 2.0
    studio().graphs = desk  # type: ignore[assignment]
    try:
        yield
    finally:
        await stop()


app = st.App(str(ROOT / "pages" / "ui" / "router.py"), routes=routes(), lifespan=lifespan)
