"""What belongs to a run and not to a stage: roles, task, model, tokenised features. Stages are built on it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.config import Plan, Stage
from core.data.tasks.base import Encoded, Task
from core.errors import DataError
from core.training.batches import total_steps
from core.training.device import pick_device
from core.training.groups import GroupSpec, resolve
from core.training.rows import UsedRows
from core.training.sharing import encoded_once, rows_once

__all__ = ["ROLES", "Material", "encode_roles", "load_material", "load_rows", "parameter_units", "top_names"]

ROLES = ("train", "gate", "test")


@dataclass
class Material:
    """A run before its first stage, and between two.

    Parameters
    ----------
    plan
        The plan.
    roles
        Rows by role, labels and the data report.
    task
        Format, loss and metrics.
    model, tokenizer
        Stock transformers objects, on the device.
    encoded
        Tokenised roles; a role without rows is missing.
    layers, encoder
        The encoder's layers, lowest first, and the model below the head.
    units
        Parameter name → ``embeddings``, ``layer k`` or ``head``.
    device
        Where the model is.
    rows
        The reduced word embedding while a stage trains it.
    touched, touched_before
        Names of parameters that are no longer as they were loaded; those of stages before the one that is built now.
    digests
        SHA-256 of parameters whose values are known to be those that were hashed.
    """

    plan: Plan
    roles: Any
    task: Task
    model: Any
    tokenizer: Any
    encoded: dict[str, Encoded]
    layers: list[torch.nn.Module]
    encoder: torch.nn.Module
    units: dict[str, str]
    device: torch.device
    rows: UsedRows | None = None
    touched: set[str] = field(default_factory=set)
    touched_before: set[str] = field(default_factory=set)
    digests: dict[str, bytes] = field(default_factory=dict)
    _data: bytes | None = None

    @property
    def lengths(self) -> np.ndarray:
        """Sub-words of each training feature."""
        return np.asarray(self.encoded["train"].lengths, dtype=np.int64)

    @property
    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """Name → parameter."""
        return dict(self.model.named_parameters())

    def where(self, index: int) -> str:
        """Return the path in the plan of the stage that is executed as number `index`, from 0."""
        places = [place for place, stage in enumerate(self.plan.stages) if stage.enabled]
        return f"stages.{places[index]}" if index < len(places) else "stages"

    def places(self, folder: Path) -> list[tuple[str, Material, Path]]:
        """Return what the best weights are kept as: name of the task (empty where there is one), model, folder."""
        return [("", self, folder)]

    def steps_of(self, stage: Stage, seed: int) -> tuple[int, int]:
        """Return the optimiser steps of a stage and of its first epoch."""
        return total_steps(self.encoded["train"].lengths, stage, seed)

    def groups_of(self, stage: Stage, where: str) -> tuple[list[GroupSpec], list[str]]:
        """Return the groups that a stage trains, and the names of frozen parameters."""
        shapes = ((name, parameter.ndim) for name, parameter in self.model.named_parameters())
        return resolve(shapes, self.units, len(self.layers), stage, where=where)

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Have the whole word embedding in the model for as long as the block lasts."""
        with self.rows.whole() if self.rows is not None else contextlib.nullcontext():
            yield

    def kept_buffers(self) -> dict[str, torch.Tensor]:
        """Return the buffers that a model keeps, by name."""
        return {name: buffer for name, buffer in self.model.named_buffers() if _kept(self.model, name)}

    def digest(self, name: str, tensor: torch.Tensor) -> bytes:
        """Return the SHA-256 of a parameter's value, which is computed once for as long as it stays."""
        if name not in self.digests:
            values: Any = tensor.detach().cpu().contiguous().numpy()
            self.digests[name] = hashlib.sha256(values).digest()
        return self.digests[name]

    def data_digest(self) -> bytes:
        """Return the SHA-256 of the rows' fingerprint and the tokenised training rows."""
        if self._data is None:
            found = hashlib.sha256(self.roles.fingerprint.encode())
            for feature in self.encoded["train"].features:
                found.update(np.asarray(feature["input_ids"], dtype=np.int64).tobytes())
            self._data = found.digest()
        return self._data

    def origin(self) -> str:
        """Return a hash of the model as it was loaded and of the data; to be called before anything is trained."""
        found = hashlib.sha256(self.data_digest())
        for name, parameter in self.model.named_parameters():
            found.update(name.encode())
            found.update(self.digest(name, parameter))
        return found.hexdigest()

    def changed(self, names: set[str]) -> None:
        """Note that parameters are no longer as they were loaded, or hashed."""
        self.touched |= names
        for name in names:
            self.digests.pop(name, None)

    def put(self, tensors: dict[str, torch.Tensor], *, skip_other_shapes: bool = False) -> None:
        """Set parameters and buffers by name; with `skip_other_shapes` what has another shape is left out."""
        targets: dict[str, torch.Tensor] = {**self.parameters, **dict(self.model.named_buffers())}
        fitting = {
            name: tensor for name, tensor in tensors.items()
            if not skip_other_shapes or targets[name].shape == tensor.shape
        }  # fmt: skip
        with torch.no_grad():
            for name, tensor in fitting.items():
                targets[name].copy_(tensor)
        self.changed(fitting.keys() & self.parameters.keys())

    def reload(self, names: set[str]) -> None:
        """Put parameters back to what was loaded at the run's start, by loading them again."""
        from core.models import build_model

        if not names:
            return
        fresh, _ = build_model(self.plan.model, self.task, seed=self.plan.runtime.seed)
        source = dict(fresh.named_parameters())
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if name in names:
                    parameter.copy_(source[name])
        self.changed(names)
        self.touched -= names


def load_rows(plan: Plan, cache: Path) -> Any:
    """Load the roles of a plan (see :mod:`core.data.roles`)."""
    from core.data.roles import load_roles

    return rows_once(plan, cache, lambda: load_roles(plan.data, plan.task, cache=cache))


def encode_roles(
    roles: Any, task: Task, tokenizer: Any, max_length: int, check: Callable[[], None]
) -> dict[str, Encoded]:
    """Tokenise every role that has rows.

    Raises
    ------
    DataError
        If no training row is left.
    """
    encoded: dict[str, Encoded] = {}
    for name in ROLES:
        rows = getattr(roles, name)
        check()
        if rows is not None and len(rows):
            encoded[name] = task.encode(rows, tokenizer, max_length)
    if "train" not in encoded or not encoded["train"].features:
        raise DataError(
            "There is no training row.",
            where="data",
            expected="at least one row in the role train",
            advice="Check the column mapping, and the shares of gate and test.",
        )
    return encoded


def parameter_units(parts: dict[str, str]) -> dict[str, str]:
    """Turn the parts of :func:`core.models.structure` into units of groups; a pooler is trained with the head."""
    return {
        name: "head" if part in ("head", "pooler") else part.replace("layer.", "layer ") for name, part in parts.items()
    }


def load_material(
    plan: Plan,
    cache: Path,
    *,
    check: Callable[[], None] = lambda: None,
    phase: Callable[[str], None] = lambda name: None,
    roles: Any = None,
) -> Material:
    """Load rows and model, and tokenise.

    Parameters
    ----------
    plan
        The plan.
    cache
        The home's cache folder.
    check
        Called between pieces of work; may raise to stop.
    phase
        Told what is being done: ``data``, ``model``, ``tokenising``.
    roles
        The rows, if they were read already.

    Raises
    ------
    BertloomError
        If data, model or plan cannot be used.
    """
    from core.data.tasks import task_for
    from core.models import build_model, structure
    from core.training.demands import check_metrics, check_model

    device = pick_device(plan.runtime.device)
    if roles is None:
        phase("data")
        check()
        roles = load_rows(plan, cache)
    task = task_for(plan.task, roles.labels, entries=roles.entries)
    check_metrics(plan, task, gate_rows=len(roles.gate) if roles.gate is not None else 0)
    phase("model")
    check()
    model, tokenizer = build_model(plan.model, task, seed=plan.runtime.seed)
    shape = structure(model)
    units = parameter_units(shape.parts)
    check_model(plan, model, units, len(shape.layers), labels=list(roles.labels))
    phase("tokenising")
    encoded = encoded_once(
        plan, roles.fingerprint, lambda: encode_roles(roles, task, tokenizer, plan.model.max_length, check)
    )
    model.to(device)
    return Material(plan, roles, task, model, tokenizer, encoded, list(shape.layers), shape.encoder, units, device)


def top_names(material: Material, layers: int) -> set[str]:
    """Return the names of the parameters that :func:`core.models.reinit_top` initialises anew."""
    units = {f"layer {index}" for index in range(len(material.layers) - layers, len(material.layers))}
    return {name for name, unit in material.units.items() if unit in units or "pooler" in name.split(".")}


def _kept(model: torch.nn.Module, name: str) -> bool:
    owner, _, leaf = name.rpartition(".")
    return leaf not in model.get_submodule(owner)._non_persistent_buffers_set
