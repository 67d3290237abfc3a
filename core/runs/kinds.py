"""Kinds of runs: one line each, a name and the function that does the work.

The function is called with the plan, a :class:`~core.training.context.RunContext` and ``resume=True``, and returns an
:class:`~core.training.context.Outcome`. It is named by path so that nobody but the worker imports it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from core.errors import RunError

__all__ = ["KINDS", "known", "resolve"]

KINDS: dict[str, str] = {
    "train": "core.training:train",
    "graph": "core.graph.run:run",
    "probe": "core.graph.probe.run:run",
    "link": "core.graph.link.run:run",
    "claim": "core.studies.run:run",
    "compare": "core.studies.comparing.run:run",
    "stats": "core.search.statistics_run:run",
    "distil": "core.search.distil_run:run",
    "structure": "core.search.structure.run:run",
    "joint": "core.training.joint:train",
}

#: ``name=module:function`` pairs for the project's own tests; modules outside of ``tests`` are not taken.
_TEST_KINDS = "BERTLOOM_TEST_KINDS"


def known() -> dict[str, str]:
    """Return function paths by kind."""
    found = dict(KINDS)
    for item in filter(None, os.environ.get(_TEST_KINDS, "").split(",")):
        name, _, path = item.partition("=")
        if path.startswith("tests.") and name not in KINDS:
            found[name] = path
    return found


def resolve(kind: str) -> Callable[..., Any]:
    """Import the function of a kind.

    Raises
    ------
    RunError
        If there is no such kind.
    """
    paths = known()
    if kind not in paths:
        raise RunError(f"There is no kind of run {kind!r}.", expected=", ".join(sorted(paths)))
    module, _, function = paths[kind].partition(":")
    return getattr(importlib.import_module(module), function)
