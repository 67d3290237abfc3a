"""A faster forward pass for the BERT family on the stock module's own weights.

Linear layers see the batch's sub-words one after another, without padding; only the attention scores are padded.
Query, key and value are one product. For classification the last layer computes keys and values for all positions, but
query, output and feed-forward for the first position only: the head sees nothing else. The same parameters, the same
mathematics; the results agree with the stock forward to rounding.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch.nn import functional

from core.training.dropout import Masks, dropout

if TYPE_CHECKING:
    from core.training.boundary import Feed
    from core.training.prepare import Prepared

__all__ = ["Captured", "PackedEncoder"]

_LAYERS = ("BertLayer", "RobertaLayer", "ElectraLayer", "XLMRobertaLayer", "CamembertLayer")


class Captured(Exception):
    """Ends a forward pass as soon as the wanted hidden states are there."""

    def __init__(self, hidden: torch.Tensor):
        self.hidden = hidden
        super().__init__()


class _Layout:
    """Where the sub-words of a padded batch stand in the packed one.

    Parameters
    ----------
    mask
        Shape (batch, length), true where a sub-word stands; padding is on the right.
    """

    def __init__(self, mask: torch.Tensor):
        self.batch, self.length = mask.shape
        lengths = mask.sum(1)
        self.full = bool((lengths == self.length).all())
        flat = mask.reshape(-1)
        self.places = None if self.full else torch.nonzero(flat).squeeze(1)
        starts = torch.cumsum(lengths, 0) - lengths
        self.first = starts
        # Added to the scores: the lowest number where a key is padding. Shape (batch, 1, 1, length).
        self.blocked = None if self.full else ~mask[:, None, None, :]

    def pack(self, padded: torch.Tensor) -> torch.Tensor:
        """(batch, length, width) → (sub-words, width)."""
        flat = padded.reshape(-1, padded.shape[-1])
        return flat if self.places is None else flat.index_select(0, self.places)

    def pad(self, packed: torch.Tensor) -> torch.Tensor:
        """(sub-words, width) → (batch, length, width), zero at padding."""
        if self.places is None:
            return packed.view(self.batch, self.length, -1)
        flat = packed.new_zeros(self.batch * self.length, packed.shape[-1])
        return flat.index_copy(0, self.places, packed).view(self.batch, self.length, -1)


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    layout: _Layout,
    heads: int,
    probability: float,
    masks: Masks,
) -> torch.Tensor:
    """Return the context of shape (batch, queries, width); inputs are (batch, positions, width)."""
    batch, asked, width = query.shape
    size = width // heads
    q = query.view(batch, asked, heads, size).transpose(1, 2)
    k = key.view(batch, -1, heads, size).transpose(1, 2)
    v = value.view(batch, -1, heads, size).transpose(1, 2)
    if probability <= 0:  # one kernel reads the heads where they lie; it knows no dropout of our own
        seen = None if layout.blocked is None else ~layout.blocked
        context = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return context.transpose(1, 2).reshape(batch, asked, width)
    scores = torch.matmul(q * (1.0 / math.sqrt(size)), k.transpose(2, 3))
    if layout.blocked is not None:
        scores = scores.masked_fill(layout.blocked, torch.finfo(scores.dtype).min)
    shares = functional.softmax(scores, dim=-1)
    shares = dropout(shares, probability, masks)
    return torch.matmul(shares, v).transpose(1, 2).reshape(batch, asked, width)


class PackedEncoder:
    """Replaces the forward of a BERT-like model's stack of layers, until :meth:`detach`.

    Parameters
    ----------
    prepared
        The run; see :meth:`supports`.
    """

    def __init__(self, prepared: Prepared):
        self._layers = prepared.layers
        self._stack = cast(Any, prepared.encoder.encoder)
        self._first_only = prepared.task.kind == "classification"
        self._start = prepared.depth
        self._layout: _Layout | None = None
        self._fed: torch.Tensor | None = None
        self._take: tuple[int, bool] | None = None
        self._feed: Feed | None = None
        self._stack.forward = self._forward
        self.masks = Masks()
        self._dropouts = [module for module in prepared.model.modules() if type(module) is torch.nn.Dropout]
        for module in self._dropouts:
            cast(Any, module).forward = self._own_dropout(module)

    def _own_dropout(self, module: Any) -> Any:
        return lambda values: dropout(values, module.p if module.training else 0.0, self.masks)

    @staticmethod
    def supports(prepared: Prepared) -> bool:
        """Return whether the model is of a kind whose forward is known here, and on the CPU."""
        config = prepared.model.config
        kinds = {type(layer).__name__ for layer in prepared.layers}
        return (
            prepared.device.type == "cpu"
            and len(kinds) == 1
            and kinds <= set(_LAYERS)
            and not getattr(config, "is_decoder", False)
            and not getattr(config, "chunk_size_feed_forward", 0)
            and getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
            and hasattr(prepared.encoder, "encoder")
        )

    def detach(self) -> None:
        """Give the stock forward back."""
        del self._stack.forward
        for module in self._dropouts:
            del module.forward

    @contextlib.contextmanager
    def active(
        self, inputs: dict[str, torch.Tensor], feed: Feed | None, indices: np.ndarray
    ) -> Iterator[dict[str, torch.Tensor]]:
        """Prepare one forward pass and give the stock model's inputs: without the mask, which is used here only."""
        mask = inputs["attention_mask"].bool()
        self._layout = _Layout(mask)
        self._feed = feed
        if feed is not None:
            self._fed = feed.packed(indices)
        try:
            yield {name: tensor for name, tensor in inputs.items() if name != "attention_mask"}
        finally:
            self._layout = self._fed = self._feed = None

    def take(self, run: Callable[[], Any], mask: torch.Tensor, depth: int, *, first_only: bool) -> torch.Tensor:
        """Return the hidden states above the lowest layers, and compute nothing else.

        Parameters
        ----------
        run
            Calls the stock model with the inputs, but not with the mask.
        mask
            Shape (batch, length); padding is on the right.
        depth
            Number of layers to run.
        first_only
            Whether only the first position is wanted; `depth` is then the number of all layers.

        Returns
        -------
        torch.Tensor
            Shape (sub-words, width), example after example, or (batch, width) if `first_only`.
        """
        self._layout, self._take = _Layout(mask.bool()), (depth, first_only)
        try:
            run()
        except Captured as captured:
            return captured.hidden
        finally:
            self._layout = self._take = None
        raise AssertionError("the model's forward did not reach its layers")

    def _forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

        layout = self._layout
        assert layout is not None
        start = 0
        if self._take is not None:
            depth, first_only = self._take
            states = layout.pack(hidden_states)
            for index in range(depth):
                states = self._layer(
                    self._layers[index], states, layout, first_only=first_only and index == len(self._layers) - 1
                )
            raise Captured(states)
        if self._feed is not None:
            start = self._start
            assert self._fed is not None
            if self._feed.first_only:
                return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=self._fed[:, None])
            states = self._fed
        else:
            states = layout.pack(hidden_states)
        last = len(self._layers) - 1
        for index in range(start, len(self._layers)):
            states = self._layer(self._layers[index], states, layout, first_only=self._first_only and index == last)
        if self._first_only:
            hidden = states[:, None] if start <= last else states.index_select(0, layout.first)[:, None]
        else:
            hidden = layout.pad(states)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden)

    def _layer(self, layer: Any, states: torch.Tensor, layout: _Layout, *, first_only: bool) -> torch.Tensor:
        own, after = layer.attention.self, layer.attention.output
        probability = own.dropout.p if own.training else 0.0
        heads = own.num_attention_heads
        if first_only:
            weight = torch.cat([own.key.weight, own.value.weight])
            bias = torch.cat([own.key.bias, own.value.bias])
            key, value = layout.pad(functional.linear(states, weight, bias)).chunk(2, dim=-1)
            states = states.index_select(0, layout.first)
            query = own.query(states)[:, None]
            context = _attend(query, key, value, layout, heads, probability, self.masks)[:, 0]
        else:
            weight = torch.cat([own.query.weight, own.key.weight, own.value.weight])
            bias = torch.cat([own.query.bias, own.key.bias, own.value.bias])
            query, key, value = layout.pad(functional.linear(states, weight, bias)).chunk(3, dim=-1)
            context = layout.pack(_attend(query, key, value, layout, heads, probability, self.masks))
        attended = after.LayerNorm(after.dropout(after.dense(context)) + states)
        inner = layer.intermediate.intermediate_act_fn(layer.intermediate.dense(attended))
        return layer.output.LayerNorm(layer.output.dropout(layer.output.dense(inner)) + attended)
