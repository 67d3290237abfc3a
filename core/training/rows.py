"""Train only the rows of the word embeddings that occur in the data.

A word piece that occurs in no row of any role is never looked up: its gradient is zero in every step, its moments stay
zero, and all that AdamW does to its row is the decay ``p ← p·(1 − lr·weight_decay)``. So such rows are left out of
gradient, moments and update, and their decay is kept as one number that is applied when the weights are saved. The
mathematics is that of the whole matrix; what changes is that a step no longer touches tens of thousands of rows for
nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import nn

from core.config import OptimizerConfig

__all__ = ["UsedRows", "used_ids"]

#: With more used rows than this share of the vocabulary the remapping is not worth it.
LARGEST_SHARE = 0.8


def used_ids(roles: Iterable[Iterable[dict[str, list[int]]]], special: Iterable[int], vocabulary: int) -> np.ndarray:
    """Return the sorted ids of all word pieces in the features of all roles, and the special ones."""
    seen = np.zeros(vocabulary, dtype=bool)
    for features in roles:
        for feature in features:
            seen[np.asarray(feature["input_ids"], dtype=np.int64)] = True
    for index in special:
        if 0 <= index < vocabulary:
            seen[index] = True
    return np.flatnonzero(seen)


class UsedRows:
    """Replace the weight of an embedding by its used rows, in place, under the same parameter name.

    Parameters
    ----------
    embedding
        The word embedding; its ``weight`` becomes a parameter of shape (used, width), and ids are mapped before
        look-up.
    ids
        Used ids, sorted.
    group, weight_decay
        Name of the parameter group that the embedding belongs to, and its weight decay.
    """

    def __init__(self, embedding: nn.Embedding, ids: np.ndarray, group: str, weight_decay: float):
        self.group = group
        self._weight_decay = weight_decay
        self._embedding = embedding
        self._original = embedding.weight
        self.base = embedding.weight.detach()
        device = self.base.device
        self.ids = torch.from_numpy(ids.astype(np.int64)).to(device)
        position = torch.zeros(self.base.shape[0], dtype=torch.int64, device=device)
        position[self.ids] = torch.arange(len(ids), device=device)
        self._position = position
        self._padding = embedding.padding_idx
        #: What the rows outside the data are still to be multiplied by.
        self.decay = 1.0
        self.rows = nn.Parameter(self.base[self.ids].clone())
        self._hook: torch.utils.hooks.RemovableHandle | None = None
        self._attach()

    @staticmethod
    def possible(
        model: nn.Module, embedding: nn.Module, optimizer: OptimizerConfig, weight_decay: float, share: float
    ) -> bool:
        """Return whether leaving rows out is exact and worth it.

        AdamW's decay does not pass through the moments. The other optimisers add the decay to the gradient, so they may
        leave rows out only when there is none. Adafactor's moments are means over rows: never.
        """
        if not isinstance(embedding, nn.Embedding) or share > LARGEST_SHARE or embedding.max_norm is not None:
            return False
        if optimizer.name == "adafactor" or (optimizer.name != "adamw" and weight_decay > 0):
            return False
        owners = sum(
            parameter is embedding.weight for module in model.modules() for parameter in module._parameters.values()
        )
        return owners == 1 and embedding.weight.requires_grad

    def _attach(self) -> None:
        embedding = self._embedding
        embedding.weight = self.rows
        embedding.num_embeddings = self.rows.shape[0]
        if self._padding is not None:
            embedding.padding_idx = int(self._position[self._padding])
        position = self._position
        self._hook = embedding.register_forward_pre_hook(lambda _, args: (position[args[0]], *args[1:]))

    def stepped(self, lr: float) -> None:
        """Note one optimiser step at a learning rate."""
        if self._weight_decay:
            self.decay *= 1.0 - lr * self._weight_decay

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Give the embedding its whole matrix back for as long as the block lasts."""
        assert self._hook is not None
        self._hook.remove()
        with torch.no_grad():
            whole = self.base * self.decay
            whole[self.ids] = self.rows
        self._embedding.weight = nn.Parameter(whole)
        self._embedding.num_embeddings = whole.shape[0]
        self._embedding.padding_idx = self._padding
        try:
            yield
        finally:
            self._attach()

    def release(self) -> None:
        """Give the embedding its whole matrix back for good, with what the rows have become."""
        assert self._hook is not None
        self._hook.remove()
        with torch.no_grad():
            if self.decay != 1.0:
                self.base.mul_(self.decay)
            self.base[self.ids] = self.rows
        self._embedding.weight = self._original
        self._embedding.num_embeddings = self.base.shape[0]
        self._embedding.padding_idx = self._padding
