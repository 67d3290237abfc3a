"""Shapes to begin with: the article's, the parent's own, even, tapered, and what the statistics ask for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config.shape import EncoderShape
from core.errors import ConfigError
from core.search.widths import Space, even_shape, nearest_shape

__all__ = ["PRESETS", "Preset", "parent_shape", "preset", "segments_for", "space_of"]


@dataclass(frozen=True)
class Preset:
    """A shape to begin with.

    Parameters
    ----------
    title, words
        What it is called, and what it is.
    needs
        ``nothing``, ``parent`` or ``statistics``.
    """

    title: str
    words: str
    needs: str = "parent"


PRESETS: dict[str, Preset] = {
    "article": Preset("The article's example", "Two layers, 768 and 1,024 wide: the stream grows.", "nothing"),
    "parent": Preset("The parent's own shape", "Every layer as in the parent: nothing is lost, nothing is gained."),
    "even": Preset("Even, within the budget", "As many layers as the parent, all of one width."),
    "taper": Preset("Taper", "Wide below, narrow above, within the budget."),
    "reverse": Preset("Reverse taper", "Narrow below, wide above, within the budget."),
    "prior": Preset("From the statistics", "Each layer as wide as its segment's word graphs need.", "statistics"),
}  # fmt: skip


def parent_shape(about: Mapping[str, Any]) -> EncoderShape:
    """Return the shape of a parent from what :meth:`core.api.ModelDesk.describe` says of it.

    Raises
    ------
    ConfigError
        If it is no plain BERT.
    """
    if about.get("family") != "bert":
        raise ConfigError(
            f"{about.get('title') or about.get('source')} is of the family {about.get('family')}: its layers cannot be "
            "inherited.",
            where="parent", expected="a plain BERT: learned positions, LayerNorm after each part, every layer alike",
            advice="Shapes can still be built with random weights.",
        )  # fmt: skip
    width = int(about["hidden_size"])
    layer = {"width": width, "heads": int(about["heads"]), "intermediate": int(about["intermediate_size"])}
    return EncoderShape.model_validate(
        {
            "layers": [layer] * int(about["layers"]), "embedding": width, "vocabulary": int(about["vocab_size"]),
            "positions": int(about.get("max_length") or 512),
        }
    )  # fmt: skip


def space_of(parent: EncoderShape, layers: int, budget: int, *, readout: bool = True) -> Space:
    """Return the shapes of one depth within a budget of parameters between embeddings and pooler."""
    first = parent.layers[0]
    return Space(
        layers=layers, stream=parent.embedding, head_size=first.size_of_head, budget=budget,
        ratio=first.intermediate / first.width, vocabulary=parent.vocabulary, positions=parent.positions,
        types=parent.types, readout=readout,
    )  # fmt: skip


def segments_for(statistics: Mapping[str, Any] | None, layers: int) -> list[dict[str, int]] | None:
    """Return the segments of the parent that the statistics propose for a number of layers; None without any."""
    if not statistics or not 1 <= layers <= len(statistics["layers"]) - 1:
        return None
    from core.search.proposal import segments_of

    return segments_of(np.asarray(statistics["cka"], dtype=float), statistics["layers"], layers)


def preset(
    name: str, parent: EncoderShape | None, budget: int, statistics: Mapping[str, Any] | None = None
) -> EncoderShape:
    """Return a shape to begin with.

    Parameters
    ----------
    name
        One of :data:`PRESETS`.
    parent
        The parent's shape, where it is known.
    budget
        Parameters between embeddings and pooler.
    statistics
        What was measured of the parent, for ``prior``.

    Raises
    ------
    ConfigError
        If it cannot be made: without parent or statistics, or with a budget that nothing meets.
    """
    if name == "article":
        return EncoderShape.of_widths([768, 1024], mode="stepped")
    if parent is None:
        raise ConfigError("This shape is made from a parent, and there is none.", where="parent")
    layers = len(parent.layers)
    if name == "parent":
        return parent
    if name == "prior":
        if not statistics:
            raise ConfigError("The parent has not been measured yet.", where="statistics")
        depth = int(statistics["depth"]["fewest"])
        segments = segments_for(statistics, depth) or []
        return nearest_shape(space_of(parent, depth, budget), [one["least"] for one in segments])[1]
    space = space_of(parent, layers, budget)
    if name == "even":
        found = even_shape(space)
        return nearest_shape(space, [1.0] * layers)[1] if found is None else found
    slope = np.linspace(1.6, 0.6, layers) if name == "taper" else np.linspace(0.6, 1.6, layers)
    return nearest_shape(space, [float(one) * parent.embedding / 2 for one in slope])[1]
