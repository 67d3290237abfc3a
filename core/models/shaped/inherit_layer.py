"""One layer of a student: what it takes over from a layer of its parent, and the refits in the order of data flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from core.config.shape import LayerShape
from core.errors import ModelError
from core.models.shaped.parent import Inside, Parent
from core.models.shaped.prune import best_of
from core.models.shaped.refit import fit_norm, ridge, shrunk

__all__ = ["LayerFiller", "LayerReport", "relative_error"]


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


class LayerFiller:
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

    @property
    def stands(self) -> torch.Tensor:
        """What the coordinates of the stream after it stand for."""
        return self.carried if self.mode == "bus" else self.basis

    def fill(
        self, stream: torch.Tensor, *, refit: bool, strength: float
    ) -> tuple[torch.Tensor, torch.Tensor, LayerReport]:
        """Set the weights; return the stream after the layer, the basis that it stands for, and the report."""
        self._project()
        if refit and not self.exact:
            self._refit(stream, strength)
        after = self.module(stream, self.parent.bias)
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
        return after, self.stands, report

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
    return best_of([scores], count / len(scores), "layer")[0] if count else []


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the squared error by the variance of what is wanted: 0 is perfect, the mean scores 1.

    Parameters
    ----------
    found, wanted
        Of shape (rows, width).
    """
    rest = (found - wanted).double().square().sum()
    return float(rest / (wanted - wanted.mean(0)).double().square().sum().clamp(min=1e-30))
