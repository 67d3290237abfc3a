"""The shape of an encoder whose layers may differ in width, heads and FFN units. Plain data without torch.

Two modes. ``bus``: a residual stream of one width; a layer of another width reads from it and writes into it through
linear maps (Tang et al. 2021, SuperShaper). ``stepped``: the stream itself changes its width between layers through a
linear map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from core.config.base import Config

__all__ = ["EncoderShape", "LayerShape"]

#: Encoders of more layers do not occur; a typing error does.
MOST_LAYERS = 96
_WIDEST = 16_384


class LayerShape(Config):
    """One layer."""

    width: int = Field(768, ge=1, le=_WIDEST, description="Hidden size of the layer.")
    heads: int = Field(12, ge=1, le=1024, description="Attention heads.")
    intermediate: int = Field(3072, ge=1, le=16 * _WIDEST, description="FFN units.")
    head_size: int | None = Field(
        None, ge=1, le=_WIDEST,
        description="Width of a head. Empty: width by heads. Pruned layers have fewer heads of the old size.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _divides(self) -> LayerShape:
        if self.head_size is None and self.width % self.heads:
            near = [heads for heads in range(1, self.width + 1) if self.width % heads == 0]
            best = sorted(near, key=lambda heads: abs(heads - self.heads))[:3]
            raise ValueError(
                f"heads {self.heads} do not divide the width {self.width}; "
                f"use {', '.join(map(str, sorted(best)))} heads, or give head_size"
            )
        return self

    @property
    def size_of_head(self) -> int:
        """Width of one head."""
        return self.head_size or self.width // self.heads

    @property
    def attention(self) -> int:
        """Width of all heads together."""
        return self.heads * self.size_of_head


class EncoderShape(Config):
    """A whole encoder."""

    mode: Literal["bus", "stepped"] = Field(
        "bus", description="bus: one residual stream, layers read and write it. stepped: the stream changes its width."
    )
    layers: list[LayerShape] = Field(min_length=1, max_length=MOST_LAYERS, description="Layers, lowest first.")
    embedding: int = Field(768, ge=1, le=_WIDEST, description="Width of the embeddings; with bus also of the stream.")
    readout: bool = Field(
        False, description="bus only: a map of the stream's full width after the last layer, with a LayerNorm."
    )
    vocabulary: int = Field(30522, ge=1, description="Pieces of the tokenizer.")
    positions: int = Field(512, ge=2, description="Longest input in sub-words.")
    types: int = Field(2, ge=1, description="Segment types of a pair of texts.")
    pooler: bool = Field(True, description="A pooler on top, as BERT's heads for texts read it.")

    @model_validator(mode="after")
    def _consistent(self) -> EncoderShape:
        if self.readout and self.mode == "stepped":
            raise ValueError("readout belongs to mode bus; in mode stepped the last layer's width is the output's")
        return self

    @property
    def output(self) -> int:
        """Width of the hidden states that come out."""
        return self.embedding if self.mode == "bus" else self.layers[-1].width

    @property
    def plain(self) -> bool:
        """Whether it is a stock BERT: every layer as wide as the stream, and all of one shape."""
        first = self.layers[0]
        return (
            not self.readout
            and all(layer.width == self.embedding == layer.attention for layer in self.layers)
            and all((layer.heads, layer.intermediate) == (first.heads, first.intermediate) for layer in self.layers[1:])
        )

    @classmethod
    def of_widths(
        cls,
        widths: Sequence[int],
        *,
        mode: Literal["bus", "stepped"] = "bus",
        head_size: int = 64,
        ratio: float = 4.0,
        **others: Any,
    ) -> EncoderShape:
        """Return the shape with these widths, heads of one size and FFN units in one ratio to the width.

        Parameters
        ----------
        widths
            Hidden size of each layer, lowest first.
        mode
            ``bus`` or ``stepped``.
        head_size
            Width of a head; where it does not divide a width, the nearest divisor of the width is taken.
        ratio
            FFN units by width.
        **others
            Further fields. ``embedding`` is the widest width by default, with ``stepped`` the first.

        Raises
        ------
        pydantic.ValidationError
            If the fields do not fit together.
        """
        layers = []
        for width in widths:
            divisors = [size for size in range(1, width + 1) if width % size == 0]
            size = min(divisors, key=lambda one: (abs(one - head_size), one)) if divisors else 1
            layers.append(
                {"width": width, "heads": max(1, width // size), "intermediate": max(1, round(ratio * width))}
            )
        default = (max(widths) if mode == "bus" else widths[0]) if widths else 1
        return cls.model_validate({"mode": mode, "layers": layers, "embedding": default, **others})
