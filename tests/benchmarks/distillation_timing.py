"""Arms of :mod:`tests.benchmarks.bench_distillation`: one loop with kept or recomputed answers, and the peer's."""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch

from core.config import Plan
from core.training import MemoryContext, Outcome, train
from core.training.distil import opening
from core.training.distil.objective import Objective
from core.training.distil.positions import answers_of
from core.training.distil.teacher import Answers, Teacher
from tests.benchmarks.bench_training import Clock

if TYPE_CHECKING:
    from core.training.engine import Engine
    from core.training.session import Session

__all__ = ["Asked", "asking", "losses", "opened", "student_plan", "teacher_folder", "timed", "timed_trainer"]

BATCH, LR, LENGTH, LAYERS = 32, 1e-4, 64, 3
TEMPERATURES = (1.0, 2.0, 4.0, 10.0)


def teacher_folder(cache: Path, *, rows: int = 1500, steps: int = 60) -> Path:
    """Return the folder of the teacher: the bundled encoder, fine-tuned on reviews; trained where it is missing."""
    folder = cache / f"teacher-{rows}-{steps}"
    if not (folder / "results.json").exists():
        stage = {"steps": steps, "lr": LR, "head_lr": 1e-3, "batch_size": BATCH, "eval_every": 10**9}
        plan = _plan({"source": "bundled"}, stage, rows, 32, 0)
        assert train(plan, MemoryContext(folder, cache), resume=False) is Outcome.FINISHED
    return folder / "best"


def student_plan(teacher: Path, rows: int, epochs: float, seed: int, gate: int = 32) -> Plan:
    """Return the plan of a student of three of the teacher's layers; it is evaluated once, at the end."""
    stage = {
        "kind": "distil", "epochs": epochs, "lr": LR, "batch_size": BATCH, "eval_every": 10**9,
        "distil": {"teachers": [{"source": str(teacher)}]},
    }  # fmt: skip
    return _plan({"source": str(teacher), "keep_layers": LAYERS}, stage, rows, gate, seed)


def _plan(model: dict[str, Any], stage: dict[str, Any], rows: int, gate: int, seed: int) -> Plan:
    return Plan.model_validate(
        {
            "data": {"source": "reviews", "train_rows": rows, "gate_rows": gate, "test_rows": 32},
            "model": {**model, "max_length": LENGTH}, "stages": [stage], "runtime": {"seed": seed, "device": "cpu"},
        }
    )  # fmt: skip


class Asked(Answers):
    """Answers that a teacher gives when they are asked for, in place of those that were kept.

    Parameters
    ----------
    engine
        Of the student's stage: the teacher runs on its device, without gradients or dropout.
    teacher
        The teacher, which reads the rows as the student does.
    precision
        In which the teacher runs; that of the student's steps where it is not given.
    """

    def __init__(self, engine: Engine, teacher: Teacher, precision: str | None = None):
        super().__init__(np.zeros((0, len(teacher.order)), dtype=np.float16), [], len(engine.prepared.roles.train))
        object.__setattr__(self, "_source", (engine, teacher, torch.from_numpy(teacher.order), precision))
        teacher.finished.model.eval()

    def of(self, indices: np.ndarray) -> torch.Tensor:
        """Return the answers to the positions of these features, one feature after the other, in fp32."""
        engine, teacher, order, precision = self._source  # type: ignore[attr-defined]
        prepared = engine.prepared
        features = [prepared.encoded["train"].features[int(index)] for index in indices]
        batch = prepared.task.collate(features, prepared.tokenizer)
        inputs = {name: tensor.to(prepared.device) for name, tensor in batch.items() if name != "labels"}
        with torch.no_grad(), engine.autocast(precision or engine.precision):
            logits = teacher.finished.model(**inputs).logits.float()[..., order]
        if logits.ndim == 2:
            return logits
        rows = zip(logits.cpu().numpy(), features, strict=True)
        return torch.from_numpy(np.concatenate([answers_of(one, feature) for one, feature in rows]))


@contextlib.contextmanager
def asking(spent: list[float], *, every_step: bool, precision: str | None = None) -> Iterator[None]:
    """Note what the pass over the rows takes, or (`every_step`) leave it out and ask the teacher in each step."""
    keep, made = opening.keep_answers, opening.open_objective

    def pass_over(teacher: Teacher, rows: Any, encoded: Any, cache: Path, **others: Any) -> Answers:
        began = time.perf_counter()
        found = keep(teacher, rows, encoded, cache, **others)
        spent.append(time.perf_counter() - began)
        return found

    def nothing(teacher: Teacher, rows: Any, *_: Any, **__: Any) -> Answers:
        return Answers(np.zeros((0, len(teacher.order)), dtype=np.float16), [], len(rows))

    def opened_with(engine: Engine, cache: Path, **others: Any) -> Objective:
        objective = made(engine, cache, **others)
        if every_step:
            objective.answers = [Asked(engine, one, precision) for one in objective.teachers]
        return objective

    with (
        mock.patch.object(opening, "keep_answers", nothing if every_step else pass_over),
        mock.patch.object(opening, "open_objective", opened_with),
    ):
        yield


def timed(
    plan: Plan, folder: Path, cache: Path, *, every_step: bool, precision: str | None = None
) -> dict[str, Any]:  # fmt: skip
    """Train a student with our loop; its teacher is asked once, or in every step (see :class:`Asked`).

    Returns
    -------
    dict
        ``seconds`` of the choice of threads, precision and path, of the pass over the rows and of the steps, each also
        under ``parts``. Loading models and rows, and scoring, are not in them.
    """
    context, spent = Clock(folder / "run", cache), [0.0]
    with asking(spent, every_step=every_step, precision=precision):
        train(plan, context)
    results = json.loads((context.folder / "results.json").read_text(encoding="utf-8"))
    parts = {name: context.seconds(name) for name in ("timing", "training")} | {"pass": sum(spent)}
    return {
        "seconds": round(sum(parts.values()), 3), "parts": {name: round(one, 3) for name, one in parts.items()},
        "steps": results["training"]["steps"], "test_loss": results["metrics"]["test/loss"],
        "choices": {key: results["choices"][key] for key in ("precision", "threads", "path")},
    }  # fmt: skip


def timed_trainer(plan: Plan, folder: Path, cache: Path) -> dict[str, Any]:
    """Train a student with a subclass of ``transformers.Trainer`` that runs the teacher in every step."""
    from torch.nn import functional
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments, set_seed

    from core.data.roles import load_roles
    from core.data.tasks import task_for
    from core.models import build_model
    from core.models.folders import load_finished

    stage, seed = plan.stages[0], plan.runtime.seed
    assert stage.distil is not None
    alpha, temperature = stage.distil.alpha, stage.distil.temperature
    roles = load_roles(plan.data, plan.task, cache=cache)
    task = task_for(plan.task, roles.labels)
    model, tokenizer = build_model(plan.model, task, seed=seed)
    teacher = load_finished(Path(stage.distil.teachers[0].source)).model.eval()
    rows = [
        {"input_ids": [int(piece) for piece in one["input_ids"]], "labels": int(one["labels"])}
        for one in task.encode(roles.train, tokenizer, plan.model.max_length).features
    ]
    times: dict[str, float] = {}

    class Times(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            times["begin"] = time.perf_counter()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            times["end"] = time.perf_counter()

    class DistillationTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
            outputs = model(**inputs)
            with torch.no_grad():
                told = teacher(**inputs).logits
            soft = functional.kl_div(
                functional.log_softmax(outputs.logits / temperature, dim=-1),
                functional.softmax(told / temperature, dim=-1), reduction="batchmean",
            )  # fmt: skip
            loss = alpha * temperature**2 * soft + (1.0 - alpha) * outputs.loss
            return (loss, outputs) if return_outputs else loss

    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=stage.batch_size, num_train_epochs=stage.epochs or 1,
        learning_rate=stage.lr, weight_decay=stage.weight_decay, warmup_steps=stage.schedule.warmup, seed=seed,
        use_cpu=True, save_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    set_seed(seed)
    trainer = DistillationTrainer(
        model=model, args=arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer),
        callbacks=[Times()],
    )  # fmt: skip
    trainer.train()
    return {
        "seconds": round(times["end"] - times["begin"], 3), "steps": trainer.state.global_step,
        "choices": {"threads": torch.get_num_threads()},
    }  # fmt: skip


def opened(plan: Plan, cache: Path) -> Session:
    """Return the session of a plan's first stage with its objective, in fp32 on the stock path."""
    from core.training.material import load_material
    from core.training.session import Session

    session = Session(load_material(plan, cache), plan.stages[0], 0)
    session.fill_caches(cache, check=lambda: None, event=lambda *_, **__: None, phase=lambda _: None)
    return session


def losses(plan: Plan, cache: Path) -> dict[str, Any]:
    """Compare losses from kept answers with those from a teacher that is asked, on the same batches of one epoch.

    Returns
    -------
    dict
        By temperature the ``largest`` and the ``median`` relative difference, of the ``loss`` that is trained and of
        its ``soft`` part; ``batches``.
    """
    session = opened(plan, cache)
    engine, kept = session.engine, session.engine.objective
    assert kept is not None
    asked = Objective(kept.config, kept.teachers, [Asked(engine, one) for one in kept.teachers])
    stream = session.batches()
    batches = [next(stream)[3] for _ in range(session.prepared.steps_per_epoch)]
    features = session.prepared.encoded["train"].features
    told: dict[str, Any] = {"batches": len(batches), "temperatures": {}}
    for temperature in TEMPERATURES:
        found: dict[str, list[float]] = {"loss": [], "soft": []}
        for batch in batches:
            both = []
            for objective in (kept, asked):
                objective.held["temperature"] = temperature
                engine.objective = objective
                with engine.scoring(), torch.no_grad():
                    total, weight, _ = engine.loss([features[at] for at in batch], batch)
                both.append((float(total / weight), float(objective.take()["distil/soft"])))
            for name, one, other in zip(found, *both, strict=True):
                found[name].append(abs(one - other) / abs(other))
        told["temperatures"][f"{temperature:g}"] = {
            name: {"largest": max(each), "median": statistics.median(each)} for name, each in found.items()
        }
    session.close()
    return told
