"""A folder's model by torch, with its trained head where it has one. Loads torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel

from core.errors import ModelError
from core.models.folders import load_finished
from core.models.loading import quiet
from core.models.shaped.register import know
from core.models.sources import read_config

__all__ = ["load_any"]


def load_any(folder: Path) -> tuple[Any, bool]:
    """Return the model with its trained head and True, or the encoder and False where it has none.

    Raises
    ------
    ModelError
        If it cannot be loaded.
    """
    try:
        return load_finished(folder).model.eval(), True
    except ModelError as error:
        if "no trained head" not in error.what:
            raise
    know(read_config(folder))
    try:
        with quiet():
            model = AutoModel.from_pretrained(
                str(folder), trust_remote_code=False, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
    except Exception as error:
        raise ModelError(
            f"The encoder cannot be loaded: {(str(error).splitlines() or [''])[0][:300]}", where=str(folder),
            expected="an encoder that transformers has built in",
        ) from error  # fmt: skip
    return model.eval(), False
