"""What inheriting needs to know of a parent: hidden states on calibration texts, and what its layers do with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from core.errors import DataError, ModelError
from core.models.shaped.importance import Importance, by_energy, parts_of

__all__ = ["MEMORY", "Inside", "Parent", "look", "stock_bert"]

#: Fewer calibration sub-words say too little of a layer's directions.
LEAST_TOKENS = 512
#: Bytes of what layers compute that are kept for further students, at most; computing them is most of inheriting.
MEMORY = 1 << 30


@dataclass
class Inside:
    """What one layer of the parent computes on the calibration texts, valid positions only.

    Parameters
    ----------
    query, key, value
        Of shape (tokens, heads, head size).
    attended
        What the attention's output map gives, (tokens, width).
    middle
        After the first norm, (tokens, width).
    raised
        FFN units before the activation, (tokens, units).
    lowered
        What the FFN's output map gives, (tokens, width).
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    attended: torch.Tensor
    middle: torch.Tensor
    raised: torch.Tensor
    lowered: torch.Tensor

    @property
    def bytes(self) -> int:
        """What they take in memory."""
        return sum(one.numel() * one.element_size() for one in vars(self).values())


@dataclass
class Parent:
    """A parent on calibration texts; made once and used for every candidate.

    Parameters
    ----------
    encoder
        BERT without a head, in evaluation mode.
    mask
        (texts, sub-words), bool.
    bias
        The mask as attention takes it, (texts, 1, 1, sub-words).
    states
        Hidden states of each layer, embeddings first: (texts, sub-words, width).
    importance
        Of its heads and units, by energy.
    """

    encoder: Any
    mask: torch.Tensor
    bias: torch.Tensor
    states: list[torch.Tensor]
    importance: Importance
    _inside: dict[int, Inside] = field(default_factory=dict)
    _bases: dict[tuple[int, int], tuple[torch.Tensor, float]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Hidden size."""
        return int(self.states[0].shape[-1])

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.states) - 1

    @property
    def tokens(self) -> int:
        """Calibration sub-words."""
        return int(self.mask.sum())

    def basis(self, layer: int, width: int) -> tuple[torch.Tensor, float]:
        """Return the top directions of a layer's inputs and the share of their variance that they hold.

        Parameters
        ----------
        layer
            Number of the layer, from 0; its inputs are the hidden states below it.
        width
            Number of directions.

        Returns
        -------
        (torch.Tensor, float)
            Orthonormal columns of shape (hidden size, width), by principal components; the identity where all are
            kept. Beyond the hidden size the columns are zero.
        """
        known = self._bases.get((layer, width))
        if known is not None:
            return known
        if width >= self.width:
            found = (torch.eye(self.width, width), 1.0)
        else:
            flat = self.states[layer][self.mask].double()
            flat = flat - flat.mean(0)
            values, vectors = torch.linalg.eigh(flat.T @ flat)
            order = torch.argsort(values, descending=True)[:width]
            found = (vectors[:, order].float(), float(values[order].sum() / values.sum()))
        self._bases[layer, width] = found
        return found

    def explained(self, layer: int, basis: torch.Tensor) -> float:
        """Return the share of the variance of a layer's inputs within orthonormal columns."""
        flat = self.states[layer][self.mask].double()
        flat = flat - flat.mean(0)
        return float((flat @ basis.double()).square().sum() / flat.square().sum())

    def inside(self, layer: int) -> Inside:
        """Return what a layer computes; it is kept for further students, as far as :data:`MEMORY` goes."""
        if layer in self._inside:
            return self._inside[layer]
        part = parts_of(self.encoder)[layer]
        module = self.encoder.encoder.layer[layer]
        caught: dict[str, torch.Tensor] = {}

        def catch(name: str) -> Callable[..., None]:
            def hook(_: Any, __: Any, output: torch.Tensor) -> None:
                caught[name] = output[self.mask]

            return hook

        own = module.attention
        watched = {
            "query": own.self.query, "key": own.self.key, "value": own.self.value, "attended": own.output.dense,
            "middle": own.output.LayerNorm, "raised": module.intermediate.dense, "lowered": module.output.dense,
        }  # fmt: skip
        handles = [place.register_forward_hook(catch(name)) for name, place in watched.items()]
        try:
            with torch.inference_mode():
                module(self.states[layer], self.bias)
        finally:
            for handle in handles:
                handle.remove()
        for name in ("query", "key", "value"):
            caught[name] = caught[name].view(-1, part.heads, part.size)
        found = Inside(**{name: tensor.clone() for name, tensor in caught.items()})
        if found.bytes + sum(one.bytes for one in self._inside.values()) <= MEMORY:
            self._inside[layer] = found
        return found

    def forget(self) -> None:
        """Free what was kept for further students."""
        self._inside.clear()


def look(encoder: Any, batch: Mapping[str, torch.Tensor]) -> Parent:
    """Run a parent over calibration texts.

    Parameters
    ----------
    encoder
        BERT without a head.
    batch
        ``input_ids`` and ``attention_mask`` of shape (texts, sub-words), and what else the encoder takes.

    Raises
    ------
    ModelError
        If it is not a stock BERT.
    DataError
        If the texts have too few sub-words.
    """
    stock_bert(encoder)
    tokens = int(batch["attention_mask"].sum())
    if tokens < LEAST_TOKENS:
        raise DataError(
            f"The calibration texts have only {tokens} sub-words.", expected=f"at least {LEAST_TOKENS}",
            advice="Give more or longer texts.",
        )  # fmt: skip
    encoder.eval()
    mask = batch["attention_mask"].bool()
    bias = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)[:, None, None, :]
    bias = bias.expand(-1, 1, mask.shape[1], -1).contiguous()
    with torch.inference_mode():
        states = [one.clone() for one in encoder(**batch, output_hidden_states=True).hidden_states]
    importance = by_energy(encoder, [batch])
    return Parent(encoder, mask, bias, states, importance)


def stock_bert(encoder: Any) -> None:
    """Refuse an encoder that cannot be a parent.

    Raises
    ------
    ModelError
        If it is not a stock BERT.
    """
    from transformers import BertModel

    parts_of(encoder)
    if type(encoder) is not BertModel:
        raise ModelError(
            f"{type(encoder).__name__} cannot be a parent.",
            expected="a BERT whose layers are all as wide as its stream",
            advice="Shaped encoders can be trained and distilled, but shapes inherit from a plain BERT.",
        )  # fmt: skip
