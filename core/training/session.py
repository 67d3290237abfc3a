"""A stage on the loaded model: one optimiser step, one evaluation. What is between them belongs to the stage."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.config import GuardConfig, Stage
from core.data.tasks.base import Evaluation
from core.training.batches import iterate, micro_batches
from core.training.best import Weights
from core.training.distil.maps import map_group, stage_maps
from core.training.distil.pairs import Pairs
from core.training.engine import Engine
from core.training.evaluation import distinct_predictions, entropy_share, role_logits, score_roles
from core.training.groups import GroupSpec
from core.training.guards import LossGuard
from core.training.intervals import majority_score
from core.training.material import Material
from core.training.optim import Optimiser
from core.training.prepare import prepare_stage
from core.training.results import fingerprint

if TYPE_CHECKING:
    from core.training.distil.teaching import Teaching
    from core.training.joint.teaching import JointTeaching
    from core.training.stage import StageRun

__all__ = ["Scored", "Session", "Step"]


@dataclass
class Step:
    """What one optimiser step says: mean loss and gradient norm of shape (), sizes, seconds, further series."""

    loss: torch.Tensor
    norm: torch.Tensor
    examples: int
    tokens: int
    seconds: float
    told: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass
class Scored:
    """One evaluation: metrics with details, logits of every feature, seconds."""

    evaluation: Evaluation
    logits: list[np.ndarray]
    seconds: float


class Session:
    """One stage, built on the run's model. :meth:`close` gives the model back.

    Parameters
    ----------
    material
        The run's rows, task and model.
    stage
        The stage.
    index
        Its place among the stages that are executed, from 0.
    fresh
        Whether the stage begins here; see :func:`core.training.prepare.prepare_stage`.
    """

    def __init__(self, material: Material, stage: Stage, index: int, *, fresh: bool = True):
        self.prepared = prepare_stage(material, stage, index, fresh=fresh)
        self.stage = stage
        try:
            self.engines = self._build_engines()
            self.engine = self.engines[0]
            for engine in self.engines:
                engine.train_mode()
            #: Trained with the model, and no part of it: learned maps of a distillation.
            self.maps = self._build_maps()
            self.optimiser = Optimiser(
                stage.optimizer, [*self.prepared.groups, *self._map_groups()],
                {**self.prepared.parameters, **self.maps}, self.prepared.device,
            )  # fmt: skip
        except BaseException:  # not enough memory: another trial may fit
            self.prepared.release()
            raise
        #: Pairs of layers that a distillation found by their likeness, from the checkpoint where it is resumed.
        self.alike: Pairs | None = None
        own = [name for name in self.optimiser.names if name not in self.maps]
        self.weights = Weights(self.prepared, own)
        self.parameters = sum(self.prepared.parameters[name].numel() for name in own)
        if self.prepared.rows is not None:
            self.parameters += self.prepared.rows.base.numel() - self.prepared.rows.rows.numel()
        self._rows = self.prepared.rows
        self._open = True

    def _build_engines(self) -> list[Engine]:
        return [Engine(self.prepared)]

    def named_engines(self) -> dict[str, Engine]:
        """Return the engine of each task by its name; that of a run with one task has none."""
        return {"": self.engine}

    def _build_maps(self) -> dict[str, torch.nn.Parameter]:
        return stage_maps(self.prepared)

    def _map_groups(self) -> list[GroupSpec]:
        return map_group(self.stage, self.maps)

    def fill_caches(
        self, cache: Path, *, check: Callable[[], None], event: Callable[..., None], phase: Callable[[str], None]
    ) -> None:
        """Compute, or find in the cache, the activations of a frozen lower part and the answers of teachers."""
        from core.training.activations import prepare_feeds

        if self.prepared.depth > 0:
            phase("caching")
            for engine in self.engines:
                prepare_feeds(engine, cache, check=check, event=event, fingerprint=fingerprint(engine.prepared))
        if self.stage.kind == "distil" and self.engine.objective is None:
            from core.training.distil.opening import open_objective

            phase("asking the teacher")
            where = self.prepared.material.where(self.prepared.index)
            self.engine.objective = open_objective(
                self.engine, cache, where=where, maps=self.maps, alike=self.alike, check=check, event=event
            )
            self.alike = self.engine.objective.alike

    def teaching(self, part: StageRun, state: Mapping[str, Any] | None) -> Teaching | JointTeaching | None:
        """Return what a stage with a teacher does beside its steps, from a checkpoint's `state` on if there is one."""
        from core.training.distil.teaching import Teaching

        return None if self.engine.objective is None else Teaching(part, self.engine, state)

    def batches(self, epoch: int = 0, index: int = 0) -> Iterator[tuple[int, int, int, Any]]:
        """Yield (epoch, index, steps of that epoch, what :meth:`step` takes) without end, from a position on."""
        return iterate(self.prepared.lengths, self.stage, self.prepared.seed, epoch=epoch, index=index)

    def step(self, batch: Any, own: int, rates: Mapping[str, float]) -> Step:
        """Take one optimiser step.

        Parameters
        ----------
        batch
            Indices of its examples, shape (examples,).
        own
            The stage's own step, from 1, which seeds dropout.
        rates
            Learning rate of each group.
        """
        started = time.perf_counter()
        if self.engine.objective is not None:
            self.engine.objective.begin(own)
        loss, divide = self._backward(self.engine, batch, own)
        norm = self._update(divide, rates)
        tokens = int(self.prepared.lengths[batch].sum())
        told = {} if self.engine.objective is None else self.engine.objective.take()
        return Step(loss, norm, len(batch), tokens, time.perf_counter() - started, told)

    def _backward(
        self,
        engine: Engine,
        batch: np.ndarray,
        own: int,
        *,
        scale: Callable[[], torch.Tensor | None] | None = None,
        first: int = 0,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Add the gradients of a batch to those that are there.

        Parameters
        ----------
        engine
            What runs the model.
        batch
            Indices of its examples, shape (examples,).
        own
            The stage's own step, which seeds dropout.
        scale
            Gives what the loss is multiplied by, shape (), anew for each micro-batch; None for 1.
        first
            Number of the first micro-batch, which seeds dropout too.

        Returns
        -------
        loss
            Mean loss of shape (), without `scale`.
        divide
            What the gradients still have to be divided by, shape (); None if that is done.
        """
        prepared = engine.prepared
        features = prepared.encoded["train"].features
        parts = micro_batches(batch, prepared.lengths, prepared.stage.accumulation)
        loss_sum: torch.Tensor | None = None
        weight_sum: torch.Tensor | None = None
        for part, indices in enumerate(parts):
            engine.seed(prepared.seed, own, first + part)
            total, weight, _ = engine.loss([features[at] for at in indices], indices)
            if len(parts) == 1:
                weight = weight.clamp(min=1e-12)
                total = total / weight
            factor = None if scale is None else scale()
            (total if factor is None else total * factor).backward()
            loss_sum = total.detach() if loss_sum is None else loss_sum + total.detach()
            weight_sum = weight if weight_sum is None else weight_sum + weight
        assert loss_sum is not None
        assert weight_sum is not None
        if len(parts) == 1:
            return loss_sum, None
        divide = weight_sum.clamp(min=1e-12)
        return loss_sum / divide, divide

    def _update(self, divide: torch.Tensor | None, rates: Mapping[str, float]) -> torch.Tensor:
        """Take the step that the gradients say; return their norm before clipping, shape ()."""
        self.optimiser.set_rates(rates)
        norm = self.optimiser.step(divide, self.stage.clip_norm)
        self.optimiser.zero()
        if self._rows is not None:
            self._rows.stepped(rates[self._rows.group])
        return norm

    def score(self, *, details: bool = False, check: Callable[[], None] = lambda: None) -> Scored:
        """Evaluate the weights as they are on the gate rows.

        Parameters
        ----------
        details
            With intervals and tables.
        check
            Called between batches; may raise to stop.
        """
        prepared, started = self.prepared, time.perf_counter()
        encoded = prepared.encoded["gate"]
        with self.engine.scoring():
            logits = role_logits(self.engine.scorer("gate"), encoded, check=check)
        prepared.task.calibrate(logits, encoded, prepared.roles.gate)
        found = prepared.task.evaluate(logits, encoded, prepared.roles.gate, details=details)
        return Scored(found, logits, time.perf_counter() - started)

    def score_roles(
        self, check: Callable[[], None], keep: dict[str, list[np.ndarray]] | None = None
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Score gate and test; see :func:`core.training.evaluation.score_roles`."""
        return score_roles(self.engine, check, keep)

    # ---- what guards look at ---------------------------------------------------------------------------------------

    def loss_guard(self, config: GuardConfig) -> LossGuard:
        """Return what watches the loss of the steps."""
        return LossGuard(config)

    def distinct(self, scored: Scored) -> tuple[int, str] | None:
        """Return how many classes an evaluation chose, and of how many rows; None where there is one gold class."""
        prepared = self.prepared
        if sum(count > 0 for count in prepared.task.label_counts(prepared.encoded["gate"])) < 2:
            return None
        return distinct_predictions(scored.logits, prepared.task.config), str(len(prepared.roles.gate))

    def entropy(self, scored: Scored) -> float:
        """Return the mean entropy of an evaluation's predictions as a share of its maximum."""
        return entropy_share(scored.logits, self.prepared.encoded["gate"], self.prepared.task.config)

    def majority(self, metric: str) -> float | None:
        """Return what a method without a model scores on the gate rows; None where that has no meaning."""
        prepared = self.prepared
        return majority_score(prepared.task, metric, prepared.roles, prepared.encoded["gate"])

    # ---- state -----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs beside tensors, as plain data."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` returned."""

    def trained(self) -> dict[str, torch.Tensor]:
        """Return what the stage trains, learned maps too, and the buffers that the model keeps; not copied."""
        parameters = {**self.prepared.parameters, **self.maps}
        tensors = {name: parameters[name].detach() for name in self.optimiser.names}
        tensors.update(self.prepared.material.kept_buffers())
        return tensors

    def put(self, tensors: Mapping[str, torch.Tensor], row_decay: float | None) -> None:
        """Set what :meth:`trained` returned, and the decay of the rows that are not in use."""
        targets: dict[str, Any] = {
            **self.prepared.parameters, **self.maps, **dict(self.prepared.model.named_buffers()),
        }  # fmt: skip
        with torch.no_grad():
            for name in self.trained():
                targets[name].copy_(tensors[name])
        if self._rows is not None and row_decay is not None:
            self._rows.decay = row_decay

    @property
    def row_decay(self) -> float | None:
        """What the embedding's unused rows are still to be multiplied by; None where none are left out."""
        return None if self._rows is None else self._rows.decay

    def close(self) -> None:
        """Give the model back: its own forward, the whole word embedding, its own dropout. Twice does no harm."""
        if self._open:
            self._open = False
            for engine in self.engines:
                engine.close()
            with contextlib.suppress(AttributeError):
                del self.optimiser
            self._rows = None
            self.prepared.release()
