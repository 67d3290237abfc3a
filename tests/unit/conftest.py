"""What tests of several folders need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.fixture
def parts_by_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have parts of speech without a tagger, for tests that are not about it."""
    from core.data.parts import Parts

    def found(rows: Any, *_: Any, **__: Any) -> Parts:
        codes = [len(one) % 3 for words in rows[:]["tokens"] for one in words]
        return Parts(np.asarray(codes, dtype=np.int8), "gold", "their length")

    monkeypatch.setattr("core.training.distil.gaps.parts_of", found)
