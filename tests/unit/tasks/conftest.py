from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.models import load_tokenizer
from tests.tiny import tiny_encoder


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Give the tokenizer of a tiny encoder of a family."""
    folders: dict[str, Path] = {}

    def get(family: str = "bert") -> Any:
        if family not in folders:
            folders[family] = tiny_encoder(tmp_path_factory.mktemp("tokenizers") / family, family)
        return load_tokenizer(folders[family])

    return get
