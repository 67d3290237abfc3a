"""Weights for a shape from a parent: projected, pruned, and refitted on calibration texts in the order of data flow.

Projection alone is useless, because a LayerNorm behind a residual does not commute with it: gain and bias are fitted by
coordinate, and the maps by ridge regression on what the student itself computes, shrunk to the inherited values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from core.config.shape import EncoderShape
from core.errors import ConfigError
from core.models.shaped.configuration import config_of
from core.models.shaped.inherit_layer import LayerFiller, LayerReport
from core.models.shaped.parent import Parent
from core.models.shaped.refit import fit_norm, ridge
from core.models.shaped.segments import default_segments

__all__ = ["Inherited", "LayerReport", "default_segments", "inherit", "without_weights"]


@dataclass
class Inherited:
    """A student before any training.

    Parameters
    ----------
    model
        The encoder, in evaluation mode.
    layers
        One report a layer.
    copied
        Other parts that were copied as they are.
    initialised
        Parts with random weights.
    segments
        For each layer the parent's layer that gave weights, and the one whose output is the goal.
    bases
        For each layer what the coordinates of the stream after it stand for: columns of shape (parent's width, width
        of the stream).
    """

    model: Any
    layers: list[LayerReport]
    copied: list[str]
    initialised: list[str]
    segments: list[tuple[int, int]]
    bases: list[torch.Tensor]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, without the model."""
        return {
            "layers": [asdict(layer) for layer in self.layers], "copied": self.copied, "initialised": self.initialised
        }  # fmt: skip


def inherit(
    parent: Parent,
    shape: EncoderShape,
    *,
    segments: Sequence[tuple[int, int]] | None = None,
    refit: bool = True,
    strength: float = 0.03,
    seed: int = 0,
) -> Inherited:
    """Build a student of a shape with weights from a parent.

    Parameters
    ----------
    parent
        The parent on calibration texts.
    shape
        The student's shape; its embeddings are as wide as the parent's.
    segments
        For each layer the parent's layer that it takes its weights from, and the one whose output it shall give; from
        0. By default :func:`default_segments`.
    refit
        Fit norms and maps on calibration texts; without it weights are projected only.
    strength
        Ridge towards the inherited values, see :func:`core.models.shaped.refit.ridge`.
    seed
        Seed of what is initialised.

    Raises
    ------
    ConfigError
        If shape or segments do not fit the parent.
    """
    if shape.embedding != parent.width:
        raise ConfigError(
            f"The shape's embeddings are {shape.embedding} wide, the parent's {parent.width}.", where="embedding",
            expected=str(parent.width),
        )  # fmt: skip
    plan = list(segments) if segments is not None else default_segments(parent.layers, len(shape.layers))
    _check(plan, shape, parent)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = _build(parent, shape)
        copied, initialised = _copy_around(model, parent, shape)
        stream = parent.states[0]
        reports: list[LayerReport] = []
        bases: list[torch.Tensor] = []
        carried = torch.eye(parent.width)  # columns: what the stream's coordinates stand for
        for index, (source, reaches) in enumerate(plan):
            worker = LayerFiller(
                model.encoder.layer[index], shape.layers[index], parent, source, reaches, shape.mode, carried
            )
            stream, carried, report = worker.fill(stream, refit=refit, strength=strength)
            reports.append(report)
            bases.append(carried)
            if report.heads["initialised"] or report.units["initialised"]:
                initialised.append(f"layer {index}: {_new_parts(report)}")
        _readout(model, parent, shape, stream, copied, initialised, refit=refit, strength=strength)
    return Inherited(model.eval(), reports, copied, initialised, plan, bases)


def without_weights(
    parent: Parent, shape: EncoderShape, *, segments: Sequence[tuple[int, int]] | None = None, seed: int = 0
) -> Inherited:
    """Build a student whose layers are still to be given their weights; no text is run over.

    Parameters
    ----------
    parent, shape, segments, seed
        As :func:`inherit` was given them; embeddings, pooler and bases are those that it gives.
    """
    plan = list(segments) if segments is not None else default_segments(parent.layers, len(shape.layers))
    _check(plan, shape, parent)
    bases: list[torch.Tensor] = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = _build(parent, shape)
        copied, initialised = _copy_around(model, parent, shape)
        carried = torch.eye(parent.width)
        for index, (source, reaches) in enumerate(plan):
            layer = model.encoder.layer[index]
            worker = LayerFiller(layer, shape.layers[index], parent, source, reaches, shape.mode, carried)
            carried = worker.stands
            bases.append(carried)
    return Inherited(model.eval(), [], copied, initialised, plan, bases)


def _check(plan: list[tuple[int, int]], shape: EncoderShape, parent: Parent) -> None:
    if len(plan) != len(shape.layers):
        raise ConfigError(
            f"There are {len(plan)} segments for {len(shape.layers)} layers.", where="segments",
            expected="one for each layer",
        )  # fmt: skip
    before = -1
    for source, reaches in plan:
        if not (
            0 <= source < parent.layers and 0 <= reaches < parent.layers and source > before - 1 and reaches > before
        ):
            raise ConfigError(
                f"The segment ({source}, {reaches}) does not follow the one before.", where="segments",
                expected=f"rising layers from 0 to {parent.layers - 1}",
            )  # fmt: skip
        before = reaches


def _build(parent: Parent, shape: EncoderShape) -> Any:
    from transformers import BertModel

    from core.models.shaped.configuration import ShapedBertConfig
    from core.models.shaped.modeling import ShapedBertModel

    settings = parent.encoder.config.to_dict()
    kept = (
        "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps",
        "pad_token_id", "classifier_dropout",
    )  # fmt: skip
    same = {"vocabulary": settings["vocab_size"], "positions": settings["max_position_embeddings"]}
    shape = shape.model_copy(update={**same, "types": settings["type_vocab_size"]})
    config = config_of(shape, **{name: settings[name] for name in kept if name in settings})
    kind: Any = ShapedBertModel if isinstance(config, ShapedBertConfig) else BertModel
    return kind(config, add_pooling_layer=shape.pooler).eval()


def _copy_around(model: Any, parent: Parent, shape: EncoderShape) -> tuple[list[str], list[str]]:
    model.embeddings.load_state_dict(parent.encoder.embeddings.state_dict())
    copied, initialised = ["embeddings"], []
    if shape.pooler:
        if parent.encoder.pooler is not None and shape.output == parent.width:
            model.pooler.load_state_dict(parent.encoder.pooler.state_dict())
            copied.append("pooler")
        else:
            initialised.append("pooler")
    return copied, initialised


def _new_parts(report: LayerReport) -> str:
    named = {"heads": report.heads["initialised"], "units": report.units["initialised"]}
    return ", ".join(f"{count} {name}" for name, count in named.items() if count)


def _readout(
    model: Any, parent: Parent, shape: EncoderShape, stream: torch.Tensor, copied: list[str], initialised: list[str],
    *, refit: bool, strength: float,
) -> None:  # fmt: skip
    """Fit the readout, if there is one: x + W x before a LayerNorm shall give the parent's last hidden states."""
    if not shape.readout:
        return
    if not refit:
        nn.init.zeros_(model.encoder.readout["dense"].weight)
        nn.init.zeros_(model.encoder.readout["dense"].bias)
        initialised.append("readout")
        return
    own, wanted = stream[parent.mask], parent.states[-1][parent.mask]
    weight, bias = ridge(own, wanted - own, strength=strength)
    dense, norm = model.encoder.readout["dense"], model.encoder.readout["LayerNorm"]
    dense.weight.copy_(weight)
    dense.bias.copy_(bias)
    fit_norm(norm, own + own @ weight.T + bias, wanted)
    copied.append("readout (fitted)")
