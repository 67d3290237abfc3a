"""Steps and evaluations of a joint run: the session of a stage, with an engine for each task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.config import GuardConfig, Stage
from core.errors import ConfigError
from core.training.engine import Engine
from core.training.groups import GroupSpec
from core.training.guards import LossGuard
from core.training.joint.conflicts import Conflicts
from core.training.joint.gradients import combine as sum_up
from core.training.joint.gradients import pcgrad_weights, products, take_gradients
from core.training.joint.guard import TaskLossGuard
from core.training.joint.material import JointMaterial
from core.training.joint.schedule import Parts, Stream
from core.training.joint.scoring import Scorer
from core.training.joint.taught import Taught
from core.training.joint.weighting import LossWeights
from core.training.prepare import Prepared, class_weights, frozen_depth
from core.training.session import Scored, Session, Step

if TYPE_CHECKING:
    from core.training.joint.teaching import JointTeaching
    from core.training.stage import StageRun

__all__ = ["JointSession"]

#: Dropout of a look at another task's gradient is seeded behind all micro-batches of a step.
_LOOKING = 1 << 16
_SALT = 0x9C6AD


class JointSession(Session):
    """The training of a joint run, built on the tied models; see :class:`core.training.session.Session`.

    Parameters
    ----------
    material
        The run's rows and models.
    stage
        The training as a stage.
    index
        Its place among the stages that are executed, from 0.
    fresh
        Whether it begins here.
    """

    def __init__(self, material: JointMaterial, stage: Stage, index: int, *, fresh: bool = True):
        self.joint, self._parts = material.joint, material.parts
        self._names = material.names
        self._material = material
        self.loss_weights = LossWeights(self.joint, material.device)
        super().__init__(material, stage, index, fresh=fresh)
        self.schedule = material.schedule(stage, self.prepared.seed)
        trained = {name for spec in self.prepared.groups for name in spec.parameters}
        parameters = self.prepared.parameters
        self._units = {name: unit for name, unit in material.units.items() if unit != "head" and name in trained}
        self._shared = {name: parameters[name] for name in self._units}
        several = len(self._parts) > 1
        if self.joint.mixing.pcgrad and several and not self._shared:
            self.close()
            raise ConfigError(
                "PCGrad has nothing to do: with a frozen encoder the tasks share nothing that is trained.",
                where="mixing.pcgrad", expected="an encoder that is trained, or mixing.pcgrad false",
            )  # fmt: skip
        self._together = self.joint.mixing.pcgrad and several
        self._every = self.joint.monitored if self._shared and several else 0
        self.conflicts = Conflicts(self._names, self._every)
        #: Examples of each task that were trained on so far.
        self.examples = [0] * len(self._parts)
        self._stream: Stream | None = None
        self._scorer = Scorer(material, self.engines)

    def _build_engines(self) -> list[Engine]:
        return [Engine(self._of(part)) for part in self._parts]

    def named_engines(self) -> dict[str, Engine]:
        """Return the engine of each task by its name."""
        return dict(zip(self._names, self.engines, strict=True))

    def _of(self, part: Any) -> Prepared:
        """Return the stage as one task sees it."""
        whole, stage = self.prepared, part.plan.active[0]
        frozen = [name for name, parameter in part.model.named_parameters() if not parameter.requires_grad]
        weights = class_weights(
            stage, part.task, list(part.roles.labels), part.encoded["train"], part.device, where="tasks"
        )
        depth = frozen_depth(part.units, frozen, len(part.layers))
        return Prepared(
            part, stage, whole.index, whole.seed, [], frozen, depth, whole.rows, weights, whole.steps,
            whole.steps_per_epoch,
        )  # fmt: skip

    def _build_maps(self) -> dict[str, torch.nn.Parameter]:
        self.taught = Taught(self._names, self.engines)
        return {**self.loss_weights.learnt, **self.taught.maps()}

    def _map_groups(self) -> list[GroupSpec]:
        return [*self.loss_weights.group(), *self.taught.groups()]

    def fill_caches(
        self, cache: Path, *, check: Callable[[], None], event: Callable[..., None], phase: Callable[[str], None]
    ) -> None:
        """Compute, or find in the cache, activations of a frozen lower part and answers of each task's teachers."""
        super().fill_caches(cache, check=check, event=event, phase=phase)
        self.taught.open(cache, check=check, event=event, phase=phase)

    def teaching(self, part: StageRun, state: Mapping[str, Any] | None) -> JointTeaching | None:
        """Return what is done beside the steps for tasks with teachers; None where there are none."""
        from core.training.joint.teaching import JointTeaching

        named = self.named_engines()
        engines = {name: named[name] for name in self.taught.tasks}
        return JointTeaching(part, engines, self._scorer.logits, state) if engines else None

    # ---- steps -----------------------------------------------------------------------------------------------------

    def batches(self, epoch: int = 0, index: int = 0) -> Iterator[tuple[int, int, int, Parts]]:
        """Yield (round, index, steps of that round, what :meth:`step` takes) without end, from a position on."""
        stream = self.schedule.stream(sum(self.schedule.round_steps(one) for one in range(epoch)) + index)
        self._stream = stream
        while True:
            size = self.schedule.round_steps(epoch)
            for at in range(index, size):
                yield epoch, at, size, stream.take()
            epoch, index = epoch + 1, 0

    def step(self, batch: Parts, own: int, rates: Mapping[str, float]) -> Step:
        """Take one optimiser step; see :meth:`core.training.session.Session.step`.

        Parameters
        ----------
        batch
            Tasks, and indices of each one's examples.
        own
            The stage's own step, from 1.
        rates
            Learning rate of each group.
        """
        started = time.perf_counter()
        looks = self._every > 0 and own % self._every == 0
        loss, divide, told = self._all_tasks(batch, own, looks) if self._together else self._one_task(batch, own, looks)
        norm = self._update(divide, rates)
        tokens = sum(int(self._parts[task].lengths[indices].sum()) for task, indices in batch)
        for task, indices in batch:
            self.examples[task] += len(indices)
        examples = sum(len(indices) for _, indices in batch)
        return Step(loss, norm, examples, tokens, time.perf_counter() - started, told)

    def _one_task(
        self, batch: Parts, own: int, looks: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None, dict[str, torch.Tensor]]:
        ((task, indices),) = batch
        raw, divide = self._add(task, indices, own)
        told = self._of_task(task, raw)
        if looks:
            told.update(self._look(task, own, divide))
        return self.loss_weights.weighted(task, raw), divide, told

    def _all_tasks(
        self, batch: Parts, own: int, looks: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None, dict[str, torch.Tensor]]:
        """Take the gradients of one batch of every task, and let them give way to one another."""
        told: dict[str, torch.Tensor] = {}
        losses, gradients = [], []
        heads: list[torch.Tensor] = []
        for task, indices in batch:
            raw, divide = self._add(task, indices, own)
            told.update(self._of_task(task, raw))
            losses.append(self.loss_weights.weighted(task, raw))
            gradients.append(take_gradients(self._shared, divide))
            mine = [one.grad for one in self._own(task) if one.grad is not None]
            if divide is not None and mine:
                torch._foreach_div_(mine, divide)
            heads += mine
        found = products(gradients, self._units)
        if looks and len(batch) == len(self._parts):
            told.update(self.conflicts.observe(found))
        gram = torch.stack(list(found.values())).sum(0).cpu().numpy()
        count = len(batch)
        generator = np.random.default_rng([_SALT, self.prepared.seed, own])
        orders = [generator.permutation([at for at in range(count) if at != one]).tolist() for one in range(count)]
        weights = pcgrad_weights(gram, orders)
        for name, tensor in sum_up(gradients, [float(weight) / count for weight in weights]).items():
            self._shared[name].grad = tensor
        if heads:
            torch._foreach_div_(heads, float(count))
        return torch.stack(losses).mean(), None, told

    def _add(
        self, task: int, indices: np.ndarray, own: int, first: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Add a task's gradients; see :meth:`core.training.session.Session._backward`."""
        weights = self.loss_weights
        # What is only looked at is no turn of the task, and what its objective tells of it is not kept.
        if self.taught.tasks:
            self.taught.begin(task, own, self.schedule.done(own)[task] if first == 0 else 0)
        weighted = weights.scale(task) is not None
        scale: Callable[[], torch.Tensor | None] | None = (lambda: weights.scale(task)) if weighted else None
        raw, divide = self._backward(self.engines[task], indices, own, scale=scale, first=first)
        if first == 0:
            weights.price(task, divide)
        else:
            self.taught.take(task)
        return raw, divide

    def _own(self, task: int) -> Iterator[torch.nn.Parameter]:
        """Yield what only one task trains: its head, its learned maps, and the weight of its loss."""
        part = self._parts[task]
        for name, parameter in part.model.named_parameters():
            if part.units[name] == "head":
                yield parameter
        yield from self.taught.maps_of(task)
        yield from list(self.loss_weights.learnt.values())[task : task + 1]

    def _look(self, task: int, own: int, divide: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """Compare the gradient that is there with those of the other tasks' next batches, and leave it as it is."""
        assert self._stream is not None
        kept = {**self.prepared.parameters, **self.maps}
        mine = take_gradients(kept)
        gradients = []
        for other in range(len(self._parts)):
            if other == task:
                gradients.append({name: mine[name] for name in self._shared if name in mine})
                continue
            _, parts = self._add(other, self._stream.peek(other), own, _LOOKING * (other + 1))
            gradients.append(take_gradients(self._shared, parts))
            for parameter in kept.values():
                parameter.grad = None
        found = products(gradients, self._units)
        if divide is not None:  # the step's own gradient has not been divided yet
            size = torch.ones(len(self._parts), device=divide.device)
            size[task] = 1 / divide
            found = {unit: gram * size[:, None] * size[None] for unit, gram in found.items()}
        for name, gradient in mine.items():
            kept[name].grad = gradient
        return self.conflicts.observe(found)

    def _of_task(self, task: int, raw: torch.Tensor) -> dict[str, torch.Tensor]:
        told = {f"train/{self._names[task]}/loss": raw, **self.taught.take(task)}
        if self.loss_weights.learnt:
            scale = self.loss_weights.scale(task)
            assert scale is not None
            told[f"train/{self._names[task]}/weight"] = scale.detach()
        return told

    # ---- evaluation, and what guards look at -----------------------------------------------------------------------

    def score(self, *, details: bool = False, check: Callable[[], None] = lambda: None) -> Scored:
        """Evaluate the weights as they are on every task's gate rows: ``task/metric``, their combination, mean loss."""
        return self._scorer.gate(details=details, check=check)

    def score_roles(
        self, check: Callable[[], None], keep: dict[str, list[np.ndarray]] | None = None
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Score gate and test of every task: numbers by ``role/task/metric``, details by role and task.

        `keep` is given each task's logits as ``task/role``.
        """
        return self._scorer.roles(check, keep)

    def loss_guard(self, config: GuardConfig) -> LossGuard:
        """Return what watches the losses, each task's by itself."""
        return TaskLossGuard(config, tasks_at=self.schedule.tasks_at)

    def distinct(self, scored: Scored) -> tuple[int, str] | None:
        """Return how many classes the task that chose the fewest did choose, and of how many rows."""
        return self._scorer.distinct()

    def entropy(self, scored: Scored) -> float:
        """Return the lowest of the tasks' mean entropies as a share of its maximum."""
        return self._scorer.entropy()

    def majority(self, metric: str) -> float | None:
        """Return what the combination is without a model; None where a task has no such score."""
        return self._scorer.majority(metric)

    # ---- state -----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs beside tensors, as plain data."""
        return {"examples": self.examples, "conflicts": self.conflicts.state_dict(), "alike": self.taught.alike}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` returned."""
        if state:
            self.examples = list(state["examples"])
            self.conflicts.load_state_dict(state["conflicts"], self.prepared.device)
            for name, pairs in state.get("alike", {}).items():
                self.taught.alike[name] = None if pairs is None else [(own, other) for own, other in pairs]
