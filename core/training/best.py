"""The best model of a run: on the disk as soon as it is found, in memory for as long as the disk takes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from core.errors import StorageError
from core.training.material import Material
from core.training.prepare import Prepared
from core.training.results import save_best

__all__ = ["BestModel", "Weights"]

_ROW_DECAY = "|row_decay"


class Weights:
    """Takes copies of a stage's trained parameters and puts them back.

    Parameters
    ----------
    prepared
        The stage.
    names
        Names of the trained parameters.
    """

    def __init__(self, prepared: Prepared, names: list[str]):
        self._prepared = prepared
        self._names = names

    def take(self) -> dict[str, torch.Tensor]:
        """Return a copy of the trained parameters as they are now."""
        parameters, rows = self._prepared.parameters, self._prepared.rows
        found = {name: parameters[name].detach().clone() for name in self._names}
        if rows is not None:
            found[_ROW_DECAY] = torch.tensor(rows.decay, dtype=torch.float64)
        return found

    def put(self, weights: dict[str, torch.Tensor]) -> None:
        """Set the trained parameters to what :meth:`take` returned."""
        parameters, rows = self._prepared.parameters, self._prepared.rows
        with torch.no_grad():
            for name in self._names:
                parameters[name].copy_(weights[name])
        if rows is not None:
            rows.decay = float(weights[_ROW_DECAY])


@dataclass
class _Waiting:
    metrics: dict[str, float]
    step: int
    #: Every parameter by name; None as long as the model itself still has these weights.
    weights: dict[str, torch.Tensor] | None = None


class BestModel:
    """Writes the best model.

    Parameters
    ----------
    material
        The run's model.
    folder
        Model folder to write.
    event
        Told when the disk takes nothing.
    """

    def __init__(self, material: Material, folder: Path, event: Callable[..., None]):
        self._material = material
        self._event = event
        self._waiting: _Waiting | None = None
        self.folder = folder

    def keep(self, metrics: dict[str, float], step: int) -> None:
        """Note that the model as it is now is the best, and try to write it."""
        self._waiting = _Waiting(metrics, step)
        self.write()

    def write(self, *, must: bool = False) -> bool:
        """Write the best model if it is not on the disk yet; returns whether it is there.

        A full disk keeps it in memory until the next try. At the end, when it `must` be written, the disk's error is
        raised: the run fails and can be resumed.
        """
        waiting = self._waiting
        if waiting is None:
            return True
        with self._material.whole():
            now: dict[str, torch.Tensor] | None = None
            if waiting.weights is not None:
                now = _copies(self._material)
                _put(self._material, waiting.weights)
            try:
                save_best(self._material, self.folder, waiting.metrics)
                self._waiting = None
                return True
            except StorageError as error:
                if must:
                    raise
                if waiting.weights is None:
                    waiting.weights = _copies(self._material)
                    message = f"The best model could not be written yet. {error.message()}"
                    self._event("warning", message, step=waiting.step)
                return False
            finally:
                if now is not None:
                    _put(self._material, now)

    def write_last(self, step: int) -> None:
        """Take the model as it is now for the best: without a gate nothing else can decide."""
        self._waiting = _Waiting({}, step)
        self.write(must=True)


def _copies(material: Material) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in material.model.named_parameters()}


def _put(material: Material, weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in material.model.named_parameters():
            parameter.copy_(weights[name])
