"""Parameters, floating-point operations and memory of a shape, by formula. No torch.

Tests compare them with built models.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from core.config.shape import EncoderShape, LayerShape

__all__ = ["Count", "Memory", "count", "memory"]


@dataclass(frozen=True)
class Count:
    """What a shape costs.

    Parameters
    ----------
    embeddings, layers, readout, pooler
        Parameters of each part; `layers` one number a layer, its maps from and to the stream included.
    """

    embeddings: int
    layers: tuple[int, ...]
    readout: int
    pooler: int
    _linear: int
    _attention: int

    @property
    def total(self) -> int:
        """All parameters of the encoder, without a task's head."""
        return self.embeddings + self.body + self.pooler

    @property
    def body(self) -> int:
        """Parameters between embeddings and pooler: what a search has a budget for."""
        return sum(self.layers) + self.readout

    def flops(self, tokens: int) -> int:
        """Return the floating-point operations of one forward pass.

        Parameters
        ----------
        tokens
            Sub-words of the one text, padding included. A multiplication with its addition counts as two; norms,
            activations and softmax (below one in a hundred) are left out, as in Kaplan et al. (2020).
        """
        return 2 * tokens * self._linear + 4 * tokens * tokens * self._attention

    def as_dict(self, tokens: int = 128) -> dict[str, object]:
        """Return plain data, with the operations for a text of `tokens` sub-words."""
        return {
            "parameters": self.total, "embeddings": self.embeddings, "body": self.body, "layers": list(self.layers),
            "readout": self.readout, "pooler": self.pooler, "flops": self.flops(tokens), "tokens": tokens,
        }  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """Bytes in fp32.

    Parameters
    ----------
    weights, gradients, optimizer
        Of all parameters; the optimiser is Adam's kind with two moments.
    activations
        What a forward pass keeps for the backward pass.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def training(self) -> int:
        """All of them."""
        return self.weights + self.gradients + self.optimizer + self.activations

    def as_dict(self) -> dict[str, int]:
        """Return plain data."""
        return {**asdict(self), "training": self.training}


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _layer(layer: LayerShape) -> int:
    width, attention, inner = layer.width, layer.attention, layer.intermediate
    norms = 4 * width
    return (
        3 * _linear(width, attention)
        + _linear(attention, width)
        + _linear(width, inner)
        + _linear(inner, width)
        + norms
    )


def _maps(shape: EncoderShape) -> list[list[tuple[int, int]]]:
    """Return the (inputs, outputs) of each layer's maps from and to the stream."""
    if shape.mode == "bus":
        stream = shape.embedding
        return [
            [] if layer.width == stream else [(stream, layer.width), (layer.width, stream)] for layer in shape.layers
        ]
    before = [shape.embedding, *(layer.width for layer in shape.layers[:-1])]
    return [
        [] if layer.width == width else [(width, layer.width)]
        for width, layer in zip(before, shape.layers, strict=True)
    ]


def count(shape: EncoderShape) -> Count:
    """Count what a shape costs."""
    maps = _maps(shape)
    width = shape.embedding
    embeddings = (shape.vocabulary + shape.positions + shape.types) * width + 2 * width
    layers = tuple(
        _layer(layer) + sum(_linear(*one) for one in own) for layer, own in zip(shape.layers, maps, strict=True)
    )
    readout = _linear(width, width) + 2 * width if shape.readout else 0
    pooler = _linear(shape.output, shape.output) if shape.pooler else 0
    linear = sum(
        4 * layer.width * layer.attention + 2 * layer.width * layer.intermediate
        + sum(inputs * outputs for inputs, outputs in own)
        for layer, own in zip(shape.layers, maps, strict=True)
    )  # fmt: skip
    linear += width * width if shape.readout else 0
    return Count(embeddings, layers, readout, pooler, linear, sum(layer.attention for layer in shape.layers))


def memory(shape: EncoderShape, tokens: int, *, dropout: bool = True) -> Memory:
    """Return the bytes that training with Adam needs, in fp32.

    Parameters
    ----------
    shape
        The shape.
    tokens
        Sub-words of a micro-batch, padding included. Attention is taken to keep no matrix of all pairs (SDPA does not
        without dropout of attention; with it, and with eager attention, add 4 bytes × heads × pairs × layers).
    dropout
        Whether hidden dropout is on: its masks are kept too.
    """
    weights = 4 * count(shape).total
    kept = 0
    for layer, own in zip(shape.layers, _maps(shape), strict=True):
        width = layer.width
        # Inputs of Q/K/V and of both FFN products, Q, K, V, attention's output, two sums before a norm, GELU's input.
        kept += 4 * width + 4 * layer.attention + 2 * layer.intermediate
        kept += 2 * width if dropout else 0
        kept += sum(inputs for inputs, _ in own)
    kept += 2 * shape.embedding * (2 if shape.readout else 1)
    return Memory(weights, weights, 2 * weights, 4 * kept * tokens)
