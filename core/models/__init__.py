"""Encoders: finding and vetting model folders, loading with a head, prediction, saving and export.

Importing this package imports neither torch nor transformers; the modules behind the names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.models.export import export_model
    from core.models.folders import Finished, load_finished, save_model
    from core.models.info import ModelInfo, describe
    from core.models.layers import Structure, reinit_top, structure
    from core.models.loading import build_model, load_tokenizer
    from core.models.prediction import predict
    from core.models.sources import ResolvedModel, resolve

__all__ = [
    "Finished",
    "ModelInfo",
    "ResolvedModel",
    "Structure",
    "build_model",
    "describe",
    "export_model",
    "load_finished",
    "load_tokenizer",
    "predict",
    "reinit_top",
    "resolve",
    "save_model",
    "structure",
]

_HOMES = {
    "Finished": "folders",
    "ModelInfo": "info",
    "ResolvedModel": "sources",
    "Structure": "layers",
    "build_model": "loading",
    "describe": "info",
    "export_model": "export",
    "load_finished": "folders",
    "load_tokenizer": "loading",
    "predict": "prediction",
    "reinit_top": "layers",
    "resolve": "sources",
    "save_model": "folders",
    "structure": "layers",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"core.models.{home}"), name)
