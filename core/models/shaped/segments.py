"""Which of a parent's layers each layer of a student inherits from, and what of it: as far as the shapes alone say.

Plain data without torch, so that a form can tell it while a person types. What becomes of the weights is said by
:class:`core.models.shaped.inherit_layer.LayerReport` once they are built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.config.shape import EncoderShape
from core.errors import ConfigError

__all__ = ["Foreseen", "default_segments", "foreseen"]


@dataclass(frozen=True)
class Foreseen:
    """What a layer will take over.

    Parameters
    ----------
    parent, reaches
        The parent's layer that gives the weights, and the one whose output is the goal; from 0.
    first
        The first of the parent's layers that it stands for, from 0; `reaches` is the last.
    basis
        ``identity``: the layer's coordinates are the parent's; ``pca``: the main directions of its inputs.
    exact
        Whether it is the parent's layer, weight for weight.
    directions
        How many of the parent's directions are kept.
    coordinates
        How many coordinates the parent does not have; they are initialised.
    heads, units
        How many are ``copied`` (projected where the basis is no identity), ``pruned`` and ``initialised``.
    maps
        How many linear maps lie between the stream and this layer.
    """

    parent: int
    reaches: int
    first: int
    basis: Literal["identity", "pca"]
    exact: bool
    directions: int
    coordinates: int
    heads: dict[str, int]
    units: dict[str, int]
    maps: int


def default_segments(parent: int, student: int) -> list[tuple[int, int]]:
    """Divide the parent's layers evenly: (representative, last layer) of each of the student's, from 0.

    The representative is the last layer of its segment.

    Raises
    ------
    ConfigError
        If the student has more layers than the parent.
    """
    if student > parent:
        raise ConfigError(
            f"The shape has {student} layers, the parent only {parent}.", where="layers",
            expected=f"at most {parent} layers",
        )  # fmt: skip
    ends = [round((index + 1) * parent / student) - 1 for index in range(student)]
    return [(end, end) for end in ends]


def foreseen(
    parent: EncoderShape, shape: EncoderShape, segments: Sequence[tuple[int, int]] | None = None
) -> list[Foreseen]:
    """Say what each layer of a shape will inherit.

    Parameters
    ----------
    parent
        The parent's shape: a plain BERT.
    shape
        The student's.
    segments
        (representative, last layer) for each layer, from 0; by default :func:`default_segments`.

    Raises
    ------
    ConfigError
        If nothing can be inherited: more layers than the parent, or embeddings of another width.
    """
    if shape.embedding != parent.embedding:
        raise ConfigError(
            f"The shape's embeddings are {shape.embedding} wide, the parent's {parent.embedding}.", where="embedding",
            expected=str(parent.embedding),
            advice="The student takes over the parent's embeddings, so both must be equally wide.",
        )  # fmt: skip
    plan = list(segments) if segments is not None else default_segments(len(parent.layers), len(shape.layers))
    found = []
    first, stream = 0, shape.embedding
    for layer, (source, reaches) in zip(shape.layers, plan, strict=True):
        given = parent.layers[source]
        heads = min(layer.heads, given.heads) if layer.size_of_head == given.size_of_head else 0
        units = min(layer.intermediate, given.intermediate)
        whole = (heads, units) == (given.heads, given.intermediate) == (layer.heads, layer.intermediate)
        found.append(
            Foreseen(
                source, reaches, first, "identity" if layer.width >= given.width else "pca",
                layer.width == given.width and whole, min(layer.width, given.width), max(0, layer.width - given.width),
                {"copied": heads, "pruned": given.heads - heads, "initialised": layer.heads - heads},
                {"copied": units, "pruned": given.intermediate - units, "initialised": layer.intermediate - units},
                0 if layer.width == stream else (2 if shape.mode == "bus" else 1),
            )
        )  # fmt: skip
        first = reaches + 1
        stream = shape.embedding if shape.mode == "bus" else layer.width
    return found
