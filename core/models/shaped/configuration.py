"""The config of a shaped encoder, as transformers stores it."""

from __future__ import annotations

from typing import Any

from transformers import BertConfig

from core.config.shape import EncoderShape, LayerShape
from core.models.shaped.register import MODEL_TYPE

__all__ = ["ShapedBertConfig", "config_of"]


class ShapedBertConfig(BertConfig):
    """BERT's config, and the shape of every layer.

    ``hidden_size`` is the width of what comes out; ``num_attention_heads`` and ``intermediate_size`` are the largest
    of any layer.

    Parameters
    ----------
    mode, embedding_size, readout
        See :class:`core.config.shape.EncoderShape`.
    layer_shapes
        One mapping a layer: ``width``, ``heads``, ``intermediate``, ``head_size``.
    """

    model_type = MODEL_TYPE

    mode: str = "bus"
    embedding_size: int = 768
    readout: bool = False
    layer_shapes: list[dict[str, Any]] | None = None

    def shape(self, *, pooler: bool = True) -> EncoderShape:
        """Return the shape that this config describes.

        Raises
        ------
        pydantic.ValidationError
            If the config was changed into one that does not fit together.
        """
        return EncoderShape.model_validate(
            {
                "mode": self.mode, "layers": self.layer_shapes or [], "embedding": self.embedding_size,
                "readout": self.readout, "vocabulary": self.vocab_size, "positions": self.max_position_embeddings,
                "types": self.type_vocab_size, "pooler": pooler,
            }
        )  # fmt: skip

    def for_layer(self, layer: LayerShape) -> BertConfig:
        """Return the config of a stock layer of this width; heads of another size are put in afterwards."""
        return self._stock(
            hidden_size=layer.width,
            num_attention_heads=layer.heads if layer.attention == layer.width else 1,
            intermediate_size=layer.intermediate,
        )

    def for_embeddings(self) -> BertConfig:
        """Return the config of stock embeddings of this width."""
        return self._stock(hidden_size=self.embedding_size, num_attention_heads=1)

    def _stock(self, **changes: Any) -> BertConfig:
        common = {
            name: getattr(self, name)
            for name in (
                "vocab_size", "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob",
                "max_position_embeddings", "type_vocab_size", "initializer_range", "layer_norm_eps", "pad_token_id",
                "classifier_dropout", "chunk_size_feed_forward",
            )
        }  # fmt: skip
        stock = BertConfig(**{**common, **changes})
        stock._attn_implementation = self._attn_implementation
        return stock


def config_of(shape: EncoderShape, **others: Any) -> BertConfig:
    """Return the config of a shape: a stock ``BertConfig`` where the shape is plain.

    Parameters
    ----------
    shape
        The shape.
    **others
        Further fields of ``BertConfig`` (dropout, ``layer_norm_eps`` …).
    """
    common = {
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": shape.types,
        "hidden_size": shape.output,
        "num_hidden_layers": len(shape.layers),
        "num_attention_heads": max(layer.heads for layer in shape.layers),
        "intermediate_size": max(layer.intermediate for layer in shape.layers),
        **others,
    }
    if shape.plain:
        return BertConfig(**common)
    return ShapedBertConfig(
        **common,
        mode=shape.mode,
        embedding_size=shape.embedding,
        readout=shape.readout,
        layer_shapes=[layer.model_dump(exclude_none=True) for layer in shape.layers],
    )
