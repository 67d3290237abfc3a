"""Weights of candidates: made from the parent, kept on the disk while the search needs them, never in memory.

What is kept are the parameters of the layers (and of the readout), because embeddings and pooler stay the parent's.
Only workers import this module: it loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.models.shaped.inherit import Inherited, inherit, without_weights
from core.search.inheriting import Calibration
from core.search.structure.records import Candidate
from core.training.checkpoints import read_folder, write_folder
from core.training.files import manifest_ok, recover, remove, sweep

__all__ = ["INHERITED", "Kept", "Students"]

#: Rung of a student that was not trained yet.
INHERITED = -1
FOLDER = "students"


@dataclass(frozen=True)
class Kept:
    """Weights that were read from the disk.

    Parameters
    ----------
    rung
        The last rung that is complete; -1 where none is.
    state
        What :func:`core.search.distilling.distil_states` goes on from; None where nothing was trained.
    partial
        Whether the state lies within the next rung.
    weights
        The parameters of the layers.
    """

    rung: int
    state: Mapping[str, Any] | None
    partial: bool
    weights: Mapping[str, torch.Tensor]


class Students:
    """The students of a search.

    Parameters
    ----------
    folder
        The run's folder.
    calibration
        The parent on texts.
    seed
        Seed of what is initialised.
    """

    def __init__(self, folder: Path, calibration: Calibration, seed: int) -> None:
        self._folder, self._calibration, self._seed = folder / FOLDER, calibration, seed

    def inherited(self, candidate: Candidate) -> Inherited:
        """Return a candidate with inherited weights, before any training; a pure function of parent and texts."""
        return inherit(
            self._calibration.fit, candidate.encoder_shape, segments=candidate.segments, seed=self._seed
        )  # fmt: skip

    def with_weights(self, candidate: Candidate, weights: Mapping[str, torch.Tensor]) -> Inherited:
        """Return a candidate with given weights of its layers."""
        student = without_weights(
            self._calibration.fit, candidate.encoder_shape, segments=candidate.segments, seed=self._seed
        )
        with torch.no_grad():
            for name, parameter in student.model.encoder.named_parameters():
                parameter.copy_(weights[name])
        return student

    def keep(
        self, candidate: Candidate, student: Inherited, rung: int, *, state: Mapping[str, Any] | None = None,
        partial: bool = False,
    ) -> None:  # fmt: skip
        """Write a candidate's weights, in place of those before, whole or not at all.

        Parameters
        ----------
        candidate
            The candidate.
        student
            Its model.
        rung
            The last rung that is complete.
        state
            What training goes on from.
        partial
            Whether the state lies within the next rung.

        Raises
        ------
        StorageError
            If the disk is too full or refuses; what stood there before stays.
        """
        weights = {name: one.detach() for name, one in student.model.encoder.named_parameters()}
        told: dict[str, Any] = {"rung": rung, "partial": partial, "trained": state is not None}
        optimizer: dict[str, torch.Tensor] = {}
        if state is not None:
            optimizer = dict(state["optimizer"])
            told |= {name: state[name] for name in ("before", "curve", "seconds")}
        step = int(state["step"]) if state is not None else 0
        write_folder(self._folder / candidate.key, step, weights, optimizer, told)

    def read(self, key: str) -> Kept | None:
        """Return what is kept of a candidate; None where it is missing or damaged."""
        place = self._folder / key
        recover(place)
        if not manifest_ok(place):
            return None
        found = read_folder(place, torch.device("cpu"))
        told = found.state
        state = None
        if told["trained"]:
            state = {
                "step": found.step, "before": told["before"], "seconds": told["seconds"], "curve": told["curve"],
                "model": found.tensors, "optimizer": found.optimizer,
            }  # fmt: skip
        return Kept(int(told["rung"]), state, bool(told["partial"]), found.tensors)

    def drop(self, key: str) -> None:
        """Remove a candidate's weights."""
        remove(self._folder / key)

    def tidy(self, keys: set[str]) -> None:
        """Remove all weights but those of some candidates, and what interrupted writes left."""
        if not self._folder.is_dir():
            return
        sweep(self._folder)
        for place in list(self._folder.iterdir()):
            if place.is_dir() and place.name.removesuffix(".old") not in keys:
                remove(place)

    def clear(self) -> None:
        """Remove all of them."""
        remove(self._folder)

    def bytes(self) -> int:
        """Return what they take on the disk."""
        if not self._folder.is_dir():
            return 0
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
