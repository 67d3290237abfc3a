"""Shaped encoders as transformers models: stock BERT layers of differing size around one residual stream.

A layer's parameters have the names that they have in BERT, so that a shape whose layers are as wide as the stream has
BERT's state dictionary.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn
from transformers import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    BertPreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.models.bert.modeling_bert import (
    BertEmbeddings,
    BertLayer,
    BertOnlyMLMHead,
    BertPooler,
    BertSelfAttention,
)

from core.config.shape import LayerShape
from core.models.shaped.configuration import ShapedBertConfig

__all__ = [
    "ShapedBertForMaskedLM",
    "ShapedBertForMultipleChoice",
    "ShapedBertForQuestionAnswering",
    "ShapedBertForSequenceClassification",
    "ShapedBertForTokenClassification",
    "ShapedBertModel",
    "ShapedLayer",
]


class ShapedLayer(BertLayer):
    """A BERT layer of its own width on a stream of another.

    ``bus``: x + W_out(layer(W_in x) − W_in x). ``stepped``: layer(R x). Where the widths agree there are no maps.

    Parameters
    ----------
    config
        The encoder's config.
    shape
        The layer's shape.
    before
        Width of the stream that comes in.
    index
        Number of the layer.
    """

    def __init__(self, config: ShapedBertConfig, shape: LayerShape, before: int, index: int):
        super().__init__(config.for_layer(shape), layer_idx=index)
        if shape.attention != shape.width:
            self._resize(shape)
        same = shape.width == before
        self.stream_in: nn.Linear | None = None if same else nn.Linear(before, shape.width)
        self.stream_out: nn.Linear | None = None
        if not same and config.mode == "bus":
            self.stream_out = nn.Linear(shape.width, before)

    def _resize(self, shape: LayerShape) -> None:
        """Give the attention heads of another number or size than width by heads."""
        own: Any = self.attention.self
        own.num_attention_heads, own.attention_head_size = shape.heads, shape.size_of_head
        own.all_head_size = shape.attention
        own.scaling = shape.size_of_head**-0.5
        for name in ("query", "key", "value"):
            setattr(own, name, nn.Linear(shape.width, shape.attention))
        self.attention.output.dense = nn.Linear(shape.attention, shape.width)

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the stream after this layer, of shape (texts, sub-words, width of the stream after it)."""
        inner = hidden_states if self.stream_in is None else self.stream_in(hidden_states)
        done: torch.Tensor = super().forward(inner, *args, **kwargs)
        if self.stream_out is None:
            return done
        return hidden_states + self.stream_out(done - inner)


class ShapedEncoder(nn.Module):
    """The layers, and a readout of the stream's full width where the shape has one.

    Parameters
    ----------
    config
        The encoder's config.
    """

    def __init__(self, config: ShapedBertConfig):
        super().__init__()
        self.config = config
        shape = config.shape()
        stream = shape.embedding
        layers = []
        for index, layer in enumerate(shape.layers):
            layers.append(ShapedLayer(config, layer, stream, index))
            stream = stream if shape.mode == "bus" else layer.width
        self.layer = nn.ModuleList(layers)
        self.readout: nn.ModuleDict | None = None
        if shape.readout:
            self.readout = nn.ModuleDict(
                {"dense": nn.Linear(stream, stream), "LayerNorm": nn.LayerNorm(stream, eps=config.layer_norm_eps)}
            )

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        encoder_hidden_states: torch.Tensor | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """Run all layers; the arguments are those of BERT's encoder, of which a shaped one takes the first two."""
        layer: Any
        for layer in self.layer:
            # A layer's own config was made when the model was built; the kernel may have been changed since.
            layer.attention.self.config._attn_implementation = self.config._attn_implementation
            hidden_states = layer(hidden_states, attention_mask, **kwargs)
        if self.readout is not None:
            hidden_states = self.readout["LayerNorm"](hidden_states + self.readout["dense"](hidden_states))
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_states)


class ShapedBertPreTrainedModel(BertPreTrainedModel):
    """What all shaped models share."""

    config_class = ShapedBertConfig
    config: ShapedBertConfig
    _no_split_modules: ClassVar[list[str]] = ["BertEmbeddings", "ShapedLayer"]
    _can_record_outputs: ClassVar[dict[str, type]] = {"hidden_states": ShapedLayer, "attentions": BertSelfAttention}


class ShapedBertModel(ShapedBertPreTrainedModel, BertModel):
    """The encoder without a head.

    Parameters
    ----------
    config
        Its config.
    add_pooling_layer
        Whether it has a pooler.
    """

    def __init__(self, config: ShapedBertConfig, add_pooling_layer: bool = True):
        BertPreTrainedModel.__init__(self, config)
        self.config = config
        self.gradient_checkpointing = False
        self.embeddings = BertEmbeddings(config.for_embeddings())
        self.encoder = ShapedEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.post_init()


def _dropout(config: ShapedBertConfig) -> nn.Dropout:
    own = config.classifier_dropout
    return nn.Dropout(config.hidden_dropout_prob if own is None else own)


class ShapedBertForSequenceClassification(ShapedBertPreTrainedModel, BertForSequenceClassification):
    """A label (or several) for a text. See ``BertForSequenceClassification``."""

    def __init__(self, config: ShapedBertConfig):
        BertPreTrainedModel.__init__(self, config)
        self.num_labels = config.num_labels
        self.config = config
        self.bert = ShapedBertModel(config)
        self.dropout = _dropout(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()


class ShapedBertForTokenClassification(ShapedBertPreTrainedModel, BertForTokenClassification):
    """A label for each word. See ``BertForTokenClassification``."""

    def __init__(self, config: ShapedBertConfig):
        BertPreTrainedModel.__init__(self, config)
        self.num_labels = config.num_labels
        self.config = config
        self.bert = ShapedBertModel(config, add_pooling_layer=False)
        self.dropout = _dropout(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()


class ShapedBertForQuestionAnswering(ShapedBertPreTrainedModel, BertForQuestionAnswering):
    """Start and end of an answer. See ``BertForQuestionAnswering``."""

    def __init__(self, config: ShapedBertConfig):
        BertPreTrainedModel.__init__(self, config)
        self.num_labels = config.num_labels
        self.config = config
        self.bert = ShapedBertModel(config, add_pooling_layer=False)
        self.qa_outputs = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()


class ShapedBertForMultipleChoice(ShapedBertPreTrainedModel, BertForMultipleChoice):
    """The best of several texts. See ``BertForMultipleChoice``."""

    def __init__(self, config: ShapedBertConfig):
        BertPreTrainedModel.__init__(self, config)
        self.config = config
        self.bert = ShapedBertModel(config)
        self.dropout = _dropout(config)
        self.classifier = nn.Linear(config.hidden_size, 1)
        self.post_init()


class ShapedBertForMaskedLM(ShapedBertPreTrainedModel, BertForMaskedLM):
    """The piece behind a mask; the output is mapped to the embeddings' width, whose matrix decodes it.

    See ``BertForMaskedLM``.
    """

    def __init__(self, config: ShapedBertConfig):
        BertPreTrainedModel.__init__(self, config)
        self.config = config
        self.bert = ShapedBertModel(config, add_pooling_layer=False)
        self.cls = BertOnlyMLMHead(config.for_embeddings())
        if config.hidden_size != config.embedding_size:
            self.cls.predictions.transform.dense = nn.Linear(config.hidden_size, config.embedding_size)
        self.post_init()
