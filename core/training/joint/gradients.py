"""Gradients of several tasks on shared parameters: how they lie to one another, and PCGrad.

Everything follows from the products of the gradients, g_i · g_j: cosines, norms, and projections too, since a projected
gradient is a weighted sum of the ones that there were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

__all__ = ["combine", "pcgrad_weights", "products", "take_gradients"]

#: Gradients of one task by parameter name; a parameter that it does not reach is missing.
Gradients = dict[str, torch.Tensor]


def take_gradients(parameters: Mapping[str, torch.nn.Parameter], divide: torch.Tensor | None = None) -> Gradients:
    """Take the gradients off some parameters, divided by a number of shape () where one is given."""
    found: Gradients = {}
    for name, parameter in parameters.items():
        if parameter.grad is not None:
            found[name] = parameter.grad
            parameter.grad = None
    if divide is not None and found:
        torch._foreach_div_(list(found.values()), divide)
    return found


def products(gradients: Sequence[Gradients], units: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Return the products of all pairs of gradients, unit by unit.

    Parameters
    ----------
    gradients
        Of each task.
    units
        Parameter name → the unit that it belongs to (``embeddings``, ``layer 0`` …), in their order.

    Returns
    -------
    dict
        Unit → g_i · g_j over its parameters, fp32, shape (tasks, tasks).
    """
    members: dict[str, list[str]] = {}
    for name, unit in units.items():
        members.setdefault(unit, []).append(name)
    count = len(gradients)
    found: dict[str, torch.Tensor] = {}
    for unit, names in members.items():
        parts = [[one[name].float() if name in one else None for name in names] for one in gradients]
        rows: list[torch.Tensor] = []
        for first in range(count):
            for second in range(count):
                if second < first:
                    rows.append(rows[second * count + first])
                    continue
                dots = [
                    torch.dot(a.reshape(-1), b.reshape(-1))
                    for a, b in zip(parts[first], parts[second], strict=True)
                    if a is not None and b is not None
                ]
                rows.append(torch.stack(dots).sum() if dots else torch.zeros((), device=_device(gradients)))
        found[unit] = torch.stack(rows).view(count, count)
    return found


def _device(gradients: Sequence[Gradients]) -> torch.device:
    return next((tensor.device for one in gradients for tensor in one.values()), torch.device("cpu"))


def pcgrad_weights(gram: np.ndarray, orders: Sequence[Sequence[int]]) -> np.ndarray:
    """Return how much of each gradient the sum of the projected ones holds.

    Each gradient g_i is projected onto the normal plane of every other g_j that it conflicts with, g_i · g_j < 0, one
    after another in a random order: g_i ← g_i − (g_i · g_j / ‖g_j‖²) g_j, with g_j as it was (algorithm 1 of the
    paper).

    Parameters
    ----------
    gram
        g_i · g_j, shape (tasks, tasks).
    orders
        For each task the others, in the order in which it meets them.

    Returns
    -------
    numpy.ndarray
        Weights w with Σ_i PC(g_i) = Σ_j w_j g_j, shape (tasks,). All are 1 where nothing conflicts.

    References
    ----------
    Yu, Kumar, Gupta, Levine, Hausman & Finn (2020), Gradient Surgery for Multi-Task Learning, NeurIPS.
    """
    gram = np.asarray(gram, dtype=np.float64)
    total = np.zeros(len(gram))
    for task, order in enumerate(orders):
        own = np.zeros(len(gram))
        own[task] = 1.0
        for other in order:
            along = float(own @ gram[:, other])
            if along < 0 and gram[other, other] > 0:
                own[other] -= along / gram[other, other]
        total += own
    return total


def combine(gradients: Sequence[Gradients], weights: Sequence[float]) -> Gradients:
    """Return Σ_i w_i g_i by parameter name; the tensors that are given are used up."""
    found: Gradients = {}
    for one, weight in zip(gradients, weights, strict=True):
        for name, tensor in one.items():
            if name in found:
                found[name].add_(tensor, alpha=weight)
            else:
                found[name] = tensor if weight == 1.0 else tensor.mul_(weight)
    return found
