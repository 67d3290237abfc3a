"""Training a student towards its parent's hidden states, from inherited weights.

The loss is that of :class:`core.models.shaped.distance.Distance`: the error of what comes out, and the mean of the
layers' errors, each by the variance of the parent's states. Hidden-state distillation by layers follows Jiao et al.
2020 (TinyBERT), but needs no learned maps: the bases that the student inherited say what its coordinates stand for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from core.config import OptimizerConfig
from core.errors import ConfigError, TrainingDiverged
from core.models.shaped.distance import distance
from core.models.shaped.inherit import Inherited
from core.search.inheriting import Calibration
from core.search.lessons import Lesson, token_variances
from core.training.groups import GroupSpec
from core.training.optim import Optimiser

__all__ = ["Distilled", "StateLoss", "distil_states", "rate"]

#: Largest norm of a gradient.
CLIP = 1.0
_DECAY = 0.01


@dataclass(frozen=True)
class Distilled:
    """What training brought.

    Parameters
    ----------
    before, after
        Loss on held-out texts before and after; the parent scores 0, and predicting the mean 2.
    steps
        Optimiser steps in all.
    seconds
        Seconds of training and measuring, over all parts of a run that was stopped.
    curve
        (step, held-out loss), the first at step 0.
    """

    before: float
    after: float
    steps: int
    seconds: float
    curve: tuple[tuple[int, float], ...]


def rate(step: int, steps: int, warmup: float = 0.1) -> float:
    """Return the factor of the learning rate at a step (from 1): linear to 1 over the warm-up, then linear to 0.

    Parameters
    ----------
    step
        From 1 to `steps`; no step has the rate 0.
    steps
        Steps in all.
    warmup
        Share of the steps.
    """
    rising = math.ceil(warmup * steps)
    if step <= rising:
        return step / rising
    return (steps - step + 1) / (steps - rising + 1)


class StateLoss:
    """The loss of a student on a batch, as a tensor to differentiate.

    Parameters
    ----------
    student
        The student with what its streams stand for.
    calibration
        The parent; the variances of its states on the texts of the fit are the unit of errors.
    """

    def __init__(self, student: Inherited, calibration: Calibration):
        self.model, self.goals = student.model, [reaches for _, reaches in student.segments]
        self.variances = token_variances(calibration.fit.states[1:], calibration.fit.mask)
        # Tensors of inference mode cannot be saved for a backward pass; and where nothing turns, nothing is multiplied.
        self.bases = [None if _identity(basis) else basis.detach().clone() for basis in student.bases]

    def __call__(self, lesson: Lesson) -> torch.Tensor:
        """Return the loss, of shape ()."""
        stream, errors = lesson.stream, []
        for layer, goal, basis in zip(self.model.encoder.layer, self.goals, self.bases, strict=True):
            stream = layer(stream, lesson.bias)
            errors.append(self._error(lesson.flat(stream), basis, lesson, goal))
        readout = getattr(self.model.encoder, "readout", None)
        final, top = errors[-1], len(lesson.states) - 1
        if readout is not None or self.goals[-1] != top:
            last = lesson.flat(stream)
            if readout is not None:
                last = readout["LayerNorm"](last + readout["dense"](last))
            final = self._error(last, self.bases[-1], lesson, top)
        return final + torch.stack(errors).mean()

    def _error(self, found: torch.Tensor, basis: torch.Tensor | None, lesson: Lesson, goal: int) -> torch.Tensor:
        wanted = lesson.states[goal]
        seen = found if basis is None else found @ basis.T
        return torch.nn.functional.mse_loss(seen, wanted, reduction="sum") / (len(wanted) * self.variances[goal])


def _identity(basis: torch.Tensor) -> bool:
    return basis.shape[0] == basis.shape[1] and torch.equal(basis, torch.eye(len(basis)))


def distil_states(
    student: Inherited,
    calibration: Calibration,
    *,
    steps: int,
    lr: float = 5e-4,
    batch_tokens: int = 1024,
    warmup: float = 0.1,
    evaluate_every: int = 50,
    seed: int = 0,
    start: int = 0,
    check: Callable[[], None] = lambda: None,
    on_step: Callable[[int, float, float], None] | None = None,
    on_eval: Callable[[int, float], None] | None = None,
    on_state: Callable[[int, Callable[[], dict[str, Any]]], None] | None = None,
    state: Mapping[str, Any] | None = None,
) -> Distilled:
    """Train a student in place towards its parent's hidden states, with AdamW (Loshchilov & Hutter 2019).

    Only the layers (and the readout) are trained: the embeddings stay the parent's, which is what
    :func:`~core.models.shaped.distance.distance` takes them for; the pooler is not part of the loss. Dropout is off, as
    the parent's goals have none either. Nothing is random but the order of batches, a pure function of seed and step.

    Parameters
    ----------
    student
        The student; its model is changed.
    calibration
        The parent on texts; those of ``calibration.lessons`` are trained on, and ``held_out`` is measured on.
    steps
        Optimiser steps in all, those before `start` included.
    lr
        Highest learning rate.
    batch_tokens
        Sub-words of a step, padding included, at most.
    warmup
        Share of the steps; then the rate falls linearly.
    evaluate_every
        Steps between two measurements on held-out texts; the end is always measured.
    seed
        Seed of the order.
    start
        Steps that were done before; a `state` says so itself.
    check
        Called before each step and each measurement; may raise to stop.
    on_step
        Called after each step with its number, its loss and its learning rate.
    on_eval
        Called with a step and the held-out loss after it, first with 0.
    on_state
        Called after each step (and its measurement) with its number and a function that returns the state to go on
        from; its tensors are those that are trained, so they are to be stored or copied at once.
    state
        What the function given to `on_state` returned. Goes on bit for bit if all else is the same; with more `steps`
        it goes on with the rates of the longer training.

    Raises
    ------
    TrainingDiverged
        If loss or gradient are no finite numbers.
    ConfigError
        If `state` is that of another student, or there are fewer than `start` steps.
    DataError
        If there is too little text to train on.
    """
    began = time.perf_counter()
    training = _Training(student, calibration, lr, batch_tokens)
    done, before, curve, spent = start, math.nan, [], 0.0
    if state is not None:
        training.load(state)
        done, before, spent = int(state["step"]), float(state["before"]), float(state["seconds"])
        curve = [(int(step), float(loss)) for step, loss in state["curve"]]
    if done > steps or done < 0:
        raise ConfigError(f"{done} steps are done, of {steps} in all.", where="steps", expected=f"at least {done}")

    def snapshot() -> dict[str, Any]:
        return {
            "step": done, "before": before, "curve": list(curve), "seconds": spent + time.perf_counter() - began,
            **training.tensors(),
        }  # fmt: skip

    def measure() -> float:
        check()
        found = distance(student, calibration.held_out).loss
        curve.append((done, found))
        if on_eval is not None:
            on_eval(done, found)
        return found

    try:
        if state is None:
            before = measure()
        while done < steps:
            check()
            factor = rate(done + 1, steps, warmup)
            loss = training.step(calibration.lessons(batch_tokens).number(seed, done), lr * factor, done + 1)
            done += 1
            if on_step is not None:
                on_step(done, loss, lr * factor)
            if done % evaluate_every == 0 or done == steps:
                measure()
            if on_state is not None:
                on_state(done, snapshot)
        if curve[-1][0] != done:  # an older training ended here, and this one asks for no more
            measure()
    finally:
        training.close()
    seconds = spent + time.perf_counter() - began
    return Distilled(before, curve[-1][1], done, seconds, tuple(curve))


class _Training:
    """A student's layers with their optimiser."""

    def __init__(self, student: Inherited, calibration: Calibration, lr: float, batch_tokens: int):
        model = student.model.eval()
        self.loss = StateLoss(student, calibration)
        self.lessons = calibration.lessons(batch_tokens)
        self.parameters = dict(model.encoder.named_parameters())
        groups = [
            GroupSpec("matrices", lr, _DECAY, [name for name, one in self.parameters.items() if one.ndim > 1]),
            GroupSpec("vectors", lr, 0.0, [name for name, one in self.parameters.items() if one.ndim <= 1]),
        ]
        device = next(iter(self.parameters.values())).device
        self.optimiser = Optimiser(OptimizerConfig(), groups, self.parameters, device)

    def step(self, number: int, lr: float, step: int) -> float:
        self.optimiser.set_rates({"matrices": lr, "vectors": lr})
        with torch.enable_grad():
            loss = self.loss(self.lessons.lesson(number))
            loss.backward()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise _diverged("loss", value, step)
        norm = float(self.optimiser.step(None, CLIP))
        self.optimiser.zero()
        if not math.isfinite(norm):
            raise _diverged("gradient's norm", norm, step)
        return value

    def tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        model = {name: parameter.detach() for name, parameter in self.parameters.items()}
        return {"model": model, "optimizer": self.optimiser.state_tensors()}

    def load(self, state: Mapping[str, Any]) -> None:
        given = state["model"]
        shapes = {name: tuple(one.shape) for name, one in self.parameters.items()}
        if {name: tuple(one.shape) for name, one in given.items()} != shapes:
            raise ConfigError(
                "The state to go on from is that of a student of another shape.", where="state",
                expected="the state of a training of the same student",
            )  # fmt: skip
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(given[name])
        self.optimiser.load_state_tensors(state["optimizer"])

    def close(self) -> None:
        self.optimiser.zero()


def _diverged(what: str, value: float, step: int) -> TrainingDiverged:
    return TrainingDiverged(
        f"The {what} is {value} at step {step}.", where=f"step {step}", expected="a finite number",
        advice="Lower the learning rate, or lengthen the training, whose warm-up is a share of it.",
    )  # fmt: skip
