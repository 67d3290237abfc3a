"""What a memory reads in a forward pass: sizes of the values and of what comes out, taken by a hook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from core.models.pointer.scorer import PointerMemory

__all__ = ["reading"]


@contextmanager
def reading(model: nn.Module) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Note what the memory of a head reads, as long as the block lasts.

    Parameters
    ----------
    model
        A model whose head points; without a memory nothing is noted.

    Yields
    ------
    list of (torch.Tensor, torch.Tensor)
        Of each forward pass: ‖v_i‖ of the empty slot, of the words and of a dictionary's entries, shape (batch, 1 +
        words + entries), and ‖m_t‖, shape (batch, queries); float32 on the model's device. A share of an A_{t,i} of
        m_t = Σ A_{t,i} v_i follows from them.
    """
    noted: list[tuple[torch.Tensor, torch.Tensor]] = []

    def note(module: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
        assert isinstance(module, PointerMemory)
        with torch.no_grad():
            sizes = module.value(given[1]).float().norm(dim=-1)
            null = module.null.float().norm().expand(len(sizes), 1)
            parts = [null, sizes]
            if len(given) > 2 and given[2] is not None:
                parts.append(module.value(given[2]).float().norm(dim=-1).expand(len(sizes), -1))
            noted.append((torch.cat(parts, dim=1), output.detach().float().norm(dim=-1)))

    hooks = [part.register_forward_hook(note) for part in model.modules() if isinstance(part, PointerMemory)]
    try:
        yield noted
    finally:
        for hook in hooks:
            hook.remove()
