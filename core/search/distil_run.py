"""The run of kind ``distil``: a student inherits weights, then learns its parent's hidden states in the background.

It goes on exactly where it was stopped: the texts and the inherited student are kept in the run's folder, and the
training's state in ``checkpoints/``. Only workers import this module: it loads torch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from core.config.distil import DistilConfig
from core.config.shape import EncoderShape
from core.errors import ConfigError, ModelError
from core.graph.requests import EVERY_S, Stopped, listen, telling
from core.models.loading import load_tokenizer
from core.models.shaped import count
from core.models.shaped.configuration import ShapedBertConfig
from core.models.shaped.distance import distance
from core.models.shaped.files import shape_of
from core.models.shaped.inherit import Inherited, inherit
from core.models.sources import resolve
from core.search.distil_card import card
from core.search.distilling import Distilled, distil_states
from core.search.inheriting import Calibration, Parts, calibrated, divide, load_parent
from core.search.students import (
    keep_student,
    kept_student,
    same_embeddings,
    shape_of_folder,
    student_of_folder,
    write_model,
)
from core.training.checkpoints import Checkpoints
from core.training.context import Outcome, Request, RunContext
from core.training.device import exclusive, reading_errors
from core.training.files import remove, write_json
from core.training.results import environment

__all__ = ["run"]

#: Bytes a parameter that is trained: weight, gradient, and Adam's two moments.
_BYTES = 16
_TEXTS, _STUDENT, _MODEL, _RESULTS = "texts.json", "inherited", "best", "results.json"


def run(config: DistilConfig, context: RunContext, resume: bool = True) -> Outcome:
    """Execute a run of kind ``distil``.

    It leaves ``best/`` (a model folder with tokenizer and card) and ``results.json`` in the run's folder.

    Raises
    ------
    ConfigError
        If the shape does not fit the parent, or is too large for the memory.
    DataError
        If the corpus is too small.
    ModelError
        If the parent is no stock BERT, or changed since the run began.
    TrainingDiverged
        If the loss is no number.
    """
    folder = Path(context.folder)
    if not resume:
        for name in (_STUDENT, _MODEL, "checkpoints"):
            remove(folder / name)
        for name in (_TEXTS, _RESULTS):
            (folder / name).unlink(missing_ok=True)
    if (folder / _RESULTS).exists() and (folder / _MODEL / "config.json").exists():
        return Outcome.FINISHED
    try:
        with reading_errors(), exclusive(deterministic=True, threads=_threads(config, folder)):
            _Work(config, context).result()
    except Stopped as stopped:
        return stopped.outcome
    finally:
        context.flush()
    return Outcome.FINISHED


def _threads(config: DistilConfig, folder: Path) -> int:
    """Return the number of threads that the run began with: products of another number differ in their last bits."""
    known = _read(folder / _TEXTS)
    if known is not None:
        return int(known["threads"])
    return torch.get_num_threads() if config.runtime.threads == "auto" else config.runtime.threads


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


class _Work:
    def __init__(self, config: DistilConfig, context: RunContext):
        self.config, self.context, self.folder = config, context, Path(context.folder)
        self.seed, self.check = config.runtime.seed, listen(context)
        runtime = config.runtime
        self.checkpoints = Checkpoints(
            self.folder / "checkpoints", context.event,
            every_s=runtime.checkpoint_every_s, every_steps=runtime.checkpoint_every_steps,
        )  # fmt: skip

    def result(self) -> None:
        calibration = self._calibration()
        student = self._student(calibration)
        done = self._train(student, calibration)
        self.context.progress(phase="writing the model")
        self._write(student, calibration, done)

    # ---- what is trained, and on what -------------------------------------------------------------------------------

    def _calibration(self) -> Calibration:
        """Return the parent on texts; which texts is read from the corpus once, and kept."""
        config, phase = self.config, self.context.progress
        phase(phase="loading")
        encoder, tokenizer = load_parent(config.model.source, config.model.revision)
        self._affordable(encoder)
        known = _read(self.folder / _TEXTS)
        if known is None:
            told = telling(self.context, "reading the corpus")
            parts = divide(tokenizer, config.corpus, seed=self.seed, check=self.check, progress=told)
            write_json(self.folder / _TEXTS, {"threads": torch.get_num_threads(), "parts": asdict(parts)})
            for notice in [*parts.notices, *parts.train_notices]:
                self.context.event("info", notice)
        else:
            parts = Parts(**known["parts"])
        phase(phase="the parent's hidden states")
        return calibrated(encoder, tokenizer, parts, self.check)

    def _affordable(self, encoder: Any) -> None:
        """Refuse what cannot fit before anything long begins."""
        import psutil

        config = self.config
        shape = config.shape or shape_of_folder(config.student or "")
        width, layers = int(encoder.config.hidden_size), int(encoder.config.num_hidden_layers)
        if shape.embedding != width:
            raise ConfigError(
                f"The student's embeddings are {shape.embedding} wide, the parent's {width}.", where="shape.embedding",
                expected=str(width), advice="The embeddings are the parent's; layers may have any width.",
            )  # fmt: skip
        if len(shape.layers) > layers:
            raise ConfigError(
                f"The student has {len(shape.layers)} layers, the parent only {layers}.", where="shape.layers",
                expected=f"at most {layers} layers",
            )  # fmt: skip
        body = count(shape).body
        free = psutil.virtual_memory().available
        if body * _BYTES > free:
            raise ConfigError(
                f"The student has {body:,} parameters to train, which take {body * _BYTES / 1e9:,.1f} GB; "
                f"{free / 1e9:,.1f} GB are free.", where="shape", expected="a shape that fits into the memory",
            )  # fmt: skip

    def _student(self, calibration: Calibration) -> Inherited:
        place, config = self.folder / _STUDENT, self.config
        kept = kept_student(place)
        if kept is not None:
            if not same_embeddings(kept.model, calibration.fit.encoder):
                raise ModelError(
                    "The parent is not the one that the run began with.", where=config.model.source,
                    advice="Start a new run.",
                )  # fmt: skip
            return kept
        self.check()
        self.context.progress(phase="inheriting weights")
        if config.shape is None:
            student = student_of_folder(calibration, config.student or "", config.segments)
        else:
            student = inherit(
                calibration.fit, config.shape, segments=config.segments, refit=config.refit, seed=self.seed
            )
        keep_student(place, student)
        if student.initialised:
            self.context.event("info", f"Not inherited but initialised: {', '.join(student.initialised)}.")
        # The one that a resumed run reads is the one that is trained, so that both are the same in every bit.
        return kept_student(place) or student

    # ---- training ---------------------------------------------------------------------------------------------------

    def _train(self, student: Inherited, calibration: Calibration) -> Distilled:
        config, loop = self.config, _Loop(self)
        loaded = self.checkpoints.load(torch.device("cpu"))
        state = None
        if loaded is not None:
            own = loaded.state
            state = {
                "step": loaded.step, "model": loaded.tensors, "optimizer": loaded.optimizer, "before": own["before"],
                "curve": own["curve"], "seconds": own["seconds"],
            }  # fmt: skip
        else:
            self.checkpoints.mark(0)
        self.context.progress(phase="training", step=0 if loaded is None else loaded.step, total_steps=config.steps)
        return distil_states(
            student, calibration, steps=config.steps, lr=config.lr, batch_tokens=config.batch_tokens,
            warmup=config.warmup, evaluate_every=config.evaluate_every, seed=self.seed, check=loop.check,
            on_step=loop.stepped, on_eval=loop.measured, on_state=loop.keep, state=state,
        )  # fmt: skip

    # ---- what it leaves ---------------------------------------------------------------------------------------------

    def _write(self, student: Inherited, calibration: Calibration, done: Distilled) -> None:
        config, context = self.config, self.context
        found = self._found(student, calibration, done)
        shaped = isinstance(student.model.config, ShapedBertConfig)
        readme = card(config, found, shaped=shaped, run_id=self.folder.name)
        report = {name: value for name, value in found.items() if name not in ("seconds", "curve")}
        # One that has cut no text: a tokenizer keeps the length that it cut at, and a resumed run cuts none.
        tokenizer = load_tokenizer(resolve(config.model.source, config.model.revision))
        write_model(self.folder / _MODEL, student.model, tokenizer, readme, report)
        words = f"Held-out loss {done.before:.4f} → {done.after:.4f} in {done.steps:,} steps; the parent scores 0."
        if not done.steps:
            words = f"Held-out loss {done.after:.4f} without training; the parent scores 0."
        context.event("info", words, step=done.steps)
        metrics = {
            "held/after": done.after, "held/before": done.before,
            "parameters/student": float(found["parameters"]["student"]),
            "parameters/parent": float(found["parameters"]["parent"]),
            "held/last_state": found["distance"]["last"],
        }  # fmt: skip
        notices = [*calibration.notices, *calibration.train_notices]
        around = environment(torch.device("cpu"), {"threads": torch.get_num_threads(), "precision": "fp32"})
        details = {"distil": found, "notices": notices}
        write_json(self.folder / _RESULTS, {"metrics": metrics, "details": details, "environment": around})
        remove(self.folder / _STUDENT)
        (self.folder / _TEXTS).unlink(missing_ok=True)
        context.progress(phase="finished", step=done.steps, total_steps=done.steps, eta_s=0.0)

    def _found(self, student: Inherited, calibration: Calibration, done: Distilled) -> dict[str, Any]:
        parent, shape = calibration.fit.encoder, _shape(student.model)
        cost = count(shape)
        after = distance(student, calibration.held_out)
        reports = [asdict(one) for one in student.layers] or [
            {"parent": source, "reaches": reaches, "basis": "given"} for source, reaches in student.segments
        ]
        layers = [
            {
                **report, "layer": at, "width": layer.width, "heads": layer.heads, "intermediate": layer.intermediate,
                "parent": report["parent"] + 1, "reaches": report["reaches"] + 1, "head_report": report.get("heads"),
                "before": report.get("distance"), "after": error,
            }
            for at, (report, layer, error) in enumerate(zip(reports, shape.layers, after.layers, strict=True), 1)
        ]  # fmt: skip
        for layer in layers:
            layer.pop("distance", None)
        return {
            "before": done.before, "after": done.after, "steps": done.steps, "seconds": round(done.seconds, 2),
            "curve": [list(point) for point in done.curve], "distance": after.as_dict(),
            "parameters": {"parent": sum(one.numel() for one in parent.parameters()), "student": cost.total},
            "body": {"parent": sum(one.numel() for one in parent.encoder.parameters()), "student": cost.body},
            "shape": shape.model_dump(mode="json", exclude_none=True), "layers": layers,
            "copied": student.copied, "initialised": student.initialised,
            "segments": [list(pair) for pair in student.segments],
            "tokens": {
                "fit": calibration.fit.tokens, "held_out": calibration.held_out.tokens,
                "train": sum(map(len, calibration.train)),
            },
            "parent": self.config.model.source,
        }  # fmt: skip


def _shape(model: Any) -> EncoderShape:
    return shape_of(model.config.to_dict(), where="the student", pooler=model.pooler is not None)


class _Loop:
    """What a run does between two steps: it tells, hears requests, and keeps checkpoints."""

    def __init__(self, work: _Work):
        self.context, self.checkpoints, self.total = work.context, work.checkpoints, work.config.steps
        self._state: Callable[[], dict[str, Any]] | None = None
        self._began, self._first, self._told = time.monotonic(), -1, -1.0

    def check(self) -> None:
        """Hear what was asked; whoever stops leaves a checkpoint first."""
        asked = self.context.request()
        if asked is Request.NONE:
            return
        self._save()
        if asked is Request.PAUSE:
            raise Stopped(Outcome.PAUSED)
        if asked is Request.CANCEL:
            raise Stopped(Outcome.CANCELLED)

    def stepped(self, step: int, loss: float, lr: float) -> None:
        self.context.metrics(step, {"train/loss": loss, "lr": lr})
        now = time.monotonic()
        if self._first < 0:  # the first step also computes what is kept; the pace is that of those after it
            self._first, self._began = step, now
        if step < self.total and now - self._told < EVERY_S:
            return
        self._told, eta = now, None
        if step > self._first:
            eta = round((now - self._began) / (step - self._first) * (self.total - step), 1)
        self.context.progress(phase="training", step=step, total_steps=self.total, eta_s=eta)

    def measured(self, step: int, loss: float) -> None:
        self.context.metrics(step, {"held/loss": loss})

    def keep(self, step: int, state: Callable[[], dict[str, Any]]) -> None:
        self._state = state
        if self.checkpoints.due(step):
            self._save()

    def _save(self) -> None:
        if self._state is None:
            return
        state = self._state()
        own = {name: state[name] for name in ("before", "curve", "seconds")}
        self.context.flush()
        if self.checkpoints.save(state["step"], state["model"], state["optimizer"], own):
            self.context.event("checkpoint", f"Checkpoint of step {state['step']}.", step=state["step"])
