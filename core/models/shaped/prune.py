"""Fewer heads and FFN units: the important ones are kept, in really smaller tensors.

What comes out is an encoder of the same stream. Where every layer keeps all heads and equally many units it is a stock
BERT with a smaller ``intermediate_size``; else it is a shaped encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from core.config.shape import EncoderShape, LayerShape
from core.errors import ConfigError
from core.models.shaped.importance import Importance, parts_of

__all__ = ["Kept", "best_of", "choose_kept", "masked", "prune", "shape_of_model"]


@dataclass(frozen=True)
class Kept:
    """What stays, as sorted indices.

    Parameters
    ----------
    heads, units
        One list a layer.
    """

    heads: list[list[int]]
    units: list[list[int]]


def choose_kept(
    importance: Importance,
    *,
    heads: float = 1.0,
    units: float = 1.0,
    spread: Literal["layer", "global"] = "layer",
) -> Kept:
    """Choose the most important heads and units.

    Parameters
    ----------
    importance
        Their scores.
    heads, units
        Share to keep, above 0 and at most 1. At least one of each stays in every layer.
    spread
        ``layer``: the same share in every layer. ``global``: the best of all layers together, after each layer's scores
        were divided by their Euclidean norm (Michel et al. 2019).

    Raises
    ------
    ConfigError
        If a share is out of range.
    """
    for name, share in (("heads", heads), ("units", units)):
        if not 0 < share <= 1:
            raise ConfigError(
                f"The share of {name} to keep is {share:g}.", where=name, expected="above 0 and at most 1"
            )
    return Kept(best_of(importance.heads, heads, spread), best_of(importance.units, units, spread))


def best_of(scores: Sequence[torch.Tensor], share: float, spread: str) -> list[list[int]]:
    """Return the sorted indices of the best of each layer's scores; see :func:`choose_kept` for share and spread."""
    if spread == "layer":
        return [
            sorted(torch.argsort(one, descending=True, stable=True)[: max(1, round(share * len(one)))].tolist())
            for one in scores
        ]
    everything = torch.cat([one / one.norm().clamp(min=1e-30) for one in scores])
    layer = torch.cat([torch.full((len(one),), index) for index, one in enumerate(scores)])
    place = torch.cat([torch.arange(len(one)) for one in scores])
    first = [int(one.argmax()) for one in scores]  # one of each layer stays, whatever the others score
    kept: list[set[int]] = [{one} for one in first]
    wanted = max(len(scores), round(share * len(everything)))
    for at in torch.argsort(everything, descending=True, stable=True).tolist():
        if sum(map(len, kept)) >= wanted:
            break
        kept[int(layer[at])].add(int(place[at]))
    return [sorted(one) for one in kept]


def shape_of_model(model: Any) -> EncoderShape:
    """Return the shape of a BERT or shaped encoder in memory."""
    from core.models.shaped.files import shape_of

    encoder = model.base_model
    return shape_of(encoder.config.to_dict(), where=type(encoder).__name__, pooler=encoder.pooler is not None)


def prune(model: Any, kept: Kept) -> Any:
    """Return a smaller copy of a model that holds only what is kept; the model itself stays as it is.

    Parameters
    ----------
    model
        BERT or a shaped encoder, with or without a head.
    kept
        What stays.

    Returns
    -------
    transformers.PreTrainedModel
        A model of the same head, in evaluation mode. It computes what the old one computes with the other heads' and
        units' outputs set to zero.
    """
    from core.models.shaped.configuration import ShapedBertConfig, config_of
    from core.models.shaped.register import register

    register()
    before = shape_of_model(model)
    layers = [
        LayerShape(
            width=layer.width,
            heads=len(heads),
            intermediate=len(units),
            head_size=None if len(heads) == layer.heads and layer.head_size is None else layer.size_of_head,
        )
        for layer, heads, units in zip(before.layers, kept.heads, kept.units, strict=True)
    ]
    shape = before.model_copy(update={"layers": layers})
    old = model.config.to_dict()
    shaped = (
        "mode",
        "embedding_size",
        "readout",
        "layer_shapes",
        "model_type",
        "architectures",
        "transformers_version",
    )
    sized = (
        "vocab_size", "max_position_embeddings", "type_vocab_size", "hidden_size", "num_hidden_layers",
        "num_attention_heads", "intermediate_size",
    )  # fmt: skip
    others = {name: value for name, value in old.items() if name not in (*shaped, *sized)}
    config = config_of(shape, **others)
    config._attn_implementation = model.config._attn_implementation
    smaller = _class_for(model, isinstance(config, ShapedBertConfig))(config)
    smaller.load_state_dict(_sliced(model, kept))
    return smaller.to(next(model.parameters()).dtype).eval()


def _class_for(model: Any, shaped: bool) -> Any:
    """Return the class of the same head, stock or shaped."""
    import transformers

    from core.models.shaped import modeling

    name = type(model).__name__.removeprefix("Shaped")
    return getattr(modeling, f"Shaped{name}") if shaped else getattr(transformers, name)


def _sliced(model: Any, kept: Kept) -> dict[str, torch.Tensor]:
    prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    for index, part in enumerate(parts_of(model)):
        rows = torch.tensor([head * part.size + at for head in kept.heads[index] for at in range(part.size)])
        units = torch.tensor(kept.units[index])
        layer = f"{prefix}encoder.layer.{index}."
        for name in ("query", "key", "value"):
            for kind in ("weight", "bias"):
                key = f"{layer}attention.self.{name}.{kind}"
                state[key] = state[key][rows]
        for key, order in ((f"{layer}attention.output.dense.weight", rows), (f"{layer}output.dense.weight", units)):
            state[key] = state[key][:, order]
        for kind in ("weight", "bias"):
            key = f"{layer}intermediate.dense.{kind}"
            state[key] = state[key][units]
    return state


class masked:
    """Within the block a model's other heads and units write nothing: the peer that pruning is compared with.

    Parameters
    ----------
    model
        BERT or a shaped encoder.
    kept
        What goes on writing.
    """

    def __init__(self, model: Any, kept: Kept):
        self._parts = parts_of(model)
        self._kept = kept
        self._handles: list[Any] = []

    def __enter__(self) -> None:
        for index, part in enumerate(self._parts):
            heads = torch.zeros(part.heads)
            heads[self._kept.heads[index]] = 1.0
            units = torch.zeros(part.units_out.in_features)
            units[self._kept.units[index]] = 1.0
            for module, mask in ((part.heads_out, heads.repeat_interleave(part.size)), (part.units_out, units)):

                def hook(_: Any, args: tuple[Any, ...], mask: torch.Tensor = mask) -> tuple[Any, ...]:
                    return (args[0] * mask.to(args[0]), *args[1:])

                self._handles.append(module.register_forward_pre_hook(hook))

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
