"""Resume checkpoints: everything a run needs to go on bit for bit, in folders that are complete or not there.

``checkpoints/<step>/`` holds ``model.safetensors`` (every parameter that a stage so far has trained; all others are
rebuilt from plan and seed, and their fingerprint is compared), ``optimizer.safetensors``, ``random.safetensors``,
``state.json`` and a manifest with sizes and checksums. Nothing is unpickled.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from core.errors import StorageError
from core.training.files import atomic_folder, manifest_ok, recover, remove, sweep, write_manifest

__all__ = [
    "FORMAT", "Checkpoints", "Loaded", "random_state", "read_folder", "restore_random_state", "write_folder",
]  # fmt: skip

FORMAT = 2
_RETRY_S = 30.0


@dataclass
class Loaded:
    """A checkpoint that was read.

    Parameters
    ----------
    step
        Optimiser steps done.
    tensors, optimizer, random
        Tensors by name.
    state
        Everything else, as JSON gave it.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    random: dict[str, torch.Tensor]
    state: dict[str, Any]


def random_state() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the states of python's, numpy's and torch's generators as tensors and JSON."""
    kind, keys, position, has_gauss, cached = np.random.get_state()
    version, words, gauss = random.getstate()
    tensors = {
        "torch": torch.random.get_rng_state(),
        "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "python": torch.tensor(words, dtype=torch.int64),
    }
    if torch.cuda.is_available():
        tensors.update({f"cuda.{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())})
    scalars = {"numpy": [kind, int(position), int(has_gauss), float(cached)], "python": [version, gauss]}
    return tensors, scalars


def restore_random_state(tensors: dict[str, torch.Tensor], scalars: dict[str, Any]) -> None:
    """Put the generators into the state that :func:`random_state` returned."""
    torch.random.set_rng_state(tensors["torch"])
    kind, position, has_gauss, cached = scalars["numpy"]
    np.random.set_state((kind, tensors["numpy"].numpy().astype(np.uint32), position, has_gauss, cached))
    version, gauss = scalars["python"]
    random.setstate((version, tuple(tensors["python"].tolist()), gauss))
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(devices):
        if f"cuda.{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda.{index}"], index)


def write_folder(
    target: Path,
    step: int,
    tensors: dict[str, torch.Tensor],
    optimizer: dict[str, torch.Tensor],
    state: dict[str, Any],
    *,
    random: tuple[dict[str, torch.Tensor], dict[str, Any]] | None = None,
) -> None:
    """Write a state into a folder that is complete or not there, with that of the random generators (as they are now).

    Raises
    ------
    StorageError
        If the disk is too full or refuses; what stood there before stays.
    """
    random_tensors, random_scalars = random or random_state()
    need = sum(tensor.numel() * tensor.element_size() for part in (tensors, optimizer) for tensor in part.values())
    with atomic_folder(target, need=need + (1 << 20)) as partial:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial / "model.safetensors")
        save_file({name: tensor.contiguous() for name, tensor in optimizer.items()}, partial / "optimizer.safetensors")
        save_file(random_tensors, partial / "random.safetensors")
        content = {"format": FORMAT, "step": step, "random": random_scalars, **state}
        (partial / "state.json").write_text(json.dumps(content), encoding="utf-8")
        write_manifest(partial)


def read_folder(path: Path, device: torch.device) -> Loaded:
    """Read what :func:`write_folder` wrote; the manifest is not looked at."""
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    return Loaded(
        state["step"],
        load_file(path / "model.safetensors", device=str(device)),
        load_file(path / "optimizer.safetensors", device="cpu"),
        load_file(path / "random.safetensors", device="cpu"),
        state,
    )


class Checkpoints:
    """The checkpoints of one run.

    Parameters
    ----------
    folder
        ``checkpoints/`` of the run.
    event
        Called as ``event(kind, message, step=…)``; a full disk is told, and training goes on.
    every_s, every_steps
        When a checkpoint is due.
    """

    def __init__(self, folder: Path, event: Callable[..., None], *, every_s: float, every_steps: int | None):
        self.folder = folder
        self._event = event
        self._every_s = every_s
        self._every_steps = every_steps
        self._saved_at = time.monotonic()
        self._saved_step = 0
        self._saved_place: Any = None
        self._retry_at = 0.0
        self._told = False

    def mark(self, step: int, place: Any = None) -> None:
        """Take `step` as saved: after a resume the next checkpoint is due from here."""
        self._saved_step, self._saved_place, self._saved_at = step, place, time.monotonic()

    def postpone(self) -> None:
        """Try again half a minute later."""
        self._retry_at = time.monotonic() + _RETRY_S

    def due(self, step: int) -> bool:
        """Return whether a checkpoint is due after `step`."""
        if step == self._saved_step or time.monotonic() < self._retry_at:
            return False
        if self._every_steps is not None and step - self._saved_step >= self._every_steps:
            return True
        return time.monotonic() - self._saved_at >= self._every_s

    def save(
        self, step: int, tensors: dict[str, torch.Tensor], optimizer: dict[str, torch.Tensor], state: dict[str, Any]
    ) -> bool:
        """Write the checkpoint of a step; return whether it stands on the disk.

        At one step a run can be at several places, for example at a stage's end and at the next one's beginning:
        ``state["place"]`` tells them apart. A disk that is full or refuses is told once as a warning and tried again
        half a minute later; the last good checkpoint stays.
        """
        if step == self._saved_step and state.get("place") == self._saved_place and self._path(step).exists():
            return True
        try:
            write_folder(self._path(step), step, tensors, optimizer, state)
        except StorageError as error:
            self.postpone()
            if not self._told:
                self._event(
                    "warning",
                    f"No checkpoint could be written; training goes on and tries again. {error.message()}",
                    step=step,
                )
                self._told = True
            return False
        self._told, self._retry_at = False, 0.0
        self.mark(step, state.get("place"))
        for other in self.steps():
            if other != step:
                remove(self._path(other))
        return True

    def steps(self) -> list[int]:
        """Return the steps of the complete-looking folders, newest first."""
        if not self.folder.is_dir():
            return []
        found = [int(path.name) for path in self.folder.iterdir() if path.name.isdigit() and path.is_dir()]
        return sorted(found, reverse=True)

    def load(self, device: torch.device) -> Loaded | None:
        """Read the newest checkpoint that is whole; damaged ones are told, removed, and the one before is taken."""
        sweep(self.folder)
        for path in list(self.folder.glob("*.old")) if self.folder.is_dir() else []:
            recover(path.with_name(path.name.removesuffix(".old")))  # one of the same step was being replaced
        for step in self.steps():
            path = self._path(step)
            if not manifest_ok(path):
                self._event("warning", f"The checkpoint of step {step} is damaged and was removed.", step=step)
                remove(path)
                continue
            found = read_folder(path, device)
            if found.state.get("format") != FORMAT:
                self._event(
                    "warning", f"The checkpoint of step {step} has an unknown format and is not used.", step=step
                )
                continue
            self.mark(step, found.state.get("place"))
            return found
        return None

    def clear(self) -> None:
        """Remove all checkpoints."""
        remove(self.folder)

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:08d}"
