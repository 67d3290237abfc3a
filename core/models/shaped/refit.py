"""Least squares for inherited weights: ridge towards given values, and a LayerNorm's gain and bias by coordinate."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["fit_norm", "ridge", "shrunk"]


def ridge(
    inputs: torch.Tensor,
    targets: torch.Tensor,
    *,
    strength: float,
    towards: torch.Tensor | None = None,
    towards_bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit an affine map by ridge regression (Hoerl & Kennard 1970), shrunk towards a given one.

    Minimises ‖X Wᵀ + b − Y‖² + s‖W − W₀‖², where s = `strength` times the mean squared length of a centred input
    coordinate times the number of rows; b is not shrunk.

    Parameters
    ----------
    inputs
        X of shape (rows, inputs).
    targets
        Y of shape (rows, outputs).
    strength
        Above 0.
    towards
        W₀ of shape (outputs, inputs); zero by default.
    towards_bias
        Only used where there are fewer than two rows.

    Returns
    -------
    (torch.Tensor, torch.Tensor)
        W of shape (outputs, inputs) and b of shape (outputs,), in the type of `inputs`.
    """
    kind = inputs.dtype
    outputs, width = targets.shape[1], inputs.shape[1]
    start = inputs.new_zeros(outputs, width) if towards is None else towards
    if len(inputs) < 2:
        return start.clone(), inputs.new_zeros(outputs) if towards_bias is None else towards_bias.clone()
    x, y = inputs.float(), targets.float()
    mean_x, mean_y = x.mean(0), y.mean(0)
    x = x - mean_x
    rest = y - mean_y - x @ start.float().T
    gram = (x.T @ x).double()
    scale = float(gram.diagonal().mean().clamp(min=1e-12))
    gram.diagonal().add_(strength * scale)
    change = torch.linalg.solve(gram, (x.T @ rest).double()).T
    weight = start.double() + change
    bias = mean_y.double() - weight @ mean_x.double()
    return weight.to(kind), bias.to(kind)


def shrunk(layer: nn.Linear, inputs: torch.Tensor, targets: torch.Tensor, *, strength: float) -> None:
    """Refit a linear layer in place, shrunk to the weights that it has.

    Parameters
    ----------
    layer
        The layer.
    inputs
        Of shape (rows, inputs).
    targets
        Of shape (rows, outputs).
    strength
        See :func:`ridge`.
    """
    weight, bias = ridge(inputs, targets, strength=strength, towards=layer.weight.data, towards_bias=layer.bias.data)
    layer.weight.data.copy_(weight)
    layer.bias.data.copy_(bias)


def fit_norm(norm: nn.LayerNorm, inputs: torch.Tensor, targets: torch.Tensor, rows: int | None = None) -> None:
    """Set gain and bias of a LayerNorm by ordinary least squares, one coordinate at a time.

    Parameters
    ----------
    norm
        The norm; changed in place.
    inputs
        What enters it, of shape (rows, width).
    targets
        What should leave it, of shape (rows, coordinates).
    rows
        Only the first so many coordinates are fitted; by default all that `targets` has.
    """
    count = targets.shape[1] if rows is None else rows
    x = nn.functional.layer_norm(inputs, norm.normalized_shape, eps=norm.eps)[:, :count].double()
    y = targets[:, :count].double()
    centred = x - x.mean(0)
    spread = centred.square().sum(0)
    gain = (centred * (y - y.mean(0))).sum(0) / spread.clamp(min=1e-12)
    gain = torch.where(spread > 1e-9, gain, torch.ones_like(gain))
    norm.weight.data[:count] = gain.to(norm.weight.dtype)
    norm.bias.data[:count] = (y.mean(0) - gain * x.mean(0)).to(norm.bias.dtype)
