"""Widths and heads of an encoder's layers, also where each layer has its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ModelError

__all__ = ["Sizes", "sizes_of", "stored_sizes"]


@dataclass(frozen=True)
class Sizes:
    """Sizes of an encoder.

    Parameters
    ----------
    hidden
        Width of what enters the first layer, then of what each layer gives.
    attention
        Width of queries, keys and values of each layer.
    heads
        Attention heads of each layer.
    """

    hidden: tuple[int, ...]
    attention: tuple[int, ...]
    heads: tuple[int, ...]

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.heads)


def sizes_of(config: Any, layers: int | None = None) -> Sizes:
    """Return the sizes that a config of transformers describes.

    Parameters
    ----------
    config
        Of a model that is loaded.
    layers
        Number of its layers; None: as the config says.
    """
    if getattr(config, "layer_shapes", None):
        shape = config.shape()
        widths = [shape.embedding if shape.mode == "bus" else layer.width for layer in shape.layers]
        return Sizes(
            (shape.embedding, *widths),
            tuple(layer.attention for layer in shape.layers),
            tuple(layer.heads for layer in shape.layers),
        )
    count, width = layers or int(config.num_hidden_layers), int(config.hidden_size)
    return Sizes((width,) * (count + 1), (width,) * count, (int(config.num_attention_heads),) * count)


def stored_sizes(folder: Path) -> Sizes:
    """Return the sizes of an encoder in a folder, without reading a weight.

    Raises
    ------
    ModelError
        If transformers does not know it.
    """
    from transformers import AutoConfig

    from core.models.shaped.register import know
    from core.models.sources import read_config

    know(read_config(folder))
    try:
        return sizes_of(AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True))
    except Exception as error:
        raise ModelError(
            f"transformers does not know this model: {str(error).splitlines()[0][:300] if str(error) else error!r}",
            where=str(folder / "config.json"), expected="an encoder that transformers has built in",
        ) from error  # fmt: skip
