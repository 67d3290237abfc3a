"""The weights of a moment between two stages, in memory: taken, and put back bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from core.training.checkpoints import random_state, restore_random_state
from core.training.material import Material

__all__ = ["Snapshot"]


@dataclass
class Snapshot:
    """All parameters, buffers and random generators of a moment."""

    tensors: dict[str, torch.Tensor]
    random: tuple[dict[str, torch.Tensor], dict[str, Any]]
    touched: set[str]
    digests: dict[str, bytes]

    @classmethod
    def of(cls, material: Material) -> Snapshot:
        """Copy the model as it is; of a word embedding that is reduced to its rows, the whole."""
        with material.whole():
            tensors = {
                name: tensor.detach().clone()
                for named in (material.model.named_parameters(), material.model.named_buffers())
                for name, tensor in named
            }
        return cls(tensors, random_state(), set(material.touched), dict(material.digests))

    def put_into(self, material: Material) -> None:
        """Put everything back. No session may be open.

        Raises
        ------
        RuntimeError
            If a stage is built on the model.
        """
        if material.rows is not None:
            raise RuntimeError("a session is open")
        with torch.no_grad():
            for named in (material.model.named_parameters(), material.model.named_buffers()):
                for name, tensor in named:
                    tensor.copy_(self.tensors[name])
        material.touched, material.digests = set(self.touched), dict(self.digests)
        restore_random_state(*self.random)
