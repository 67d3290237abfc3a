"""Restore points: states of a stage that a decision can go back to, as folders that are complete or not there.

``restore/<stage>-<what>/`` has the form of a checkpoint. A point that the last checkpoint relies on stays until a newer
checkpoint does not: a run that is killed goes on from that checkpoint and may decide to go back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from core.errors import StorageError
from core.training.checkpoints import Loaded, random_state, read_folder, write_folder
from core.training.files import manifest_ok, recover, remove, sweep

__all__ = ["RestorePoints"]


class RestorePoints:
    """The restore points of one run.

    Parameters
    ----------
    folder
        ``restore/`` of the run.
    event
        Called as ``event(kind, message, step=…)``; a full disk is told, and points stay in memory until it takes them.
    """

    def __init__(self, folder: Path, event: Callable[..., None]):
        self.folder = folder
        self._event = event
        self._waiting: dict[str, Loaded] = {}
        #: Names that the checkpoint on the disk relies on.
        self._relied: set[str] = set()

    def write(
        self,
        name: str,
        step: int,
        tensors: dict[str, torch.Tensor],
        optimizer: dict[str, torch.Tensor],
        state: dict[str, Any],
    ) -> None:
        """Write a point; where the disk takes nothing it is held in memory."""
        try:
            write_folder(self.folder / name, step, tensors, optimizer, state)
            self._waiting.pop(name, None)
        except StorageError as error:
            if not self._waiting:
                self._event("warning", f"A restore point could not be written yet. {error.message()}", step=step)
            random, scalars = random_state()
            self._waiting[name] = Loaded(
                step, _copies(tensors), _copies(optimizer), random, {**state, "random": scalars}
            )

    def load(self, name: str, device: torch.device) -> Loaded:
        """Read a point.

        Raises
        ------
        StorageError
            If it is not there or damaged.
        """
        if name in self._waiting:
            return self._waiting[name]
        path = self.folder / name
        if not manifest_ok(path):
            raise StorageError(
                f"The restore point {name} is missing or damaged.",
                where=str(path),
                advice="The run cannot go back to it: start a new run.",
            )
        return read_folder(path, device)

    def settle(self) -> bool:
        """Try to write what is held in memory; return whether everything is on the disk."""
        for name, point in list(self._waiting.items()):
            try:
                random = point.random, point.state["random"]
                write_folder(self.folder / name, point.step, point.tensors, point.optimizer, point.state, random=random)
            except StorageError:
                return False
            del self._waiting[name]
        return True

    def rely(self, names: Iterable[str]) -> None:
        """Note which points the checkpoint on the disk relies on, and remove all others."""
        self._relied = set(names)
        self.keep(names)

    def keep(self, names: Iterable[str]) -> None:
        """Remove the points that neither `names` nor the checkpoint on the disk ask for."""
        kept = set(names)
        for name in list(self._waiting):
            if name not in kept:
                del self._waiting[name]
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if path.is_dir() and not path.name.startswith(".") and path.name not in kept | self._relied:
                    remove(path)

    def tidy(self) -> None:
        """Mend what an interrupted write left."""
        sweep(self.folder)
        if self.folder.is_dir():
            for path in list(self.folder.glob("*.old")):
                recover(path.with_name(path.name.removesuffix(".old")))

    def clear(self) -> None:
        """Remove all points."""
        self._waiting.clear()
        self._relied.clear()
        remove(self.folder)


def _copies(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
