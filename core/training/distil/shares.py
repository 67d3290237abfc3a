"""How much of the gradient each part of the loss makes: measured now and then, apart from the training's own backward.

The share of a part is ‖∇θ Lᵢ‖ / Σⱼ ‖∇θ Lⱼ‖: Euclidean norms of the gradients of the weighted parts with respect to all
trained parameters θ of the student, on the first micro-batch of a step. Norms, not gradients, are added: two parts that
pull against each other have a share each. Graph and numbers of the training stay as they are; each part costs one more
backward pass of one micro-batch, so every :data:`EVERY` steps for each part keeps the cost at about 0.5 % of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

__all__ = ["EVERY", "gradient_shares", "measured_at"]

#: Steps between two measurements, for each part of the loss.
EVERY = 150


def measured_at(own: int, *, terms: int) -> bool:
    """Return whether the shares are measured at a step of the stage (from 1): the first, then every so many."""
    return (own - 1) % (EVERY * terms) == 0


def gradient_shares(terms: Mapping[str, torch.Tensor], parameters: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the share of the gradient norm of each part, as ``distil/share_<part>``, each of shape ().

    Parameters
    ----------
    terms
        The weighted parts of the loss, each of shape (). Their graph is kept.
    parameters
        What is trained.

    Returns
    -------
    dict
        The shares sum to 1; empty where no part has a gradient.
    """
    norms = {}
    for name, value in terms.items():
        found = (
            torch.autograd.grad(value, list(parameters), retain_graph=True, allow_unused=True)
            if value.requires_grad
            else ()
        )
        squares = [one.float().square().sum() for one in found if one is not None]
        norms[name] = torch.stack(squares).sum().sqrt() if squares else value.new_zeros((), dtype=torch.float32)
    total = torch.stack(list(norms.values())).sum()
    if not bool(total > 0):
        return {}
    return {f"distil/share_{name}": norm / total for name, norm in norms.items()}
