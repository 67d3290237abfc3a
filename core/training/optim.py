"""The optimiser: groups with rates, one pass for clipping, state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from core.config import OptimizerConfig
from core.training.groups import GroupSpec

__all__ = ["Optimiser"]

#: Optimisers whose fused kernel divides gradients by a scale while it reads them anyway.
_FUSED = ("adamw", "adam", "sgd")


def _build(
    config: OptimizerConfig, groups: list[dict[str, Any]], device: torch.device
) -> tuple[torch.optim.Optimizer, bool]:
    fused = device.type in ("cpu", "cuda") and config.name in _FUSED
    adam: dict[str, Any] = {"betas": config.betas, "eps": config.eps, "fused": fused or None}
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, **adam), fused
    if config.name == "adam":
        return torch.optim.Adam(groups, lr=0.0, **adam), fused
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=config.momentum, fused=fused or None), fused
    if config.name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=0.0, momentum=config.momentum, eps=config.eps), False
    return torch.optim.Adafactor(groups, lr=0.0), False


class Optimiser:
    """An optimiser of torch over named groups.

    Parameters
    ----------
    config
        Name and constants.
    specs
        Groups by parameter name.
    parameters
        Name → parameter.
    device
        Where the parameters are.
    """

    def __init__(
        self,
        config: OptimizerConfig,
        specs: Sequence[GroupSpec],
        parameters: Mapping[str, torch.nn.Parameter],
        device: torch.device,
    ):
        self.specs = list(specs)
        groups = [
            {
                "params": [parameters[name] for name in spec.parameters],
                "weight_decay": spec.weight_decay,
                "name": spec.name,
                "lr": 0.0,
            }
            for spec in self.specs
        ]
        self._optimizer, self._fused = _build(config, groups, device)
        self._device = device
        self.names = [name for spec in self.specs for name in spec.parameters]
        self._parameters = {name: parameters[name] for name in self.names}
        self.base = {spec.name: spec.lr for spec in self.specs}

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Set the learning rate of every group."""
        for group in self._optimizer.param_groups:
            group["lr"] = rates[group["name"]]

    def step(self, weight: torch.Tensor | None, clip: float | None) -> torch.Tensor:
        """Normalise and clip the gradients, and update.

        Parameters
        ----------
        weight
            Sum of the loss weights that the gradients still have to be divided by; None if that is done.
        clip
            Largest norm of the normalised gradient; None for no clipping.

        Returns
        -------
        torch.Tensor
            Norm of the normalised gradient before clipping, shape (), on the device.
        """
        gradients = [parameter.grad for parameter in self._parameters.values() if parameter.grad is not None]
        norms = torch._foreach_norm(gradients)
        norm = torch.linalg.vector_norm(torch.stack(norms))
        scale = torch.ones((), device=norm.device)
        if weight is not None:
            scale = weight.to(norm.dtype)
            norm = norm / scale
        if clip is not None:
            scale = scale * torch.clamp((norm + 1e-6) / clip, min=1.0)
        if self._fused:
            # The kernel divides while it reads: no pass of its own over all gradients.
            self._optimizer.grad_scale = scale  # type: ignore[attr-defined]
        elif weight is not None or clip is not None:
            torch._foreach_div_(gradients, scale)
        self._optimizer.step()
        return norm

    def zero(self) -> None:
        """Drop the gradients."""
        self._optimizer.zero_grad(set_to_none=True)

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """Return the whole state as tensors named ``parameter|entry``."""
        found: dict[str, torch.Tensor] = {}
        for name, parameter in self._parameters.items():
            for key, value in self._optimizer.state.get(parameter, {}).items():
                if isinstance(value, torch.Tensor):
                    found[f"{name}|{key}"] = value.detach()
        return found

    def load_state_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take the state that :meth:`state_tensors` returned."""
        self._optimizer.state.clear()
        for label, tensor in tensors.items():
            name, _, key = label.rpartition("|")
            target = self._device if key != "step" or self._fused else torch.device("cpu")
            self._optimizer.state[self._parameters[name]][key] = tensor.to(target).clone()
