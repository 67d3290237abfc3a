"""A shorter forward pass for the BERT family: what nobody reads is not computed.

Layers above the highest one that is wanted are not run, and that one computes attention's output and the feed-forward
network for the wanted positions only: of frequent words a corpus holds many more occurrences than a mean needs. The
same modules, the same mathematics; the states agree with the stock forward to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["layer_states", "supports"]

_LAYERS = ("BertLayer", "RobertaLayer", "XLMRobertaLayer", "CamembertLayer", "ElectraLayer")


def supports(model: Any) -> bool:
    """Return whether a model is of a kind whose forward pass is known here."""
    config = model.config
    layers = getattr(getattr(model, "encoder", None), "layer", None)
    return (
        layers is not None
        and len(layers) > 0
        and {type(layer).__name__ for layer in layers} <= set(_LAYERS)
        and hasattr(model, "embeddings")
        and not hasattr(model, "embeddings_project")
        and getattr(config, "_attn_implementation", None) == "sdpa"
        and not getattr(config, "is_decoder", False)
        and not getattr(config, "add_cross_attention", False)
        and getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
    )


def layer_states(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, layers: Sequence[int], places: torch.Tensor
) -> dict[int, torch.Tensor]:
    """Return the states of some positions at some layers.

    Parameters
    ----------
    model
        One that :func:`supports` takes, in evaluation mode.
    ids, mask
        Input and what of it is no padding, int64 of shape (sentences, length).
    layers
        Ascending; 0: what the first transformer layer reads.
    places
        Positions in the flattened input, int64 of shape (positions,).

    Returns
    -------
    dict
        Layer → shape (positions, width).
    """
    hidden = model.embeddings(input_ids=ids)
    seen = None if bool(mask.all()) else mask.bool()[:, None, None, :]
    found = {}
    last = layers[-1]
    for number in range(last + 1):
        if number:
            layer = model.encoder.layer[number - 1]
            context = layer.attention.self(hidden, seen)[0]
            if number == last:
                context, hidden = _rows(context, places), _rows(hidden, places)
            hidden = layer.feed_forward_chunk(layer.attention.output(context, hidden))
        if number in layers:
            found[number] = hidden if number == last and number else _rows(hidden, places)
    return found


def _rows(states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return states.flatten(0, 1).index_select(0, places)
