"""What holds for every test, in whichever process it runs."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

# Processes that run tests side by side are given the size of a terminal; tests of output choose their own.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

#: Files that take longest, though some have few tests; they start processes and train. Begun last, one would keep a
#: single process busy at the end.
LONGEST = (
    "test_runs_end_to_end", "test_exact_resume", "test_runs", "test_faults", "test_structure_killed",
    "test_search_killed", "test_stages_bundled", "test_exact_distil", "test_onnx", "test_stages", "test_search_stage",
    "test_train", "test_graphs", "test_api", "test_model_desk", "test_end_to_end",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


def pytest_collection_finish() -> None:
    """Leave what was imported out of what the collector goes through again and again: it stays until the end."""
    gc.collect()
    gc.freeze()
