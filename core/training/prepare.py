"""From a plan to everything that the loop needs: roles, task, model, tokenised features, parameter groups."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.config import Plan, Stage
from core.data.tasks.base import Encoded, Task
from core.errors import ConfigError, DataError
from core.training.batches import total_steps
from core.training.device import pick_device
from core.training.groups import GroupSpec, resolve
from core.training.rows import UsedRows, used_ids

__all__ = ["Prepared", "class_weights", "encode_roles", "frozen_depth", "parameter_units", "prepare"]

ROLES = ("train", "gate", "test")


@dataclass
class Prepared:
    """A run before its first step.

    Parameters
    ----------
    plan, stage
        The plan and its stage.
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
    groups, frozen
        Trained groups, and names of frozen parameters.
    depth
        Number of lowest layers that are frozen together with the embeddings; 0 if the embeddings are trained.
    rows
        The reduced word embedding, if any.
    weights
        Class weights of shape (classes,), or None.
    steps, steps_per_epoch
        Optimiser steps of the stage and of its first epoch.
    """

    plan: Plan
    stage: Stage
    roles: Any
    task: Task
    model: Any
    tokenizer: Any
    encoded: dict[str, Encoded]
    layers: list[torch.nn.Module]
    encoder: torch.nn.Module
    groups: list[GroupSpec]
    frozen: list[str]
    depth: int
    device: torch.device
    rows: UsedRows | None
    weights: torch.Tensor | None
    steps: int
    steps_per_epoch: int
    notes: list[str] = field(default_factory=list)

    @property
    def lengths(self) -> np.ndarray:
        """Sub-words of each training feature."""
        return np.asarray(self.encoded["train"].lengths, dtype=np.int64)

    @property
    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """Name → parameter."""
        return dict(self.model.named_parameters())


def load_rows(plan: Plan, cache: Path) -> Any:
    """Load the roles of a plan (see :mod:`core.data.roles`)."""
    from core.data.roles import load_roles

    return load_roles(plan.data, plan.task, cache=cache)


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


def frozen_depth(units: dict[str, str], frozen: list[str], layers: int) -> int:
    """Return how many lowest layers are frozen wholly, together with all embeddings; 0 if any embedding is trained."""
    still = set(frozen)
    trained = {unit for name, unit in units.items() if name not in still}
    if "embeddings" in trained:
        return 0
    return next((index for index in range(layers) if f"layer {index}" in trained), layers)


def class_weights(
    stage: Stage, task: Task, labels: list[str], encoded: Encoded, device: torch.device
) -> torch.Tensor | None:
    """Return the weight of each class, of shape (classes,), or None when all weigh the same.

    Raises
    ------
    ConfigError
        If a weight is given for a label that does not exist, or is negative or not finite.
    """
    wanted = stage.class_weights
    if wanted == "none":
        return None
    if wanted == "balanced":
        counts = np.maximum(np.asarray(task.label_counts(encoded), dtype=np.float64), 1.0)
        values = counts.sum() / (len(counts) * counts)
    else:
        for name, value in wanted.items():
            if name not in labels:
                raise ConfigError(
                    f"A class weight is given for {name!r}, which is no label.",
                    where=f"stages.0.class_weights.{name}",
                    expected=", ".join(labels[:20]),
                )
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(
                    f"The class weight of {name!r} is {value}.",
                    where=f"stages.0.class_weights.{name}",
                    expected="a number from 0 on",
                )
        values = np.asarray([wanted.get(name, 1.0) for name in labels])
    return torch.tensor(values, dtype=torch.float32, device=device)


def prepare(
    plan: Plan,
    cache: Path,
    *,
    check: Callable[[], None] = lambda: None,
    phase: Callable[[str], None] = lambda name: None,
) -> Prepared:
    """Load, build and tokenise.

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

    Raises
    ------
    BertloomError
        If data, model or plan cannot be used.
    """
    from core.data.tasks import task_for
    from core.models import build_model, reinit_top, structure

    stage = plan.stages[0]
    device = pick_device(plan.runtime.device)
    phase("data")
    check()
    roles = load_rows(plan, cache)
    task = task_for(plan.task, roles.labels)
    if stage.metric is not None and stage.metric not in (*task.metric_names, "loss"):
        raise ConfigError(
            f"The task has no metric {stage.metric!r}.", where="stages.0.metric", expected=", ".join(task.metric_names)
        )
    phase("model")
    check()
    model, tokenizer = build_model(plan.model, task, seed=plan.runtime.seed)
    shape = structure(model)
    layers = list(shape.layers)
    units = parameter_units(shape.parts)
    groups, frozen = resolve(
        ((name, parameter.ndim) for name, parameter in model.named_parameters()), units, len(layers), stage
    )
    if stage.reinit_top_n:
        reinit_top(model, stage.reinit_top_n, plan.runtime.seed)
    phase("tokenising")
    encoded = encode_roles(roles, task, tokenizer, plan.model.max_length, check)
    model.to(device)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in set(frozen))
    steps, per_epoch = total_steps(encoded["train"].lengths, stage, plan.runtime.seed)
    return Prepared(
        plan, stage, roles, task, model, tokenizer, encoded, layers, shape.encoder, groups, frozen,
        frozen_depth(units, frozen, len(layers)), device, _reduce_embedding(model, tokenizer, encoded, groups, stage),
        class_weights(stage, task, list(roles.labels), encoded["train"], device), steps, per_epoch,
    )  # fmt: skip


def _reduce_embedding(
    model: Any, tokenizer: Any, encoded: dict[str, Encoded], groups: list[GroupSpec], stage: Stage
) -> UsedRows | None:
    embedding = model.get_input_embeddings()
    if not isinstance(embedding, torch.nn.Embedding):
        return None
    name = next((name for name, parameter in model.named_parameters() if parameter is embedding.weight), None)
    spec = next((spec for spec in groups if name in spec.parameters), None)
    if spec is None:
        return None
    ids = used_ids((one.features for one in encoded.values()), tokenizer.all_special_ids, embedding.num_embeddings)
    share = len(ids) / embedding.num_embeddings
    if not UsedRows.possible(model, embedding, stage.optimizer, spec.weight_decay, share):
        return None
    return UsedRows(embedding, ids, spec.name, spec.weight_decay)
