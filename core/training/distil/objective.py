"""The loss of a stage of kind ``distil``: gold labels, teachers' answers and layers, and what is told of each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from core.config.distillation import DistillationConfig
from core.training.distil.differences import effective_size
from core.training.distil.forms import Form, form_of
from core.training.distil.pairs import Pairs
from core.training.distil.parts import (
    Part,
    agreeing,
    apart,
    detached,
    kept_only,
    soft,
    together,
    weights_of,
)
from core.training.distil.positions import counted, spread
from core.training.distil.shares import gradient_shares, measured_at
from core.training.distil.states import Watch, state_loss, teacher_inputs, wanted
from core.training.distil.teacher import Answers, Teacher
from core.training.distil.weighing import crossed_parts, part_weights
from core.training.distil.weights import state_names, weights_at

if TYPE_CHECKING:
    from core.training.engine import Engine

__all__ = ["Objective"]


class Objective:
    """Mixes what teachers say into the loss of a micro-batch.

    It keeps nothing between steps but what it tells of the last one, so a resumed stage computes the same.

    Parameters
    ----------
    config
        How the student learns.
    teachers, answers
        The teachers, and the answers of each to the training rows.
    student
        Reads the student's layers; None where no loss between layers is asked for.
    teacher
        Reads the first teacher's.
    pairs
        Pairs of layers of each loss between layers.
    maps
        Learned maps by name; see :mod:`core.training.distil.maps`.
    steps
        Steps of the stage, over which weights may change.
    """

    def __init__(
        self,
        config: DistillationConfig,
        teachers: list[Teacher],
        answers: list[Answers],
        student: Watch | None = None,
        teacher: Watch | None = None,
        *,
        pairs: Sequence[Pairs] = (),
        maps: Mapping[str, torch.Tensor] | None = None,
        steps: int = 1,
    ):
        self.config = config
        self.pairs, self.maps, self.steps = list(pairs), dict(maps or {}), steps
        #: Pairs of layers that were found by their likeness, which a checkpoint keeps; None where none were.
        self.alike: Pairs | None = None
        #: What each loss weighs at the step that is under way.
        self.weights = weights_at(config, 1, steps)
        self.teachers, self.answers = teachers, answers
        #: What each teacher says of the gate rows: (units, classes), half precision, not a number where it is silent.
        self.gate: list[np.ndarray] = []
        self.student, self.teacher = student, teacher
        total = sum(one.weight for one in config.teachers)
        self.shares = [one.weight / total for one in config.teachers]
        self._form: Form | None = None
        #: What a person has set while it trains, in place of the config's: see :mod:`core.training.distil.controls`.
        self.held: dict[str, float] = {}
        #: What the last micro-batches were like, by series; see :meth:`take`.
        self._told: list[dict[str, torch.Tensor]] = []
        self._measures = False

    def begin(self, own: int, turn: int | None = None) -> None:
        """Begin the step `own` of the stage, from 1.

        Where other tasks have steps too it is the `turn`-th one of this task's, or none of them (0): then its gradient
        is only looked at.
        """
        self.weights = weights_at(self.config, own, self.steps)
        self._measures = measured_at(own if turn is None else turn, terms=2 + len(self.config.states))

    def value(self, name: str) -> float:
        """Return ``temperature``, ``alpha`` or ``differences`` as it holds now."""
        planned = self.weights.alpha if name == "alpha" else float(getattr(self.config, name))
        return self.held.get(name, planned)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Read the student's layers during its forward pass, where a loss needs them."""
        if self.student is None or self.teacher is None:
            yield
            return
        with self.student.reading(*wanted(self.config.states, self.pairs, 0)):
            yield

    def mix(
        self, engine: Engine, logits: torch.Tensor, batch: dict[str, torch.Tensor], indices: np.ndarray,
        total: torch.Tensor, weight: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Return the micro-batch's loss times `weight`, in place of the gold labels' `total`.

        Parameters
        ----------
        engine
            What ran.
        logits
            The student's, as the task's loss takes them.
        batch
            The collated batch with its labels.
        indices
            Which training features these are.
        total, weight
            Sum of the gold losses, and of their weights.
        """
        alpha = self.value("alpha")
        parts, told = self._parts(engine, logits, batch, indices)
        mean = together(parts, self.shares, told)
        weighs = weights_of(parts, mean)
        each = sum(
            share * soft(parts, one, self.value("temperature"), weighs)
            for share, one in zip(self.shares, told, strict=True)
        )
        assert isinstance(each, torch.Tensor)
        amount = self.value("differences")
        said = detached(parts)
        weights = part_weights(self.config, said, mean, amount=amount)
        if not len(each):  # nothing in this micro-batch can be learnt
            answer = (0.0 * logits).sum()
        else:
            answer = each.mean() if weights is None else (weights * each).sum() / weights.sum().clamp(min=1e-12)
        hard = total / weight.clamp(min=1e-12)
        answers = self.weights.answers
        terms = [
            ("gold", hard, answers * (1.0 - alpha)), ("soft", answer, answers * alpha), *self._layers(engine, batch),
        ]  # fmt: skip
        # What weighs nothing gets no gradient of zeros either: with one the optimiser would decay its weights.
        some = any(factor for _, _, factor in terms)
        weighted = {name: factor * (value if factor or not some else value.detach()) for name, value, factor in terms}
        facts = {f"distil/{name}": value.detach() for name, value, _ in terms}
        facts |= {f"distil/weight_{name}": hard.new_tensor(factor) for name, _, factor in terms}
        facts |= {f"distil/weighted_{name}": value.detach() for name, value in weighted.items()}
        if self._measures:
            self._measures = False
            facts |= gradient_shares(
                weighted, [one for one in engine.prepared.parameters.values() if one.requires_grad]
            )
        self._told.append({**facts, **(_compared(mean, said, weights) if len(each) else {})})
        if [factor for _, _, factor in terms if factor] == [terms[0][2]] == [1.0]:
            return total  # the gold labels alone, to the last bit as without a teacher
        return sum(weighted.values(), start=hard.new_zeros(())) * weight

    def _parts(
        self, engine: Engine, logits: torch.Tensor, batch: dict[str, torch.Tensor], indices: np.ndarray
    ) -> tuple[list[Part], list[list[torch.Tensor]]]:
        """Return what the positions of a batch say, and what each teacher says there."""
        task = engine.prepared.task
        if self._form is None or self._form.task is not task:
            self._form = form_of(task)
        form = self._form
        if form is None:
            student, gold = counted(task, logits, batch["labels"])
            told = [[spread(task, one.of(indices).to(logits.device))] for one in self.answers]
            return [Part("answer", student, gold)], told
        encoded, listed, width = engine.prepared.encoded["train"], indices.tolist(), logits.shape[1]
        parts = form.parts(logits, [encoded.features[index] for index in listed])
        told = [
            [one.to(logits.device) for one in form.told(own.values, np.asarray(own.places), encoded, listed, width)]
            for own in self.answers
        ]
        here = torch.stack([torch.isfinite(one).flatten(1).all(1) for own in told for one in own]).all(0)
        if bool(here.all()):
            return parts, told
        return kept_only(parts, here), [[one[here] for one in own] for own in told]  # a teacher is silent

    def _layers(self, engine: Engine, batch: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor, float]]:
        """Run the teacher over the batch and yield the losses between layers: name, value, weight."""
        if self.student is None or self.teacher is None:
            return
        inputs = teacher_inputs(self.teachers[0].finished.model, batch)
        with (
            torch.no_grad(),
            self.teacher.reading(*wanted(self.config.states, self.pairs, 1)),
            ExitStack() as stack,
        ):
            stack.enter_context(engine.autocast(engine.precision))
            self.teachers[0].finished.model(**inputs)
        mask = batch["attention_mask"]
        for number, (name, config) in enumerate(zip(state_names(self.config.states), self.config.states, strict=True)):
            value = state_loss(
                config, self.pairs[number], self.student, self.teacher, mask, number=number, maps=self.maps
            )
            yield name, value, self.weights.states[number]
        self.student.clear()

    def take(self) -> dict[str, torch.Tensor]:
        """Return the means of what was told since the last call, by series, each of shape ()."""
        told, self._told = self._told, []
        names = dict.fromkeys(name for one in told for name in one)
        return {name: torch.stack([one[name] for one in told if name in one]).mean() for name in names}


def _compared(
    teacher: Sequence[torch.Tensor], parts: Sequence[Part], weights: torch.Tensor | None
) -> dict[str, torch.Tensor]:
    """Say how near the student is to its teacher in a micro-batch: shares of its positions."""
    with torch.no_grad():
        gold = parts[0].gold
        found = {
            "distil/divergence": apart(parts, teacher).mean(),
            "distil/agreement": agreeing(parts, teacher).float().mean(),
        }
        for name, here in crossed_parts(parts, teacher)._asdict().items():
            found[f"distil/{name}"] = here.float().mean()
        size = effective_size(weights) if weights is not None else gold.new_tensor(len(gold), dtype=torch.float32)
        found["distil/effective"] = size.float() / max(1, len(gold))
        return found
