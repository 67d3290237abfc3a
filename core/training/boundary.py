"""The place between the frozen and the trained part of an encoder: hidden states are taken there, and fed there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.training.packed import Captured

__all__ = ["Boundary", "Feed", "NotReached"]


class NotReached(Exception):
    """The forward pass ended without passing the boundary."""


def _first(output: Any) -> torch.Tensor:
    return output if isinstance(output, torch.Tensor) else output[0]


class Boundary:
    """The place between frozen and trained part, where hidden states are taken and put back.

    Parameters
    ----------
    layers
        The encoder's layers.
    depth
        Number of frozen lowest layers, from 1.
    """

    def __init__(self, layers: list[torch.nn.Module], depth: int):
        self.layers = layers
        self.depth = depth
        #: Whether a layer hands over a tuple, found out when the states are taken.
        self.tuples = [False] * depth

    def take(self, run: Callable[[], Any]) -> torch.Tensor:
        """Run a forward pass up to the boundary and return the hidden states, shape (batch, length, width)."""

        def note(index: int) -> Callable[..., None]:
            def hook(_: Any, __: Any, output: Any) -> None:
                self.tuples[index] = not isinstance(output, torch.Tensor)
                if index == len(self.layers) - 1:
                    raise Captured(_first(output))

            return hook

        def entering(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            raise Captured(args[0] if args else kwargs["hidden_states"])

        handles = [self.layers[index].register_forward_hook(note(index)) for index in range(self.depth)]
        if self.depth < len(self.layers):
            handles.append(self.layers[self.depth].register_forward_pre_hook(entering, with_kwargs=True))
        try:
            run()
        except Captured as captured:
            return captured.hidden
        finally:
            for handle in handles:
                handle.remove()
        raise NotReached

    @contextlib.contextmanager
    def put(self, hidden: torch.Tensor) -> Iterator[None]:
        """Feed hidden states: frozen layers pass their input through, the layer above (or the last) gets `hidden`."""
        whole = self.depth == len(self.layers)

        def passing(index: int) -> Callable[..., Any]:
            def forward(states: Any = None, *args: Any, **kwargs: Any) -> Any:
                states = kwargs["hidden_states"] if states is None else states
                value = hidden if whole and index == self.depth - 1 else states
                return (value, None) if self.tuples[index] else value

            return forward

        def entering(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if args:
                return (hidden, *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": hidden}

        handle = None
        for index in range(self.depth):
            self.layers[index].forward = passing(index)
        if not whole:
            handle = self.layers[self.depth].register_forward_pre_hook(entering, with_kwargs=True)
        try:
            yield
        finally:
            for index in range(self.depth):
                del self.layers[index].forward
            if handle is not None:
                handle.remove()


@dataclass
class Feed:
    """The activations of one role.

    Parameters
    ----------
    boundary
        Where they belong.
    data
        fp32 of shape (sub-words of all features, width), or (features, width) if `first_only`.
    offsets
        Start of each feature in `data`, and the end; length features + 1.
    first_only
        Whether only the first position is kept.
    device
        Where the model is.
    """

    boundary: Boundary
    data: np.ndarray
    offsets: np.ndarray
    first_only: bool
    device: torch.device

    def packed(self, indices: np.ndarray) -> torch.Tensor:
        """Return the states of some features one after another, shape (sub-words, width) or (features, width)."""
        if self.first_only:
            chosen = self.data[indices]
        else:
            chosen = np.concatenate([self.data[self.offsets[index] : self.offsets[index + 1]] for index in indices])
        return torch.from_numpy(np.ascontiguousarray(chosen)).to(self.device)

    def padded(self, indices: np.ndarray, mask: torch.Tensor) -> torch.Tensor:
        """Return the states of shape (features, length, width), zero where the mask is; length 1 if `first_only`."""
        states = self.packed(indices)
        if self.first_only:
            return states[:, None]
        hidden = states.new_zeros(*mask.shape, states.shape[-1])
        hidden[mask.bool()] = states
        return hidden

    @contextlib.contextmanager
    def active(self, indices: np.ndarray, mask: torch.Tensor) -> Iterator[None]:
        """Feed the states of some features into the stock model."""
        with self.boundary.put(self.padded(indices, mask)):
            yield
