"""The loss of a stage of kind ``distil``: gold labels, teachers' answers and layers, and what is told of each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from core.config.distillation import DistillationConfig
from core.errors import ConfigError
from core.training.distil.differences import difference_weights, divergence, effective_size, quadrants
from core.training.distil.losses import soft_divergence
from core.training.distil.positions import counted, spread
from core.training.distil.scores import score_teacher
from core.training.distil.states import Watch, check_states, state_loss, wanted
from core.training.distil.teacher import Answers, Teacher, keep_answers, load_teacher
from core.training.gates import better
from core.training.intervals import majority_score

if TYPE_CHECKING:
    from core.training.engine import Engine

__all__ = ["Objective", "open_objective", "position_weights"]


def position_weights(
    config: DistillationConfig, teacher: torch.Tensor, student: torch.Tensor, gold: torch.Tensor
) -> torch.Tensor | None:
    """Return what each position counts for, shape (positions,); None where all count alike.

    Parameters
    ----------
    config
        How the student learns.
    teacher, student
        Logits of shape (positions, classes). Neither gets a gradient from here.
    gold
        Classes of shape (positions,).
    """
    with torch.no_grad():
        counts = torch.ones(len(gold), dtype=torch.bool, device=gold.device)
        if config.harmful == "drop":
            counts &= ~quadrants(teacher, student, gold).harmful
        if config.selection is not None:
            counts &= _selected(config, student, gold)
        if config.differences == 0:
            return None if bool(counts.all()) else counts.to(torch.float32)
        weights = torch.zeros(len(gold), device=gold.device)
        weights[counts] = difference_weights(divergence(teacher, student)[counts], config.differences, config.sharpness)
        return weights


def _selected(config: DistillationConfig, student: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """Return the positions where the student is least certain, or furthest from the gold."""
    assert config.selection is not None
    log_shares = functional.log_softmax(student.float(), dim=-1)
    if config.selection.by == "entropy":
        score = -(log_shares.exp() * log_shares).sum(-1)
    else:
        score = -log_shares.gather(1, gold[:, None])[:, 0]
    most = max(1, round(config.selection.share * len(gold)))
    found = torch.zeros(len(gold), dtype=torch.bool, device=gold.device)
    found[torch.topk(score, most).indices] = True
    return found


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
    """

    def __init__(
        self,
        config: DistillationConfig,
        teachers: list[Teacher],
        answers: list[Answers],
        student: Watch | None = None,
        teacher: Watch | None = None,
    ):
        self.config = config
        self.teachers, self.answers = teachers, answers
        self.student, self.teacher = student, teacher
        total = sum(one.weight for one in config.teachers)
        self.shares = [one.weight / total for one in config.teachers]
        #: What the last micro-batches were like, by series; see :meth:`take`.
        self._told: list[dict[str, torch.Tensor]] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Read the student's layers during its forward pass, where a loss needs them."""
        if self.student is None or self.teacher is None:
            yield
            return
        outputs: set[int] = set()
        maps: set[int] = set()
        for config in self.config.states:
            found = wanted(config, self.student, self.teacher)
            outputs |= found[0]
            maps |= found[1]
        with self.student.reading(outputs, maps):
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
        config, task = self.config, engine.prepared.task
        student, gold = counted(task, logits, batch["labels"])
        told = [spread(task, one.of(indices).to(logits.device)) for one in self.answers]
        mean = torch.stack([
            share * functional.softmax(one, dim=-1) for share, one in zip(self.shares, told, strict=True)
        ]).sum(0).clamp(min=1e-12).log() if len(told) > 1 else told[0]  # fmt: skip
        each = sum(
            share * soft_divergence(one, student, config.temperature)
            for share, one in zip(self.shares, told, strict=True)
        )
        assert isinstance(each, torch.Tensor)
        weights = position_weights(config, mean, student.detach(), gold)
        soft = each.mean() if weights is None else (weights * each).sum() / weights.sum().clamp(min=1e-12)
        hard = total / weight.clamp(min=1e-12)
        loss = (1.0 - config.alpha) * hard + config.alpha * soft
        facts = {"distil/gold": hard.detach(), "distil/soft": soft.detach()}
        for name, value, factor in self._layers(engine, batch):
            loss = loss + factor * value
            facts[name] = value.detach()
        self._told.append({**facts, **_compared(mean, student.detach(), gold, weights)})
        return loss * weight

    def _layers(self, engine: Engine, batch: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor, float]]:
        """Run the teacher over the batch and yield the losses between layers: series, value, weight."""
        if self.student is None or self.teacher is None:
            return
        outputs: set[int] = set()
        maps: set[int] = set()
        for config in self.config.states:
            found = wanted(config, self.student, self.teacher)
            outputs |= found[2]
            maps |= found[3]
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        with torch.no_grad(), self.teacher.reading(outputs, maps), ExitStack() as stack:
            stack.enter_context(engine.autocast(engine.precision))
            self.teachers[0].finished.model(**inputs)
        kinds = [config.kind for config in self.config.states]
        for number, config in enumerate(self.config.states):
            suffix = "" if kinds.count(config.kind) == 1 else f"_{number + 1}"
            value = state_loss(config, self.student, self.teacher, batch["attention_mask"])
            yield f"distil/{config.kind}{suffix}", value, config.weight
        self.student.hidden.clear()
        self.student.maps.clear()

    def take(self) -> dict[str, torch.Tensor]:
        """Return the means of what was told since the last call, by series, each of shape ()."""
        told, self._told = self._told, []
        return {name: torch.stack([one[name] for one in told]).mean() for name in (told[0] if told else {})}


def _compared(
    teacher: torch.Tensor, student: torch.Tensor, gold: torch.Tensor, weights: torch.Tensor | None
) -> dict[str, torch.Tensor]:
    """Say how near the student is to its teacher in a micro-batch: shares of its positions."""
    with torch.no_grad():
        found = {
            "distil/divergence": divergence(teacher, student).mean(),
            "distil/agreement": (teacher.argmax(-1) == student.argmax(-1)).float().mean(),
        }
        for name, here in quadrants(teacher, student, gold)._asdict().items():
            found[f"distil/{name}"] = here.float().mean()
        size = effective_size(weights) if weights is not None else gold.new_tensor(len(gold), dtype=torch.float32)
        found["distil/effective"] = size.float() / max(1, len(gold))
        return found


def open_objective(
    engine: Engine,
    cache: Path,
    *,
    where: str,
    check: Callable[[], None] = lambda: None,
    event: Callable[..., None] = lambda *_, **__: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Objective:
    """Load the teachers of a stage, compute or find their answers, and make its objective.

    Parameters
    ----------
    engine
        Of the stage.
    cache
        The home's cache folder.
    where
        The stage's path in the plan.
    check
        Called between batches; may raise to stop.
    event
        Told what is noteworthy.
    progress
        Told batches done and all of a pass.

    Raises
    ------
    BertloomError
        If a teacher cannot teach this student, or its answers do not fit on the disk.
    """
    prepared = engine.prepared
    config = prepared.stage.distil
    assert config is not None
    place = f"{where}.distil"
    teachers = [
        load_teacher(one.source, prepared.task, where=f"{place}.teachers.{number}.source")
        for number, one in enumerate(config.teachers)
    ]
    size = sum(one.numel() for one in prepared.model.parameters())
    answers = []
    for teacher in teachers:
        _tell_score(engine, teacher, check, event)
        other = sum(one.numel() for one in teacher.finished.model.parameters())
        if size > other:
            event(
                "warning", f"The student has {size / 1e6:.1f} M parameters, more than its teacher {teacher.name} with "
                f"{other / 1e6:.1f} M: nothing becomes smaller.",
            )  # fmt: skip
        teacher.finished.model.to(prepared.device)
        for parameter in teacher.finished.model.parameters():
            parameter.requires_grad_(False)
        answers.append(
            keep_answers(
                teacher, prepared.roles.train, prepared.encoded["train"], cache, limit_mb=config.cache_limit_mb,
                keep=config.cache, check=check, event=event, progress=progress,
            )
        )  # fmt: skip
    if not config.states:
        for teacher in teachers:  # its answers are all that is needed of it
            teacher.finished.model.to("cpu")
        return Objective(config, teachers, answers)
    own, other_watch = _watches(engine, teachers[0])
    _same_pieces(prepared.tokenizer, teachers[0].finished.tokenizer, place)
    check_states(config.states, own, other_watch, where=place)
    if engine.feeds:
        engine.feeds.clear()
        event("decision", "Losses between layers read all layers, so frozen ones are computed anew in every step.")
    if engine.path != "stock":
        engine.use_path("stock")
        event("decision", "Losses between layers are read on the stock path.")
    return Objective(config, teachers, answers, own, other_watch)


def _tell_score(engine: Engine, teacher: Teacher, check: Callable[[], None], event: Callable[..., None]) -> None:
    """Say what the teacher itself scores on gate, and warn if it is no better than the majority."""
    prepared = engine.prepared
    if "gate" not in prepared.encoded:
        return
    metric = prepared.stage.metric or prepared.task.primary_metric
    value = float(score_teacher(teacher, prepared.task, prepared.roles.gate, check=check).metrics[metric])
    majority = majority_score(prepared.task, metric, prepared.roles, prepared.encoded["gate"])
    event(
        "info", f"The teacher {teacher.name} scores gate/{metric} {value:.4f}.",
        data={"teacher": teacher.name, "metric": f"gate/{metric}", "value": value, "majority": majority},
    )  # fmt: skip
    if majority is not None and not better(value, majority, metric):
        event(
            "warning", f"The teacher {teacher.name} is no better than a method without a model ({majority:.4f}): there "
            "is little to learn from it.",
        )  # fmt: skip


def _watches(engine: Engine, teacher: Teacher) -> tuple[Watch, Watch]:
    from core.models import structure

    own, other = engine.prepared.model.config, teacher.finished.model.config
    return (
        Watch(engine.prepared.layers, int(own.num_attention_heads), int(own.hidden_size)),
        Watch(
            list(structure(teacher.finished.model).layers), int(other.num_attention_heads), int(other.hidden_size)
        ),
    )  # fmt: skip


def _same_pieces(student: Any, teacher: Any, place: str) -> None:
    if student.get_vocab() != teacher.get_vocab():
        raise ConfigError(
            "Student and teacher have different tokenisers, so their layers see different sub-words.",
            where=f"{place}.states", expected="one tokeniser for losses between layers",
            advice="Leave `states` empty: answers are aligned by texts and words, whatever the tokenisers.",
        )  # fmt: skip
