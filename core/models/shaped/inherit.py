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

from core.config.shape import EncoderShape, LayerShape
from core.errors import ConfigError, ModelError
from core.models.shaped.configuration import config_of
from core.models.shaped.parent import Inside, Parent
from core.models.shaped.prune import _best
from core.models.shaped.refit import fit_norm, ridge, shrunk

__all__ = ["Inherited", "LayerReport", "default_segments", "inherit"]


@dataclass(frozen=True)
class LayerReport:
    """Where a layer's weights came from.

    Parameters
    ----------
    parent
        The parent's layer, from 0.
    reaches
        The parent's layer whose output this one is fitted to, from 0.
    basis
        ``identity`` or ``pca``.
    explained
        Share of the variance of the parent's inputs within the basis.
    heads, units
        How many were ``copied`` (projected where the basis is no identity), left out (``pruned``) and ``initialised``.
    refitted
        Whether maps and norms were fitted to calibration texts.
    distance
        Error of the stream after this layer by the variance of the parent's; 1 is what the mean would score.
    """

    parent: int
    reaches: int
    basis: str
    explained: float
    heads: dict[str, int]
    units: dict[str, int]
    refitted: bool
    distance: float


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
            worker = _Layer(
                model.encoder.layer[index], shape.layers[index], parent, source, reaches, shape.mode, carried
            )
            stream, carried, report = worker.fill(stream, refit=refit, strength=strength)
            reports.append(report)
            bases.append(carried)
            if report.heads["initialised"] or report.units["initialised"]:
                initialised.append(f"layer {index}: {_new_parts(report)}")
        _readout(model, parent, shape, stream, copied, initialised, refit=refit, strength=strength)
    return Inherited(model.eval(), reports, copied, initialised, plan, bases)


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


class _Layer:
    """Fills one layer of the student.

    Parameters
    ----------
    module
        The student's layer.
    shape
        Its shape.
    parent
        The parent.
    source, reaches
        The parent's layer that gives the weights, and the one whose output is the goal.
    mode
        ``bus`` or ``stepped``.
    carried
        What the coordinates of the stream before it stand for, (parent's width, width of the stream).
    """

    def __init__(
        self, module: Any, shape: LayerShape, parent: Parent, source: int, reaches: int, mode: str,
        carried: torch.Tensor,
    ):  # fmt: skip
        self.module, self.shape, self.parent, self.mode = module, shape, parent, mode
        self.source, self.reaches, self.carried = source, reaches, carried
        self.given = parent.encoder.encoder.layer[source]
        own = self.given.attention.self
        self.size = own.attention_head_size
        fits = shape.size_of_head == self.size
        heads = min(shape.heads, own.num_attention_heads) if fits else 0
        self.heads = _top(parent.importance.heads[source], heads)
        self.rows = [head * self.size + at for head in self.heads for at in range(self.size)]
        self.units = _top(parent.importance.units[source], min(shape.intermediate, self.given.output.dense.in_features))
        self.basis, self.explained = parent.basis(source, shape.width)
        if mode == "stepped" and getattr(module, "stream_in", None) is None:
            self.basis, self.explained = carried, parent.explained(source, carried)  # nothing turns the coordinates
        self.known = min(shape.width, parent.width)

    @property
    def exact(self) -> bool:
        """Whether it is the parent's layer, weight for weight."""
        whole = self.given.attention.self.num_attention_heads, self.given.output.dense.in_features
        return self.shape.width == self.parent.width and (len(self.heads), len(self.units)) == whole == (
            self.shape.heads,
            self.shape.intermediate,
        )

    def fill(
        self, stream: torch.Tensor, *, refit: bool, strength: float
    ) -> tuple[torch.Tensor, torch.Tensor, LayerReport]:
        """Set the weights; return the stream after the layer, the basis that it stands for, and the report."""
        self._project()
        if refit and not self.exact:
            self._refit(stream, strength)
        after = self.module(stream, self.parent.bias)
        stands = self.carried if self.mode == "bus" else self.basis
        goal = self.parent.states[self.reaches + 1][self.parent.mask]
        reached = after[self.parent.mask]
        if self.mode == "stepped":
            goal = goal @ self.basis
        heads, units = self.given.attention.self.num_attention_heads, self.given.output.dense.in_features
        report = LayerReport(
            self.source, self.reaches, "identity" if self.shape.width >= self.parent.width else "pca",
            round(self.explained, 6),
            {
                "copied": len(self.heads), "pruned": heads - len(self.heads),
                "initialised": self.shape.heads - len(self.heads),
            },
            {
                "copied": len(self.units), "pruned": units - len(self.units),
                "initialised": self.shape.intermediate - len(self.units),
            },
            refit and not self.exact, relative_error(reached[:, : goal.shape[1]], goal),
        )  # fmt: skip
        return after, stands, report

    # ---- inherited values ------------------------------------------------------------------------------------------

    def _project(self) -> None:
        """Copy what is kept, seen through the basis."""
        module, given, basis, known = self.module, self.given, self.basis, self.known
        own, theirs = module.attention.self, given.attention.self
        rows, units, heads = self.rows, self.units, len(self.rows)
        basis = basis[:, :known]
        for name in ("query", "key", "value"):
            mine, other = getattr(own, name), getattr(theirs, name)
            mine.weight[:heads, :known] = other.weight[rows] @ basis
            mine.bias[:heads] = other.bias[rows]
        out, other = module.attention.output, given.attention.output
        out.dense.weight[:known, :heads] = basis.T @ other.dense.weight[:, rows]
        out.dense.bias[:known] = basis.T @ other.dense.bias
        module.intermediate.dense.weight[: len(units), :known] = given.intermediate.dense.weight[units] @ basis
        module.intermediate.dense.bias[: len(units)] = given.intermediate.dense.bias[units]
        module.output.dense.weight[:known, : len(units)] = basis.T @ given.output.dense.weight[:, units]
        module.output.dense.bias[:known] = basis.T @ given.output.dense.bias
        if self.shape.width >= self.parent.width:
            for mine, norm in ((out.LayerNorm, other.LayerNorm), (module.output.LayerNorm, given.output.LayerNorm)):
                mine.weight[:known], mine.bias[:known] = norm.weight, norm.bias
        into = getattr(module, "stream_in", None)
        if into is not None:
            into.weight[:known] = basis.T @ self.carried if self.mode == "stepped" else basis.T
            into.bias.zero_()
        back = getattr(module, "stream_out", None)
        if back is not None:
            back.weight[:, :known] = basis
            back.bias.zero_()

    # ---- refits, in the order of data flow --------------------------------------------------------------------------

    def _refit(self, stream: torch.Tensor, strength: float) -> None:
        module, mask = self.module, self.parent.mask
        inside: Inside = self.parent.inside(self.source)
        into, back = getattr(module, "stream_in", None), getattr(module, "stream_out", None)
        if into is not None and self.mode == "stepped":
            seen = self.parent.states[self.source][mask] @ self.basis[:, : self.known]
            _part_rows(into, stream[mask], seen, self.known, strength)
        whole = stream if into is None else into(stream)
        entering = whole[mask]
        known, basis = self.known, self.basis[:, : self.known]
        own, heads = module.attention.self, len(self.rows)
        for name in ("query", "key", "value"):
            wanted = getattr(inside, name)[:, self.heads].reshape(len(entering), -1)
            _part_rows(getattr(own, name), entering, wanted, heads, strength)
        attended, _ = own(whole, self.parent.bias)
        out = module.attention.output
        _part_rows(out.dense, attended[mask], inside.attended @ basis, known, strength)
        summed = out.dense(attended[mask]) + entering
        fit_norm(out.LayerNorm, summed, inside.middle @ basis, known)
        middle = out.LayerNorm(summed)
        raised = module.intermediate.dense
        _part_rows(raised, middle, inside.raised[:, self.units], len(self.units), strength)
        acted = module.intermediate.intermediate_act_fn(raised(middle))
        _part_rows(module.output.dense, acted, inside.lowered @ basis, known, strength)
        summed = module.output.dense(acted) + middle
        leaving = self.parent.states[self.source + 1][mask]
        if back is None:  # nothing follows that could still correct it: aim at the goal itself
            leaving = self.parent.states[self.reaches + 1][mask]
        fit_norm(module.output.LayerNorm, summed, leaving @ basis, known)
        if back is None:
            return
        changed = module.output.LayerNorm(summed) - entering
        goal = self.parent.states[self.reaches + 1][mask] - stream[mask]
        weight, bias = ridge(changed, goal, strength=strength / 10, towards=back.weight)
        back.weight.copy_(weight)
        back.bias.copy_(bias)


def _part_rows(layer: nn.Linear, inputs: torch.Tensor, targets: torch.Tensor, count: int, strength: float) -> None:
    """Refit the first `count` outputs of a layer; the others were initialised and stay."""
    if count == layer.out_features:
        shrunk(layer, inputs, targets, strength=strength)
    elif count:
        weight, bias = ridge(
            inputs, targets, strength=strength, towards=layer.weight[:count], towards_bias=layer.bias[:count]
        )
        layer.weight[:count] = weight
        layer.bias[:count] = bias


def _top(scores: torch.Tensor, count: int) -> list[int]:
    if count < 0:
        raise ModelError("A negative number of heads or units was asked for.")
    return _best([scores], count / len(scores), "layer")[0] if count else []


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the squared error by the variance of what is wanted: 0 is perfect, the mean scores 1.

    Parameters
    ----------
    found, wanted
        Of shape (rows, width).
    """
    rest = (found - wanted).double().square().sum()
    return float(rest / (wanted - wanted.mean(0)).double().square().sum().clamp(min=1e-30))
