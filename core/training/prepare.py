"""From a stage to everything that its steps need: parameter groups, freezing, dropout, class weights, steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.config import Plan, Stage
from core.data.tasks.base import Encoded, Task
from core.training.batches import stage_seed
from core.training.demands import check_labels, check_length, located
from core.training.groups import GroupSpec
from core.training.material import Material, load_material, top_names
from core.training.rows import UsedRows, used_ids
from core.training.schedules import rate_function

__all__ = ["Prepared", "class_weights", "frozen_depth", "prepare", "prepare_stage"]


@dataclass
class Prepared:
    """A stage before its first step, built on the run's model. Give the model back with :meth:`release`.

    Parameters
    ----------
    material
        The run's rows, task and model.
    stage
        The stage.
    index
        Its place among the stages that are executed, from 0.
    seed
        Seed of order and dropout.
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

    material: Material
    stage: Stage
    index: int
    seed: int
    groups: list[GroupSpec]
    frozen: list[str]
    depth: int
    rows: UsedRows | None
    weights: torch.Tensor | None
    steps: int
    steps_per_epoch: int
    _dropouts: list[tuple[Any, str, float]] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.material.plan

    @property
    def roles(self) -> Any:
        """Rows by role."""
        return self.material.roles

    @property
    def task(self) -> Task:
        """Format, loss and metrics."""
        return self.material.task

    @property
    def model(self) -> Any:
        """The model."""
        return self.material.model

    @property
    def tokenizer(self) -> Any:
        """The tokeniser."""
        return self.material.tokenizer

    @property
    def encoded(self) -> dict[str, Encoded]:
        """Tokenised roles."""
        return self.material.encoded

    @property
    def layers(self) -> list[torch.nn.Module]:
        """The encoder's layers, lowest first."""
        return self.material.layers

    @property
    def encoder(self) -> torch.nn.Module:
        """The model below the head."""
        return self.material.encoder

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.material.device

    @property
    def lengths(self) -> np.ndarray:
        """Sub-words of each training feature."""
        return self.material.lengths

    @property
    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """Name → parameter."""
        return self.material.parameters

    def whole(self) -> contextlib.AbstractContextManager[None]:
        """Have the whole word embedding in the model for as long as the block lasts."""
        return contextlib.nullcontext() if self.rows is None else self.rows.whole()

    def release(self) -> None:
        """Give the model back: the whole word embedding, its own dropout, no gradients."""
        if self.rows is not None:
            self.rows.release()
            self.material.rows = self.rows = None
        for module, name, value in self._dropouts:
            setattr(module, name, value)
        self._dropouts.clear()
        self.material.touched_before = set()
        self.model.zero_grad(set_to_none=True)


def frozen_depth(units: dict[str, str], frozen: list[str], layers: int) -> int:
    """Return how many lowest layers are frozen wholly, together with all embeddings; 0 if any embedding is trained."""
    still = set(frozen)
    trained = {unit for name, unit in units.items() if name not in still}
    if "embeddings" in trained:
        return 0
    return next((index for index in range(layers) if f"layer {index}" in trained), layers)


def class_weights(
    stage: Stage, task: Task, labels: list[str], encoded: Encoded, device: torch.device, *, where: str = "stages.0"
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
        check_labels(stage, labels, where)
        values = np.asarray([wanted.get(name, 1.0) for name in labels])
    return torch.tensor(values, dtype=torch.float32, device=device)


def prepare(
    plan: Plan,
    cache: Path,
    *,
    check: Callable[[], None] = lambda: None,
    phase: Callable[[str], None] = lambda name: None,
    index: int = 0,
) -> Prepared:
    """Load a plan's rows and model, tokenise, and build one of its stages.

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
    index
        Which of the stages that are executed, from 0.

    Raises
    ------
    BertloomError
        If data, model or plan cannot be used.
    """
    material = load_material(plan, cache, check=check, phase=phase)
    return prepare_stage(material, plan.active[index], index)


def prepare_stage(material: Material, stage: Stage, index: int, *, fresh: bool = True) -> Prepared:
    """Build a stage on the loaded model.

    Parameters
    ----------
    material
        The run's model and rows; no other stage may be built on it.
    stage
        The stage.
    index
        Its place among the stages that are executed, from 0.
    fresh
        Whether the stage begins here: top layers are re-initialised where it asks for that. On resume they were.

    Raises
    ------
    ConfigError
        If a pattern matches nothing, nothing is left to train, or the warm-up is longer than the stage.
    """
    if material.rows is not None:
        raise RuntimeError("another stage is built on this model")
    where = material.where(index)
    model, seed = material.model, stage_seed(stage, index, material.plan.runtime.seed)
    groups, frozen = material.groups_of(stage, where)
    steps, per_epoch = material.steps_of(stage, seed)
    check_length(stage, steps, where)
    with located(where):
        rate_function(stage.schedule, steps, stage.lr)
    weights = class_weights(
        stage, material.task, list(material.roles.labels), material.encoded["train"], material.device, where=where
    )
    if fresh and stage.reinit_top_n:
        _reinit(material, stage.reinit_top_n, seed)
    still = set(frozen)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in still)
    material.touched_before = set(material.touched)
    material.changed({name for spec in groups for name in spec.parameters})
    material.rows = rows = _reduce_embedding(material, groups, stage)
    return Prepared(
        material, stage, index, seed, groups, frozen, frozen_depth(material.units, frozen, len(material.layers)),
        rows, weights, steps, per_epoch, _set_dropout(model, stage.dropout),
    )  # fmt: skip


def _reinit(material: Material, layers: int, seed: int) -> None:
    from core.models import reinit_top

    # On the CPU: another device's generator would give other numbers.
    material.model.to("cpu")
    reinit_top(material.model, layers, seed)
    material.model.to(material.device)
    material.changed(top_names(material, layers))


def _set_dropout(model: torch.nn.Module, dropout: float | None) -> list[tuple[Any, str, float]]:
    """Set every dropout probability of a model; return what it was: (module, attribute, value)."""
    if dropout is None:
        return []
    before: list[tuple[Any, str, float]] = []
    for module in model.modules():
        names = ["p"] if isinstance(module, torch.nn.Dropout) else []
        # Some families keep the probability as a plain number and call the function.
        names += [
            name for name, value in vars(module).items()
            if ("dropout" in name or name == "drop_prob") and isinstance(value, float)
        ]  # fmt: skip
        for name in names:
            before.append((module, name, getattr(module, name)))
            setattr(module, name, dropout)
    return before


def _reduce_embedding(material: Material, groups: list[GroupSpec], stage: Stage) -> UsedRows | None:
    from core.models.pointer.entries import entry_ids

    model = material.model
    embedding = model.get_input_embeddings()
    if not isinstance(embedding, torch.nn.Embedding):
        return None
    name = next((name for name, parameter in model.named_parameters() if parameter is embedding.weight), None)
    spec = next((spec for spec in groups if name in spec.parameters), None)
    if spec is None:
        return None
    ids = used_ids(
        (one.features for one in material.encoded.values()), [*material.tokenizer.all_special_ids, *entry_ids(model)],
        embedding.num_embeddings,
    )  # fmt: skip
    share = len(ids) / embedding.num_embeddings
    if not UsedRows.possible(model, embedding, stage.optimizer, spec.weight_decay, share):
        return None
    return UsedRows(embedding, ids, spec.name, spec.weight_decay)
